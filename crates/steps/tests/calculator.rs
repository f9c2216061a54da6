//! The calculator against arithmetic that cannot go wrong.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod support;

use engine::plan::Plan;
use engine::value::Value;
use proptest::prelude::*;
use support::{Still, given, one_step, run};

fn whole(number: impl Into<i128>) -> Value {
    Value::Integer(number.into())
}

fn list(numbers: &[i128]) -> Value {
    Value::list(numbers.iter().map(|n| Value::Integer(*n)).collect())
}

fn of_list(action: &str) -> Plan {
    one_step(&["L"], &format!("calculator: L\naction: {action}\ninto: R"))
}

fn of_two(action: &str, setting: &str) -> Plan {
    one_step(
        &["A", "B"],
        &format!("calculator: A\naction: {action}\n{setting}: B\ninto: R"),
    )
}

/// A fraction as a number: whole where it is.
fn fraction(above: i128, below: i128) -> Value {
    match above % below {
        0 => Value::Integer(above / below),
        _ => Value::Float(above as f64 / below as f64),
    }
}

#[test]
fn small_numbers_agree_with_a_model() {
    let [add, subtract, multiply, divide, average] =
        ["add", "subtract", "multiply", "divide", "average"].map(of_list);
    proptest!(|(a in -1000i128..1000, b in -1000i128..1000, c in -1000i128..1000)| {
        let all = || vec![list(&[a, b, c])];
        prop_assert_eq!(given(&add, all()), Ok(whole(a + b + c)));
        prop_assert_eq!(given(&subtract, all()), Ok(whole(a - b - c)));
        prop_assert_eq!(given(&multiply, all()), Ok(whole(a * b * c)));
        prop_assert_eq!(given(&average, all()), Ok(fraction(a + b + c, 3)));
        let wanted = if b == 0 { Err("division by zero".to_owned()) } else { Ok(fraction(a, b)) };
        prop_assert_eq!(given(&divide, vec![list(&[a, b])]), wanted);
    });
}

#[test]
fn powers_of_small_numbers_are_products_and_roots_undo_them() {
    let (power, root) = (of_two("power", "exponent"), of_two("root", "degree"));
    proptest!(|(base in -50i128..50, exponent in 0u32..14)| {
        let product = (0..exponent).try_fold(1i128, |product, _| product.checked_mul(base));
        let raised = given(&power, vec![whole(base), whole(exponent)]).ok();
        prop_assert_eq!(&raised, &product.map(Value::Integer));
        if let (Some(raised), true) = (raised, exponent > 0) {
            let wanted = if exponent % 2 == 0 { base.abs() } else { base };
            prop_assert_eq!(given(&root, vec![raised, whole(exponent)]), Ok(whole(wanted)));
        }
    });
}

#[test]
fn any_numbers_give_a_finite_number_or_a_failure() {
    let number = || {
        prop_oneof![
            any::<i128>().prop_map(Value::Integer),
            (-3i128..3).prop_map(Value::Integer),
            Just(Value::Integer(i128::MIN)),
            any::<f64>().prop_filter_map("finite", Value::float),
        ]
    };
    let lists = [
        "add",
        "subtract",
        "multiply",
        "divide",
        "average",
        "percent_change",
        "random",
    ];
    let lists = lists.map(of_list);
    let twos = [
        of_two("power", "exponent"),
        of_two("root", "degree"),
        of_two("remainder", "divisor"),
        of_two("round", "places"),
    ];
    proptest!(|(a in number(), b in number())| {
        let pair = || vec![Value::list(vec![a.clone(), b.clone()])];
        let all = lists.iter().map(|plan| given(plan, pair()));
        let twos = twos.iter().map(|plan| given(plan, vec![a.clone(), b.clone()]));
        for result in all.chain(twos) {
            let whole = matches!(result, Ok(Value::Integer(_)));
            let finite = matches!(result, Ok(Value::Float(float)) if float.is_finite());
            prop_assert!(whole || finite || result.is_err(), "{result:?}");
        }
    });
}

#[test]
fn what_is_left_over_lies_between_zero_and_the_divisor() {
    let plan = of_two("remainder", "divisor");
    proptest!(|(a: i128, b: i128)| {
        prop_assume!(b != 0);
        let rest = given(&plan, vec![whole(a), whole(b)]);
        let Ok(Value::Integer(rest)) = rest else {
            return Err(TestCaseError::fail(format!("{rest:?}")));
        };
        prop_assert!(rest == 0 || (rest < 0) == (b < 0));
        prop_assert!(rest.unsigned_abs() < b.unsigned_abs());
        let model = |a: i128, b: i128| a - b * (a as f64 / b as f64).floor() as i128;
        let (a, b) = (a % 1000, b % 1000 + 1000);
        prop_assert_eq!(given(&plan, vec![whole(a), whole(b)]), Ok(whole(model(a, b))));
    });
}

#[test]
fn random_numbers_reach_both_ends_and_nothing_beyond() {
    let plan = of_list("random");
    let drawn = |random, from: i64, to: i64| {
        let host = Still {
            random,
            ..Still::default()
        };
        run(&plan, &host, vec![list(&[from.into(), to.into()])]).unwrap()[0]
            .1
            .clone()
    };
    assert_eq!(drawn(0, 1, 6), whole(1));
    assert_eq!(drawn(u64::MAX, 1, 6), whole(6));
    assert_eq!(drawn(u64::MAX / 2, 1, 6), whole(3));
    assert_eq!(drawn(0, i64::MIN, i64::MAX), whole(i64::MIN));
    assert_eq!(drawn(u64::MAX, i64::MIN, i64::MAX), whole(i64::MAX));
}

#[test]
fn edges() {
    let failure = |plan: &Plan, values| given(plan, values).unwrap_err();
    let (power, root) = (of_two("power", "exponent"), of_two("root", "degree"));
    let huge = failure(&power, vec![whole(10), whole(i128::MAX)]);
    assert!(huge.starts_with("the result is too large"), "{huge}");
    let minus = failure(&of_list("divide"), vec![list(&[i128::MIN, -1])]);
    assert!(minus.starts_with("the result is too large"), "{minus}");
    assert_eq!(given(&power, vec![whole(-1), whole(-3)]), Ok(whole(-1)));
    assert_eq!(
        given(&power, vec![whole(2), whole(-1)]),
        Ok(Value::Float(0.5))
    );
    assert_eq!(
        failure(&power, vec![whole(0), whole(-1)]),
        "division by zero"
    );
    let imaginary = "a negative number has no root of degree 2";
    assert_eq!(failure(&root, vec![whole(-4), whole(2)]), imaginary);
    let square = 12_345_678_901_234_567_i128;
    assert_eq!(
        given(&root, vec![whole(square * square), whole(2)]),
        Ok(whole(square))
    );
    let round = of_two("round", "places");
    assert_eq!(
        given(&round, vec![Value::Float(-2.5), whole(0)]),
        Ok(whole(-3))
    );
    assert_eq!(
        given(&round, vec![Value::Float(1e308), whole(2)]),
        Ok(Value::Float(1e308))
    );
    let empty = failure(&of_list("add"), vec![list(&[])]);
    assert_eq!(empty, "the list of numbers is empty");
}
