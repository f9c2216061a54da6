//! `changed`: compares a value with what it was in the runs before.

use std::sync::Arc;

use engine::context::Cx;
use engine::date::Date;
use engine::field::{FromValue, Input, Number, Output};
use engine::kind::{Example, Gives, Group, Step};
use engine::run::{Failure, Flow};
use engine::storage::Shelf;
use engine::value::{Record, Value};
use schemars::JsonSchema;
use serde::Deserialize;

/// Find out whether a value has changed since an earlier run of the program.
///
/// The value is kept when the run succeeds, in one step with its outcome; so a run that failed to act on a change is
/// followed by one that sees the change again. In the first run there is nothing to compare with: the value has not changed
/// then.
///
/// Values are the same when numbers have the same amount and everything else the same kind and content. With `by`, or for
/// `increased` and `decreased`, the value is a number or a date. What is compared goes by the function and the variable;
/// with `key` it goes by that, which a loop needs for its items, and which a value needs that is no variable.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Changed {
    /// The value: a variable or an expression.
    #[schemars(extend("x-text" = false))]
    value: Input<Value>,
    /// What to find out; `changed` by default.
    #[serde(default)]
    how: How,
    /// How large a change must be to count: for a number a number, for a date a length of time such as `2 hours`. Any
    /// change by default.
    by: Option<Input<Value>>,
    /// Which run to compare with; the last one by default.
    #[serde(default)]
    since: Since,
    /// What the value goes by.
    key: Option<Input<Arc<str>>>,
    /// The variable for the answer: true or false.
    into: Output,
    /// The variable for what the value was in the last run, or nothing.
    last: Option<Output>,
    /// The variable for what the value was in the first run, or nothing.
    first: Option<Output>,
}

/// What to find out.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum How {
    /// Whether it is another.
    #[default]
    Changed,
    /// Whether it is the same.
    NotChanged,
    /// Whether it is more, or later.
    Increased,
    /// Whether it is less, or earlier.
    Decreased,
}

/// Which run to compare with.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Since {
    /// The last one that succeeded and came to this step.
    #[default]
    Last,
    /// The first one that did.
    First,
}

impl Step for Changed {
    const NAME: &'static str = "changed";
    const MAIN: &'static str = "value";
    const GROUP: Group = Group::Logic;
    const EXAMPLES: &'static [Example] = &[
        Example {
            about: "In the first run nothing has changed",
            given: "Price: 12.5",
            step: "changed: Price\ninto: New Price\nlast: Old Price",
            gives: Gives::Variables("New Price: false\nOld Price: null"),
        },
        Example {
            about: "Whether a price is at least 2 more than in the first run",
            given: "Price: 12.5",
            step: "changed: Price\nhow: increased\nby: 2\nsince: first\ninto: Dearer",
            gives: Gives::Variables("Dearer: false"),
        },
        Example {
            about: "In a loop, a value for every item",
            given: "Shop: {name: Corner, open: true}",
            step: "changed: Shop.open\nkey: 'open {{ Shop.name }}'\ninto: Changed",
            gives: Gives::Variables("Changed: false"),
        },
        Example {
            about: "What is no variable needs a key",
            given: "Price: 12.5",
            step: "changed: Price * 2\ninto: Changed",
            gives: Gives::Failure(
                "what is compared is no variable; a `key` must say what it goes by",
            ),
        },
        Example {
            about: "More or less is for numbers and dates",
            given: "Name: Ann",
            step: "changed: Name\nhow: increased\ninto: Changed",
            gives: Gives::Failure("a number or a date is needed, and this is a text"),
        },
    ];

    async fn run(&self, cx: &mut Cx<'_>) -> Result<Flow, Failure> {
        let value = cx.get(&self.value)?;
        let key = self.key(cx)?;
        let left = cx.left(Shelf::Changed, &key).await?;
        let left = match &left {
            Some(Value::Record(left)) => (left.get("first"), left.get("last")),
            _ => (None, None),
        };
        let (first, last) = (left.0.cloned(), left.1.cloned());
        let before = match self.since {
            Since::Last => &last,
            Since::First => &first,
        };
        let measure = self.measure(cx, &value)?;
        let answer = match before {
            Some(before) => self.holds(before, &value, &measure),
            None => matches!(self.how, How::NotChanged),
        };
        let kept = [
            (
                "first".into(),
                first.clone().unwrap_or_else(|| value.clone()),
            ),
            ("last".into(), value),
        ];
        let kept = Value::from(kept.into_iter().collect::<Record>());
        cx.store(Shelf::Changed, key, Some(kept))?;
        cx.set(&self.into, answer)?;
        for (output, value) in [(&self.last, last), (&self.first, first)] {
            if let Some(output) = output {
                cx.set(output, value.unwrap_or_default())?;
            }
        }
        Ok(Flow::Next)
    }
}

