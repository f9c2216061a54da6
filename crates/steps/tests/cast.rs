//! Casts that can be undone, and those that cannot be done.

mod support;

use engine::plan::Plan;
use engine::value::{Record, Value};
use proptest::prelude::*;
use support::{given, one_step};

fn to(target: &str) -> Plan {
    one_step(
        &["V"],
        &format!("cast: '{{{{ V }}}}'\nto: {target}\ninto: R"),
    )
}

fn there_and_back(through: &Plan, back: &Plan, value: &Value) -> Result<Value, String> {
    given(back, vec![given(through, vec![value.clone()])?])
}

#[test]
fn what_becomes_text_can_be_read_again() {
    let text = to("text");
    let [number, boolean, list, record] = ["number", "boolean", "list", "record"].map(to);
    proptest!(|(whole: i128, float: f64, truth: bool, word in "\\PC{0,8}")| {
        let whole = Value::Integer(whole);
        prop_assert_eq!(there_and_back(&text, &number, &whole), Ok(whole.clone()));
        if let Some(float) = Value::float(float) {
            let again = there_and_back(&text, &number, &float);
            prop_assert!(again.is_ok_and(|again| again.same(&float)), "{float}");
        }
        prop_assert_eq!(there_and_back(&text, &boolean, &truth.into()), Ok(truth.into()));
        let items = Value::list(vec![whole.clone(), word.as_str().into(), Value::Nothing]);
        prop_assert_eq!(there_and_back(&text, &list, &items), Ok(items.clone()));
        let members: Value = Record::from_iter([(word.as_str().into(), items)]).into();
        prop_assert_eq!(there_and_back(&text, &record, &members), Ok(members.clone()));
    });
}

#[test]
fn dates_become_text_and_dates_again() {
    let (text, date) = (to("text"), to("date"));
    for written in [
        "2020-02-29",
        "2020-01-15T10:30:00Z",
        "2020-01-15T10:30:00.5-05:00",
    ] {
        let read = given(&date, vec![written.into()]);
        assert!(matches!(&read, Ok(Value::Date(_))), "{read:?}");
        let again = read.and_then(|read| given(&text, vec![read]));
        assert_eq!(again, Ok(written.into()));
    }
}

#[test]
fn whole_numbers_and_fractions_agree() {
    let (integer, float) = (to("integer"), to("float"));
    proptest!(|(small in -(1i64 << 53)..1 << 53, fraction in -1e15f64..1e15)| {
        let small = Value::Integer(small.into());
        prop_assert_eq!(there_and_back(&float, &integer, &small), Ok(small.clone()));
        let whole = given(&integer, vec![Value::Float(fraction)]);
        prop_assert_eq!(whole, Ok(Value::Integer(fraction.trunc() as i128)));
    });
}

#[test]
fn what_cannot_be_is_nothing() {
    let nothing = |target: &str, value: Value| {
        assert_eq!(
            given(&to(target), vec![value]),
            Ok(Value::Nothing),
            "{target}"
        );
    };
    nothing("integer", Value::Float(1e300));
    nothing("integer", "4.7".into());
    nothing("number", "1e999".into());
    nothing("number", Value::list(vec![]));
    nothing("text", Value::Nothing);
    nothing("date", "yesterday".into());
    nothing("list", "{}".into());
    nothing("record", "[]".into());
    let deep = "[".repeat(200) + &"]".repeat(200);
    nothing("list", deep.into());
}
