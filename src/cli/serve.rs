//! `waystation serve`: the server.

mod systemd;

use std::fmt::Write;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use sandbox::isolation::Isolation;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tracing_subscriber::EnvFilter;

use super::data::own;
use super::output::{self, note};
use super::{Done, STACK, WELL};
use crate::app::App;
use crate::config::{Config, Size};
use crate::keys::{self, Files, Keys};
use crate::programs::{OWNER, Report, Served};
use crate::store::sqlite::{Options, Sqlite};
use crate::store::{RECORD, Store, Swept};
use crate::traces::Traces;
use crate::watch::Watched;
use crate::{Error, callbacks, http, programs, retention, runs, schedule, worker};

/// Serve the programs of a folder
///
/// Every `*.yaml` in the folder is a program. The folder is watched: a good edit is live within a second,
/// a bad one prints its problems and the version before it goes on being served.
#[derive(Args)]
pub struct Serve {
    /// The folder of programs
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// A TOML file of settings, named as the flags are; flags and environment variables go before it
    #[arg(long, env = "WAYSTATION_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Config,
}

impl Serve {
    pub(super) fn run(self) -> Done {
        tracing_subscriber::fmt()
            // The watcher would tell of every line that is written to a log in the folder it watches.
            .with_env_filter(EnvFilter::new(format!(
                "{},notify=error",
                self.settings.log
            )))
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .init();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .thread_stack_size(STACK)
            .build();
        let runtime = runtime.map_err(|error| Error::new(format!("no threads: {error}")))?;
        let done = runtime.block_on(serve(&self.dir, self.settings));
        runtime.shutdown_background();
        done
    }
}

async fn serve(dir: &Path, config: Config) -> Done {
    let mut stop = Stop::new()?;
    let folders = programs::folders(dir)
        .map_err(|error| Error::new(format!("{}: {error}", dir.display())))?;
    let files = Files::of(&config.data);
    let lock = own(&config.data)?;
    let listener = TcpListener::bind(&config.listen)
        .await
        .map_err(|error| Error::new(format!("cannot listen on {}: {error}", config.listen)))?;
    let max_bytes = match config.max_data {
        Size::Bytes(bytes) => Some(bytes),
        Size::Unlimited => None,
    };
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(
        &config.data.join(RECORD),
        Options { max_bytes },
    )?);
    files.prepare()?;
    let keys = Keys::open(&files)?;
    let new_key = key(&config, &files, &keys, &*store).await?;
    let mut app = App::new(config, store, keys);
    if let Some(collector) = &app.config.otlp {
        app.traces = Traces::to(collector, app.egress.clone())?;
    }
    let app = Arc::new(app);
    let left = worker::recover(&app).await?;
    if left != Swept::default() {
        tracing::warn!(
            "of the runs at work when the server last stopped, {} can go on and {} ended",
            left.again,
            left.ended.len()
        );
    }
    let (folder, key_folder) = (Watched::new()?, Watched::new()?);
    key_folder.follow([files.folder().to_owned()])?;
    folder.follow(folders)?;
    let report = app.programs.load(dir, &*app.store).await?;
    let address = listener
        .local_addr()
        .map_err(|error| Error::new(error.to_string()))?;
    app.egress.own(address);
    output::text(greeting(&app, dir, address, new_key.as_deref()))?;
    tell(&report, true);
    let coded = |served: &&Arc<Served>| {
        ["python", "javascript", "shell"]
            .iter()
            .any(|kind| served.plan.uses(kind))
    };
    if report.changed.iter().any(|served| coded(&served)) {
        tokio::spawn(isolated(app.clone()));
    }
    prepare(&app, &report);
    let working = tokio::spawn(worker::work(app.clone()));
    tokio::spawn(schedule::keep(app.clone()));
    tokio::spawn(retention::keep(app.clone()));
    tokio::spawn(callbacks::keep(app.clone()));
    let reloading = tokio::spawn(reload(
        app.clone(),
        dir.to_owned(),
        folder,
        key_folder,
        files,
    ));
    let stopping = Arc::new(Notify::new());
    let told = stopping.clone();
    let serving = tokio::spawn(http::listen::serve(
        listener,
        http::routes(app.clone()),
        http::limits(&app.config),
        async move { told.notified().await },
    ));
    systemd::ready();
    tokio::spawn(systemd::watched(app.clone()));
    stop.asked().await;
    systemd::stopping();
    tracing::info!(
        "stopping: no new runs, those at work have {:?}",
        app.config.drain
    );
    stopping.notify_one();
    tokio::select! {
        _ = async { tokio::join!(serving, runs::drain(&app, working)) } => {}
        () = stop.asked() => {
            tracing::warn!("stopped at once: the next start takes care of what was at work");
            return Ok(ExitCode::from(130));
        }
    }
    app.traces.close().await;
    reloading.abort();
    app.store.close().await?;
    drop(lock);
    Ok(WELL)
}

