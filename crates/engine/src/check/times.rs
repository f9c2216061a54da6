//! Time triggers: when they are due.

use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::{Checker, meant};
use crate::document::{Content, Node};
use crate::plan::Timer;
use crate::problem::{Place, Problem};
use crate::program::{self, Every};
use crate::read::cut;
use crate::schedule::{Cron, Schedule, WEEKDAYS_IN_FULL, weekday};
use crate::value::Value;

impl<'n> Checker<'n> {
    /// A time trigger, if it makes sense.
    pub(super) fn timer(&mut self, timer: program::Timer, node: &'n Node) -> Option<Timer> {
        let settings = node.member("time").map_or(node, |(_, settings)| settings);
        let schedule = self.schedule(&timer, settings)?;
        Some(Timer {
            schedule,
            active: timer.active.unwrap_or(true),
            missed: timer.missed.unwrap_or_default(),
            overlap: timer.overlap.unwrap_or_default(),
        })
    }

    fn schedule(&mut self, timer: &program::Timer, node: &'n Node) -> Option<Schedule> {
        let zone = self.zone(timer, node);
        let every = match (timer.every, &timer.cron) {
            (Some(every), None) => every,
            (None, Some(cron)) => return self.cron(cron, zone?, node),
            (Some(_), Some(_)) => {
                let help = "leave out one of them";
                return self.misplaced(node, "cron", "`cron` stands in place of `every`", help);
            }
            // What is wrong with it is a problem already.
            (None, None) if node.member("every").or(node.member("cron")).is_some() => return None,
            (None, None) => {
                let message = "a time trigger says `every` or `cron`";
                let help =
                    "such as `time: {every: day, at: \"15:52\"}` or `time: {cron: 0 5 * * mon}`";
                return self.misplaced(node, "", message, help);
            }
        };
        let seconds = match every {
            Every::Minute => 60,
            Every::TenMinutes => 600,
            Every::Hour => 3600,
            _ => return self.days(every, zone, timer, node),
        };
        for name in ["at", "on", "zone"] {
            if node.member(name).is_some() {
                let message = format!("`{name}` is for every day, week or month");
                let help = format!("leave out `{name}`: every {} needs none", every.name());
                self.misplaced::<()>(node, name, &message, &help);
            }
        }
        Some(Schedule::every(seconds, format!("every {}", every.name())))
    }

    /// At a time of day, on some days.
    fn days(
        &mut self,
        every: Every,
        zone: Option<(TimeZone, &str)>,
        timer: &program::Timer,
        node: &'n Node,
    ) -> Option<Schedule> {
        let time = self.at(timer, node);
        let on = timer.on.map(|on| self.reader.literals[on.at].clone());
        let cron = Cron::daily(time.unwrap_or_default());
        let (cron, day) = match every {
            Every::Week => self.weekday(cron, on, node)?,
            Every::Month => self.day(cron, on, node)?,
            _ if on.is_some() => {
                let help = "leave it out, or write `every: week`";
                return self.misplaced(node, "on", "`on` is for every week or month", help);
            }
            _ => (cron, String::new()),
        };
        let ((zone, name), time) = zone.zip(time)?;
        let caption = format!(
            "every {}{day} at {} ({name})",
            every.name(),
            time.strftime("%H:%M")
        );
        Some(Schedule::cron(cron, zone, caption))
    }

    fn cron(
        &mut self,
        text: &str,
        (zone, name): (TimeZone, &str),
        node: &'n Node,
    ) -> Option<Schedule> {
        for name in ["at", "on"] {
            if node.member(name).is_some() {
                let message = format!("`{name}` is for `every`, and this is a `cron`");
                self.misplaced::<()>(node, name, &message, "the cron has it in its fields");
            }
        }
        match Cron::read(text) {
            Ok(cron) => {
                let fields: Vec<&str> = text.split_whitespace().collect();
                let caption = format!("cron {} ({name})", fields.join(" "));
                Some(Schedule::cron(cron, zone, caption))
            }
            Err(wrong) => self.misplaced(node, "=cron", &wrong.message, &wrong.help),
        }
    }

