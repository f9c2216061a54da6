//! The way of code to the network: the proxy, and what a run reached through it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use engine::host::{Logger, Stream};
use sandbox::launch::PROXY_PORT;
use tokio::net::TcpListener;
use tokio::sync::OnceCell;

use super::pool::Aborted;
use crate::egress::fetch::Client;
use crate::egress::proxy::{Allowance, Grant, Limits, Proxy, Tokens};
use crate::egress::{Egress, Scope};

/// The proxy that code reaches the network through.
pub struct Network {
    egress: Arc<Egress>,
    tokens: Arc<Tokens>,
    client: Arc<Client>,
    proxy: Arc<Proxy>,
    /// Where it listens on the machine itself, for code that has no network of its own.
    outside: OnceCell<(SocketAddr, Aborted)>,
}

/// A run's leave to use the proxy, and what it did with it.
pub struct Leave {
    grant: Grant,
    address: SocketAddr,
    refused: Arc<Mutex<Vec<String>>>,
}

/// How many refusals are noted in the log of a run.
const NOTED: usize = 20;

impl Network {
    /// The proxy that leads through `egress`.
    pub fn new(egress: Arc<Egress>) -> Network {
        let tokens = Arc::new(Tokens::default());
        Network {
            proxy: Arc::new(Proxy::new(
                egress.clone(),
                tokens.clone(),
                Limits::default(),
            )),
            client: Arc::new(Client::new(egress.clone(), Scope::Public)),
            outside: OnceCell::new(),
            egress,
            tokens,
        }
    }

    /// What fetches for engines that have no sockets.
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Serves the proxy on a socket, until what is given is dropped.
    ///
    /// # Errors
    /// In words, why it cannot be served.
    pub fn serve(&self, listener: std::net::TcpListener) -> Result<Aborted, String> {
        let words = |error: std::io::Error| format!("the proxy cannot be served: {error}");
        listener.set_nonblocking(true).map_err(words)?;
        let listener = TcpListener::from_std(listener).map_err(words)?;
        Ok(Aborted(tokio::spawn(self.proxy.clone().serve(listener))))
    }

    /// The address of the proxy on the machine itself, which listens from then on.
    ///
    /// # Errors
    /// In words, why it cannot listen.
    pub async fn outside(&self) -> Result<SocketAddr, String> {
        let listen = || async {
            let words = |error: std::io::Error| format!("the proxy cannot listen: {error}");
            let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(words)?;
            let address = listener.local_addr().map_err(words)?;
            self.egress.own(address);
            Ok::<_, String>((address, self.serve(listener)?))
        };
        Ok(self.outside.get_or_try_init(listen).await?.0)
    }

    /// Leave for a run to reach what a scope says; `inside` where its network is a namespace of its own.
    ///
    /// # Errors
    /// In words, why none can be given.
    pub async fn leave(&self, inside: bool, scope: Scope) -> Result<Leave, String> {
        let address = match inside {
            true => SocketAddr::from((Ipv4Addr::LOCALHOST, PROXY_PORT)),
            false => self.outside().await?,
        };
        let refused = Arc::<Mutex<Vec<String>>>::default();
        let noted = refused.clone();
        let watch = move |text: &str| {
            let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
            if noted.len() < NOTED {
                noted.push(text.to_owned());
            }
        };
        let grant = self
            .tokens
            .grant(scope, Allowance::default(), Box::new(watch));
        Ok(Leave {
            grant: grant.map_err(|error| error.to_string())?,
            address,
            refused,
        })
    }
}

impl Leave {
    /// The environment variables that lead programs to the proxy.
    pub fn environment(&self) -> Vec<(String, String)> {
        let url = self.grant.url(self.address);
        // Programs differ in how they spell them. None is told to go to loopback by itself: what is meant there is
        // most often a service of the machine, and the proxy says how it can be reached.
        let names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
        let spelled = names.map(|name| [name.to_owned(), name.to_lowercase()]);
        let led = spelled
            .into_iter()
            .flatten()
            .map(|name| (name, url.clone()));
        led.collect()
    }

    /// The first sentence that says why something could not be reached.
    pub fn refused(&self) -> Option<String> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.first().cloned()
    }

    /// Notes in the log of the run what it reached, and what it could not reach.
    pub fn note(&self, logger: &Logger<'_>) {
        for refused in self
            .refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
        {
            logger.log(Stream::Note, &refused);
        }
        for reached in self.grant.reached() {
            logger.log(Stream::Note, &format!("reached {reached}"));
        }
    }
}
