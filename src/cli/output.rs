//! Writes for people and other programs: results to standard output, everything else to standard error.

use std::fmt::Display;
use std::io::{ErrorKind, Write};

use crate::Error;

/// Writes a text to standard output as it is. Nobody may be reading any more, as after `| head`; that
/// is no error.
pub fn text(text: impl Display) -> Result<(), Error> {
    let mut out = anstream::stdout().lock();
    match write!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::new(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a line to standard output.
pub fn line(line: impl Display) -> Result<(), Error> {
    text(format_args!("{line}\n"))
}

/// Writes a line to standard error; where that leads nowhere there is nobody to tell.
pub fn note(line: impl Display) {
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}
