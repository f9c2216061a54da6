//! What starts a run: the body of the request.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use engine::value::{Record, Value};

use super::Problem;
use crate::app::App;
use crate::callbacks::{self, MAX_URL};
use crate::http::transport::read_body;

/// What is called for.
#[derive(Debug, Default)]
pub struct Start {
    /// The function, if one is named.
    pub function: Option<String>,
    /// The values in the order of the variables.
    pub values: Vec<Value>,
    /// The values by the names of the variables.
    pub named: Option<Arc<Record>>,
    /// The URL that is told how the run ended, if one is.
    pub callback: Option<String>,
}

/// Reads the body of a request: nothing, or a JSON object.
///
/// # Errors
/// What is wrong with it.
pub async fn read(app: &App, headers: &HeaderMap, body: Body) -> Result<Start, Problem> {
    let limit = usize::try_from(app.config.max_body.bytes()).unwrap_or(usize::MAX);
    let body = read_body(body, limit, app.config.body_time).await;
    let body = body.map_err(|refusal| {
        let kind = ("bad_body", "The body cannot be read");
        Problem::new(refusal.status, kind, refusal.sentence)
    })?;
    if body.is_empty() {
        return Ok(Start::default());
    }
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ("not_json", "The body is not JSON"),
            "The body must be JSON, with `Content-Type: application/json`.",
        ));
    }
    let text = std::str::from_utf8(&body).map_err(|_| Problem::bad("The body is not UTF-8."))?;
    start(text).map_err(Problem::bad)
}

/// Reads what is called for.
fn start(text: &str) -> Result<Start, String> {
    let members =
        engine::json::record(text).map_err(|why| format!("The body is no JSON object: {why}."))?;
    let mut start = Start::default();
    for (name, value) in members.iter() {
        match (&**name, value) {
            ("function" | "variables" | "callback", Value::Nothing) => {}
            ("function", Value::Text(function)) => start.function = Some(function.to_string()),
            ("function", _) => return Err("`function` must be a text.".to_owned()),
            ("variables", Value::List(values)) => start.values = values.to_vec(),
            ("variables", Value::Record(named)) => start.named = Some(named.clone()),
            ("variables", _) => {
                return Err("`variables` must be a list of values, or an object.".to_owned());
            }
            ("callback", Value::Text(url)) if callbacks::is_callable(url) => {
                start.callback = Some(url.to_string());
            }
            ("callback", _) => {
                return Err(format!(
                    "`callback` must be a URL of `http` or `https` without a user name, at most {MAX_URL} bytes long."
                ));
            }
            (other, _) => {
                let other = engine::read::cut(other);
                return Err(format!(
                    "There is no `{other}`: a run is started with `function`, `variables` and `callback`."
                ));
            }
        }
    }
    Ok(start)
}
