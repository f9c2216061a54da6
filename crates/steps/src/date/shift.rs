//! Adds lengths of time to dates.

use engine::context::Cx;
use engine::date::Date;
use engine::field::{Input, Output};
use engine::run::Failure;
use jiff::Span;
use schemars::JsonSchema;
use serde::Deserialize;

/// A date and a length of time, of which at least one part must be given.
#[derive(Deserialize, JsonSchema)]
pub struct Shift {
    /// The date.
    date: Input<Date>,
    /// How many years.
    years: Option<Input<i64>>,
    /// How many months. Where a month is too short for the day, its last day is taken.
    months: Option<Input<i64>>,
    /// How many weeks.
    weeks: Option<Input<i64>>,
    /// How many days. A moment keeps its time of day, also where clocks are changed.
    days: Option<Input<i64>>,
    /// How many hours.
    hours: Option<Input<i64>>,
    /// How many minutes.
    minutes: Option<Input<i64>>,
    /// How many seconds.
    seconds: Option<Input<i64>>,
    /// The variable for the new date.
    into: Output,
}

impl Shift {
    /// Adds the length of time as many times as `sign` says.
    pub(super) fn run(&self, cx: &mut Cx<'_>, sign: i64) -> Result<(), Failure> {
        let sum = |parts: &[(&Option<Input<i64>>, i64)]| sum(cx, parts, sign);
        let months = sum(&[(&self.years, 12), (&self.months, 1)])?;
        let days = sum(&[(&self.weeks, 7), (&self.days, 1)])?;
        let time = [(&self.hours, 3600), (&self.minutes, 60), (&self.seconds, 1)];
        let seconds = sum(&time)?;
        if months.or(days).or(seconds).is_none() {
            let message = "a length of time is needed, such as `days`, and none is given";
            return Err(Failure::new(message));
        }
        let date = cx.get(&self.date)?;
        let moved = moved(&date, [months, days, seconds]).map_err(|_| beyond())?;
        cx.set(&self.into, moved)
    }
}

/// The settings that are given added up, each times its factor; nothing where none is given.
fn sum(
    cx: &Cx<'_>,
    parts: &[(&Option<Input<i64>>, i64)],
    sign: i64,
) -> Result<Option<i64>, Failure> {
    let mut sum: Option<i64> = None;
    for (setting, factor) in parts {
        let Some(amount) = cx.get_opt(setting)? else {
            continue;
        };
        let part = amount.checked_mul(factor * sign).ok_or_else(beyond)?;
        let total = sum.unwrap_or(0).checked_add(part);
        sum = Some(total.ok_or_else(beyond)?);
    }
    Ok(sum)
}

/// The date so many months, days and seconds later. A day becomes a moment only by seconds.
fn moved(date: &Date, by: [Option<i64>; 3]) -> Result<Date, jiff::Error> {
    let [months, days, seconds] = by.map(Option::unwrap_or_default);
    let (months, days) = (Span::new().try_months(months)?, Span::new().try_days(days)?);
    match (date, by[2]) {
        (Date::Day(day), None) => Ok(Date::Day(day.checked_add(months)?.checked_add(days)?)),
        _ => {
            let moment = date.moment().checked_add(months)?.checked_add(days)?;
            let seconds = Span::new().try_seconds(seconds)?;
            Ok(Date::Moment(moment.checked_add(seconds)?))
        }
    }
}

fn beyond() -> Failure {
    Failure::new("the new date is out of range: years go from -9999 to 9999")
}
