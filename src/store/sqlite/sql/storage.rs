//! What the runs of a program keep for those after them.

use rusqlite::{Connection, OptionalExtension, params};

use crate::store::{Error, MAX_STORED, MAX_STORED_BYTES, Place, Stored};

pub(in super::super) fn get(
    connection: &Connection,
    place: &Place,
) -> Result<Option<String>, Error> {
    let sql =
        "SELECT value FROM storage WHERE account = ?1 AND program = ?2 AND shelf = ?3 AND key = ?4";
    let mut statement = connection.prepare_cached(sql)?;
    let place = params![place.account, place.program, place.shelf, place.key];
    Ok(statement.query_row(place, |row| row.get(0)).optional()?)
}

/// Keeps what a run of a program has stored, once for every key. Nothing is written where there is no room for all of it.
pub(super) fn put(
    connection: &Connection,
    (account, program): (i64, i64),
    stored: &[Stored],
) -> Result<(), Error> {
    if stored.is_empty() {
        return Ok(());
    }
    room(connection, (account, program), stored)?;
    let mut keep = connection.prepare_cached(
        "INSERT INTO storage (account, program, shelf, key, value, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (account, program, shelf, key) DO UPDATE SET value = excluded.value, bytes = excluded.bytes",
    )?;
    let mut forget = connection.prepare_cached(
        "DELETE FROM storage WHERE account = ?1 AND program = ?2 AND shelf = ?3 AND key = ?4",
    )?;
    for one in stored {
        let Stored { shelf, key, value } = one;
        match size(one) {
            Some(bytes) => keep.execute(params![account, program, shelf, key, value, bytes])?,
            None => forget.execute(params![account, program, shelf, key])?,
        };
    }
    Ok(())
}

/// Makes sure that a program may keep what a run of it has stored.
fn room(
    connection: &Connection,
    (account, program): (i64, i64),
    stored: &[Stored],
) -> Result<(), Error> {
    let sql =
        "SELECT count(*), coalesce(sum(bytes), 0) FROM storage WHERE account = ?1 AND program = ?2";
    let (mut values, mut bytes): (i64, i64) = connection
        .prepare_cached(sql)?
        .query_row([account, program], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut kept = connection.prepare_cached(
        "SELECT bytes FROM storage WHERE account = ?1 AND program = ?2 AND shelf = ?3 AND key = ?4",
    )?;
    for one in stored {
        let place = params![account, program, one.shelf, one.key];
        let before: Option<i64> = kept.query_row(place, |row| row.get(0)).optional()?;
        let after = size(one);
        values += i64::from(after.is_some()) - i64::from(before.is_some());
        bytes += after.unwrap_or(0) - before.unwrap_or(0);
    }
    match values > MAX_STORED || bytes > MAX_STORED_BYTES {
        true => Err(Error::Overfull),
        false => Ok(()),
    }
}

/// The bytes of a value and its key.
fn size(stored: &Stored) -> Option<i64> {
    let value = stored.value.as_ref()?;
    Some((stored.key.len() + value.len()) as i64)
}