/// Settles which API key lets callers in, and gives it if it was made just now.
async fn key(
    config: &Config,
    files: &Files,
    keys: &Keys,
    store: &dyn Store,
) -> Result<Option<String>, Error> {
    let given = match std::env::var_os("WAYSTATION_API_KEY_FILE") {
        Some(path) => {
            let path = PathBuf::from(path);
            let text = std::fs::read_to_string(&path)
                .map_err(|error| Error::new(format!("{}: {error}", path.display())))?;
            Some(text.trim().to_owned())
        }
        None => config.api_key.clone(),
    };
    let kept = files.key()?;
    let (key, made) = match (given, kept.clone()) {
        (Some(given), _) => (given, false),
        (None, Some(kept)) => (kept, false),
        (None, None) => (keys::made()?, true),
    };
    keys.set(&key, OWNER, store).await?;
    if kept.as_ref() != Some(&key) {
        files.set_key(&key)?;
    }
    Ok(made.then_some(key))
}

/// Reads the folder and the key again whenever they change.
async fn reload(app: Arc<App>, dir: PathBuf, folder: Watched, keys: Watched, files: Files) {
    loop {
        tokio::select! {
            () = folder.changed() => {
                if let Err(error) = read_again(&app, &dir, &folder).await {
                    tracing::error!("the programs cannot be read: {error}");
                }
            }
            () = keys.changed() => match files.key() {
                // Writing a file makes several events.
                Ok(Some(key)) if app.keys.account(&key).is_some() => {}
                Ok(Some(key)) => match app.keys.set(&key, OWNER, &*app.store).await {
                    Ok(()) => tracing::info!("the API key was read again"),
                    Err(error) => tracing::error!("the new API key cannot be used: {error}"),
                },
                Ok(None) => {}
                Err(error) => tracing::error!("{error}"),
            },
        }
    }
}

/// Reads the folder of programs, and once more as long as there are folders in it that were not watched
/// while they were read.
async fn read_again(app: &Arc<App>, dir: &Path, folder: &Watched) -> Result<(), Error> {
    loop {
        let report = app.programs.load(dir, &*app.store).await?;
        app.reloaded.notify_one();
        tell(&report, false);
        prepare(app, &report);
        // The watcher answers on a thread of its own, and is waited for.
        if !tokio::task::block_in_place(|| folder.follow(report.folders))? {
            return Ok(());
        }
    }
}

/// Gets ready in the background what the code of new programs needs: its packages, and processes.
fn prepare(app: &Arc<App>, report: &Report) {
    for served in report.changed.iter().cloned() {
        let app = app.clone();
        tokio::spawn(async move {
            if let Err(why) = app.prepare(&served).await {
                let file = &served.plan.source.name;
                tracing::warn!("the code of {file} cannot run yet: {why}");
            }
        });
    }
}

/// Finds out how far code is kept apart, and says so; with emphasis where it is less than it was at the last start.
async fn isolated(app: Arc<App>) {
    let Ok(offer) = app.codes.offer().await else {
        return;
    };
    match offer.isolation {
        Isolation::Jail => tracing::info!("{}", offer.told()),
        _ => tracing::warn!("{}", offer.told()),
    }
    let kept = app.config.data.join("isolation");
    let before = std::fs::read_to_string(&kept).ok();
    let before = before.and_then(|name| name.trim().parse::<Isolation>().ok());
    if let Some(before) = before.filter(|before| *before > offer.isolation) {
        tracing::warn!(
            "at the last start code was kept apart as `{before}`, and now it is as `{}`",
            offer.isolation
        );
    }
    if let Err(error) = std::fs::write(&kept, offer.isolation.name()) {
        tracing::warn!("{}: {error}", kept.display());
    }
}

/// Says what reading the folder brought.
fn tell(report: &Report, first: bool) {
    for problems in &report.refused {
        note(problems);
    }
    if first {
        return;
    }
    for served in &report.changed {
        tracing::info!(
            "serving {} {} ({})",
            served.plan.id,
            served.plan.name,
            served.plan.source.name
        );
    }
    for id in &report.gone {
        tracing::info!("no longer serving {id}: its file is gone");
    }
}

fn greeting(app: &App, dir: &Path, address: SocketAddr, key: Option<&str>) -> String {
    let mut text = format!(
        "Waystation {} at http://{address}\n\n",
        env!("CARGO_PKG_VERSION")
    );
    let programs = app.programs.all();
    if programs.is_empty() {
        let _ = writeln!(
            text,
            "There is no program in {} yet; `waystation new NAME` makes one.",
            dir.display()
        );
    }
    let width = programs
        .iter()
        .map(|served| served.plan.id.to_string().len())
        .max()
        .unwrap_or(0);
    for served in &programs {
        let plan = &served.plan;
        let _ = writeln!(
            text,
            "  {:>width$}  {} ({})",
            plan.id, plan.name, plan.source.name
        );
    }
    let private = Files::of(&app.config.data).key_path().to_owned();
    let private = private.canonicalize().unwrap_or(private);
    if let Some(key) = key {
        let _ = writeln!(
            text,
            "\nAPI key: {key}\nIt is kept in {}; `waystation key` shows it.",
            private.display()
        );
    }
    let callable = programs
        .iter()
        .find(|served| served.plan.active().count() == 1);
    if let Some(served) = callable {
        let _ = writeln!(
            text,
            "\nTry it:\n  curl -X POST -H \"Authorization: Bearer $(cat '{}')\" 'http://{address}/api?program_id={}'",
            private.display(),
            served.plan.id
        );
    }
    text.push('\n');
    text
}

/// The signals that end a server.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> Result<Stop, Error> {
        let on = |kind| signal(kind).map_err(|error| Error::new(format!("no signals: {error}")));
        Ok(Stop {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
