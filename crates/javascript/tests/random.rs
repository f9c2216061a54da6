//! Scripts that nobody would write: whatever they are, the worker answers.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use proptest::prelude::*;
use support::Request;

/// Pieces that are put together at random.
const PIECES: &[&str] = &[
    "outputs.a = ",
    "outputs",
    "inputs",
    "inputs.a",
    "await ",
    "async () => ",
    "() => ",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ";",
    ",",
    ".",
    "=",
    "+",
    "-",
    "*",
    "**",
    "...",
    "?.",
    "??",
    "`",
    "${",
    "'x'",
    "\"",
    "/x/g",
    "0",
    "1",
    "NaN",
    "-0",
    "2n",
    "1e9",
    "null",
    "undefined",
    "new ",
    "class A { #x; ",
    "extends ",
    "super",
    "this",
    "function* f() ",
    "yield ",
    "return ",
    "throw ",
    "try {",
    "} catch (e) {",
    "} finally {",
    "for (;;) {",
    "while (true) ",
    "break;",
    "let x = ",
    "const y = ",
    "var z = ",
    "x",
    "y",
    "z",
    "f()",
    "eval('x')",
    "Promise",
    "Promise.reject(1)",
    "Promise.all([",
    "Error",
    "new Error('x')",
    "Proxy",
    "new Proxy({}, {})",
    "Symbol.iterator",
    "Object.prototype.x = 1;",
    "Array.prototype",
    "Map",
    "Set",
    "Date",
    "new Date()",
    "RegExp",
    "Uint8Array",
    "ArrayBuffer",
    "JSON.parse(",
    "JSON.stringify(",
    "console.log(",
    "console",
    "setTimeout(",
    "sleep(1)",
    "fetch('http://a')",
    "new URL('http://a')",
    "URLSearchParams",
    "Headers",
    "new TextDecoder()",
    "structuredClone(",
    "crypto.randomUUID()",
    "queueMicrotask(",
    "globalThis",
    "import('x')",
    "Reflect",
    "WeakRef",
    "new FinalizationRegistry(",
    "Iterator.concat(",
    "Object.defineProperty(",
    "get a() ",
    "set a(v) ",
    "delete ",
    "typeof ",
    "in ",
    "of ",
    "\n",
    "//",
    "/*",
    "*/",
    "#!",
    "<!--",
    "\u{2028}",
    "é",
    "\u{1f600}",
    "\\ud800",
    "label:",
    "using ",
    "with (",
    "debugger",
];

fn answers(code: &str) -> bool {
    let request = Request {
        time_ms: 50,
        memory: 4 << 20,
        output: 10_000,
        fetch: true,
        ..Request::new(code)
    };
    let answer =
        request.run_with(|fetch| Some(serde_json::json!({"id": fetch["id"], "error": "no"})));
    matches!(answer.kind, 'o' | 'e')
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn pieces_are_answered(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..25)) {
        prop_assert!(answers(&pieces.join(" ")));
    }

    #[test]
    fn expressions_are_answered(pieces in prop::collection::vec(prop::sample::select(PIECES), 1..4), depth in 0usize..4) {
        let inner = pieces.join("");
        let code = (0..depth).fold(inner, |code, _| format!("[() => {{ try {{ return {code} }} catch (e) {{ console.log(e) }} }}].map((f) => f())"));
        let tried = format!("outputs.a = {code}");
        prop_assert!(answers(&tried));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_text_is_answered(code: String) {
        prop_assert!(answers(&code));
    }
}
