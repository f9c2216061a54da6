//! Why a connection was not made.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use thiserror::Error;

use super::Target;
use super::address::Class;

/// Why a connection was not made, in a sentence for the author of the program.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// The host is neither a name nor an address.
    #[error("`{host}` is no host: {why}")]
    Host {
        /// What was given.
        host: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nothing is reached at this port.
    #[error("connections to port {0} are not allowed")]
    Port(u16),
    /// The name is one of those that are not simply reached.
    #[error(
        "the name {quoted} is one for local networks, which this server does not allow; an administrator can allow it with \
         `egress_allow = \"{0}\"`", quoted = .0.quoted()
    )]
    Name(Target),
    /// The host is not among those that may be reached.
    #[error("`{target}` is not among the hosts that can be reached from here, which are {}", listed(.hosts))]
    Stranger {
        /// What was asked for.
        target: Target,
        /// The hosts that may be reached.
        hosts: Vec<(String, u16)>,
    },
    /// One of its addresses is not simply reached.
    #[error("{}", special(.0))]
    Address(Special),
    /// The address belongs to this server.
    #[error("the address {address}{} is this server itself, which its programs do not reach", named(.target))]
    Own {
        /// What was asked for.
        target: Target,
        /// The address that is ours.
        address: SocketAddr,
    },
    /// The name has no address, or none was learnt.
    #[error("the name {} does not resolve: {why}", .target.quoted())]
    Unresolved {
        /// What was asked for.
        target: Target,
        /// What the resolver said.
        why: String,
    },
    /// The host may be reached, but was not.
    #[error("cannot connect to `{target}`: {why}")]
    Unreachable {
        /// What was asked for.
        target: Target,
        /// What the system said.
        why: String,
    },
}

/// An address that is not simply reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Special {
    /// What was asked for.
    pub target: Target,
    /// What it resolved to.
    pub address: IpAddr,
    /// The address that counts, which may be hidden in the other.
    pub form: IpAddr,
    /// What is special about it.
    pub class: Class,
}

impl Refused {
    /// Whether a rule stood against the connection, as opposed to the network.
    pub fn by_rule(&self) -> bool {
        !matches!(
            self,
            Refused::Unresolved { .. } | Refused::Unreachable { .. }
        )
    }

    pub(super) fn late(limit: Duration) -> String {
        format!("no answer within {:.0} s", limit.as_secs_f64())
    }
}

fn special(refused: &Special) -> String {
    let Special {
        target,
        address,
        form,
        class,
    } = refused;
    let mut text = format!("the address {address}{}", named(target));
    if form != address {
        text += &format!(" stands for {form}, which");
    }
    text += &format!(" is {class}");
    if *class == Class::LinkLocal {
        return text + ", which this server never allows";
    }
    let rule = SocketAddr::new(*form, target.port);
    text + &format!(
        ", which this server does not allow; an administrator can allow it with `egress_allow = \"{rule}\"`"
    )
}

/// The name behind an address, in parentheses, if there is one.
fn named(target: &Target) -> String {
    match target.name() {
        Some(name) => format!(" (`{name}`)"),
        None => String::new(),
    }
}

fn listed(hosts: &[(String, u16)]) -> String {
    if hosts.is_empty() {
        return "none".to_owned();
    }
    let hosts = hosts.iter().map(|(host, port)| format!("`{host}:{port}`"));
    hosts.collect::<Vec<_>>().join(", ")
}
