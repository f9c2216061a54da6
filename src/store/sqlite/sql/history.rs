//! What has run, and how it went.

use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use super::large::{self, Part};
use super::{callbacks, id};
use crate::store::sqlite::state;
use crate::store::{Detail, Error, Filter, LogPage, RunId, State, Summary, VersionId};

/// What a [`Summary`] is made of.
const SUMMARY: &str = "runs.id, runs.program, versions.name, runs.function, runs.trigger,
       coalesce(runs.outcome, queue.state), runs.reason, runs.created_at, coalesce(runs.started_at, queue.started_at),
       runs.ended_at";

pub(in super::super) fn runs(
    connection: &Connection,
    filter: &Filter,
) -> Result<Vec<Summary>, Error> {
    let Filter {
        account,
        program,
        function,
        trigger,
        reason,
        from,
        to,
        state,
        before,
        limit,
    } = filter;
    let unfinished = matches!(state, Some(State::Queued | State::Running | State::Waiting));
    let not_succeeded = matches!(state, Some(State::Failed | State::Cancelled)) || reason.is_some();
    // Said to the planner, which does not know of what there is little: `CROSS JOIN` goes through the queue first.
    let (table, column) = match () {
        () if unfinished => (
            "queue CROSS JOIN runs ON runs.number = queue.run",
            "queue.state",
        ),
        () if not_succeeded && program.is_some() => (
            "runs INDEXED BY runs_not_succeeded_of_program LEFT JOIN queue ON queue.run = runs.number",
            "runs.outcome <> 'succeeded' AND runs.outcome",
        ),
        () if not_succeeded => (
            "runs INDEXED BY runs_not_succeeded LEFT JOIN queue ON queue.run = runs.number",
            "runs.outcome <> 'succeeded' AND runs.outcome",
        ),
        () if program.is_some() => (
            "runs INDEXED BY runs_of_program LEFT JOIN queue ON queue.run = runs.number",
            "runs.outcome",
        ),
        () => (
            "runs LEFT JOIN queue ON queue.run = runs.number",
            "runs.outcome",
        ),
    };
    let before = before.map(|id| *id.0.as_bytes());
    let state = state.map(State::name);
    let reason_is = "runs.outcome <> 'succeeded' AND runs.reason =";
    let state_is = format!("{column} =");
    let asked: [(&str, Option<&dyn ToSql>); 9] = [
        ("runs.account =", account.as_ref().map(|of| of as _)),
        ("runs.program =", program.as_ref().map(|of| of as _)),
        ("runs.function =", function.as_ref().map(|of| of as _)),
        ("runs.trigger =", trigger.as_ref().map(|of| of as _)),
        (reason_is, reason.as_ref().map(|of| of as _)),
        (&state_is, state.as_ref().map(|of| of as _)),
        ("runs.created_at >=", from.as_ref().map(|of| of as _)),
        ("runs.created_at <", to.as_ref().map(|of| of as _)),
        ("runs.id <", before.as_ref().map(|of| of as _)),
    ];
    let mut wanted = String::from("TRUE");
    let mut values: Vec<&dyn ToSql> = Vec::new();
    for (is, value) in asked {
        if let Some(value) = value {
            wanted.push_str(&format!(" AND {is} ?"));
            values.push(value);
        }
    }
    values.push(limit);
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {SUMMARY} FROM {table} JOIN versions ON versions.id = runs.version
          WHERE {wanted} ORDER BY runs.id DESC LIMIT ?"
    ))?;
    let rows = statement.query_map(&*values, |row| Ok(summary(row)))?;
    rows.map(|row| row?).collect()
}

pub(in super::super) fn run(connection: &Connection, id: RunId) -> Result<Option<Detail>, Error> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {SUMMARY}, versions.number, runs.inputs, runs.answer, coalesce(queue.log_lines, runs.log_lines),
                runs.isolation, runs.account, versions.id, runs.seed, runs.steps, runs.number
           FROM runs JOIN versions ON versions.id = runs.version LEFT JOIN queue ON queue.run = runs.number
          WHERE runs.id = ?1"
    ))?;
    let detail = statement.query_row([id.0.as_bytes()], |row| {
        let summary = match summary(row) {
            Ok(summary) => summary,
            Err(error) => return Ok(Err(error)),
        };
        let (version, inputs) = (row.get(10)?, row.get(11)?);
        let detail = Detail {
            summary,
            version,
            inputs,
            answer: row.get(12)?,
            log_lines: row.get(13)?,
            isolation: row.get(14)?,
            account: row.get(15)?,
            version_id: VersionId(row.get(16)?),
            seed: row.get(17)?,
            steps: row.get(18)?,
            callback: None,
        };
        Ok(Ok((row.get(19)?, detail)))
    });
    let Some((run, detail)) = detail.optional()?.transpose()? else {
        return Ok(None);
    };
    let answer = |answer| large::whole(connection, run, Part::Answer, answer);
    Ok(Some(Detail {
        callback: callbacks::told(connection, id)?,
        inputs: large::whole(connection, run, Part::Inputs, detail.inputs)?,
        answer: detail.answer.map(answer).transpose()?,
        ..detail
    }))
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

pub(in super::super) fn log(
    connection: &Connection,
    id: RunId,
    from: i64,
) -> Result<LogPage, Error> {
    // The run's row is read first: if it has ended, all of its pieces are there.
    let last: Option<(i64, Option<i64>, String)> = connection
        .prepare_cached("SELECT number, ended_at, log FROM runs WHERE id = ?1")?
        .query_row([id.0.as_bytes()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((run, ended_at, last)) = last else {
        return Err(Error::Conflict(format!("there is no run {id}")));
    };
    let mut page = LogPage {
        next: from,
        ..LogPage::default()
    };
    let mut statement = connection.prepare_cached(
        "SELECT number, lines FROM log_pieces WHERE run = ?1 AND number >= ?2 ORDER BY number",
    )?;
    let mut rows = statement.query(params![run, from])?;
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
