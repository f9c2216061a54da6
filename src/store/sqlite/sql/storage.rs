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

/// Keeps what a run of a program has stored.
pub(super) fn put(
    connection: &Connection,
    (account, program): (i64, i64),
    stored: &[Stored],
) -> Result<(), Error> {
    if stored.is_empty() {
        return Ok(());
    }
    let mut keep = connection.prepare_cached(
        "INSERT INTO storage (account, program, shelf, key, value, bytes) VALUES (?1, ?2, ?3, ?4, ?5, octet_length(?4) + octet_length(?5))
         ON CONFLICT (account, program, shelf, key) DO UPDATE SET value = excluded.value, bytes = excluded.bytes",
    )?;
    let mut forget = connection.prepare_cached(
        "DELETE FROM storage WHERE account = ?1 AND program = ?2 AND shelf = ?3 AND key = ?4",
    )?;
    for Stored { shelf, key, value } in stored {
        match value {
            Some(value) => keep.execute(params![account, program, shelf, key, value])?,
            None => forget.execute(params![account, program, shelf, key])?,
        };
    }
    let sql =
        "SELECT count(*), coalesce(sum(bytes), 0) FROM storage WHERE account = ?1 AND program = ?2";
    let (values, bytes): (i64, i64) = connection
        .prepare_cached(sql)?
        .query_row([account, program], |row| Ok((row.get(0)?, row.get(1)?)))?;
    match values > MAX_STORED || bytes > MAX_STORED_BYTES {
        true => Err(Error::Overfull),
        false => Ok(()),
    }
}
