//! `date`: works with dates.

mod shift;
mod text;

use std::sync::Arc;

use engine::context::Cx;
use engine::date;
use engine::field::{Input, Number, Output};
use engine::kind::{Example, Gives, Group, Step};
use engine::run::{Failure, Flow};
use engine::value::{Record, Value};
use jiff::tz::TimeZone;
use jiff::{Unit, Zoned};
use schemars::JsonSchema;
use serde::Deserialize;

use shift::Shift;
use text::{Formatted, Parsed};

/// Work with dates: the time now, dates read and written in any form, calculated with and taken apart.
///
/// A date is a whole day, such as `2020-01-15`, or a moment with its time zone. A text in ISO 8601 may
/// stand for one. Time zones go by names such as `Europe/Berlin`; times without one are in UTC. Where a
/// day is set against a moment, it begins at midnight in UTC.
///
/// A pattern is written as in Python's `strftime`: `%Y` year, `%m` month, `%d` day, `%H` hour, `%M`
/// minute, `%S` second, `%f` its fraction, `%I` and `%p` hour to 12 and AM or PM, `%A` day of the week,
/// `%B` month in words, `%z` offset, `%s` seconds since 1970. `%-d` leaves out leading zeros.
#[derive(Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Date {
    /// Get the time now. Nothing stands behind `date:` then.
    Now(Now),
    /// Read a date from a text. A text that does not fit fails the step.
    Parse(Parsed),
    /// Write a date as a text by a pattern.
    Format(Formatted),
    /// Tell a moment in another time zone. Of a day it is the first moment there.
    InTimeZone(Zone),
    /// Add a length of time. Months are added first, then days, then the time of day; any may be
    /// negative. A day stays a day unless hours, minutes or seconds are added.
    Add(Shift),
    /// Subtract a length of time, as `add` with the opposite sign.
    Subtract(Shift),
    /// How much time passes from one date to another. It is negative where the other is earlier, and
    /// has a fraction where the unit does not fit a whole number of times.
    Difference(Difference),
    /// Take a date apart: a record of `date`, `time` (such as `10:30:00`), `weekday` (such as `Monday`),
    /// `year`, `month`, `day`, `hour`, `minute`, `second`, `microsecond`, `day_of_year`, `week` (ISO
    /// 8601), `unix` (seconds since 1970) and `time_zone`.
    Parts(Apart),
}

/// Where the time is told.
#[derive(Deserialize, JsonSchema)]
pub struct Now {
    /// The time zone to tell it in; UTC by default.
    time_zone: Option<Input<Arc<str>>>,
    /// The variable for the moment.
    into: Output,
}

/// A date and a time zone.
#[derive(Deserialize, JsonSchema)]
pub struct Zone {
    /// The date.
    date: Input<date::Date>,
    /// The time zone.
    time_zone: Input<Arc<str>>,
    /// The variable for the moment.
    into: Output,
}

/// Two dates.
#[derive(Deserialize, JsonSchema)]
pub struct Difference {
    /// The date to start from.
    date: Input<date::Date>,
    /// The date to end at.
    until: Input<date::Date>,
    /// What to count in; days by default.
    #[serde(default)]
    unit: Counted,
    /// The variable for the number.
    into: Output,
}

/// What time is counted in.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Counted {
    Years,
    Months,
    Weeks,
    #[default]
    Days,
    Hours,
    Minutes,
    Seconds,
}

/// A date to be taken apart.
#[derive(Deserialize, JsonSchema)]
pub struct Apart {
    /// The date.
    date: Input<date::Date>,
    /// The time zone to tell a moment in; its own by default.
    time_zone: Option<Input<Arc<str>>>,
    /// The variable for the record.
    into: Output,
}

