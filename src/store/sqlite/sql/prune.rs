//! What is not kept any more, and the space that it took.

use rusqlite::{Connection, params};

use crate::store::{Error, KEY_KEPT, Keep, Pruned};

/// The most runs, and about the most bytes of them, that go at once: others wait to write meanwhile.
const RUNS: usize = 256;
const BYTES: i64 = 8 << 20;
/// The most pages that are given back at once.
const PAGES: i64 = 1_024;
/// What a run takes beside its texts, about, in bytes.
const ROW: i64 = 256;

/// How large a database is.
struct Extent {
    /// Bytes in a page.
    page: i64,
    /// Pages of the file.
    pages: i64,
    /// Those of them that nothing is in.
    free: i64,
}

impl Extent {
    fn of(connection: &Connection) -> Result<Extent, Error> {
        let value = |name| connection.pragma_query_value(None, name, |row| row.get(0));
        Ok(Extent {
            page: value("page_size")?,
            pages: value("page_count")?,
            free: value("freelist_count")?,
        })
    }

    /// By how many bytes there is more in it than so many, less what the next runs need.
    fn over(&self, bytes: u64) -> i64 {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        (self.pages - self.free) * self.page - (bytes - bytes / 20)
    }

    /// How many pages are to be given back: those that the next runs would fill are not.
    fn spare(&self, keep: &Keep) -> i64 {
        let too_large = keep.bytes.map_or(0, |bytes| {
            let most = i64::try_from(bytes).unwrap_or(i64::MAX) / self.page;
            self.pages - most
        });
        let spare = self.free - self.pages / 4;
        too_large.max(spare).min(self.free).clamp(0, PAGES)
    }
}

/// The oldest runs that are not to be kept, as many as go at once.
pub(in super::super) fn stale(
    connection: &Connection,
    keep: &Keep,
    now: i64,
) -> Result<Vec<i64>, Error> {
    let extent = Extent::of(connection)?;
    let mut over = keep.bytes.map_or(0, |bytes| extent.over(bytes));
    let oldest = keep.time.map_or(i64::MIN, |time| now.saturating_sub(time));
    // In the order of their numbers, which is that of their calls.
    let mut statement = connection.prepare_cached(
        "SELECT number, created_at, ended_at,
                octet_length(inputs) + octet_length(answer) + octet_length(log)
                  + (SELECT coalesce(sum(octet_length(output)), 0) FROM journal WHERE journal.run = runs.number)
                  + (SELECT coalesce(sum(octet_length(lines)), 0) FROM log_pieces WHERE log_pieces.run = runs.number)
                  + (SELECT coalesce(sum(octet_length(bytes)), 0) FROM large WHERE large.run = runs.number),
                ended_at > ?1 AND EXISTS (SELECT 1 FROM idempotency WHERE idempotency.run = runs.number)
                  OR EXISTS (SELECT 1 FROM callbacks WHERE callbacks.run = runs.number AND due IS NOT NULL)
           FROM runs WHERE outcome IS NOT NULL ORDER BY number",
    )?;
    let mut rows = statement.query([now.saturating_sub(KEY_KEPT)])?;
    let (mut stale, mut bytes) = (Vec::new(), 0);
    while stale.len() < RUNS
        && bytes < BYTES
        && let Some(row) = rows.next()?
    {
        if over <= 0 && row.get::<_, i64>(1)? >= oldest {
            break;
        }
        let wanted: bool = row.get(4)?;
        if wanted || (over <= 0 && row.get::<_, i64>(2)? >= oldest) {
            continue;
        }
        let size = ROW + row.get::<_, i64>(3)?;
        (over, bytes) = (over - size, bytes + size);
        stale.push(row.get(0)?);
    }
    Ok(stale)
}

/// Forgets runs, and gives back some of the space that nothing is in.
pub(in super::super) fn prune(
    connection: &Connection,
    stale: &[i64],
    keep: &Keep,
) -> Result<Pruned, Error> {
    let mut delete =
        connection.prepare_cached("DELETE FROM runs WHERE number = ?1 AND outcome IS NOT NULL")?;
    let mut pruned = Pruned::default();
    for number in stale {
        pruned.runs += delete.execute(params![number])? as u64;
    }
    let before = Extent::of(connection)?;
    let spare = before.spare(keep);
    if spare > 0 {
        // It gives a row for each page, and stops where nobody asks for the next one.
        let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({spare})"))?;
        let mut pages = vacuum.query([])?;
        while pages.next()?.is_some() {}
        let after = Extent::of(connection)?;
        pruned.bytes = ((before.pages - after.pages) * before.page) as u64;
    }
    Ok(pruned)
}
