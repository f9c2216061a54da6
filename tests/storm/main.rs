//! Killing the server again and again while it is called: what was answered is so, and what was begun ends once.
//!
//! Clients call one server without a pause, in every way, and the time starts runs as well. It is killed at a moment drawn by lot, or at a place in its code
//! ([`waystation::fault`]), or told to stop, and started again on the same data, again and again. What the clients heard,
//! what effects came to a server outside, which is never killed, and the record are then held against each other.
//!
//! `STORM_SECONDS` (120) says how long, `STORM_KILLS` how many times at least; the lots are drawn from a seed that is
//! printed, and `STORM_SEED` sets it.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "../support/mod.rs"]
mod support;

mod chance;
mod client;
mod programs;
mod record;
mod sink;
mod times;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chance::Chance;
use client::{Call, Client, Way};
use programs::Program;
use rustix::process::Signal;
use sink::{Effect, Sink};
use support::{TestCommand, TestServer};
use times::{TIMED, Times};
use waystation::store::RECORD;

/// The moments of a kill, after the first answer of its round, in microseconds.
const MOMENTS: std::ops::Range<u64> = 5_000..1_100_000;
/// The longest that anything which must happen is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many clients call at once.
const CLIENTS: u64 = 8;
/// Flags of the server: the queue must not fill up, since every accepted run is one more to look for.
const FLAGS: [&str; 4] = ["--max-queued", "100000", "--drain", "300ms"];

#[test]
fn what_was_answered_is_so_and_what_was_begun_ends_once() {
    let seconds = setting("STORM_SECONDS").unwrap_or(120);
    let kills = setting("STORM_KILLS").unwrap_or(0) as usize;
    let seed = setting("STORM_SEED").unwrap_or_else(|| getrandom::u64().unwrap());
    println!("STORM_SEED={seed}");
    let began = Instant::now();
    let mut storm = Storm::new(seed);
    while began.elapsed() < Duration::from_secs(seconds) || storm.kills < kills {
        storm.round();
    }
    storm.end();
    println!("{}, {:?}", storm.told(), began.elapsed());
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap())
}

