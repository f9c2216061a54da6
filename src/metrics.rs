//! What is counted of the server, in the text format of OpenMetrics 1.0, as Prometheus reads it.

mod process;

use std::path::PathBuf;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use self::process::Process;

/// Where times are told apart, in seconds: those that OpenTelemetry has for HTTP servers, and shorter ones.
const TIMES: [f64; 17] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0,
    7.5, 10.0,
];
/// The same for runs, which may take long.
const LONG_TIMES: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0, 3_600.0,
];

/// What is counted of the server.
pub struct Metrics {
    registry: Registry,
    requests: Family<Request, Histogram>,
    ended: Family<Ended, Counter>,
    took: Histogram,
    delayed: Histogram,
    called_back: Family<CalledBack, Counter>,
    running: Gauge,
    queued: Gauge,
    waiting: Gauge,
}

/// A request, as the semantic conventions of OpenTelemetry tell them apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    http_request_method: &'static str,
    http_route: &'static str,
    http_response_status_code: u16,
}

/// Runs that have ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    program: u64,
    state: &'static str,
    reason: &'static str,
}

/// Callbacks that were tried.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CalledBack {
    result: &'static str,
}

/// What there is at the moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment {
    /// Runs at work here.
    pub running: usize,
    /// Runs that wait in the record to begin.
    pub queued: u64,
    /// Calls that wait for a place.
    pub waiting: usize,
}

impl Metrics {
    /// Nothing counted yet. The record is in this file.
    pub fn new(record: PathBuf) -> Metrics {
        let times = || Histogram::new(TIMES);
        let metrics = Metrics {
            registry: Registry::default(),
            requests: Family::new_with_constructor(times),
            ended: Family::default(),
            took: Histogram::new(LONG_TIMES),
            delayed: Histogram::new(LONG_TIMES),
            called_back: Family::default(),
            running: Gauge::default(),
            queued: Gauge::default(),
            waiting: Gauge::default(),
        };
        metrics.registered(record)
    }

    fn registered(mut self, record: PathBuf) -> Metrics {
        let registry = &mut self.registry;
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("waystation_build", "The release of the server", build);
        registry.register_with_unit(
            "http_server_request_duration",
            "How long requests took to be answered",
            Unit::Seconds,
            self.requests.clone(),
        );
        registry.register(
            "waystation_runs_ended",
            "Runs that have ended here",
            self.ended.clone(),
        );
        registry.register_with_unit(
            "waystation_run_duration",
            "How long runs were at work since they last began or were gone on with",
            Unit::Seconds,
            self.took.clone(),
        );
        registry.register_with_unit(
            "waystation_run_delay",
            "How long after their calls runs began",
            Unit::Seconds,
            self.delayed.clone(),
        );
        registry.register(
            "waystation_callbacks",
            "Tries to tell how a run ended",
            self.called_back.clone(),
        );
        registry.register(
            "waystation_runs_running",
            "Runs at work here",
            self.running.clone(),
        );
        registry.register(
            "waystation_runs_queued",
            "Runs that wait in the record to begin",
            self.queued.clone(),
        );
        registry.register(
            "waystation_calls_waiting",
            "Calls that wait for a place",
            self.waiting.clone(),
        );
        registry.register_collector(Box::new(Process { record }));
        self
    }

    /// Counts a request that was answered.
    pub fn request(&self, method: &'static str, route: &'static str, status: u16, took: Duration) {
        let request = Request {
            http_request_method: method,
            http_route: route,
            http_response_status_code: status,
        };
        self.requests
            .get_or_create(&request)
            .observe(took.as_secs_f64());
    }

    /// Counts a run that has ended: how, why if it failed, and how long it was at work.
    pub fn ended(
        &self,
        program: u64,
        (state, reason): (&'static str, &'static str),
        took: Duration,
    ) {
        let ended = Ended {
            program,
            state,
            reason,
        };
        self.ended.get_or_create(&ended).inc();
        self.took.observe(took.as_secs_f64());
    }

    /// Counts a run that begins so long after it was called for.
    pub fn began(&self, delay: Duration) {
        self.delayed.observe(delay.as_secs_f64());
    }

    /// Counts a try to tell how a run ended.
    pub fn called_back(&self, told: bool) {
        let result = if told { "told" } else { "failed" };
        self.called_back.get_or_create(&CalledBack { result }).inc();
    }

    /// Everything, as text.
    pub fn text(&self, moment: Moment) -> String {
        self.running.set(moment.running as i64);
        self.queued.set(moment.queued as i64);
        self.waiting.set(moment.waiting as i64);
        let mut text = String::new();
        let _ = encode(&mut text, &self.registry);
        text
    }
}
