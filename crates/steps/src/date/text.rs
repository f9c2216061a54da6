//! Reads and writes dates.

use std::sync::Arc;

use engine::context::Cx;
use engine::date::Date;
use engine::field::{Input, Output};
use engine::read::cut;
use engine::run::Failure;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{told, zone};

/// The longest pattern, in bytes.
const MAX_PATTERN: usize = 1_000;

/// A text to be read.
#[derive(Deserialize, JsonSchema)]
pub struct Parsed {
    /// The text.
    #[serde(rename = "date")]
    text: Input<Arc<str>>,
    /// How the date is written; ISO 8601 by default, such as `2020-01-15` or `2020-01-15T10:30:00Z`.
    pattern: Option<Input<Arc<str>>>,
    /// The time zone of a time that is written without one; UTC by default.
    time_zone: Option<Input<Arc<str>>>,
    /// The variable for the date.
    into: Output,
}

impl Parsed {
    pub(super) fn run(&self, cx: &mut Cx<'_>) -> Result<(), Failure> {
        let text = cx.get(&self.text)?;
        let zone = zone(cx, &self.time_zone)?.unwrap_or(TimeZone::UTC);
        let date = match cx.get_opt(&self.pattern)? {
            None => iso(&text, zone)?,
            Some(pattern) => by_pattern(&text, short(&pattern)?, zone).map_err(|error| {
                let (text, pattern) = (cut(&text), cut(&pattern));
                Failure::new(format!("`{text}` does not fit `{pattern}`: {error}"))
            })?,
        };
        cx.set(&self.into, date)
    }
}

fn iso(text: &str, zone: TimeZone) -> Result<Date, Failure> {
    let pieces = DateTimeParser::new().parse_pieces(text.trim()).ok();
    let zoneless = pieces
        .filter(|pieces| pieces.offset().is_none() && pieces.time_zone_annotation().is_none());
    let local = zoneless.and_then(|pieces| Some(pieces.date().to_datetime(pieces.time()?)));
    match local {
        Some(local) => local
            .to_zoned(zone)
            .map(Date::Moment)
            .map_err(|error| Failure::new(error.to_string())),
        None => cut(text.trim()).parse().map_err(Failure::new),
    }
}

fn by_pattern(text: &str, pattern: &str, zone: TimeZone) -> Result<Date, jiff::Error> {
    let read = BrokenDownTime::parse(pattern, text)?;
    if let Some(timestamp) = read.timestamp() {
        return Ok(Date::Moment(timestamp.to_zoned(zone)));
    }
    if read.offset().is_some() || read.iana_time_zone().is_some() {
        return read.to_zoned().map(Date::Moment);
    }
    if read.hour().is_some() {
        return read.to_datetime()?.to_zoned(zone).map(Date::Moment);
    }
    read.to_date().map(Date::Day)
}

/// A date to be written.
#[derive(Deserialize, JsonSchema)]
pub struct Formatted {
    /// The date.
    date: Input<Date>,
    /// How to write it, at most 1000 bytes.
    pattern: Input<Arc<str>>,
    /// The time zone to tell a moment in; its own by default. A day is the same in every zone.
    time_zone: Option<Input<Arc<str>>>,
    /// The variable for the text.
    into: Output,
}

impl Formatted {
    pub(super) fn run(&self, cx: &mut Cx<'_>) -> Result<(), Failure> {
        let date = told(cx.get(&self.date)?, zone(cx, &self.time_zone)?);
        let parts = match &date {
            Date::Day(day) => BrokenDownTime::from(*day),
            Date::Moment(moment) => BrokenDownTime::from(moment),
        };
        let pattern = cx.get(&self.pattern)?;
        let text = parts.to_string(short(&pattern)?).map_err(|error| {
            let pattern = cut(&pattern);
            Failure::new(format!(
                "`{date}` cannot be written as `{pattern}`: {error}"
            ))
        })?;
        cx.set(&self.into, text)
    }
}

fn short(pattern: &str) -> Result<&str, Failure> {
    match pattern.len() > MAX_PATTERN {
        true => Err(Failure::new(format!(
            "`pattern` is longer than {MAX_PATTERN} bytes"
        ))),
        false => Ok(pattern),
    }
}
