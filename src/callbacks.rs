//! Tells those who want to know how runs ended, as Standard Webhooks 1.0.0 has it (<https://www.standardwebhooks.com>): signed, and
//! again until they have heard it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::app::App;
use crate::egress::fetch::{Client, Limits, Redirect, Request};
use crate::egress::{self, Scope};
use crate::http::Whole;
use crate::store::{Callback, Called, Detail};
use crate::{Error, now};

/// The longest URL, in bytes.
pub const MAX_URL: usize = 2_048;

/// How many are told at once.
const AT_ONCE: usize = 16;
/// How long one has to answer, and how much of the answer is read.
const LIMITS: Limits = Limits {
    time: Duration::from_secs(20),
    body: 64 << 10,
    redirects: 0,
};
/// How long after a try that failed the next one is, in seconds; give or take a tenth.
const AGAIN: [u32; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// How long nobody is looked for without a word that somebody is to be told.
const LOOK: Duration = Duration::from_secs(60);
/// How long it is left at that where the record cannot be read.
const PAUSE: Duration = Duration::from_secs(5);

/// What is told.
#[derive(Serialize)]
struct Message {
    #[serde(rename = "type")]
    kind: String,
    timestamp: String,
    data: Whole,
}

/// Says whether a URL can be called back.
pub fn is_callable(text: &str) -> bool {
    text.len() <= MAX_URL && egress::web(text).is_some()
}

/// Tells whoever is to be told, until the server stops.
pub async fn keep(app: Arc<App>) {
    let client = Arc::new(Client::new(app.egress.clone(), Scope::Public));
    let places = Arc::new(Semaphore::new(AT_ONCE));
    while !app.draining.load(Ordering::Relaxed) {
        let pause = match take(&app, &client, &places).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::error!("it cannot be found out who is to be told of runs: {error}");
                PAUSE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = app.calls_back.notified() => {}
            () = app.drains.notified() => {}
        }
    }
}

/// Begins to tell as many as there are places for, and says how long nobody else is to be told.
async fn take(
    app: &Arc<App>,
    client: &Arc<Client>,
    places: &Arc<Semaphore>,
) -> Result<Duration, Error> {
    loop {
        let Ok(first) = places.clone().acquire_owned().await else {
            return Ok(LOOK);
        };
        let mut taken = vec![first];
        while let Ok(place) = places.clone().try_acquire_owned() {
            taken.push(place);
        }
        let most = taken.len();
        let found = app.store.callbacks(most as u32, now()).await?;
        let full = found.due.len() == most;
        for (callback, place) in found.due.into_iter().zip(taken) {
            tokio::spawn(tell(app.clone(), client.clone(), callback, place));
        }
        if !full {
            let left = found.next.map(|next| (next - now()).max(0) as u64);
            return Ok(left.map_or(LOOK, |left| Duration::from_micros(left).min(LOOK)));
        }
    }
}

/// Tells one how a run ended, and notes what came of it.
async fn tell(app: Arc<App>, client: Arc<Client>, callback: Callback, place: OwnedSemaphorePermit) {
    let run = callback.run;
    let heard = match app.store.run(run).await {
        Ok(Some(detail)) => heard(&app, &client, &callback, detail).await,
        Ok(None) => return,
        Err(error) => return tracing::error!(%run, "a run cannot be read: {error}"),
    };
    let (told, answer) = match heard {
        Ok(status) => ((200..300).contains(&status), status.to_string()),
        Err(why) => (false, why),
    };
    app.metrics.called_back(told);
    // Who is gone for good says so.
    let over = told || answer == "410";
    let again = AGAIN.get(callback.tries as usize).filter(|_| !over);
    let again = again.map(|seconds| now() + spread(*seconds));
    if again.is_none() && !told {
        tracing::warn!(%run, "how the run ended was told to nobody, and is not tried again: {answer}");
    }
    let called = Called {
        run,
        told,
        again,
        answer,
    };
    if let Err(error) = app.store.called(called).await {
        tracing::error!(%run, "what came of a callback cannot be recorded: {error}");
    }
    drop(place);
    app.calls_back.notify_one();
}

/// Sends what is to be told, and gives the status of the answer, or what is wrong.
async fn heard(
    app: &App,
    client: &Client,
    callback: &Callback,
    run: Detail,
) -> Result<u16, String> {
    let (id, account) = (callback.run.to_string(), run.account);
    let ended_at = Timestamp::from_microsecond(run.summary.ended_at.unwrap_or_default());
    let message = Message {
        kind: format!("run.{}", run.summary.state.name()),
        timestamp: ended_at.unwrap_or_default().to_string(),
        data: Whole::of(run),
    };
    let body = serde_json::to_string(&message).map_err(|error| error.to_string())?;
    let timestamp = (now() / 1_000_000).to_string();
    let signature = app
        .keys
        .signature(account, &format!("{id}.{timestamp}.{body}"));
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("webhook-id", id),
        ("webhook-timestamp", timestamp),
        ("webhook-signature", signature),
    ];
    let request = Request {
        method: "POST".to_owned(),
        url: callback.url.clone(),
        headers: headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        body: body.into_bytes(),
        redirect: Redirect::Manual,
    };
    let answer = client.fetch(request, LIMITS).await;
    answer
        .map(|answer| answer.status)
        .map_err(|error| error.to_string())
}

/// A length of time in microseconds, give or take a tenth.
fn spread(seconds: u32) -> i64 {
    let tenth = i64::from(seconds) * 100_000;
    let part = getrandom::u32().unwrap_or(u32::MAX / 2);
    let part = i64::from(part) * 2 * tenth / i64::from(u32::MAX);
    i64::from(seconds) * 1_000_000 - tenth + part
}
