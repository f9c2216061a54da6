//! Starts the runs of time triggers as they are due: one for each time, whatever is killed.
//!
//! When a trigger is due next stands in the store. A run of it is noted in the same transaction that sets the next time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use engine::plan::{Function, Timer};
use engine::program::{Missed, Overlap};
use jiff::Timestamp;

use crate::app::App;
use crate::programs::Served;
use crate::store::{self, Fire, Fired, NewSchedule, Scheduled};
use crate::{Error, now, runs};

/// How often it is looked whether something is due: the clock may be put forward.
const LOOK: Duration = Duration::from_secs(1);
/// How late a time may be seen and still count as not missed, in microseconds.
const LATE: i64 = 60 * 1_000_000;
/// How many times that were missed have a run each, where all do.
const MOST: usize = 100;

/// A trigger that is on.
struct On {
    served: Arc<Served>,
    function: Arc<str>,
    timer: Timer,
    scheduled: Scheduled,
}

/// Starts runs as they are due, until the server stops.
pub async fn keep(app: Arc<App>) {
    let mut on = Vec::new();
    let mut known = false;
    while !app.draining.load(Ordering::Relaxed) {
        let changed = app.reloaded.notified();
        let kept = match known {
            true => Ok(()),
            false => read(&app).await.map(|read| on = read),
        };
        known = kept.is_ok();
        let fired = match kept {
            Ok(()) => fire_all(&app, &mut on).await,
            Err(error) => Err(error),
        };
        if let Err(error) = fired {
            tracing::error!("time triggers cannot be looked at: {error}");
        }
        tokio::select! {
            () = changed => known = false,
            () = tokio::time::sleep(LOOK) => {}
            () = app.drains.notified() => {}
        }
    }
}

/// The triggers of the programs that are served, each with when it is due.
async fn read(app: &App) -> Result<Vec<On>, Error> {
    let now = now();
    let (mut on, mut wanted) = (Vec::new(), Vec::new());
    for served in app.programs.all() {
        for function in served.plan.functions.values() {
            for timer in function.timers.iter().filter(|timer| timer.active) {
                let Some(next_at) = after(timer, now) else {
                    continue;
                };
                wanted.push(NewSchedule {
                    account: served.account,
                    program: served.plan.id as i64,
                    function: function.name.to_string(),
                    timer: timer.schedule.to_string(),
                    next_at,
                });
                on.push((served.clone(), function.name.clone(), timer.clone()));
            }
        }
    }
    let scheduled = app.store.schedule(wanted).await?;
    let on = on.into_iter().zip(scheduled);
    let mut on: Vec<On> = on
        .map(|((served, function, timer), scheduled)| On {
            served,
            function,
            timer,
            scheduled,
        })
        .collect();
    // Two triggers of a function that say the same are one.
    on.sort_by_key(|on| on.scheduled.id);
    on.dedup_by_key(|on| on.scheduled.id);
    Ok(on)
}

async fn fire_all(app: &App, on: &mut [On]) -> Result<(), Error> {
    let now = now();
    for on in on.iter_mut().filter(|on| on.scheduled.next_at <= now) {
        on.fire(app, now).await?;
    }
    Ok(())
}

impl On {
    /// Starts what is due.
    async fn fire(&mut self, app: &App, now: i64) -> Result<(), Error> {
        let (due, next_at) = self.due(now);
        let function = self.served.plan.functions.get(&self.function);
        let runs = due.iter().zip(function.into_iter().cycle());
        let runs = runs.map(|(due, function)| (*due, runs::by_time(&self.served, function)));
        let fire = Fire {
            schedule: self.scheduled,
            next_at,
            overlap: match self.timer.overlap {
                Overlap::Allow => store::Overlap::Allow,
                Overlap::Skip => store::Overlap::Skip,
                Overlap::Queue => store::Overlap::Queue,
            },
            runs: runs.collect(),
        };
        match app.store.fire(fire).await? {
            Fired::Runs(count) => {
                self.scheduled.next_at = next_at;
                app.queued.fetch_add(count, Ordering::Relaxed);
                app.wake.notify_one();
            }
            Fired::Busy => {}
            Fired::Elsewhere => app.reloaded.notify_one(),
        }
        Ok(())
    }

    /// The times that have runs now, of all that are due, and the next time.
    fn due(&self, now: i64) -> (Vec<i64>, i64) {
        let mut due = std::collections::VecDeque::new();
        let mut next = self.scheduled.next_at;
        while next <= now {
            if due.len() == MOST {
                due.pop_front();
            }
            due.push_back(next);
            // What never comes again is as good as due in the far future.
            next = after(&self.timer, next).unwrap_or(i64::MAX);
        }
        let last = due.back().copied().unwrap_or(now);
        match self.timer.missed {
            Missed::One => (vec![last], next),
            Missed::Skip if now - last > LATE => (vec![], next),
            Missed::Skip => (vec![last], next),
            Missed::All if self.timer.overlap == Overlap::Queue => {
                // The others have their turn when the first has ended.
                let first = due.front().copied().unwrap_or(now);
                (vec![first], after(&self.timer, first).unwrap_or(i64::MAX))
            }
            Missed::All if self.timer.overlap == Overlap::Skip => (vec![last], next),
            Missed::All => (due.into(), next),
        }
    }
}

/// The first time after a moment that a trigger is due, in microseconds since 1970.
fn after(timer: &Timer, moment: i64) -> Option<i64> {
    let moment = Timestamp::from_microsecond(moment).ok()?;
    timer.schedule.after(moment).map(Timestamp::as_microsecond)
}

/// The next times of a trigger after a moment, at most so many.
pub fn next<'a>(
    timer: &'a Timer,
    moment: Timestamp,
    count: usize,
) -> impl Iterator<Item = Timestamp> + 'a {
    let next = move |moment: &Timestamp| timer.schedule.after(*moment);
    std::iter::successors(timer.schedule.after(moment), next).take(count)
}

/// The time triggers of a program, each with its function.
pub fn timers(plan: &engine::plan::Plan) -> impl Iterator<Item = (&Function, &Timer)> {
    let functions = plan.functions.values();
    functions.flat_map(|function| function.timers.iter().map(move |timer| (function, timer)))
}
