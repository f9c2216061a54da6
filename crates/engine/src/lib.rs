//! What a program is and how it runs.
//!
//! Nothing here touches the network, files, a database or the clock: whatever a run needs of the
//! world it asks of its [`Host`](host::Host).

mod check;
pub mod context;
pub mod date;
pub mod document;
pub mod expr;
pub mod field;
pub mod host;
mod implied;
pub mod json;
pub mod kind;
pub mod language;
mod path;
pub mod plan;
pub mod problem;
pub mod program;
pub mod read;
pub mod requirement;
pub mod retry;
pub mod run;
pub mod schedule;
mod scope;
pub mod storage;
pub mod template;
pub mod types;
pub mod value;
pub mod variables;
pub mod watch;
