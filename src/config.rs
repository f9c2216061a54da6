//! Every setting of the server: its name, its default and what it means, once.
//!
//! A setting is given as a flag, in the environment, in a file, or not at all, in this order. Help,
//! reference and reading all come from the declarations here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::error::ContextKind;
use clap::{Arg, Args, Command};
use engine::context::Limits;
use sandbox::isolation::{Isolation, Network};

use crate::egress::Rules;
use crate::store::Keep;
use crate::traces;

/// The settings of `waystation serve`.
#[derive(Clone, Debug, Args)]
pub struct Config {
    /// Where to listen: an address and a port; port 0 takes a free one
    #[arg(
        long,
        env = "WAYSTATION_LISTEN",
        default_value = "127.0.0.1:8080",
        value_name = "ADDRESS"
    )]
    pub listen: String,

    /// The folder that keeps the record of runs and the keys; made if it is not there
    #[arg(
        long,
        env = "WAYSTATION_DATA",
        default_value = "waystation-data",
        value_name = "DIR"
    )]
    pub data: PathBuf,

    /// How many runs may be at work at once; further calls wait
    #[arg(
        long,
        env = "WAYSTATION_MAX_RUNNING",
        default_value_t = 64,
        value_name = "COUNT"
    )]
    pub max_running: usize,

    /// How many calls may wait for a run to begin; further ones are answered 429
    #[arg(
        long,
        env = "WAYSTATION_MAX_WAITING",
        default_value_t = 1_000,
        value_name = "COUNT"
    )]
    pub max_waiting: usize,

    /// How many `run_async` runs may wait to begin; further ones are answered 503
    #[arg(
        long,
        env = "WAYSTATION_MAX_QUEUED",
        default_value_t = 1_000,
        value_name = "COUNT"
    )]
    pub max_queued: u64,

    /// How many calls of one account may wait for runs and their outcomes at once; further ones are answered 429. No limit by
    /// default
    #[arg(long, env = "WAYSTATION_ACCOUNT_CALLS", value_name = "COUNT")]
    pub account_calls: Option<usize>,

    /// How many unfinished runs of one account may be in the record; further calls are answered 429. No limit by default
    #[arg(long, env = "WAYSTATION_ACCOUNT_RUNS", value_name = "COUNT")]
    pub account_runs: Option<u32>,

    /// How long a call waits for its run; then it is answered 504 with the run's id, and the run goes on
    #[arg(long, env = "WAYSTATION_WAIT", default_value = "2m", value_parser = time, value_name = "TIME")]
    pub wait: Duration,

    /// How long a run may take
    #[arg(long, env = "WAYSTATION_RUN_TIME", default_value = "1h", value_parser = time, value_name = "TIME")]
    pub run_time: Duration,

    /// How many steps a run may take, those in loops counted each time
    #[arg(
        long,
        env = "WAYSTATION_MAX_STEPS",
        default_value_t = 10_000_000,
        value_name = "COUNT"
    )]
    pub max_steps: u64,

    /// How many passes the loops of a run may make together
    #[arg(
        long,
        env = "WAYSTATION_MAX_PASSES",
        default_value_t = 1_000_000,
        value_name = "COUNT"
    )]
    pub max_passes: u64,

    /// How deep functions may call each other
    #[arg(long, env = "WAYSTATION_MAX_CALLS", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=64), value_name = "COUNT")]
    pub max_calls: u32,

    /// How long running runs get to end when the server is told to stop
    #[arg(long, env = "WAYSTATION_DRAIN", default_value = "30s", value_parser = time, value_name = "TIME")]
    pub drain: Duration,

    /// How large the database may grow, such as `10GB`; calls are answered 507 when it is full
    #[arg(long, env = "WAYSTATION_MAX_DATA", default_value = "unlimited", value_parser = size, value_name = "SIZE")]
    pub max_data: Size,

    /// How much is kept of runs that have ended: how large the database gets, how long a run is kept, or both with a comma
    /// between them; or `everything`. The oldest go first
    #[arg(long, env = "WAYSTATION_KEEP", default_value = "10GB,30d", value_parser = keep, value_name = "SIZE,TIME")]
    pub keep: Keep,

    /// The collector that is told by OTLP over HTTP what requests, runs and their steps take, such as
    /// `http://127.0.0.1:4318`
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_parser = collector, value_name = "URL")]
    pub otlp: Option<String>,

    /// The Python interpreter that `python` steps run in
    #[arg(
        long,
        env = "WAYSTATION_PYTHON",
        default_value = "python3",
        value_name = "PATH"
    )]
    pub python: PathBuf,

    /// What installs the packages of `python` steps: uv, a path or a name to look for; pip does where it is
    /// not there
    #[arg(long, env = "WAYSTATION_UV", default_value = "uv", value_name = "PATH")]
    pub uv: PathBuf,

    /// The index that packages come from, as pip and uv know it
    #[arg(long, env = "WAYSTATION_PACKAGE_INDEX", default_value = "https://pypi.org/simple", value_parser = index, hide_env_values = true, value_name = "URL")]
    pub package_index: String,

    /// How long the code of a step may run, unless the step's `timeout` says otherwise
    #[arg(long, env = "WAYSTATION_CODE_TIME", default_value = "60s", value_parser = time, value_name = "TIME")]
    pub code_time: Duration,

    /// How far code of steps must be kept apart at least: `jail`, `confined`, `limited` or `none`. Where the
    /// machine offers less, code is refused
    #[arg(
        long,
        env = "WAYSTATION_SANDBOX_MINIMUM",
        default_value = "confined",
        value_name = "ISOLATION"
    )]
    pub sandbox_minimum: Isolation,

    /// How far code of steps is kept apart at most; by default as far as the machine offers
    #[arg(
        long,
        env = "WAYSTATION_SANDBOX",
        default_value = "jail",
        value_name = "ISOLATION"
    )]
    pub sandbox: Isolation,

    /// What of the network code can reach, unless its step's `network` says less: `none`, `proxy` or `host`
    #[arg(
        long,
        env = "WAYSTATION_CODE_NETWORK",
        default_value = "proxy",
        value_name = "NETWORK"
    )]
    pub code_network: Network,

    /// Time on the processors that the code of a step may use, all of its processes together
    #[arg(long, env = "WAYSTATION_CODE_CPU", default_value = "60s", value_parser = time, value_name = "TIME")]
    pub code_cpu: Duration,

    /// The most that a step's `limits` can set `cpu` to
    #[arg(long, env = "WAYSTATION_MAX_CODE_CPU", default_value = "10m", value_parser = time, value_name = "TIME")]
    pub max_code_cpu: Duration,

    /// Memory that the code of a step may use, all of its processes together
    #[arg(long, env = "WAYSTATION_CODE_MEMORY", default_value = "512MB", value_parser = size, value_name = "SIZE")]
    pub code_memory: Size,

    /// The most that a step's `limits` can set `memory` to
    #[arg(long, env = "WAYSTATION_MAX_CODE_MEMORY", default_value = "2GB", value_parser = size, value_name = "SIZE")]
    pub max_code_memory: Size,

    /// How many processes and threads the code of a step may have at once
    #[arg(
        long,
        env = "WAYSTATION_CODE_PROCESSES",
        default_value = "64",
        value_name = "COUNT"
    )]
    pub code_processes: u64,

    /// The most that a step's `limits` can set `processes` to
    #[arg(
        long,
        env = "WAYSTATION_MAX_CODE_PROCESSES",
        default_value = "256",
        value_name = "COUNT"
    )]
    pub max_code_processes: u64,

    /// What the files of the code of a step may come to
    #[arg(long, env = "WAYSTATION_CODE_DISK", default_value = "256MB", value_parser = size, value_name = "SIZE")]
    pub code_disk: Size,

    /// The most that a step's `limits` can set `disk` to
    #[arg(long, env = "WAYSTATION_MAX_CODE_DISK", default_value = "2GB", value_parser = size, value_name = "SIZE")]
    pub max_code_disk: Size,

    /// How much the code of a step may write to standard output and standard error
    #[arg(long, env = "WAYSTATION_CODE_OUTPUT", default_value = "64MB", value_parser = size, value_name = "SIZE")]
    pub code_output: Size,

    /// The most that a step's `limits` can set `output` to
    #[arg(long, env = "WAYSTATION_MAX_CODE_OUTPUT", default_value = "256MB", value_parser = size, value_name = "SIZE")]
    pub max_code_output: Size,

    /// What the outputs of the code of a step may come to, as JSON
    #[arg(long, env = "WAYSTATION_CODE_RESULT", default_value = "16MB", value_parser = size, value_name = "SIZE")]
    pub code_result: Size,

    /// The most that a step's `limits` can set `result` to
    #[arg(long, env = "WAYSTATION_MAX_CODE_RESULT", default_value = "64MB", value_parser = size, value_name = "SIZE")]
    pub max_code_result: Size,

    /// Addresses that programs may reach although they are not public, with commas between them: `10.0.0.5:5432`,
    /// `10.0.0.0/8`, `db.internal`; without a port, every port of them
    #[arg(long, env = "WAYSTATION_EGRESS_ALLOW", value_name = "HOSTS")]
    pub egress_allow: Option<Rules>,

    /// How many connections may be open at once
    #[arg(
        long,
        env = "WAYSTATION_MAX_CONNECTIONS",
        default_value_t = 2_048,
        value_name = "COUNT"
    )]
    pub max_connections: usize,

    /// How many connections one address may hold
    #[arg(
        long,
        env = "WAYSTATION_MAX_CONNECTIONS_PER_ADDRESS",
        default_value_t = 128,
        value_name = "COUNT"
    )]
    pub max_connections_per_address: usize,

    /// How long a connection may take to send the head of a request, or stay silent at its start
    #[arg(long, env = "WAYSTATION_HEAD_TIME", default_value = "10s", value_parser = time, value_name = "TIME")]
    pub head_time: Duration,

    /// How long a request's body may stand still
    #[arg(long, env = "WAYSTATION_BODY_TIME", default_value = "10s", value_parser = time, value_name = "TIME")]
    pub body_time: Duration,

    /// The largest body of a call, in bytes
    #[arg(long, env = "WAYSTATION_MAX_BODY", default_value = "2MB", value_parser = size, value_name = "SIZE")]
    pub max_body: Size,

    /// The API key to use, 43 characters of A-Z a-z 0-9 - _; made at the first start otherwise. Better in
    /// the environment, or in a file that WAYSTATION_API_KEY_FILE names
    #[arg(
        long,
        env = "WAYSTATION_API_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    pub api_key: Option<String>,

    /// What the server writes about itself
    #[arg(
        long,
        env = "WAYSTATION_LOG",
        default_value = "info",
        value_parser = ["error", "warn", "info", "debug", "trace"],
        value_name = "LEVEL"
    )]
    pub log: String,
}

