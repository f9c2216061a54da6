//! The guarded way out: what it reaches and what not, on real sockets.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod door;
mod world;
