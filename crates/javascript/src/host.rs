//! What stands between a script and the world: where logs go, what waits, and what went wrong unseen.

use std::cell::{Cell, OnceCell, RefCell};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::rc::Rc;

use rquickjs::{ArrayBuffer, Ctx, Persistent, Result, Runtime, Value};

use crate::fetch::Fetches;
use crate::frame;
use crate::limits::{Limit, Limits};
use crate::timers::Timers;

/// The most rejected promises that may wait for somebody to look after them: what is kept of them is
/// outside of the engine's memory.
const MAX_REJECTIONS: usize = 50_000;

/// How much of the engine's memory is held back, in bytes.
const RESERVE: usize = 32 << 10;

/// The way to the server.
pub(crate) trait Channel: Read + Write + AsFd {}

impl<C: Read + Write + AsFd> Channel for C {}

/// Where a run reads and writes.
pub(crate) struct Streams {
    pub channel: Box<dyn Channel>,
    pub out: Box<dyn Write>,
    pub err: Box<dyn Write>,
}

/// Which stream of the log.
#[derive(Clone, Copy)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// A promise that was rejected, and why.
struct Rejection {
    promise: Persistent<Value<'static>>,
    reason: Reason,
}

/// Why a promise was rejected.
#[derive(Clone)]
pub(crate) enum Reason {
    Value(Persistent<Value<'static>>),
    /// There was no memory, not even for an error that says so.
    Starved,
}

/// The world of one run. No script runs while anything in it is borrowed.
#[derive(Default)]
pub(crate) struct Host {
    streams: RefCell<Option<Streams>>,
    limits: OnceCell<Limits>,
    pub timers: RefCell<Timers>,
    pub fetches: RefCell<Fetches>,
    /// The rejected promises that nobody has looked after yet, the first one first.
    rejections: RefCell<Vec<Rejection>>,
    /// Memory that is given back when the run is stopped. The engine stops a script with an error that no
    /// script catches, but without memory for it, it throws one that scripts do catch.
    reserve: RefCell<Option<Persistent<ArrayBuffer<'static>>>>,
    /// Whether there were more than are kept.
    overfull: Cell<bool>,
}

impl Host {
    /// Lets the engine ask whether to go on, and tell of rejected promises.
    pub fn watch(self: &Rc<Self>, runtime: &Runtime) {
        let host = self.clone();
        runtime.set_interrupt_handler(Some(Box::new(move || {
            let passed = host.passed().is_some();
            if passed {
                host.reserve.take();
            }
            passed
        })));
        let host = self.clone();
        runtime.set_host_promise_rejection_tracker(Some(Box::new(
            move |ctx, promise, reason, handled| host.rejected(&ctx, promise, reason, handled),
        )));
    }

    /// Holds some of the engine's memory back.
    pub fn hold_back(&self, ctx: &Ctx<'_>) -> Result<()> {
        let reserve = ArrayBuffer::new_copy(ctx.clone(), [0u8; RESERVE])?;
        *self.reserve.borrow_mut() = Some(Persistent::save(ctx, reserve));
        Ok(())
    }

    /// Opens what the run reads and writes.
    pub fn open(&self, streams: Streams) {
        *self.streams.borrow_mut() = Some(streams);
    }

    /// Closes it again.
    pub fn close(&self) {
        self.streams.take();
    }

    /// Sets the limits of the run; they count from now.
    pub fn begin(&self, limits: Limits) -> &Limits {
        self.limits.get_or_init(|| limits)
    }

    /// The limits, once the run has begun.
    pub fn limits(&self) -> Option<&Limits> {
        self.limits.get()
    }

    /// The limit that the run has passed.
    pub fn passed(&self) -> Option<Limit> {
        self.limits()?.passed()
    }

    /// Sends a frame. That the server is gone is seen when it is next heard.
    pub fn send(&self, kind: u8, body: &[u8]) {
        if let Some(streams) = &mut *self.streams.borrow_mut() {
            let _ = frame::write(&mut streams.channel, kind, body);
        }
    }

    /// Does something with the channel, if it is open.
    pub fn channel<T>(&self, use_it: impl FnOnce(&mut dyn Channel) -> T) -> Option<T> {
        let mut streams = self.streams.borrow_mut();
        streams
            .as_mut()
            .map(|streams| use_it(&mut *streams.channel))
    }

    /// Writes a line to the log, or as much of it as has room.
    pub fn log(&self, stream: Stream, mut line: String) {
        line.push('\n');
        let room = self.limits().map_or(0, |limits| limits.take(line.len()));
        line.truncate(line.floor_char_boundary(room));
        if let Some(streams) = &mut *self.streams.borrow_mut() {
            let stream = match stream {
                Stream::Out => &mut streams.out,
                Stream::Err => &mut streams.err,
            };
            // A log that nobody reads is no reason to stop.
            let _ = stream
                .write_all(line.as_bytes())
                .and_then(|()| stream.flush());
        }
    }

    fn rejected<'js>(
        &self,
        ctx: &Ctx<'js>,
        promise: Value<'js>,
        reason: Value<'js>,
        handled: bool,
    ) {
        let rejection = Rejection {
            promise: Persistent::save(ctx, promise),
            reason: match reason.is_null() && !handled && self.is_starved(ctx) {
                true => Reason::Starved,
                false => Reason::Value(Persistent::save(ctx, reason)),
            },
        };
        let mut rejections = self.rejections.borrow_mut();
        match handled {
            false if rejections.len() == MAX_REJECTIONS => self.overfull.set(true),
            false => rejections.push(rejection),
            true => {
                let found = rejections
                    .iter()
                    .rposition(|other| other.promise == rejection.promise);
                found.map(|index| rejections.remove(index));
            }
        }
    }

    /// Whether the engine has next to no memory left, found out by asking for some: what counts it cannot
    /// be reached while a script runs.
    fn is_starved(&self, ctx: &Ctx<'_>) -> bool {
        let some = self.limits().map_or(0, |limits| limits.memory / 16);
        let starved = ArrayBuffer::new_copy(ctx.clone(), vec![0u8; some]).is_err();
        if starved {
            ctx.catch();
        }
        starved
    }

    /// Why a promise was rejected that nobody has looked after: the code itself, or else the first one.
    pub fn unhandled(&self, code: &Persistent<Value<'static>>) -> Option<Reason> {
        if self.overfull.get() {
            return Some(Reason::Starved);
        }
        let rejections = self.rejections.borrow();
        let main = rejections
            .iter()
            .find(|rejection| rejection.promise == *code);
        main.or(rejections.first())
            .map(|rejection| rejection.reason.clone())
    }
}
