//! Arithmetic that keeps whole numbers whole and exact, and every number finite.

use engine::field::Number::{self, Float, Integer};
use engine::run::Failure;

use crate::bounds;

pub(super) fn add(a: Number, b: Number) -> Result<Number, Failure> {
    either(a, b, i128::checked_add, |a, b| a + b)
}

pub(super) fn subtract(a: Number, b: Number) -> Result<Number, Failure> {
    either(a, b, i128::checked_sub, |a, b| a - b)
}

pub(super) fn multiply(a: Number, b: Number) -> Result<Number, Failure> {
    either(a, b, i128::checked_mul, |a, b| a * b)
}

pub(super) fn divide(a: Number, b: Number) -> Result<Number, Failure> {
    let b = divisor(b)?;
    match (a, b) {
        (Integer(a), Integer(b)) if a.checked_rem(b).unwrap_or(0) == 0 => {
            a.checked_div(b).map(Integer).ok_or_else(too_large)
        }
        (a, b) => finite(a.float() / b.float()),
    }
}

/// What is left of `a` when `b` is taken as often as it fits; it has the sign of `b`.
pub(super) fn remainder(a: Number, b: Number) -> Result<Number, Failure> {
    let rest = either(
        a,
        divisor(b)?,
        // The one division that overflows leaves nothing.
        |a, b| Some(a.checked_rem(b).unwrap_or(0)),
        |a, b| a % b,
    )?;
    let (sign, wanted) = (rest.float(), b.float());
    match sign != 0.0 && (sign < 0.0) != (wanted < 0.0) {
        true => add(rest, b),
        false => Ok(rest),
    }
}

pub(super) fn average(numbers: &[Number]) -> Result<Number, Failure> {
    let sum = numbers
        .iter()
        .try_fold(Integer(0), |sum, number| add(sum, *number))?;
    divide(sum, Integer(numbers.len() as i128))
}

pub(super) fn power(base: Number, exponent: Number) -> Result<Number, Failure> {
    if base.float() == 0.0 && exponent.float() < 0.0 {
        divisor(base)?;
    }
    match (base, exponent) {
        (Integer(base), Integer(exponent)) if exponent >= 0 || base.abs_diff(0) == 1 => {
            whole_power(base, exponent)
                .map(Integer)
                .ok_or_else(too_large)
        }
        (base, exponent) => {
            let power = base.float().powf(exponent.float());
            if power.is_nan() {
                let message = "a negative number has no power with a fraction";
                return Err(Failure::new(message));
            }
            finite(power)
        }
    }
}

fn whole_power(base: i128, exponent: i128) -> Option<i128> {
    match base {
        1 => Some(1),
        -1 => Some(if exponent % 2 == 0 { 1 } else { -1 }),
        0 => Some(i128::from(exponent == 0)),
        _ => base.checked_pow(exponent.try_into().ok()?),
    }
}

pub(super) fn root(number: Number, degree: i64) -> Result<Number, Failure> {
    if degree < 1 {
        let message = format!("`degree` must be 1 or greater, and is {degree}");
        return Err(Failure::new(message));
    }
    if number.float() < 0.0 && degree % 2 == 0 {
        let message = format!("a negative number has no root of degree {degree}");
        return Err(Failure::new(message));
    }
    match number {
        number if degree == 1 => Ok(number),
        Integer(whole) => match whole_root(whole, degree) {
            Some(root) => Ok(Integer(root)),
            None => finite(float_root(whole as f64, degree)),
        },
        Float(float) => finite(float_root(float, degree)),
    }
}

/// The root, if it is whole.
fn whole_root(number: i128, degree: i64) -> Option<i128> {
    let near = match degree {
        2 => number.checked_isqrt()?,
        _ => float_root(number as f64, degree).round() as i128,
    };
    (near - 1..=near + 1).find(|root| whole_power(*root, degree.into()) == Some(number))
}

fn float_root(number: f64, degree: i64) -> f64 {
    match degree {
        2 => number.sqrt(),
        3 => number.cbrt(),
        _ => number.abs().powf(1.0 / degree as f64).copysign(number),
    }
}

/// Rounds as one does by hand, on the digits the number is written with: 2.675 to two places is 2.68.
pub(super) fn round(number: Number, places: i64) -> Result<Number, Failure> {
    if !(0..=15).contains(&places) {
        let message = format!("`places` must be from 0 to 15, and is {places}");
        return Err(Failure::new(message));
    }
    let Float(float) = number else {
        return Ok(number);
    };
    let whole = moved(float, places).round();
    Ok(match bounds::whole(whole) {
        Some(whole) if places == 0 => Integer(whole),
        Some(_) => Float(moved(whole, -places)),
        // So large a number has no decimal places.
        None => number,
    })
}

/// The number with its decimal point moved to the right.
fn moved(number: f64, places: i64) -> f64 {
    format!("{number}e{places}").parse().unwrap_or(number)
}

fn either(
    a: Number,
    b: Number,
    whole: fn(i128, i128) -> Option<i128>,
    float: fn(f64, f64) -> f64,
) -> Result<Number, Failure> {
    match (a, b) {
        (Integer(a), Integer(b)) => whole(a, b).map(Integer).ok_or_else(too_large),
        (a, b) => finite(float(a.float(), b.float())),
    }
}

fn divisor(number: Number) -> Result<Number, Failure> {
    match number.float() == 0.0 {
        true => Err(Failure::new("division by zero")),
        false => Ok(number),
    }
}

fn finite(number: f64) -> Result<Number, Failure> {
    match number.is_finite() {
        true => Ok(Float(number)),
        false => Err(too_large()),
    }
}

fn too_large() -> Failure {
    Failure::new(
        "the result is too large: whole numbers have at most 38 digits, others reach 1.8e308",
    )
}
