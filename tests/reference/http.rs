//! The page `http.md`: every case of `/api`, asked of the application itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Request};
use waystation::runs::Stop;
use waystation::store::sqlite::{Options, Sqlite};

use crate::support::{Answer, KEY, TestApp, until};

const PROGRAM: &str = r#"id: 1
name: Reference
functions:
  Add:
    triggers:
      - webhook:
          outputs: {A: 1, B: 1}
    steps:
      - set: {Sum: "{{ A + B }}"}
        show: [Sum]
  Divide:
    triggers:
      - webhook:
          outputs: {A: 1, B: 1}
    outputs: {Quotient: number}
    steps:
      - return: {Quotient: "{{ A / B }}"}
  Endless:
    triggers: [webhook]
    steps:
      - while: true
        steps: []
  Switched off:
    triggers: [webhook: {active: false}]
    steps: [print: Never]
"#;

const UNTRIGGERED: &str = "id: 2
name: Without a trigger
functions:
  Main:
    steps: [print: Never]
";

const INTRODUCTION: &str = "# HTTP

`/api` takes `GET` and `POST`, with parameters in the query, in a form, or in a JSON body. Below is every case
with the answer that the server gives. `KEY` stands for the API key, `…` for the id of a run. How calls are
made is told in [Calling](../guide/calling.md).

Every answer says in `server-timing` where its time went, in milliseconds: `total`, and for a run that was waited for `wait` until there
was a place for it, `run` and `record` until its outcome was on the disk.
";

/// The parameters of a call that does not end by itself.
const ENDLESS: &str = "program_id=1&function=Endless";

const PROGRAMS: [(&str, &str); 2] = [("1.yaml", PROGRAM), ("2.yaml", UNTRIGGERED)];

/// The page as it is made.
struct Page {
    text: String,
    /// The headers that every answer has.
    common: Vec<(String, String)>,
}

/// The page, as the application answers.
pub async fn page() -> String {
    let app = TestApp::new(&PROGRAMS).await;
    let mut common = headers(&app.api("program_id=1&function=Add").await);
    common.retain(|(name, _)| name != "waystation-run");
    let listed = lines(&common);
    let mut page = Page {
        text: format!(
            "{INTRODUCTION}\nAnswers have these headers, and those that are shown with them:\n\n```http\n{listed}```\n\n\
The programs that are called:\n\n```yaml\n{PROGRAM}```\n\n```yaml\n{UNTRIGGERED}```\n"
        ),
        common,
    };
    page.accepted(&app).await;
    page.refused(&app).await;
    page.failed(&app).await;
    page.overloaded(&app).await;
    page.text
}

impl Page {
    async fn accepted(&mut self, app: &TestApp) {
        self.text += "\n## The run succeeds, or is accepted\n";
        let two = "program_id=1&function=Add&variables=2&variables=3";
        self.get(app, "The caller waits.", two).await;
        let later = "program_id=1&function=Add&run_async=True";
        self.get(app, "The caller does not wait.", later).await;
        let json = r#"{"program_id": 1, "function": "Divide", "variables": [1, 4]}"#;
        self.post(app, "The parameters come as JSON.", json).await;
    }

    async fn refused(&mut self, app: &TestApp) {
        self.text += "\n## The call is not good\n\nThe first of these that is true of a call is its answer, and nothing runs.\n";
        let another = Request::delete("/api").body(Body::empty()).unwrap();
        self.ask(app, "Another method than `GET` and `POST`.", another)
            .await;
        let browser = Request::options("/api").body(Body::empty()).unwrap();
        let about = "A browser asks whether a page may call. Any may, and needs no key to ask.";
        self.ask(app, about, browser).await;
        let keyless = Request::get("/api?program_id=1")
            .body(Body::empty())
            .unwrap();
        self.ask(app, "No key, or not a good one.", keyless).await;
        let large = " ".repeat(2_000_001);
        self.post(app, "The body is larger than `max-body`.", &large)
            .await;
        self.post(app, "The body is not what its type says.", "{")
            .await;
        for (about, parameters) in [
            (
                "`program_id` is missing or no whole number.",
                "program_id=one",
            ),
            (
                "A parameter comes twice.",
                "program_id=1&function=Add&function=Divide",
            ),
            (
                "`run_async` is neither true nor false.",
                "program_id=1&run_async=later",
            ),
            (
                "There is no such program, or it belongs to another key.",
                "program_id=3",
            ),
            (
                "There is no such function.",
                "program_id=1&function=Subtract",
            ),
            (
                "The function has no active webhook.",
                "program_id=1&function=Switched+off",
            ),
            (
                "No function is named, and none has an active webhook.",
                "program_id=2",
            ),
            (
                "No function is named, and several have an active webhook.",
                "program_id=1",
            ),
            (
                "There are more values than the function takes.",
                "program_id=1&function=Add&variables=1&variables=2&variables=3",
            ),
            (
                "A value does not fit its type.",
                "program_id=1&function=Add&variables=one",
            ),
        ] {
            self.get(app, about, parameters).await;
        }
    }

