//! Positions, sizes and numbers that are too large, and values in messages.

use std::ops::Range;

use engine::run::{Failure, Reason};
use engine::value::{self, Value};

/// The place among `length` that a position means; a negative one counts from the end.
pub(crate) fn place(position: i64, length: usize, setting: &str) -> Result<usize, Failure> {
    let found = usize::try_from(from_start(position, length)).ok();
    found.filter(|place| *place < length).ok_or_else(|| {
        Failure::new(format!(
            "`{setting}` must be a position in the list, and is {position} where {}",
            counted(length)
        ))
    })
}

/// The places from `start` up to, but not including, `end`. Negative positions count from the end;
/// what lies beyond the beginning or the end is the beginning or the end.
pub(crate) fn range(start: Option<i64>, end: Option<i64>, length: usize) -> Range<usize> {
    let held = |position: i64| from_start(position, length).clamp(0, length as i128) as usize;
    let start = held(start.unwrap_or(0));
    let end = end.map_or(length, held);
    start..end.max(start)
}

/// Refuses a result of so many bytes if no value may be that large.
pub(crate) fn size(bytes: usize) -> Result<(), Failure> {
    value::check_size(bytes).map_err(|why| Failure::new(why).because(Reason::Limit))
}

/// A number without its fraction, if it is not too large to be kept exactly.
pub(crate) fn whole(number: f64) -> Option<i128> {
    const END: f64 = (1u128 << 127) as f64;
    (number.abs() < END).then_some(number as i128)
}

/// A value in a message, cut where it is long.
pub(crate) fn shown(value: &Value) -> String {
    engine::read::cut(&value.to_string())
}

fn from_start(position: i64, length: usize) -> i128 {
    let position = i128::from(position);
    match position < 0 {
        true => position + length as i128,
        false => position,
    }
}

fn counted(length: usize) -> String {
    match length {
        0 => "there are no items".to_owned(),
        1 => "there is 1 item".to_owned(),
        _ => format!("there are {length} items"),
    }
}
