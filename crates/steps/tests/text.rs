//! Texts: what is cut and put together again, and what would grow too large.

mod support;

use engine::value::Value;
use proptest::prelude::*;
use support::{given, one_step};

#[test]
fn what_is_split_can_be_joined_again() {
    let split = one_step(
        &["T", "S"],
        "text: '{{ T }}'\naction: split\nseparator: '{{ S }}'\ninto: R",
    );
    let join = one_step(
        &["L", "S"],
        "text: L\naction: join\nseparator: '{{ S }}'\ninto: R",
    );
    proptest!(|(text in "[a,ü ]{0,12}", separator in "[a,ü]{1,2}")| {
        let parts = given(&split, vec![text.as_str().into(), separator.as_str().into()]);
        let parts = parts.map_err(TestCaseError::fail)?;
        let joined = given(&join, vec![parts, separator.into()]);
        prop_assert_eq!(joined, Ok(Value::from(text)));
    });
}

#[test]
fn what_stands_before_and_behind_a_position_makes_the_whole() {
    let before = "text: '{{ T }}'\naction: slice\nend: '{{ I }}'\ninto: R";
    let behind = "text: '{{ T }}'\naction: slice\nstart: '{{ I }}'\ninto: R";
    let (before, behind) = (one_step(&["T", "I"], before), one_step(&["T", "I"], behind));
    proptest!(|(text in "\\PC{0,12}", far: i64, near in -15i64..15)| {
        for at in [far, near] {
            let values = vec![Value::from(text.as_str()), Value::Integer(at.into())];
            let parts = [given(&before, values.clone()), given(&behind, values)];
            let whole: String = parts.iter().flatten().map(Value::to_string).collect();
            prop_assert_eq!(&whole, &text);
        }
    });
}

#[test]
fn a_text_that_would_grow_too_large_is_not_built() {
    let step = "text: '{{ T }}'\naction: replace\nfind: a\nreplacement: '{{ T }}'\ninto: R";
    let plan = one_step(&["T"], step);
    let failure = given(&plan, vec!["a".repeat(1 << 20).into()]);
    let wanted = "the value is larger than 16 MiB, the most one value may be";
    assert_eq!(failure, Err(wanted.to_owned()));
    let plan = one_step(
        &["T"],
        "text: '{{ T }}'\naction: split\nseparator: a\ninto: R",
    );
    let failure = given(&plan, vec!["a".repeat(2 << 20).into()]);
    assert_eq!(failure, Err(wanted.to_owned()));
}
