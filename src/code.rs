//! Runs code of other languages, each run in a process of its own.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use engine::host::{Code, Logger, Stream};
use engine::json;
use engine::run::{Failure, Reason};
use engine::value::Record;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;

use crate::recorder::MAX_LINE;

const PYTHON: &str = include_str!("code/python.py");

/// The most that code may write to its standard output and standard error, in bytes.
pub const MAX_OUTPUT: usize = 64 << 20;
/// The most that all outputs of a code step may come to as JSON, in bytes.
pub const MAX_ANSWER: usize = 64 << 20;
/// How long what a process wrote is waited for after its end: a process that left its group may hold the
/// pipe open.
const LINGER: Duration = Duration::from_millis(200);

#[derive(Serialize)]
struct Request<'a> {
    code: &'a str,
    file: &'a str,
    line: usize,
    inputs: &'a Record,
    /// The folder of the packages that it imports.
    site: Option<&'a Path>,
}

#[derive(Deserialize)]
struct Raised {
    message: String,
    line: Option<usize>,
    traceback: Option<String>,
}

/// The Python that code runs in.
pub struct Python {
    named: PathBuf,
    found: OnceCell<PathBuf>,
}

impl Python {
    /// The interpreter `named`, a path or a name that is looked up when code first runs.
    pub fn new(named: PathBuf) -> Python {
        Python {
            named,
            found: OnceCell::new(),
        }
    }

    /// The interpreter itself: a version manager's script in its place would run for every step.
    pub async fn path(&self) -> &Path {
        let ask = async {
            let mut command = Command::new(&self.named);
            command
                .args(["-I", "-c", "import sys; print(sys.executable, end='')"])
                .stdin(Stdio::null());
            let path = command
                .output()
                .await
                .ok()
                .filter(|output| output.status.success());
            let path = path.and_then(|output| String::from_utf8(output.stdout).ok());
            path.filter(|path| !path.is_empty())
                .map_or_else(|| self.named.clone(), PathBuf::from)
        };
        self.found.get_or_init(|| ask).await
    }
}

/// Runs Python code and gives its outputs. `site` is the folder of the packages that it imports.
///
/// Dropping the future kills the process and all of its group.
///
/// # Errors
/// The failure of the code: an exception, an output that cannot be kept, a limit, the end of the process.
pub async fn python(
    python: &Python,
    code: Code<'_>,
    site: Option<&Path>,
    logger: Logger<'_>,
) -> Result<Record, Failure> {
    let folder = tempfile::Builder::new()
        .prefix("waystation-")
        .tempdir()
        .map_err(|error| {
            Failure::new(format!(
                "there is no folder for the code to run in: {error}"
            ))
        })?;
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(no_process)?;
    ours.set_nonblocking(true).map_err(no_process)?;
    let channel = UnixStream::from_std(ours).map_err(no_process)?;
    let mut command = Command::new(python.path().await);
    command.args(["-I", "-c", PYTHON]).env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
        .env("LANG", "C.UTF-8")
        .env("HOME", folder.path())
        .env("TMPDIR", folder.path());
    command.current_dir(folder.path()).process_group(0);
    command
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().map_err(|error| {
        let python = python.named.display();
        Failure::new(format!(
            "Python cannot be started: `{python}`: {error}; the setting `python` names it"
        ))
    });
    drop(command);
    let request = Request {
        code: code.text,
        file: code.file,
        line: code.line,
        inputs: &code.inputs,
        site,
    };
    Group::new(child?).run(channel, &request, logger).await
}

fn no_process(error: std::io::Error) -> Failure {
    Failure::new(format!("no process can be started: {error}"))
}

/// A process and all it started in its group; dropping it kills them.
struct Group {
    child: Child,
    id: Option<Pid>,
}

/// How a process answered.
enum Answer {
    Outputs(Record),
    Raised(Raised),
    /// It ended without an answer.
    Nothing,
}

impl Group {
    fn new(child: Child) -> Group {
        let id = child.id().and_then(|id| Pid::from_raw(id as i32));
        Group { child, id }
    }

