//! When time triggers are due.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use engine::schedule::{Cron, Schedule};
use jiff::civil::{Time, time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Unit, Zoned};
use proptest::prelude::*;

fn schedule(cron: Cron, zone: &str) -> Schedule {
    Schedule::cron(cron, TimeZone::get(zone).unwrap(), "")
}

fn cron(text: &str, zone: &str) -> Schedule {
    schedule(Cron::read(text).unwrap(), zone)
}

/// Checks the next times after a moment, as they are in the zone.
#[track_caller]
fn due(schedule: &Schedule, after: &str, expected: &[&str]) {
    let mut moment: Timestamp = after.parse().unwrap();
    let mut found = Vec::new();
    for _ in expected {
        moment = schedule.after(moment).unwrap();
        let zoned = moment.to_zoned(schedule.zone().clone());
        found.push(zoned.strftime("%Y-%m-%d %H:%M %:z").to_string());
    }
    assert_eq!(found, expected);
}

#[test]
fn minutes_and_hours_are_those_of_real_time() {
    due(
        &Schedule::every(600, ""),
        "2026-03-01T10:07:30Z",
        &["2026-03-01 10:10 +00:00", "2026-03-01 10:20 +00:00"],
    );
    due(
        &Schedule::every(3600, ""),
        "2026-03-01T10:00:00Z",
        &["2026-03-01 11:00 +00:00"],
    );
}

#[test]
fn a_time_of_day_that_comes_twice_counts_once() {
    // The clocks go back from 03:00 to 02:00.
    let daily = schedule(Cron::daily(time(2, 30, 0, 0)), "Europe/Berlin");
    due(
        &daily,
        "2026-10-24T10:00:00Z",
        &["2026-10-25 02:30 +02:00", "2026-10-26 02:30 +01:00"],
    );
    due(&daily, "2026-10-25T00:45:00Z", &["2026-10-26 02:30 +01:00"]);
}

#[test]
fn a_time_of_day_that_does_not_come_counts_when_the_clocks_are_put_forward() {
    // The clocks go from 02:00 to 03:00.
    let daily = schedule(Cron::daily(time(2, 30, 0, 0)), "Europe/Berlin");
    due(
        &daily,
        "2026-03-28T10:00:00Z",
        &["2026-03-29 03:00 +02:00", "2026-03-30 02:30 +02:00"],
    );
    let several = cron("0,20,40 2 * * *", "Europe/Berlin");
    due(
        &several,
        "2026-03-28T01:40:00Z",
        &["2026-03-29 03:00 +02:00", "2026-03-30 02:00 +02:00"],
    );
    // A whole day that did not come.
    let apia = schedule(Cron::daily(time(12, 0, 0, 0)), "Pacific/Apia");
    due(
        &apia,
        "2011-12-29T12:00:00Z",
        &[
            "2011-12-29 12:00 -10:00",
            "2011-12-31 00:00 +14:00",
            "2011-12-31 12:00 +14:00",
        ],
    );
}

#[test]
fn a_cron_for_every_hour_goes_by_real_time() {
    let half = cron("*/30 * * * *", "Europe/Berlin");
    due(
        &half,
        "2026-10-25T00:00:00Z",
        &[
            "2026-10-25 02:30 +02:00",
            "2026-10-25 02:00 +01:00",
            "2026-10-25 02:30 +01:00",
            "2026-10-25 03:00 +01:00",
        ],
    );
    due(
        &half,
        "2026-03-29T00:00:00Z",
        &[
            "2026-03-29 01:30 +01:00",
            "2026-03-29 03:00 +02:00",
            "2026-03-29 03:30 +02:00",
        ],
    );
}

#[test]
fn months_without_the_day_are_left_out() {
    let noon = || Cron::daily(time(12, 0, 0, 0));
    due(
        &schedule(noon().on_day(31), "UTC"),
        "2026-01-31T12:00:00Z",
        &["2026-03-31 12:00 +00:00", "2026-05-31 12:00 +00:00"],
    );
    due(
        &schedule(noon().on_last_day(), "UTC"),
        "2028-01-31T12:00:00Z",
        &["2028-02-29 12:00 +00:00", "2028-03-31 12:00 +00:00"],
    );
    due(
        &cron("0 0 29 2 *", "UTC"),
        "2097-01-01T00:00:00Z",
        &["2104-02-29 00:00 +00:00"],
    );
    due(
        &schedule(noon().on_weekday(1), "UTC"),
        "2026-11-25T00:00:00Z",
        &["2026-11-30 12:00 +00:00", "2026-12-07 12:00 +00:00"],
    );
}

#[test]
fn crons_are_those_of_posix_with_steps_and_names() {
    let now = "2026-11-25T06:01:00Z";
    let cases = [
        ("0 5,17 * * *", "2026-11-25 17:00 +00:00"),
        ("0 5 * * mon", "2026-11-30 05:00 +00:00"),
        ("*/15 * * * *", "2026-11-25 06:15 +00:00"),
        ("0 */4 * * *", "2026-11-25 08:00 +00:00"),
        // Either the day of the month or the day of the week.
        ("0 0 27 * fri", "2026-11-27 00:00 +00:00"),
        ("0 0 1 * thu", "2026-11-26 00:00 +00:00"),
        ("0 0 * dec 7", "2026-12-06 00:00 +00:00"),
        ("59 23 31 12 *", "2026-12-31 23:59 +00:00"),
        ("5-10/2 1 * * *", "2026-11-26 01:05 +00:00"),
        ("10/20 6 * * *", "2026-11-25 06:10 +00:00"),
    ];
    for (text, expected) in cases {
        due(&cron(text, "UTC"), now, &[expected]);
    }
}