impl Config {
    /// How much a run may do.
    pub fn limits(&self) -> Limits {
        Limits {
            time: self.run_time,
            steps: self.max_steps,
            passes: self.max_passes,
            calls: self.max_calls,
        }
    }
}

/// A number of bytes, or no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// So many bytes.
    Bytes(u64),
    /// As many as there is room for.
    Unlimited,
}

impl Size {
    /// The bytes, the largest number where there is no limit.
    pub fn bytes(self) -> u64 {
        match self {
            Size::Bytes(bytes) => bytes,
            Size::Unlimited => u64::MAX,
        }
    }
}

fn time(text: &str) -> Result<Duration, String> {
    engine::field::duration(text)
        .ok_or_else(|| "write a length of time, such as `30s`, `5m` or `1h`".to_owned())
}

fn size(text: &str) -> Result<Size, String> {
    if text == "unlimited" {
        return Ok(Size::Unlimited);
    }
    engine::field::size(text)
        .map(Size::Bytes)
        .ok_or_else(|| "write a size, such as `2MB` or `10GB`, or `unlimited`".to_owned())
}

/// The smallest size that the database can be kept to: an empty one takes some of it.
const SMALLEST: u64 = 1_000_000;

fn keep(text: &str) -> Result<Keep, String> {
    let mut keep = Keep::default();
    if text == "everything" {
        return Ok(keep);
    }
    for part in text.split(',').map(str::trim) {
        let unit = part.ends_with(|c: char| c.is_ascii_alphabetic());
        let size = engine::field::size(part).filter(|_| unit);
        let time = engine::field::duration(part).filter(|_| unit);
        match (size, time) {
            (Some(bytes), _) if keep.bytes.is_none() => keep.bytes = Some(bytes),
            (_, Some(time)) if keep.time.is_none() => {
                keep.time = Some(i64::try_from(time.as_micros()).unwrap_or(i64::MAX));
            }
            _ => {
                let wanted = "write a size, a time or both, such as `10GB,30d`, or `everything`";
                return Err(wanted.to_owned());
            }
        }
    }
    match keep.bytes {
        Some(bytes) if bytes < SMALLEST => Err("write a size of 1MB or more".to_owned()),
        _ => Ok(keep),
    }
}

