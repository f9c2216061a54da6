//! Dates: the calendar's and the clocks' odd days, and what can be undone.

mod support;

use engine::value::Value;
use proptest::prelude::*;
use support::{given, one_step};

fn result(step: &str) -> String {
    match given(&one_step(&[], &format!("date: {step}\ninto: R")), vec![]) {
        Ok(value) => value.to_string(),
        Err(message) => message,
    }
}

#[test]
fn days_follow_the_calendar_and_hours_the_clock() {
    let noon = "'2020-03-28T12:00:00[Europe/Berlin]'";
    let day = result(&format!("{noon}\naction: add\ndays: 1"));
    assert_eq!(day, "2020-03-29T12:00:00+02:00");
    let hours = result(&format!("{noon}\naction: add\nhours: 24"));
    assert_eq!(hours, "2020-03-29T13:00:00+02:00");
    let until = "until: '2020-03-29T12:00:00[Europe/Berlin]'";
    let count = |unit| {
        result(&format!(
            "{noon}\naction: difference\n{until}\nunit: {unit}"
        ))
    };
    assert_eq!(count("days"), "1");
    assert_eq!(count("hours"), "23");
}

#[test]
fn signs_may_be_mixed() {
    let step = "2020-03-31\naction: add\nyears: 1\nmonths: -1\ndays: 1";
    assert_eq!(result(step), "2021-03-01");
    assert_eq!(result("2020-03-01\naction: add\ndays: -1"), "2020-02-29");
    assert_eq!(
        result("2020-01-01\naction: add\nseconds: -1"),
        "2019-12-31T23:59:59Z"
    );
    assert_eq!(
        result("2020-01-15\naction: difference\nuntil: 2020-01-01\nunit: weeks"),
        "-2"
    );
}

#[test]
fn the_time_now_is_the_hosts() {
    assert_eq!(result("\naction: now"), support::NOW);
    let there = result("\naction: now\ntime_zone: Europe/Berlin");
    assert_eq!(there, "2020-01-15T11:30:00+01:00");
}

#[test]
fn a_day_begins_at_midnight_of_the_zone() {
    let there = result("2020-07-15\naction: in_time_zone\ntime_zone: America/New_York");
    assert_eq!(there, "2020-07-15T00:00:00-04:00");
}

#[test]
fn patterns_read_what_they_say() {
    let read = |text: &str, pattern: &str| {
        result(&format!(
            "'{text}'\naction: parse\npattern: '{pattern}'\ntime_zone: Europe/Berlin"
        ))
    };
    assert_eq!(read("1579084205", "%s"), "2020-01-15T11:30:05+01:00");
    assert_eq!(
        read("15 Jan 2020 10:30 -0500", "%d %b %Y %H:%M %z"),
        "2020-01-15T10:30:00-05:00"
    );
    assert_eq!(
        read("1/15/2020 1:05 PM", "%m/%d/%Y %I:%M %p"),
        "2020-01-15T13:05:00+01:00"
    );
    assert_eq!(read("2020-W03-3", "%G-W%V-%u"), "2020-01-15");
    let wrong = read("15.01.2020", "%Y-%m-%d");
    assert!(
        wrong.starts_with("`15.01.2020` does not fit `%Y-%m-%d`: "),
        "{wrong}"
    );
}

#[test]
fn what_cannot_be_is_said() {
    let failure = result("2020-01-15\naction: add");
    assert_eq!(
        failure,
        "a length of time is needed, such as `days`, and none is given"
    );
    let failure = result("2020-01-15\naction: add\nyears: 9000");
    assert_eq!(
        failure,
        "the new date is out of range: years go from -9999 to 9999"
    );
    let failure = result(&format!("2020-01-15\naction: add\nhours: {}", i64::MAX));
    assert_eq!(
        failure,
        "the new date is out of range: years go from -9999 to 9999"
    );
    let failure = result("2020-01-15\naction: format\npattern: '%H:%M'");
    assert!(
        failure.starts_with("`2020-01-15` cannot be written as `%H:%M`: "),
        "{failure}"
    );
    let failure = result("soon\naction: parse");
    assert_eq!(
        failure,
        "`soon` is no date; write 2020-01-15 or 2020-01-15T10:00:00Z"
    );
}

#[test]
fn days_that_are_added_are_the_difference() {
    let add = one_step(
        &["D", "N"],
        "date: D\naction: add\ndays: '{{ N }}'\ninto: R",
    );
    let back = one_step(
        &["D", "N"],
        "date: D\naction: subtract\ndays: '{{ N }}'\ninto: R",
    );
    let count = one_step(
        &["D", "E"],
        "date: D\naction: difference\nuntil: E\ninto: R",
    );
    proptest!(|(year in 1900i16..2100, month in 1i8..=12, day in 1i8..=28, days in -4000i64..4000)| {
        let date = Value::from(format!("{year:04}-{month:02}-{day:02}"));
        let days = Value::Integer(days.into());
        let later = given(&add, vec![date.clone(), days.clone()]).map_err(TestCaseError::fail)?;
        prop_assert!(matches!(&later, Value::Date(_)));
        let counted = given(&count, vec![date.clone(), later.clone()]);
        prop_assert_eq!(counted, Ok(days.clone()));
        let before = given(&back, vec![later, days]).map(|day| day.to_string());
        prop_assert_eq!(before, Ok(date.to_string()));
    });
}

#[test]
fn what_is_written_by_a_pattern_is_read_by_it() {
    let write = "date: D\naction: format\npattern: '%d.%m.%Y %H:%M:%S'\ninto: R";
    let read = "date: '{{ D }}'\naction: parse\npattern: '%d.%m.%Y %H:%M:%S'\ninto: R";
    let (write, read) = (one_step(&["D"], write), one_step(&["D"], read));
    proptest!(|(second in -60_000_000_000i64..200_000_000_000)| {
        let moment = jiff::Timestamp::from_second(second).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let text = given(&write, vec![moment.to_string().into()]).map_err(TestCaseError::fail)?;
        let again = given(&read, vec![text]).map(|date| date.to_string());
        prop_assert_eq!(again, Ok(moment.to_string()));
    });
}

#[test]
fn no_amount_or_pattern_breaks_it() {
    let add = "date: D\naction: add\nmonths: '{{ N }}'\ndays: '{{ N }}'\nhours: '{{ N }}'\ninto: R";
    let add = one_step(&["D", "N"], add);
    let write = one_step(
        &["D", "P"],
        "date: D\naction: format\npattern: '{{ P }}'\ninto: R",
    );
    let read = one_step(
        &["D", "P"],
        "date: '{{ D }}'\naction: parse\npattern: '{{ P }}'\ninto: R",
    );
    proptest!(|(number: i64, pattern in "(%[-_0^#:.]?[0-9]{0,3}[a-zA-Z%]|\\PC){0,4}")| {
        for date in ["2020-02-29", "9999-12-30", "-009999-01-03", "2020-01-15T10:30:00Z"] {
            let _ = given(&add, vec![date.into(), Value::Integer(number.into())]);
            let text = given(&write, vec![date.into(), pattern.as_str().into()]);
            let _ = given(&read, vec![text.unwrap_or_default(), pattern.as_str().into()]);
        }
    });
}
