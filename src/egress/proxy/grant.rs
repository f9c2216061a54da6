//! Who may use the proxy, and for what.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::watch;

use super::counts::Reached;
use super::ledger::Ledger;
use crate::Error;
use crate::egress::Scope;

/// How much one grant may do.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// Connections to other machines, those included that were refused or failed, 200. Further ones are answered 503.
    pub connections: usize,
    /// Bytes up and down together, 2 GiB. Then all its connections are closed.
    pub bytes: u64,
}

impl Default for Allowance {
    fn default() -> Allowance {
        Allowance {
            connections: 200,
            bytes: 2 << 30,
        }
    }
}

/// Is told in a sentence of everything that the proxy refuses to the holder of a grant or fails to reach for it.
pub type Watch = Box<dyn Fn(&str) + Send + Sync>;

/// The tokens that the proxy takes at present.
#[derive(Default)]
pub struct Tokens(Mutex<HashMap<String, Arc<Ledger>>>);

impl Tokens {
    /// Makes a token that lets its bearer reach what `scope` says, as long as the grant is held.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn grant(
        self: &Arc<Self>,
        scope: Scope,
        allowance: Allowance,
        watch: Watch,
    ) -> Result<Grant, Error> {
        let mut bytes = [0; 24];
        getrandom::fill(&mut bytes)
            .map_err(|error| Error::new(format!("no random bytes: {error}")))?;
        let token = URL_SAFE_NO_PAD.encode(bytes);
        let (held, revoked) = watch::channel(());
        let ledger = Arc::new(Ledger::new(scope, allowance, watch, revoked));
        self.lock().insert(token.clone(), ledger.clone());
        Ok(Grant {
            token,
            ledger,
            tokens: self.clone(),
            _held: held,
        })
    }

    pub(super) fn find(&self, token: &str) -> Option<Arc<Ledger>> {
        self.lock().get(token).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Ledger>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to use the proxy. Dropping it takes the right back and closes every connection made with it.
pub struct Grant {
    token: String,
    ledger: Arc<Ledger>,
    tokens: Arc<Tokens>,
    _held: watch::Sender<()>,
}

impl Grant {
    /// The token: 32 characters of `A–Z a–z 0–9 - _`.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// What `HTTP_PROXY` is set to for a proxy at an address.
    pub fn url(&self, proxy: SocketAddr) -> String {
        format!("http://run:{}@{proxy}", self.token)
    }

    /// What was reached so far, in the order of the first connections; at most 100 hosts.
    pub fn reached(&self) -> Vec<Reached> {
        self.ledger.reached()
    }

    /// The connections that were asked for so far, and the bytes that all of them moved.
    pub fn total(&self) -> Reached {
        self.ledger.total()
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.tokens.lock().remove(&self.token);
    }
}
