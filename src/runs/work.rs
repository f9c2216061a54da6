//! The work of a run, apart from whoever waits for it.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use engine::run::{Failure, Outcome, Reason};

/// Work that is finished elsewhere when nobody waits for it any more: a caller who hangs up does
/// not take the run along.
pub(super) struct Lasting<F: Future<Output: Send> + Send + 'static>(Option<Pin<Box<F>>>);

impl<F: Future<Output: Send> + Send + 'static> Lasting<F> {
    pub fn new(work: F) -> Lasting<F> {
        Lasting(Some(Box::pin(work)))
    }
}

impl<F: Future<Output: Send> + Send + 'static> Future for Lasting<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Some(work) = &mut self.0 else {
            return Poll::Pending;
        };
        let ready = work.as_mut().poll(context);
        if ready.is_ready() {
            self.0 = None;
        }
        ready
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for Lasting<F> {
    fn drop(&mut self) {
        if let (Some(work), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}

/// A run whose panics become failures.
pub(super) struct Guarded<F>(pub(super) Pin<Box<F>>);

impl<F: Future<Output = Outcome>> Future for Guarded<F> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let poll = AssertUnwindSafe(|| self.0.as_mut().poll(context));
        std::panic::catch_unwind(poll).unwrap_or_else(|_| {
            tracing::error!("a step panicked");
            let failure =
                Failure::new("the step failed by a fault of the server; its log has more");
            Poll::Ready(Outcome::Failed(failure.because(Reason::Error)))
        })
    }
}