    async fn failed(&mut self, app: &TestApp) {
        self.text += "\n## The run fails\n";
        let by_zero = "program_id=1&function=Divide&variables=1&variables=0";
        self.get(app, "A step fails.", by_zero).await;
        let app = TestApp::with(&PROGRAMS, &["--max-passes", "1000"]).await;
        self.get(
            &app,
            "The run passes a limit, here a `max-passes` of 1000.",
            ENDLESS,
        )
        .await;
        let app = endless(&["--run-time", "50ms"]).await;
        self.get(
            &app,
            "The run takes longer than `run-time`, here 50 ms.",
            ENDLESS,
        )
        .await;
        let app = endless(&[]).await;
        let (answer, ()) = tokio::join!(app.api(ENDLESS), stop(&app));
        let request = format!("GET /api?api_key=KEY&{ENDLESS}\n");
        self.add("The run is cancelled.", &request, &answer);
        let app = endless(&["--wait", "50ms"]).await;
        let about = "The run takes longer than a caller may wait, `wait`, here 50 ms. It goes on.";
        self.get(&app, about, ENDLESS).await;
        stop(&app).await;
    }

    async fn overloaded(&mut self, app: &TestApp) {
        self.text += "\n## The server cannot take the call\n";
        let add = "program_id=1&function=Add";
        let busy = endless(&["--max-running", "1", "--max-waiting", "0"]).await;
        let then = async {
            running(&busy).await;
            self.get(&busy, "`max-waiting` calls wait already.", add)
                .await;
            stop(&busy).await;
        };
        tokio::join!(busy.api(ENDLESS), then);
        let full = TestApp::with(&PROGRAMS, &["--max-queued", "0"]).await;
        let later = "program_id=1&function=Add&run_async=true";
        self.get(&full, "`max-queued` runs wait already.", later)
            .await;
        let folder = tempfile::TempDir::new().unwrap();
        let options = Options {
            max_bytes: Some(400_000),
        };
        let small = Sqlite::open(&folder.path().join("record"), options).unwrap();
        let full = TestApp::on(Arc::new(small), &PROGRAMS, &[]).await;
        while full.api(add).await.status == 200 {}
        self.get(&full, "There is no room to record the run.", add)
            .await;
        app.app.store.close().await.unwrap();
        let about = "The run cannot be recorded for another reason.";
        self.get(app, about, add).await;
        app.app.draining.store(true, Ordering::Relaxed);
        self.get(app, "The server is stopping.", add).await;
    }

    /// Adds what a call with these parameters in its query is answered.
    async fn get(&mut self, app: &TestApp, about: &str, parameters: &str) {
        let target = format!("/api?api_key={KEY}&{parameters}");
        let request = Request::get(target).body(Body::empty()).unwrap();
        self.ask(app, about, request).await;
    }

    /// Adds what a call with this JSON body is answered.
    async fn post(&mut self, app: &TestApp, about: &str, body: &str) {
        let request = Request::post("/api")
            .header("authorization", format!("Bearer {KEY}"))
            .header("content-type", "application/json")
            .body(Body::from(body.to_owned()));
        self.ask(app, about, request.unwrap()).await;
    }

    async fn ask(&mut self, app: &TestApp, about: &str, request: Request<Body>) {
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let mut shown = format!("{} {}\n", head.method, head.uri);
        for (name, value) in &head.headers {
            shown += &format!("{name}: {}\n", value.to_str().unwrap());
        }
        match body.len() {
            0 => {}
            1..1000 => shown += &format!("\n{}\n", String::from_utf8_lossy(&body)),
            long => shown += &format!("\n({long} bytes)\n"),
        }
        let answer = app.send(Request::from_parts(head, Body::from(body))).await;
        self.add(about, &shown.replace(KEY, "KEY"), &answer);
    }

    fn add(&mut self, about: &str, request: &str, answer: &Answer) {
        let mut headers = headers(answer);
        headers.retain(|header| !self.common.contains(header));
        let (status, headers) = (answer.status, lines(&headers));
        let mut text = format!("HTTP/1.1 {status}\n{headers}\n{}", answer.body);
        let run = answer.header("waystation-run");
        if !run.is_empty() {
            text = text.replace(run, "…");
        }
        let text = text.trim_end();
        self.text += &format!("\n{about}\n\n```http\n{request}```\n\n```http\n{text}\n```\n");
    }
}

/// An application under settings that do not end the function `Endless`.
async fn endless(flags: &[&str]) -> TestApp {
    let no_end = ["--max-passes", "99999999999", "--max-steps", "99999999999"];
    TestApp::with(&PROGRAMS, &[&no_end[..], flags].concat()).await
}

/// Waits until a run is at work.
async fn running(app: &TestApp) {
    until(async || (!app.app.running.lock().unwrap().is_empty()).then_some(())).await;
}

/// Waits until a run is at work, and cancels it.
async fn stop(app: &TestApp) {
    running(app).await;
    for (_, stop) in app.app.running.lock().unwrap().values() {
        stop.store(Stop::Cancelled as u8, Ordering::Relaxed);
    }
}

fn headers(answer: &Answer) -> Vec<(String, String)> {
    let header = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.to_string(), value.to_str().unwrap().to_owned())
    };
    let headers = answer.headers.iter().map(header);
    headers
        .filter(|(name, _)| name != "content-length" && name != "server-timing")
        .collect()
}

fn lines(headers: &[(String, String)]) -> String {
    let line = |(name, value): &(String, String)| format!("{name}: {value}\n");
    headers.iter().map(line).collect()
}
