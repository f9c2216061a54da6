//! The header `Server-Timing` (W3C Server Timing): where the time of a request went, in milliseconds.

use std::fmt::Write;
use std::time::Instant;

use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;

use crate::runs::Took;

const NAME: HeaderName = HeaderName::from_static("server-timing");

/// Adds the header to the answer that comes: the whole time, and the parts of a run that was waited for, which stand in the
/// extensions of the answer.
pub async fn timed<E, F>(answer: F) -> Result<Response, E>
where
    F: Future<Output = Result<Response, E>>,
{
    let start = Instant::now();
    let mut response = answer.await?;
    let mut text = String::with_capacity(80);
    if let Some(Took { wait, run, record }) = response.extensions_mut().remove() {
        for (part, time) in [("wait", wait), ("run", run), ("record", record)] {
            let _ = write!(text, "{part};dur={:.3}, ", time.as_secs_f64() * 1e3);
        }
    }
    let _ = write!(text, "total;dur={:.3}", start.elapsed().as_secs_f64() * 1e3);
    if let Ok(value) = HeaderValue::try_from(text) {
        response.headers_mut().insert(NAME, value);
    }
    Ok(response)
}
