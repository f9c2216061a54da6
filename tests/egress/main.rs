//! The guarded way out: what it reaches and what not, by `fetch`, on real sockets.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod answers;
mod door;
mod hosts;
mod redirects;
mod world;
