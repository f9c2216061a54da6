//! `cast`: makes a value of another type.

use engine::context::Cx;
use engine::date::Date;
use engine::field::{FromValue, Input, Number, Output};
use engine::kind::{Example, Gives, Group, Step};
use engine::run::{Failure, Flow};
use engine::types::{self, Type};
use engine::value::Value;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::bounds;

/// Make a value of another type.
///
/// | to | what there is of it |
/// |---|---|
/// | `text` | any value but nothing: a date in ISO 8601, a list or record as JSON |
/// | `number` | a number as it is; a text such as `4` or `1.5`; `true` as 1, `false` as 0 |
/// | `integer` | the whole part of a number; a text such as `4`; `true` as 1, `false` as 0 |
/// | `float` | as `number`, always with a fraction: 4 becomes 4.0 |
/// | `boolean` | any value: whether it is filled and not zero; texts `false`, `no`, `off` and `0` are false |
/// | `date` | a text in ISO 8601 |
/// | `list` | a text that is a JSON list |
/// | `record` | a text that is a JSON record |
///
/// A value that has the type already stays as it is. Where there is no such value, the answer is
/// nothing, or with `strict: true` a failure.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cast {
    /// The value.
    value: Input<Value>,
    /// The type to make of it.
    to: Target,
    /// The variable for the new value.
    into: Output,
    /// Whether the step fails where there is no such value; `false` by default.
    #[serde(default)]
    strict: bool,
}

/// A type to make.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Target {
    Text,
    Number,
    Integer,
    Float,
    Boolean,
    Date,
    List,
    Record,
}

impl Step for Cast {
    const NAME: &'static str = "cast";
    const MAIN: &'static str = "value";
    const GROUP: Group = Group::Values;
    const EXAMPLES: &'static [Example] = &[
        Example {
            about: "A number as text",
            given: "",
            step: "cast: 4\nto: text\ninto: Text",
            gives: Gives::Variables("Text: '4'"),
        },
        Example {
            about: "A whole number as one with a fraction",
            given: "",
            step: "cast: 4\nto: float\ninto: Float",
            gives: Gives::Variables("Float: 4.0"),
        },
        Example {
            about: "A text as a whole number",
            given: "Age: '4'",
            step: "cast: '{{ Age }}'\nto: integer\ninto: Age",
            gives: Gives::Variables("Age: 4"),
        },
        Example {
            about: "A text as a number with a fraction",
            given: "",
            step: "cast: '4'\nto: float\ninto: Float",
            gives: Gives::Variables("Float: 4.0"),
        },
        Example {
            about: "A record as text is JSON",
            given: "",
            step: "cast: {key: value}\nto: text\ninto: Text",
            gives: Gives::Variables("Text: '{\"key\":\"value\"}'"),
        },
        Example {
            about: "A record is no number",
            given: "",
            step: "cast: {key: value}\nto: float\ninto: Float",
            gives: Gives::Variables("Float: null"),
        },
        Example {
            about: "A record that is filled counts as true",
            given: "",
            step: "cast: {key: value}\nto: boolean\ninto: Truth",
            gives: Gives::Variables("Truth: true"),
        },
        Example {
            about: "One that is empty does not",
            given: "",
            step: "cast: {}\nto: boolean\ninto: Truth",
            gives: Gives::Variables("Truth: false"),
        },
        Example {
            about: "A text that is no number",
            given: "",
            step: "cast: forty\nto: number\ninto: Age",
            gives: Gives::Variables("Age: null"),
        },
        Example {
            about: "A word that means false",
            given: "",
            step: "cast: 'no'\nto: boolean\ninto: Truth",
            gives: Gives::Variables("Truth: false"),
        },
        Example {
            about: "The whole part of a number",
            given: "",
            step: "cast: 4.7\nto: integer\ninto: Whole",
            gives: Gives::Variables("Whole: 4"),
        },
        Example {
            about: "A text as a date",
            given: "",
            step: "cast: '2020-01-15T10:30:00Z'\nto: date\ninto: Start",
            gives: Gives::Variables("Start: '2020-01-15T10:30:00Z'"),
        },
        Example {
            about: "A JSON text as a record",
            given: "Body: '{\"age\": 42}'",
            step: "cast: '{{ Body }}'\nto: record\ninto: Person",
            gives: Gives::Variables("Person: {age: 42}"),
        },
        Example {
            about: "A JSON text as a list",
            given: "Body: '[1, 2]'",
            step: "cast: '{{ Body }}'\nto: list\ninto: Numbers",
            gives: Gives::Variables("Numbers: [1, 2]"),
        },
        Example {
            about: "Fail where there is no such value",
            given: "",
            step: "cast: forty\nto: number\ninto: Age\nstrict: true",
            gives: Gives::Failure("`forty` cannot be made a number"),
        },
    ];

    async fn run(&self, cx: &mut Cx<'_>) -> Result<Flow, Failure> {
        let value = cx.get(&self.value)?;
        let made = self.to.of(value.clone());
        if made.is_none() && self.strict {
            let message = format!(
                "`{}` cannot be made {}",
                bounds::shown(&value),
                self.to.described()
            );
            return Err(Failure::new(message));
        }
        cx.set(&self.into, made.unwrap_or_default())?;
        Ok(Flow::Next)
    }
}

impl Target {
    fn of(self, value: Value) -> Option<Value> {
        match self {
            Target::Text => (value != Value::Nothing).then(|| value.to_string().into()),
            Target::Number => number(value),
            Target::Integer => whole(value),
            Target::Float => Value::float(Number::from_value(number(value)?)?.float()),
            Target::Boolean => Some(truth(&value).into()),
            Target::Date => Date::from_value(value).map(Value::from),
            Target::List => Type::List.read(value),
            Target::Record => Type::Record.read(value),
        }
    }

    fn described(self) -> &'static str {
        match self {
            Target::Text => "a text",
            Target::Number | Target::Float => "a number",
            Target::Integer => "a whole number",
            Target::Boolean => "a boolean",
            Target::Date => "a date",
            Target::List => "a list",
            Target::Record => "a record",
        }
    }
}

fn number(value: Value) -> Option<Value> {
    match value {
        Value::Boolean(truth) => Some(Value::Integer(truth.into())),
        other => Type::Number.read(other),
    }
}

fn whole(value: Value) -> Option<Value> {
    let whole = match value {
        Value::Float(float) => bounds::whole(float)?,
        other => match number(other)? {
            Value::Integer(whole) => whole,
            _ => return None,
        },
    };
    Some(Value::Integer(whole))
}

fn truth(value: &Value) -> bool {
    match value {
        Value::Text(text) => types::truth(text.trim()).unwrap_or(value.is_true()),
        other => other.is_true(),
    }
}
