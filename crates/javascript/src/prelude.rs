//! The globals that are scripts of ours, and what Rust gives these scripts.

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rquickjs::context::EvalOptions;
use rquickjs::function::Opt;
use rquickjs::{Array, ArrayBuffer, Ctx, Exception, Function, Object, Persistent, Result};

use crate::global::give;
use crate::host::Host;
use crate::peek::length;
use crate::raised::OURS;
use crate::{address, fetch};

/// The most bytes that `crypto.getRandomValues` fills at once.
const MAX_RANDOM: usize = 65_536;

/// The most headers of a fetch, and parameters of an address.
const MAX_PAIRS: usize = 100_000;

/// A script of ours: a function of what Rust gives that makes some globals. It does not stand in brackets,
/// which the engine would read twice.
pub(crate) struct Script {
    file: &'static str,
    text: &'static str,
    /// The globals that it makes.
    pub globals: &'static [&'static str],
}

/// All of them.
pub(crate) static SCRIPTS: [Script; 4] = [
    Script {
        file: "bytes.js",
        text: include_str!("prelude/bytes.js"),
        globals: &["TextDecoder", "TextEncoder", "crypto"],
    },
    Script {
        file: "clone.js",
        text: include_str!("prelude/clone.js"),
        globals: &["structuredClone"],
    },
    Script {
        file: "fetch.js",
        text: include_str!("prelude/fetch.js"),
        globals: &["Headers", "Response", "fetch"],
    },
    Script {
        file: "url.js",
        text: include_str!("prelude/url.js"),
        globals: &["URL", "URLSearchParams"],
    },
];

/// Makes the table of what [`Peek`](crate::peek::Peek) reads values with. No script of a user's ever has it.
pub(crate) fn table<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    eval(ctx, "table.js", include_str!("prelude/table.js"))?.call(())
}

/// Gives what a script makes, which it makes once.
///
/// # Errors
/// The engine's: a user's script may have left it no memory, or changed what this one needs.
pub(crate) fn load<'js>(
    table: &Object<'js>,
    host: &Rc<Host>,
    script: &Script,
) -> Result<Object<'js>> {
    if let Some(made) = table.get(script.file)? {
        return Ok(made);
    }
    let given = match table.get::<_, Option<Object>>("given")? {
        Some(given) => given,
        None => given(table, host)?,
    };
    let made: Object = eval(table.ctx(), script.file, script.text)?.call((given,))?;
    let all: Array = table.get("shown")?;
    for shown in made.get::<_, Vec<Function>>("shown")? {
        all.set(all.len(), shown)?;
    }
    table.set(script.file, made.clone())?;
    Ok(made)
}

fn eval<'js>(ctx: &Ctx<'js>, file: &str, text: &str) -> Result<Function<'js>> {
    let mut options = EvalOptions::default();
    options.filename = Some(format!("{OURS}{file}"));
    ctx.eval_with_options(text, options)
}

/// Makes the functions that scripts of ours are given.
fn given<'js>(table: &Object<'js>, host: &Rc<Host>) -> Result<Object<'js>> {
    let ctx = table.ctx();
    let given = Object::new_proto(ctx.clone(), None)?;
    let (kept, loader) = (Persistent::save(ctx, table.clone()), host.clone());
    give(&given, "load", move |ctx: Ctx<'js>, file: String| {
        let table = kept.clone().restore(&ctx)?;
        match SCRIPTS.iter().find(|script| script.file == file) {
            Some(script) => load(&table, &loader, script),
            None => Err(Exception::throw_type(&ctx, "there is no such script")),
        }
    })?;
    fetches(&given, host)?;
    bytes(&given)?;
    address::install(&given)?;
    table.set("given", given.clone())?;
    Ok(given)
}

/// A script's list of pairs of texts.
pub(crate) fn pairs(list: &Object<'_>) -> Result<Vec<(String, String)>> {
    let pair = |index| {
        let pair: Object = list.get(index)?;
        Ok((pair.get(0)?, pair.get(1)?))
    };
    // A script can have made the list longer than there is memory for.
    (0..length(list)?.min(MAX_PAIRS))
        .map(|index| pair(index as u32))
        .collect()
}

fn fetches<'js>(given: &Object<'js>, host: &Rc<Host>) -> Result<()> {
    let caller = host.clone();
    give(
        given,
        "fetch",
        move |ctx: Ctx<'js>, request: Object<'js>, succeed: Function<'js>, fail: Function<'js>| {
            fetch::begin(&caller, &ctx, &request, succeed, fail).map(|id| id as f64)
        },
    )?;
    let host = host.clone();
    give(given, "awaited", move |id: Opt<f64>| {
        host.fetches
            .borrow_mut()
            .await_answer(id.0.unwrap_or_default() as u64);
    })?;
    give(given, "headerName", |ctx: Ctx<'js>, name: String| {
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        match !name.is_empty() && name.bytes().all(is_token) {
            true => Ok(name.to_ascii_lowercase()),
            false => Err(Exception::throw_type(
                &ctx,
                &format!("`{name}` is no name of a header"),
            )),
        }
    })?;
    give(given, "headerValue", |ctx: Ctx<'js>, value: String| {
        let value = value.trim_matches([' ', '\t', '\r', '\n']);
        match value.contains(['\0', '\r', '\n']) {
            true => Err(Exception::throw_type(
                &ctx,
                "the value of a header is one line",
            )),
            false => Ok(value.to_owned()),
        }
    })
}

fn bytes<'js>(given: &Object<'js>) -> Result<()> {
    give(given, "encode", |ctx: Ctx<'js>, text: String| {
        ArrayBuffer::new_copy(ctx, text.as_bytes())
    })?;
    give(given, "encode64", |text: String| STANDARD.encode(text))?;
    give(
        given,
        "decode",
        |ctx: Ctx<'js>, text: String, fatal: bool, keep: bool| decode(&ctx, &text, fatal, keep),
    )?;
    give(given, "random", |ctx: Ctx<'js>, length: usize| {
        if length > MAX_RANDOM {
            let message = format!("more than {MAX_RANDOM} bytes at once");
            return Err(Exception::throw_range(&ctx, &message));
        }
        let mut bytes = vec![0; length];
        random(&ctx, &mut bytes)?;
        ArrayBuffer::new_copy(ctx, bytes)
    })?;
    give(given, "uuid", |ctx: Ctx<'js>| {
        let mut bytes = [0; 16];
        random(&ctx, &mut bytes)?;
        Result::Ok(
            uuid::Builder::from_random_bytes(bytes)
                .into_uuid()
                .to_string(),
        )
    })
}

/// The text that bytes in base64 are, with the mark at its beginning if that is to be kept.
fn decode(ctx: &Ctx<'_>, text: &str, fatal: bool, keep_mark: bool) -> Result<String> {
    let wrong = |_| Exception::throw_type(ctx, "the bytes are no base64");
    let bytes = STANDARD.decode(text).map_err(wrong)?;
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) if fatal => return Err(Exception::throw_type(ctx, "the bytes are no UTF-8")),
        Err(wrong) => String::from_utf8_lossy(wrong.as_bytes()).into_owned(),
    };
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) if !keep_mark => rest.to_owned(),
        _ => text,
    })
}

fn random(ctx: &Ctx<'_>, bytes: &mut [u8]) -> Result<()> {
    let failed = |why| Exception::throw_message(ctx, &format!("there is no randomness: {why}"));
    getrandom::fill(bytes).map_err(failed)
}
