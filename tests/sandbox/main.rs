//! Code is kept apart and bounded: in every isolation that the machine offers, run by root and by an ordinary user,
//! through the real server.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod bounds;
mod escape;
mod processes;
#[path = "../support/mod.rs"]
mod support;
mod world;
