//! Traces: what callers say of theirs (W3C Trace Context, <https://www.w3.org/TR/trace-context/>) is carried on to what runs call,
//! and where the settings name a collector, it is told by OTLP what requests, runs and their steps took.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use hyper::body::Bytes;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{
    Span as _, SpanContext, SpanKind, Status, TraceContextExt, Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};
use tokio::runtime::Handle;

use crate::Error;
use crate::egress::fetch::{Client, Limits, Redirect, Request};
use crate::egress::{self, Egress, Scope};

/// The headers that carry a trace.
const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";
/// What the collector may take.
const LIMITS: Limits = Limits {
    time: Duration::from_secs(10),
    body: 64 << 10,
    redirects: 0,
};
/// How long what is left may take to be sent when the server stops.
const LAST: Duration = Duration::from_secs(5);

/// A place in a trace, under which belongs what comes next. It is written as the record keeps it: the two headers of the
/// specification, with a space between them.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace(SpanContext);

impl Trace {
    /// What the headers of a request say, if that is well formed.
    pub fn of(headers: &HeaderMap) -> Option<Trace> {
        headers.get(const { HeaderName::from_static(PARENT) })?;
        Trace::found(&Headers(headers))
    }

    fn found(carried: &dyn Extractor) -> Option<Trace> {
        let context = TraceContextPropagator::new().extract_with_context(&Context::new(), carried);
        let found = context.span().span_context().clone();
        found.is_valid().then_some(Trace(found))
    }

    /// The headers that carry it on.
    pub fn headers(&self) -> Vec<(String, String)> {
        let mut carried = HashMap::new();
        let context = Context::new().with_remote_span_context(self.0.clone());
        TraceContextPropagator::new().inject_context(&context, &mut carried);
        let header = |name: &str| {
            let value = carried.remove(name).filter(|value| !value.is_empty())?;
            Some((name.to_owned(), value))
        };
        [PARENT, STATE].into_iter().filter_map(header).collect()
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<_> = self.headers().into_iter().map(|(_, value)| value).collect();
        f.write_str(&values.join(" "))
    }
}

impl FromStr for Trace {
    type Err = String;

    fn from_str(text: &str) -> Result<Trace, String> {
        let (parent, state) = text.split_once(' ').unwrap_or((text, ""));
        let carried: HashMap<String, String> = [(PARENT, parent), (STATE, state)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        Trace::found(&carried).ok_or_else(|| format!("`{text}` is no trace"))
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }
}

/// Tells the collector, where there is one.
#[derive(Default)]
pub struct Traces(Option<(SdkTracerProvider, SdkTracer)>);

/// A piece of work that is told of when this is dropped.
pub struct Work {
    span: Option<Box<Span>>,
    trace: Option<Trace>,
}

impl Traces {
    /// Tells the collector at this address, as [`address`] takes it. What else there is to set is in the environment, as
    /// OpenTelemetry has it: `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`,
    /// `OTEL_TRACES_SAMPLER`, `OTEL_BSP_SCHEDULE_DELAY` and those beside them.
    ///
    /// # Errors
    /// When what is set there cannot be used.
    pub fn to(collector: &str, egress: Arc<Egress>) -> Result<Traces, Error> {
        let failed = |why: &dyn fmt::Display| Error::new(format!("no traces can be sent: {why}"));
        let url = address(collector).map_err(|why| failed(&why))?;
        let parsed = url::Url::parse(&url).map_err(|error| failed(&error))?;
        let host = parsed.host_str().unwrap_or_default().to_owned();
        let port = parsed.port_or_known_default().unwrap_or_default();
        let way = Way {
            client: Arc::new(Client::new(egress, Scope::Hosts(vec![(host, port)]))),
            runtime: Handle::current(),
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(way)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(url)
            .build()
            .map_err(|error| failed(&error))?;
        let mut resource = Resource::builder()
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("waystation");
        }
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build())
            .build();
        let tracer = provider.tracer("waystation");
        Ok(Traces(Some((provider, tracer))))
    }

