//! Any value at all.

use engine::value::{Record, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Values of every kind, of all sizes.
pub fn values() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        any::<String>(),
        "[a-z ]{0,10}",
        select(
            &[
                "",
                " ",
                "{{ 1 }}",
                "\u{0}",
                "\u{7f}",
                "\u{2028}",
                "\u{feff}",
                "true",
                "1",
                "\"",
                "\\",
                "é你😀"
            ][..]
        )
        .prop_map(str::to_owned),
    ];
    let leaf = prop_oneof![
        Just(Value::Nothing),
        any::<bool>().prop_map(Value::from),
        any::<i8>().prop_map(|number| Value::Integer(number.into())),
        any::<i64>().prop_map(|number| Value::Integer(number.into())),
        any::<u64>().prop_map(|number| Value::Integer(number.into())),
        any::<i128>().prop_map(Value::Integer),
        select(&[i128::MAX, i128::MIN, 1 << 53, (1 << 53) + 1][..]).prop_map(Value::Integer),
        any::<f64>().prop_filter_map("finite", Value::float),
        select(
            &[
                0.0,
                -0.0,
                1.0,
                5e-324,
                -5e-324,
                2.2250738585072014e-308,
                1e308,
                f64::MAX,
                f64::MIN,
                1e21,
                1e-7,
                0.1
            ][..]
        )
        .prop_map(Value::Float),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::list),
            vec((text.clone(), inner), 0..6).prop_map(|members| {
                members
                    .into_iter()
                    .map(|(name, value)| (name.into(), value))
                    .collect::<Record>()
                    .into()
            }),
        ]
    })
}