impl Step for Date {
    const NAME: &'static str = "date";
    const MAIN: &'static str = "date";
    const GROUP: Group = Group::Values;
    const EXAMPLES: &'static [Example] = &[
        Example {
            about: "The time now in Berlin",
            given: "",
            step: "date:\naction: now\ntime_zone: Europe/Berlin\ninto: Now",
            gives: Gives::Checked,
        },
        Example {
            about: "Read a date as it is written in Germany",
            given: "",
            step: "date: 15.01.2020\naction: parse\npattern: '%d.%m.%Y'\ninto: Day",
            gives: Gives::Variables("Day: 2020-01-15"),
        },
        Example {
            about: "Read a time in New York",
            given: "",
            step: "date: 2020-01-15 10:30\naction: parse\ntime_zone: America/New_York\ninto: Start",
            gives: Gives::Variables("Start: '2020-01-15T10:30:00-05:00'"),
        },
        Example {
            about: "Write a date in words",
            given: "",
            step: "date: 2020-01-05\naction: format\npattern: '%A, %B %-d, %Y'\ninto: Text",
            gives: Gives::Variables("Text: Sunday, January 5, 2020"),
        },
        Example {
            about: "Write a date and time as WayScript did",
            given: "Start: '2020-01-15T10:30:00Z'",
            step: "date: Start\naction: format\npattern: '%Y-%m-%d %H:%M:%S'\ntime_zone: Europe/Berlin\ninto: Text",
            gives: Gives::Variables("Text: '2020-01-15 11:30:00'"),
        },
        Example {
            about: "What time it is elsewhere",
            given: "",
            step: "date: '2020-01-15T10:30:00Z'\naction: in_time_zone\ntime_zone: Asia/Kolkata\ninto: There",
            gives: Gives::Variables("There: '2020-01-15T16:00:00+05:30'"),
        },
        Example {
            about: "A month after the last day of January",
            given: "Day: 2020-01-31",
            step: "date: Day\naction: add\nmonths: 1\ninto: Due",
            gives: Gives::Variables("Due: 2020-02-29"),
        },
        Example {
            about: "A day and a half later",
            given: "",
            step: "date: '2020-01-15T10:30:00Z'\naction: add\ndays: 1\nhours: 12\ninto: End",
            gives: Gives::Variables("End: '2020-01-16T22:30:00Z'"),
        },
        Example {
            about: "Two weeks before",
            given: "",
            step: "date: 2020-01-15\naction: subtract\nweeks: 2\ninto: Start",
            gives: Gives::Variables("Start: 2020-01-01"),
        },
        Example {
            about: "How many days to the end of the year",
            given: "",
            step: "date: 2020-01-15\naction: difference\nuntil: 2020-12-31\ninto: Days",
            gives: Gives::Variables("Days: 351"),
        },
        Example {
            about: "How many hours a shift was",
            given: "From: '2020-01-15T10:30:00Z'\nTo: '2020-01-15T18:15:00Z'",
            step: "date: From\naction: difference\nuntil: To\nunit: hours\ninto: Hours",
            gives: Gives::Variables("Hours: 7.75"),
        },
        Example {
            about: "The parts of a date",
            given: "",
            step: "date: '2020-01-15T10:30:05.5Z'\naction: parts\ninto: Parts",
            gives: Gives::Variables(
                "Parts: {date: 2020-01-15, time: '10:30:05', weekday: Wednesday, year: 2020, month: 1, day: 15, hour: 10, minute: 30, second: 5, microsecond: 500000, day_of_year: 15, week: 3, unix: 1579084205, time_zone: UTC}",
            ),
        },
        Example {
            about: "A time zone that does not exist",
            given: "",
            step: "date:\naction: now\ntime_zone: Europe/Bielefeld\ninto: Now",
            gives: Gives::Failure("there is no time zone `Europe/Bielefeld`"),
        },
    ];

    async fn run(&self, cx: &mut Cx<'_>) -> Result<Flow, Failure> {
        match self {
            Date::Now(step) => {
                let zone = zone(cx, &step.time_zone)?.unwrap_or(TimeZone::UTC);
                cx.set(&step.into, told(cx.now(), Some(zone)))?;
            }
            Date::Parse(step) => step.run(cx)?,
            Date::Format(step) => step.run(cx)?,
            Date::InTimeZone(step) => step.run(cx)?,
            Date::Add(step) => step.run(cx, 1)?,
            Date::Subtract(step) => step.run(cx, -1)?,
            Date::Difference(step) => step.run(cx)?,
            Date::Parts(step) => {
                let date = told(cx.get(&step.date)?, zone(cx, &step.time_zone)?);
                cx.set(&step.into, parts(&date.moment()))?;
            }
        }
        Ok(Flow::Next)
    }
}

