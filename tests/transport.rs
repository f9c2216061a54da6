//! Raw HTTP against the real server: what is refused before it is routed, and what a client may hold open.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use support::{KEY, TestCommand, TestServer, rest};

const ECHO: &str = r#"
id: 1
name: Echo
functions:
  Main:
    triggers:
      - webhook:
          outputs: {Name: Ada}
    steps:
      - set: {Name: "{{ Name }}"}
        show: [Name]
"#;

/// What a call without values is answered.
const DONE: &str = r#"{"Success":"Program finished.","Result":[["Name","Ada"]]}"#;

fn serve(flags: &[&str]) -> (TestCommand, TestServer) {
    let command = TestCommand::new(&[("echo.yaml", ECHO)]);
    let server = TestServer::start(&command, flags);
    (command, server)
}

/// The start of a good request's head; further headers and the empty line are to follow.
fn post(parameters: &str) -> String {
    format!("POST /api?api_key={KEY}&program_id=1{parameters} HTTP/1.1\r\nHost: localhost\r\n")
}

/// An answer's first line, the other lines of its head, and what follows it.
fn parts(answer: &str) -> (&str, &str, &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let (first, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    (first, headers, body)
}

/// The length that the head of an answer gives.
fn length(headers: &str) -> usize {
    let line = headers
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    line.map_or(0, |length| length.parse().unwrap())
}

/// Reads one answer from a connection that stays open: its first line and its body.
fn answer(stream: &mut TcpStream) -> (String, String) {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        bytes.extend(byte);
    }
    let head = String::from_utf8(bytes).unwrap();
    let (first, headers, _) = parts(&head);
    let mut body = vec![0; length(headers)];
    stream.read_exact(&mut body).unwrap();
    (first.to_owned(), String::from_utf8(body).unwrap())
}

/// The values that the recorded runs were called with, sorted.
fn called(command: &TestCommand) -> Vec<String> {
    let json = |args: &[&str]| {
        let ran = command.run(&[args, &["--json", "--data", "data"]].concat());
        serde_json::from_str::<serde_json::Value>(&ran.stdout).unwrap()
    };
    let runs = json(&["runs", "--limit", "1000"]);
    let runs = runs.as_array().unwrap().iter();
    let mut values: Vec<String> = runs
        .map(|run| json(&["runs", run["id"].as_str().unwrap()])["inputs"]["Name"].to_string())
        .collect();
    values.sort();
    values
}

