//! What becomes of code that goes wrong: the sentence, the line of the file, the traceback.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use serde_json::{Value, json};
use support::{Request, run};

/// Message, line and traceback of code that fails.
#[track_caller]
fn failed(code: &str) -> (String, Value, Value) {
    let error = Request::new(code).run().error();
    assert_eq!(error["limit"], Value::Null);
    (
        error["message"].as_str().unwrap().to_owned(),
        error["line"].clone(),
        error["traceback"].clone(),
    )
}

#[test]
fn an_exception_names_its_line_and_shows_it() {
    let (message, line, traceback) =
        failed("let a = 1;\nfunction f(x) {\n\treturn x.foo.bar;\n}\n[{}].map(f)");
    assert_eq!(
        message,
        "TypeError: cannot read property 'bar' of undefined (line 3 of the code)"
    );
    assert_eq!(line, 12);
    let expected = "a.yaml:12\n\treturn x.foo.bar;\n\t       ^\n\nTypeError: cannot read property 'bar' of undefined
    at f (a.yaml:12:9)\n    at map (native)\n    at a.yaml:14:10";
    assert_eq!(traceback, expected);
}

#[test]
fn what_goes_wrong_is_told() {
    for (code, message, line) in [
        (
            "let x = ;",
            "SyntaxError: unexpected token in expression: ';' (line 1 of the code)",
            json!(10),
        ),
        (
            "x();\nlet y = 'abc",
            "SyntaxError: unexpected end of string (line 2 of the code)",
            json!(11),
        ),
        (
            "return 5",
            "SyntaxError: return not in a function (line 1 of the code)",
            json!(10),
        ),
        (
            "undeclared = 5",
            "ReferenceError: undeclared is not defined (line 1 of the code)",
            json!(10),
        ),
        (
            "throw new RangeError('a\\nb')",
            "RangeError: a\nb (line 1 of the code)",
            json!(10),
        ),
        (
            "await sleep(1);\nthrow new Error('later')",
            "Error: later (line 2 of the code)",
            json!(11),
        ),
        (
            "class No extends Error {}\nthrow new No('x')",
            "Error: x (line 2 of the code)",
            json!(11),
        ),
        ("throw new Error", "Error (line 1 of the code)", json!(10)),
        ("throw 'abc'", "the code threw 'abc'", Value::Null),
        (
            "throw { code: 5 }",
            "the code threw { code: 5 }",
            Value::Null,
        ),
        ("throw null", "the code threw null", Value::Null),
        ("throw undefined", "the code threw undefined", Value::Null),
        (
            "throw new Proxy(new Error('x'), {})",
            "the code threw [Proxy]",
            Value::Null,
        ),
        (
            "throw new Error('\\ud800')",
            "Error: \u{fffd} (line 1 of the code)",
            json!(10),
        ),
        (
            "process.exit(1)",
            "ReferenceError: process is not defined (line 1 of the code)",
            json!(10),
        ),
        (
            "require('fs')",
            "ReferenceError: require is not defined (line 1 of the code)",
            json!(10),
        ),
        (
            "await import('fs')",
            "TypeError: `fs` cannot be imported: there are no modules, only what is built in",
            Value::Null,
        ),
        (
            "btoa('\\u0100')",
            "InvalidCharacterError: String contains an invalid character (line 1 of the code)",
            json!(10),
        ),
        (
            "const f = () => f(); f()",
            "RangeError: Maximum call stack size exceeded (line 1 of the code)",
            json!(10),
        ),
        (
            "await new Promise(() => {})",
            "the code waits for a promise that nothing is left to keep",
            Value::Null,
        ),
        (
            "setTimeout(5)",
            "TypeError: Error converting from js 'int' into type 'function' (line 1 of the code)",
            json!(10),
        ),
        (
            "eval('\\n\\nnull.x')",
            "TypeError: cannot read property 'x' of null (line 1 of the code)",
            json!(10),
        ),
    ] {
        let (said, at, _) = failed(code);
        assert_eq!((&*said, &at), (message, &line), "{code}");
    }
}

