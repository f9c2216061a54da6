//! What passes between the server and a process that runs code: the request, the answer, and what it writes.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use engine::host::{Logger, Stream};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

use crate::recorder::MAX_LINE;

/// What an answer may come to besides outputs, in bytes: the account of a failure.
const MAX_ACCOUNT: usize = 256 << 10;
/// What an answer may come to that is to be fetched, in bytes: 16 MiB as base64, and what goes with them.
pub const MAX_FETCH: usize = 22 << 20;
/// The most that is kept of a failure's message, in bytes, and of its traceback.
const MAX_MESSAGE: usize = 16 << 10;
const MAX_TRACEBACK: usize = 32 << 10;
/// How much is read of a pipe at a time.
const CHUNK: usize = 16 << 10;

/// A message from a process: its first byte says what it is.
pub enum Frame {
    /// The outputs, as a JSON object.
    Outputs(Vec<u8>),
    /// Why the code failed.
    Raised(Raised),
    /// Something to fetch, as JSON.
    Fetch(Vec<u8>),
    /// Outputs that come to more than they may.
    TooLong,
    /// What is no answer.
    Nonsense,
    /// The process has closed its end, or is gone.
    Nothing,
}

/// How code failed.
#[derive(Deserialize)]
pub struct Raised {
    /// What happened, and where in the code.
    pub message: String,
    /// The line of the program's file.
    pub line: Option<usize>,
    /// How the code came there.
    pub traceback: Option<String>,
    /// The limit that it met, if it did.
    pub limit: Option<String>,
}

/// Sends a message: its length, then its bytes.
///
/// # Errors
/// The system's, as when the process is gone.
pub async fn send(channel: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(4 + message.len());
    bytes.extend((message.len() as u32).to_be_bytes());
    bytes.extend(message);
    channel.write_all(&bytes).await
}

/// Reads, inside a process, what it is told.
pub fn asked<T: DeserializeOwned>(channel: &mut impl Read) -> Option<T> {
    let mut length = [0; 4];
    channel.read_exact(&mut length).ok()?;
    let mut request = vec![0; u32::from_be_bytes(length) as usize];
    channel.read_exact(&mut request).ok()?;
    serde_json::from_slice(&request).ok()
}

/// Answers from inside a process: a message with the byte that says what it is.
///
/// # Errors
/// The system's.
pub fn answer(channel: &mut impl Write, kind: u8, message: &[u8]) -> io::Result<()> {
    let length = (message.len() + 1) as u32;
    channel.write_all(&[&length.to_be_bytes()[..], &[kind], message].concat())
}

/// Receives a message, of which outputs may come to `most` bytes. Whatever wrote it may be hostile.
pub async fn receive(channel: &mut (impl AsyncRead + Unpin), most: usize) -> Frame {
    let Ok(length) = channel.read_u32().await else {
        return Frame::Nothing;
    };
    let (Some(length), Ok(kind)) = ((length as usize).checked_sub(1), channel.read_u8().await)
    else {
        return Frame::Nonsense;
    };
    match kind {
        b'o' if length > most => return Frame::TooLong,
        b'o' => {}
        b'f' if length <= MAX_FETCH => {}
        _ if length > MAX_ACCOUNT => return Frame::Nonsense,
        _ => {}
    }
    // Room is made as bytes come: a length alone costs nothing.
    let mut message = Vec::new();
    let mut body = (&mut *channel).take(length as u64);
    if body.read_to_end(&mut message).await.is_err() || message.len() < length {
        return Frame::Nothing;
    }
    match kind {
        b'o' => Frame::Outputs(message),
        b'e' => serde_json::from_slice(&message).map_or(Frame::Nonsense, |raised: Raised| {
            Frame::Raised(raised.cut())
        }),
        b'f' => Frame::Fetch(message),
        _ => Frame::Nonsense,
    }
}

impl Raised {
    /// The same, no longer than is kept.
    fn cut(mut self) -> Raised {
        let end = self.message.floor_char_boundary(MAX_MESSAGE);
        self.message.truncate(end);
        self.traceback = self.traceback.map(|text| {
            let from = text.ceil_char_boundary(text.len().saturating_sub(MAX_TRACEBACK));
            text[from..].to_owned()
        });
        self
    }
}

/// How much of a step's output is kept from its beginning, and as much from its end, in bytes.
pub const KEPT: usize = 256 << 10;

/// What a process writes, on its way to the log, line by line.
pub struct Output<'p> {
    out: Lines<'p>,
    error: Lines<'p>,
    kept: Kept<'p>,
    /// How many bytes may still come.
    left: usize,
}

