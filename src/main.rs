//! Waystation.
fn main() {}
