//! Starts the processes that code of other languages runs in, and keeps them apart from everything else.
//!
//! The server starts its own binary again as a launcher ([`launch::run`]), one for the code of each account
//! and each set of packages. The launcher builds the walls once; then it starts a process for every run,
//! inside, and cleans up after it. Server and launcher talk in [messages](message) over a socket, whose end
//! is the end of everything that was started.

#![cfg(target_os = "linux")]

pub mod isolation;
pub mod launch;
pub mod message;
pub mod probe;
pub mod wire;
