//! The one way out: every connection to another machine that a program causes is made here.
//!
//! Names and literal addresses alike are judged by the addresses that they lead to, never by how they are written, and
//! only an address that was judged is connected to. [`fetch`] makes HTTP requests through this door, [`proxy`] lets the
//! processes of code through it.

pub mod address;
pub mod fetch;
pub mod proxy;
mod refused;
mod rules;
mod target;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

pub use self::refused::{Refused, Special};
pub use self::rules::Rules;
pub use self::target::Target;
use address::{Class, class, forms, is_internal};

/// How long a name may take to resolve.
pub const RESOLVE_TIME: Duration = Duration::from_secs(5);

/// How long connecting may take, with all addresses of a name together.
pub const CONNECT_TIME: Duration = Duration::from_secs(10);

/// How many names are resolved at once. Each takes a thread for as long as the system's resolver likes.
const LOOKUPS: usize = 64;

/// Makes connections to other machines, or says why not.
pub struct Egress {
    rules: Rules,
    own: RwLock<Vec<SocketAddr>>,
    lookups: Arc<Semaphore>,
}

/// What one user of the door may reach.
#[derive(Clone, Debug)]
pub enum Scope {
    /// Public addresses, and what the administrator's rules add.
    Public,
    /// Only these hosts and ports, which an administrator chose: whatever their addresses, but for link-local ones and the
    /// server itself.
    Hosts(Vec<(String, u16)>),
}

/// The URL that a text is, if it is one of `http` or `https` that names a host and no user.
pub fn web(text: &str) -> Option<url::Url> {
    let url = url::Url::parse(text).ok()?;
    let known = matches!(url.scheme(), "http" | "https") && url.has_host();
    (known && url.username().is_empty() && url.password().is_none()).then_some(url)
}

impl Egress {
    /// A door under the administrator's rules.
    pub fn new(rules: Rules) -> Egress {
        Egress {
            rules,
            own: RwLock::default(),
            lookups: Arc::new(Semaphore::new(LOOKUPS)),
        }
    }

    /// Says that a listener, or a database, of this server is at an address, so that it is never reached. An address of
    /// all zeros means every address of this machine.
    pub fn own(&self, address: SocketAddr) {
        let mut own = self.own.write().unwrap_or_else(PoisonError::into_inner);
        own.push(address);
    }

    /// Connects to a port of a host, which is a name or an address as the URL standard reads it.
    ///
    /// # Errors
    /// When a rule stands against it, the name does not resolve, or no connection comes about in time.
    pub async fn connect(
        &self,
        host: &str,
        port: u16,
        scope: &Scope,
    ) -> Result<TcpStream, Refused> {
        self.connect_to(&Target::new(host, port)?, scope).await
    }

    /// Connects to a target.
    ///
    /// # Errors
    /// As [`connect`](Egress::connect).
    pub async fn connect_to(&self, target: &Target, scope: &Scope) -> Result<TcpStream, Refused> {
        self.judge(target, &[], scope)?;
        let addresses = match target.address() {
            Some(address) => vec![address],
            None => self.resolve(target).await?,
        };
        self.judge(target, &addresses, scope)?;
        reach(target, &addresses).await
    }

    /// Says whether a target may be reached, given the addresses that it resolves to; without them, whether it may be
    /// resolved. One address that may not be reached stands against all.
    ///
    /// # Errors
    /// The rule that stands against it.
    pub fn judge(
        &self,
        target: &Target,
        addresses: &[IpAddr],
        scope: &Scope,
    ) -> Result<(), Refused> {
        let chosen = self.chosen(target, scope)?;
        for address in addresses {
            for form in forms(*address) {
                self.judge_form(target, *address, form, chosen)?;
            }
        }
        Ok(())
    }

    /// Whether an administrator chose the host, so that its addresses may be special ones.
    fn chosen(&self, target: &Target, scope: &Scope) -> Result<bool, Refused> {
        if let Scope::Hosts(hosts) = scope {
            let is = |(host, port): &(String, u16)| Target::new(host, *port).as_ref() == Ok(target);
            return match hosts.iter().any(is) {
                true => Ok(true),
                false => Err(Refused::Stranger {
                    target: target.clone(),
                    hosts: hosts.clone(),
                }),
            };
        }
        let Some(name) = target.name() else {
            return Ok(false);
        };
        let chosen = self.rules.allow_name(name, target.port);
        match !chosen && is_internal(name) {
            true => Err(Refused::Name(target.clone())),
            false => Ok(chosen),
        }
    }

    fn judge_form(
        &self,
        target: &Target,
        address: IpAddr,
        form: IpAddr,
        chosen: bool,
    ) -> Result<(), Refused> {
        let target = target.clone();
        if self.is_own(SocketAddr::new(form, target.port)) {
            let address = SocketAddr::new(address, target.port);
            return Err(Refused::Own { target, address });
        }
        match class(form) {
            None => Ok(()),
            Some(class)
                if class != Class::LinkLocal
                    && (chosen || self.rules.allow_address(form, target.port, class)) =>
            {
                Ok(())
            }
            Some(class) => Err(Refused::Address(Special {
                target,
                address,
                form,
                class,
            })),
        }
    }

    fn is_own(&self, address: SocketAddr) -> bool {
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
        own.iter()
            .filter(|own| own.port() == address.port())
            .any(|own| {
                let own = own.ip().to_canonical();
                // The system connects to itself where no address is given.
                own == address.ip()
                    || address.ip().is_unspecified()
                    || own.is_unspecified() && is_of_this_machine(address.ip())
            })
    }

    async fn resolve(&self, target: &Target) -> Result<Vec<IpAddr>, Refused> {
        let unresolved = |why: String| Refused::Unresolved {
            target: target.clone(),
            why,
        };
        let name = target.name().unwrap_or_default().to_owned();
        let lookups = self.lookups.clone();
        // A look-up cannot be stopped; it keeps its place until it ends, even if nobody waits for it any more.
        let lookup = async move {
            let place = lookups.acquire_owned().await;
            let looking = tokio::spawn(async move {
                let _place = place;
                lookup_host((name, 0))
                    .await
                    .map(|found| found.map(|address| address.ip()).collect())
            });
            looking.await
        };
        match timeout(RESOLVE_TIME, lookup).await {
            Err(_) => Err(unresolved(Refused::late(RESOLVE_TIME))),
            Ok(Err(_)) => Err(unresolved("the resolver stopped".to_owned())),
            Ok(Ok(Err(error))) => Err(unresolved(error.to_string())),
            Ok(Ok(Ok(found))) => match Vec::is_empty(&found) {
                true => Err(unresolved("it has no address".to_owned())),
                false => Ok(found),
            },
        }
    }
}

/// Whether an address is one of this machine's: only to those can a socket be bound.
fn is_of_this_machine(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// Connects to the first address that takes the connection, each of them having its share of the time.
async fn reach(target: &Target, addresses: &[IpAddr]) -> Result<TcpStream, Refused> {
    let end = Instant::now() + CONNECT_TIME;
    let mut why = Refused::late(CONNECT_TIME);
    for (tried, address) in addresses.iter().enumerate() {
        let share = end.duration_since(Instant::now()) / (addresses.len() - tried) as u32;
        let address = SocketAddr::new(*address, target.port);
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) if stream.peer_addr().is_ok_and(|peer| peer == address) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Ok(_)) => why = "another address answered".to_owned(),
            Ok(Err(error)) => why = error.to_string(),
            Err(_) => why = Refused::late(share),
        }
    }
    Err(Refused::Unreachable {
        target: target.clone(),
        why,
    })
}
