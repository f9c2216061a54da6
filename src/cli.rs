//! The command line: one subcommand, one file.

mod backup;
mod check;
mod completions;
mod data;
mod doctor;
mod key;
mod logs;
mod new;
mod output;
mod restore;
mod run;
mod runs;
mod schedules;
mod serve;
mod steps;
mod test;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use self::output::note;
use crate::store::sqlite::Sqlite;
use crate::store::{RECORD, Store};
use crate::{Error, config};

/// Runs stored programs when somebody calls them
///
/// A program is a YAML file: functions made of steps. `waystation serve` runs the programs of a folder
/// when `POST /api` asks for it, and keeps a record of every run.
#[derive(Parser)]
#[command(name = "waystation", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 all is well; 1 a program has problems, a run or a test failed; \
2 the command was not understood; 3 the command could not do its work.";

#[derive(Subcommand)]
enum Command {
    Serve(Box<serve::Serve>),
    Run(Box<run::Run>),
    Check(check::Check),
    Test(test::Test),
    New(new::New),
    Steps(steps::Steps),
    Runs(runs::Runs),
    Logs(logs::Logs),
    Schedules(schedules::Schedules),
    Backup(backup::Backup),
    Restore(restore::Restore),
    Key(key::Key),
    Doctor(Box<doctor::Doctor>),
    Completions(completions::Completions),
}

/// Where the record is.
#[derive(Args)]
pub struct Data {
    /// The folder that keeps the record of runs and the keys
    #[arg(
        long,
        env = "WAYSTATION_DATA",
        default_value = "waystation-data",
        value_name = "DIR"
    )]
    data: PathBuf,
}

/// How a command ended.
pub type Done = Result<ExitCode, Error>;

/// All is well.
pub const WELL: ExitCode = ExitCode::SUCCESS;

/// A program has problems, or a run or test failed.
fn failed() -> ExitCode {
    ExitCode::from(1)
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let cli = match parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let done = match cli.command {
        Command::Serve(command) => command.run(),
        Command::Run(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Test(command) => command.run(),
        Command::New(command) => command.run(),
        Command::Steps(command) => command.run(),
        Command::Runs(command) => command.run(),
        Command::Logs(command) => command.run(),
        Command::Schedules(command) => command.run(),
        Command::Backup(command) => command.run(),
        Command::Restore(command) => command.run(),
        Command::Key(command) => command.run(),
        Command::Doctor(command) => command.run(),
        Command::Completions(command) => command.run(),
    };
    done.unwrap_or_else(|error| {
        note(format_args!("error: {error}"));
        ExitCode::from(3)
    })
}

/// The command line as `clap` knows it. `run` and `doctor` take every setting, as they take the environment
/// of a server, and show those that concern them.
pub fn command() -> clap::Command {
    let only = |concerns: fn(&str) -> bool| {
        move |command: clap::Command| {
            command.mut_args(move |arg| match concerns(arg.get_id().as_str()) {
                true => arg,
                false => arg.hide(true),
            })
        }
    };
    Cli::command()
        .mut_subcommand("run", only(run::concerns))
        .mut_subcommand("doctor", only(doctor::concerns))
}

/// Reads the arguments; a settings file, if one is named, gives the defaults.
fn parse() -> Result<Cli, ExitCode> {
    let mut command = command();
    let first = command.clone().ignore_errors(true).get_matches();
    let file = first
        .subcommand_matches("serve")
        .and_then(|serve| serve.get_one::<PathBuf>("config"));
    if let Some(file) = file {
        let mut wrong = None;
        command = command.mut_subcommand("serve", |serve| {
            config::with_file(serve.clone(), file).unwrap_or_else(|message| {
                wrong = Some(message);
                serve
            })
        });
        if let Some(message) = wrong {
            note(format_args!("error: {message}"));
            return Err(ExitCode::from(2));
        }
    }
    let matches = command.try_get_matches();
    matches
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|error| {
            let _ = error.print();
            ExitCode::from(if error.use_stderr() { 2 } else { 0 })
        })
}

/// A runtime for a command that is no server.
fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(2)
        .thread_stack_size(STACK)
        .build()
        .map_err(|error| Error::new(format!("no threads: {error}")))
}

/// How much stack a thread that runs programs has. Steps inside steps inside calls nest on it; only
/// what is used takes memory.
pub const STACK: usize = 16 << 20;

/// The record in a data folder that a server may be using at the same time.
fn record(data: &Path) -> Result<Arc<dyn Store>, Error> {
    let path = data.join(RECORD);
    if !path.exists() {
        let message = format!(
            "there is no record in {}; `waystation serve` makes one",
            data.display()
        );
        return Err(Error::new(message));
    }
    Ok(Arc::new(Sqlite::read_only(&path)?))
}

/// The program files that are meant: files as they are, folders searched.
fn program_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for path in paths {
        let failed = |error: std::io::Error| Error::new(format!("{}: {error}", path.display()));
        match std::fs::metadata(path).map_err(failed)?.is_dir() {
            true => {
                let folders = crate::programs::folders(path).map_err(failed)?;
                files.extend(crate::programs::files(&folders).map_err(failed)?);
            }
            false => files.push(path.clone()),
        }
    }
    Ok(files)
}

/// A program's text.
fn read(path: &Path) -> Result<engine::problem::Source, Error> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::new(format!("{}: {error}", path.display())))?;
    let name = path
        .strip_prefix("./")
        .unwrap_or(path)
        .display()
        .to_string();
    Ok(engine::problem::Source {
        name: name.into(),
        text: text.into(),
    })
}

/// `1 program`, `2 programs`.
fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}
