//! The script's end of `fetch`: the server performs it.

use std::collections::HashMap;
use std::rc::Rc;

use rquickjs::{Ctx, Exception, Function, Object, Persistent, Result, Value};

use crate::frame::{Answered, Fetch, Fetched};
use crate::host::Host;
use crate::prelude::pairs;

/// How often a run may fetch.
const MAX_FETCHES: u64 = 50;

/// The fetches that are not answered yet.
#[derive(Default)]
pub(crate) struct Fetches {
    /// Whether the run has network.
    pub allowed: bool,
    made: u64,
    pending: HashMap<u64, Pending>,
}

struct Pending {
    succeed: Persistent<Function<'static>>,
    fail: Persistent<Function<'static>>,
    /// Whether the script waits for the answer.
    awaited: bool,
}

impl Fetches {
    /// Whether an answer is to come.
    pub fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether the script waits for one.
    pub fn is_awaited(&self) -> bool {
        self.pending.values().any(|pending| pending.awaited)
    }

    /// Takes note that the script waits for an answer.
    pub fn await_answer(&mut self, id: u64) {
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.awaited = true;
        }
    }
}

/// Asks the server for a fetch, and gives its number.
///
/// # Errors
/// That there is no network, or that there were too many, as an exception of the script's.
pub(crate) fn begin<'js>(
    host: &Host,
    ctx: &Ctx<'js>,
    request: &Object<'js>,
    succeed: Function<'js>,
    fail: Function<'js>,
) -> Result<u64> {
    let read = read(request);
    let mut fetches = host.fetches.borrow_mut();
    if !fetches.allowed {
        return Err(Exception::throw_type(
            ctx,
            "fetch is off: this step has no network",
        ));
    }
    if fetches.made == MAX_FETCHES {
        let message =
            format!("fetch was called more than {MAX_FETCHES} times, the most in one run");
        return Err(Exception::throw_type(ctx, &message));
    }
    let id = fetches.made + 1;
    let fetch = Fetch { id, ..read? };
    fetches.made = id;
    let pending = Pending {
        succeed: Persistent::save(ctx, succeed),
        fail: Persistent::save(ctx, fail),
        awaited: false,
    };
    fetches.pending.insert(id, pending);
    host.send(b'f', &serde_json::to_vec(&fetch).unwrap_or_default());
    Ok(id)
}

fn read(request: &Object<'_>) -> Result<Fetch> {
    Ok(Fetch {
        id: 0,
        url: request.get("url")?,
        method: request.get("method")?,
        headers: pairs(&request.get("headers")?)?,
        body: request.get("body")?,
        redirect: request.get("redirect")?,
    })
}

/// Gives the script an answer of the server's. One that nobody asked for changes nothing.
///
/// # Errors
/// The engine's.
pub(crate) fn end<'js>(host: &Rc<Host>, ctx: &Ctx<'js>, fetched: Fetched) -> Result<()> {
    let id = match &fetched {
        Fetched::Answered(answered) => answered.id,
        Fetched::Failed { id, .. } => *id,
    };
    let pending = host.fetches.borrow_mut().pending.remove(&id);
    let Some(pending) = pending else {
        return Ok(());
    };
    match fetched {
        Fetched::Answered(answered) => {
            let parts = parts(ctx, answered)?;
            pending.succeed.restore(ctx)?.call::<_, Value>((parts,))?;
        }
        Fetched::Failed { error, .. } => {
            pending.fail.restore(ctx)?.call::<_, Value>((error,))?;
        }
    }
    Ok(())
}

fn parts<'js>(ctx: &Ctx<'js>, answered: Answered) -> Result<Object<'js>> {
    let parts = Object::new_proto(ctx.clone(), None)?;
    let headers: Vec<Vec<String>> = answered
        .headers
        .into_iter()
        .map(|(name, value)| vec![name, value])
        .collect();
    parts.set("status", answered.status)?;
    parts.set("url", answered.url)?;
    parts.set("redirected", answered.redirected)?;
    parts.set("headers", headers)?;
    parts.set("body", answered.body)?;
    Ok(parts)
}
