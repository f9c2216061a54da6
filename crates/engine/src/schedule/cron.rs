//! Crons of five fields: minute, hour, day of the month, month, day of the week.

use jiff::civil::{Date, Time};

/// The times of day and the days of a cron (as `crontab` of POSIX has them, with steps and names). Where both the day of the
/// month and the day of the week are given, either will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    /// From Sunday, 0, to Saturday, 6.
    weekdays: u64,
    any_hour: bool,
    any_day: bool,
    any_weekday: bool,
    last_day: bool,
}

/// What is wrong with a cron.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// What, in words.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// A field: what it is called, its bounds, and the names that its numbers have, the first for the least.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const FIELDS: [Field; 5] = [
    field("minute", 0, 59, &[]),
    field("hour", 0, 23, &[]),
    field("day of the month", 1, 31, &[]),
    field("month", 1, 12, &MONTHS),
    // 7 is Sunday as well.
    field("day of the week", 0, 7, &WEEKDAYS),
];

const fn field(name: &'static str, least: u32, most: u32, names: &'static [&'static str]) -> Field {
    Field {
        name,
        least,
        most,
        names,
    }
}

impl Cron {
    /// Reads a cron.
    ///
    /// # Errors
    /// What is wrong with it, and what to write.
    pub fn read(text: &str) -> Result<Cron, Wrong> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(Wrong {
                message: format!("a cron has five fields, and this one has {}", fields.len()),
                help:
                    "minute, hour, day of the month, month, day of the week, such as `0 5 * * mon`"
                        .to_owned(),
            });
        };
        let [minutes, hours, days, months, weekdays] = FIELDS.each_ref();
        let weekdays = weekdays.read(weekday)?;
        let cron = Cron {
            minutes: minutes.read(minute)?,
            hours: hours.read(hour)?,
            days: days.read(day)?,
            months: months.read(month)?,
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            any_hour: hour == "*",
            any_day: day == "*",
            any_weekday: weekday == "*",
            last_day: false,
        };
        match cron.comes() {
            true => Ok(cron),
            false => Err(Wrong {
                message: "this day never comes".to_owned(),
                help: "none of the months has that many days".to_owned(),
            }),
        }
    }

    /// Every day at a time.
    pub fn daily(time: Time) -> Cron {
        Cron {
            minutes: 1 << time.minute(),
            hours: 1 << time.hour(),
            days: u64::MAX,
            months: u64::MAX,
            weekdays: u64::MAX,
            any_hour: false,
            any_day: true,
            any_weekday: true,
            last_day: false,
        }
    }

    /// The same on one day of the week only, counted from Sunday.
    pub fn on_weekday(self, weekday: u32) -> Cron {
        Cron {
            weekdays: 1 << weekday,
            any_weekday: false,
            ..self
        }
    }

    /// The same on one day of the month only.
    pub fn on_day(self, day: u32) -> Cron {
        Cron {
            days: 1 << day,
            any_day: false,
            ..self
        }
    }

    /// The same on the last day of the month only.
    pub fn on_last_day(self) -> Cron {
        Cron {
            last_day: true,
            ..self
        }
    }

    /// Whether there is a month with one of its days.
    fn comes(&self) -> bool {
        let longest = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let mut months = (1..)
            .zip(longest)
            .filter(|(month, _)| has(self.months, *month));
        !self.any_weekday || months.any(|(_, days)| (1..=days).any(|day| has(self.days, day)))
    }

    /// Whether it goes by real time and not by the time of day.
    pub fn by_real_time(&self) -> bool {
        self.any_hour
    }

    /// Whether it is due on a day.
    pub fn is_on(&self, date: Date) -> bool {
        if !has(self.months, date.month() as u32) {
            return false;
        }
        if self.last_day {
            return date.day() == date.days_in_month();
        }
        let day = has(self.days, date.day() as u32);
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset() as u32);
        match (self.any_day, self.any_weekday) {
            (false, false) => day || weekday,
            _ => day && weekday,
        }
    }

    /// Whether it is due at a time of day, to the minute.
    pub fn is_at(&self, time: Time) -> bool {
        has(self.hours, time.hour() as u32) && has(self.minutes, time.minute() as u32)
    }

    /// The times of day at which it is due, in order.
    pub fn times(&self) -> impl Iterator<Item = Time> {
        let hours = (0..24).filter(|hour| has(self.hours, *hour));
        hours.flat_map(|hour| {
            let minutes = (0..60).filter(|minute| has(self.minutes, *minute));
            minutes.map(move |minute| Time::constant(hour as i8, minute as i8, 0, 0))
        })
    }
}

fn has(bits: u64, number: u32) -> bool {
    bits >> number & 1 == 1
}

/// The number of a day of the week, from Sunday, by its name: `monday`, `mon`.
pub fn weekday(name: &str) -> Option<u32> {
    let name = name.to_ascii_lowercase();
    let full = WEEKDAYS_IN_FULL.iter().position(|known| *known == name);
    let short = WEEKDAYS.iter().position(|known| *known == name);
    full.or(short).map(|at| at as u32)
}

/// The days of the week in full, from Sunday.
pub const WEEKDAYS_IN_FULL: [&str; 7] = [
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];

impl Field {
    /// Reads a field: a list of numbers, ranges and steps.
    fn read(&self, text: &str) -> Result<u64, Wrong> {
        let mut bits = 0;
        for part in text.split(',') {
            let (range, step) = match part.split_once('/') {
                None => (part, 1),
                Some((range, step)) => (range, self.step(step, part)?),
            };
            let (from, to) = match range.split_once('-') {
                _ if range == "*" => (self.least, self.most),
                None if part.contains('/') => (self.number(range)?, self.most),
                None => (self.number(range)?, self.number(range)?),
                Some((from, to)) => (self.number(from)?, self.number(to)?),
            };
            if from > to {
                return Err(self.wrong(range, "is a range that ends before it begins"));
            }
            let steps = (from..=to).step_by(step as usize);
            bits |= steps.fold(0, |bits, number| bits | 1 << number);
        }
        Ok(bits)
    }

    fn step(&self, step: &str, part: &str) -> Result<u32, Wrong> {
        let number = digits(step).filter(|step| (1..=self.most).contains(step));
        number.ok_or_else(|| self.wrong(part, "has a step that is no number from 1 on"))
    }

    fn number(&self, text: &str) -> Result<u32, Wrong> {
        let name = text.to_ascii_lowercase();
        let named = self.names.iter().position(|known| *known == name);
        let named = named.map(|at| at as u32 + self.least);
        let number = named.or_else(|| digits(text));
        let number = number.filter(|number| (self.least..=self.most).contains(number));
        number.ok_or_else(|| self.wrong(text, "cannot be"))
    }

    fn wrong(&self, text: &str, what: &str) -> Wrong {
        let text = crate::read::cut(text);
        let names = match self.names {
            [first, .., last] => format!(", or names from `{first}` to `{last}`"),
            _ => String::new(),
        };
        let message = match what {
            "cannot be" => format!("the {} cannot be `{text}`", self.name),
            what => format!("the {} `{text}` {what}", self.name),
        };
        Wrong {
            message,
            help: format!(
                "it takes `*`, numbers from {} to {}{names}, lists `1,2`, ranges `1-5` and steps `*/2`",
                self.least, self.most
            ),
        }
    }
}

fn digits(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.len() < 4 && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}
