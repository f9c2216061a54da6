//! Values that code is given and gives back: any value comes back as it was, or is refused by name.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::date::Date;
use engine::host::{Asked, Boxed, Code, Effect, Host, Language, Line, Logger, Pause, Wanted};
use engine::run::Failure;
use engine::storage::Shelf;
use engine::value::{Record, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use support::any::values;
use waystation::code::Codes;
use waystation::egress::{Egress, Rules};
use waystation::programs::OWNER;

/// How many runs there are of each language, each with as many variables as [`VARIABLES`] says.
const RUNS: u32 = 120;
const VARIABLES: usize = 100;

/// A language, and how values go through it.
struct Way {
    language: Language,
    /// The variables as they are given, in one run after the other.
    given: fn(&Record) -> Vec<Record>,
    /// Code that gives these variables back.
    code: fn(&Record) -> String,
    /// What a value is afterwards.
    kept: fn(&Value) -> Value,
    /// Whether the members of records keep their order.
    ordered: bool,
    /// Why a variable cannot be given.
    refused: fn(&str, &Value) -> Option<String>,
}

const WAYS: [Way; 3] = [
    Way {
        language: Language::Python,
        given: |variables| vec![variables.clone()],
        code: |_| "outputs.update(inputs)".to_owned(),
        kept: Value::clone,
        ordered: true,
        refused: |_, _| None,
    },
    Way {
        language: Language::JavaScript,
        given: |variables| vec![variables.clone()],
        code: |_| "Object.assign(outputs, inputs)".to_owned(),
        kept: whole,
        ordered: false,
        refused: |_, _| None,
    },
    Way {
        language: Language::Shell,
        given: |variables| {
            let variables = apart(variables);
            let only = |text: bool| -> Record {
                let those = variables.iter().filter(|(name, value)| {
                    matches!(value, Value::Text(_)) == text && (!text || is_plain(name))
                });
                those
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect()
            };
            vec![only(true), only(false)]
        },
        code: script,
        kept: Value::clone,
        ordered: true,
        refused: |name, value| match value {
            Value::Text(text) if text.contains('\0') => Some(format!(
                "the variable `{name}` holds a NUL, which no environment variable can"
            )),
            _ => None,
        },
    },
];

/// JavaScript has one kind of number: one without a fraction is a whole number.
fn whole(value: &Value) -> Value {
    match value {
        Value::Float(number) if number.fract() == 0.0 && number.abs() <= 2_f64.powi(53) => {
            Value::Integer(*number as i128)
        }
        Value::List(list) => Value::list(list.iter().map(whole).collect()),
        Value::Record(record) => record
            .iter()
            .map(|(name, value)| (name.clone(), whole(value)))
            .collect::<Record>()
            .into(),
        other => other.clone(),
    }
}

/// Variables of which no two are the same in a shell.
fn apart(variables: &Record) -> Record {
    let mut seen = HashSet::new();
    let members = variables
        .iter()
        .filter(|(name, _)| seen.insert(in_shell(name)));
    members
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn in_shell(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!("VAR_{}", name.chars().map(plain).collect::<String>())
}

/// Whether the outputs of a script can have this name in a line.
fn is_plain(name: &str) -> bool {
    !name.contains(['=', '\n', '\0', '<']) && !name.trim_start().starts_with('{')
}

/// A script that gives back texts by lines, or else everything as JSON.
fn script(variables: &Record) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let line = |(name, value): (&Arc<str>, &Value)| {
        let variable = in_shell(name);
        match value {
            Value::Text(_) => format!(
                "printf '%s<<the end\\n%s\\nthe end\\n' {} \"${variable}\" >&3\n",
                quoted(name)
            ),
            // Nothing is an empty text in a shell.
            _ => format!(
                "printf '{{%s:%s}}\\n' {} \"${{{variable}:-null}}\" >> \"$OUTPUTS\"\n",
                quoted(&Value::from(&**name).to_json())
            ),
        }
    };
    variables.iter().map(line).collect()
}

/// Names as a caller may choose them.
fn names() -> impl Strategy<Value = String> {
    let odd = select(
        &[
            "constructor",
            "__class__",
            "__proto__",
            "toString",
            "hasOwnProperty",
            "First Name",
            "a=b",
            "x<<END",
            "{",
            "'",
            "$(id)",
            "-n",
            "é",
            "你",
            "\u{0}",
            "\n",
            "1",
            " ",
            "self",
            "inputs",
            "FILE",
        ][..],
    );
    prop_oneof![3 => "[A-Za-z0-9 _]{1,12}", 2 => any::<String>().prop_filter("a name", |name| !name.is_empty()), 1 => odd.prop_map(str::to_owned)]
}

/// Keeps the lines of a run's log.
#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Host for Log {
    fn log(&self, line: Line<'_>) {
        self.0.lock().unwrap().push(line.text.to_owned());
    }
    fn effect<'a>(
        &'a self,
        _: Effect<'a>,
        _: Boxed<'a, Result<Value, Failure>>,
    ) -> Boxed<'a, Result<Value, Failure>> {
        unreachable!()
    }
    fn code<'a>(&'a self, _: Code<'a>) -> Boxed<'a, Result<Record, Failure>> {
        unreachable!()
    }
    fn sleep<'a>(&'a self, _: Pause<'a>) -> Boxed<'a, Result<(), Failure>> {
        unreachable!()
    }
    fn left<'a>(&'a self, _: Wanted<'a>) -> Boxed<'a, Result<Option<Value>, Failure>> {
        unreachable!()
    }
    fn keep(&self, _: Shelf, _: &str, _: Option<&Value>) {
        unreachable!()
    }
    fn now(&self) -> Date {
        unreachable!()
    }
    fn elapsed(&self) -> Duration {
        unreachable!()
    }
    fn random(&self) -> u64 {
        unreachable!()
    }
    fn cancelled(&self) -> bool {
        false
    }
    fn took(&self, _: u64) {}
}