/// Reads what is there. The system is asked first: the runtime learns of what was written only a little later.
/// Where there is nothing the runtime is asked as well, so that it waits for more.
fn read_now(pipe: &pipe::Receiver, chunk: &mut [u8]) -> io::Result<usize> {
    match rustix::io::read(pipe, &mut *chunk) {
        Err(rustix::io::Errno::AGAIN) => pipe.try_read(chunk),
        other => Ok(other?),
    }
}

/// Lines of one pipe.
struct Lines<'p> {
    pipe: Option<&'p pipe::Receiver>,
    stream: Stream,
    /// A line that has begun, cut where the log keeps no more of it.
    begun: Vec<u8>,
    open: bool,
}

/// The beginning goes to the log as it comes. The end is held back until it is known to be the end.
struct Kept<'p> {
    logger: Logger<'p>,
    /// What is left out of every line.
    hidden: Option<String>,
    /// How much more goes to the log; nothing once a line had no room.
    room: usize,
    end: End,
    /// The last line of the standard error.
    said: String,
}

/// The last that came, as it came.
#[derive(Default)]
struct End {
    chunks: VecDeque<(Stream, Vec<u8>)>,
    held: usize,
    left_out: usize,
    /// Whether what is left out ends within a line.
    open: bool,
}

impl<'p> Output<'p> {
    /// What comes out of these pipes, up to `limit` bytes together.
    pub fn new(
        (out, error): &'p (pipe::Receiver, pipe::Receiver),
        limit: usize,
        logger: Logger<'p>,
    ) -> Output<'p> {
        let lines = |pipe, stream| Lines {
            pipe: Some(pipe),
            stream,
            begun: Vec::new(),
            open: false,
        };
        Output {
            out: lines(out, Stream::Out),
            error: lines(error, Stream::Error),
            kept: Kept {
                logger,
                hidden: None,
                room: KEPT,
                end: End::default(),
                said: String::new(),
            },
            left: limit,
        }
    }

    /// The same, with the folder of a script left out of every line: programs name it by its path.
    pub fn without(mut self, folder: String) -> Output<'p> {
        self.kept.hidden = Some(folder);
        self
    }

    /// Reads until both pipes are closed.
    ///
    /// # Errors
    /// That it is more than the limit.
    pub async fn read(&mut self) -> Result<(), ()> {
        loop {
            tokio::select! {
                biased;
                true = self.out.readable() => {}
                true = self.error.readable() => {}
                else => return Ok(()),
            }
            // No more than a chunk at a time: who writes without end is not all that there is to do.
            for lines in [&mut self.out, &mut self.error] {
                lines.some(&mut self.kept, &mut self.left);
            }
            self.within()?;
        }
    }

    /// Reads what is there, without waiting for more.
    ///
    /// # Errors
    /// That it is more than the limit.
    pub fn rest(&mut self) -> Result<(), ()> {
        for lines in [&mut self.out, &mut self.error] {
            while lines.some(&mut self.kept, &mut self.left) {}
        }
        self.within()
    }

    fn within(&self) -> Result<(), ()> {
        match self.left {
            0 => Err(()),
            _ => Ok(()),
        }
    }

    /// Ends lines that have begun, and keeps the end of what came. Gives the last line of the standard error
    /// that has anything in it.
    pub fn finish(mut self) -> String {
        let mut end = std::mem::take(&mut self.kept.end);
        self.kept.room = usize::MAX;
        end.trim();
        if end.left_out > 0 {
            self.end_lines();
            let note = format!("… {} bytes of output are left out here …", end.left_out);
            self.kept.logger.log(Stream::Note, &note);
        }
        for (stream, bytes) in end.chunks {
            let lines = match stream {
                Stream::Error => &mut self.error,
                _ => &mut self.out,
            };
            lines.add(&bytes, &mut self.kept);
        }
        self.end_lines();
        self.kept.said
    }

    fn end_lines(&mut self) {
        for lines in [&mut self.out, &mut self.error] {
            if lines.open {
                lines.end(&mut self.kept);
            }
        }
    }
}

