//! What has run, and how it went.

use std::cell::Cell;

use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use super::large::{self, Part};
use super::{callbacks, id};
use crate::store::sqlite::state;
use crate::store::{Detail, Error, Filter, LogPage, RunId, State, Summary, VersionId};

/// What a [`Summary`] is made of, after the id.
const SUMMARY: &str = "runs.program, versions.name, runs.function, runs.trigger, coalesce(runs.outcome, queue.state), runs.reason,
       runs.created_at, coalesce(runs.started_at, queue.started_at), runs.ended_at";

/// How many runs are listed by their programs at once.
const BLOCK: u32 = 256;

/// What whoever writes knows of the runs that are listed by their programs.
pub(in super::super) struct Listing {
    /// None with a greater number need be listed. It is too great after a transaction that was taken back.
    up_to: Cell<i64>,
    /// How many have come since.
    after: Cell<u32>,
}

impl Listing {
    pub fn of(connection: &Connection) -> Result<Listing, Error> {
        let up_to = connection.query_row("SELECT up_to FROM listed", [], |row| row.get(0))?;
        Ok(Listing {
            up_to: Cell::new(up_to),
            // The first run lists those that an earlier server left.
            after: Cell::new(BLOCK),
        })
    }

    /// Lists a run by its program, with those before it when they are many.
    pub fn add(&self, connection: &Connection, run: i64, program: i64) -> Result<(), Error> {
        if run <= self.up_to.get() {
            let sql = "INSERT OR IGNORE INTO runs_by_program (program, run) VALUES (?1, ?2)";
            connection.prepare_cached(sql)?.execute([program, run])?;
            return Ok(());
        }
        self.after.set(self.after.get() + 1);
        if self.after.get() < BLOCK {
            return Ok(());
        }
        connection
            .prepare_cached(
                "INSERT OR IGNORE INTO runs_by_program (program, run)
                 SELECT program, number FROM runs WHERE number > (SELECT up_to FROM listed)",
            )?
            .execute([])?;
        let sql = "UPDATE listed SET up_to = (SELECT max(number) FROM runs) RETURNING up_to";
        let mut update = connection.prepare_cached(sql)?;
        self.up_to.set(update.query_row([], |row| row.get(0))?);
        self.after.set(0);
        Ok(())
    }
}

/// Where runs are read from.
struct Source {
    /// The tables. The planner does not know of what there is little: `CROSS JOIN` goes through the first of them first.
    tables: &'static str,
    /// The numbers that they are sorted by.
    number: &'static str,
    /// The programs that are looked for.
    program: &'static str,
    /// Which of them are read.
    part: &'static str,
}

const fn whole(tables: &'static str) -> Source {
    Source {
        tables,
        number: "runs.number",
        program: "runs.program",
        part: "TRUE",
    }
}

