//! The `waystation` command.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before anything else is set up: a launcher has one thread, and little memory.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == waystation::code::LAUNCH)
    {
        return waystation::code::launch();
    }
    waystation::code::conceal();
    waystation::cli::run()
}