impl Zone {
    fn run(&self, cx: &mut Cx<'_>) -> Result<(), Failure> {
        let zone = found(&cx.get(&self.time_zone)?)?;
        let moment = match cx.get(&self.date)? {
            date::Date::Moment(moment) => moment.with_time_zone(zone),
            date::Date::Day(day) => day.to_zoned(zone).map_err(|_| {
                Failure::new(format!("the first moment of `{day}` is out of range"))
            })?,
        };
        cx.set(&self.into, date::Date::Moment(moment))
    }
}

impl Difference {
    fn run(&self, cx: &mut Cx<'_>) -> Result<(), Failure> {
        let from = cx.get(&self.date)?.moment();
        let until = cx.get(&self.until)?.moment();
        let until = until.with_time_zone(from.time_zone().clone());
        let unit = self.unit.jiff();
        let total = from
            .until((unit, &until))
            .and_then(|span| span.total((unit, &from)))
            .map_err(|error| {
                Failure::new(format!("the time between cannot be counted: {error}"))
            })?;
        let total = match total.fract() == 0.0 {
            true => Number::Integer(total as i128),
            false => Number::Float(total),
        };
        cx.set(&self.into, total)
    }
}

impl Counted {
    fn jiff(self) -> Unit {
        match self {
            Counted::Years => Unit::Year,
            Counted::Months => Unit::Month,
            Counted::Weeks => Unit::Week,
            Counted::Days => Unit::Day,
            Counted::Hours => Unit::Hour,
            Counted::Minutes => Unit::Minute,
            Counted::Seconds => Unit::Second,
        }
    }
}

fn parts(moment: &Zoned) -> Record {
    let number = |number: i64| Value::Integer(number.into());
    let members: [(&str, Value); 14] = [
        ("date", date::Date::Day(moment.date()).into()),
        ("time", moment.strftime("%H:%M:%S").to_string().into()),
        ("weekday", moment.strftime("%A").to_string().into()),
        ("year", number(moment.year().into())),
        ("month", number(moment.month().into())),
        ("day", number(moment.day().into())),
        ("hour", number(moment.hour().into())),
        ("minute", number(moment.minute().into())),
        ("second", number(moment.second().into())),
        (
            "microsecond",
            number(i64::from(moment.subsec_nanosecond()) / 1000),
        ),
        ("day_of_year", number(moment.day_of_year().into())),
        ("week", number(moment.date().iso_week_date().week().into())),
        ("unix", number(moment.timestamp().as_second())),
        ("time_zone", moment.strftime("%:Q").to_string().into()),
    ];
    members
        .into_iter()
        .map(|(name, value)| (name.into(), value))
        .collect()
}

/// The moment told in a time zone, where one is given; a day is the same everywhere.
fn told(date: date::Date, zone: Option<TimeZone>) -> date::Date {
    match (date, zone) {
        (date::Date::Moment(moment), Some(zone)) => date::Date::Moment(moment.with_time_zone(zone)),
        (date, _) => date,
    }
}

/// The time zone that a setting names.
fn zone(cx: &Cx<'_>, setting: &Option<Input<Arc<str>>>) -> Result<Option<TimeZone>, Failure> {
    cx.get_opt(setting)?.map(|name| found(&name)).transpose()
}

fn found(name: &str) -> Result<TimeZone, Failure> {
    TimeZone::get(name).map_err(|_| {
        let name = engine::read::cut(name);
        Failure::new(format!(
            "there is no time zone `{name}`; write a name such as `Europe/Berlin`, or `UTC`"
        ))
    })
}
