//! Time triggers: when each is due, and the runs that they start.

use rusqlite::{Connection, params};

use super::runs;
use crate::fault;
use crate::store::sqlite::writer::Writing;
use crate::store::{Error, Fire, Fired, NewSchedule, Overlap, Scheduled};

/// Keeps the schedules that are wanted, and no others.
pub(in super::super) fn set(
    connection: &Connection,
    wanted: &[NewSchedule],
) -> Result<Vec<Scheduled>, Error> {
    let mut known = Vec::new();
    for schedule in wanted {
        known.push(one(connection, schedule)?);
    }
    let mut rows = connection.prepare_cached("SELECT id FROM schedules")?;
    let all = rows.query_map([], |row| row.get(0))?;
    let all: Vec<i64> = all.collect::<Result<_, _>>()?;
    let mut delete = connection.prepare_cached("DELETE FROM schedules WHERE id = ?1")?;
    for id in all
        .into_iter()
        .filter(|id| !known.iter().any(|known| known.id == *id))
    {
        delete.execute([id])?;
    }
    Ok(known)
}

fn one(connection: &Connection, schedule: &NewSchedule) -> Result<Scheduled, Error> {
    let NewSchedule {
        account,
        program,
        function,
        timer,
        next_at,
    } = schedule;
    connection
        .prepare_cached(
            "INSERT INTO schedules (account, program, function, timer, next_at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (account, program, function, timer) DO NOTHING",
        )?
        .execute(params![account, program, function, timer, next_at])?;
    let mut found = connection.prepare_cached(
        "SELECT id, next_at FROM schedules WHERE account = ?1 AND program = ?2 AND function = ?3 AND timer = ?4",
    )?;
    Ok(
        found.query_row(params![account, program, function, timer], |row| {
            Ok(Scheduled {
                id: row.get(0)?,
                next_at: row.get(1)?,
            })
        })?,
    )
}

/// Starts the runs of a schedule that is due, and sets when it is due next.
pub(in super::super) fn fire(connection: &Writing, fire: &Fire) -> Result<Fired, Error> {
    let busy = fire.overlap != Overlap::Allow && busy(connection, fire.schedule.id)?;
    if busy && fire.overlap == Overlap::Queue {
        return Ok(Fired::Busy);
    }
    // Who comes second finds that it is not due any more.
    let moved = connection
        .prepare_cached("UPDATE schedules SET next_at = ?3 WHERE id = ?1 AND next_at = ?2")?
        .execute(params![
            fire.schedule.id,
            fire.schedule.next_at,
            fire.next_at
        ])?;
    if moved == 0 {
        return Ok(Fired::Elsewhere);
    }
    fault::at("schedule.mid");
    let mut insert =
        connection.prepare_cached("INSERT INTO fires (schedule, due, run) VALUES (?1, ?2, ?3)")?;
    for (due, run) in fire.runs.iter().filter(|_| !busy) {
        let number = runs::queue(connection, run)?;
        insert.execute(params![fire.schedule.id, due, number])?;
    }
    Ok(Fired::Runs(if busy { 0 } else { fire.runs.len() as u64 }))
}

/// Whether a run of a schedule has not ended.
fn busy(connection: &Connection, schedule: i64) -> Result<bool, Error> {
    let sql = "SELECT EXISTS (SELECT 1 FROM queue JOIN fires ON fires.run = queue.run WHERE fires.schedule = ?1)";
    Ok(connection
        .prepare_cached(sql)?
        .query_row([schedule], |row| row.get(0))?)
}
