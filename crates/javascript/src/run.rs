//! One run: the code, then what it left to be done, then its outputs.

use std::time::Instant;

use rquickjs::context::EvalOptions;
use rquickjs::function::Rest;
use rquickjs::promise::PromiseState;
use rquickjs::{Ctx, Error, Function, Object, Persistent, Promise, Type, Value};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::frame::{self, Fetched, Request};
use crate::host::{Channel, Reason};
use crate::limits::{Limit, Limits};
use crate::outputs::{self, Refused};
use crate::peek::Peek;
use crate::raised::{Raised, Source};
use crate::timers::Timer;
use crate::{Worker, fetch, inputs};

/// How much of the memory may be in use in the end, in sixteenths: a run that is above may have lost
/// something to a failure inside the engine that the engine does not tell.
const MEMORY_MARK: usize = 15;

/// Why a run gives no outputs.
pub(crate) enum Stop {
    Raised(Raised),
    /// The server is gone.
    Gone,
    /// The code threw `null`, or the engine did for want of memory.
    Null,
}

type Result<T> = std::result::Result<T, Stop>;

impl Worker {
    /// Runs a request to its end and gives the outputs as JSON.
    pub(crate) fn run(&self, request: &Request<'_>) -> Result<Vec<u8>> {
        let limits = self.host.begin(Limits::new(request));
        self.host.fetches.borrow_mut().allowed = request.fetch;
        self.runtime.set_memory_limit(request.memory.max(1));
        let source = Source {
            code: &request.code,
            file: &request.file,
            line: request.line,
        };
        Run {
            worker: self,
            limits,
            source,
        }
        .to_the_end(request.inputs.get())
    }
}

struct Run<'a> {
    worker: &'a Worker,
    limits: &'a Limits,
    source: Source<'a>,
}

