//! The packages of `python` steps, installed from an index on this machine and, where it can be reached,
//! from the real one.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod cache;
mod failures;
mod hostile;
mod index;
mod lock;
mod programs;
mod requirement;
#[path = "../support/mod.rs"]
mod support;
