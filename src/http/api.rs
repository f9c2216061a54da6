//! `/api`: the wire contract of 2019.

use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::run::{Failure, Outcome, Reason};
use engine::value::Value;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::json as value;

use super::key::Given;
use super::legacy;
use super::openapi::{Gives, Operation, Shape, Takes, of};
use super::parameters::{self, MAX_NAME, MAX_VALUES, Parameters, Wrong};
use super::transport::{Refusal, read_body};
use crate::app::App;
use crate::runs::{self, Call, Refused};
use crate::store::RunId;
use crate::traces::Trace;

/// The header that names the run an answer belongs to.
pub const RUN: HeaderName = HeaderName::from_static("waystation-run");

/// The header that says that an answer is the one of a call before, of the same `Idempotency-Key`.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// What is wrong, in a sentence.
#[derive(Serialize, JsonSchema)]
pub struct Error<'a> {
    /// The sentence.
    #[serde(rename = "Error")]
    pub error: &'a str,
}

/// That all is well.
#[derive(Serialize, JsonSchema)]
pub struct Success<'a> {
    /// `Program finished.`, or `Program started.` for a caller who does not wait.
    #[serde(rename = "Success")]
    success: &'a str,
    /// Pairs of a name and a value, for a caller who waited.
    #[serde(rename = "Result", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "pairs")]
    result: Option<&'a [(Arc<str>, Value)]>,
}

fn pairs(_: &mut SchemaGenerator) -> Schema {
    let pair = value!({ "type": "array", "description": "A name and a value.", "minItems": 2, "maxItems": 2 });
    json_schema!({ "type": "array", "items": pair })
}

/// What errors look like.
pub const ERROR: (&str, Shape) = ("application/json", of::<Error>);

/// What can be asked for.
pub fn operations() -> Vec<Operation> {
    let takes = |name, about, schema| Takes {
        name,
        place: "query",
        about,
        schema,
        required: false,
    };
    let program = value!({ "type": "integer", "minimum": 1, "maximum": i64::MAX });
    let truth = value!({ "enum": ["true", "false"] });
    let values = value!({ "type": "array", "items": { "type": "string" }, "maxItems": MAX_VALUES });
    let parameters = vec![
        takes("program_id", "Which program.", program),
        takes(
            "function",
            "Which function; not needed where only one has an active webhook.",
            value!({ "type": "string", "maxLength": MAX_NAME }),
        ),
        takes(
            "variables",
            "The values, in the order of the variables.",
            values,
        ),
        takes("run_async", "Whether the caller does not wait.", truth),
    ];
    // With a body it may stand there.
    let mut of_get = parameters.clone();
    of_get[0].required = true;
    let one = |method, id, summary| Operation {
        method,
        path: "/api",
        id,
        summary,
        takes: parameters.clone(),
        body: None,
        keyed: true,
        gives: vec![Gives {
            status: 200,
            about: "The run has succeeded, or is in the record for a caller who does not wait.",
            bodies: vec![("application/json", of::<Success>)],
        }],
        refuses: &[400, 404, 409, 422, 429, 500, 503, 504, 507],
    };
    let kinds: &[&str] = &["application/json", "application/x-www-form-urlencoded"];
    vec![
        Operation {
            takes: of_get,
            ..one("get", "call", "Run a program, as WayScript had it in 2019")
        },
        Operation {
            body: Some((
                kinds,
                |_| value!({ "type": "object", "description": "Parameters, as in the query." }),
            )),
            refuses: &[400, 404, 408, 409, 413, 422, 429, 500, 503, 504, 507],
            ..one(
                "post",
                "callWithBody",
                "Run a program, with parameters in a body too",
            )
        },
    ]
}

/// Answers a request to `/api`.
pub async fn answer(State(app): State<Arc<App>>, request: Request) -> Response {
    match *request.method() {
        Method::GET | Method::POST => match wish(&app, request).await {
            Ok(call) => called(&app, call).await,
            Err(response) => response,
        },
        Method::OPTIONS => preflight(),
        _ => {
            let mut response = legacy(
                StatusCode::METHOD_NOT_ALLOWED,
                "This address takes GET and POST requests only.",
            );
            response.headers_mut().insert(
                header::ALLOW,
                HeaderValue::from_static("GET, POST, OPTIONS"),
            );
            response
        }
    }
}

/// The answer to a browser that asks whether it may call from another origin: any may, `null` too.
fn preflight() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    common(headers);
    let mut insert = |name, value| headers.insert(name, HeaderValue::from_static(value));
    insert(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS");
    insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        "authorization, content-type, x-api-key, x-wayscript-api, idempotency-key, prefer",
    );
    insert(header::ACCESS_CONTROL_MAX_AGE, "600");
    response
}

