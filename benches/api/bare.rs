//! The handler that ours is measured against: it reads the same query and answers the same bytes, and that is all.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

/// The headers of an answer of ours.
const HEADERS: [(&str, &str); 7] = [
    ("content-type", "application/json"),
    ("access-control-allow-origin", "*"),
    (
        "access-control-expose-headers",
        "waystation-run, retry-after",
    ),
    ("cache-control", "no-store"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("waystation-run", "01a20f50-7a25-740f-a1a1-b3698b1ff7c9"),
];

/// Serves until the process is killed; the address is the first line it writes.
pub fn serve(answer: &'static str) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("an address"));
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        let router = Router::new().route("/api", post(handle)).with_state(answer);
        axum::serve(listener, router).await.expect("it serves");
    });
}

async fn handle(State(answer): State<&'static str>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let known = pairs.iter().any(|(name, _)| name == "program_id");
    assert!(known, "the query is read");
    (HEADERS, answer.to_owned()).into_response()
}

/// The bare server in a process of its own.
pub struct Bare {
    child: Child,
    pub address: String,
}

impl Bare {
    pub fn start() -> Bare {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .arg("bare")
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut address = String::new();
        let out = child.stdout.take().expect("it is piped");
        BufReader::new(out)
            .read_line(&mut address)
            .expect("it tells");
        Bare {
            child,
            address: address.trim().to_owned(),
        }
    }

    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