#[test]
fn what_is_wrong_with_a_cron_is_told() {
    let cases = [
        ("* * * *", "a cron has five fields, and this one has 4"),
        ("* * * * * *", "a cron has five fields, and this one has 6"),
        ("@daily", "a cron has five fields, and this one has 1"),
        ("60 * * * *", "the minute cannot be `60`"),
        ("* 24 * * *", "the hour cannot be `24`"),
        ("* * 0 * *", "the day of the month cannot be `0`"),
        ("* * * foo *", "the month cannot be `foo`"),
        ("* * * * mo", "the day of the week cannot be `mo`"),
        ("* * L * *", "the day of the month cannot be `L`"),
        (
            "5-1 * * * *",
            "the minute `5-1` is a range that ends before it begins",
        ),
        (
            "*/0 * * * *",
            "the minute `*/0` has a step that is no number from 1 on",
        ),
        (",1 * * * *", "the minute cannot be ``"),
        ("0 0 30 2 *", "this day never comes"),
        ("0 0 31 4,6 *", "this day never comes"),
    ];
    for (text, message) in cases {
        assert_eq!(Cron::read(text).unwrap_err().message, message, "{text}");
    }
}

#[test]
fn the_times_of_a_day_are_in_order() {
    let cron = Cron::read("30,0 7-9/2 * * *").unwrap();
    let times: Vec<Time> = cron.times().collect();
    let expected = [(7, 0), (7, 30), (9, 0), (9, 30)];
    assert_eq!(
        times,
        expected.map(|(hour, minute)| time(hour, minute, 0, 0))
    );
}

fn minute() -> Span {
    Span::new().minutes(1)
}

/// The next time that a cron says, looked for minute by minute.
fn naive(cron: &Cron, zone: &TimeZone, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
    let mut moment = after.round(Unit::Minute).unwrap();
    while moment <= after {
        moment += minute();
    }
    let mut before = (moment - minute()).to_zoned(zone.clone());
    while moment <= until {
        let now = moment.to_zoned(zone.clone());
        if naive_due(cron, &before, &now) {
            return Some(moment);
        }
        before = now;
        moment += minute();
    }
    None
}

fn naive_due(cron: &Cron, before: &Zoned, now: &Zoned) -> bool {
    let here = |at: jiff::civil::DateTime| cron.is_on(at.date()) && cron.is_at(at.time());
    if cron.by_real_time() {
        return here(now.datetime());
    }
    // The clocks were put back: this time has been before.
    let earlier = now.time_zone().to_ambiguous_timestamp(now.datetime());
    if earlier.is_ambiguous() && earlier.compatible().unwrap() != now.timestamp() {
        return false;
    }
    // Every time of day that has come since the minute before, of which some may not exist.
    let mut at = before.datetime();
    while at < now.datetime() {
        at += minute();
        if here(at) {
            return true;
        }
    }
    false
}

fn field(least: u32, most: u32) -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just("*".to_owned()),
        3 => (least..=most).prop_map(|number| number.to_string()),
        1 => (1..=12_u32).prop_map(|step| format!("*/{step}")),
        1 => (least..=most, least..=most)
            .prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        1 => prop::collection::vec(least..=most, 1..4)
            .prop_map(|all| all.iter().map(u32::to_string).collect::<Vec<_>>().join(",")),
    ]
}

const ZONES: [&str; 5] = [
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
];

/// About the times at which clocks are put forward and back, and other times.
const STARTS: [&str; 8] = [
    "2026-03-08T05:00:00Z",
    "2026-03-29T00:00:00Z",
    "2026-10-25T00:00:00Z",
    "2026-11-01T05:00:00Z",
    "2026-04-04T14:00:00Z",
    "2026-10-03T14:00:00Z",
    "2026-02-15T02:00:00Z",
    "2026-07-01T00:00:00Z",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_time_is_the_one_found_minute_by_minute(
        (minute, hour) in (field(0, 59), field(0, 23)),
        (day, weekday) in (field(1, 31), field(0, 7)),
        zone in prop::sample::select(&ZONES[..]),
        (start, offset) in (prop::sample::select(&STARTS[..]), -300_000..300_000_i64),
    ) {
        let text = format!("{minute} {hour} {day} * {weekday}");
        let Ok(cron) = Cron::read(&text) else { return Ok(()) };
        let zone = TimeZone::get(zone).unwrap();
        let start: Timestamp = start.parse().unwrap();
        let mut moment = start + Span::new().seconds(offset);
        let until = moment + Span::new().hours(24 * 5);
        let schedule = Schedule::cron(cron.clone(), zone.clone(), "");
        for _ in 0..20 {
            let next = schedule.after(moment);
            let within = next.filter(|next| *next <= until);
            prop_assert_eq!(within, naive(&cron, &zone, moment, until), "{} after {}", text, moment);
            let Some(next) = within else { break };
            prop_assert!(next > moment);
            moment = next;
        }
    }
}