async fn called(app: &Arc<App>, call: Call) -> Response {
    let (program, waits) = (call.program, call.wait.is_some());
    let started = match runs::start(app, call).await {
        Ok(started) => started,
        Err(refused) => return not_started(program, refused),
    };
    let run = started.run;
    let response = match started.outcome {
        Some(outcome) => ended(outcome),
        None if !waits => json(
            StatusCode::OK,
            r#"{"Success":"Program started."}"#.to_owned(),
        ),
        None => {
            let sentence = format!(
                "The program is still running after {}; its outcome will be in the record of run {run}.",
                time(app.config.wait)
            );
            legacy(StatusCode::GATEWAY_TIMEOUT, &sentence)
        }
    };
    let mut response = of_run(run, response);
    if let Some(took) = started.took {
        response.extensions_mut().insert(took);
    }
    if started.replayed {
        let yes = HeaderValue::from_static("true");
        response.headers_mut().insert(REPLAYED, yes);
    }
    response
}

/// Reads a request: the key first, then everything else.
async fn wish(app: &App, mut request: Request) -> Result<Call, Response> {
    let trace = Trace::of(request.headers());
    let mut given = request
        .extensions_mut()
        .remove::<Given>()
        .unwrap_or_default();
    let (head, body) = request.into_parts();
    let mut parameters = Parameters::default();
    if let Some(query) = head.uri.query() {
        parameters.take_form(query, &mut given);
    }
    let flawed = take_body(app, &head.headers, body, &mut parameters, &mut given).await?;
    let account = given.only().and_then(|key| app.keys.account(key));
    let account = account.ok_or_else(|| legacy(StatusCode::UNAUTHORIZED, "Invalid API key."))?;
    if let Some(sentence) = flawed {
        return Err(legacy(StatusCode::BAD_REQUEST, &sentence));
    }
    let wrong = |(status, sentence): Wrong| legacy(status, &sentence);
    let wish = parameters.wish().map_err(wrong)?;
    let key = parameters::key(&head.headers).map_err(wrong)?;
    Ok(Call {
        account,
        program: wish.program,
        entry: engine::plan::Call {
            function: wish.function,
            values: wish.variables,
            named: None,
            by_webhook: true,
        },
        trigger: "webhook",
        wait: (!wish.run_async).then_some(app.config.wait),
        key,
        callback: None,
        trace,
    })
}

/// Takes the parameters of the body, if it has a type that holds any. What is wrong with it is told
/// only to a caller whose key is good.
async fn take_body(
    app: &App,
    headers: &HeaderMap,
    body: Body,
    parameters: &mut Parameters,
    given: &mut Given,
) -> Result<Option<String>, Response> {
    if axum::body::HttpBody::is_end_stream(&body) {
        return Ok(None);
    }
    let limit = usize::try_from(app.config.max_body.bytes()).unwrap_or(usize::MAX);
    let body = read_body(body, limit, app.config.body_time)
        .await
        .map_err(Refusal::into_response)?;
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    let kind = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let text = std::str::from_utf8(&body);
    Ok(match (&*kind, text) {
        _ if body.is_empty() => None,
        ("application/json" | "application/x-www-form-urlencoded", Err(_)) => {
            Some("The body is not valid UTF-8.".to_owned())
        }
        ("application/json", Ok(text)) => parameters.take_json(text, given).err(),
        ("application/x-www-form-urlencoded", Ok(text)) => {
            parameters.take_form(text, given);
            None
        }
        _ => None,
    })
}

fn ended(outcome: Outcome) -> Response {
    match outcome {
        Outcome::Succeeded(values) => {
            let body = Success {
                success: "Program finished.",
                result: Some(&values),
            };
            json(
                StatusCode::OK,
                serde_json::to_string(&body).unwrap_or_default(),
            )
        }
        Outcome::Failed(failure) => legacy(status(&failure), &failure.to_string()),
        Outcome::Cancelled(failure) => {
            legacy(StatusCode::INTERNAL_SERVER_ERROR, &failure.to_string())
        }
    }
}