#[test]
fn a_promise_that_nobody_looks_after_fails_the_run() {
    for code in [
        "Promise.reject(new Error('lost')); outputs.a = 1",
        "(async () => { throw new Error('lost') })()",
        "setTimeout(() => Promise.reject(new Error('lost')), 1)",
        "setTimeout(async () => { await sleep(1); throw new Error('lost') }, 1)",
        "queueMicrotask(() => { throw new Error('lost') })",
        "setTimeout(() => { throw new Error('lost') }, 1)",
        "Promise.resolve().then(() => { throw new Error('lost') })",
    ] {
        assert_eq!(failed(code).0, "Error: lost (line 1 of the code)", "{code}");
    }
    assert_eq!(
        run("const p = Promise.reject(1); p.catch(() => {}); outputs.a = 1"),
        r#"{"a":1}"#
    );
    assert_eq!(
        run("try { await Promise.reject(1) } catch (e) { outputs.a = e }"),
        r#"{"a":1}"#
    );
}

#[test]
fn causes_are_told() {
    let (_, _, traceback) =
        failed("try { null.x } catch (cause) {\nthrow new Error('outer', { cause }) }");
    let expected = "a.yaml:11\nthrow new Error('outer', { cause }) }\n          ^\n\nError: outer\n    at a.yaml:11:11
caused by TypeError: cannot read property 'x' of null\n    at a.yaml:10:7";
    assert_eq!(traceback, expected);
    // One that causes itself is told a few times.
    let (_, _, traceback) = failed("const e = new Error('x'); e.cause = e; throw e");
    assert_eq!(traceback.as_str().unwrap().matches("caused by").count(), 4);
}

#[test]
fn telling_an_error_runs_nothing_of_it() {
    for code in [
        "const e = new Error('x'); Object.defineProperty(e, 'message', { get() { for (;;) {} } }); throw e",
        "const e = new Error(); e.name = { toString() { for (;;) {} } }; e.message = e.name; throw e",
        "const e = new Error('x'); Object.setPrototypeOf(e, new Proxy({}, { get() { for (;;) {} } })); e.stack = {}; throw e",
        "Object.defineProperty(Error.prototype, 'stack', { get() { for (;;) {} } }); throw new Error('x')",
        "throw { toString() { for (;;) {} }, get a() { for (;;) {} } }",
        "Error.prepareStackTrace = () => { for (;;) {} }; Error.stackTraceLimit = { valueOf() { for (;;) {} } }; new Error('x').stack; null.x",
    ] {
        assert_eq!(Request::new(code).run().limit(), None, "{code}");
    }
}

#[test]
fn odd_sources_are_told_or_run() {
    let (message, line, _) = failed("let a = 1;\nlet b = '\0';");
    assert_eq!(
        message,
        "SyntaxError: there is a NUL character in the code (line 2 of the code)"
    );
    assert_eq!(line, 11);
    assert_eq!(
        run("const a = '\u{2028}';\noutputs.n = a.length"),
        r#"{"n":1}"#
    );
    assert_eq!(run("outputs.n = '\\ud800'.length"), r#"{"n":1}"#);
    assert_eq!(
        failed("#!/usr/bin/node\nnull.x").0,
        "SyntaxError: invalid first character of private name (line 1 of the code)"
    );
    assert_eq!(
        failed("<!-- a comment\nnull.x").0,
        "TypeError: cannot read property 'x' of null (line 2 of the code)"
    );
    let long = format!("const a = '{}'; null.x", "x".repeat(1 << 20));
    let (message, line, traceback) = failed(&long);
    assert_eq!(
        message,
        "TypeError: cannot read property 'x' of null (line 1 of the code)"
    );
    assert_eq!(line, 10);
    let expected = "TypeError: cannot read property 'x' of null\n    at a.yaml:10:1048591";
    assert_eq!(traceback, expected);
}

#[test]
fn long_messages_are_cut() {
    let error = Request::new("throw new Error('é'.repeat(1 << 20))")
        .run()
        .error();
    assert_eq!(
        error["message"].as_str().unwrap().len(),
        4095 + " (line 1 of the code)".len()
    );
    assert_eq!(error["traceback"].as_str().unwrap().len(), 32_767);
}

#[test]
fn a_request_that_is_none_is_told() {
    let answer = Request::new("").inputs("{").run();
    assert_eq!(
        answer.message(),
        "the request cannot be read: EOF while parsing an object at line 1 column 131"
    );
}
