//! How much work our own words have done in the evaluation that a thread is at; the library counts only
//! that of its words.

use std::cell::Cell;

/// The most values that are gone through in one evaluation.
const MOST: usize = 20_000_000;

thread_local! {
    static LEFT: Cell<usize> = const { Cell::new(MOST) };
}

/// An evaluation begins.
pub(crate) fn begin() {
    LEFT.set(MOST);
}

/// So many values were gone through.
pub(super) fn did(values: usize) -> Result<(), String> {
    match LEFT.get().checked_sub(values) {
        Some(left) => {
            LEFT.set(left);
            Ok(())
        }
        None => Err("this takes too much work".to_owned()),
    }
}
