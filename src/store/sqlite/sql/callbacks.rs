//! Who is told how runs ended.

use rusqlite::{Connection, OptionalExtension, params};

use super::id;
use crate::store::{CALLBACK_TIME, Callback, Callbacks, Called, Error, RunId, Told};

/// Notes who is to be told how a run ends.
pub(super) fn add(connection: &Connection, run: i64, url: &str) -> Result<(), Error> {
    connection
        .prepare_cached("INSERT INTO callbacks (run, url) VALUES (?1, ?2)")?
        .execute(params![run, url])?;
    Ok(())
}

/// Has whoever wants to know that a run has ended told so.
pub(super) fn ended(connection: &Connection, run: i64, at: i64) -> Result<(), Error> {
    connection
        .prepare_cached("UPDATE callbacks SET due = ?2 WHERE run = ?1")?
        .execute([run, at])?;
    Ok(())
}

/// Takes callbacks that are due. They are due again when whoever took them could have been done with them.
pub(in super::super) fn take(
    connection: &Connection,
    limit: u32,
    now: i64,
) -> Result<Callbacks, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT runs.id, callbacks.url, callbacks.tries, callbacks.run
               FROM callbacks INDEXED BY callbacks_due JOIN runs ON runs.number = callbacks.run
              WHERE callbacks.due <= ?1 ORDER BY callbacks.due LIMIT ?2",
    )?;
    let rows = statement.query_map(params![now, limit], |row| {
        let callback = Callback {
            run: id(row, 0)?,
            url: row.get(1)?,
            tries: row.get(2)?,
        };
        Ok((row.get::<_, i64>(3)?, callback))
    })?;
    let (runs, due): (Vec<i64>, _) = rows.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
    let mut again = connection.prepare_cached("UPDATE callbacks SET due = ?2 WHERE run = ?1")?;
    for run in runs {
        again.execute([run, now + CALLBACK_TIME])?;
    }
    let next = connection
        .prepare_cached(
            "SELECT min(due) FROM callbacks INDEXED BY callbacks_due WHERE due IS NOT NULL",
        )?
        .query_row([], |row| row.get(0))?;
    Ok(Callbacks { due, next })
}

/// Notes what a try came to.
pub(in super::super) fn called(connection: &Connection, called: &Called) -> Result<(), Error> {
    connection
        .prepare_cached(
            "UPDATE callbacks SET tries = tries + 1, due = ?2, told = ?3, answer = ?4
              WHERE run = ?1",
        )?
        .execute(params![
            called.run.number(),
            called.again,
            called.told,
            called.answer
        ])?;
    Ok(())
}

/// How far telling whoever wants to know how a run ended has come.
pub(super) fn told(connection: &Connection, run: RunId) -> Result<Option<Told>, Error> {
    let mut statement = connection
        .prepare_cached("SELECT url, due, tries, told, answer FROM callbacks WHERE run = ?1")?;
    let told = statement.query_row([run.number()], |row| {
        Ok(Told {
            url: row.get(0)?,
            due: row.get(1)?,
            tries: row.get(2)?,
            told: row.get(3)?,
            answer: row.get(4)?,
        })
    });
    Ok(told.optional()?)
}
