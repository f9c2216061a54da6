//! A program that is started every minute, and minutes that pass while the server is down.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

/// It is not among those that are called.
pub const TIMED: &str = "id: 11
name: Timed
functions:
  Main:
    triggers: [time: {every: minute, missed: all}]
    steps:
      - javascript: outputs.A = 1;
      - sleep: 20ms
      - print: tick
";

/// A minute, in microseconds.
const MINUTE: i64 = 60_000_000;

/// What is known of the times at which it was due.
#[derive(Default)]
pub struct Times {
    /// The first time that is to have a run and was not checked yet.
    first: Option<i64>,
    /// How many had one.
    pub runs: i64,
}

impl Times {
    /// Checks that every time since the last look has one run, and forgets those times. Then lets so many minutes have
    /// passed while no server was there, which is down now.
    pub fn pass(&mut self, record: &Path, minutes: i64) {
        let connection = Connection::open(record).unwrap();
        connection.busy_timeout(Duration::from_secs(20)).unwrap();
        let next: Result<i64, _> =
            connection.query_row("SELECT next_at FROM schedules", [], |row| row.get(0));
        // The server may have died before it knew of any.
        let Ok(next) = next else { return };
        let sql = "SELECT count(*), count(DISTINCT run), min(due), max(due) FROM fires";
        let (count, runs, first, last): (i64, i64, Option<i64>, Option<i64>) = connection
            .query_row(sql, [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .unwrap();
        assert_eq!(count, runs, "two times have one run");
        let wanted = self.first.or(first).unwrap_or(next);
        assert_eq!(first.unwrap_or(next), wanted, "the first time has no run");
        assert_eq!(
            last.map_or(next, |last| last + MINUTE),
            next,
            "the last time has no run"
        );
        assert_eq!(wanted + count * MINUTE, next, "a time has no run");
        self.runs += count;
        let next = next - minutes * MINUTE;
        connection.execute("DELETE FROM fires", []).unwrap();
        connection
            .execute("UPDATE schedules SET next_at = ?1", [next])
            .unwrap();
        self.first = Some(next);
    }
}
