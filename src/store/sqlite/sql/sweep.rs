//! Takes the runs of servers that are gone from them.

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::large::Large;
use super::runs;
use crate::fault;
use crate::store::{Answers, DEATHS, End, Error, NodeId, RunId, State, Swept};

/// How long a run waits that a second server has died with, in microseconds; after the first it does not.
const SECOND: i64 = 10_000_000;

/// A run whose server is gone.
struct Left {
    run: i64,
    id: RunId,
    cancelled: bool,
    resumes: bool,
    deaths: i64,
    progress: i64,
}

pub(in super::super) fn sweep(
    connection: &Connection,
    node: NodeId,
    now: i64,
    answers: &Answers,
) -> Result<Swept, Error> {
    let mut swept = Swept::default();
    for left in left(connection, node)? {
        fault::at("sweep.mid");
        match verdict(&left, answers) {
            None => {
                again(connection, &left, now)?;
                swept.again += 1;
            }
            Some((state, reason, answer)) => {
                let end = End {
                    state,
                    reason: Some(reason.to_owned()),
                    answer: answer.to_owned(),
                    isolation: None,
                    steps: None,
                    stored: Vec::new(),
                    ended_at: now,
                };
                runs::finish(connection, left.run, ("", 0), &end, &Large::default())?;
                swept.ended.push(left.id);
            }
        }
    }
    // Only once nothing refers to them any more.
    connection.execute("DELETE FROM nodes WHERE id <> ?1", [node.0.as_bytes()])?;
    Ok(swept)
}

/// The runs of servers that are gone, with the deaths counted anew where they have come further.
fn left(connection: &Connection, node: NodeId) -> Result<Vec<Left>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT queue.run, runs.id, queue.cancelled, queue.resumes, queue.deaths, queue.progress,
                coalesce((SELECT max(number) FROM journal WHERE journal.run = queue.run), 0)
           FROM queue JOIN runs ON runs.number = queue.run WHERE queue.owner <> ?1",
    )?;
    let rows = statement.query_map(params![node.0.as_bytes()], |row| {
        let (before, progress): (i64, i64) = (row.get(5)?, row.get(6)?);
        let deaths = if progress > before { 0 } else { row.get(4)? };
        Ok(Left {
            run: row.get(0)?,
            id: RunId(Uuid::from_bytes(row.get(1)?)),
            cancelled: row.get(2)?,
            resumes: row.get(3)?,
            deaths: deaths + 1,
            progress,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How a run ends whose server is gone; nothing where it is gone on with.
fn verdict<'a>(left: &Left, answers: &'a Answers) -> Option<(State, &'static str, &'a str)> {
    match left {
        Left {
            cancelled: true, ..
        } => Some((State::Cancelled, "cancelled", &answers.cancelled)),
        Left { resumes: false, .. } => Some((State::Failed, "node_lost", &answers.lost)),
        left if left.deaths >= DEATHS => Some((State::Failed, "poison", &answers.poison)),
        _ => None,
    }
}

fn again(connection: &Connection, left: &Left, now: i64) -> Result<(), Error> {
    // The first time it keeps its place.
    let due = (left.deaths > 1).then_some(now + SECOND);
    connection
        .prepare_cached(
            "UPDATE queue SET state = 'queued', owner = NULL, fence = fence + 1, deaths = ?2, progress = ?3,
                              due = coalesce(?4, due)
              WHERE run = ?1",
        )?
        .execute(params![left.run, left.deaths, left.progress, due])?;
    Ok(())
}
