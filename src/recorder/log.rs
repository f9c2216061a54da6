//! The log of a run.

use engine::host::Stream;
use schemars::JsonSchema;
use serde::Serialize;

/// The most lines a run's log keeps.
pub const MAX_LINES: u32 = 10_000;
/// The most bytes a run's log keeps.
pub const MAX_LOG: usize = 4 << 20;
/// The longest line a log keeps whole, in bytes.
pub const MAX_LINE: usize = 8 << 10;

/// What stands in the log instead of the first line that is not kept.
const FULL: &str = "the log is full: what the run writes from here on is not kept";

/// The lines that are not in the store yet, as JSON lines, and how many there are in all.
#[derive(Default)]
pub(super) struct Log {
    pub text: String,
    /// How many lines are not in the store yet.
    pub waiting: u32,
    /// How many there are, with those in the store.
    pub lines: u32,
    bytes: usize,
    full: bool,
}

/// A line of a log as it is kept.
#[derive(Serialize, JsonSchema)]
pub struct LogLine<'a> {
    /// When it came, in microseconds since 1970 (UTC).
    pub at: i64,
    /// The function whose step wrote it.
    pub function: &'a str,
    /// The number of the step in it.
    pub step: &'a str,
    /// Where it was written to: `print`, `out`, `err` or `note`.
    pub stream: &'a str,
    /// The line.
    pub text: &'a str,
}

impl Log {
    /// The log of a run whose store has so many lines of it.
    pub fn after(lines: u32) -> Log {
        Log {
            lines,
            ..Log::default()
        }
    }

    /// Keeps a line as long as there is room; the first that there is none for leaves a note.
    pub fn add(&mut self, line: &LogLine<'_>) {
        if self.full {
            return;
        }
        let text = shortened(line.text);
        self.bytes += text.len();
        self.full = self.lines >= MAX_LINES || self.bytes > MAX_LOG;
        let line = match self.full {
            true => LogLine {
                stream: stream_name(Stream::Note),
                text: FULL,
                ..*line
            },
            false => LogLine {
                text: &text,
                ..*line
            },
        };
        self.text
            .push_str(&serde_json::to_string(&line).unwrap_or_default());
        self.text.push('\n');
        self.waiting += 1;
        self.lines += 1;
    }
}

/// A line as long as a log keeps it.
fn shortened(text: &str) -> std::borrow::Cow<'_, str> {
    if text.len() <= MAX_LINE {
        return text.into();
    }
    let end = text.floor_char_boundary(MAX_LINE);
    format!("{} … (the rest of the line is left out)", &text[..end]).into()
}

/// The name of a stream in the log.
pub fn stream_name(stream: Stream) -> &'static str {
    match stream {
        Stream::Print => "print",
        Stream::Out => "out",
        Stream::Error => "err",
        Stream::Note => "note",
    }
}
