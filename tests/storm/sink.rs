//! Where effects go: a server that is never killed, and that looks at the record whenever an effect comes.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use crate::programs::Program;

/// An effect: the mark of its call, and its number.
pub type Effect = (String, usize);

/// What has come, and what is wrong with it.
#[derive(Default)]
pub struct Come {
    /// How often each effect came.
    pub times: HashMap<Effect, usize>,
    /// The fence that the run of a mark had last.
    fences: HashMap<String, i64>,
    pub wrong: Vec<String>,
}

pub struct Sink {
    come: Arc<Mutex<Come>>,
    pub address: String,
}

impl Sink {
    /// One that looks at the record in this file.
    pub fn new(record: &Path) -> Sink {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let come = Arc::<Mutex<Come>>::default();
        let (shared, record) = (come.clone(), record.to_owned());
        std::thread::spawn(move || {
            let mut looks = None;
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                // A kill may come between the connection and the request.
                if let Some((mark, number)) = request(&stream) {
                    let connection = looks.get_or_insert_with(|| open(&record));
                    let mut come = shared.lock().unwrap();
                    let wrong = come.look(connection, &mark, number);
                    // Of a caller that is gone, the next server may have recorded more by now.
                    if waits(&stream) {
                        come.wrong.extend(wrong);
                    }
                    *come.times.entry((mark, number)).or_default() += 1;
                    drop(come);
                    answer(stream);
                }
            }
        });
        Sink { come, address }
    }

    pub fn come(&self) -> MutexGuard<'_, Come> {
        self.come.lock().unwrap()
    }
}

/// The record, to look at.
pub fn open(record: &Path) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(record, flags).unwrap();
    connection.busy_timeout(Duration::from_secs(20)).unwrap();
    connection
}

fn request(stream: &TcpStream) -> Option<Effect> {
    let long = Some(Duration::from_secs(20));
    stream.set_read_timeout(long).unwrap();
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    while !lines.next()?.ok()?.is_empty() {}
    let path = first.split(' ').nth(1)?.strip_prefix('/')?;
    let (mark, number) = path.split_once('/')?;
    Some((mark.to_owned(), number.parse().ok()?))
}

/// Whether the caller still waits for its answer.
fn waits(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let more = stream.peek(&mut [0]);
    stream.set_nonblocking(false).unwrap();
    match more {
        Ok(bytes) => bytes > 0,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

fn answer(mut stream: TcpStream) {
    // The caller may be gone.
    let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
}

impl Come {
    /// What says that an effect may not come now.
    fn look(&mut self, connection: &Connection, mark: &str, number: usize) -> Vec<String> {
        // All is looked at as it is at one moment.
        let connection = connection.unchecked_transaction().unwrap();
        let mut told = Vec::new();
        let mut wrong = |what: &str| told.push(format!("{mark}/{number}: {what}"));
        // It is mostly among the newest. One that was put aside, or waited for its turn, may have many after it.
        let find = |newest: i64| {
            let mut statement = connection.prepare_cached(
                "SELECT runs.number, runs.program, runs.outcome, queue.resumes, queue.fence, queue.owner IS NOT NULL,
                        coalesce(runs.outcome = 'cancelled', queue.cancelled)
                   FROM (SELECT * FROM runs ORDER BY number DESC LIMIT ?2) runs
                   LEFT JOIN queue ON queue.run = runs.number WHERE runs.inputs = ?1",
            )?;
            let found = statement.query_row(params![crate::inputs(mark), newest], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, i64>(1)?,
                    row.get::<_, Option<String>>(2)?,
                    row.get::<_, Option<bool>>(3)?,
                    row.get::<_, Option<i64>>(4)?,
                    row.get::<_, Option<bool>>(5)?,
                    row.get::<_, bool>(6)?,
                ))
            });
            found.optional()
        };
        let run = find(5_000).unwrap().or_else(|| find(i64::MAX).unwrap());
        let Some((run, program, outcome, resumes, fence, owned, cancelled)) = run else {
            wrong("there is no such run");
            return told;
        };
        let count = |condition: &str| -> u32 {
            let sql = format!(
                "SELECT count(*) FROM journal WHERE run = ?1 AND kind = 'javascript' AND {condition}"
            );
            let mut statement = connection.prepare_cached(&sql).unwrap();
            statement.query_row(params![run], |row| row.get(0)).unwrap()
        };
        let number = number as u32;
        // It may have been on its way when the run was cancelled, and is recorded as such then.
        let on_its_way =
            cancelled && count("status = 'failed'") == 1 && count("true") == number + 1;
        if let Some(outcome) = outcome {
            if !on_its_way {
                wrong(&format!("the run has {outcome}"));
            }
            return told;
        }
        if owned != Some(true) {
            wrong("nobody holds the run");
        }
        let limited: u32 = connection
            .prepare_cached("SELECT count(*) FROM queue WHERE state = 'running' AND limit_key = (SELECT limit_key FROM queue WHERE run = ?1)")
            .unwrap()
            .query_row([run], |row| row.get(0))
            .unwrap();
        if limited > 2 {
            wrong("more runs are at work than the program allows");
        }
        if resumes == Some(true) {
            if count("status <> 'begun'") < number {
                wrong("the effect before it is not recorded");
            }
            let begun = count("status = 'begun'");
            if Program::of(program) == Program::Once && begun != 1 && !on_its_way {
                let (all, failed) = (count("true"), count("status = 'failed'"));
                wrong(&format!(
                    "it is not recorded as begun: {all} records, {begun} begun, {failed} failed; fence {fence:?}, \
                     cancelled: {cancelled}"
                ));
            }
        }
        let fence = fence.unwrap_or_default();
        let before = self.fences.insert(mark.to_owned(), fence);
        if before.is_some_and(|before| before > fence) {
            wrong("the fence went back");
        }
        told
    }
}
