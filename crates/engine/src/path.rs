//! Where a run is, so that what a step did can be found again when the run is gone through once more.

use std::fmt::Write;

/// The way from the start of a run to the step it is at: through passes of loops and calls of functions.
#[derive(Default)]
pub(crate) struct Path<'r> {
    places: Vec<Place<'r>>,
}

enum Place<'r> {
    /// A pass, counted from 0, of the loop that stands so many steps deep.
    Pass(u32, u64),
    /// A call, made by the step of this number.
    Call(&'r str),
}

impl<'r> Path<'r> {
    /// Begins the next pass of the loop that stands `nesting` steps deep.
    pub fn pass(&mut self, nesting: u32) {
        match self.places.last_mut() {
            Some(Place::Pass(of, number)) if *of == nesting => *number += 1,
            _ => self.places.push(Place::Pass(nesting, 0)),
        }
    }

    /// Leaves the step that stands `nesting` steps deep.
    pub fn leave(&mut self, nesting: u32) {
        if matches!(self.places.last(), Some(Place::Pass(of, _)) if *of >= nesting) {
            self.places.pop();
        }
    }

    /// Enters the function that the step of this number calls.
    pub fn call(&mut self, step: &'r str) {
        self.places.push(Place::Call(step));
    }

    /// Comes back from the function called last.
    pub fn back(&mut self) {
        while let Some(place) = self.places.pop() {
            if matches!(place, Place::Call(_)) {
                return;
            }
        }
    }

    /// The key of the step of this number where the run is now: `3`; `3.1[17]` in the eighteenth pass of
    /// the loop that is step 3; `3.1[17]/2` for step 2 of the function that it calls. No two steps that a
    /// run takes have one key, and the same step has the same key whenever the run is gone through.
    pub fn key(&self, step: &str) -> String {
        let mut key = String::new();
        let mut passes = Vec::new();
        for place in &self.places {
            match place {
                Place::Pass(_, number) => passes.push(*number),
                Place::Call(step) => {
                    at(&mut key, step, &mut passes);
                    key.push('/');
                }
            }
        }
        at(&mut key, step, &mut passes);
        key
    }
}

fn at(key: &mut String, step: &str, passes: &mut Vec<u64>) {
    key.push_str(step);
    for (index, pass) in passes.iter().enumerate() {
        let _ = write!(key, "{}{pass}", if index == 0 { '[' } else { ',' });
    }
    if !passes.is_empty() {
        key.push(']');
    }
    passes.clear();
}