/// The inputs of a run as the record has them.
fn inputs(mark: &str) -> String {
    format!(r#"{{"Mark":"{mark}"}}"#)
}

struct Storm {
    command: TestCommand,
    sink: Sink,
    chance: Chance,
    calls: Vec<Call>,
    /// Calls that are to be made again, since nothing was heard.
    again: Vec<Call>,
    /// At how many kills each effect had come and was not recorded.
    in_flight: HashMap<Effect, usize>,
    /// How often each effect had come at the last kill.
    before: HashMap<Effect, usize>,
    rounds: u64,
    kills: usize,
    /// The times at which a program was started.
    times: Times,
    /// How often the server died at each place.
    places: BTreeMap<&'static str, usize>,
}

impl Storm {
    fn new(seed: u64) -> Storm {
        let command = TestCommand::new(&[]);
        let sink = Sink::new(&command.folder.path().join("data").join(RECORD));
        for program in Program::ALL {
            let text = program.text(&format!("http://{}", sink.address));
            support::write(command.folder.path(), &format!("{program:?}.yaml"), &text);
        }
        support::write(command.folder.path(), "Timed.yaml", TIMED);
        Storm {
            command,
            sink,
            chance: Chance(seed),
            calls: Vec::new(),
            again: Vec::new(),
            in_flight: HashMap::new(),
            before: HashMap::new(),
            rounds: 0,
            kills: 0,
            times: Times::default(),
            places: BTreeMap::new(),
        }
    }

    fn record(&self) -> PathBuf {
        self.command.folder.path().join("data").join(RECORD)
    }

    /// Starts the server, has it called, and ends it.
    fn round(&mut self) {
        self.rounds += 1;
        let place = match self.chance.below(2) {
            0 => Some(*self.chance.one(&waystation::fault::PLACES)),
            _ => None,
        };
        let times = match place {
            // It comes once in a start, for all times that are due.
            Some("schedule.mid") => 1,
            // Few runs are put aside.
            Some("park.before_commit" | "park.after_commit") => 1 + self.chance.below(2),
            _ => 1 + self.chance.below(12),
        };
        if self.rounds > 1 && (place == Some("schedule.mid") || self.chance.below(3) == 0) {
            let minutes = 1 + self.chance.below(4) as i64;
            self.times.pass(&self.record(), minutes);
        }
        self.command.environment = place
            .map(|place| {
                (
                    "WAYSTATION_FAULT".to_owned(),
                    format!("{place}=kill@{times}"),
                )
            })
            .into_iter()
            .collect();
        let flags = [&FLAGS[..], &["--egress-allow", &self.sink.address]].concat();
        // It may die in the middle of its start.
        let Ok(server) = TestServer::started(&self.command, &flags) else {
            return self.died(place);
        };
        let stops = place == Some("drain.mid") || self.chance.below(6) == 0;
        self.call(server, place, stops);
        self.look();
    }

    /// Counts a death of the server, at a place if there is one.
    fn died(&mut self, place: Option<&'static str>) {
        self.kills += 1;
        if let Some(place) = place {
            *self.places.entry(place).or_default() += 1;
        }
        self.count_in_flight();
    }

    /// Has the server called until its end comes.
    fn call(&mut self, mut server: TestServer, place: Option<&'static str>, stops: bool) {
        let moment = MOMENTS.start + self.chance.below(MOMENTS.end - MOMENTS.start);
        let moment = Duration::from_micros(moment);
        let heard = AtomicUsize::new(0);
        let mut again = std::mem::take(&mut self.again);
        let mut died = None;
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|number| {
                    let name = format!("{}-{number}", self.rounds);
                    let chance = Chance(self.chance.next());
                    let share = (again.len() as u64).div_ceil(CLIENTS - number) as usize;
                    let again: Vec<Call> = again.drain(..share).collect();
                    let (address, heard) = (server.address.clone(), &heard);
                    scope.spawn(move || match Client::new(&address) {
                        Ok(mut client) => client.call(&name, chance, again, &|| {
                            heard.fetch_add(1, Ordering::Relaxed);
                        }),
                        Err(_) => again,
                    })
                })
                .collect();
            died = wait(&mut server, &heard, moment);
            if died.is_none() && stops {
                server.signal(Signal::TERM);
                died = wait(&mut server, &heard, PATIENCE).filter(|()| place == Some("drain.mid"));
            } else if died.is_none() {
                server.signal(Signal::KILL);
            }
            server.child.wait().unwrap();
            for client in clients {
                self.calls.extend(client.join().unwrap());
            }
        });
        self.died(place.filter(|_| died.is_some()));
        self.keep_unanswered();
    }

    /// Puts aside the calls under a name that have heard nothing.
    fn keep_unanswered(&mut self) {
        let unanswered = |call: &Call| {
            call.way == Way::Named && call.answers.iter().all(|answer| answer.status >= 503)
        };
        let (again, calls) = std::mem::take(&mut self.calls)
            .into_iter()
            .partition(unanswered);
        (self.again, self.calls) = (again, calls);
    }

    /// What the storm has been, in a line.
    fn told(&self) -> String {
        let come = self.sink.come();
        let effects: usize = come.times.values().sum();
        let repeated: usize = come.times.values().map(|times| times - 1).sum();
        format!(
            "{} kills, of these {:?}; {} calls; {} runs by time; {effects} effects, {repeated} of them repeated, {} were in flight at a kill",
            self.kills,
            self.places,
            self.calls.len(),
            self.times.runs,
            self.in_flight.values().sum::<usize>(),
        )
    }
}

/// Waits until a client has heard an answer and then for a while, or until the server has died, which it says.
fn wait(server: &mut TestServer, heard: &AtomicUsize, moment: Duration) -> Option<()> {
    let (began, mut first) = (Instant::now(), None);
    loop {
        if server.child.try_wait().unwrap().is_some() {
            return Some(());
        }
        if first.is_none() && heard.load(Ordering::Relaxed) > 0 {
            first = Some(Instant::now());
        }
        if first.is_some_and(|first| first.elapsed() > moment) {
            return None;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "nothing was answered: {}",
            server.logged()
        );
        std::thread::park_timeout(Duration::from_millis(1));
    }
}
