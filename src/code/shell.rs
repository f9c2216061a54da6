//! Shell: what a script is given, how it runs, and what comes out of it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use engine::host::Code;
use engine::json;
use engine::run::Failure;
use engine::value::{Record, Value};
use rustix::process::{Resource, Rlimit, setrlimit};
use sandbox::launch::Entrance;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::exchange;
use super::limits::{Limits, Told};

/// What the worker is called.
pub const SHELL: &str = "shell";
/// Values as long as this, in bytes, are given in files.
const LONG: usize = 32 << 10;
/// The most that all values in the environment come to, in bytes.
const MOST: usize = 1 << 20;
/// Where a script writes its outputs.
const OUTPUTS: &str = "/dev/fd/3";

/// What the process of a step is told.
#[derive(Serialize, Deserialize)]
struct Request {
    script: String,
    file: String,
    environment: Vec<(String, String)>,
    files: Vec<(String, String)>,
    limits: Told,
}

/// What the process of a step is told, and what is to be noted in the log about it.
///
/// # Errors
/// The failure of a variable that cannot be given.
pub fn request(
    code: &Code<'_>,
    limits: &Limits,
    environment: &[(String, String)],
) -> Result<(Vec<u8>, Vec<String>), Failure> {
    let mut given = Given::default();
    for (name, value) in code.inputs.iter() {
        given.give(name, text(value))?;
    }
    given.environment.extend(environment.iter().cloned());
    let file = Path::new(code.file).file_name().unwrap_or_default();
    let request = Request {
        // The code stands on the lines that it has in the program's file.
        script: "\n".repeat(code.line.saturating_sub(1)) + code.text,
        file: file.to_string_lossy().into_owned(),
        environment: given.environment,
        files: given.files,
        limits: limits.told(),
    };
    let request = serde_json::to_vec(&request).unwrap_or_default();
    Ok((request, given.notes))
}

#[derive(Default)]
struct Given {
    environment: Vec<(String, String)>,
    files: Vec<(String, String)>,
    notes: Vec<String>,
    bytes: usize,
    /// Which variable each environment variable is for.
    names: BTreeMap<String, String>,
}

impl Given {
    fn give(&mut self, name: &str, text: String) -> Result<(), Failure> {
        let variable = variable(name);
        self.claim(variable.clone(), name)?;
        if text.contains('\0') {
            let message =
                format!("the variable `{name}` holds a NUL, which no environment variable can");
            return Err(Failure::new(message));
        }
        if text.len() < LONG && self.bytes + text.len() < MOST {
            self.bytes += text.len();
            self.environment.push((variable, text));
            return Ok(());
        }
        let file = format!("{variable}_FILE");
        self.notes.push(format!(
            "the variable `{name}` has {} bytes, and is given as a file: `${file}`",
            text.len()
        ));
        self.files.push((variable, text));
        self.claim(file, name)
    }

    fn claim(&mut self, variable: String, name: &str) -> Result<(), Failure> {
        let message = |other: &str| {
            format!("the variables `{other}` and `{name}` are both `${variable}` in a shell")
        };
        match self.names.get(&variable) {
            Some(other) => Err(Failure::new(message(other))),
            None => {
                self.names.insert(variable, name.to_owned());
                Ok(())
            }
        }
    }
}

/// The environment variable for a variable.
fn variable(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    format!("VAR_{name}")
}

/// A value as a script sees it: text as it is, nothing as an empty text, everything else as JSON.
fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.to_string(),
        Value::Nothing => String::new(),
        Value::Date(date) => date.to_string(),
        other => other.to_json(),
    }
}

/// Runs a script: reads what it is told, and becomes the shell.
pub fn work(entrance: Entrance<'_>) {
    let (channel, outputs) = entrance.enter();
    let mut channel = UnixStream::from(channel);
    let Some(request) = exchange::asked(&mut channel) else {
        return;
    };
    let error = become_shell(channel.into(), outputs, request);
    eprintln!("the shell cannot be started: {error}");
    std::process::exit(125)
}

fn become_shell(mut channel: OwnedFd, outputs: Option<OwnedFd>, request: Request) -> io::Error {
    let prepared = prepare(&request).and_then(|(script, environment)| {
        // The channel has the number that scripts know.
        if let Some(outputs) = outputs {
            rustix::io::dup2(&outputs, &mut channel)?;
        }
        rustix::io::fcntl_setfd(&channel, rustix::io::FdFlags::empty())?;
        limit(&request.limits)?;
        Ok((script, environment))
    });
    match prepared {
        Ok((script, environment)) => Command::new("/bin/sh")
            .arg("-eu")
            .arg(script)
            .env_clear()
            .envs(environment)
            .exec(),
        Err(error) => error,
    }
}

/// The folder for what is temporary, of a process that works in `home`.
fn temporary(home: &Path) -> PathBuf {
    match home == Path::new("/job") {
        true => PathBuf::from("/tmp"),
        false => home.with_file_name("tmp"),
    }
}

/// The folder that the script of a process is in which works in `home`, with the slash behind it.
pub fn script_folder(home: &Path) -> String {
    format!("{}/", temporary(home).display())
}

