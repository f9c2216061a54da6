//! Every statement, with what it takes and gives.

use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::state;
use crate::store::{
    Claimed, Detail, End, Error, Filter, LogPage, NewRun, NewVersion, RunId, State, Summary,
    Version, VersionId,
};

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

/// Inserts a run: queued, running, or ended already.
pub(super) fn insert(
    connection: &Connection,
    run: &NewRun,
    end: Option<&End>,
) -> Result<(), Error> {
    let state = match (end, run.started_at) {
        (Some(end), _) => end.state,
        (None, Some(_)) => State::Running,
        (None, None) => State::Queued,
    };
    connection
        .prepare_cached(
            "INSERT INTO runs (id, account, program, version, function, trigger, inputs, created_at, state,
                               started_at, ended_at, reason, answer, log_lines, log, isolation)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        )?
        .execute(params![
            run.id.0.as_bytes(),
            run.account,
            run.program,
            run.version.0,
            run.function,
            run.trigger,
            run.inputs,
            run.created_at,
            state.name(),
            run.started_at,
            end.map(|end| end.ended_at),
            end.and_then(|end| end.reason.as_deref()),
            end.map(|end| &*end.answer),
            end.map_or(0, |end| end.log_lines),
            end.map_or("", |end| &*end.log),
            end.and_then(|end| end.isolation),
        ])?;
    Ok(())
}

pub(super) fn claim(connection: &Connection, limit: u32, now: i64) -> Result<Vec<Claimed>, Error> {
    let mut statement = connection.prepare_cached(
        "UPDATE runs SET state = 'running', started_at = ?2
          WHERE id IN (SELECT id FROM runs INDEXED BY unfinished
                        WHERE state = 'queued' AND ended_at IS NULL ORDER BY id LIMIT ?1)
         RETURNING id, version, function, inputs, created_at",
    )?;
    let rows = statement.query_map(params![limit, now], |row| {
        Ok(Claimed {
            id: id(row, 0)?,
            version: VersionId(row.get(1)?),
            function: row.get(2)?,
            inputs: row.get(3)?,
            created_at: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn finish(connection: &Connection, id: RunId, end: &End) -> Result<(), Error> {
    let changed = connection
        .prepare_cached(
            "UPDATE runs SET state = ?2, reason = ?3, answer = ?4, log = ?5, log_lines = log_lines + ?6, ended_at = ?7,
                             isolation = ?8
              WHERE id = ?1 AND state = 'running'",
        )?
        .execute(params![
            id.0.as_bytes(),
            end.state.name(),
            end.reason,
            end.answer,
            end.log,
            end.log_lines,
            end.ended_at,
            end.isolation
        ])?;
    running(changed, id)
}

pub(super) fn append_log(
    connection: &Connection,
    id: RunId,
    (number, piece, lines): (i64, &str, u32),
) -> Result<(), Error> {
    let changed = connection
        .prepare_cached(
            "UPDATE runs SET log_lines = log_lines + ?2 WHERE id = ?1 AND state = 'running'",
        )?
        .execute(params![id.0.as_bytes(), lines])?;
    running(changed, id)?;
    connection
        .prepare_cached("INSERT INTO log_pieces (run, number, lines) VALUES (?1, ?2, ?3)")?
        .execute(params![id.0.as_bytes(), number, piece])?;
    Ok(())
}

fn running(changed: usize, id: RunId) -> Result<(), Error> {
    match changed {
        0 => Err(Error::Conflict(format!(
            "run {id} is not running, so nothing can be added to it"
        ))),
        _ => Ok(()),
    }
}

pub(super) fn interrupt(connection: &Connection, now: i64, answer: &str) -> Result<u64, Error> {
    let changed = connection.execute(
        "UPDATE runs SET state = 'failed', reason = 'interrupted', answer = ?2, ended_at = ?1
          WHERE state = 'running' AND ended_at IS NULL",
        params![now, answer],
    )?;
    Ok(changed as u64)
}

pub(super) fn queued(connection: &Connection) -> Result<u64, Error> {
    let sql = "SELECT count(*) FROM runs WHERE state = 'queued' AND ended_at IS NULL";
    Ok(connection.query_row(sql, [], |row| row.get::<_, i64>(0))? as u64)
}

const SUMMARY: &str =
    "runs.id, runs.program, versions.name, runs.function, runs.trigger, runs.state, runs.reason,
                       runs.created_at, runs.started_at, runs.ended_at";

pub(super) fn runs(connection: &Connection, filter: &Filter) -> Result<Vec<Summary>, Error> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {SUMMARY} FROM runs JOIN versions ON versions.id = runs.version
          WHERE (?1 IS NULL OR runs.program = ?1) AND (?2 IS NULL OR runs.state = ?2) AND (?3 IS NULL OR runs.id < ?3)
          ORDER BY runs.id DESC LIMIT ?4"
    ))?;
    let before = filter.before.map(|id| *id.0.as_bytes());
    let state = filter.state.map(State::name);
    let rows = statement.query_map(
        params![filter.program, state, before, filter.limit],
        |row| Ok(summary(row)),
    )?;
    rows.map(|row| row?).collect()
}

pub(super) fn run(connection: &Connection, id: RunId) -> Result<Option<Detail>, Error> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {SUMMARY}, versions.number, runs.inputs, runs.answer, runs.log_lines, runs.isolation
           FROM runs JOIN versions ON versions.id = runs.version WHERE runs.id = ?1"
    ))?;
    let detail = statement.query_row([id.0.as_bytes()], |row| {
        let summary = match summary(row) {
            Ok(summary) => summary,
            Err(error) => return Ok(Err(error)),
        };
        let (version, inputs) = (row.get(10)?, row.get(11)?);
        Ok(Ok(Detail {
            summary,
            version,
            inputs,
            answer: row.get(12)?,
            log_lines: row.get(13)?,
            isolation: row.get(14)?,
        }))
    });
    detail.optional()?.transpose()
}

fn summary(row: &Row<'_>) -> Result<Summary, Error> {
    Ok(Summary {
        id: id(row, 0)?,
        program: row.get(1)?,
        name: row.get(2)?,
        function: row.get(3)?,
        trigger: row.get(4)?,
        state: state(&row.get::<_, String>(5)?)?,
        reason: row.get(6)?,
        created_at: row.get(7)?,
        started_at: row.get(8)?,
        ended_at: row.get(9)?,
    })
}

fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<RunId> {
    Ok(RunId(Uuid::from_bytes(row.get(column)?)))
}

pub(super) fn log(connection: &Connection, id: RunId, from: i64) -> Result<LogPage, Error> {
    // The run's row is read first: if it has ended, all of its pieces are there.
    let last: Option<(Option<i64>, String)> = connection
        .prepare_cached("SELECT ended_at, log FROM runs WHERE id = ?1")?
        .query_row([id.0.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((ended_at, last)) = last else {
        return Err(Error::Conflict(format!("there is no run {id}")));
    };
    let mut page = LogPage {
        next: from,
        ..LogPage::default()
    };
    let mut statement = connection.prepare_cached(
        "SELECT number, lines FROM log_pieces WHERE run = ?1 AND number >= ?2 ORDER BY number",
    )?;
    let mut rows = statement.query(params![id.0.as_bytes(), from])?;
    while let Some(row) = rows.next()? {
        page.next = row.get::<_, i64>(0)? + 1;
        page.text.push_str(&row.get::<_, String>(1)?);
    }
    if ended_at.is_some() {
        page.text.push_str(&last);
        page.ended = true;
    }
    Ok(page)
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
