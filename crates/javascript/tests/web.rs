//! What code finds beside the language: logs, timers, addresses, bytes, and fetch.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use support::{Log, Request, frame, framed, logged, run, serve};

#[test]
fn logs_show_values_as_node_does() {
    for (values, line) in [
        (
            "'a', 1, -0, 1.5, 1e21, NaN, true, null, undefined",
            "a 1 -0 1.5 1e+21 NaN true null undefined",
        ),
        ("", ""),
        ("'a\\nb'", "a\nb"),
        ("'x\\ud800'", "x\u{fffd}"),
        (
            "[], {}, [1, ['x', []]], { a: 1, 'b c': { d: [] } }",
            "[] {} [ 1, [ 'x', [] ] ] { a: 1, 'b c': { d: [] } }",
        ),
        (
            "[\"it's\", '\"', 'a\\n\\\\\\x01']",
            "[ \"it's\", '\"', 'a\\n\\\\\\x01' ]",
        ),
        (
            "5n, Symbol('s'), Symbol.iterator",
            "5n Symbol(s) Symbol(Symbol.iterator)",
        ),
        (
            "() => 1, function f() {}, class A {}",
            "[Function (anonymous)] [Function: f] [Function: A]",
        ),
        (
            "new Map([[1, { a: 2 }]]), new Set(['x']), new Map()",
            "Map(1) { 1 => { a: 2 } } Set(1) { 'x' } Map(0) {}",
        ),
        (
            "new Date(0), new Date(NaN), /a\\/b/gi",
            "1970-01-01T00:00:00.000Z Invalid Date /a\\/b/gi",
        ),
        (
            "new Uint8Array(2), [, 1], [undefined]",
            "Uint8Array(2) [ 0, 0 ] [ <empty>, 1 ] [ undefined ]",
        ),
        (
            "new (class Row { a = 1 })(), Object.create(null)",
            "Row { a: 1 } {}",
        ),
        (
            "{ get a() { throw 1 }, set b(x) {}, get c() {}, set c(x) {} }",
            "{ a: [Getter], b: [Setter], c: [Getter/Setter] }",
        ),
        (
            "new Proxy({}, { get() { throw 1 } }), Promise.resolve(), new Promise(() => {})",
            "[Proxy] Promise { <resolved> } Promise { <pending> }",
        ),
        ("new Error('x')", "Error: x\n    at a.yaml:10:17"),
        ("[new RangeError('y')]", "[ [RangeError: y] ]"),
        (
            "new URL('http://a/b'), new URLSearchParams('a=1'), new Headers({ A: 'b' })",
            "URL { href: 'http://a/b' } URLSearchParams { a: '1' } Headers { a: 'b' }",
        ),
        (
            "Array(101).fill(0)",
            &format!("[ {}0, ... 1 more ]", "0, ".repeat(99)),
        ),
        ("2n ** 200n", "[a whole number of more than 127 bits]"),
        ("inputs, outputs", "{ a: 1 } {}"),
    ] {
        let answer = Request::new(&format!("console.log({values})"))
            .inputs(r#"{"a":1}"#)
            .run();
        answer.outputs();
        assert_eq!(answer.out, format!("{line}\n"));
    }
}

#[test]
fn logs_mark_what_holds_itself_and_what_is_deep() {
    assert_eq!(
        logged("const a = { b: [] }; a.b.push(a); console.log(a)"),
        "{ b: [ [Circular] ] }\n"
    );
    let deep = "let a = 1; for (let i = 0; i < 9; i++) a = [a]; console.log(a)";
    assert_eq!(
        logged(deep),
        format!("{}[Array]{}\n", "[ ".repeat(8), " ]".repeat(8))
    );
    assert_eq!(
        logged("let a = {}; for (let i = 0; i < 1e5; i++) a = { a }; console.log(a)").len(),
        8 * 7 + 9
    );
}

#[test]
fn logs_go_to_their_stream() {
    let code = "for (const name of ['log', 'info', 'debug', 'table', 'dir', 'warn', 'error', 'trace']) console[name](name)";
    let answer = Request::new(code).run();
    assert_eq!(answer.out, "log\ninfo\ndebug\ntable\ndir\n");
    assert_eq!(answer.err, "warn\nerror\ntrace\n");
}

#[test]
fn timers_keep_their_order() {
    let code = "
        const order = outputs.order = [];
        setTimeout(() => order.push('20'), 20);
        setTimeout((...rest) => order.push(rest), 10, 'a', 'b');
        setTimeout(() => { order.push('0'); Promise.resolve().then(() => order.push('job')) });
        setTimeout(() => order.push('1'), '0');
        clearTimeout(setTimeout(() => order.push('never'), 5));
        clearTimeout(); clearTimeout('x'); clearInterval(1e9);
        let times = 0;
        const interval = setInterval(() => { order.push('i'); if (++times === 2) clearInterval(interval) }, 1);
        queueMicrotask(() => order.push('micro'));
        order.push('code');
        await sleep(15);
        order.push('slept')";
    let json = r#"{"order":["code","micro","0","job","1","i","i",["a","b"],"slept","20"]}"#;
    assert_eq!(run(code), json);
}

#[test]
fn a_run_that_only_waits_uses_its_wait() {
    assert_eq!(
        run("const begin = Date.now(); await sleep(30); outputs.a = Date.now() - begin >= 29"),
        r#"{"a":true}"#
    );
}

#[test]
fn timers_have_a_most() {
    let code = "let n = 0; try { for (;;) { setTimeout(() => {}, 1e6); n++ } } catch (e) { outputs.a = [n, e.name] }
        for (let i = 1; i < 5e4; i++) clearTimeout(i)";
    assert_eq!(run(code), r#"{"a":[10000,"RangeError"]}"#);
}

#[test]
fn addresses_are_those_of_browsers() {
    let code = "
        const url = new URL('../x?a=1&b=2#h', 'http://user:pw@Exämple.org:80/a/b/c');
        outputs.parts = [url.protocol, url.username, url.password, url.host, url.hostname, url.port, url.pathname, url.search, url.hash, url.origin];
        url.searchParams.append('c', 'd e'); url.searchParams.delete('a'); url.port = 81; url.hash = ''; url.protocol = 'ftp:';
        url.host = '[[['; url.username = 'ü';
        outputs.href = [url.href, `${url}`, JSON.stringify(url), url.searchParams === url.searchParams];
        outputs.can = [URL.canParse('x'), URL.parse('x'), URL.canParse('x', 'http://a')];";
    let json = r##"{"parts":["http:","user","pw","xn--exmple-cua.org","xn--exmple-cua.org","","/a/x","?a=1&b=2","#h","http://xn--exmple-cua.org"],"href":["ftp://%C3%BC:pw@xn--exmple-cua.org:81/a/x?b=2&c=d+e","ftp://%C3%BC:pw@xn--exmple-cua.org:81/a/x?b=2&c=d+e","\"ftp://%C3%BC:pw@xn--exmple-cua.org:81/a/x?b=2&c=d+e\"",true],"can":[false,null,true]}"##;
    assert_eq!(run(code), json);
    assert_eq!(
        run("new URL('nope')"),
        "TypeError: `nope` is no address: relative URL without a base (line 1 of the code)"
    );
}

#[test]
fn search_parameters_are_those_of_browsers() {
    let code = "
        const p = new URLSearchParams('?b=2&a=1&b=3&c');
        p.set('b', 'x y'); p.append('ä', '&'); p.sort();
        outputs.a = [`${p}`, p.size, p.get('b'), p.get('none'), p.has('c'), p.has('c', 'x'), [...p], [...p.keys()], [...p.values()]];
        outputs.b = [`${new URLSearchParams({ a: 1, b: 'c' })}`, `${new URLSearchParams([['a', 'b']])}`, `${new URLSearchParams(p)}`, `${new URLSearchParams()}`];
        p.delete('b', 'other'); p.delete('c', ''); p.set('new', 1);
        outputs.c = `${p}`; outputs.d = new URLSearchParams('a=1&a=2').getAll('a');
        outputs.e = []; p.forEach((value, name) => outputs.e.push(name + value))";
    let json = r#"{"a":["a=1&b=x+y&c=&%C3%A4=%26",4,"x y",null,true,false,[["a","1"],["b","x y"],["c",""],["ä","&"]],["a","b","c","ä"],["1","x y","","&"]],"b":["a=1&b=c","a=b","a=1&b=x+y&c=&%C3%A4=%26",""],"c":"a=1&b=x+y&%C3%A4=%26&new=1","d":["1","2"],"e":["a1","bx y","ä&","new1"]}"#;
    assert_eq!(run(code), json);
}

#[test]
fn texts_and_bytes_turn_into_each_other() {
    let code = "
        outputs.a = [...new TextEncoder().encode('aé\\ud800')];
        const bytes = new Uint8Array([0xef, 0xbb, 0xbf, 0x61, 0xff]);
        outputs.b = [new TextDecoder().decode(bytes), new TextDecoder('UTF-8', { ignoreBOM: true }).decode(bytes.subarray(0, 4)), new TextDecoder().decode(), new TextDecoder().decode(bytes.buffer.slice(3, 4))];
        const tell = (f) => { try { return f() } catch (e) { return e.message } };
        outputs.c = [tell(() => new TextDecoder('utf-8', { fatal: true }).decode(bytes)), tell(() => new TextDecoder('latin1')), tell(() => new TextDecoder().decode('x')), tell(() => new TextDecoder().decode(bytes, { stream: true }))];
        outputs.d = [btoa('aÿ'), atob('Yf8='), tell(() => atob('*'))];";
    let json = r#"{"a":[97,195,169,239,191,189],"b":["a�","\#a","","a"],"c":["the bytes are no UTF-8","the encoding `latin1` is not known: there is utf-8 alone","an ArrayBuffer or a view of one was expected","bytes cannot be decoded piece by piece: put them together first"],"d":["Yf8=","aÿ","The string to be decoded is not correctly encoded"]}"#;
    assert_eq!(run(code), json.replace("\\#", "\u{feff}"));
}

#[test]
fn randomness_is_there() {
    let code = "
        const id = crypto.randomUUID();
        outputs.a = [/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id), id !== crypto.randomUUID()];
        const array = new Uint32Array(4);
        outputs.b = [crypto.getRandomValues(array) === array, array.some((number) => number > 65535)];
        const tell = (f) => { try { return f() } catch (e) { return e.message } };
        outputs.c = [tell(() => crypto.getRandomValues(new Uint8Array(65537))), tell(() => crypto.getRandomValues(new Float64Array(1)))]";
    let json = r#"{"a":[true,true],"b":[true,true],"c":["more than 65536 bytes at once","an array of whole numbers was expected"]}"#;
    assert_eq!(run(code), json);
}

#[test]
fn values_can_be_cloned() {
    let code = "
        const a = { d: new Date(5), m: new Map([[{ k: 1 }, new Set([1])]]), b: new Uint8Array([1, 2, 3]).subarray(1), r: /x/g, n: [1, , 3], e: new RangeError('x') };
        a.self = a; Object.defineProperty(a, '__proto__', { value: 1, enumerable: true });
        const b = structuredClone(a);
        outputs.a = [b !== a, b.self === b, +b.d, b.m.size, [...b.m.keys()][0].k, [...b.b], b.b.buffer !== a.b.buffer, `${b.r}`, 1 in b.n, b.e.message, Object.hasOwn(b, '__proto__')];
        try { structuredClone({ f() {} }) } catch (e) { outputs.b = e.message }";
    let json = r#"{"a":[true,true,5,1,1,[2,3],true,"/x/g",false,"x",true],"b":"a function cannot be cloned"}"#;
    assert_eq!(run(code), json);
}

fn network(code: &str) -> Request {
    Request {
        fetch: true,
        ..Request::new(code)
    }
}

/// What a server answers to a fetch.
fn answered(fetch: &Value, body: &str) -> Value {
    let headers = json!([
        ["Content-Type", "text/plain"],
        ["set-cookie", "a=1"],
        ["Set-Cookie", "b=2"],
        ["x", "1"],
        ["X", "2"]
    ]);
    json!({"id": fetch["id"], "status": 200, "url": fetch["url"], "redirected": false, "headers": headers, "body": body})
}

#[test]
fn fetch_is_off_where_there_is_no_network() {
    let message = "TypeError: fetch is off: this step has no network (line 2 of the code)";
    assert_eq!(run("outputs.a = 1;\nawait fetch('http://a')"), message);
    assert_eq!(
        run(
            "try { await fetch('http://a') } catch (e) { outputs.a = [e instanceof TypeError, e.message] }"
        ),
        r#"{"a":[true,"fetch is off: this step has no network"]}"#
    );
}

#[test]
fn fetch_asks_and_gives_the_answer() {
    let code = "
        const r = await fetch('http://a/x y', { method: 'post', headers: { 'X-One': ' 1 ', b: 'c' }, body: 'é', redirect: 'manual' });
        outputs.a = [r.ok, r.status, r.url, r.redirected, r.headers.get('CONTENT-type'), r.headers.get('x'), r.headers.has('none'), r.headers.get('none'), r.headers.getSetCookie(), [...r.headers]];
        outputs.b = [await r.text(), await r.json(), [...(await r.bytes())], (await r.arrayBuffer()).byteLength];
        outputs.c = []; r.headers.forEach((value, name) => outputs.c.push(name))";
    let mut asked = Vec::new();
    let answer = network(code).run_with(|fetch| {
        asked.push(fetch.clone());
        Some(answered(&fetch, "WzFd"))
    });
    let json = r#"{"a":[true,200,"http://a/x%20y",false,"text/plain","1, 2",false,null,["a=1","b=2"],[["content-type","text/plain"],["set-cookie","a=1"],["set-cookie","b=2"],["x","1, 2"]]],"b":["[1]",[1],[91,49,93],3],"c":["content-type","set-cookie","set-cookie","x"]}"#;
    assert_eq!(answer.outputs(), json);
    let headers = json!([
        ["b", "c"],
        ["content-type", "text/plain;charset=UTF-8"],
        ["x-one", "1"]
    ]);
    let fetch = json!({"id": 1, "url": "http://a/x%20y", "method": "POST", "headers": headers, "body": "w6k=", "redirect": "manual"});
    assert_eq!(asked, [fetch]);
}

#[test]
fn fetch_takes_bodies_and_headers_of_many_kinds() {
    for (init, method, headers, body) in [
        ("", "GET", json!([]), json!(null)),
        (
            "{ headers: new Headers([['A', '1'], ['a', '2']]) }",
            "GET",
            json!([["a", "1, 2"]]),
            json!(null),
        ),
        (
            "{ method: 'PUT', headers: [['Content-Type', 'x/y']], body: new Uint8Array([1, 2, 3]).subarray(1) }",
            "PUT",
            json!([["content-type", "x/y"]]),
            json!("AgM="),
        ),
        (
            "{ method: 'POST', body: new Uint8Array([255]).buffer }",
            "POST",
            json!([]),
            json!("/w=="),
        ),
        (
            "{ method: 'POST', body: new URLSearchParams({ a: 'b c' }) }",
            "POST",
            json!([[
                "content-type",
                "application/x-www-form-urlencoded;charset=UTF-8"
            ]]),
            json!("YT1iK2M="),
        ),
        (
            "{ method: 'PURGE', body: '' }",
            "PURGE",
            json!([["content-type", "text/plain;charset=UTF-8"]]),
            json!(""),
        ),
    ] {
        let mut asked = Value::Null;
        let answer =
            network(&format!("await fetch(new URL('http://a/'), {init})")).run_with(|fetch| {
                asked = fetch.clone();
                Some(answered(&fetch, ""))
            });
        answer.outputs();
        let fetch = json!({"id": 1, "url": "http://a/", "method": method, "headers": headers, "body": body, "redirect": "follow"});
        assert_eq!(asked, fetch);
    }
}

#[test]
fn a_fetch_that_makes_no_sense_is_refused_before_it_is_sent() {
    for (call, message) in [
        ("'x'", "`x` is no address: relative URL without a base"),
        ("'http://a', { body: 'x' }", "a GET request has no body"),
        (
            "'http://a', { headers: { 'a b': 'c' } }",
            "`a b` is no name of a header",
        ),
        (
            "'http://a', { headers: { a: 'b\\r\\nc: d' } }",
            "the value of a header is one line",
        ),
        (
            "'http://a', { method: 'POST', body: { a: 1 } }",
            "a body is a text, bytes or URLSearchParams; make a text of an object with JSON.stringify",
        ),
        (
            "'http://a', { redirect: 'no' }",
            "`redirect` is one of `follow`, `error` and `manual`",
        ),
    ] {
        let answer = network(&format!("await fetch({call})")).run();
        assert_eq!(
            answer.message(),
            format!("TypeError: {message} (line 1 of the code)")
        );
    }
}

#[test]
fn a_fetch_that_fails_throws_the_servers_sentence() {
    let refuse = |fetch: Value| {
        Some(json!({"id": fetch["id"], "error": "the address 10.0.0.1 is not allowed"}))
    };
    let answer =
        network("outputs.a = 1;\nconst r = await fetch('http://10.0.0.1');").run_with(refuse);
    assert_eq!(
        answer.message(),
        "TypeError: the address 10.0.0.1 is not allowed (line 2 of the code)"
    );
    assert_eq!(answer.error()["line"], 11);
    let traceback = "a.yaml:11\nconst r = await fetch('http://10.0.0.1');\n                ^\n\nTypeError: the address 10.0.0.1 is not allowed\n    at a.yaml:11:17";
    assert_eq!(answer.error()["traceback"], traceback);
    let caught =
        network("await fetch('http://a').catch((e) => { outputs.a = e instanceof TypeError })")
            .run_with(refuse);
    assert_eq!(caught.outputs(), r#"{"a":true}"#);
}

#[test]
fn answers_may_come_in_any_order() {
    let code = "
        const get = async (name) => { const r = await fetch(`http://${name}/`); return name + (await r.text()) };
        outputs.a = await Promise.all([get('a'), get('b'), get('c')])";
    let mut asked = Vec::new();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let worker = serve(theirs, Log::default(), Log::default());
    ours.write_all(&network(code).frame()).unwrap();
    for _ in 0..3 {
        asked.push(serde_json::from_slice::<Value>(&frame(&mut ours).unwrap()[1..]).unwrap());
    }
    ours.write_all(&framed(
        json!({"id": 99, "error": "of nobody"})
            .to_string()
            .as_bytes(),
    ))
    .unwrap();
    for (fetch, body) in asked.iter().rev().zip(["Mw==", "Mg==", "MQ=="]) {
        ours.write_all(&framed(answered(fetch, body).to_string().as_bytes()))
            .unwrap();
    }
    assert_eq!(
        String::from_utf8(frame(&mut ours).unwrap()).unwrap(),
        r#"o{"a":["a1","b2","c3"]}"#
    );
    worker.join().unwrap();
}

#[test]
fn a_fetch_that_nobody_awaits_is_cancelled() {
    for code in [
        "fetch('http://a'); outputs.a = 1",
        "const p = fetch('http://a'); await sleep(5); outputs.a = 1",
    ] {
        let mut asked = 0;
        let answer = network(code).run_with(|_| {
            asked += 1;
            None
        });
        assert_eq!((answer.outputs(), asked), (r#"{"a":1}"#, 1));
    }
    // Somebody waits for these, if not the code itself.
    for code in [
        "fetch('http://a').then(() => { outputs.a = 1 })",
        "fetch('http://a').finally(() => { outputs.a = 1 })",
        "(async () => { await fetch('http://a'); outputs.a = 1 })()",
        "Promise.all([fetch('http://a')]).then(() => { outputs.a = 1 })",
        "setTimeout(async () => { const p = fetch('http://a'); await sleep(1); await p; outputs.a = 1 }, 1)",
    ] {
        let answer = network(code).run_with(|fetch| Some(answered(&fetch, "")));
        assert_eq!(answer.outputs(), r#"{"a":1}"#, "{code}");
    }
}

#[test]
fn fetches_have_a_most() {
    let code = "let n = 0; try { for (let i = 0; i < 10000; i++) { await fetch('http://a'); n++ } } catch (e) { outputs.a = [n, e.message] }";
    let answer = network(code).run_with(|fetch| Some(answered(&fetch, "")));
    assert_eq!(
        answer.outputs(),
        r#"{"a":[50,"fetch was called more than 50 times, the most in one run"]}"#
    );
    let answer = network("for (let i = 0; i < 10000; i++) fetch('http://a')").run_with(|_| None);
    assert_eq!(
        answer.message(),
        "TypeError: fetch was called more than 50 times, the most in one run (line 1 of the code)"
    );
}

#[test]
fn an_answer_that_never_comes_ends_with_the_time() {
    let answer = Request {
        time_ms: 50,
        ..network("await fetch('http://a')")
    }
    .run_with(|_| None);
    assert_eq!(answer.limit().unwrap(), "time");
}

#[test]
fn a_worker_whose_server_is_gone_ends() {
    for code in [
        "await fetch('http://a')",
        "await sleep(1e9)",
        "setInterval(() => {}, 1e9)",
    ] {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let worker = serve(theirs, Log::default(), Log::default());
        ours.write_all(
            &Request {
                time_ms: 1 << 40,
                ..network(code)
            }
            .frame(),
        )
        .unwrap();
        if code.contains("fetch") {
            frame(&mut ours).unwrap();
        }
        drop(ours);
        worker.join().unwrap();
    }
}

#[test]
fn a_channel_that_is_closed_or_cut_short_is_no_request() {
    for bytes in [&b""[..], b"\0\0", b"\0\0\0\x05{}"] {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let worker = serve(theirs, Log::default(), Log::default());
        ours.write_all(bytes).unwrap();
        ours.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(ours.read(&mut [0]).unwrap(), 0);
        worker.join().unwrap();
    }
}

#[test]
fn garbage_for_an_answer_ends_the_worker() {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let worker = serve(theirs, Log::default(), Log::default());
    ours.write_all(&network("await fetch('http://a')").frame())
        .unwrap();
    frame(&mut ours).unwrap();
    ours.write_all(&framed(b"garbage")).unwrap();
    assert_eq!(frame(&mut ours), None);
    worker.join().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn texts_survive_their_bytes(text: String) {
        let inputs = json!({ "a": text }).to_string();
        let code = "outputs.a = new TextDecoder('utf-8', { ignoreBOM: true }).decode(new TextEncoder().encode(inputs.a))";
        let answer = Request::new(code).inputs(&inputs).run();
        prop_assert_eq!(answer.outputs(), inputs);
    }

    #[test]
    fn parameters_survive_their_text(pairs: Vec<(String, String)>) {
        let inputs = json!({ "a": pairs }).to_string();
        let code = "outputs.a = [...new URLSearchParams(`${new URLSearchParams(inputs.a)}`)]";
        let answer = Request::new(code).inputs(&inputs).run();
        prop_assert_eq!(answer.outputs(), inputs);
    }

    #[test]
    fn whatever_is_logged_is_one_text(text: String) {
        let answer = Request::new("console.log(inputs.a); console.error(inputs)").inputs(&json!({ "a": text }).to_string()).run();
        prop_assert_eq!(answer.outputs(), "{}");
        prop_assert_eq!(answer.out, text + "\n");
    }
}
