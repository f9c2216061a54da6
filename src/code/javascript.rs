//! JavaScript: what a process of the engine is told, and what it has the server fetch.

use std::fs::File;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use engine::host::Code;
use engine::value::Record;
use sandbox::launch::Entrance;
use serde::{Deserialize, Serialize};

use super::limits::Limits;
use crate::egress::fetch::{self, Client, Redirect};

/// What the worker is called.
pub const JAVASCRIPT: &str = "javascript";

/// How much later than the server the engine ends the code: so it is the server that says why.
const LATER: Duration = Duration::from_secs(1);

/// What the process of a step is told.
#[derive(Serialize)]
struct Request<'a> {
    code: &'a str,
    file: &'a str,
    line: usize,
    inputs: &'a Record,
    time_ms: u64,
    memory: u64,
    output: u64,
    result: u64,
    fetch: bool,
}

/// What the process of a step is told; `fetch` if it has a network.
pub fn request(code: &Code<'_>, limits: &Limits, time: Duration, fetch: bool) -> Vec<u8> {
    let request = Request {
        code: code.text,
        file: code.file,
        line: code.line,
        inputs: &code.inputs,
        time_ms: u64::try_from(time.saturating_add(LATER).as_millis()).unwrap_or(u64::MAX),
        memory: limits.memory,
        output: limits.output,
        result: limits.result,
        fetch,
    };
    serde_json::to_vec(&request).unwrap_or_default()
}

/// Runs JavaScript: the engine stands before anything is known of the code.
pub fn work(entrance: Entrance<'_>) {
    let worker = javascript::Worker::prepare();
    let (channel, _) = entrance.enter();
    worker.serve(File::from(channel), std::io::stdout(), std::io::stderr());
}

/// What the engine asks the server to fetch.
#[derive(Deserialize)]
struct Asked {
    id: u64,
    url: String,
    method: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
    redirect: String,
}

/// How it was fetched.
#[derive(Serialize)]
#[serde(untagged)]
enum Fetched {
    Answered {
        id: u64,
        status: u16,
        url: String,
        redirected: bool,
        headers: Vec<(String, String)>,
        body: String,
    },
    Failed {
        id: u64,
        error: String,
    },
}

/// Fetches what the engine asks for, with further headers where it says nothing of them, and gives what it is to be told.
pub async fn fetched(
    client: &Client,
    asked: &[u8],
    further: Vec<(String, String)>,
) -> Option<Vec<u8>> {
    let mut asked: Asked = serde_json::from_slice(asked).ok()?;
    let said = |of: &str| {
        asked
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case(of))
    };
    if !further.iter().any(|(name, _)| said(name)) {
        asked.headers.extend(further);
    }
    let id = asked.id;
    let body = asked.body.map(|body| STANDARD.decode(body)).transpose();
    let request = fetch::Request {
        method: asked.method,
        url: asked.url,
        headers: asked.headers,
        body: body.ok()?.unwrap_or_default(),
        redirect: match &*asked.redirect {
            "manual" => Redirect::Manual,
            "error" => Redirect::Error,
            _ => Redirect::Follow,
        },
    };
    let told = match client.fetch(request, fetch::Limits::default()).await {
        Ok(response) => Fetched::Answered {
            id,
            status: response.status,
            url: response.url,
            redirected: response.redirected,
            headers: response.headers,
            body: STANDARD.encode(response.body),
        },
        Err(error) => Fetched::Failed {
            id,
            error: error.to_string(),
        },
    };
    serde_json::to_vec(&told).ok()
}
