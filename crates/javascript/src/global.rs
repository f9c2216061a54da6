//! What scripts find beside the language: the functions that Rust gives, and the scripts that make more of them.

use std::rc::Rc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rquickjs::context::EvalOptions;
use rquickjs::function::{Opt, Rest};
use rquickjs::loader::{ImportAttributes, Loader, Resolver};
use rquickjs::module::Declared;
use rquickjs::object::Property;
use rquickjs::{
    ArrayBuffer, Coerced, Ctx, Exception, Filter, Function, IntoJs, Module, Object, Persistent,
    Result, Value,
};

use crate::host::Host;
use crate::peek::length;
use crate::raised::OURS;
use crate::timers::{MAX_TIMERS, Timer, wait};
use crate::{address, console, fetch};

/// The most bytes that `crypto.getRandomValues` fills at once.
const MAX_RANDOM: usize = 65_536;

/// The most headers of a fetch, and parameters of an address.
const MAX_PAIRS: usize = 100_000;

/// Our own scripts: functions of what Rust gives, in the order in which they need each other.
const PRELUDE: [(&str, &str); 3] = [
    ("url.js", include_str!("prelude/url.js")),
    ("fetch.js", include_str!("prelude/fetch.js")),
    ("global.js", include_str!("prelude/global.js")),
];

/// Makes all globals, and gives what values are read with.
pub(crate) fn install<'js>(ctx: &Ctx<'js>, host: &Rc<Host>) -> Result<Persistent<Object<'static>>> {
    let table: Object = eval(ctx, "table.js", include_str!("prelude/table.js"))?;
    console::install(&table, host)?;
    let given = Object::new(ctx.clone())?;
    let globals = ctx.globals();
    give(&given, "define", move |members: Object<'js>| {
        for member in members.own_props::<String, Value>(Filter::default()) {
            let (name, value) = member?;
            define(&globals, &name, value)?;
        }
        Result::Ok(())
    })?;
    timers(&given, host)?;
    fetches(&given, host)?;
    texts(&given)?;
    address::install(&given)?;
    let mut shown: Vec<Function> = Vec::new();
    for (name, script) in PRELUDE {
        // A function stands in brackets where it is an expression.
        let script: Function = eval(ctx, name, &format!("({script})"))?;
        shown.extend(script.call::<_, Vec<Function>>((given.clone(),))?);
    }
    table.set("shown", shown)?;
    Ok(Persistent::save(ctx, table))
}

fn eval<'js, T: rquickjs::FromJs<'js>>(ctx: &Ctx<'js>, name: &str, script: &str) -> Result<T> {
    let mut options = EvalOptions::default();
    options.filename = Some(format!("{OURS}{name}"));
    ctx.eval_with_options(script, options)
}

/// Gives an object a member that is not listed, as those of the language are not.
pub(crate) fn define<'js>(object: &Object<'js>, name: &str, value: impl IntoJs<'js>) -> Result<()> {
    object.prop(name, Property::from(value).writable().configurable())
}

/// Gives an object a function.
pub(crate) fn give<'js, P, F>(object: &Object<'js>, name: &str, function: F) -> Result<()>
where
    F: rquickjs::function::IntoJsFunc<'js, P> + 'js,
{
    let function = Function::new(object.ctx().clone(), function)?.with_name(name)?;
    define(object, name, function)
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

fn timers<'js>(given: &Object<'js>, host: &Rc<Host>) -> Result<()> {
    let globals = given.ctx().globals();
    for (name, repeats) in [("setTimeout", false), ("setInterval", true)] {
        let host = host.clone();
        let set = move |ctx: Ctx<'js>,
                        call: Function<'js>,
                        time: Opt<Coerced<f64>>,
                        rest: Rest<Value<'js>>| {
            let wait = wait(time.0.map_or(0.0, |time| time.0));
            set_timer(&host, &ctx, call, (wait, repeats), rest.0)
        };
        give(&globals, name, set)?;
    }
    for name in ["clearTimeout", "clearInterval"] {
        let host = host.clone();
        give(&globals, name, move |id: Opt<Value<'js>>| {
            let id = id.0.and_then(|id| id.as_number());
            host.timers
                .borrow_mut()
                .clear(id.unwrap_or_default() as u64);
        })?;
    }
    define(
        given,
        "setTimeout",
        globals.get::<_, Function>("setTimeout")?,
    )
}

fn set_timer<'js>(
    host: &Host,
    ctx: &Ctx<'js>,
    call: Function<'js>,
    (wait, repeats): (Duration, bool),
    arguments: Vec<Value<'js>>,
) -> Result<f64> {
    let mut timers = host.timers.borrow_mut();
    if timers.is_full() {
        return Err(Exception::throw_range(
            ctx,
            &format!("more than {MAX_TIMERS} timers wait"),
        ));
    }
    let id = timers.id();
    let save = |value| Persistent::save(ctx, value);
    let timer = Timer {
        id,
        call: Persistent::save(ctx, call),
        arguments: arguments.into_iter().map(save).collect(),
        every: repeats.then_some(wait),
    };
    timers.add(wait, timer);
    Ok(id as f64)
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

fn texts<'js>(given: &Object<'js>) -> Result<()> {
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

/// Refuses every import.
pub(crate) struct NoModules;

impl Resolver for NoModules {
    fn resolve<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        _base: &str,
        name: &str,
        _attributes: Option<ImportAttributes<'js>>,
    ) -> Result<String> {
        let message =
            format!("`{name}` cannot be imported: there are no modules, only what is built in");
        Err(Exception::throw_type(ctx, &message))
    }
}

impl Loader for NoModules {
    fn load<'js>(
        &mut self,
        _ctx: &Ctx<'js>,
        name: &str,
        _attributes: Option<ImportAttributes<'js>>,
    ) -> Result<Module<'js, Declared>> {
        Err(rquickjs::Error::new_loading(name))
    }
}
