//! What code gets and gives: every value comes back as it is, or is refused by name.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use engine::value::{MAX_DEPTH, Record, Value};
use proptest::prelude::*;
use support::{Request, run};

#[test]
fn values_come_out_as_they_are() {
    let code = "outputs.A = [1, 2.5, true, null, 'é\\n', { b: 10n ** 30n, a: -0.5 }, new Date(0)]; outputs.B = ''";
    let json = r#"{"A":[1,2.5,true,null,"é\n",{"b":1000000000000000000000000000000,"a":-0.5},"1970-01-01T00:00:00.000Z"],"B":""}"#;
    assert_eq!(run(code), json);
}

#[test]
fn whole_numbers_are_whole_and_others_are_not() {
    for (value, json) in [
        ("2 ** 53", "9007199254740992"),
        ("-(2 ** 53)", "-9007199254740992"),
        ("2 ** 54", "1.8014398509481984e+16"),
        ("6 / 2", "3"),
        ("-0", "0"),
        ("1e300", "1e+300"),
        ("5e-324", "5e-324"),
        ("5n", "5"),
        ("-(2n ** 127n)", "-170141183460469231731687303715884105728"),
        ("2n ** 127n - 1n", "170141183460469231731687303715884105727"),
    ] {
        assert_eq!(
            run(&format!("outputs.A = {value}")),
            format!(r#"{{"A":{json}}}"#)
        );
    }
}

#[test]
fn great_whole_numbers_come_in_exactly() {
    let code = "outputs.A = [inputs.a + 1, inputs.b + 1n, inputs.c, typeof inputs.d]";
    let inputs = r#"{"a":9007199254740991,"b":9007199254740993,"c":-170141183460469231731687303715884105728,"d":9007199254740992}"#;
    let answer = Request::new(code).inputs(inputs).run();
    let json = r#"{"A":[9007199254740992,9007199254740994,-170141183460469231731687303715884105728,"number"]}"#;
    assert_eq!(answer.outputs(), json);
}

#[test]
fn every_name_is_plain_data() {
    let inputs = r#"{"__proto__":1,"constructor":2,"toString":{"__proto__":[3]},"a b":4}"#;
    let code = "outputs.names = Object.keys(inputs); Object.assign(outputs, inputs); outputs['__proto__'] = inputs['__proto__'];
        outputs.none = inputs.hasOwnProperty === undefined";
    let json = r#"{"names":["__proto__","constructor","toString","a b"],"__proto__":1,"constructor":2,"toString":{"__proto__":[3]},"a b":4,"none":true}"#;
    assert_eq!(Request::new(code).inputs(inputs).run().outputs(), json);
}

#[test]
fn text_that_wants_to_be_code_is_text() {
    let text = r#""</script>${alert(1)}`'\" \u2028\u2029\u0000\r\n[[1]]{{ x }}""#;
    let inputs = format!(r#"{{"a":{text}}}"#);
    let answer = Request::new("outputs.a = inputs.a; outputs.n = inputs.a.length")
        .inputs(&inputs)
        .run();
    let outputs: serde_json::Value = serde_json::from_str(answer.outputs()).unwrap();
    let text: String = serde_json::from_str(text).unwrap();
    assert_eq!(outputs["a"], text);
    assert_eq!(outputs["n"], text.chars().count());
}

#[test]
fn undefined_leaves_out() {
    assert_eq!(
        run("outputs.a = undefined; outputs.b = { c: undefined, d: 1 }"),
        r#"{"b":{"d":1}}"#
    );
}

#[test]
fn outputs_may_be_replaced_but_stay_an_object() {
    assert_eq!(run("outputs = { a: 1 }"), r#"{"a":1}"#);
    for (code, what) in [
        ("outputs = 5", "a number"),
        ("outputs = [1]", "an `Array`"),
        ("outputs = undefined", "undefined"),
        ("outputs = new Map()", "a `Map`"),
        ("outputs = new Proxy({}, {})", "a proxy"),
    ] {
        assert_eq!(
            run(code),
            format!("`outputs` must stay an object, and is {what}")
        );
    }
    assert_eq!(run("outputs[''] = 1"), "an output's name is empty");
    let redeclared = "SyntaxError: redeclaration of 'outputs': it is there from the beginning, so choose another name or assign to it";
    assert_eq!(run("const outputs = {}"), redeclared);
}

#[test]
fn what_cannot_be_kept_is_named_with_its_place() {
    for (code, place, what) in [
        ("A = NaN", "A", "NaN"),
        ("Total = { rows: [1, 2, 3, NaN] }", "Total.rows[3]", "NaN"),
        ("A = [{ 'b c': -Infinity }]", "A[0][\"b c\"]", "-Infinity"),
        (
            "A = 2n ** 127n",
            "A",
            "a whole number of more than 127 bits",
        ),
        (
            "A = [1n << 100000n]",
            "A[0]",
            "a whole number of more than 127 bits",
        ),
        ("A = () => 1", "A", "a function"),
        ("A = class {}", "A", "a function"),
        ("A = Symbol('x')", "A", "a symbol"),
        ("A = [undefined]", "A[0]", "undefined"),
        ("A = [1, , 2]", "A[1]", "a hole in a list"),
        ("A = new Array(4294967295)", "A[0]", "a hole in a list"),
        (
            "A = 'x\\ud800'",
            "A",
            "a text with half of a surrogate pair in it",
        ),
        (
            "A = { '\\udc00': 1 }",
            "A[\"\u{fffd}\"]",
            "named with half of a surrogate pair",
        ),
        (
            "A = { get x() { throw 1 } }",
            "A.x",
            "a getter, and none is called",
        ),
        (
            "A = Object.defineProperty([1], 0, { get() { for (;;) {} } })",
            "A[0]",
            "a getter, and none is called",
        ),
        (
            "A = new Proxy([], { get() { for (;;) {} } })",
            "A",
            "a proxy",
        ),
        ("A = new Map()", "A", "a `Map`"),
        ("A = new Uint8Array(1)", "A", "a `Uint8Array`"),
        ("A = new Error('x')", "A", "an `Error`"),
        ("A = new (class Row extends Array {})()", "A", "a `Row`"),
        ("A = Object(1)", "A", "a `Number`"),
        ("A = /x/", "A", "a `RegExp`"),
        (
            "A = Promise.resolve(1)",
            "A",
            "a promise; `await` gives what it stands for",
        ),
        ("A = new Date(NaN)", "A", "an invalid date"),
        (
            "A = Object.create(Date.prototype)",
            "A",
            "an object with the prototype of `Date`",
        ),
        ("A = Object.create({})", "A", "an `Object`"),
    ] {
        assert_eq!(
            run(&format!("outputs.{code}")),
            format!("the output `{place}` cannot be kept: it is {what}")
        );
    }
    let cycle = "const a = { b: [] }; a.b.push(a); outputs.A = a";
    assert_eq!(
        run(cycle),
        "the output `A.b[0]` cannot be kept: it is a value that holds itself"
    );
    let own = "outputs.A = outputs";
    assert_eq!(
        run(own),
        "the output `A` cannot be kept: it is a value that holds itself"
    );
}

#[test]
fn nesting_has_an_end() {
    let nested =
        |depth| format!("let a = 1; for (let i = 0; i < {depth}; i++) a = [a]; outputs.A = a");
    let deepest = format!(r#"{{"A":{}1{}}}"#, "[".repeat(128), "]".repeat(128));
    assert_eq!(run(&nested(128)), deepest);
    let message = run(&nested(129));
    let place = format!("A{}…", "[0]".repeat(67).split_at(199).0);
    assert_eq!(
        message,
        format!("the output `{place}` cannot be kept: it is nested more than 128 deep")
    );
    assert!(run(&nested(100_000)).ends_with("it is nested more than 128 deep"));
}

#[test]
fn a_result_has_an_end() {
    for code in [
        "outputs.A = 'x'.repeat(20 << 20)",
        "let a = []; for (let i = 0; i < 100; i++) a = [a, a]; outputs.A = a",
        "outputs.A = new Array(1 << 20).fill(12)",
    ] {
        let answer = Request {
            result: 1 << 20,
            ..Request::new(code)
        }
        .run();
        let message = answer.message();
        let (place, rest) = message
            .strip_prefix("the output `A")
            .unwrap()
            .split_once('`')
            .unwrap();
        assert!(place.is_empty() || place.starts_with('['), "{place}");
        assert_eq!(
            rest,
            " cannot be kept: the outputs are larger than 1 MiB together"
        );
        assert_eq!(answer.limit().unwrap(), "result");
    }
}

#[test]
fn nothing_that_a_script_changes_changes_how_it_is_read() {
    let code = "
        const broken = () => { throw new Error('called') };
        const value = { rows: [1, { a: 'x' }], when: new Date(5), big: 2n ** 60n };
        Object.assign(outputs, value);
        const define = Object.defineProperty;
        const getter = { __proto__: null, get: broken, set() {} };
        for (const name of ['value', 'get', 'set', 'toJSON', 'a', '0']) {
          for (const object of [Object.prototype, Array.prototype]) define(object, name, getter);
        }
        const changed = [
          Object, 'keys', Object, 'entries', Object, 'getOwnPropertyDescriptor', Object, 'getPrototypeOf',
          Reflect, 'ownKeys', Reflect, 'apply', Date.prototype, 'toISOString', Date.prototype, 'getTime',
          Date.prototype, 'valueOf', Date.prototype, 'toJSON', BigInt.prototype, 'toString', Function.prototype, 'call',
          Function.prototype, 'apply', Array.prototype, 'map', Array.prototype, 'forEach', Array.prototype, 'join',
          Array.prototype, Symbol.iterator, String.prototype, 'toWellFormed', globalThis, 'JSON', globalThis, 'Promise',
          globalThis, 'console', globalThis, 'Object', globalThis, 'BigInt', globalThis, 'String', globalThis, 'Array',
          globalThis, 'Error',
        ];
        for (let i = 0; i < changed.length; i += 2) define(changed[i], changed[i + 1], { __proto__: null, value: broken });";
    let json =
        r#"{"rows":[1,{"a":"x"}],"when":"1970-01-01T00:00:00.005Z","big":1152921504606846976}"#;
    assert_eq!(run(code), json);
}

#[test]
fn named_members_of_a_list_are_no_part_of_it() {
    assert_eq!(run("outputs.A = 'abc'.match(/b/)"), r#"{"A":["b"]}"#);
    assert_eq!(
        run("outputs.A = { [Symbol('x')]: 1, y: 2 }"),
        r#"{"A":{"y":2}}"#
    );
}

/// Any value of programs but dates, which are texts on the way.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nothing),
        any::<bool>().prop_map(Value::from),
        any::<i128>().prop_map(Value::Integer),
        any::<i32>().prop_map(|number| Value::Integer(number.into())),
        (-2i128..3).prop_flat_map(|by| prop_oneof![Just(1i128 << 53), Just(-(1 << 53))]
            .prop_map(move |n| Value::Integer(n + by))),
        any::<f64>().prop_filter_map("finite", Value::float),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::list),
            prop::collection::vec((name(), inner), 0..6).prop_map(|members| {
                let members = members
                    .into_iter()
                    .map(|(name, value)| (name.into(), value));
                members.collect::<Record>().into()
            }),
        ]
    })
}

