//! The guarded way out: what it reaches and what not, by `fetch` and by the proxy, on real sockets.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod answers;
mod door;
mod grants;
mod hosts;
mod programs;
mod proxied;
mod proxy;
mod redirects;
mod tls;
mod world;
