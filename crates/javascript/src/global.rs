//! What scripts find beside the language.

use std::rc::Rc;
use std::time::Duration;

use rquickjs::function::{IntoJsFunc, Opt, Rest};
use rquickjs::loader::{ImportAttributes, Loader, Resolver};
use rquickjs::module::Declared;
use rquickjs::object::{Accessor, Property};
use rquickjs::{
    Coerced, Ctx, Exception, Function, IntoJs, Module, Object, Persistent, Result, Value,
};

use crate::console;
use crate::host::Host;
use crate::prelude::{self, Script};
use crate::timers::{MAX_TIMERS, Timer, wait};

/// Makes all globals, and gives what values are read with.
pub(crate) fn install<'js>(ctx: &Ctx<'js>, host: &Rc<Host>) -> Result<Persistent<Object<'static>>> {
    let table = prelude::table(ctx)?;
    let globals = ctx.globals();
    console::install(&table, host)?;
    timers(&globals, host)?;
    let kept = Persistent::save(ctx, table);
    for script in &prelude::SCRIPTS {
        for name in script.globals {
            lazily(&globals, name, script, (&kept, host))?;
        }
    }
    Ok(kept)
}

/// Defines a global that comes into being when it is first used: reading a script takes longer than most runs.
fn lazily<'js>(
    globals: &Object<'js>,
    name: &'static str,
    script: &'static Script,
    (table, host): (&Persistent<Object<'static>>, &Rc<Host>),
) -> Result<()> {
    let (table, host) = (table.clone(), host.clone());
    let get = move |ctx: Ctx<'js>| {
        let table = table.clone().restore(&ctx)?;
        let value: Value = prelude::load(&table, &host, script)?.get(name)?;
        define(&ctx.globals(), name, value.clone())?;
        Result::Ok(value)
    };
    let set = move |ctx: Ctx<'js>, value: Value<'js>| define(&ctx.globals(), name, value);
    globals.prop(name, Accessor::new(get, set).configurable())
}

/// Gives an object a member that is not listed, as those of the language are not.
pub(crate) fn define<'js>(object: &Object<'js>, name: &str, value: impl IntoJs<'js>) -> Result<()> {
    object.prop(name, Property::from(value).writable().configurable())
}

/// Gives an object a function.
pub(crate) fn give<'js, P, F>(object: &Object<'js>, name: &str, function: F) -> Result<()>
where
    F: IntoJsFunc<'js, P> + 'js,
{
    let function = Function::new(object.ctx().clone(), function)?.with_name(name)?;
    define(object, name, function)
}

fn timers<'js>(globals: &Object<'js>, host: &Rc<Host>) -> Result<()> {
    for (name, repeats) in [("setTimeout", false), ("setInterval", true)] {
        let host = host.clone();
        let set = move |ctx: Ctx<'js>,
                        call: Function<'js>,
                        time: Opt<Coerced<f64>>,
                        rest: Rest<Value<'js>>| {
            let wait = wait(time.0.map_or(0.0, |time| time.0));
            set_timer(&host, &ctx, call, (wait, repeats), rest.0)
        };
        give(globals, name, set)?;
    }
    for name in ["clearTimeout", "clearInterval"] {
        let host = host.clone();
        give(globals, name, move |id: Opt<Value<'js>>| {
            let id = id.0.and_then(|id| id.as_number());
            host.timers
                .borrow_mut()
                .clear(id.unwrap_or_default() as u64);
        })?;
    }
    let host = host.clone();
    give(
        globals,
        "sleep",
        move |ctx: Ctx<'js>, time: Opt<Coerced<f64>>| {
            let (promise, resolve, _) = ctx.promise()?;
            let wait = wait(time.0.map_or(0.0, |time| time.0));
            set_timer(&host, &ctx, resolve, (wait, false), Vec::new())?;
            Result::Ok(promise)
        },
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
