//! When a time trigger is due.
//!
//! Times of day are those of a time zone, whose clocks are put forward and back. A time of day that comes twice counts the
//! first time; one that does not come counts at the moment at which the clocks are put forward, once even where several do
//! not come. What goes by the minute or the hour goes by real time: it comes in both passes of an hour that comes twice, and
//! nothing is made up for one that does not come. A cron goes by real time where its hour field is `*`.

mod cron;

use std::fmt;
use std::sync::Arc;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp};

pub use self::cron::{Cron, WEEKDAYS_IN_FULL, Wrong, weekday};

/// How many days are looked through for the next time. Between two that are the same day of the year and of the week at most
/// so many pass, leap days in centuries included.
const DAYS: usize = 366 * 41;

/// When something is due, again and again.
#[derive(Clone, Debug)]
pub struct Schedule {
    rule: Rule,
    zone: TimeZone,
    caption: Arc<str>,
}

#[derive(Clone, Debug)]
enum Rule {
    /// At every multiple of so many seconds.
    Every(i64),
    /// At the times of day, on the days.
    Cron(Cron),
}

impl Schedule {
    /// At every multiple of so many seconds since 1970, which is at full minutes and hours.
    pub fn every(seconds: i64, caption: impl Into<Arc<str>>) -> Schedule {
        Schedule {
            rule: Rule::Every(seconds),
            zone: TimeZone::UTC,
            caption: caption.into(),
        }
    }

    /// At the times that a cron says, in a zone.
    pub fn cron(cron: Cron, zone: TimeZone, caption: impl Into<Arc<str>>) -> Schedule {
        Schedule {
            rule: Rule::Cron(cron),
            zone,
            caption: caption.into(),
        }
    }

    /// The zone whose times of day count.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The first time that it is due after a moment; nothing where it never is again.
    pub fn after(&self, moment: Timestamp) -> Option<Timestamp> {
        match &self.rule {
            Rule::Every(seconds) => {
                let next = (moment.as_second().div_euclid(*seconds) + 1) * seconds;
                Timestamp::from_second(next).ok()
            }
            Rule::Cron(cron) if cron.by_real_time() => self.minute_after(cron, moment),
            Rule::Cron(cron) => self.time_after(cron, moment),
        }
    }

    /// The first minute of real time after a moment that a cron says.
    fn minute_after(&self, cron: &Cron, moment: Timestamp) -> Option<Timestamp> {
        let mut date = self.zone.to_datetime(moment).date();
        let mut from = Timestamp::from_second((moment.as_second().div_euclid(60) + 1) * 60).ok()?;
        for _ in 0..DAYS {
            let tomorrow = date.tomorrow().ok()?;
            let end = self.zone.to_timestamp(tomorrow.at(0, 0, 0, 0)).ok()?;
            if cron.is_on(date) {
                while from < end {
                    let local = self.zone.to_datetime(from);
                    if cron.is_at(local.time()) && local.date() == date {
                        return Some(from);
                    }
                    from = from.checked_add(Span::new().minutes(1)).ok()?;
                }
            }
            (date, from) = (tomorrow, from.max(end));
        }
        None
    }

    /// The first time of day after a moment that a cron says.
    fn time_after(&self, cron: &Cron, moment: Timestamp) -> Option<Timestamp> {
        let mut date = self.zone.to_datetime(moment).date();
        for _ in 0..DAYS {
            if cron.is_on(date) {
                let mut due = cron.times().filter_map(|time| self.due(date, time));
                if let Some(due) = due.find(|due| *due > moment) {
                    return Some(due);
                }
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    /// The moment of a time of day.
    fn due(&self, date: Date, time: Time) -> Option<Timestamp> {
        let local = DateTime::from_parts(date, time);
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        match ambiguous.offset() {
            AmbiguousOffset::Gap { before, .. } => {
                let beyond = before.to_timestamp(local).ok()?;
                let next = beyond.checked_add(Span::new().nanoseconds(1)).ok()?;
                let jump = self.zone.preceding(next).next();
                Some(jump.map_or(beyond, |jump| jump.timestamp()))
            }
            _ => ambiguous.compatible().ok(),
        }
    }
}

/// What it is called: `every day at 15:52 (Europe/Berlin)`.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.caption)
    }
}
