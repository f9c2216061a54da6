//! Every statement, with what it takes and gives.

pub(super) mod callbacks;
pub(super) mod history;
pub(super) mod journal;
pub(super) mod large;
pub(super) mod prune;
pub(super) mod queue;
pub(super) mod runs;
pub(super) mod schedules;
pub(super) mod storage;
pub(super) mod sweep;

use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::store::{Error, NewVersion, RunId, Version, VersionId};

pub(super) fn accept(connection: &Connection, version: &NewVersion) -> Result<VersionId, Error> {
    let hash: [u8; 32] = Sha256::digest(&version.text).into();
    let known = connection
        .prepare_cached(
            "SELECT id FROM versions WHERE account = ?1 AND program = ?2 AND hash = ?3",
        )?
        .query_row(params![version.account, version.program, hash], |row| {
            row.get(0)
        })
        .optional()?;
    if let Some(id) = known {
        return Ok(VersionId(id));
    }
    connection
        .prepare_cached(
            "INSERT INTO versions (account, program, number, name, text, hash, accepted_at)
             SELECT ?1, ?2, coalesce(max(number), 0) + 1, ?3, ?4, ?5, ?6
               FROM versions WHERE account = ?1 AND program = ?2",
        )?
        .execute(params![
            version.account,
            version.program,
            version.name,
            version.text,
            hash,
            version.accepted_at
        ])?;
    Ok(VersionId(connection.last_insert_rowid()))
}

pub(super) fn version(connection: &Connection, id: VersionId) -> Result<Option<Version>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT account, program, number, name, text FROM versions WHERE id = ?1",
    )?;
    let version = statement.query_row([id.0], |row| {
        Ok(Version {
            account: row.get(0)?,
            program: row.get(1)?,
            number: row.get(2)?,
            name: row.get(3)?,
            text: row.get(4)?,
        })
    });
    Ok(version.optional()?)
}

fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<RunId> {
    Ok(RunId(Uuid::from_bytes(row.get(column)?)))
}

pub(super) fn set_key(connection: &Connection, account: i64, hash: &[u8; 32]) -> Result<(), Error> {
    connection.execute(
        "INSERT INTO keys (hash, account) VALUES (?1, ?2) ON CONFLICT (account) DO UPDATE SET hash = excluded.hash",
        params![hash, account],
    )?;
    Ok(())
}

pub(super) fn keys(connection: &Connection) -> Result<Vec<([u8; 32], i64)>, Error> {
    let mut statement =
        connection.prepare_cached("SELECT hash, account FROM keys ORDER BY account")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn check(connection: &Connection) -> Result<(), Error> {
    let found: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(Error::Failed(format!("the database is damaged: {found}")));
    }
    let stray: Option<String> = connection
        .query_row("PRAGMA foreign_key_check", [], |row| row.get(0))
        .optional()?;
    match stray {
        Some(table) => Err(Error::Failed(format!(
            "the table {table} refers to what is not there"
        ))),
        None => Ok(()),
    }
}
