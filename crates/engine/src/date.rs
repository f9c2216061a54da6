//! Days and moments, and how they are written.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use jiff::civil;
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

/// A day of the calendar, or a moment in time together with the zone it is told in.
#[derive(Clone, Debug, PartialEq)]
pub enum Date {
    /// A whole day, written `2020-01-15`.
    Day(civil::Date),
    /// A moment, written `2020-01-15T10:00:00+01:00`.
    Moment(Zoned),
}

impl Date {
    /// The moment itself; a day counts from its first instant in UTC.
    pub fn moment(&self) -> Zoned {
        match self {
            Date::Moment(moment) => moment.clone(),
            Date::Day(day) => {
                let midnight = day.to_datetime(civil::Time::midnight());
                let instant = Offset::UTC.to_timestamp(midnight).unwrap_or(Timestamp::MIN);
                instant.to_zoned(TimeZone::UTC)
            }
        }
    }
}

impl PartialOrd for Date {
    fn partial_cmp(&self, other: &Date) -> Option<Ordering> {
        match (self, other) {
            (Date::Day(a), Date::Day(b)) => a.partial_cmp(b),
            (a, b) => a.moment().timestamp().partial_cmp(&b.moment().timestamp()),
        }
    }
}

/// Reads ISO 8601: a day, or a date and time with `Z`, an offset or a zone in brackets; a date and
/// time without any of them is taken as UTC. A blank may stand for the `T`.
impl FromStr for Date {
    type Err = String;

    fn from_str(text: &str) -> Result<Date, String> {
        let text = text.trim();
        let wrong = || format!("`{text}` is no date; write 2020-01-15 or 2020-01-15T10:00:00Z");
        if text.len() <= 10 {
            return text.parse().map(Date::Day).map_err(|_| wrong());
        }
        if text.contains('[') {
            return text.parse().map(Date::Moment).map_err(|_| wrong());
        }
        if let Ok(pieces) = jiff::fmt::temporal::DateTimeParser::new().parse_pieces(text) {
            let zone = match pieces.to_numeric_offset() {
                Some(offset) => TimeZone::fixed(offset),
                None => TimeZone::UTC,
            };
            let time = pieces.time().ok_or_else(wrong)?;
            let moment = pieces
                .date()
                .to_datetime(time)
                .to_zoned(zone)
                .map_err(|_| wrong())?;
            return Ok(Date::Moment(moment));
        }
        Err(wrong())
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Date::Day(day) => day.fmt(f),
            Date::Moment(moment) if moment.offset() == Offset::UTC => moment.timestamp().fmt(f),
            Date::Moment(moment) => moment
                .timestamp()
                .display_with_offset(moment.offset())
                .fmt(f),
        }
    }
}
