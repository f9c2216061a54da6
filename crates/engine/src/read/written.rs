//! Where the parts of a text stand in the program that the text was read from.

use std::ops::Range;

use crate::problem::Place;

/// A text, and how it is written in the program. Escapes, folds and indentation can make the two differ.
pub(crate) struct Written<'t> {
    text: &'t str,
    raw: &'t str,
    place: Place,
    /// How far into what is written the text stands, where the two are the same.
    lead: Option<usize>,
    /// Where templates begin, in the text and in what is written.
    begins: Vec<(usize, usize)>,
}

impl<'t> Written<'t> {
    /// The text that `program` has at `place`.
    pub fn new(program: &'t str, place: Place, text: &'t str) -> Written<'t> {
        let raw = program.get(place.start..place.end).unwrap_or_default();
        let lead = raw.find(text);
        let begins = || {
            let begin = |text: &'t str| text.match_indices("{{").map(|(at, _)| at);
            begin(text).zip(begin(raw)).collect()
        };
        Written {
            text,
            raw,
            place,
            lead,
            begins: if lead.is_some() { Vec::new() } else { begins() },
        }
    }

    /// Where a part of the text stands; all of it where that cannot be told.
    pub fn place(&self, range: Range<usize>) -> Place {
        let at = |start: usize, length: usize| Place {
            start: self.place.start + start,
            end: self.place.start + start + length,
        };
        let range = range.start..range.end.min(self.text.len());
        let part = self.text.get(range.clone()).unwrap_or_default();
        if part.is_empty() {
            return self.place;
        }
        if let Some(lead) = self.lead {
            return at(lead + range.start, part.len());
        }
        // What is looked for is at the same count of its like after the template's braces.
        let next = self
            .begins
            .partition_point(|(text, _)| *text <= range.start);
        let (text, raw) = next.checked_sub(1).map_or((0, 0), |at| self.begins[at]);
        let end = self
            .begins
            .get(next)
            .map_or(self.raw.len(), |(_, raw)| *raw);
        let found = |part: &str| {
            let earlier = self.text[text..range.start].matches(part).count();
            self.raw[raw..end].match_indices(part).nth(earlier)
        };
        let first = part.split_whitespace().next().unwrap_or(part);
        match found(part).or_else(|| found(first)) {
            Some((start, part)) => at(raw + start, part.len()),
            None => self.place,
        }
    }
}
