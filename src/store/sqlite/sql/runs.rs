//! The rows of runs: what they begin with and how they end.

use rusqlite::{Connection, OptionalExtension, params};

use super::large::{Large, Part};
use super::{callbacks, id, journal, storage};
use crate::store::sqlite::writer::Writing;
use crate::store::{
    End, Error, Hold, KEY_KEPT, Key, Leave, Limit, Made, NewRun, Node, NodeId, RunId,
};

pub(in super::super) fn enter(connection: &Connection, node: &Node) -> Result<(), Error> {
    connection.execute(
        "INSERT INTO nodes (id, version, started_at) VALUES (?1, ?2, ?3)",
        params![node.id.0.as_bytes(), node.version, node.started_at],
    )?;
    Ok(())
}

/// The greatest number of a run; 0 where there is none.
pub(in super::super) fn newest(connection: &Connection) -> Result<i64, Error> {
    let sql = "SELECT coalesce(max(number), 0) FROM runs";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

/// Notes a run that is not over.
pub(in super::super) fn begin(
    connection: &Writing,
    run: &NewRun,
    holder: Option<NodeId>,
    large: &Large,
) -> Result<(), Error> {
    let begun = note(connection, run, holder, large);
    match (begun, holder) {
        // Who began it was stopped before hearing of it.
        (Err(_), Some(node)) if is_held(connection, run.id, node)? => Ok(()),
        (begun, _) => begun,
    }
}

/// Notes a run that no other one stands in the way of.
fn note(
    connection: &Writing,
    run: &NewRun,
    holder: Option<NodeId>,
    large: &Large,
) -> Result<(), Error> {
    if let Some(key) = &run.key {
        free(connection, run, key)?;
    }
    if let Some(limit) = run.limit.as_ref().filter(|_| holder.is_none()) {
        room(connection, limit)?;
    }
    if let Some(most) = run.account_runs {
        few(connection, run.account, most)?;
    }
    let number = insert(connection, run, None, large)?;
    if let Some(key) = &run.key {
        name(connection, run, key, number)?;
    }
    if let Some(url) = &run.callback {
        callbacks::add(connection, number, url)?;
    }
    let state = if holder.is_some() {
        "running"
    } else {
        "queued"
    };
    let fence = i64::from(holder.is_some());
    connection
            .prepare_cached(
                "INSERT INTO queue (run, state, due, owner, fence, resumes, started_at, limit_key, limit_max,
                                    trace)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                number,
                state,
                run.created_at,
                holder.map(|node| *node.0.as_bytes()),
                fence,
                run.resumes,
                run.started_at,
                run.limit.as_ref().map(|limit| &limit.key),
                run.limit.as_ref().map(|limit| limit.max),
                run.trace,
            ])?;
    Ok(())
}

/// Whether a run is held by the first who took it.
fn is_held(connection: &Connection, id: RunId, node: NodeId) -> Result<bool, Error> {
    let sql = "SELECT EXISTS (SELECT 1 FROM runs JOIN queue ON queue.run = runs.number
                               WHERE runs.number = ?1 AND runs.id = ?2 AND queue.owner = ?3 AND queue.fence = 1)";
    let mut statement = connection.prepare_cached(sql)?;
    let (run, node) = (id.0.as_bytes(), node.0.as_bytes());
    let held = statement.query_row(params![id.number(), run, node], |row| row.get(0))?;
    Ok(held)
}

/// Makes sure that one more run of an account may be unfinished.
fn few(connection: &Connection, account: i64, most: u32) -> Result<(), Error> {
    let sql = "SELECT count(*) FROM
                 (SELECT 1 FROM queue JOIN runs ON runs.number = queue.run WHERE runs.account = ?1 LIMIT ?2)";
    let mut statement = connection.prepare_cached(sql)?;
    let unfinished: u32 = statement.query_row(params![account, most], |row| row.get(0))?;
    match unfinished < most {
        true => Ok(()),
        false => Err(Error::Busy),
    }
}

