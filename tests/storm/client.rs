//! Callers, and what they hear.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use waystation::store::RunId;

use crate::chance::Chance;
use crate::programs::Program;
use crate::support::KEY;

/// The longest that a run takes to stop that waits and is told to stop.
const STOPS: Duration = Duration::from_millis(900);

/// How a program is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By `/api`; the caller waits.
    Sync,
    /// By `/api`; the caller does not wait.
    Async,
    /// By `/v1`, under a name; the caller waits, and calls again when it has heard nothing.
    Named,
    /// By `/v1`; the caller does not wait, and cancels the run.
    Cancelled,
}

/// A call that was sent.
#[derive(Clone, Debug)]
pub struct Call {
    pub mark: String,
    pub program: Program,
    pub way: Way,
    /// The answers that were heard to their end.
    pub answers: Vec<Answer>,
    /// The status of the answer to the wish to cancel, and when it was heard, in microseconds since 1970.
    pub cancel: Option<(u16, i64)>,
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub run: Option<RunId>,
    pub replayed: bool,
    pub body: String,
}

/// A caller, with one connection.
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub fn new(address: &str) -> std::io::Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Client {
            stream: BufReader::new(stream),
        })
    }

    /// Calls until the server is gone, and gives the calls. `again` are calls that have not been answered.
    pub fn call(
        &mut self,
        name: &str,
        mut chance: Chance,
        again: Vec<Call>,
        heard: &dyn Fn(),
    ) -> Vec<Call> {
        let mut calls = Vec::new();
        let mut again = again.into_iter();
        while let Some(mut call) = again.next() {
            let sent = self.send(&mut call, &mut chance);
            calls.push(call);
            if sent.is_err() {
                calls.extend(again);
                return calls;
            }
            heard();
        }
        for number in 0.. {
            let (program, way) = lot(&mut chance);
            let mut call = Call {
                mark: format!("{name}-{number}"),
                program,
                way,
                answers: Vec::new(),
                cancel: None,
            };
            let sent = self.send(&mut call, &mut chance);
            calls.push(call);
            if sent.is_err() {
                break;
            }
            heard();
        }
        calls
    }

    /// Makes a call again that has heard nothing.
    pub fn again(&mut self, mut call: Call) -> Call {
        self.send(&mut call, &mut Chance(0)).unwrap();
        call
    }

    /// Makes a call and hears what is answered to it.
    fn send(&mut self, call: &mut Call, chance: &mut Chance) -> std::io::Result<()> {
        let (id, mark) = (call.program as u64, &call.mark);
        let answer = match call.way {
            Way::Sync => self.one(
                "POST",
                &format!("/api?program_id={id}&variables={mark}"),
                "",
                "",
            )?,
            Way::Async => {
                let target = format!("/api?program_id={id}&variables={mark}&run_async=true");
                self.one("POST", &target, "", "")?
            }
            Way::Named | Way::Cancelled => {
                let prefer = match call.way {
                    Way::Named => format!("Idempotency-Key: {mark}"),
                    _ => "Prefer: respond-async".to_owned(),
                };
                let body = format!(r#"{{"variables":["{mark}"]}}"#);
                self.one("POST", &format!("/v1/programs/{id}/runs"), &prefer, &body)?
            }
        };
        call.answers.push(answer);
        let run = call.answers[0].run;
        if call.way == Way::Cancelled
            && let Some(run) = run
        {
            std::thread::sleep(Duration::from_micros(chance.below(8_000)));
            let answer = self.one("POST", &format!("/v1/runs/{run}/cancel"), "", "")?;
            call.cancel = Some((answer.status, waystation::now()));
            if call.program == Program::Slow && answer.status == 202 {
                self.until_cancelled(run)?;
            }
        }
        Ok(())
    }

    /// Waits until a run is cancelled, which must be soon.
    fn until_cancelled(&mut self, run: RunId) -> std::io::Result<()> {
        let told = Instant::now();
        loop {
            let shown = self.one("GET", &format!("/v1/runs/{run}"), "", "")?;
            if shown.body.contains(r#""state":"cancelled""#) {
                return Ok(());
            }
            assert!(
                told.elapsed() < STOPS,
                "cancelled and still at work: {shown:?}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn one(
        &mut self,
        method: &str,
        target: &str,
        header: &str,
        body: &str,
    ) -> std::io::Result<Answer> {
        let mut request =
            format!("{method} {target} HTTP/1.1\r\nHost: test\r\nX-API-Key: {KEY}\r\n");
        if !header.is_empty() {
            request.push_str(&format!("{header}\r\n"));
        }
        if !body.is_empty() {
            request.push_str("Content-Type: application/json\r\n");
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        self.stream.get_mut().write_all(request.as_bytes())?;
        self.read()
    }

    fn read(&mut self) -> std::io::Result<Answer> {
        let mut answer = Answer {
            status: 0,
            run: None,
            replayed: false,
            body: String::new(),
        };
        let mut length = 0;
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            match line.trim_end().split_once(": ") {
                None if line.trim_end().is_empty() => break,
                None => answer.status = line.split(' ').nth(1).unwrap().parse().unwrap(),
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(("waystation-run", value)) => answer.run = Some(value.parse().unwrap()),
                Some(("idempotency-replayed", _)) => answer.replayed = true,
                Some(_) => {}
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        answer.body = String::from_utf8(body).unwrap();
        Ok(answer)
    }
}

/// What to call next, and how.
fn lot(chance: &mut Chance) -> (Program, Way) {
    use Program::{Chain, Failing, Limited, Long, Loop, Once, Quick, Resumed, Sleeper, Slow};
    let program = *chance.one(&[
        Quick, Quick, Quick, Failing, Chain, Chain, Chain, Once, Once, Loop, Sleeper, Resumed,
        Long, Limited, Slow,
    ]);
    let ways = match program {
        Slow => &[Way::Cancelled][..],
        // Nobody waits for one that waits.
        Sleeper | Limited => &[Way::Async, Way::Cancelled],
        _ => &[
            Way::Sync,
            Way::Async,
            Way::Async,
            Way::Named,
            Way::Cancelled,
        ],
    };
    (program, *chance.one(ways))
}
