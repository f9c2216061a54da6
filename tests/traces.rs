//! Traces of callers are gone on with, and a collector is told what belongs to them.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::io::Write;
use std::net::TcpStream;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use rustix::process::Signal;
use support::outside::Outside;
use support::{KEY, TestCommand, TestServer, rest};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A program that calls somebody, and fails if it is told to.
fn command(outside: &Outside) -> TestCommand {
    let program = format!(
        "id: 1
name: Calls
functions:
  Main:
    triggers: [webhook: {{outputs: {{Holds: true}}}}]
    steps:
      - javascript: await fetch('{}/called');
      - assert: Holds
",
        outside.url()
    );
    TestCommand::new(&[("calls.yaml", &program)])
}

/// Calls the program, in a trace.
fn call(server: &TestServer, rest: &str) -> TcpStream {
    let mut stream = server.connect();
    let request = format!(
        "POST /api?program_id=1{rest} HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nConnection: close\r\n\
         traceparent: {PARENT}\r\ntracestate: of=caller\r\nContent-Length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// What a server told the collector that has ended, in the order in which it began.
fn told(collector: &Outside, mut server: TestServer) -> (Vec<Span>, Vec<KeyValue>) {
    server.signal(Signal::TERM);
    let called = collector.called();
    assert_eq!(called.path, "v1/traces");
    assert_eq!(called.header("content-type"), "application/x-protobuf");
    assert_eq!(called.header("x-whose"), "ours");
    let request = ExportTraceServiceRequest::decode(&*called.bytes).unwrap();
    called.answer_with("200 OK");
    assert!(server.child.wait().unwrap().success());
    let of = request.resource_spans.into_iter().next().unwrap();
    let mut spans: Vec<Span> = of.scope_spans.into_iter().flat_map(|of| of.spans).collect();
    spans.sort_by_key(|span| span.start_time_unix_nano);
    (spans, of.resource.unwrap().attributes)
}

/// Attributes as text, in the order of their names, without the ids of runs.
fn shown(attributes: &[KeyValue]) -> String {
    let mut shown: Vec<String> = attributes
        .iter()
        .filter(|of| of.key != "waystation.run")
        .map(
            |of| match of.value.as_ref().unwrap().value.as_ref().unwrap() {
                Value::StringValue(text) => format!("{}={text}", of.key),
                Value::IntValue(number) => format!("{}={number}", of.key),
                other => panic!("{other:?}"),
            },
        )
        .collect();
    shown.sort();
    shown.join(" ")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_collector_is_told_of_requests_runs_and_steps() {
    let (outside, collector) = (Outside::new(), Outside::new());
    let mut command = command(&outside);
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-whose=ours".to_owned()),
    ];
    command.environment = environment
        .map(|(name, value)| (name.to_owned(), value))
        .into();
    let server = TestServer::start(&command, &["--egress-allow", &outside.address()]);
    let mut answer = call(&server, "&variables=false");
    let called = outside.called();
    let carried = (
        called.header("traceparent").to_owned(),
        called.header("tracestate").to_owned(),
    );
    called.answer();
    assert!(rest(&mut answer).starts_with("HTTP/1.1 500 "));
    let (spans, resource) = told(&collector, server);

    let version = env!("CARGO_PKG_VERSION");
    let whole = shown(&resource);
    assert!(whole.contains("service.name=waystation"), "{whole}");
    assert!(
        whole.contains(&format!("service.version={version}")),
        "{whole}"
    );
    let [request, run, step] = &spans[..] else {
        panic!("{spans:?}")
    };
    for (span, name, kind) in [
        (request, "POST /api", 2),
        (run, "run", 1),
        (step, "javascript", 1),
    ] {
        assert_eq!((&*span.name, span.kind), (name, kind));
        assert_eq!(hex(&span.trace_id), TRACE);
    }
    assert_eq!(hex(&request.parent_span_id), "00f067aa0ba902b7");
    assert_eq!(run.parent_span_id, request.span_id);
    assert_eq!(step.parent_span_id, run.span_id);
    let below = format!("00-{TRACE}-{}-01", hex(&step.span_id));
    assert_eq!(carried, (below, "of=caller".to_owned()));
    assert_eq!(
        shown(&request.attributes),
        "error.type=500 http.request.method=POST http.response.status_code=500 http.route=/api"
    );
    assert_eq!(
        shown(&run.attributes),
        "error.type=error waystation.function=Main waystation.program.name=Calls waystation.program=1 \
         waystation.state=failed waystation.trigger=webhook"
    );
    assert_eq!(shown(&step.attributes), "waystation.step=1");
}

#[test]
fn a_trace_is_carried_on_without_a_collector_also_by_the_next_server() {
    let outside = Outside::new();
    let command = command(&outside);
    let flags = ["--egress-allow", &outside.address()];
    let mut server = TestServer::start(&command, &flags);
    let mut answer = call(&server, "&run_async=true");
    assert!(rest(&mut answer).starts_with("HTTP/1.1 200 "));
    let first = outside.called();
    server.signal(Signal::KILL);
    server.child.wait().unwrap();
    let _server = TestServer::start(&command, &flags);
    for called in [first, outside.called()] {
        assert_eq!(called.header("traceparent"), PARENT);
        assert_eq!(called.header("tracestate"), "of=caller");
        called.answer();
    }
}

#[test]
fn an_address_that_is_none_is_refused() {
    let command = TestCommand::new(&[]);
    let ran = command.run(&["serve", ".", "--otlp", "collector:4318"]);
    let said = "error: invalid value 'collector:4318' for '--otlp <URL>': write the address of a collector, such as \
                `http://127.0.0.1:4318`\n\nFor more information, try '--help'.\n";
    ran.is(2, "", said);
}
