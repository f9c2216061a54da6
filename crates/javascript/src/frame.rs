//! The frames on the channel, and what stands in them.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What is to run.
#[derive(Deserialize)]
pub(crate) struct Request<'a> {
    pub code: String,
    pub file: String,
    /// The line of the file that the code begins on, from 1.
    pub line: usize,
    #[serde(borrow)]
    pub inputs: &'a RawValue,
    /// How long the code may run, in milliseconds.
    pub time_ms: u64,
    /// The most memory that the engine may hold, in bytes.
    pub memory: usize,
    /// The most that the code may log, in bytes.
    pub output: usize,
    /// The most that the outputs may come to as JSON, in bytes.
    pub result: usize,
    /// Whether the code may fetch.
    pub fetch: bool,
}

/// A fetch for the server to perform.
#[derive(Serialize)]
pub(crate) struct Fetch {
    pub id: u64,
    pub url: String,
    pub method: String,
    pub headers: Vec<(String, String)>,
    /// In base64.
    pub body: Option<String>,
    pub redirect: String,
}

/// How the server performed it.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Fetched {
    Answered(Answered),
    Failed { id: u64, error: String },
}

/// What the other side answered.
#[derive(Deserialize)]
pub(crate) struct Answered {
    pub id: u64,
    pub status: u16,
    pub url: String,
    pub redirected: bool,
    pub headers: Vec<(String, String)>,
    /// In base64.
    pub body: String,
}

/// Reads a frame.
pub(crate) fn read(channel: &mut (impl Read + ?Sized)) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    channel.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    let mut bytes = Vec::new();
    channel.take(length.into()).read_to_end(&mut bytes)?;
    match bytes.len() == length as usize {
        true => Ok(bytes),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Writes a frame that begins with the letter `kind`.
pub(crate) fn write(channel: &mut (impl Write + ?Sized), kind: u8, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len() + 1).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut head = [0, 0, 0, 0, kind];
    head[..4].copy_from_slice(&length.to_be_bytes());
    channel.write_all(&head)?;
    channel.write_all(body)?;
    channel.flush()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

    use super::*;

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read(kind: u8, body: Vec<u8>) {
            let mut bytes = Vec::new();
            write(&mut bytes, kind, &body).unwrap();
            let read = read(&mut &bytes[..]).unwrap();
            assert_eq!((read[0], &read[1..]), (kind, &body[..]));
        }

        #[test]
        fn what_is_cut_short_is_an_error(body: Vec<u8>, cut in 1usize..5) {
            let mut bytes = Vec::new();
            write(&mut bytes, b'o', &body).unwrap();
            bytes.truncate(bytes.len() - cut);
            assert!(read(&mut &bytes[..]).is_err());
        }
    }
}
