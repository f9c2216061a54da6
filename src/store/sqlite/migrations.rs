//! The format of the database, step by step.

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use uuid::Uuid;

use crate::store::{Error, RunId};

/// The steps from an empty database to today's format. A step that has been released never changes.
const STEPS: &[&str] = &[
    include_str!("../migrations/0001_runs.sql"),
    include_str!("../migrations/0002_isolation.sql"),
    include_str!("../migrations/0003_journal.sql"),
    include_str!("../migrations/0004_schedules.sql"),
    include_str!("../migrations/0005_limits.sql"),
    include_str!("../migrations/0006_history.sql"),
    include_str!("../migrations/0007_storage.sql"),
    include_str!("../migrations/0008_steps.sql"),
    include_str!("../migrations/0009_callbacks.sql"),
    include_str!("../migrations/0010_large.sql"),
    include_str!("../migrations/0011_trace.sql"),
    include_str!("../migrations/0012_failures.sql"),
    include_str!("../migrations/0013_runs_by_program.sql"),
    include_str!("../migrations/0014_numbers_from_ids.sql"),
];

/// Takes the database to today's format. References are kept to from then on.
pub(super) fn apply(connection: &Connection) -> Result<(), Error> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("number_of", 1, flags, |context| {
        Ok(RunId(Uuid::from_bytes(context.get(0)?)).number())
    })?;
    // What refers to a table that is made anew is to stay when the old one goes. This does nothing inside of a transaction.
    connection.pragma_update(None, "foreign_keys", false)?;
    let found = format(connection)?;
    let old = found > 0 && found < STEPS.len() as i64;
    if old {
        tracing::info!(
            "bringing the record from format {found} to {}: this may take ten seconds for each million runs, and three times the room meanwhile",
            STEPS.len()
        );
    }
    for (number, step) in (1..).zip(STEPS) {
        if number > found {
            let sql = format!("BEGIN IMMEDIATE; {step} PRAGMA user_version = {number}; COMMIT;");
            connection.execute_batch(&sql)?;
        }
    }
    connection.pragma_update(None, "foreign_keys", true)?;
    if old {
        // A log of the size of the database would stay as large as that.
        connection.query_row("PRAGMA wal_checkpoint(truncate)", [], |_| Ok(()))?;
    }
    current(connection)
}

/// Says whether the database has today's format.
pub(super) fn current(connection: &Connection) -> Result<(), Error> {
    match known(connection)? {
        found if found < STEPS.len() as i64 => {
            let message = "it is of an older release; `waystation serve` brings it up to date";
            Err(Error::Failed(message.to_owned()))
        }
        _ => Ok(()),
    }
}

/// The format of the database, which is one that this release knows; 0 where there is nothing in it.
pub(super) fn known(connection: &Connection) -> Result<i64, Error> {
    let (found, known) = (format(connection)?, STEPS.len() as i64);
    match found > known {
        true => Err(Error::Newer { found, known }),
        false => Ok(found),
    }
}

fn format(connection: &Connection) -> Result<i64, Error> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}