/// Makes sure that one more run may wait for others of its key.
fn room(connection: &Connection, limit: &Limit) -> Result<(), Error> {
    let Some(most) = limit.queue else {
        return Ok(());
    };
    let sql = "SELECT count(*) FROM queue WHERE limit_key = ?1 AND state = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut count = |state: &str| statement.query_row(params![limit.key, state], |row| row.get(0));
    let (waiting, at_work): (u32, u32) = (count("queued")?, count("running")?);
    // What can begin at once does not wait.
    let free = limit.max.saturating_sub(at_work);
    match waiting < most.saturating_add(free) {
        true => Ok(()),
        false => Err(Error::Crowded),
    }
}

/// Notes a run as queued, and gives its number.
pub(super) fn queue(connection: &Writing, run: &NewRun) -> Result<i64, Error> {
    let number = insert(connection, run, None, &Large::default())?;
    connection
        .prepare_cached(
            "INSERT INTO queue (run, state, due, fence, resumes, limit_key, limit_max)
             VALUES (?1, 'queued', ?2, 0, ?3, ?4, ?5)",
        )?
        .execute(params![
            number,
            run.created_at,
            run.resumes,
            run.limit.as_ref().map(|limit| &limit.key),
            run.limit.as_ref().map(|limit| limit.max),
        ])?;
    Ok(number)
}

/// Makes sure that no run has the name of a call, or only one that has long ended.
fn free(connection: &Connection, run: &NewRun, key: &Key) -> Result<(), Error> {
    let found = connection
        .prepare_cached(
            "SELECT runs.id, idempotency.hash, runs.ended_at FROM idempotency JOIN runs ON runs.number = idempotency.run
              WHERE idempotency.account = ?1 AND idempotency.program = ?2 AND idempotency.key = ?3",
        )?
        .query_row(params![run.account, run.program, key.text], |row| {
            Ok((id(row, 0)?, row.get::<_, [u8; 32]>(1)?, row.get::<_, Option<i64>>(2)?))
        })
        .optional()?;
    match found {
        Some((taken, hash, ended_at))
            if ended_at.is_none_or(|ended_at| ended_at + KEY_KEPT > run.created_at) =>
        {
            let (run, same) = (taken, hash == key.hash);
            Err(Error::Taken { run, same })
        }
        _ => Ok(()),
    }
}

/// Gives a run the name of its call, which is taken from one that has long ended.
fn name(connection: &Connection, run: &NewRun, key: &Key, number: i64) -> Result<(), Error> {
    connection
        .prepare_cached(
            "INSERT INTO idempotency (account, program, key, hash, run) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (account, program, key) DO UPDATE SET hash = excluded.hash, run = excluded.run",
        )?
        .execute(params![run.account, run.program, key.text, key.hash, number])?;
    Ok(())
}

/// Notes a run that has begun and ended.
pub(in super::super) fn record(
    connection: &Writing,
    run: &NewRun,
    made: &Made,
    end: &End,
    large: &Large,
) -> Result<(), Error> {
    storage::put(connection, (run.account, run.program), &end.stored)?;
    let number = insert(connection, run, Some((made, end)), large)?;
    journal::insert(connection, number, 1, &made.records, large)
}

/// Inserts the row of a run, and gives its number.
fn insert(
    connection: &Writing,
    run: &NewRun,
    ended: Option<(&Made, &End)>,
    large: &Large,
) -> Result<i64, Error> {
    let (made, end) = ended.unzip();
    let number = run.id.number();
    connection
        .prepare_cached(
            "INSERT INTO runs (number, id, account, program, version, function, trigger, inputs, seed, created_at,
                               outcome, started_at, ended_at, reason, answer, log_lines, log, isolation, steps)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
        )?
        .execute(params![
            number,
            run.id.0.as_bytes(),
            run.account,
            run.program,
            run.version.0,
            &*run.function,
            &*run.trigger,
            large.stand(Part::Inputs, &run.inputs),
            run.seed,
            run.created_at,
            end.map(|end| end.state.name()),
            end.and(run.started_at),
            end.map(|end| end.ended_at),
            end.and_then(|end| end.reason.as_deref()),
            end.map(|end| large.stand(Part::Answer, &end.answer)),
            made.map_or(0, |made| made.log_lines),
            made.map_or("", |made| &*made.log),
            end.and_then(|end| end.isolation),
            end.and_then(|end| end.steps),
        ])?;
    connection.listing.add(connection, number, run.program)?;
    large.put(connection, number)?;
    Ok(number)
}

