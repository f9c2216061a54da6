//! `console`.

use std::rc::Rc;

use rquickjs::function::Rest;
use rquickjs::{Ctx, Exception, Function, Object, Result, Value};

use crate::global::define;
use crate::host::{Host, Stream};
use crate::peek::Peek;
use crate::show;

/// What logs, and where.
const METHODS: [(&str, Stream); 8] = [
    ("debug", Stream::Out),
    ("dir", Stream::Out),
    ("error", Stream::Err),
    ("info", Stream::Out),
    ("log", Stream::Out),
    ("table", Stream::Out),
    ("trace", Stream::Err),
    ("warn", Stream::Err),
];

/// Makes the global `console`.
pub(crate) fn install<'js>(table: &Object<'js>, host: &Rc<Host>) -> Result<()> {
    let ctx = table.ctx();
    let console = Object::new(ctx.clone())?;
    for (name, stream) in METHODS {
        let table = rquickjs::Persistent::save(ctx, table.clone());
        let host = host.clone();
        let log = move |ctx: Ctx<'js>, values: Rest<Value<'js>>| {
            let peek = Peek::new(table.clone().restore(&ctx)?)?;
            log(&host, &peek, stream, &values.0)
        };
        define(
            &console,
            name,
            Function::new(ctx.clone(), log)?.with_name(name)?,
        )?;
    }
    define(&ctx.globals(), "console", console)
}

fn log<'js>(host: &Host, peek: &Peek<'js>, stream: Stream, values: &[Value<'js>]) -> Result<()> {
    host.log(stream, show::line(peek, host.limits(), values));
    match (host.passed(), host.limits()) {
        (Some(limit), Some(limits)) => Err(Exception::throw_message(
            peek.ctx(),
            &limits.sentence(limit),
        )),
        _ => Ok(()),
    }
}