    async fn run(
        mut self,
        channel: UnixStream,
        request: &Request<'_>,
        logger: Logger<'_>,
    ) -> Result<Record, Failure> {
        let out = self.child.stdout.take().map(BufReader::new);
        let error = self.child.stderr.take().map(BufReader::new);
        let mut prints = std::pin::pin!(async {
            tokio::try_join!(
                lines(out, Stream::Out, logger),
                lines(error, Stream::Error, logger)
            )
        });
        let mut answer = std::pin::pin!(exchange(channel, request));
        let mut printed = false;
        let answer = loop {
            tokio::select! {
                ended = &mut prints, if !printed => { ended?; printed = true; }
                answer = &mut answer => break answer?,
            }
        };
        let status = match answer {
            // The code may have ended by itself; how, is asked before the group is killed.
            Answer::Nothing => tokio::time::timeout(LINGER, self.child.wait())
                .await
                .ok()
                .and_then(Result::ok),
            _ => None,
        };
        self.kill();
        if !printed && let Ok(ended) = tokio::time::timeout(LINGER, prints).await {
            ended?;
        }
        let _ = self.child.wait().await;
        match answer {
            Answer::Outputs(outputs) => Ok(outputs),
            Answer::Raised(raised) => Err(Failure {
                line: raised.line,
                traceback: raised.traceback,
                ..Failure::new(raised.message)
            }),
            Answer::Nothing => Err(Failure::new(ending(status))),
        }
    }

    fn kill(&self) {
        if let Some(id) = self.id {
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends the request and waits for the answer.
async fn exchange(mut channel: UnixStream, request: &Request<'_>) -> Result<Answer, Failure> {
    let request = serde_json::to_vec(&request).unwrap_or_default();
    // A process that ends early is told by the answer that never comes.
    let _ = channel
        .write_all(&(request.len() as u32).to_be_bytes())
        .await;
    let _ = channel.write_all(&request).await;
    let Ok(length) = channel.read_u32().await else {
        return Ok(Answer::Nothing);
    };
    if length as usize > MAX_ANSWER {
        let message = format!(
            "the outputs are larger than {} MiB together",
            MAX_ANSWER >> 20
        );
        return Err(Failure::new(message).because(Reason::Limit));
    }
    let mut answer = vec![0; length as usize];
    if channel.read_exact(&mut answer).await.is_err() {
        return Ok(Answer::Nothing);
    }
    let text = answer
        .get(1..)
        .and_then(|text| std::str::from_utf8(text).ok())
        .unwrap_or_default();
    match answer.first() {
        Some(b'o') => json::record(text)
            .map(Answer::Outputs)
            .map_err(|why| Failure::new(format!("an output cannot be kept: {why}"))),
        Some(b'e') => Ok(serde_json::from_str(text).map_or(Answer::Nothing, Answer::Raised)),
        _ => Ok(Answer::Nothing),
    }
}

/// How a process ended that gave no answer.
fn ending(status: Option<ExitStatus>) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status.map(|status| (status.code(), status.signal())) {
        Some((Some(code), _)) => {
            format!("the process of the code ended by itself, with exit status {code}")
        }
        Some((_, Some(signal))) => format!("the process of the code was killed by signal {signal}"),
        _ => "the process of the code closed its channel to the server".to_owned(),
    }
}

/// Writes what comes to the log, line by line, each cut where it is longer than the log keeps.
async fn lines(
    reader: Option<BufReader<impl AsyncRead + Unpin>>,
    stream: Stream,
    logger: Logger<'_>,
) -> Result<(), Failure> {
    let Some(mut reader) = reader else {
        return Ok(());
    };
    let mut read = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = line_of(&mut reader, &mut line).await;
        if length == 0 {
            return Ok(());
        }
        read += length;
        if read > MAX_OUTPUT {
            let message = format!("the code wrote more than {} MiB", MAX_OUTPUT >> 20);
            return Err(Failure::new(message).because(Reason::Limit));
        }
        logger.log(stream, &String::from_utf8_lossy(&line));
    }
}

/// Reads a line, and gives how long it was; no more of it is kept than the log takes.
async fn line_of(reader: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> usize {
    let mut length = 0;
    while let Ok(bytes) = reader.fill_buf().await {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(bytes.len(), |end| end + 1);
        if taken == 0 {
            break;
        }
        let room = (MAX_LINE + 1).saturating_sub(line.len());
        line.extend_from_slice(&bytes[..end.unwrap_or(taken).min(room)]);
        reader.consume(taken);
        length += taken;
        if end.is_some() || length > MAX_OUTPUT {
            break;
        }
    }
    length
}
