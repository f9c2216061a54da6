//! What can be seen of code from outside of its walls: its processes, and whom it calls.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long code may take to do what it is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// An argument for `sleep` that no other process on the machine has, for [`is_gone`] and [`is_there`] to look for.
pub fn marker() -> String {
    static LAST: AtomicUsize = AtomicUsize::new(0);
    let last = LAST.fetch_add(1, Ordering::Relaxed);
    format!("1000.{}{last:04}", std::process::id())
}

/// Whether a process with this argument starts.
pub fn is_there(marker: &str) -> bool {
    comes_to(PATIENCE, || has_argument(marker))
}

/// Whether all processes with this argument are gone, or only wait to be noticed, within a second.
pub fn is_gone(marker: &str) -> bool {
    comes_to(Duration::from_secs(1), || !has_argument(marker))
}

fn comes_to(limit: Duration, done: impl Fn() -> bool) -> bool {
    let end = Instant::now() + limit;
    while !done() {
        if Instant::now() > end {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

fn has_argument(marker: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut arguments =
        processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    arguments.any(|arguments| {
        let mut arguments = arguments.split(|byte| *byte == 0);
        arguments.any(|argument| argument == marker.as_bytes())
    })
}

/// A server that code is allowed to call, and that answers when a test wants it to.
pub struct Outside {
    listener: TcpListener,
}

/// A call that waits for its answer.
pub struct Called {
    stream: TcpStream,
    /// The path that was asked for, without the slash that it begins with.
    pub path: String,
    /// The lines of the head, the first one left out.
    pub head: Vec<String>,
    /// What was sent, as text.
    pub body: String,
    /// What was sent.
    pub bytes: Vec<u8>,
}

impl Outside {
    /// One on a free port of loopback.
    pub fn new() -> Outside {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Outside { listener }
    }

    /// Its address: host and port.
    pub fn address(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }

    /// Its address as a URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The next call.
    pub fn called(&self) -> Called {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => return Called::read(stream),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
            assert!(Instant::now() < end, "nobody called");
            std::thread::yield_now();
        }
    }
}

impl Called {
    fn read(stream: TcpStream) -> Called {
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut reader = BufReader::new(&stream);
        let mut lines = reader.by_ref().lines().map(Result::unwrap);
        let first = lines.next().unwrap_or_default();
        let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        let path = first.split(' ').nth(1).unwrap_or_default();
        let path = path.trim_start_matches('/').to_owned();
        let mut called = Called {
            path,
            head,
            body: String::new(),
            bytes: Vec::new(),
            stream: stream.try_clone().unwrap(),
        };
        let length = called.header("content-length").parse().unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        called.body = String::from_utf8_lossy(&body).into_owned();
        called.bytes = body;
        called
    }

    /// A header; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        let header = |line: &String| {
            line.split_once(": ")
                .is_some_and(|(of, _)| of.eq_ignore_ascii_case(name))
        };
        let line = self.head.iter().find(|line| header(line));
        line.map_or("", |line| &line[name.len() + 2..])
    }

    /// Answers with nothing, so that the caller goes on.
    pub fn answer(self) {
        self.answer_with("204 No Content");
    }

    /// Answers with a status and nothing else.
    pub fn answer_with(mut self, status: &str) {
        let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        // The caller may be gone.
        let _ = self.stream.write_all(answer.as_bytes());
    }
}
