//! What an administrator allows beyond public addresses.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use url::Host;

use super::address::Class;

/// What the setting `egress_allow` says: entries with commas between them, each an address, a range or a name, with
/// a port or for all ports.
///
/// An entry for addresses holds for literal addresses and for public names that resolve to them; an entry for a name
/// holds whatever the name resolves to. Neither opens link-local addresses or the server itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    what: What,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Net(IpNet),
    Name(String),
}

impl Rules {
    /// Whether an address that is special in this way may be reached. No range opens a metadata service: whoever allows
    /// a company's network does not think of it.
    pub fn allow_address(&self, address: IpAddr, port: u16, class: Class) -> bool {
        let whole =
            |net: &IpNet| class != Class::Metadata || net.prefix_len() == net.max_prefix_len();
        self.holds(
            port,
            |what| matches!(what, What::Net(net) if net.contains(&address) && whole(net)),
        )
    }

    /// Whether a name may be reached whatever it resolves to; `name` is in lower case, without a dot at its end.
    pub fn allow_name(&self, name: &str, port: u16) -> bool {
        self.holds(
            port,
            |what| matches!(what, What::Name(known) if known == name),
        )
    }

    fn holds(&self, port: u16, fits: impl Fn(&What) -> bool) -> bool {
        let mut rules = self.0.iter();
        rules.any(|rule| rule.port.is_none_or(|only| only == port) && fits(&rule.what))
    }
}

impl FromStr for Rules {
    type Err = String;

    fn from_str(text: &str) -> Result<Rules, String> {
        let entries = text.split(',').map(str::trim);
        let entries = entries.filter(|entry| !entry.is_empty());
        entries.map(rule).collect::<Result<_, _>>().map(Rules)
    }
}

fn rule(entry: &str) -> Result<Rule, String> {
    let wrong = || {
        format!(
            "`{entry}` is no address, range or name, with a port or without, such as `10.0.0.5:5432`, `10.0.0.0/8`, \
             `[fd00::5]:443` or `db.internal`"
        )
    };
    // An IPv6 address without brackets is all colons, so that it has no port.
    if let Some(what) = address(entry) {
        return Ok(Rule { what, port: None });
    }
    let split = entry.rsplit_once(':').filter(|_| !entry.ends_with(']'));
    let (host, port) = match split {
        Some((host, port)) => (host, Some(number(port).ok_or_else(wrong)?)),
        None => (entry, None),
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let what = match bare {
        Some(bare) => address(bare).filter(|_| bare.contains(':')),
        None => address(host)
            .filter(|_| !host.contains(':'))
            .or_else(|| name(host)),
    };
    let what = what.ok_or_else(wrong)?;
    Ok(Rule { what, port })
}

/// An address or a range. One with bits behind its prefix is taken for a slip, since it would open far more than it
/// seems to.
fn address(text: &str) -> Option<What> {
    let one = text
        .parse()
        .ok()
        .map(|address: IpAddr| IpNet::from(address));
    let range = || text.parse().ok().filter(|net: &IpNet| net.trunc() == *net);
    one.or_else(range).map(What::Net)
}

fn name(text: &str) -> Option<What> {
    let Ok(Host::Domain(name)) = Host::parse(text) else {
        return None;
    };
    let name = name.trim_end_matches('.');
    let known = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
    (!name.is_empty() && name.bytes().all(known)).then(|| What::Name(name.to_owned()))
}

fn number(port: &str) -> Option<u16> {
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let number = port.parse().ok().filter(|_| digits);
    number.filter(|port| *port > 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Rules;
    use crate::egress::address::Class;

    #[track_caller]
    fn allows(rules: &str, address: &str, port: u16, class: Class) -> bool {
        let rules: Rules = rules.parse().unwrap();
        rules.allow_address(address.parse().unwrap(), port, class)
    }

    #[test]
    fn an_entry_is_an_address_a_range_or_a_name_and_perhaps_a_port() {
        for (rules, address, port, allowed) in [
            ("10.0.0.5", "10.0.0.5", 1, true),
            ("10.0.0.5", "10.0.0.6", 1, false),
            ("10.0.0.5:5432", "10.0.0.5", 5432, true),
            ("10.0.0.5:5432", "10.0.0.5", 5433, false),
            ("10.0.0.0/8", "10.255.0.1", 9, true),
            ("10.0.0.0/8", "11.0.0.1", 9, false),
            ("10.0.0.0/8:443", "10.1.1.1", 443, true),
            ("10.0.0.0/8:443", "10.1.1.1", 80, false),
            ("fd00::5", "fd00::5", 7, true),
            ("[fd00::5]", "fd00::5", 7, true),
            ("[fd00::5]:7", "fd00::5", 8, false),
            ("fd00::/8", "fd12::1", 8, true),
            ("[fd00::/8]:8", "fd12::1", 8, true),
            ("[fd00::/8]:8", "fd12::1", 9, false),
            (" 10.0.0.5 ,, 10.0.0.6:1 ,", "10.0.0.6", 1, true),
            ("db.internal", "10.0.0.5", 1, false),
            ("", "10.0.0.5", 1, false),
        ] {
            assert_eq!(
                allows(rules, address, port, Class::Private),
                allowed,
                "{rules} {address}:{port}"
            );
        }
    }

    #[test]
    fn a_name_is_compared_as_resolvers_do() {
        let rules: Rules = "DB.Internal., bücher.example:443".parse().unwrap();
        assert!(rules.allow_name("db.internal", 1));
        assert!(!rules.allow_name("a.db.internal", 1));
        assert!(rules.allow_name("xn--bcher-kva.example", 443));
        assert!(!rules.allow_name("xn--bcher-kva.example", 80));
    }

    #[test]
    fn a_metadata_service_is_opened_by_its_own_address_only() {
        let at = "100.100.100.200";
        assert!(!allows("100.64.0.0/10", at, 80, Class::Metadata));
        assert!(!allows("0.0.0.0/0", at, 80, Class::Metadata));
        assert!(allows("100.100.100.200", at, 80, Class::Metadata));
        assert!(allows("100.100.100.200/32:80", at, 80, Class::Metadata));
    }

    #[test]
    fn what_is_none_of_these_is_refused() {
        for entry in [
            "10.0.0.5:0",
            "10.0.0.5:65536",
            "10.0.0.5:",
            "10.0.0.5:+1",
            "10.0.0.5/33",
            "10.0.0.5/8",
            "*.internal",
            "a b",
            "http://a",
            "[10.0.0.5]",
            "[a]",
            ":80",
            ".",
            "fd00::1%eth0",
            "a/8",
        ] {
            let wrong = entry.parse::<Rules>();
            let message = format!(
                "`{entry}` is no address, range or name, with a port or without, such as `10.0.0.5:5432`, \
                 `10.0.0.0/8`, `[fd00::5]:443` or `db.internal`"
            );
            assert_eq!(wrong, Err(message));
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in ".{0,40}") {
            let _ = text.parse::<Rules>();
        }

        #[test]
        fn an_address_that_is_written_is_allowed(bits in any::<u128>(), port in 1..u16::MAX, four in any::<bool>()) {
            let address: std::net::IpAddr = match four {
                true => std::net::Ipv4Addr::from_bits(bits as u32).into(),
                false => std::net::Ipv6Addr::from_bits(bits).into(),
            };
            let rules: Rules = std::net::SocketAddr::new(address, port).to_string().parse().unwrap();
            prop_assert!(rules.allow_address(address, port, Class::Metadata));
            prop_assert!(!rules.allow_address(address, port + 1, Class::Private));
        }
    }
}
