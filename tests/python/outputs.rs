//! What code may put into `outputs`, and what is said of everything else.

use crate::{Runs, failed, gives, run};

#[tokio::test(flavor = "multi_thread")]
async fn values_come_out_as_they_are() {
    let code = "outputs['A'] = [1, 2.5, True, None, 'é\\n', (1, 2), {'b': 10**30, 'a': -0.0}]";
    let (body, _) = run(code, "A").await;
    gives(
        &body,
        r#"[1,2.5,true,null,"é\n",[1,2],{"b":1000000000000000000000000000000,"a":-0.0}]"#,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn values_derived_from_those_of_json_are_taken_for_them() {
    let code = "
import collections, enum
class Text(str):
    def __str__(self): return 'no'
    def encode(self, *_): raise ValueError('not to be called')
class Names(dict):
    def items(self): raise ValueError('not to be called')
class Level(enum.IntEnum):
    HIGH = 3
Point = collections.namedtuple('Point', 'x y')
outputs['A'] = [Text('yes'), Names(a=1), Level.HIGH, Point(1, 2), collections.Counter('aab'), collections.defaultdict(list, b=[1])]
";
    let (body, _) = run(code, "A").await;
    gives(&body, r#"["yes",{"a":1},3,[1,2],{"a":2,"b":1},{"b":[1]}]"#);
}

/// Values, where in them what cannot be kept stands, what it is, and what to write in its place.
const UNKEPT: &[(&str, &str, &str)] = &[
    ("{1, 2}", "A", "a `set`; write `sorted()` or `list()` of it"),
    (
        "frozenset()",
        "A",
        "a `frozenset`; write `sorted()` or `list()` of it",
    ),
    (
        "b'x'",
        "A",
        "a `bytes`; write `.decode()` of it if it is text, or else `base64.b64encode()` of it and `.decode()` of that",
    ),
    (
        "[bytearray(b'x')]",
        "A[0]",
        "a `bytearray`; write `.decode()` of it if it is text, or else `base64.b64encode()` of it and `.decode()` of that",
    ),
    (
        "float('nan')",
        "A",
        "the number nan; write `None` or a text for it",
    ),
    (
        "[1, float('-inf')]",
        "A[1]",
        "the number -inf; write `None` or a text for it",
    ),
    (
        "1 << 127",
        "A",
        "a whole number of more than 127 bits; write `str()` of it",
    ),
    (
        "-(1 << 127) - 1",
        "A",
        "a whole number of more than 127 bits; write `str()` of it",
    ),
    ("2j", "A", "a `complex`; write its `.real` and its `.imag`"),
    (
        "{1: 2}",
        "A",
        "a dictionary with the key 1, which is no text; write `str()` of its keys",
    ),
    (
        "[{('a', 'b'): 2}]",
        "A[0]",
        "a dictionary with the key ('a', 'b'), which is no text; write `str()` of its keys",
    ),
    (
        "'\\ud800'",
        "A",
        "a text with half of a surrogate pair in it; write `.encode(\"utf-8\", \"replace\").decode()` of it",
    ),
    (
        "{'Rows': [0, 1, 2, {'when': datetime.datetime(2020, 1, 1)}]}",
        "A.Rows[3].when",
        "a `datetime.datetime`; write `.isoformat()` of it",
    ),
    (
        "{'First Name': {'': datetime.date(2020, 1, 1)}}",
        "A[\"First Name\"][\"\"]",
        "a `datetime.date`; write `.isoformat()` of it",
    ),
    (
        "datetime.time(1)",
        "A",
        "a `datetime.time`; write `.isoformat()` of it",
    ),
    (
        "datetime.timedelta(1)",
        "A",
        "a `datetime.timedelta`; write `.total_seconds()` of it",
    ),
    (
        "(Decimal(1),)",
        "A[0]",
        "a `decimal.Decimal`; write `str()` or `float()` of it",
    ),
    (
        "Fraction(1, 3)",
        "A",
        "a `fractions.Fraction`; write `str()` or `float()` of it",
    ),
    (
        "pathlib.Path('x')",
        "A",
        "a `pathlib.PosixPath`; write `str()` of it",
    ),
    (
        "uuid.UUID(int=1)",
        "A",
        "a `uuid.UUID`; write `str()` of it",
    ),
    ("Colour.RED", "A", "a `Colour`; write `.value` of it"),
    (
        "ValueError('no')",
        "A",
        "a `ValueError`; write `str()` of it",
    ),
    ("Row(1)", "A", "a `Row`; write `dataclasses.asdict()` of it"),
    (
        "(n for n in [1])",
        "A",
        "a `generator`; write `list()` of it",
    ),
    ("map(str, [1])", "A", "a `map`; write `list()` of it"),
    ("range(3)", "A", "a `range`; write `list()` of it"),
    ("{}.keys()", "A", "a `dict_keys`; write `list()` of it"),
    (
        "print",
        "A",
        "a `builtin_function_or_method`; call it, and write what it gives",
    ),
    (
        "lambda: 1",
        "A",
        "a `function`; call it, and write what it gives",
    ),
    (
        "waits()",
        "A",
        "a `coroutine`; write what `asyncio.run()` of it gives",
    ),
    ("int", "A", "the class `int`"),
    (
        "object()",
        "A",
        "an `object`; write what is needed of it as texts, numbers, lists or dictionaries",
    ),
    (
        "datetime",
        "A",
        "a `module`; write what is needed of it as texts, numbers, lists or dictionaries",
    ),
    ("own_list", "A[1]", "a `list` that holds itself"),
    ("own_dict", "A.a[0]", "a `dict` that holds itself"),
];

const BEFORE: &str = "
import dataclasses, datetime, enum, pathlib, uuid
from decimal import Decimal
from fractions import Fraction
class Colour(enum.Enum):
    RED = 'red'
@dataclasses.dataclass
class Row:
    a: int
async def waits(): pass
own_list = [1]
own_list.append(own_list)
own_dict = {}
own_dict['a'] = [own_dict]
";

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept_is_named_with_its_place_and_what_to_write() {
    let codes: Vec<String> = UNKEPT
        .iter()
        .map(|(value, _, _)| format!("{BEFORE}outputs['B'] = 1\noutputs['A'] = {value}"))
        .collect();
    let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
    let runs = Runs::of(&codes).await;
    for (id, (_, place, what)) in (1..).zip(UNKEPT) {
        let body = runs.run(id).await.body;
        failed(
            &body,
            &format!("the output `{place}` cannot be kept: it is {what}"),
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_nest_to_a_depth_and_no_deeper() {
    let code = "a = 1\nfor _ in range(128):\n    a = [a]\noutputs['A'] = a";
    let deep = "[".repeat(128) + "1" + &"]".repeat(128);
    gives(&run(code, "A").await.0, &deep);
    let code = code.replace("128", "129");
    let place = "A".to_owned() + &"[0]".repeat(66) + "[…";
    failed(
        &run(&code, "A").await.0,
        &format!("the output `{place}` cannot be kept: it is nested more than 128 deep"),
    );
    let code = code.replace("129", "100_000");
    failed(
        &run(&code, "A").await.0,
        &format!("the output `{place}` cannot be kept: it is nested more than 128 deep"),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_stay_a_dictionary_of_texts_within_their_size() {
    for (code, message) in [
        (
            "outputs = 5",
            "`outputs` must stay a dictionary, and is an `int`",
        ),
        (
            "del outputs",
            "`outputs` must stay a dictionary, and is a `NoneType`",
        ),
        (
            "outputs[1] = 5",
            "an output's name must be a text, and this is 1",
        ),
        (
            "name = ''\noutputs[name] = 5",
            "an output's name must be a text, and this is ''",
        ),
        (
            "name = '\\ud800'\noutputs[name] = 5",
            "an output's name must be a text, and this is '\\ud800'",
        ),
        (
            "outputs['A'] = 'x' * (17 << 20)",
            "the code used more outputs than its limit of 16MB; the step's `limits` can set `result` up to 64MB, the \
             server's `max-code-result`",
        ),
    ] {
        failed(&run(code, "").await.0, message);
    }
    let flags = ["--code-result", "64MB"];
    let runs = Runs::with(&["outputs['A'] = 'x' * (17 << 20)"], "A", &flags).await;
    failed(
        &runs.run(1).await.body,
        "an output cannot be kept: `A`: the value is larger than 16 MiB, the most one value may be",
    );
}

/// What was stored with a format that can hold code is bytes like any others: nothing here ever reads it.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_could_become_code_are_refused_like_all_bytes() {
    let (_, _, bytes) = UNKEPT[2];
    for made in [
        "import pickle\noutputs['A'] = pickle.dumps([1])",
        "import marshal\noutputs['A'] = marshal.dumps(compile('1', 'x', 'eval'))",
        "outputs['A'] = compile('1', 'x', 'eval').co_code",
    ] {
        failed(
            &run(made, "A").await.0,
            &format!("the output `A` cannot be kept: it is {bytes}"),
        );
    }
    let code = "
import pickle
class Trap:
    def __reduce__(self): return (print, ('loaded',))
outputs['A'] = pickle.dumps(Trap(), 0).decode()";
    let (body, log) = run(code, "A").await;
    assert!(body.contains(r#"[["A","c"#), "{body}");
    assert_eq!(log, [] as [&str; 0]);
}
