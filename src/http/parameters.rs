//! The parameters of a call to `/api`: from the query, a form or a JSON body.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderName, StatusCode};
use engine::types::truth;
use engine::value::Value;
use percent_encoding::percent_decode_str;

use super::key::Given;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The most values a call may send.
pub const MAX_VALUES: usize = 1_000;
/// The longest function name a call may send, in characters.
pub const MAX_NAME: usize = 200;

/// The longest `Idempotency-Key`, in characters.
pub const MAX_KEY: usize = 255;

/// The parameters of a call, as they were sent.
#[derive(Default)]
pub struct Parameters {
    program: Vec<String>,
    function: Vec<String>,
    run_async: Vec<String>,
    variables: Vec<Value>,
    flawed: Option<&'static str>,
}

/// A call whose parameters make sense.
#[derive(Debug)]
pub struct Wish {
    /// Which program.
    pub program: u64,
    /// Which function, if one is named.
    pub function: Option<String>,
    /// Whether the caller does not wait.
    pub run_async: bool,
    /// The values sent, in order.
    pub variables: Vec<Value>,
}

/// What is wrong with a call: the status and the sentence.
pub type Wrong = (StatusCode, String);

impl Parameters {
    /// Takes the parameters of a query or a form. Names that are not known are passed over.
    pub fn take_form(&mut self, form: &str, given: &mut Given) {
        for pair in form.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(name) = decoded(name) else { continue };
            match decoded(value) {
                Some(value) => self.take(&name, Value::text(&*value), given),
                // No key at all, which counts as another than the good one beside it.
                None if name == "api_key" => given.add(String::new()),
                None => self.flaw(&name),
            }
        }
    }

    /// Takes the parameters of a JSON body: a record of them, `variables` a list of values.
    ///
    /// # Errors
    /// The sentence that says what is wrong with the body.
    pub fn take_json(&mut self, body: &str, given: &mut Given) -> Result<(), String> {
        let members = engine::json::members(body);
        let members = members.map_err(|why| format!("The body is not JSON: {why}."))?;
        let members = members.ok_or_else(|| {
            "The body must be a JSON object with the parameters in it.".to_owned()
        })?;
        for (name, value) in members {
            match value {
                Value::List(values) if &*name == "variables" => {
                    values
                        .iter()
                        .for_each(|value| self.take(&name, value.clone(), given));
                }
                Value::Nothing => {}
                value => self.take(&name, value, given),
            }
        }
        Ok(())
    }

    fn take(&mut self, name: &str, value: Value, given: &mut Given) {
        match name {
            "program_id" => self.program.push(value.to_string()),
            "function" => self.function.push(value.to_string()),
            "run_async" => self.run_async.push(value.to_string()),
            "variables" => self.variables.push(value),
            "api_key" => given.add(value.to_string()),
            _ => {}
        }
    }

    fn flaw(&mut self, name: &str) {
        let known = ["program_id", "function", "run_async", "variables"];
        self.flawed = self
            .flawed
            .or_else(|| known.into_iter().find(|known| *known == name));
    }

    /// Makes sense of the parameters, in the order in which they are judged.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn wish(self) -> Result<Wish, Wrong> {
        let program = match once(&self.program, "program_id") {
            Ok(program) => program.and_then(|id| whole(id)),
            Err(wrong) if whole(&self.program[0]).is_some() => return Err(wrong),
            Err(_) => None,
        };
        let program = program.ok_or_else(|| {
            bad("The parameter `program_id` must be a whole number, 1 or greater.".to_owned())
        })?;
        if let Some(name) = self.flawed {
            return Err(bad(format!("The parameter `{name}` is not valid UTF-8.")));
        }
        let function = once(&self.function, "function")?.filter(|name| !name.is_empty());
        let run_async = once(&self.run_async, "run_async")?;
        if function.is_some_and(|name| name.chars().count() > MAX_NAME) {
            return Err(bad(format!(
                "The parameter `function` is longer than {MAX_NAME} characters."
            )));
        }
        if self.variables.len() > MAX_VALUES {
            return Err(bad(format!(
                "A call takes at most {MAX_VALUES} `variables`."
            )));
        }
        let run_async = match run_async.map(String::as_str).unwrap_or_default() {
            "" => false,
            text => truth(text).ok_or_else(|| {
                let text = engine::read::cut(text);
                bad(format!(
                    "The parameter `run_async` must be true or false, not `{text}`."
                ))
            })?,
        };
        Ok(Wish {
            program,
            function: function.cloned(),
            run_async,
            variables: self.variables,
        })
    }
}

/// How a call is named by the header `Idempotency-Key`, if it is: as text in quotes (as the draft of the IETF has it),
/// or as it is.
///
/// # Errors
/// That the name is no text of 1 to [`MAX_KEY`] visible characters, or that there are several.
pub fn key(headers: &HeaderMap) -> Result<Option<String>, Wrong> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = keys.next() else {
        return Ok(None);
    };
    let text = key.to_str().unwrap_or_default().trim();
    let bare = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let text = bare.unwrap_or(text);
    match (1..=MAX_KEY).contains(&text.len()) && keys.next().is_none() {
        true => Ok(Some(text.to_owned())),
        false => Err(bad(format!(
            "The header `Idempotency-Key` must come once and hold 1 to {MAX_KEY} visible ASCII characters."
        ))),
    }
}

fn bad(sentence: String) -> Wrong {
    (StatusCode::BAD_REQUEST, sentence)
}

fn once<'a>(values: &'a [String], name: &str) -> Result<Option<&'a String>, Wrong> {
    match values {
        [] => Ok(None),
        [value] => Ok(Some(value)),
        _ => Err(bad(format!(
            "The parameter `{name}` was given more than once."
        ))),
    }
}

/// A whole number written in digits alone, 1 or greater.
fn whole(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse::<i64>()
        .ok()
        .filter(|number| digits && *number > 0)
        .map(|number| number as u64)
}

/// The text that a name or value of a query stands for: `+` and `%20` are blanks, what is no escape
/// stays as it is written. Nothing where it is no UTF-8.
pub fn decoded(raw: &str) -> Option<Cow<'_, str>> {
    let has = |wanted| raw.bytes().any(|byte| byte == wanted);
    let blanks = match has(b'+') {
        true => Cow::Owned(raw.replace('+', " ")),
        false if !has(b'%') => return Some(Cow::Borrowed(raw)),
        false => Cow::Borrowed(raw),
    };
    percent_decode_str(&blanks)
        .decode_utf8()
        .ok()
        .map(|text| Cow::Owned(text.into_owned()))
}
