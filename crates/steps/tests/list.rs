//! Lists against vectors.

mod support;

use engine::value::Value;
use proptest::prelude::*;
use support::{given, one_step};

fn list(numbers: &[i64]) -> Value {
    Value::list(
        numbers
            .iter()
            .map(|n| Value::Integer((*n).into()))
            .collect(),
    )
}

fn number(number: i64) -> Value {
    Value::Integer(number.into())
}

/// Where a position is in a vector, if it is in it.
fn place(position: i64, length: usize) -> Option<usize> {
    let from_start = if position < 0 {
        position + length as i64
    } else {
        position
    };
    usize::try_from(from_start).ok().filter(|at| *at < length)
}

#[test]
fn getting_and_removing_agree_with_a_vector() {
    let get = one_step(
        &["L", "I"],
        "list: L\naction: get\nindex: '{{ I }}'\ninto: R",
    );
    let removed = "list: L\naction: remove_at\nindex: '{{ I }}'\ninto: R";
    let removed = one_step(&["L", "I"], removed);
    proptest!(|(items in prop::collection::vec(-3i64..3, 0..8), at in -12i64..12)| {
        let wanted = place(at, items.len());
        let got = given(&get, vec![list(&items), number(at)]).ok();
        prop_assert_eq!(got, wanted.map(|at| number(items[at])));
        let mut rest = items.clone();
        let left = given(&removed, vec![list(&items), number(at)]).ok();
        prop_assert_eq!(left, wanted.map(|at| { rest.remove(at); list(&rest) }));
    });
}

#[test]
fn inserting_agrees_with_a_vector() {
    let insert = "list: L\naction: insert\nindex: '{{ I }}'\nvalue: 9\ninto: R";
    let insert = one_step(&["L", "I"], insert);
    proptest!(|(items in prop::collection::vec(-3i64..3, 0..8), at in -12i64..12)| {
        let end = (at == items.len() as i64).then_some(items.len());
        let wanted = place(at, items.len()).or(end).map(|at| {
            let mut items = items.clone();
            items.insert(at, 9);
            list(&items)
        });
        prop_assert_eq!(given(&insert, vec![list(&items), number(at)]).ok(), wanted);
    });
}

#[test]
fn slices_agree_with_a_vector() {
    let step = "list: L\naction: slice\nstart: '{{ S }}'\nend: '{{ E }}'\ninto: R";
    let plan = one_step(&["L", "S", "E"], step);
    proptest!(|(items in prop::collection::vec(-3i64..3, 0..8), start: i64, end in -12i64..12)| {
        for start in [start, start % 12] {
            let held = |at: i64| {
                let length = items.len() as i128;
                let at = i128::from(at);
                (if at < 0 { at + length } else { at }).clamp(0, length) as usize
            };
            let (from, to) = (held(start), held(end));
            let wanted = if from < to { list(&items[from..to]) } else { list(&[]) };
            let got = given(&plan, vec![list(&items), number(start), number(end)]);
            prop_assert_eq!(got, Ok(wanted));
        }
    });
}

#[test]
fn what_lists_have_in_common_agrees_with_looking_at_every_pair() {
    let plan = one_step(&["A", "B"], "list: A\naction: common\nother: B\ninto: R");
    let item = prop_oneof![
        (-2i64..2).prop_map(number),
        (-2i8..2).prop_map(|n| Value::Float(n.into())),
        "[ab]?".prop_map(Value::from),
        Just(Value::Nothing),
        any::<bool>().prop_map(Value::from),
        prop::collection::vec(0i64..2, 0..2).prop_map(|n| list(&n)),
        "[ab]".prop_map(|n| engine::value::Record::from_iter([(n.into(), number(1))]).into()),
    ];
    let items = prop::collection::vec(item, 0..8);
    proptest!(|(a in items.clone(), b in items.clone())| {
        let mut wanted: Vec<Value> = Vec::new();
        for x in &a {
            if b.iter().any(|y| x.same(y)) && !wanted.iter().any(|y| x.same(y)) {
                wanted.push(x.clone());
            }
        }
        let got = given(&plan, vec![Value::list(a), Value::list(b)]);
        prop_assert_eq!(got, Ok(Value::list(wanted)));
    });
}

#[test]
fn a_list_that_cannot_be_changed_is_refused_when_it_is_checked() {
    let refused = |step: &str| {
        let text = format!(
            "id: 1\nname: T\nfunctions:\n  Main:\n    steps:\n      - set: {{L: [1], T: a}}\n      - {step}\n"
        );
        support::plan(&text).err().unwrap_or_default()
    };
    let problem = refused("{list: [1], action: append, value: 2}");
    assert!(
        problem.contains("this `list` changes a variable, and here is none"),
        "{problem}"
    );
    let problem = refused("{text: T, action: append, value: b}");
    assert!(
        problem.contains(r#"write the variable as `"{{ T }}"`"#),
        "{problem}"
    );
    assert_eq!(
        refused("{list: L, action: append, value: 2, show: [L]}"),
        ""
    );
    assert_eq!(
        refused("{list: [1], action: append, value: 2, into: M, show: [M]}"),
        ""
    );
}

#[test]
fn a_list_that_would_grow_too_large_stays_as_it_was() {
    let half = "x".repeat(engine::value::MAX_SIZE / 2);
    let plan = one_step(&["R", "V"], "list: R\naction: append\nvalue: '{{ V }}'");
    let one = given(&plan, vec![list(&[]), half.as_str().into()]);
    let failure = given(&plan, vec![one.unwrap_or_default(), half.as_str().into()]);
    assert_eq!(
        failure,
        Err("the value is larger than 16 MiB, the most one value may be".into())
    );
}