impl Lines<'_> {
    /// Waits until something can be read; false once it cannot any more.
    async fn readable(&self) -> bool {
        match self.pipe {
            Some(pipe) => pipe.readable().await.is_ok(),
            None => false,
        }
    }

    /// Reads a chunk of what is there, or `left` bytes of it. Gives whether there may be more.
    fn some(&mut self, kept: &mut Kept<'_>, left: &mut usize) -> bool {
        let mut chunk = [0; CHUNK];
        let Some(pipe) = self.pipe.filter(|_| *left > 0) else {
            return false;
        };
        match read_now(pipe, &mut chunk) {
            Ok(read @ 1..) => {
                self.add(&chunk[..read], kept);
                *left = left.saturating_sub(read);
                return true;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            _ => self.pipe = None,
        }
        false
    }

    fn add(&mut self, mut bytes: &[u8], kept: &mut Kept<'_>) {
        while kept.room > 0 {
            let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
                if !bytes.is_empty() {
                    self.begin(bytes);
                }
                return;
            };
            self.begin(&bytes[..end]);
            self.end(kept);
            bytes = &bytes[end + 1..];
        }
        kept.end.hold(self.stream, bytes);
    }

    fn begin(&mut self, bytes: &[u8]) {
        let room = (MAX_LINE + 1).saturating_sub(self.begun.len());
        self.begun
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.open = true;
    }

    fn end(&mut self, kept: &mut Kept<'_>) {
        let line = String::from_utf8_lossy(&self.begun);
        if !kept.log(self.stream, &line) {
            kept.end.hold(self.stream, &self.begun);
            kept.end.hold(self.stream, b"\n");
        }
        self.begun.clear();
        self.open = false;
    }
}

impl Kept<'_> {
    /// Logs a line, if there is room for it.
    fn log(&mut self, stream: Stream, line: &str) -> bool {
        let Some(room) = self.room.checked_sub(line.len() + 1) else {
            self.room = 0;
            return false;
        };
        self.room = room;
        let shown;
        let line = match &self.hidden {
            Some(hidden) if line.contains(hidden.as_str()) => {
                shown = line.replace(hidden.as_str(), "");
                &shown
            }
            _ => line,
        };
        if stream == Stream::Error && !line.trim().is_empty() {
            line.clone_into(&mut self.said);
        }
        self.logger.log(stream, line);
        true
    }
}

impl End {
    fn hold(&mut self, stream: Stream, bytes: &[u8]) {
        match self.chunks.back_mut() {
            Some((of, last)) if *of == stream && last.len() < CHUNK => {
                last.extend_from_slice(bytes)
            }
            _ => self.chunks.push_back((stream, bytes.to_vec())),
        }
        self.held += bytes.len();
        while let Some((_, first)) = self.chunks.front()
            && self.held - first.len() >= KEPT
        {
            let first = first.len();
            self.drop(first);
        }
    }

    /// Leaves out bytes of the first chunk.
    fn drop(&mut self, count: usize) {
        let Some((_, first)) = self.chunks.front_mut() else {
            return;
        };
        let mut dropped = first.drain(..count);
        self.open = dropped.next_back() != Some(b'\n');
        drop(dropped);
        self.held -= count;
        self.left_out += count;
        if first.is_empty() {
            self.chunks.pop_front();
        }
    }

    /// Leaves out what is too much, and the rest of the line that this is in.
    fn trim(&mut self) {
        if let Some(more @ 1..) = self.held.checked_sub(KEPT) {
            self.drop(more);
        }
        if self.open
            && self.left_out > 0
            && let Some((_, first)) = self.chunks.front()
            && let Some(end) = first.iter().position(|byte| *byte == b'\n')
        {
            self.drop(end + 1);
        }
    }
}

/// What a process writes into a further pipe, kept as it is.
pub struct Written<'p> {
    pipe: Option<&'p pipe::Receiver>,
    limit: usize,
    /// What it wrote.
    pub bytes: Vec<u8>,
}

impl<'p> Written<'p> {
    /// Nothing yet; `limit` bytes at most.
    pub fn new(pipe: Option<&'p pipe::Receiver>, limit: usize) -> Written<'p> {
        Written {
            pipe,
            limit,
            bytes: Vec::new(),
        }
    }

    /// Reads until the process has ended, and what is there then. Gives its status, if that can be known.
    ///
    /// # Errors
    /// That it is more than the limit.
    pub async fn until(&mut self, ended: &mut oneshot::Receiver<i32>) -> Result<Option<i32>, ()> {
        loop {
            let readable = async {
                match self.pipe {
                    Some(pipe) => pipe.readable().await.is_ok(),
                    None => false,
                }
            };
            tokio::select! {
                biased;
                true = readable => self.rest()?,
                status = &mut *ended => {
                    self.rest()?;
                    return Ok(status.ok());
                }
            }
        }
    }

    fn rest(&mut self) -> Result<(), ()> {
        let mut chunk = [0; CHUNK];
        while let Some(pipe) = self.pipe {
            match read_now(pipe, &mut chunk) {
                Ok(read @ 1..) if self.bytes.len() + read <= self.limit => {
                    self.bytes.extend_from_slice(&chunk[..read]);
                }
                Ok(1..) => return Err(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                _ => self.pipe = None,
            }
        }
        Ok(())
    }
}
