//! The JavaScript engine of `javascript` steps: one [`Worker`] runs one piece of code and is gone.
//!
//! It is made for a process of its own that ends when [`Worker::serve`] returns, and that a sandbox holds:
//! after [`Worker::prepare`] it opens no file and starts no thread. The engine looks at the clock between
//! instructions only; what it does inside one, such as sorting a list of four thousand million holes, goes
//! on until the process is killed from outside.
//!
//! The `channel` carries frames both ways: four bytes of length, the highest first, then that many bytes.
//! A request comes in and is answered:
//!
//! | frame | content |
//! |---|---|
//! | request | JSON: `code`, `file`, `line` (where in the file the code begins), `inputs` (an object), `time_ms`, `memory`, `output` and `result` (limits, in bytes), `fetch` (whether there is network) |
//! | `o` | the outputs as a JSON object, in the order in which they were made |
//! | `e` | JSON: `message`, `line` (of the file, or null), `traceback` (or null), `limit` (`time`, `memory`, `result`, `output` or null) |
//! | `f` | JSON of a fetch to perform: `id`, `url`, `method`, `headers` (pairs), `body` (base64 or null), `redirect` (`follow`, `error` or `manual`) |
//! | its answer | JSON: `id`, `status`, `url`, `redirected`, `headers`, `body` (base64); or `id` and `error`, a sentence |
//!
//! The first byte of what the worker sends is the letter. An answer to a fetch may come in any order, and
//! need not come: when the run ends, so does what nobody waited for.
//!
//! What code gets and gives:
//!
//! | a value | JavaScript sees | and gives it back as |
//! |---|---|---|
//! | text | `string` | text; one with half of a surrogate pair is refused |
//! | a whole number within ±2^53 | `number` | a whole number, as every number within that is that has no fraction, -0 among them as 0 |
//! | a greater one | `bigint` | a whole number, up to 127 bits |
//! | a number with a fraction | `number` | the same number |
//! | nothing | `null` | nothing |
//! | a list | `Array` | a list; one with a hole or `undefined` in it is refused |
//! | a record | an object | a record of the members that are enumerable and have a text as name, but for those that are `undefined` |
//! | a date | `string`, ISO 8601 | text; a `Date` becomes ISO 8601 text too |
//!
//! Everything else is refused, and the error says where in which output it was found: not-a-number,
//! functions, getters (none is called), proxies, instances of classes, what holds itself.

mod address;
mod console;
mod fetch;
mod frame;
mod global;
mod host;
mod inputs;
mod limits;
mod outputs;
mod peek;
mod prelude;
mod raised;
mod run;
mod show;
mod timers;

use std::io::{Read, Write};
use std::mem::ManuallyDrop;
use std::os::fd::AsFd;
use std::rc::Rc;

use rquickjs::{Context, Object, Persistent, Runtime};

use crate::frame::Request;
use crate::host::{Host, Streams};
use crate::raised::Raised;
use crate::run::Stop;

/// How deep the calls of a script may go, in bytes of the thread's stack.
const MAX_STACK: usize = 1 << 20;

/// An engine that is ready for one run: everything that does not depend on the request stands, and
/// nothing of a user is in it yet.
pub struct Worker {
    runtime: Runtime,
    context: Context,
    host: Rc<Host>,
    /// What [`Peek`](peek::Peek) reads values with.
    table: Persistent<Object<'static>>,
}

impl Worker {
    /// Makes an engine with its globals. It must serve on the thread that made it, which should have a
    /// stack of at least 2 MiB.
    ///
    /// # Panics
    /// Where there is no memory for an engine without a script.
    pub fn prepare() -> Worker {
        Worker::new().expect("an engine without a script needs half a megabyte")
    }

    fn new() -> rquickjs::Result<Worker> {
        let runtime = Runtime::new()?;
        runtime.set_max_stack_size(MAX_STACK);
        let context = Context::full(&runtime)?;
        let host = Rc::new(Host::default());
        let table = context.with(|ctx| {
            host.hold_back(&ctx)?;
            global::install(&ctx, &host)
        })?;
        runtime.set_loader(global::NoModules, global::NoModules);
        host.watch(&runtime);
        Ok(Worker {
            runtime,
            context,
            host,
            table,
        })
    }

    /// Reads one request from `channel`, runs it, writes the answer and returns. What the code logs goes
    /// to `out` and `err`, a line at a time; all three are closed in the end.
    ///
    /// In a sandbox that knows `read` and `write` alone, `channel` is a `File`: a `UnixStream` sends and
    /// receives. It answers nothing where no request comes, or where the channel breaks: then the server is gone.
    /// The engine's memory is left to the end of the process, since a script can have made it cost time
    /// or be inconsistent.
    pub fn serve(
        self,
        channel: impl Read + Write + AsFd + 'static,
        out: impl Write + 'static,
        err: impl Write + 'static,
    ) {
        let worker = ManuallyDrop::new(self);
        let mut channel = channel;
        if let Ok(request) = frame::read(&mut channel) {
            worker.host.open(Streams {
                channel: Box::new(channel),
                out: Box::new(out),
                err: Box::new(err),
            });
            worker.answer(&request);
            worker.host.close();
        }
    }

    fn answer(&self, request: &[u8]) {
        let outcome = match serde_json::from_slice::<Request<'_>>(request) {
            Ok(request) => self.run(&request),
            Err(why) => Err(Stop::Raised(Raised::new(format!(
                "the request cannot be read: {why}"
            )))),
        };
        match outcome {
            Ok(outputs) => self.host.send(b'o', &outputs),
            Err(Stop::Raised(raised)) => self.host.send(b'e', &raised.to_json()),
            Err(Stop::Gone | Stop::Null) => {}
        }
    }
}
