//! What the tests share: a run with its other end of the channel.

#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use javascript::Worker;
use serde_json::{Value, json};

/// What is asked of a worker.
#[derive(Clone)]
pub struct Request {
    pub code: String,
    pub inputs: String,
    pub line: usize,
    pub time_ms: u64,
    pub memory: usize,
    pub output: usize,
    pub result: usize,
    pub fetch: bool,
}

impl Request {
    pub fn new(code: &str) -> Request {
        Request {
            code: code.to_owned(),
            inputs: "{}".to_owned(),
            line: 10,
            time_ms: 10_000,
            memory: 64 << 20,
            output: 1 << 20,
            result: 16 << 20,
            fetch: false,
        }
    }

    pub fn inputs(self, inputs: &str) -> Request {
        Request {
            inputs: inputs.to_owned(),
            ..self
        }
    }

    pub fn frame(&self) -> Vec<u8> {
        let head = json!({
            "code": self.code, "file": "a.yaml", "line": self.line, "time_ms": self.time_ms, "memory": self.memory,
            "output": self.output, "result": self.result, "fetch": self.fetch,
        });
        let head = head.to_string();
        framed(format!("{},\"inputs\":{}}}", &head[..head.len() - 1], self.inputs).as_bytes())
    }

    /// Runs it where nothing is fetched.
    pub fn run(&self) -> Answer {
        self.run_with(|fetch| panic!("{fetch} was not expected"))
    }

    /// Runs it, and answers fetches with `server`; with nothing, where it gives nothing.
    pub fn run_with(&self, mut server: impl FnMut(Value) -> Option<Value>) -> Answer {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let (out, err) = (Log::default(), Log::default());
        let worker = serve(theirs, out.clone(), err.clone());
        ours.write_all(&self.frame()).unwrap();
        loop {
            let frame = frame(&mut ours).expect("the worker answers");
            let (kind, json) = (
                frame[0] as char,
                String::from_utf8(frame[1..].to_vec()).unwrap(),
            );
            if kind != 'f' {
                // It closes the channel behind its answer, be there an answer to a fetch in it or not.
                assert_eq!(ours.read(&mut [0]).unwrap_or_default(), 0);
                worker.join().unwrap();
                return Answer {
                    kind,
                    json,
                    out: out.text(),
                    err: err.text(),
                };
            }
            if let Some(answer) = server(serde_json::from_str(&json).unwrap()) {
                let _ = ours.write_all(&framed(answer.to_string().as_bytes()));
            }
        }
    }
}

/// Starts a worker on a thread of its own.
pub fn serve(channel: UnixStream, out: Log, err: Log) -> JoinHandle<()> {
    let serve = || Worker::prepare().serve(channel, out, err);
    std::thread::Builder::new()
        .stack_size(8 << 20)
        .spawn(serve)
        .unwrap()
}

/// What a worker gave.
#[derive(Debug)]
pub struct Answer {
    pub kind: char,
    pub json: String,
    pub out: String,
    pub err: String,
}

impl Answer {
    #[track_caller]
    pub fn outputs(&self) -> &str {
        assert_eq!(self.kind, 'o', "{self:?}");
        &self.json
    }

    #[track_caller]
    pub fn error(&self) -> Value {
        assert_eq!(self.kind, 'e', "{self:?}");
        serde_json::from_str(&self.json).unwrap()
    }

    #[track_caller]
    pub fn message(&self) -> String {
        self.error()["message"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub fn limit(&self) -> Option<String> {
        self.error()["limit"].as_str().map(str::to_owned)
    }
}

/// The outputs of code, or the message of its error.
pub fn run(code: &str) -> String {
    let answer = Request::new(code).run();
    match answer.kind {
        'o' => answer.json,
        _ => answer.message(),
    }
}

/// What code logs.
pub fn logged(code: &str) -> String {
    let answer = Request::new(code).run();
    answer.outputs();
    answer.out
}

pub fn framed(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes(), bytes].concat()
}

/// Reads a frame; nothing, where the channel is closed.
pub fn frame(channel: &mut impl Read) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    channel.read_exact(&mut length).ok()?;
    let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
    channel.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

/// A log that two hold.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