fn codes() -> Codes {
    let egress = Arc::new(Egress::new(Rules::default()));
    let mut codes = Codes::new(&support::config(&[]), egress);
    codes.launcher = env!("CARGO_BIN_EXE_waystation").into();
    codes
}

fn begun<'a>() -> Boxed<'a, Result<Vec<(String, String)>, Failure>> {
    Box::pin(async { Ok(Vec::new()) })
}

/// Runs code with variables, and gives its outputs and the lines of its log.
async fn run(
    codes: &Codes,
    language: Language,
    text: &str,
    inputs: &Record,
) -> (Result<Record, Failure>, Vec<String>) {
    let log = Log::default();
    let code = Code {
        language,
        text,
        file: "p.yaml",
        line: 8,
        step: ("Main", "1"),
        timeout: None,
        inputs: Arc::new(inputs.clone()),
        asked: Asked::default(),
    };
    let logger = Logger::new(&log, ("Main", "1"));
    let came = codes.run(OWNER, code, None, (logger, &begun)).await;
    (came, log.0.into_inner().unwrap())
}

impl Way {
    /// Sends variables there and back.
    async fn check(&self, codes: &Codes, variables: &Record) -> Result<(), TestCaseError> {
        for given in (self.given)(variables) {
            let refused = |(name, value): (&Arc<str>, &Value)| (self.refused)(name, value);
            if let Some(sentence) = given.iter().find_map(refused) {
                let (came, _) = run(codes, self.language, "", &given).await;
                prop_assert_eq!(came.map_err(|failure| failure.message), Err(sentence));
            }
            let given: Record = given
                .iter()
                .filter(|member| refused(*member).is_none())
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            let text = (self.code)(&given);
            let (came, log) = run(codes, self.language, &text, &given).await;
            let came = match came {
                Ok(came) => came,
                Err(failure) => return Err(TestCaseError::fail(format!("{failure:?} {log:?}"))),
            };
            for (name, value) in given.iter() {
                let came = came.get(name).map(|came| self.shown(came));
                prop_assert_eq!(came, Some(self.shown(&(self.kept)(value))), "`{}`", name);
            }
            prop_assert_eq!(came.iter().count(), given.iter().count());
        }
        Ok(())
    }

    fn shown(&self, value: &Value) -> String {
        match self.ordered {
            true => value.to_json(),
            false => sorted(value).to_json(),
        }
    }
}

/// The value with the members of records in the order of their names.
fn sorted(value: &Value) -> Value {
    match value {
        Value::List(list) => Value::list(list.iter().map(sorted).collect()),
        Value::Record(record) => {
            let mut members: Vec<(Arc<str>, Value)> = record
                .iter()
                .map(|(name, value)| (name.clone(), sorted(value)))
                .collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            members.into_iter().collect::<Record>().into()
        }
        other => other.clone(),
    }
}

#[test]
fn any_value_comes_back_as_it_was_or_is_refused_by_name() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let codes = runtime.block_on(async { codes() });
    for way in &WAYS {
        let began = std::time::Instant::now();
        let mut runner = TestRunner::new(ProptestConfig {
            cases: RUNS,
            failure_persistence: None,
            max_shrink_iters: 200,
            ..ProptestConfig::default()
        });
        let strategy = vec((names(), values()), VARIABLES);
        let done = runner.run(&strategy, |variables| {
            let variables: Record = variables
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect();
            runtime.block_on(way.check(&codes, &variables))
        });
        done.unwrap_or_else(|error| panic!("{:?}: {error}", way.language));
        println!("{:?}: {RUNS} runs in {:?}", way.language, began.elapsed());
    }
}
