//! One connection to the proxy: its requests, one after the other, or its tunnel.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Incoming;
use hyper::header::{HeaderMap, PROXY_AUTHORIZATION};
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::sync::SetOnce;
use tokio::time::timeout;

use super::Proxy;
use super::answer::{self, Answer};
use super::forward::Kept;
use super::ledger::Ledger;
use super::metered::Metered;
use crate::egress::{Refused, Target};

/// What the requests of one connection share.
pub(super) struct Session<'a> {
    pub proxy: &'a Proxy,
    /// Whose connection it is: that of the first good token.
    bearer: SetOnce<Arc<Ledger>>,
    tunnel: Mutex<Option<Tunnel>>,
    pub kept: Kept,
}

/// A client and another machine that are to be connected.
struct Tunnel {
    client: OnUpgrade,
    server: Metered,
}

/// Serves a connection until it ends, waits too long, or its grant is dropped.
pub(super) async fn serve(
    proxy: &Proxy,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) {
    let session = Session {
        proxy,
        bearer: SetOnce::new(),
        tunnel: Mutex::default(),
        kept: Kept::default(),
    };
    let service = service_fn(|request| async {
        let answer = session.answer(request).await;
        Ok::<_, Infallible>(answer.unwrap_or_else(|refusal| *refusal))
    });
    let serving = async {
        let connection = proxy.http.serve_connection(TokioIo::new(stream), service);
        let _ = connection.with_upgrades().await;
        session.carry().await;
    };
    tokio::select! {
        () = serving => {}
        () = session.over() => {}
    }
}

impl Session<'_> {
    /// An answer, or a refusal, which is one as well.
    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Box<Answer>> {
        let ledger = self
            .admit(request.headers())
            .ok_or_else(|| Box::new(answer::unknown()))?;
        if request.method() != Method::CONNECT {
            return self.forward(&ledger, request).await;
        }
        let target = target(&ledger, authority(request.uri())?)?;
        let server = self.open(&ledger, &target).await?;
        let client = hyper::upgrade::on(request);
        *self.tunnel() = Some(Tunnel { client, server });
        Ok(answer::connected())
    }

    /// Whose request it is. A connection has one bearer.
    fn admit(&self, headers: &HeaderMap) -> Option<Arc<Ledger>> {
        let ledger = self.proxy.tokens.find(&token(headers)?)?;
        let _ = self.bearer.set(ledger.clone());
        let ours = self
            .bearer
            .get()
            .is_some_and(|bearer| Arc::ptr_eq(bearer, &ledger));
        ours.then_some(ledger)
    }

    /// Connects to another machine.
    pub async fn open(
        &self,
        ledger: &Arc<Ledger>,
        target: &Target,
    ) -> Result<Metered, Box<Answer>> {
        begin(ledger)?;
        let connected = self.proxy.egress.connect_to(target, &ledger.scope).await;
        let stream = connected.map_err(|refused| told(ledger, &refused))?;
        Ok(Metered::new(stream, ledger.clone(), ledger.reach(target)))
    }

    /// Carries bytes both ways if there is a tunnel.
    async fn carry(&self) {
        let Some(Tunnel { client, mut server }) = self.tunnel().take() else {
            return;
        };
        let Ok(client) = client.await else {
            return;
        };
        let pulse = server.pulse();
        let mut client = TokioIo::new(client);
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => {}
            () = pulse.still(self.proxy.limits.idle) => {}
        }
    }

    /// Ends when nobody with a good token came in time, or the right is taken back.
    async fn over(&self) {
        if let Ok(bearer) = timeout(self.proxy.limits.admission, self.bearer.wait()).await {
            bearer.revoked().await;
        }
    }

    fn tunnel(&self) -> MutexGuard<'_, Option<Tunnel>> {
        self.tunnel.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a connection that is asked for.
fn begin(ledger: &Ledger) -> Result<(), Box<Answer>> {
    let full = |sentence| answer::told(StatusCode::SERVICE_UNAVAILABLE, sentence).into();
    ledger.begin().map_err(full)
}

/// Tells of a refusal, which the client may not show.
fn told(ledger: &Ledger, refused: &Refused) -> Box<Answer> {
    ledger.tell(&refused.to_string());
    answer::refused(refused).into()
}

/// Reads a host and a port. Such as are never reached count as connections too, so that they are not told of without
/// end.
pub(super) fn target(ledger: &Ledger, (host, port): (String, u16)) -> Result<Target, Box<Answer>> {
    Target::new(&host, port).or_else(|refused| {
        begin(ledger)?;
        Err(told(ledger, &refused))
    })
}

/// What `CONNECT` asks for.
fn authority(uri: &Uri) -> Result<(String, u16), Box<Answer>> {
    let named = uri
        .authority()
        .filter(|named| !named.as_str().contains('@'));
    let named = named.and_then(|named| Some((named.host().to_owned(), named.port_u16()?)));
    named.ok_or_else(|| {
        let sentence = "CONNECT takes a host and a port, such as `example.com:443`";
        answer::not_understood(sentence).into()
    })
}

/// The token in a head: the password of `run`, or a user without a password.
fn token(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(PROXY_AUTHORIZATION)?.to_str().ok()?;
    let (scheme, code) = value.split_once(' ')?;
    let basic = scheme.eq_ignore_ascii_case("basic");
    let text = STANDARD.decode(code.trim()).ok().filter(|_| basic)?;
    let text = String::from_utf8(text).ok()?;
    match text.split_once(':')? {
        ("run", token) | (token, "") => Some(token.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use hyper::header::{HeaderMap, HeaderValue, PROXY_AUTHORIZATION};
    use proptest::prelude::*;

    use super::token;

    fn shown(value: &str) -> Option<String> {
        let value = HeaderValue::from_str(value).unwrap();
        token(&HeaderMap::from_iter([(PROXY_AUTHORIZATION, value)]))
    }

    proptest! {
        #[test]
        fn a_token_is_read_back(token in "[A-Za-z0-9_-]{1,40}") {
            let basic = |text: String| format!("Basic {}", STANDARD.encode(text));
            prop_assert_eq!(shown(&basic(format!("run:{token}"))), Some(token.clone()));
            prop_assert_eq!(shown(&basic(format!("{token}:"))), Some(token.clone()));
            prop_assert_eq!(shown(&basic(token)), None);
        }

        #[test]
        fn no_header_makes_it_panic(value in "[ -~]{0,60}", text in any::<Vec<u8>>()) {
            shown(&value);
            shown(&format!("Basic {}", STANDARD.encode(text)));
        }
    }
}