fn status(failure: &Failure) -> StatusCode {
    match failure.reason {
        Reason::Timeout => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn not_started(program: u64, refused: Refused) -> Response {
    use engine::plan::Refusal as Entry;
    let (status, sentence, again) = match refused {
        Refused::NoProgram => {
            let sentence = format!("Program {program} does not exist or you have no access to it.");
            (StatusCode::NOT_FOUND, sentence, None)
        }
        Refused::Entry(refusal) => {
            let status = match refusal {
                Entry::NoFunction(..) => StatusCode::NOT_FOUND,
                Entry::NotActive(_) | Entry::NoWebhook => StatusCode::CONFLICT,
                _ => StatusCode::BAD_REQUEST,
            };
            (status, refusal.to_string(), None)
        }
        Refused::TooMany => {
            let sentence = "Too many calls are waiting. Try again in 1 second.".to_owned();
            (StatusCode::TOO_MANY_REQUESTS, sentence, Some("1"))
        }
        Refused::QueueFull => {
            let sentence = "Too many runs are queued. Try again in 5 seconds.".to_owned();
            (StatusCode::SERVICE_UNAVAILABLE, sentence, Some("5"))
        }
        Refused::Crowded => {
            let sentence = "Too many runs of this program are waiting. Try again in 5 seconds.";
            let status = StatusCode::TOO_MANY_REQUESTS;
            (status, sentence.to_owned(), Some("5"))
        }
        Refused::AccountCalls => {
            let sentence = "Too many calls of this account are waiting. Try again in 1 second.";
            let status = StatusCode::TOO_MANY_REQUESTS;
            (status, sentence.to_owned(), Some("1"))
        }
        Refused::AccountRuns => {
            let sentence = "Too many runs of this account are unfinished. Try again in 5 seconds.";
            let status = StatusCode::TOO_MANY_REQUESTS;
            (status, sentence.to_owned(), Some("5"))
        }
        Refused::KeyReused => {
            let sentence =
                "The `Idempotency-Key` was used for another call of this program.".to_owned();
            (StatusCode::UNPROCESSABLE_ENTITY, sentence, None)
        }
        Refused::Draining => {
            let sentence = "The server is stopping. Try again in 5 seconds.".to_owned();
            (StatusCode::SERVICE_UNAVAILABLE, sentence, Some("5"))
        }
        Refused::NotAccepted(error) => return failed(None, &error),
        Refused::Failed(run, error) => return failed(Some(run), &error),
    };
    let mut response = legacy(status, &sentence);
    if let Some(seconds) = again {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
    }
    response
}

/// The answer where the record could not be written: of a run, or to begin one.
fn failed(run: Option<RunId>, error: &crate::Error) -> Response {
    tracing::error!(
        run = run.map(tracing::field::display),
        "a run cannot be recorded: {error}"
    );
    let full = "There is no room left to record the run";
    let (status, sentence) = match (error.full, run) {
        (true, Some(_)) => (
            StatusCode::INSUFFICIENT_STORAGE,
            format!("{full}, so its outcome is not kept. Free some room and try again."),
        ),
        (true, None) => (
            StatusCode::INSUFFICIENT_STORAGE,
            format!("{full}, so it was not started. Free some room and try again."),
        ),
        (false, Some(_)) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The run could not be recorded, so its outcome is not known. The server's log says why."
                .to_owned(),
        ),
        (false, None) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The run could not be recorded, so it was not started. The server's log says why."
                .to_owned(),
        ),
    };
    let response = legacy(status, &sentence);
    match run {
        Some(run) => of_run(run, response),
        None => response,
    }
}

fn of_run(run: RunId, mut response: Response) -> Response {
    if let Ok(value) = HeaderValue::from_str(&run.to_string()) {
        response.headers_mut().insert(RUN, value);
    }
    response
}

/// An answer with a JSON body and the headers that every answer of this API carries.
pub fn json(status: StatusCode, body: String) -> Response {
    // A copy of them all is made more quickly than they are put in one by one.
    static HEADERS: LazyLock<HeaderMap> = LazyLock::new(|| {
        let kind = HeaderValue::from_static("application/json");
        let mut headers = HeaderMap::from_iter([(header::CONTENT_TYPE, kind)]);
        common(&mut headers);
        headers
    });
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = HEADERS.clone();
    response
}

fn common(headers: &mut HeaderMap) {
    let mut insert = |name, value| headers.insert(name, HeaderValue::from_static(value));
    insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        "waystation-run, retry-after, idempotency-replayed",
    );
    insert(header::CACHE_CONTROL, "no-store");
    insert(header::REFERRER_POLICY, "no-referrer");
    insert(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
}

fn time(time: std::time::Duration) -> String {
    match time.as_secs() {
        1 => "1 second".to_owned(),
        seconds if time.subsec_nanos() == 0 => format!("{seconds} seconds"),
        _ => format!("{time:?}"),
    }
}
