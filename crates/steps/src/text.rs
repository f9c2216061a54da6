//! `text`: works with texts.

mod change;

use std::sync::Arc;

use engine::context::Cx;
use engine::field::{Input, Output};
use engine::kind::{Example, Gives, Group, Step};
use engine::run::{Failure, Flow};
use engine::value::Value;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::bounds;
use change::{Added, Joined, Replaced, Split};

/// Work with a text: measure it, take a part of it, split it, join a list into one, change it.
///
/// Lengths and positions count characters. Positions count from 0, negative ones from the end: -1 is
/// the last character. Upper and lower case differ. A value that is no text is taken as it is written
/// inside a text.
///
/// `append` changes the variable that the text is. With `into` it leaves it alone and gives that
/// variable the longer text.
#[derive(Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Text {
    /// Count the characters, blanks included.
    Length(Whole),
    /// Count how often a text occurs in it. Occurrences do not overlap.
    Count(Sought),
    /// Count the words: what stands between blanks and ends of lines.
    WordCount(Whole),
    /// Take a part of the text: the characters from `start` up to, but not including, `end`.
    Slice(Part),
    /// Make all letters small.
    Lowercase(Whole),
    /// Make all letters large.
    Uppercase(Whole),
    /// Make the first letter of every word large and leave the others as they are.
    Title(Whole),
    /// Cut the text into a list of texts.
    Split(Split),
    /// Make one text of the items of a list.
    Join(Joined),
    /// Put another text behind it and keep the two as a new text.
    Combine(Combined),
    /// Put another text behind it.
    Append(Added),
    /// Replace every occurrence of a text.
    Replace(Replaced),
}

/// A text by itself.
#[derive(Deserialize, JsonSchema)]
pub struct Whole {
    /// The text.
    text: Input<Arc<str>>,
    /// The variable for the answer.
    into: Output,
}

/// A text to be counted in another.
#[derive(Deserialize, JsonSchema)]
pub struct Sought {
    /// The text.
    text: Input<Arc<str>>,
    /// What to look for; it must not be empty.
    find: Input<Arc<str>>,
    /// Whether it counts only where no letter, digit or underscore stands next to it; `false` by
    /// default.
    #[serde(default)]
    whole_words: bool,
    /// The variable for the number.
    into: Output,
}

/// A part to be taken.
#[derive(Deserialize, JsonSchema)]
pub struct Part {
    /// The text.
    text: Input<Arc<str>>,
    /// The position of the first character to take; the beginning by default.
    start: Option<Input<i64>>,
    /// The position before which to stop; the end of the text by default. A position beyond the text
    /// stands for its end.
    end: Option<Input<i64>>,
    /// The variable for the part.
    into: Output,
}

/// Texts to be put together.
#[derive(Deserialize, JsonSchema)]
pub struct Combined {
    /// The first text.
    text: Input<Arc<str>>,
    /// The text to put behind it.
    value: Input<Arc<str>>,
    /// The variable for the new text.
    into: Output,
}

