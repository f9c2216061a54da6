//! What code may use: each limit stops the run, whatever the code or the engine makes of it.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::time::{Duration, Instant};

use support::{Request, run};

/// Fails unless `code` runs into the limit of time, soon.
#[track_caller]
fn late(code: &str) {
    let begin = Instant::now();
    let answer = Request {
        time_ms: 100,
        ..Request::new(code)
    }
    .run();
    assert_eq!(
        answer.message(),
        "the code took longer than 100ms",
        "{code}"
    );
    assert_eq!(answer.limit().unwrap(), "time");
    assert!(
        begin.elapsed() < Duration::from_secs(2),
        "{:?}: {code}",
        begin.elapsed()
    );
}

/// Fails unless `code` ends with a limit of memory or time, or with a range error.
#[track_caller]
fn bounded(code: &str) {
    let answer = Request {
        time_ms: 2000,
        memory: 16 << 20,
        ..Request::new(code)
    }
    .run();
    let message = answer.message();
    let limit = answer.limit();
    let refused = ["RangeError: ", "InternalError: string too long"];
    let refused = refused.iter().any(|way| message.starts_with(way));
    assert!(limit.is_some() || refused, "{message}: {code}");
}

#[test]
fn endless_code_is_stopped() {
    for code in [
        "for (;;) {}",
        "for (;;) { try { for (;;) {} } catch {} finally { continue } }",
        "try { for (;;) {} } finally { outputs.a = 1 }",
        "const a = { get b() { for (;;) {} } }; a.b",
        "`${{ toString() { for (;;) {} } }}`",
        "[1].map(() => { for (;;) {} })",
        "new Proxy({}, { getPrototypeOf() { for (;;) {} } }) instanceof Object",
        "await (async () => { for (;;) {} })()",
        "for (;;) await null",
        "const l = () => Promise.resolve().then(l); l()",
        "const l = () => queueMicrotask(l); l()",
        "const l = async () => { for (;;) await 0 }; l(); l()",
        "const l = () => Promise.resolve().then(l).catch(l).finally(l); await l()",
        "setInterval(() => {}, 0)",
        "const l = () => setTimeout(l, 0); l()",
        "await sleep(1e9)",
        "/(x+x+)+y/.test('x'.repeat(40))",
        "for (;;) eval('1')",
        "for (;;) console.log.call",
        "Object.defineProperty(outputs, 'then', { get() { for (;;) {} } }); await outputs",
        "await { then() { for (;;) {} } }",
        "JSON.stringify({ toJSON() { for (;;) {} } })",
        "class A { static { for (;;) {} } }",
        "structuredClone({ get a() { for (;;) {} } })",
        "new URL({ toString() { for (;;) {} } })",
        "setTimeout(() => { for (;;) {} }, 1)",
        "Promise.reject({ get message() { for (;;) {} } }).catch((e) => e.message)",
    ] {
        late(code);
    }
}

#[test]
fn a_result_that_is_late_is_no_result() {
    // The engine does not look at the clock in here.
    late("outputs.a = 1; 'x'.repeat(1e5).indexOf('x'.repeat(1e3) + 'y')");
}

#[test]
fn what_grows_ends() {
    for code in [
        "'a'.repeat(2 ** 30)",
        "new Uint8Array(2 ** 40)",
        "Array.from({ length: 1e9 })",
        "2n ** (2n ** 30n)",
        "const a = []; for (;;) a.push(new Array(1000).fill(1))",
        "const a = []; for (;;) try { a.push('x'.repeat(1000) + a.length) } catch {}",
        "let a = 'x'; for (;;) a += a",
        "const m = new Map(); for (let i = 0; ; i++) m.set(i, {})",
        "const a = []; const l = () => { a.push(new Array(100)); return Promise.resolve().then(l) }; l()",
        "const a = []; for (;;) a.push(Promise.reject(1).catch(() => {}))",
        "for (;;) setTimeout(() => {}, 1e6)",
        "const a = []; for (;;) a.push(new TextEncoder().encode('x'.repeat(1e6)))",
        "const a = []; for (;;) a.push(crypto.getRandomValues(new Uint8Array(65536)))",
        "const a = []; for (;;) a.push(new URL('http://a/' + 'x'.repeat(1e5)))",
        "const s = 'é'.repeat(5e6); for (let a = s; ; ) { a = a.normalize('NFKD').replaceAll('e', 'eee'); a.split('') }",
        "new Array(3e8) + ''",
        "eval('['.repeat(1e5))",
        "JSON.parse('['.repeat(1e5))",
    ] {
        bounded(code);
    }
}

#[test]
fn the_want_of_memory_is_told_as_such() {
    let answer = Request {
        memory: 8 << 20,
        ..Request::new("const a = []; for (;;) a.push(new Array(1000).fill(1))")
    }
    .run();
    assert_eq!(answer.message(), "the code used more than 8 MiB of memory");
    assert_eq!(answer.limit().unwrap(), "memory");
    for memory in [0, 1, 100_000] {
        let answer = Request {
            memory,
            ..Request::new("outputs.a = 1")
        }
        .run();
        assert_eq!(
            answer.limit().as_deref(),
            Some("memory"),
            "{memory}: {answer:?}"
        );
    }
}

#[test]
fn a_script_may_live_with_less_memory_than_it_asked_for() {
    assert_eq!(
        run("try { new Array(1e7).fill(1) } catch (e) { outputs.a = e.message }"),
        r#"{"a":"out of memory"}"#
    );
}

#[test]
fn logs_are_capped() {
    let logs = |code| {
        let answer = Request {
            output: 1000,
            ..Request::new(code)
        }
        .run();
        assert_eq!(answer.message(), "the code wrote more than 1000 bytes");
        assert_eq!(answer.limit().unwrap(), "output");
        answer
    };
    assert_eq!(
        logs("for (let i = 0; i < 1e6; i++) console.log('é')").out,
        "é\n".repeat(333) + ""
    );
    assert_eq!(logs("console.log('é'.repeat(1e7))").out, "é".repeat(500));
    let both = logs(
        "try { console.log('x'.repeat(599)); console.error('y'.repeat(500)) } catch {} outputs.a = 1",
    );
    assert_eq!(
        (both.out, both.err),
        ("x".repeat(599) + "\n", "y".repeat(400))
    );
    let wide = "const a = Array(1e5).fill('x'); const b = Array(100).fill(a); const c = Array(100).fill(b); for (;;) console.log(c, [c])";
    logs(wide);
    let exact = Request {
        output: 2,
        ..Request::new("console.log('x')")
    }
    .run();
    assert_eq!((exact.outputs(), &*exact.out), ("{}", "x\n"));
}

#[test]
fn there_is_nothing_but_what_is_there() {
    let names = "['SharedArrayBuffer', 'std', 'os', 'require', 'process', 'WebAssembly', 'Worker', 'Deno', 'gc', 'load', 'bjson', 'scriptArgs', 'print']";
    assert_eq!(
        run(&format!(
            "outputs.a = {names}.filter((name) => name in globalThis)"
        )),
        r#"{"a":[]}"#
    );
    let global = "const global = outputs.constructor ?? (() => {}).constructor; outputs.a = global('return this')() === globalThis";
    assert_eq!(run(global), r#"{"a":true}"#);
    assert_eq!(
        run("Atomics.wait(new Int32Array(8), 0, 0)"),
        "TypeError: not a SharedArrayBuffer TypedArray (line 1 of the code)"
    );
    let known = "outputs.a = Object.keys(globalThis)";
    assert_eq!(run(known), r#"{"a":["performance"]}"#);
}
