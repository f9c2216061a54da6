//! `waystation logs`: what a run wrote.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use super::output::note;
use super::runs::{coloured, took};
use super::{Data, Done, WELL, failed, record, runtime};
use crate::Error;
use crate::store::{Filter, RunId, State, Store};

/// How often the log of a run at work is looked at; the server writes it out twice a second.
const PAUSE: Duration = Duration::from_millis(200);

/// Show the log of a run
///
/// The lines are written to standard output as they were printed, how the run ended to standard error.
#[derive(Args)]
pub struct Logs {
    /// The run's id; the newest run by default
    run: Option<RunId>,
    /// Go on until the run ends
    #[arg(long, short)]
    follow: bool,
    /// Write JSON lines, with the time, the step and the stream of every line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: Data,
}

#[derive(Deserialize)]
struct Line {
    text: String,
    stream: String,
}

impl Logs {
    pub(super) fn run(self) -> Done {
        let store = record(&self.data.data)?;
        runtime()?.block_on(self.show(&*store))
    }

    async fn show(&self, store: &dyn Store) -> Done {
        let newest = Filter {
            limit: 1,
            ..Filter::default()
        };
        let run = match self.run {
            Some(run) => run,
            None => store
                .runs(newest)
                .await?
                .first()
                .map(|run| run.id)
                .ok_or_else(|| Error::new("no runs"))?,
        };
        let mut next = 0;
        loop {
            let page = store.log(run, next).await?;
            next = page.next;
            if self.write(&page.text).is_err() {
                // Nobody reads any more.
                return Ok(WELL);
            }
            if page.ended || !self.follow {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.ending(store, run).await
    }

    fn write(&self, lines: &str) -> std::io::Result<()> {
        let mut out = anstream::stdout().lock();
        for line in lines.lines() {
            match serde_json::from_str::<Line>(line) {
                _ if self.json => writeln!(out, "{line}")?,
                Ok(line) if line.stream == "note" => writeln!(out, "note: {}", plain(&line.text))?,
                Ok(line) => writeln!(out, "{}", plain(&line.text))?,
                Err(_) => {}
            }
        }
        out.flush()
    }

    async fn ending(&self, store: &dyn Store, id: RunId) -> Done {
        let run = store
            .run(id)
            .await?
            .ok_or_else(|| Error::new(format!("there is no run {id}")))?;
        let about = &run.summary;
        let time = about
            .ended_at
            .zip(about.started_at)
            .map(|(end, start)| format!(" after {}", took(end - start)));
        note(format_args!(
            "run {id} {}{}",
            coloured(about.state),
            time.unwrap_or_default()
        ));
        Ok(match about.state {
            State::Failed | State::Cancelled => failed(),
            _ => WELL,
        })
    }
}

/// A line without what could steer the terminal.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() && c != '\t' {
            true => plain.extend(c.escape_unicode()),
            false => plain.push(c),
        }
    }
    plain
}
