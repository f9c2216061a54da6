//! Texts that are too large to be kept in the row that they belong to: they are compressed, and kept apart, so that
//! who reads the row for something else does not read through them.

use std::sync::Arc;

use rusqlite::{Connection, params};

use crate::store::{End, Error, Leave, Made, NewRun};

/// Texts of more bytes than this are kept apart.
const LARGE: usize = 256 << 10;
/// What stands for a text that is kept apart. No text is this: all of them are JSON.
const MARK: &str = "\u{1}";

/// Where in a run a text belongs, as the database writes it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Part {
    /// What the run starts with.
    Inputs,
    /// How it ended.
    Answer,
    /// What came of something that it did, by the number in its journal.
    Output(i64),
}

impl Part {
    fn name(self) -> String {
        match self {
            Part::Inputs => "inputs".to_owned(),
            Part::Answer => "answer".to_owned(),
            Part::Output(number) => format!("output {number}"),
        }
    }
}

/// What has texts that may be large.
pub(in super::super) trait Texts {
    fn each<'a>(&'a self, visit: &mut dyn FnMut(Part, &'a str));

    fn are_large(&self) -> bool {
        let mut large = false;
        self.each(&mut |_, text| large |= text.len() > LARGE);
        large
    }
}

impl Texts for NewRun {
    fn each<'a>(&'a self, visit: &mut dyn FnMut(Part, &'a str)) {
        visit(Part::Inputs, &self.inputs);
    }
}

impl Texts for Made {
    fn each<'a>(&'a self, visit: &mut dyn FnMut(Part, &'a str)) {
        for record in &self.records {
            visit(Part::Output(record.number), &record.output);
        }
    }
}

impl Texts for End {
    fn each<'a>(&'a self, visit: &mut dyn FnMut(Part, &'a str)) {
        visit(Part::Answer, &self.answer);
    }
}

impl Texts for Leave {
    fn each<'a>(&'a self, visit: &mut dyn FnMut(Part, &'a str)) {
        if let Leave::Ended(end) = self {
            end.each(visit);
        }
    }
}

impl<T: Texts> Texts for Arc<T> {
    fn each<'a>(&'a self, visit: &mut dyn FnMut(Part, &'a str)) {
        (**self).each(visit);
    }
}

impl<A: Texts, B: Texts> Texts for (A, B) {
    fn each<'a>(&'a self, visit: &mut dyn FnMut(Part, &'a str)) {
        self.0.each(visit);
        self.1.each(visit);
    }
}

/// The texts of some work that are kept apart, compressed.
#[derive(Default)]
pub(in super::super) struct Large(Vec<(Part, Vec<u8>)>);

impl Large {
    /// Compresses those that are large. It takes too long to be done where others wait.
    pub fn of(texts: &impl Texts) -> Large {
        let mut large = Vec::new();
        texts.each(&mut |part, text| {
            if text.len() > LARGE {
                large.push((
                    part,
                    lz4_flex::block::compress_prepend_size(text.as_bytes()),
                ));
            }
        });
        Large(large)
    }

    /// What is written in the place of a text.
    pub fn stand<'a>(&self, part: Part, text: &'a str) -> &'a str {
        match self.0.iter().any(|(large, _)| *large == part) {
            true => MARK,
            false => text,
        }
    }

    /// Writes them. One that is there already stays as it is.
    pub fn put(&self, connection: &Connection, run: i64) -> Result<(), Error> {
        for (part, bytes) in &self.0 {
            connection
                .prepare_cached(
                    "INSERT INTO large (run, part, bytes) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                )?
                .execute(params![run, part.name(), bytes])?;
        }
        Ok(())
    }
}

/// A text in a place of a run, where `found` stands there.
pub(super) fn whole(
    connection: &Connection,
    run: i64,
    part: Part,
    found: String,
) -> Result<String, Error> {
    if found != MARK {
        return Ok(found);
    }
    let bytes: Vec<u8> = connection
        .prepare_cached("SELECT bytes FROM large WHERE run = ?1 AND part = ?2")?
        .query_row(params![run, part.name()], |row| row.get(0))?;
    let damaged = |what: String| {
        let part = part.name();
        Error::Failed(format!("the {part} of run {run} is damaged: {what}"))
    };
    let text = lz4_flex::block::decompress_size_prepended(&bytes);
    let text = text.map_err(|error| damaged(error.to_string()))?;
    String::from_utf8(text).map_err(|error| damaged(error.to_string()))
}