    fn zone<'t>(
        &mut self,
        timer: &'t program::Timer,
        node: &'n Node,
    ) -> Option<(TimeZone, &'t str)> {
        let name = timer.zone.as_deref().unwrap_or("UTC");
        if let Ok(zone) = TimeZone::get(name) {
            return Some((zone, name));
        }
        let message = format!("there is no time zone `{}`", cut(name));
        let known: Vec<String> = jiff::tz::db()
            .available()
            .map(|name| name.to_string())
            .collect();
        let place = value_place(node, "zone");
        let problem =
            Problem::new(place, message).did_you_mean(name, known.iter().map(String::as_str));
        self.reader
            .problem_or(problem, || "such as `Europe/Berlin` or `UTC`".to_owned());
        None
    }

    fn at(&mut self, timer: &program::Timer, node: &'n Node) -> Option<Time> {
        let Some(text) = &timer.at else {
            return Some(Time::midnight());
        };
        let time = time_of_day(text);
        if time.is_none() {
            let message = format!("`{}` is no time of day", cut(text));
            self.misplaced::<()>(node, "=at", &message, "write it as `15:52` or `3:52pm`");
        }
        time
    }

    fn weekday(&mut self, cron: Cron, on: Option<Value>, node: &'n Node) -> Option<(Cron, String)> {
        let help = "write a day, such as `on: monday`";
        let Some(on) = on else {
            return self.misplaced(node, "every", "every week needs `on`", help);
        };
        match weekday(&on.to_string()) {
            Some(day) => {
                let name = WEEKDAYS_IN_FULL[day as usize];
                Some((cron.on_weekday(day), format!(" on {name}")))
            }
            None => {
                let message = format!("`{}` is no day of the week", cut(&on.to_string()));
                self.misplaced(node, "=on", &message, help)
            }
        }
    }

    fn day(&mut self, cron: Cron, on: Option<Value>, node: &'n Node) -> Option<(Cron, String)> {
        let help = "write a day from 1 to 31, or `last day`";
        match on {
            None => self.misplaced(node, "every", "every month needs `on`", help),
            Some(Value::Integer(day @ 1..=31)) => {
                Some((cron.on_day(day as u32), format!(" on day {day}")))
            }
            Some(Value::Text(text)) if text.eq_ignore_ascii_case("last day") => {
                Some((cron.on_last_day(), " on the last day".to_owned()))
            }
            Some(other) => {
                let message = format!("`{}` is no day of a month", cut(&other.to_string()));
                self.misplaced(node, "=on", &message, help)
            }
        }
    }

    /// Notes a problem at a setting, with `=` before its name at its value, and gives nothing.
    fn misplaced<T>(&mut self, node: &Node, name: &str, message: &str, help: &str) -> Option<T> {
        let place = match name.strip_prefix('=') {
            Some(name) => value_place(node, name),
            None => meant(node, name).map_or(node.head(), |(key, _)| key.place),
        };
        self.reader.problem(Problem::new(place, message).help(help));
        None
    }
}

fn value_place(node: &Node, name: &str) -> Place {
    match &node.content {
        Content::Record(_) => node
            .member(name)
            .map_or(node.head(), |(_, value)| value.place),
        _ => node.head(),
    }
}

/// Reads a time of day: `15:52`, `3:52pm`, `3 pm`.
fn time_of_day(text: &str) -> Option<Time> {
    let text = text.trim().to_ascii_lowercase();
    let (clock, half) = match (text.strip_suffix("am"), text.strip_suffix("pm")) {
        (Some(clock), _) => (clock.trim(), Some(0)),
        (_, Some(clock)) => (clock.trim(), Some(12)),
        _ => (&*text, None),
    };
    let (hour, minute) = match (clock.split_once(':'), half) {
        (Some((hour, minute)), _) if minute.len() == 2 => (hour, minute),
        (None, Some(_)) => (clock, "0"),
        _ => return None,
    };
    let number = |text: &str| {
        let digits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<i8>().ok().filter(|_| digits)
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let hour = match half {
        None => hour,
        Some(half) => (1..=12).contains(&hour).then_some(hour % 12 + half)?,
    };
    Time::new(hour, minute, 0, 0).ok()
}
