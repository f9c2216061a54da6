//! Runs that outlive their server: what was done is not done again, and what was not is.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod callbacks;
mod limits;
mod lost;
mod pauses;
mod resume;
mod retry;
mod sizes;
mod stored;
mod times;
mod world;
