//! What a connection is asked for: a host and a port.

use std::fmt;
use std::net::IpAddr;

use url::Host;

use super::Refused;

/// The longest name that the domain name system can hold, in bytes.
const LONGEST_NAME: usize = 253;
/// The longest part of a name between its dots, in bytes (RFC 1035, 2.3.4).
const LONGEST_PART: usize = 63;

/// A host and a port, the host as the URL standard reads it: `0x7f.1` is the address 127.0.0.1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    host: Host<String>,
    /// The port, neither 0 nor that of mail.
    pub port: u16,
}

impl Target {
    /// Reads a host: a name, an IPv4 address in any of its spellings, an IPv6 address with or without brackets.
    ///
    /// # Errors
    /// [`Refused::Host`] if it is none of these, [`Refused::Port`] if nothing is reached at the port.
    pub fn new(host: &str, port: u16) -> Result<Target, Refused> {
        let read = match host.parse() {
            Ok(IpAddr::V4(address)) => Ok(Host::Ipv4(address)),
            Ok(IpAddr::V6(address)) => Ok(Host::Ipv6(address)),
            Err(_) => Host::parse(host),
        };
        let wrong = |why: String| {
            let host = host.chars().take(LONGEST_NAME).collect();
            Refused::Host { host, why }
        };
        let host = match read.map_err(|error| wrong(error.to_string()))? {
            Host::Domain(name) => {
                // One dot at the end says that the name is whole; it does not make another name.
                let name = name.strip_suffix('.').unwrap_or(&name);
                if name.is_empty() || name.len() > LONGEST_NAME {
                    return Err(wrong("a name has 1 to 253 characters".to_owned()));
                }
                let fits = |part: &str| (1..=LONGEST_PART).contains(&part.len());
                if !name.split('.').all(fits) {
                    return Err(wrong("a part of a name has 1 to 63 characters".to_owned()));
                }
                Host::Domain(name.to_owned())
            }
            address => address,
        };
        match port {
            0 | 25 => Err(Refused::Port(port)),
            _ => Ok(Target { host, port }),
        }
    }

    /// The name, in lower case and without a dot at its end; none if the host is an address.
    pub fn name(&self) -> Option<&str> {
        match &self.host {
            Host::Domain(name) => Some(name),
            _ => None,
        }
    }

    /// The address, if the host is one.
    pub fn address(&self) -> Option<IpAddr> {
        match self.host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
        }
    }

    /// The host alone, in backticks.
    pub(super) fn quoted(&self) -> String {
        format!("`{}`", self.host)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}