/// Reads the address of a collector.
fn collector(text: &str) -> Result<String, String> {
    traces::address(text).map(|_| text.to_owned())
}

/// Reads the address of an index; what comes from it is code, so it must come over TLS, or from this machine.
fn index(text: &str) -> Result<String, String> {
    let here = ["http://127.0.0.1", "http://[::1]", "http://localhost"];
    let here = here.iter().filter_map(|start| text.strip_prefix(start));
    let here = here.into_iter().any(|rest| rest.starts_with([':', '/']));
    let plain = text.chars().all(|c| c.is_ascii_graphic());
    match plain && (here || text.starts_with("https://")) {
        true => Ok(text.to_owned()),
        false => Err("write an address that begins with `https://`".to_owned()),
    }
}

/// Makes the settings of a file the defaults of a command's flags.
///
/// # Errors
/// In words: the file cannot be read, is no TOML, or has a setting that is not known.
pub fn with_file(command: Command, file: &Path) -> Result<Command, String> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("{shown}: {error}"))?;
    let table: toml::Table = text.parse().map_err(|error| format!("{shown}: {error}"))?;
    let mut command = command;
    for (name, value) in table {
        let known: Vec<&str> = command.get_arguments().filter_map(setting).collect();
        let flag = name.replace('_', "-");
        if !known.contains(&&*flag) {
            let help = engine::problem::nearest(&flag, known)
                .map(|near| format!("; did you mean `{near}`?"))
                .unwrap_or_default();
            return Err(format!("{shown}: there is no setting `{name}`{help}"));
        }
        let value = match value {
            toml::Value::String(text) => text,
            other => other.to_string(),
        };
        fits(&command, &flag, &value).map_err(|why| format!("{shown}: `{name}`: {why}"))?;
        command = command.mut_arg(flag.replace('-', "_"), |arg| arg.default_value(value));
    }
    Ok(command)
}

/// What a flag is called in a settings file, if it is a setting.
fn setting(arg: &Arg) -> Option<&str> {
    arg.get_long().filter(|name| *name != "config")
}

/// Whether a flag takes a value.
fn fits(command: &Command, flag: &str, value: &str) -> Result<(), String> {
    let flag = format!("--{flag}={value}");
    let tried = command.clone().try_get_matches_from(["serve", &*flag]);
    // What another setting has from the environment is not judged here.
    let Some(error) = tried.err().filter(|error| blames(error, &flag)) else {
        return Ok(());
    };
    Err(match std::error::Error::source(&error) {
        Some(why) => why.to_string(),
        None => format!("it cannot be `{value}`"),
    })
}

fn blames(error: &clap::Error, flag: &str) -> bool {
    let name = flag.split('=').next().unwrap_or_default();
    let argument = error.get(ContextKind::InvalidArg).map(ToString::to_string);
    argument.is_some_and(|argument| argument.split(' ').next() == Some(name))
}