pub(in super::super) fn append(
    connection: &Connection,
    hold: Hold,
    made: &Made,
    large: &Large,
) -> Result<(), Error> {
    let run = held(connection, hold)?;
    large.put(connection, run)?;
    add(connection, (run, hold.fence), made, large)
}

pub(in super::super) fn leave(
    connection: &Connection,
    hold: Hold,
    made: &Made,
    how: &Leave,
    large: &Large,
) -> Result<(), Error> {
    let run = held(connection, hold)?;
    large.put(connection, run)?;
    match how {
        Leave::Ended(end) => {
            keep(connection, run, end)?;
            journal::insert(connection, run, hold.fence, &made.records, large)?;
            finish(connection, run, (&made.log, made.log_lines), end, large)
        }
        Leave::Until(due) => {
            add(connection, (run, hold.fence), made, large)?;
            let_go(connection, run, "waiting", Some(*due))
        }
        Leave::Released => {
            add(connection, (run, hold.fence), made, large)?;
            let_go(connection, run, "queued", None)
        }
    }
}

/// The number of a run that is held as `hold` says.
fn held(connection: &Connection, hold: Hold) -> Result<i64, Error> {
    let mut statement = connection
        .prepare_cached("SELECT run FROM queue WHERE run = ?1 AND owner = ?2 AND fence = ?3")?;
    let (run, node) = (hold.run.number(), hold.node.0.as_bytes());
    let mut rows = statement.query(params![run, node, hold.fence])?;
    match rows.next()? {
        Some(row) => Ok(row.get(0)?),
        None => Err(Error::Lost),
    }
}

/// Adds to the journal and the log of a run that goes on.
fn add(
    connection: &Connection,
    (run, fence): (i64, i64),
    made: &Made,
    large: &Large,
) -> Result<(), Error> {
    journal::insert(connection, run, fence, &made.records, large)?;
    connection
        .prepare_cached("UPDATE queue SET log_lines = log_lines + ?2, loose = ?3 WHERE run = ?1")?
        .execute(params![run, made.log_lines, made.loose])?;
    if made.log_lines > 0 {
        connection
            .prepare_cached(
                "INSERT INTO log_pieces (run, number, lines)
                 SELECT ?1, coalesce(max(number) + 1, 0), ?2 FROM log_pieces WHERE run = ?1",
            )?
            .execute(params![run, made.log])?;
    }
    Ok(())
}

fn let_go(connection: &Connection, run: i64, state: &str, due: Option<i64>) -> Result<(), Error> {
    connection
        .prepare_cached(
            "UPDATE queue SET state = ?2, due = iif(cancelled, 0, coalesce(?3, due)), owner = NULL WHERE run = ?1",
        )?
        .execute(params![run, state, due])?;
    Ok(())
}

/// Gives a run its outcome, and takes it out of the queue.
pub(super) fn finish(
    connection: &Connection,
    run: i64,
    (log, log_lines): (&str, u32),
    end: &End,
    large: &Large,
) -> Result<(), Error> {
    connection
        .prepare_cached(
            "UPDATE runs SET outcome = ?2, reason = ?3, answer = ?4, log = ?5, log_lines = queue.log_lines + ?6,
                             started_at = queue.started_at, ended_at = ?7, isolation = ?8, steps = ?9
               FROM queue WHERE runs.number = ?1 AND queue.run = ?1",
        )?
        .execute(params![
            run,
            end.state.name(),
            end.reason,
            large.stand(Part::Answer, &end.answer),
            log,
            log_lines,
            end.ended_at,
            end.isolation,
            end.steps,
        ])?;
    connection
        .prepare_cached("DELETE FROM queue WHERE run = ?1")?
        .execute([run])?;
    callbacks::ended(connection, run, end.ended_at)
}

/// Keeps what a run has stored.
fn keep(connection: &Connection, run: i64, end: &End) -> Result<(), Error> {
    if end.stored.is_empty() {
        return Ok(());
    }
    let program = connection
        .prepare_cached("SELECT account, program FROM runs WHERE number = ?1")?
        .query_row([run], |row| Ok((row.get(0)?, row.get(1)?)))?;
    storage::put(connection, program, &end.stored)
}