impl Run<'_> {
    fn to_the_end(&self, inputs: &str) -> Result<Vec<u8>> {
        if let Some(raised) = self.source.nul() {
            return Err(Stop::Raised(raised));
        }
        let main = self.with(|ctx, peek| self.begin(ctx, peek, inputs))?;
        loop {
            self.drain(&main)?;
            let pending = self.with(|ctx, _| {
                let main = main.clone().restore(ctx)?;
                Ok(main.as_promise().map(Promise::state) == Some(PromiseState::Pending))
            })?;
            let host = &self.worker.host;
            let awaits = match pending {
                true => host.fetches.borrow().is_pending(),
                false => host.fetches.borrow().is_awaited(),
            };
            let next = host.timers.borrow().next();
            match (awaits, next) {
                (false, None) if pending => return Err(Stop::Raised(Raised::new(NEVER))),
                (false, None) => break,
                _ => self.wait(next)?,
            }
        }
        self.outputs()
    }

    /// Does something with the engine. What fails there ends the run, and so does a limit that was passed
    /// meanwhile, whatever the engine says.
    fn with<T>(
        &self,
        work: impl for<'js> FnOnce(&Ctx<'js>, &Peek<'js>) -> rquickjs::Result<T>,
    ) -> Result<T> {
        match self.attempt(work) {
            Err(Stop::Null) if self.is_used_up() => Err(self.stop(Limit::Memory)),
            Err(Stop::Null) => Err(Stop::Raised(Raised::new("the code threw null"))),
            result => result,
        }
    }

    /// The same, where `null` is given as such.
    fn attempt<T>(
        &self,
        work: impl for<'js> FnOnce(&Ctx<'js>, &Peek<'js>) -> rquickjs::Result<T>,
    ) -> Result<T> {
        self.worker.context.with(|ctx| {
            let table = self.worker.table.clone().restore(&ctx);
            let peek = table
                .and_then(Peek::new)
                .map_err(|_| self.stop(Limit::Memory))?;
            let result = work(&ctx, &peek);
            self.check()?;
            // Where there is no memory for a job, the engine goes on without it and leaves the error behind.
            if result.is_ok() && ctx.has_exception() && self.is_starved(&peek, &ctx.catch()) {
                return Err(self.stop(Limit::Memory));
            }
            result.map_err(|error| self.failed(&peek, error))
        })
    }

    fn is_starved<'js>(&self, peek: &Peek<'js>, left: &Value<'js>) -> bool {
        match self.thrown(peek, left) {
            Stop::Raised(raised) => raised.limit == Some(Limit::Memory),
            Stop::Null => true,
            Stop::Gone => false,
        }
    }

    fn check(&self) -> Result<()> {
        self.limits
            .passed()
            .map_or(Ok(()), |limit| Err(self.stop(limit)))
    }

    fn stop(&self, limit: Limit) -> Stop {
        Stop::Raised(Raised::limit(self.limits, limit))
    }

    /// What an error of the engine's means.
    fn failed(&self, peek: &Peek<'_>, error: Error) -> Stop {
        match error {
            Error::Exception => self.thrown(peek, &peek.ctx().catch()),
            Error::FromJs {
                from: "JSON",
                message: Some(why),
                ..
            } => Stop::Raised(Raised::new(format!("the inputs cannot be read: {why}"))),
            _ => self.stop(Limit::Memory),
        }
    }

    fn thrown<'js>(&self, peek: &Peek<'js>, thrown: &Value<'js>) -> Stop {
        match thrown.type_of() {
            // The engine cannot make an error where there is no memory for one.
            Type::Uninitialized => self.stop(Limit::Memory),
            Type::Null => Stop::Null,
            _ => Stop::Raised(self.source.raised(peek, self.limits, thrown)),
        }
    }

    /// Sets the variables and runs the code, up to where it first waits.
    fn begin<'js>(
        &self,
        ctx: &Ctx<'js>,
        peek: &Peek<'js>,
        json: &str,
    ) -> rquickjs::Result<Persistent<Value<'static>>> {
        let outputs = Object::new_proto(ctx.clone(), None)?;
        let begin: Function = peek.kept("begin")?;
        begin.call::<_, Value>((inputs::read(peek, json)?, outputs))?;
        let mut options = EvalOptions::default();
        options.promise = true;
        options.filename = Some(self.source.file.replace('\0', ""));
        // The code stands on the lines that it has in the program's file.
        let code = "\n".repeat(self.source.line.saturating_sub(1)) + self.source.code;
        let main: Value = ctx.eval_with_options(code, options)?;
        Ok(Persistent::save(ctx, main))
    }

    /// Does everything that can be done at once.
    fn drain(&self, main: &Persistent<Value<'static>>) -> Result<()> {
        loop {
            let job = self.worker.runtime.execute_pending_job();
            self.check()?;
            match job {
                Ok(true) if self.worker.context.with(|ctx| ctx.has_exception()) => {
                    self.attempt(|_, _| Ok(()))?;
                }
                Ok(true) => {}
                Ok(false) => break,
                Err(_) => {
                    return match self.attempt(|_, _| Err(Error::Exception)) {
                        // A job gives it where there was no memory for an error.
                        Err(Stop::Null) => Err(self.stop(Limit::Memory)),
                        result => result,
                    };
                }
            }
        }
        match self.worker.host.unhandled(main) {
            None => Ok(()),
            Some(Reason::Starved) => Err(self.stop(Limit::Memory)),
            Some(Reason::Value(reason)) => self.with(|ctx, _| Err(ctx.throw(reason.restore(ctx)?))),
        }
    }

    /// Waits until an answer comes, a timer is due or the time is over.
    fn wait(&self, next: Option<Instant>) -> Result<()> {
        let host = &self.worker.host;
        let until = next.into_iter().chain(self.limits.deadline()).min();
        let pending = host.fetches.borrow().is_pending();
        let due = next.is_some_and(|next| next <= Instant::now());
        // Without anything to hear but the end of the server, a timer that is due comes first.
        if pending || !due {
            let frame = host
                .channel(|channel| listen(channel, until))
                .unwrap_or(Err(Stop::Gone))?;
            if let Some(frame) = frame {
                let fetched = serde_json::from_slice::<Fetched>(&frame).map_err(|_| Stop::Gone)?;
                self.with(|ctx, _| fetch::end(host, ctx, fetched))?;
            }
        }
        self.check()?;
        let timer = host.timers.borrow_mut().take();
        timer.map_or(Ok(()), |timer| self.call(timer))
    }

    fn call(&self, timer: Timer) -> Result<()> {
        let Timer {
            id,
            call,
            arguments,
            every,
        } = timer;
        self.with(|ctx, _| {
            let values = arguments.iter().map(|value| value.clone().restore(ctx));
            let values = values.collect::<rquickjs::Result<Vec<Value>>>()?;
            let function = call.clone().restore(ctx)?;
            if let Some(wait) = every {
                let again = Timer {
                    id,
                    call,
                    arguments,
                    every,
                };
                self.worker.host.timers.borrow_mut().add(wait, again);
            }
            function.call::<_, Value>((Rest(values),)).map(drop)
        })
    }

    fn outputs(&self) -> Result<Vec<u8>> {
        if self.is_used_up() {
            return Err(self.stop(Limit::Memory));
        }
        self.worker.context.with(|ctx| {
            let table = self.worker.table.clone().restore(&ctx);
            let read = || {
                let peek = Peek::new(table?)?;
                let outputs = peek.kept::<Function>("ended")?.call(())?;
                outputs::read(peek, self.limits, outputs)
            };
            match read() {
                Ok(outputs) => self.check().map(|()| outputs),
                Err(Refused::Because(message)) => Err(Stop::Raised(Raised::new(message))),
                Err(Refused::Limit(message, limit)) => Err(Stop::Raised(Raised {
                    limit: Some(limit),
                    ..Raised::new(message)
                })),
                Err(Refused::Memory) => Err(self.stop(Limit::Memory)),
            }
        })
    }

    /// Whether next to no memory is left.
    fn is_used_up(&self) -> bool {
        let used = self.worker.runtime.memory_usage().malloc_size;
        usize::try_from(used).is_ok_and(|used| used >= self.limits.memory / 16 * MEMORY_MARK)
    }
}

const NEVER: &str = "the code waits for a promise that nothing is left to keep";

/// Waits for a frame until a moment, and reads it if it comes.
fn listen(channel: &mut dyn Channel, until: Option<Instant>) -> Result<Option<Vec<u8>>> {
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    let left = left.map(|left| Timespec {
        tv_sec: left.as_secs() as i64,
        tv_nsec: left.subsec_nanos().into(),
    });
    let ready = {
        let mut waited = [PollFd::new(&channel, PollFlags::IN)];
        poll(&mut waited, left.as_ref())
    };
    match ready {
        Ok(0) => Ok(None),
        Ok(_) => frame::read(channel).map(Some).map_err(|_| Stop::Gone),
        Err(rustix::io::Errno::INTR) => Ok(None),
        Err(_) => Err(Stop::Gone),
    }
}