    /// A request that has come. Its headers carry what it belongs to, and are made to carry the request itself on.
    pub fn request(
        &self,
        method: &'static str,
        route: &'static str,
        headers: &mut HeaderMap,
    ) -> Work {
        if self.0.is_none() {
            return Work::untold(None);
        }
        let parent = Trace::of(headers);
        let work = self.begin(SpanKind::Server, parent.as_ref(), || {
            let name = format!("{method} {route}").trim_end().to_owned();
            let what = vec![
                KeyValue::new("http.request.method", method),
                KeyValue::new("http.route", route),
            ];
            (name.into(), what)
        });
        for (name, value) in work.trace().map(Trace::headers).unwrap_or_default() {
            let name = if name == PARENT { PARENT } else { STATE };
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
        work
    }

    /// A run that is at work here, told apart by `what`.
    pub fn run(
        &self,
        parent: Option<&Trace>,
        what: impl FnOnce() -> Vec<(&'static str, String)>,
    ) -> Work {
        self.begin(SpanKind::Internal, parent, || {
            let what = what().into_iter();
            (
                "run".into(),
                what.map(|(name, value)| KeyValue::new(name, value))
                    .collect(),
            )
        })
    }

    /// Something that a step does outside of its run.
    pub fn step(&self, parent: Option<&Trace>, kind: &str, step: &str) -> Work {
        self.begin(SpanKind::Internal, parent, || {
            let what = vec![KeyValue::new("waystation.step", step.to_owned())];
            (kind.to_owned().into(), what)
        })
    }

    fn begin(
        &self,
        kind: SpanKind,
        parent: Option<&Trace>,
        what: impl FnOnce() -> (Cow<'static, str>, Vec<KeyValue>),
    ) -> Work {
        let Some((_, tracer)) = &self.0 else {
            return Work::untold(parent);
        };
        let context = match parent {
            Some(Trace(parent)) => Context::new().with_remote_span_context(parent.clone()),
            None => Context::new(),
        };
        let (name, what) = what();
        let builder = tracer
            .span_builder(name)
            .with_kind(kind)
            .with_attributes(what);
        let span = tracer.build_with_context(builder, &context);
        let trace = Some(Trace(span.span_context().clone()));
        Work {
            span: Some(Box::new(span)),
            trace,
        }
    }

    /// Sends what is left, for at most 5 s.
    pub async fn close(&self) {
        let Some((provider, _)) = self.0.clone() else {
            return;
        };
        let closing = move || provider.shutdown_with_timeout(LAST);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(closing).await {
            tracing::warn!("some traces are lost: {error}");
        }
    }
}

impl Work {
    fn untold(parent: Option<&Trace>) -> Work {
        Work {
            span: None,
            trace: parent.cloned(),
        }
    }

    /// Under what its parts belong.
    pub fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    /// Says more of it.
    pub fn note(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.span {
            span.set_attribute(KeyValue::new(name, value));
        }
    }

    /// Says that it failed, and of what kind that is.
    pub fn failed(&mut self, kind: impl Into<Cow<'static, str>>) {
        if let Some(span) = &mut self.span {
            span.set_attribute(KeyValue::new("error.type", kind.into()));
            span.set_status(Status::error(""));
        }
    }
}

/// Where traces are sent, if a collector has this address.
///
/// # Errors
/// In words, what is wrong with it.
pub fn address(collector: &str) -> Result<String, String> {
    match egress::web(collector).filter(|url| url.query().is_none()) {
        Some(_) => Ok(format!("{}/v1/traces", collector.trim_end_matches('/'))),
        None => Err("write the address of a collector, such as `http://127.0.0.1:4318`".to_owned()),
    }
}

/// How traces are sent: by the server's own client, from whatever thread.
struct Way {
    client: Arc<Client>,
    runtime: Handle,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Way")
    }
}

impl HttpClient for Way {
    fn send_bytes<'s, 'a>(
        &'s self,
        request: hyper::Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<hyper::Response<Bytes>, HttpError>> + Send + 'a>>
    where
        's: 'a,
        Self: 'a,
    {
        let (head, body) = request.into_parts();
        let headers = head.headers.iter();
        let headers = headers
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
        let request = Request {
            method: head.method.to_string(),
            url: head.uri.to_string(),
            headers: headers.collect(),
            body: body.into(),
            redirect: Redirect::Error,
        };
        let client = self.client.clone();
        let sent = async move { client.fetch(request, LIMITS).await };
        let sent = self.runtime.spawn(sent);
        Box::pin(async move {
            let answer = sent.await??;
            let mut response = hyper::Response::builder().status(answer.status);
            for (name, value) in answer.headers {
                response = response.header(name, value);
            }
            Ok(response.body(answer.body.into())?)
        })
    }
}