impl Step for Text {
    const NAME: &'static str = "text";
    const MAIN: &'static str = "text";
    const GROUP: Group = Group::Values;
    const EXAMPLES: &'static [Example] = &[
        Example {
            about: "Count the characters",
            given: "",
            step: "text: a b\naction: length\ninto: Length",
            gives: Gives::Variables("Length: 3"),
        },
        Example {
            about: "Count how often a text occurs",
            given: "Song: row, row, row your boat; tomorrow we rest",
            step: "text: '{{ Song }}'\naction: count\nfind: row\ninto: Count",
            gives: Gives::Variables("Count: 4"),
        },
        Example {
            about: "Count how often a word occurs",
            given: "Song: row, row, row your boat; tomorrow we rest",
            step: "text: '{{ Song }}'\naction: count\nfind: row\nwhole_words: true\ninto: Count",
            gives: Gives::Variables("Count: 3"),
        },
        Example {
            about: "Count the words",
            given: "",
            step: "text: This is a sentence!\naction: word_count\ninto: Words",
            gives: Gives::Variables("Words: 4"),
        },
        Example {
            about: "Take a part",
            given: "",
            step: "text: This is a sentence!\naction: slice\nstart: 5\nend: 9\ninto: Part",
            gives: Gives::Variables("Part: is a"),
        },
        Example {
            about: "Take the last four characters",
            given: "Card: 4111111111111234",
            step: "text: '{{ Card }}'\naction: slice\nstart: -4\ninto: Digits",
            gives: Gives::Variables("Digits: '1234'"),
        },
        Example {
            about: "Make all letters small",
            given: "",
            step: "text: This is a Sentence!\naction: lowercase\ninto: Small",
            gives: Gives::Variables("Small: this is a sentence!"),
        },
        Example {
            about: "Make all letters large",
            given: "",
            step: "text: This is a Sentence!\naction: uppercase\ninto: Large",
            gives: Gives::Variables("Large: THIS IS A SENTENCE!"),
        },
        Example {
            about: "Make the first letter of every word large",
            given: "",
            step: "text: it's a sentence from NASA!\naction: title\ninto: Title",
            gives: Gives::Variables("Title: It's A Sentence From NASA!"),
        },
        Example {
            about: "Split at blanks",
            given: "",
            step: "text: This is a sentence!\naction: split\ninto: Words",
            gives: Gives::Variables("Words: [This, is, a, sentence!]"),
        },
        Example {
            about: "Split at a separator; what is between two of them may be empty",
            given: "Line: a,,b",
            step: "text: '{{ Line }}'\naction: split\nseparator: ','\ninto: Cells",
            gives: Gives::Variables("Cells: [a, '', b]"),
        },
        Example {
            about: "Join items with blanks between them",
            given: "Words: [This, is, a, sentence!]",
            step: "text: Words\naction: join\nseparator: ' '\ninto: Sentence",
            gives: Gives::Variables("Sentence: This is a sentence!"),
        },
        Example {
            about: "Put two texts together",
            given: "Greeting: Hello",
            step: "text: '{{ Greeting }}'\naction: combine\nvalue: ' World'\ninto: Both",
            gives: Gives::Variables("Greeting: Hello\nBoth: Hello World"),
        },
        Example {
            about: "Add to a text",
            given: "Greeting: Hello",
            step: "text: '{{ Greeting }}'\naction: append\nvalue: ' From WayScript'",
            gives: Gives::Variables("Greeting: Hello From WayScript"),
        },
        Example {
            about: "Replace every occurrence",
            given: "",
            step: "text: one fish, two fish\naction: replace\nfind: fish\nreplacement: cat\ninto: Cats",
            gives: Gives::Variables("Cats: 'one cat, two cat'"),
        },
        Example {
            about: "There is nothing to look for",
            given: "Word: ''",
            step: "text: abc\naction: count\nfind: '{{ Word }}'\ninto: Count",
            gives: Gives::Failure("`find` must not be empty"),
        },
    ];

    async fn run(&self, cx: &mut Cx<'_>) -> Result<Flow, Failure> {
        match self {
            Text::Length(step) => step.run(cx, |text| text.chars().count().into())?,
            Text::WordCount(step) => step.run(cx, |text| text.split_whitespace().count().into())?,
            Text::Lowercase(step) => step.run(cx, |text| text.to_lowercase().into())?,
            Text::Uppercase(step) => step.run(cx, |text| text.to_uppercase().into())?,
            Text::Title(step) => step.run(cx, |text| title(text).into())?,
            Text::Count(step) => step.run(cx)?,
            Text::Slice(step) => step.run(cx)?,
            Text::Split(step) => step.run(cx)?,
            Text::Join(step) => step.run(cx)?,
            Text::Combine(step) => step.run(cx)?,
            Text::Append(step) => step.run(cx)?,
            Text::Replace(step) => step.run(cx)?,
        }
        Ok(Flow::Next)
    }
}

impl Whole {
    fn run(&self, cx: &mut Cx<'_>, answer: impl FnOnce(&str) -> Value) -> Result<(), Failure> {
        let text = cx.get(&self.text)?;
        cx.set(&self.into, answer(&text))
    }
}

impl Sought {
    fn run(&self, cx: &mut Cx<'_>) -> Result<(), Failure> {
        let (text, find) = (cx.get(&self.text)?, cx.get(&self.find)?);
        let found = text.match_indices(filled(&find, "find")?);
        let alone = |at: usize| {
            !text[..at].ends_with(in_word) && !text[at + find.len()..].starts_with(in_word)
        };
        let count = found.filter(|(at, _)| !self.whole_words || alone(*at));
        cx.set(&self.into, count.count())
    }
}

impl Part {
    fn run(&self, cx: &mut Cx<'_>) -> Result<(), Failure> {
        let text = cx.get(&self.text)?;
        let (start, end) = (cx.get_opt(&self.start)?, cx.get_opt(&self.end)?);
        let range = bounds::range(start, end, text.chars().count());
        let part: String = text.chars().skip(range.start).take(range.len()).collect();
        cx.set(&self.into, part)
    }
}

impl Combined {
    fn run(&self, cx: &mut Cx<'_>) -> Result<(), Failure> {
        let (text, value) = (cx.get(&self.text)?, cx.get(&self.value)?);
        cx.set(&self.into, joined(&text, &value)?)
    }
}

/// The text, if there is anything in it.
fn filled<'t>(text: &'t str, setting: &str) -> Result<&'t str, Failure> {
    match text {
        "" => Err(Failure::new(format!("`{setting}` must not be empty"))),
        text => Ok(text),
    }
}

/// One text behind another.
fn joined(first: &str, second: &str) -> Result<Arc<str>, Failure> {
    bounds::size(first.len() + second.len())?;
    Ok([first, second].concat().into())
}

/// Whether a character is a part of a word.
fn in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The text with the first letter of every word large, words being what blanks part.
fn title(text: &str) -> String {
    let mut title = String::with_capacity(text.len());
    let mut begins = true;
    for c in text.chars() {
        if begins && c.is_alphanumeric() {
            title.extend(c.to_uppercase());
        } else {
            title.push(c);
        }
        begins = c.is_whitespace() || (begins && !c.is_alphanumeric());
    }
    title
}