#[test]
fn what_is_not_http_is_refused_without_a_body_and_the_connection_closed() {
    let (command, server) = serve(&[]);
    let many: String = (0..110).map(|at| format!("X-{at}: 1\r\n")).collect();
    let good = post("");
    for (name, request, first) in [
        (
            "a long address",
            format!("{}\r\n", post(&format!("&x={}", "x".repeat(65_600)))),
            "414 URI Too Long",
        ),
        (
            "110 headers",
            format!("{good}{many}\r\n"),
            "431 Request Header Fields Too Large",
        ),
        (
            "a header of 500 KB",
            format!("{good}X: {}\r\n\r\n", "x".repeat(500_000)),
            "431 Request Header Fields Too Large",
        ),
        (
            "two lengths",
            format!("{good}Content-Length: 2\r\nContent-Length: 3\r\n\r\nab"),
            "400 Bad Request",
        ),
        (
            "a negative length",
            format!("{good}Content-Length: -1\r\n\r\n"),
            "400 Bad Request",
        ),
        (
            "a length with a sign",
            format!("{good}Content-Length: +2\r\n\r\nab"),
            "400 Bad Request",
        ),
        (
            "a length of 20 digits",
            format!("{good}Content-Length: 99999999999999999999\r\n\r\n"),
            "400 Bad Request",
        ),
        (
            "chunks that are not last",
            format!("{good}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
            "400 Bad Request",
        ),
        (
            "a coding that is none",
            format!("{good}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
            "400 Bad Request",
        ),
        (
            "a blank before the colon",
            format!("{good}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
            "400 Bad Request",
        ),
        (
            "a folded line",
            format!("{good}X: a\r\n b\r\n\r\n"),
            "400 Bad Request",
        ),
        (
            "a NUL in a header",
            format!("{good}X: a\0b\r\n\r\n"),
            "400 Bad Request",
        ),
        (
            "a bad version",
            "GET /api HTTP/1.2.3\r\n\r\n".to_owned(),
            "400 Bad Request",
        ),
        (
            "a blank in the address",
            "GET /api?a b HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            "400 Bad Request",
        ),
        (
            "no HTTP",
            "\u{16}\u{3}\u{1}\0\u{5}\u{1}\0\0\u{1}\u{3}\u{3}".to_owned(),
            "400 Bad Request",
        ),
    ] {
        let raw = server.raw(&request);
        let (line, headers, body) = parts(&raw);
        assert_eq!((line, body), (&*format!("HTTP/1.1 {first}"), ""), "{name}");
        assert_eq!(length(headers), 0, "{name}");
    }
    // A caller of HTTP/2 is told nothing that it could misread.
    assert_eq!(server.raw("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "");
    assert!(called(&command).is_empty());
    let raw = server.raw(format!("{good}Connection: close\r\n\r\n"));
    assert_eq!(parts(&raw).2, DONE);
}

#[test]
fn what_is_http_and_not_taken_is_told_in_a_sentence_and_the_connection_closed() {
    let (command, server) = serve(&[]);
    let many: String = (0..70).map(|at| format!("X-{at}: 1\r\n")).collect();
    let (good, target) = (post(""), format!("/api?api_key={KEY}&program_id=1"));
    let host = |host: &str| format!("GET {target} HTTP/1.1\r\n{host}\r\n");
    let no_host = "Host is not a name or address with a port.";
    for (request, first, sentence) in [
        (host(""), "400 Bad Request", "Host is missing."),
        (
            host("Host: a\r\nHost: a\r\n"),
            "400 Bad Request",
            "Host is given more than once.",
        ),
        (
            host("Host: localhost:1@evil.test\r\n"),
            "400 Bad Request",
            no_host,
        ),
        (host("Host: [::1\r\n"), "400 Bad Request", no_host),
        (host("Host:\r\n"), "400 Bad Request", no_host),
        (
            format!("{good}{many}\r\n"),
            "431 Request Header Fields Too Large",
            "The request has more than 64 headers.",
        ),
        (
            format!("{good}X: {}\r\n\r\n", "x".repeat(16 << 10)),
            "431 Request Header Fields Too Large",
            "A header is longer than 16384 bytes.",
        ),
        (
            format!("{good}Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"),
            "415 Unsupported Media Type",
            "Compressed request bodies are not accepted.",
        ),
        (
            format!("{good}Content-Length: 5000000000\r\n\r\n"),
            "413 Payload Too Large",
            "The request body is larger than 104857600 bytes.",
        ),
        (
            format!("{good}Content-Length: 9000000\r\n\r\n"),
            "413 Payload Too Large",
            "The request body is larger than 2000000 bytes.",
        ),
        (
            format!("{good}Expect: 100-continue\r\nContent-Length: 9000000\r\n\r\n"),
            "413 Payload Too Large",
            "The request body is larger than 2000000 bytes.",
        ),
        (
            format!("{good}Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
            "400 Bad Request",
            "The request body is cut short or malformed.",
        ),
        (
            format!(
                "{good}Transfer-Encoding: chunked\r\n\r\n1;{}\r\na\r\n0\r\n\r\n",
                "x".repeat(100_000)
            ),
            "400 Bad Request",
            "The request body is cut short or malformed.",
        ),
    ] {
        let raw = server.raw(&request);
        let (line, headers, body) = parts(&raw);
        let told = format!(r#"{{"Error":"{sentence}"}}"#);
        assert_eq!((line, body), (&*format!("HTTP/1.1 {first}"), &*told));
        assert_eq!(length(headers), told.len());
        for wanted in [
            "content-type: application/json",
            "access-control-allow-origin: *",
            "cache-control: no-store",
            "connection: close",
        ] {
            assert!(headers.lines().any(|line| line == wanted), "{headers}");
        }
    }
    assert!(called(&command).is_empty());
}

#[test]
fn what_is_odd_and_taken() {
    let (command, server) = serve(&[]);
    let close = "Connection: close\r\n\r\n";
    let target = format!("/api?api_key={KEY}&program_id=1&variables=");
    for (request, name) in [
        (
            format!("GET {target}Zoë HTTP/1.1\r\nHost: x\r\n{close}"),
            "Zoë",
        ),
        (
            format!(
                "POST http://other.example{target}absolute HTTP/1.1\r\nHost: other.example\r\n{close}"
            ),
            "absolute",
        ),
        (format!("POST {target}old HTTP/1.0\r\n\r\n"), "old"),
        (
            format!("POST {target}lines HTTP/1.1\nHost: x\nConnection: close\n\n"),
            "lines",
        ),
        (
            format!(
                "POST {target}empty HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 0\r\n{close}"
            ),
            "empty",
        ),
        (
            format!(
                "POST {target}identity HTTP/1.1\r\nHost: x\r\nContent-Encoding: identity\r\nContent-Length: 1\r\n{close}x"
            ),
            "identity",
        ),
        (
            format!(
                "POST {target}fragment HTTP/1.1\r\nHost: [::1]:80\r\nUpgrade: websocket\r\n{close}"
            ),
            "fragment",
        ),
        (
            format!("POST {target}?? HTTP/1.1\r\nHost: x\r\n{close}"),
            "??",
        ),
    ] {
        let raw = server.raw(&request);
        let (line, headers, body) = parts(&raw);
        let done = DONE.replace("Ada", name);
        assert!(line.ends_with(" 200 OK"), "{name}: {raw}");
        assert_eq!(body, done);
        assert_eq!(length(headers), done.len());
        assert!(headers.contains("waystation-run: "));
    }
    assert_eq!(called(&command).len(), 8);
}

#[test]
fn other_methods_are_refused_as_bytes() {
    let (command, server) = serve(&[]);
    let told = r#"{"Error":"This address takes GET and POST requests only."}"#;
    for method in [
        "PUT", "DELETE", "PATCH", "TRACE", "FOO", "get", "CONNECT", "HEAD",
    ] {
        let raw = server.raw(format!(
            "{method} /api?api_key={KEY}&program_id=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        ));
        let (line, headers, body) = parts(&raw);
        assert_eq!(line, "HTTP/1.1 405 Method Not Allowed", "{method}");
        assert_eq!(body, if method == "HEAD" { "" } else { told }, "{method}");
        assert!(
            headers.contains("allow: GET, POST, OPTIONS"),
            "{method}: {headers}"
        );
    }
    let raw =
        server.raw("CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(parts(&raw).0, "HTTP/1.1 404 Not Found");
    assert!(called(&command).is_empty());
}

#[test]
fn requests_on_one_connection_are_answered_in_turn() {
    let (command, server) = serve(&[]);
    let mut stream = server.connect();
    let one = |name: &str| format!("{}\r\n", post(&format!("&variables={name}")));
    let bad = "POST /api HTTP/1.1\r\nHost: x\r\n\r\n";
    let all = format!("{}{bad}{}", one("a"), one("b"));
    stream.write_all(all.as_bytes()).unwrap();
    let ok = "HTTP/1.1 200 OK".to_owned();
    assert_eq!(answer(&mut stream), (ok.clone(), DONE.replace("Ada", "a")));
    let refused = r#"{"Error":"Invalid API key."}"#.to_owned();
    assert_eq!(
        answer(&mut stream),
        ("HTTP/1.1 401 Unauthorized".to_owned(), refused)
    );
    assert_eq!(answer(&mut stream), (ok.clone(), DONE.replace("Ada", "b")));
    stream.write_all(one("c").as_bytes()).unwrap();
    assert_eq!(answer(&mut stream), (ok, DONE.replace("Ada", "c")));
    assert_eq!(called(&command), [r#""a""#, r#""b""#, r#""c""#]);
}

#[test]
fn a_request_hidden_in_a_body_is_not_run() {
    let (command, server) = serve(&[]);
    let hidden = format!("{}\r\n", post("&variables=hidden"));
    let length = hidden.len() + 5;
    for (name, framing) in [
        (
            "first",
            format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
        ),
        (
            "second",
            format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"),
        ),
    ] {
        let start = post(&format!("&variables={name}"));
        let raw = server.raw(format!("{start}{framing}\r\n0\r\n\r\n{hidden}"));
        assert_eq!(raw.matches("HTTP/1.1 ").count(), 1, "{raw}");
        assert_eq!(parts(&raw).2, DONE.replace("Ada", name));
    }
    // A body of a type that is not read is still a body.
    let mut stream = server.connect();
    let start = post("&variables=third");
    let request = format!("{start}Content-Length: {}\r\n\r\n{hidden}", hidden.len());
    stream.write_all(request.as_bytes()).unwrap();
    assert_eq!(answer(&mut stream).1, DONE.replace("Ada", "third"));
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut stream), "");
    assert_eq!(
        called(&command),
        [r#""first""#, r#""second""#, r#""third""#]
    );
}

#[test]
fn a_body_is_asked_for_if_it_is_wanted() {
    let (_command, server) = serve(&[]);
    let mut stream = server.connect();
    let start = post("");
    let kind = "Content-Type: application/x-www-form-urlencoded";
    let head = format!("{start}Expect: 100-continue\r\n{kind}\r\nContent-Length: 11\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(answer(&mut stream).0, "HTTP/1.1 100 Continue");
    stream.write_all(b"variables=x").unwrap();
    assert_eq!(answer(&mut stream).1, DONE.replace("Ada", "x"));
}

#[test]
fn a_body_in_many_small_chunks_is_counted() {
    let (command, server) = serve(&["--max-body", "64KB"]);
    let start = post("");
    let chunks = |count: usize| {
        format!(
            "{start}Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
            "1\r\nx\r\n".repeat(count)
        )
    };
    let raw = server.raw(chunks(100_000));
    assert_eq!(
        (parts(&raw).0, parts(&raw).2),
        (
            "HTTP/1.1 413 Payload Too Large",
            r#"{"Error":"The request body is larger than 64000 bytes."}"#
        )
    );
    assert!(called(&command).is_empty());
    let mut stream = server.connect();
    stream.write_all(chunks(64_000).as_bytes()).unwrap();
    assert_eq!(answer(&mut stream).1, DONE);
}

#[test]
fn a_body_that_stands_still_or_ends_early_is_refused() {
    let (command, server) = serve(&["--body-time", "300ms"]);
    let start = post("");
    let request = format!("{start}Content-Length: 10\r\n\r\nabc");
    let raw = server.raw(&request);
    assert_eq!(
        (parts(&raw).0, parts(&raw).2),
        (
            "HTTP/1.1 408 Request Timeout",
            r#"{"Error":"The request body did not arrive in time."}"#
        )
    );
    let mut stream = server.connect();
    stream.write_all(request.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let raw = rest(&mut stream);
    // hyper may notice that the client is gone before it can be answered.
    assert!(
        matches!(parts(&raw).0, "HTTP/1.1 400 Bad Request" | ""),
        "{raw}"
    );
    assert!(called(&command).is_empty());
}

#[test]
fn a_slow_or_silent_client_is_left() {
    let (_command, server) = serve(&["--head-time", "300ms"]);
    let began = Instant::now();
    let mut silent = server.connect();
    let mut halted = server.connect();
    halted.write_all(b"POST /api HTTP/1.1\r\nHo").unwrap();
    let mut dripping = server.connect();
    dripping
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    let mut head = post("").into_bytes().into_iter().cycle();
    // The read is what paces the bytes.
    let closed = loop {
        let _ = dripping.write_all(&[head.next().unwrap()]);
        match dripping.read(&mut [0; 64]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            other => break other,
        }
    };
    assert!(closed.is_err() || matches!(closed, Ok(0)), "{closed:?}");
    assert_eq!(rest(&mut silent), "");
    assert_eq!(rest(&mut halted), "");
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(290) && took < Duration::from_secs(5),
        "{took:?}"
    );
    // One that has been served may take its time, as far as the head goes.
    let mut idle = server.connect();
    idle.write_all(format!("{}\r\n", post("")).as_bytes())
        .unwrap();
    assert_eq!(answer(&mut idle).1, DONE);
    idle.write_all(b"GET").unwrap();
    assert_eq!(rest(&mut idle), "");
}

/// A connection that has been served and stays open.
fn held(server: &TestServer) -> TcpStream {
    let mut stream = server.connect();
    stream
        .write_all(format!("{}\r\n", post("")).as_bytes())
        .unwrap();
    assert_eq!(answer(&mut stream).1, DONE);
    stream
}

/// Sends a good request from an address of loopback.
fn from(address: &str, server: &TestServer) -> String {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket
            .bind(format!("{address}:0").parse().unwrap())
            .unwrap();
        let stream = socket
            .connect(server.address.parse().unwrap())
            .await
            .unwrap();
        let mut stream = stream.into_std().unwrap();
        stream.set_nonblocking(false).unwrap();
        stream
            .write_all(format!("{}Connection: close\r\n\r\n", post("")).as_bytes())
            .unwrap();
        rest(&mut stream)
    })
}

#[test]
fn one_address_holds_so_many_connections_and_others_are_served() {
    let (_command, server) = serve(&["--max-connections-per-address", "4"]);
    let mut open: Vec<TcpStream> = (0..4).map(|_| held(&server)).collect();
    let request = format!("{}Connection: close\r\n\r\n", post(""));
    for _ in 0..3 {
        assert_eq!(server.raw(&request), "");
    }
    assert_eq!(parts(&from("127.0.0.2", &server)).2, DONE);
    // Those that were let in are served on.
    open[0]
        .write_all(format!("{}\r\n", post("")).as_bytes())
        .unwrap();
    assert_eq!(answer(&mut open[0]).1, DONE);
    // A place that becomes free is given to the next.
    open.pop();
    let until = Instant::now() + Duration::from_secs(10);
    let next = std::iter::repeat_with(|| server.raw(&request));
    let next = next
        .take_while(|_| Instant::now() < until)
        .find(|answer| !answer.is_empty());
    assert_eq!(parts(&next.unwrap()).2, DONE);
}

#[test]
fn the_129th_connection_of_an_address_is_refused() {
    let (_command, server) = serve(&[]);
    let open: Vec<TcpStream> = (0..128).map(|_| held(&server)).collect();
    assert_eq!(server.raw(format!("{}\r\n", post(""))), "");
    drop(open);
}

#[test]
fn a_connection_over_the_total_is_told_so() {
    let (_command, server) = serve(&["--max-connections", "2"]);
    let open: Vec<TcpStream> = (0..2).map(|_| held(&server)).collect();
    for address in ["127.0.0.1", "127.0.0.2"] {
        assert_eq!(
            from(address, &server),
            "HTTP/1.1 503 Service Unavailable\r\n\
             content-type: application/json\r\n\
             access-control-allow-origin: *\r\n\
             retry-after: 1\r\n\
             connection: close\r\n\
             content-length: 53\r\n\
             \r\n\
             {\"Error\":\"The server has too many open connections.\"}"
        );
    }
    drop(open);
}