/// A name of a member; none is a number, since those come first in a script's objects.
fn name() -> impl Strategy<Value = String> {
    let known = [
        "__proto__",
        "constructor",
        "length",
        "toJSON",
        "then",
        "value",
        "get",
        "a b",
        "ü",
    ];
    prop_oneof![
        prop::sample::select(known.to_vec()).prop_map(str::to_owned),
        "[a-zA-Z_$ .\\[\\]`\\\\\"]{1,8}"
    ]
}

/// What a script makes of a value: numbers that have no fraction are whole.
fn seen(value: &Value) -> Value {
    match value {
        Value::Float(number)
            if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 =>
        {
            Value::Integer(*number as i128)
        }
        Value::List(list) => Value::list(list.iter().map(seen).collect()),
        Value::Record(record) => {
            let members = record
                .iter()
                .map(|(name, value)| (name.clone(), seen(value)));
            members.collect::<Record>().into()
        }
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_value_comes_back(value in value()) {
        let inputs = format!(r#"{{"a":{}}}"#, value.to_json());
        let answer = Request::new("outputs.a = inputs.a").inputs(&inputs).run();
        let outputs = engine::json::record(answer.outputs()).unwrap();
        prop_assert_eq!(format!("{:?}", outputs.get("a").unwrap()), format!("{:?}", seen(&value)));
    }

    #[test]
    fn inputs_that_are_no_json_object_are_told(inputs in "\\PC{0,20}") {
        let answer = Request::new("").inputs(&format!("[{}]", serde_json::Value::from(inputs))).run();
        prop_assert_eq!(answer.message(), "the inputs cannot be read: they are no object");
    }
}

#[test]
fn the_depth_is_that_of_programs() {
    assert_eq!(MAX_DEPTH, 128);
}