const ALL: &[Source] = &[whole("runs LEFT JOIN queue ON queue.run = runs.number")];
const UNFINISHED: &[Source] = &[whole("queue CROSS JOIN runs ON runs.number = queue.run")];
const NOT_SUCCEEDED: &[Source] = &[whole(
    "runs INDEXED BY runs_not_succeeded LEFT JOIN queue ON queue.run = runs.number",
)];
const NOT_SUCCEEDED_OF_PROGRAM: &[Source] = &[whole(
    "runs INDEXED BY runs_not_succeeded_of_program LEFT JOIN queue ON queue.run = runs.number",
)];
/// Those that are listed, and those after them.
const OF_PROGRAM: &[Source] = &[
    Source {
        tables: "runs_by_program CROSS JOIN runs ON runs.number = runs_by_program.run
                 LEFT JOIN queue ON queue.run = runs.number",
        number: "runs_by_program.run",
        program: "runs_by_program.program",
        // The plus leaves the place where a page begins to be looked up.
        part: "+runs_by_program.run <= (SELECT up_to FROM listed)",
    },
    Source {
        part: "runs.number > (SELECT up_to FROM listed)",
        ..whole("runs NOT INDEXED LEFT JOIN queue ON queue.run = runs.number")
    },
];

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
    let (sources, outcome) = match () {
        () if unfinished => (UNFINISHED, "queue.state"),
        () if not_succeeded && program.is_some() => (
            NOT_SUCCEEDED_OF_PROGRAM,
            "runs.outcome <> 'succeeded' AND runs.outcome",
        ),
        () if not_succeeded => (
            NOT_SUCCEEDED,
            "runs.outcome <> 'succeeded' AND runs.outcome",
        ),
        () if program.is_some() => (OF_PROGRAM, "runs.outcome"),
        () => (ALL, "runs.outcome"),
    };
    let before = before.map(RunId::number);
    let state = state.map(State::name);
    let reason_is = "runs.outcome <> 'succeeded' AND runs.reason =";
    let state_is = format!("{outcome} =");
    let asked: [(&str, Option<&dyn ToSql>); 9] = [
        ("runs.account =", account.as_ref().map(|of| of as _)),
        ("{program} =", program.as_ref().map(|of| of as _)),
        ("runs.function =", function.as_ref().map(|of| of as _)),
        ("runs.trigger =", trigger.as_ref().map(|of| of as _)),
        (reason_is, reason.as_ref().map(|of| of as _)),
        (&state_is, state.as_ref().map(|of| of as _)),
        ("runs.created_at >=", from.as_ref().map(|of| of as _)),
        ("runs.created_at <", to.as_ref().map(|of| of as _)),
        ("{number} <", before.as_ref().map(|of| of as _)),
    ];
    let mut wanted = String::new();
    let mut values: Vec<&dyn ToSql> = Vec::new();
    for (is, value) in asked {
        if let Some(value) = value {
            values.push(value);
            wanted.push_str(&format!(" AND {is} ?{}", values.len()));
        }
    }
    values.push(limit);
    let select = |source: &Source| {
        let Source {
            tables,
            number,
            program,
            part,
        } = source;
        let wanted = wanted.replace("{number}", number);
        let wanted = wanted.replace("{program}", program);
        format!(
            "SELECT runs.id, {SUMMARY}, {number} AS number FROM {tables} JOIN versions ON versions.id = runs.version
              WHERE {part}{wanted}"
        )
    };
    let all = sources.iter().map(select).collect::<Vec<_>>();
    let all = all.join(" UNION ALL ");
    let mut statement = connection.prepare_cached(&format!(
        "{all} ORDER BY number DESC LIMIT ?{}",
        values.len()
    ))?;
    let rows = statement.query_map(&*values, |row| Ok(summary(row)))?;
    rows.map(|row| row?).collect()
}

pub(in super::super) fn run(connection: &Connection, id: RunId) -> Result<Option<Detail>, Error> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT runs.id, {SUMMARY}, versions.number, runs.inputs, runs.answer, coalesce(queue.log_lines, runs.log_lines),
                runs.isolation, runs.account, versions.id, runs.seed, runs.steps
           FROM runs JOIN versions ON versions.id = runs.version LEFT JOIN queue ON queue.run = runs.number
          WHERE runs.number = ?1 AND runs.id = ?2"
    ))?;
    let detail = statement.query_row(params![id.number(), id.0.as_bytes()], |row| {
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
        Ok(Ok(detail))
    });
    let Some(detail) = detail.optional()?.transpose()? else {
        return Ok(None);
    };
    let answer = |answer| large::whole(connection, id.number(), Part::Answer, answer);
    Ok(Some(Detail {
        callback: callbacks::told(connection, id)?,
        inputs: large::whole(connection, id.number(), Part::Inputs, detail.inputs)?,
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
    let last: Option<(Option<i64>, String)> = connection
        .prepare_cached("SELECT ended_at, log FROM runs WHERE number = ?1 AND id = ?2")?
        .query_row(params![id.number(), id.0.as_bytes()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
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
    let mut rows = statement.query([id.number(), from])?;
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