/// How values are set against each other.
enum Measure {
    /// By whether they are the same.
    Sameness,
    /// By how much they differ, and by how much they must.
    Amount(f64),
    /// By how many seconds they lie apart, and how many they must.
    Seconds(f64),
}

impl Changed {
    /// What the value goes by.
    fn key(&self, cx: &Cx<'_>) -> Result<Arc<str>, Failure> {
        if let Some(key) = cx.get_opt(&self.key)? {
            return Ok(key);
        }
        let variable = cx.variable(&self.value).ok_or_else(|| {
            Failure::new("what is compared is no variable; a `key` must say what it goes by")
        })?;
        Ok(format!("{}/{}", cx.function_name(), variable.name()).into())
    }

    /// How the value is set against one before it.
    fn measure(&self, cx: &Cx<'_>, value: &Value) -> Result<Measure, Failure> {
        let by = cx.get_opt(&self.by)?;
        if by.is_none() && matches!(self.how, How::Changed | How::NotChanged) {
            return Ok(Measure::Sameness);
        }
        let wrong = |wanted: &str, found: &Value| {
            let found = found.described();
            Failure::new(format!("{wanted} is needed, and this is {found}"))
        };
        let (measure, least) = match (amount(value), moment(value)) {
            (Some(_), _) => {
                let by = by.map(|by| amount(&by).ok_or_else(|| wrong("as `by` a number", &by)));
                let least = by.transpose()?.unwrap_or(0.0);
                (Measure::Amount(least), least)
            }
            (None, Some(_)) => {
                let by = by.map(|by| {
                    let time = std::time::Duration::from_value(by.clone());
                    time.ok_or_else(|| wrong("as `by` a length of time", &by))
                });
                let least = by.transpose()?.unwrap_or_default().as_secs_f64();
                (Measure::Seconds(least), least)
            }
            (None, None) => return Err(wrong("a number or a date", value)),
        };
        match least < 0.0 {
            true => Err(Failure::new("`by` must not be negative")),
            false => Ok(measure),
        }
    }

    /// Whether what is asked holds of a value and one before it. A value of another kind than before has changed, and is not
    /// more or less.
    fn holds(&self, before: &Value, value: &Value, measure: &Measure) -> bool {
        let (difference, least) = match measure {
            Measure::Sameness => {
                let same = before.same(&kept(value));
                return same == matches!(self.how, How::NotChanged);
            }
            Measure::Amount(least) => (amount(value).zip(amount(before)), *least),
            Measure::Seconds(least) => (moment(value).zip(moment(before)), *least),
        };
        let difference = difference.map(|(value, before)| value - before);
        let enough = |difference: f64| difference != 0.0 && difference.abs() >= least;
        match self.how {
            How::Changed => difference.is_none_or(enough),
            How::NotChanged => !difference.is_none_or(enough),
            How::Increased => difference.is_some_and(|d| d > 0.0 && enough(d)),
            How::Decreased => difference.is_some_and(|d| d < 0.0 && enough(d)),
        }
    }
}

/// A number's amount.
fn amount(value: &Value) -> Option<f64> {
    Number::from_value(value.clone()).map(Number::float)
}

/// When a date is, in seconds since 1970.
fn moment(value: &Value) -> Option<f64> {
    let date = Date::from_value(value.clone())?;
    Some(date.moment().timestamp().as_duration().as_secs_f64())
}

/// A value as it comes back when it was kept.
fn kept(value: &Value) -> Value {
    Value::from_json(&value.to_json()).unwrap_or_default()
}
