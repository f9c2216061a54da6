//! The journals of runs.

use rusqlite::{Connection, Row, params};

use super::large::{self, Large, Part};
use crate::store::{Error, RunId, StepRecord};

/// The most records that are read at once.
const RECORDS: u32 = 256;
/// The bytes after which no more records are read at once.
const BYTES: usize = 1 << 20;

/// Adds records; one that is there as begun is made whole.
pub(super) fn insert(
    connection: &Connection,
    run: i64,
    fence: i64,
    records: &[StepRecord],
    large: &Large,
) -> Result<(), Error> {
    if records.is_empty() {
        return Ok(());
    }
    let mut statement = connection.prepare_cached(
        "INSERT INTO journal (run, number, step, kind, status, input, output, times, clock, fence, began_at, ended_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT (run, number) DO UPDATE SET status = excluded.status, output = excluded.output,
            clock = excluded.clock, fence = excluded.fence, ended_at = excluded.ended_at
          WHERE journal.status = 'begun'",
    )?;
    for record in records {
        statement.execute(params![
            run,
            record.number,
            record.step,
            record.kind,
            record.status.name(),
            record.input,
            large.stand(Part::Output(record.number), &record.output),
            record.times,
            record.clock,
            fence,
            record.began_at,
            record.ended_at,
        ])?;
    }
    Ok(())
}

pub(in super::super) fn page(
    connection: &Connection,
    id: RunId,
    after: i64,
) -> Result<Vec<StepRecord>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT number, step, kind, status, input, output, times, clock, began_at, ended_at
           FROM journal WHERE run = ?1 AND number > ?2 ORDER BY number LIMIT ?3",
    )?;
    let mut rows = statement.query(params![id.number(), after, RECORDS])?;
    let (mut records, mut bytes) = (Vec::new(), 0);
    while bytes < BYTES
        && let Some(row) = rows.next()?
    {
        let found = record(row)?;
        let part = Part::Output(found.number);
        let output = large::whole(connection, id.number(), part, found.output)?;
        let record = StepRecord { output, ..found };
        bytes += record.output.len() + record.times.len();
        records.push(record);
    }
    Ok(records)
}

fn record(row: &Row<'_>) -> Result<StepRecord, Error> {
    let status: String = row.get(3)?;
    Ok(StepRecord {
        number: row.get(0)?,
        step: row.get(1)?,
        kind: row.get(2)?,
        status: status.parse().map_err(Error::Failed)?,
        input: row.get(4)?,
        output: row.get(5)?,
        times: row.get(6)?,
        clock: row.get(7)?,
        began_at: row.get(8)?,
        ended_at: row.get(9)?,
    })
}
