//! Who takes runs, and when.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rusqlite::{Connection, OptionalExtension, params};

use super::large::{self, Large, Part};
use super::{id, runs};
use crate::store::sqlite::state;
use crate::store::{Cancel, Claimed, Claims, End, Error, Hold, NodeId, RunId, State, VersionId};

pub(in super::super) fn claim(
    connection: &Connection,
    node: NodeId,
    limit: u32,
    now: i64,
) -> Result<Claims, Error> {
    let due = due(connection, limit, now)?;
    let full = due.len() == limit as usize;
    let runs = due.into_iter().map(|run| take(connection, run, node, now));
    let runs = runs.collect::<Result<_, _>>()?;
    let next = match full {
        true => Some(now),
        false => next(connection, now)?,
    };
    Ok(Claims { runs, next })
}

/// When the first of the runs that nobody holds is due, of those that are due after a time.
pub(in super::super) fn next(connection: &Connection, after: i64) -> Result<Option<i64>, Error> {
    Ok(connection
        .prepare_cached(
            "SELECT min(due) FROM queue INDEXED BY due WHERE owner IS NULL AND due > ?1",
        )?
        .query_row([after], |row| row.get(0))?)
}

/// Runs that are due and that nothing keeps from being at work, at most so many.
fn due(connection: &Connection, limit: u32, now: i64) -> Result<Vec<i64>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT run, limit_key, limit_max FROM queue INDEXED BY due WHERE owner IS NULL AND due <= ?1 ORDER BY due, run",
    )?;
    let mut count = connection
        .prepare_cached("SELECT count(*) FROM queue WHERE limit_key = ?1 AND state = 'running'")?;
    let mut at_work: HashMap<String, u32> = HashMap::new();
    let (mut due, mut rows) = (Vec::new(), statement.query([now])?);
    while due.len() < limit as usize
        && let Some(row) = rows.next()?
    {
        if let Some(key) = row.get::<_, Option<String>>(1)? {
            let most: u32 = row.get(2)?;
            let at_work = match at_work.entry(key) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let found = count.query_row([new.key()], |row| row.get(0))?;
                    new.insert(found)
                }
            };
            if *at_work >= most {
                continue;
            }
            *at_work += 1;
        }
        due.push(row.get(0)?);
    }
    Ok(due)
}

fn take(connection: &Connection, run: i64, node: NodeId, now: i64) -> Result<Claimed, Error> {
    connection
        .prepare_cached(
            "UPDATE queue SET state = 'running', owner = ?2, fence = fence + 1, started_at = coalesce(started_at, ?3)
              WHERE run = ?1 AND owner IS NULL",
        )?
        .execute(params![run, node.0.as_bytes(), now])?;
    let mut statement = connection.prepare_cached(
        "SELECT runs.id, queue.fence, runs.version, runs.function, runs.trigger, runs.inputs, runs.seed, queue.resumes,
                runs.created_at, queue.started_at, queue.log_lines, queue.loose, queue.cancelled,
                queue.limit_key IS NOT NULL, callbacks.url, queue.trace
           FROM queue JOIN runs ON runs.number = queue.run LEFT JOIN callbacks ON callbacks.run = queue.run
          WHERE queue.run = ?1",
    )?;
    let claimed = statement.query_row([run], |row| {
        Ok(Claimed {
            hold: Hold {
                run: id(row, 0)?,
                node,
                fence: row.get(1)?,
            },
            version: VersionId(row.get(2)?),
            function: row.get(3)?,
            trigger: row.get(4)?,
            inputs: row.get(5)?,
            seed: row.get(6)?,
            resumes: row.get(7)?,
            created_at: row.get(8)?,
            started_at: row.get(9)?,
            log_lines: row.get(10)?,
            loose: row.get(11)?,
            cancelled: row.get(12)?,
            limited: row.get(13)?,
            callback: row.get(14)?,
            trace: row.get(15)?,
        })
    })?;
    let inputs = large::whole(connection, run, Part::Inputs, claimed.inputs)?;
    Ok(Claimed { inputs, ..claimed })
}

pub(in super::super) fn cancel(
    connection: &Connection,
    id: RunId,
    now: i64,
    answer: &str,
) -> Result<Cancel, Error> {
    let run = id.number();
    let found = connection
        .prepare_cached(
            "SELECT coalesce(runs.outcome, queue.state), queue.started_at IS NOT NULL
               FROM runs LEFT JOIN queue ON queue.run = runs.number WHERE runs.number = ?1 AND runs.id = ?2",
        )?
        .query_row(params![run, id.0.as_bytes()], |row| {
            Ok((row.get::<_, String>(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((found, begun)) = found else {
        return Ok(Cancel::Unknown);
    };
    match state(&found)? {
        State::Running => {
            connection
                .prepare_cached("UPDATE queue SET cancelled = 1 WHERE run = ?1")?
                .execute([run])?;
            Ok(Cancel::Asked)
        }
        State::Queued | State::Waiting => {
            let end = End {
                state: State::Cancelled,
                reason: Some("cancelled".to_owned()),
                answer: answer.to_owned(),
                isolation: None,
                steps: None,
                stored: Vec::new(),
                ended_at: now,
            };
            runs::finish(connection, run, ("", 0), &end, &Large::default())?;
            Ok(Cancel::Ended { begun })
        }
        over => Ok(Cancel::Over(over)),
    }
}

pub(in super::super) fn queued(connection: &Connection) -> Result<u64, Error> {
    let sql = "SELECT count(*) FROM queue WHERE state = 'queued' AND started_at IS NULL";
    Ok(connection.query_row(sql, [], |row| row.get::<_, i64>(0))? as u64)
}