/// Writes the files that the script is given, and gives its own and its environment.
fn prepare(request: &Request) -> io::Result<(PathBuf, Vec<(String, String)>)> {
    let home = std::env::current_dir()?;
    let temporary = temporary(&home);
    let shown = |path: &Path| path.to_string_lossy().into_owned();
    let script = temporary.join(&request.file);
    fs::write(&script, &request.script)?;
    let mut environment: Vec<(String, String)> = sandbox::launch::environment()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    environment.extend([
        ("HOME".to_owned(), shown(&home)),
        ("TMPDIR".to_owned(), shown(&temporary)),
        ("OUTPUTS".to_owned(), OUTPUTS.to_owned()),
    ]);
    environment.extend(request.environment.iter().cloned());
    for (variable, text) in &request.files {
        let path = temporary.join(variable);
        fs::write(&path, text)?;
        environment.push((format!("{variable}_FILE"), shown(&path)));
    }
    Ok((script, environment))
}

fn limit(limits: &Told) -> io::Result<()> {
    let cpu = limits.cpu;
    for (resource, soft, hard) in [
        (Resource::Data, limits.memory, limits.memory),
        (Resource::Cpu, cpu, cpu + 1),
        (Resource::Nproc, limits.processes, limits.processes),
        (Resource::Fsize, limits.disk, limits.disk),
    ] {
        let limit = Rlimit {
            current: Some(soft),
            maximum: Some(hard),
        };
        setrlimit(resource, limit)?;
    }
    Ok(())
}

/// Reads what a script wrote as its outputs: JSON objects, or lines `name=value`, where a value of several
/// lines stands between `name<<END` and a line `END`.
///
/// # Errors
/// The failure of what cannot be read so.
pub fn outputs(bytes: &[u8]) -> Result<Record, Failure> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Failure::new("the outputs of the script are no UTF-8 text"))?;
    if text.trim_start().starts_with('{') {
        return objects(text);
    }
    let mut outputs: Vec<(Arc<str>, Value)> = Vec::new();
    let mut lines = text.split('\n').zip(1..);
    while let Some((line, number)) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let (name, value) = match line.split_once("<<") {
            Some((name, end)) if !name.contains('=') => (
                name,
                between(&mut lines, end).ok_or_else(|| {
                    let message = format!("the output `{name}` has no end: no line is `{end}`");
                    Failure::new(message)
                })?,
            ),
            _ => {
                let (name, value) = line.split_once('=').unwrap_or(("", ""));
                (name, value.to_owned())
            }
        };
        if name.is_empty() {
            let message = format!(
                "line {number} of the outputs is no `name=value`: {}",
                line.chars().take(60).collect::<String>()
            );
            return Err(Failure::new(message));
        }
        outputs.push((name.into(), Value::text(value)));
    }
    Ok(outputs.into_iter().collect())
}

fn between<'t>(lines: &mut impl Iterator<Item = (&'t str, i32)>, end: &str) -> Option<String> {
    let mut value: Vec<&str> = Vec::new();
    for (line, _) in lines {
        if line == end {
            return Some(value.join("\n"));
        }
        value.push(line);
    }
    None
}

/// JSON objects, one after the other.
fn objects(text: &str) -> Result<Record, Failure> {
    let failed =
        |why: String| Failure::new(format!("the outputs of the script cannot be kept: {why}"));
    let mut outputs: Vec<(Arc<str>, Value)> = Vec::new();
    let mut objects = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let mut from = 0;
    while let Some(object) = objects.next() {
        object.map_err(|error| failed(error.to_string()))?;
        let record = json::record(&text[from..objects.byte_offset()]).map_err(failed)?;
        outputs.extend(
            record
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        from = objects.byte_offset();
    }
    Ok(outputs.into_iter().collect())
}

/// How the last words of a script end that met a limit, and the limit.
const LAST_WORDS: [(&str, &str); 10] = [
    ("CPU time limit exceeded", "cpu"),
    ("Cannot allocate memory", "memory"),
    ("Out of space", "memory"),
    ("memory exhausted", "memory"),
    ("Cannot fork", "processes"),
    ("fork: Resource temporarily unavailable", "processes"),
    ("File size limit exceeded", "disk"),
    ("File too large", "disk"),
    ("No space left on device", "disk"),
    // What `dash` says of all of them.
    (": I/O error", "disk"),
];

/// The failure of a script that ended with a status that is not 0: a limit, or the last that it said, and the
/// line of the program's file that the shell blames.
pub fn failed(status: i32, said: &str, limits: &Limits) -> Failure {
    let said = said.trim();
    let limit = LAST_WORDS.iter().find(|(words, _)| said.ends_with(words));
    if let Some((_, limit)) = limit {
        return limits.met(limit);
    }
    let message = match said {
        "" => format!("the script ended with exit status {status}"),
        said => format!("the script ended with exit status {status}: {said}"),
    };
    let mut parts = said.split(':').skip(1).map(str::trim);
    let line = parts
        .next()
        .map(|part| part.strip_prefix("line ").unwrap_or(part));
    Failure {
        line: line.and_then(|line| line.parse().ok()),
        ..Failure::new(message)
    }
}
