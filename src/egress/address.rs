//! Which addresses and names are not reached unless an administrator allows them, and why.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// What makes an address one that is not simply reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Where clouds tell a machine its secrets. A rule must name the very address to allow it.
    Metadata,
    /// The link at hand, which has more such services on it. No rule allows it.
    LinkLocal,
    /// The machine itself.
    Loopback,
    /// The networks of houses and companies.
    Private,
    /// Many machines at once.
    Multicast,
    /// Carriers' own networks, documentation, benchmarks, what is reserved.
    Special,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Class::Metadata => "the metadata service of a cloud",
            Class::LinkLocal => "in a link-local range",
            Class::Loopback => "in a loopback range",
            Class::Private => "in a private range",
            Class::Multicast => "in a multicast range",
            Class::Special => "in a special range",
        })
    }
}

/// Every range that is not simply reached; of those that an address is in, the first counts.
const RANGES: [(IpNet, Class); 27] = [
    (v4(168, 63, 129, 16, 32), Class::Metadata),
    (v4(100, 100, 100, 200, 32), Class::Metadata),
    (v4(192, 0, 0, 192, 32), Class::Metadata),
    (
        v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128),
        Class::Metadata,
    ),
    (v4(169, 254, 0, 0, 16), Class::LinkLocal),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), Class::LinkLocal),
    (v4(127, 0, 0, 0, 8), Class::Loopback),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), Class::Loopback),
    (v4(10, 0, 0, 0, 8), Class::Private),
    (v4(172, 16, 0, 0, 12), Class::Private),
    (v4(192, 168, 0, 0, 16), Class::Private),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), Class::Private),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), Class::Private),
    (v4(224, 0, 0, 0, 4), Class::Multicast),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), Class::Multicast),
    (v4(0, 0, 0, 0, 8), Class::Special),
    (v4(100, 64, 0, 0, 10), Class::Special),
    (v4(192, 0, 0, 0, 24), Class::Special),
    (v4(192, 0, 2, 0, 24), Class::Special),
    (v4(192, 88, 99, 0, 24), Class::Special),
    (v4(198, 18, 0, 0, 15), Class::Special),
    (v4(198, 51, 100, 0, 24), Class::Special),
    (v4(203, 0, 113, 0, 24), Class::Special),
    (v4(240, 0, 0, 0, 4), Class::Special),
    (v6([0; 8], 128), Class::Special),
    // A network that translates with this prefix may keep the IPv4 address in any of several places.
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), Class::Special),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), Class::Special),
];

/// IPv6 ranges whose addresses have an IPv4 address in them: how far right it is shifted out, and the bits that are
/// turned over in it.
const WRAPPERS: [(Ipv6Net, u32, u32); 7] = [
    // Mapped and compatible.
    (net([0, 0, 0, 0, 0, 0xffff, 0, 0], 96), 0, 0),
    (net([0; 8], 96), 0, 0),
    // NAT64.
    (net([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96), 0, 0),
    (net([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), 0, 0),
    // 6to4.
    (net([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), 80, 0),
    // Teredo: the server, and the client.
    (net([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), 64, 0),
    (net([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), 0, u32::MAX),
];

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length))
}

const fn v6(parts: [u16; 8], length: u8) -> IpNet {
    IpNet::V6(net(parts, length))
}

const fn net([a, b, c, d, e, f, g, h]: [u16; 8], length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), length)
}

/// The address, and every IPv4 address that a packet to it may end up at.
pub fn forms(address: IpAddr) -> Vec<IpAddr> {
    let mut forms = vec![address];
    if let IpAddr::V6(outer) = address
        && !outer.is_unspecified()
        && !outer.is_loopback()
    {
        let around = WRAPPERS.iter().filter(|(net, ..)| net.contains(&outer));
        forms.extend(around.map(|(_, shift, turned)| {
            let inner = (outer.to_bits() >> shift) as u32 ^ turned;
            IpAddr::V4(Ipv4Addr::from_bits(inner))
        }));
    }
    forms
}

/// What is special about one address as it stands; nothing if it is a public one.
pub fn class(address: IpAddr) -> Option<Class> {
    let range = RANGES.iter().find(|(range, _)| range.contains(&address));
    range.map(|(_, class)| *class)
}

/// Whether a name belongs to a machine or a local network, whatever it resolves to. Case and a dot at the end do
/// not matter.
pub fn is_internal(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let top = name.rsplit('.').next().unwrap_or_default();
    matches!(top, "localhost" | "local" | "internal")
        || name.starts_with("metadata")
        || name == "instance-data"
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::{Class, RANGES, class, forms, is_internal};

    /// The class that counts for an address: that of the first of its forms which has one.
    fn judged(address: IpAddr) -> Option<Class> {
        forms(address).into_iter().find_map(class)
    }

    /// Checks the ends of a range, and that their neighbours are not in it.
    #[track_caller]
    fn check_range(first: &str, last: &str, class: Class) {
        let [first, last] = [first, last].map(|text| text.parse::<IpAddr>().unwrap());
        assert_eq!(
            [first, last].map(judged),
            [Some(class); 2],
            "{first} to {last}"
        );
        let (below, above) = match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                let around = [
                    first.to_bits().checked_sub(1),
                    last.to_bits().checked_add(1),
                ];
                around
                    .map(|bits| bits.map(|bits| Ipv4Addr::from_bits(bits).into()))
                    .into()
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                let around = [
                    first.to_bits().checked_sub(1),
                    last.to_bits().checked_add(1),
                ];
                around
                    .map(|bits| bits.map(|bits| Ipv6Addr::from_bits(bits).into()))
                    .into()
            }
            _ => panic!("{first} to {last}"),
        };
        for address in [below, above].into_iter().flatten() {
            assert_ne!(judged(address), Some(class), "{address}");
        }
    }

    /// The first and the last address of ranges.
    const ENDS: [(&str, &str, Class); 25] = [
        ("0.0.0.0", "0.255.255.255", Class::Special),
        ("10.0.0.0", "10.255.255.255", Class::Private),
        ("100.64.0.0", "100.127.255.255", Class::Special),
        ("127.0.0.0", "127.255.255.255", Class::Loopback),
        ("169.254.0.0", "169.254.255.255", Class::LinkLocal),
        ("172.16.0.0", "172.31.255.255", Class::Private),
        ("192.0.0.0", "192.0.0.255", Class::Special),
        ("192.0.2.0", "192.0.2.255", Class::Special),
        ("192.88.99.0", "192.88.99.255", Class::Special),
        ("192.168.0.0", "192.168.255.255", Class::Private),
        ("198.18.0.0", "198.19.255.255", Class::Special),
        ("198.51.100.0", "198.51.100.255", Class::Special),
        ("203.0.113.0", "203.0.113.255", Class::Special),
        ("224.0.0.0", "239.255.255.255", Class::Multicast),
        ("240.0.0.0", "255.255.255.255", Class::Special),
        ("168.63.129.16", "168.63.129.16", Class::Metadata),
        ("::", "::", Class::Special),
        ("::1", "::1", Class::Loopback),
        (
            "64:ff9b:1::",
            "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
            Class::Special,
        ),
        (
            "2001:db8::",
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            Class::Special,
        ),
        (
            "fc00::",
            "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            Class::Private,
        ),
        (
            "fe80::",
            "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            Class::LinkLocal,
        ),
        (
            "fec0::",
            "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            Class::Private,
        ),
        (
            "ff00::",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            Class::Multicast,
        ),
        ("fd00:ec2::254", "fd00:ec2::254", Class::Metadata),
    ];

    #[test]
    fn every_range_begins_and_ends_where_it_says() {
        for (first, last, class) in ENDS {
            check_range(first, last, class);
        }
        for address in ["100.100.100.200", "192.0.0.192"] {
            assert_eq!(judged(address.parse().unwrap()), Some(Class::Metadata));
        }
    }

    #[test]
    fn public_addresses_are_not_special() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "93.184.215.14",
            "172.15.255.255",
            "172.32.0.0",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450:4001:80b::200e",
            "2002:808:808::1",
            "64:ff9b::808:808",
            "::ffff:8.8.8.8",
            "::8.8.8.8",
            // Teredo by way of 8.8.4.4 to 8.8.8.8.
            "2001:0:808:404::f7f7:f7f7",
        ] {
            assert_eq!(judged(address.parse().unwrap()), None, "{address}");
        }
    }

    #[test]
    fn names_of_machines_and_local_networks_are_known() {
        for name in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "a.localhost",
            "a.b.localhost.",
            "printer.local",
            "local",
            "db.internal",
            "DB.Internal.",
            "metadata",
            "metadata.google.internal",
            "Metadata.example.com",
            "metadata-flavor",
            "instance-data",
            "INSTANCE-DATA..",
        ] {
            assert!(is_internal(name), "{name}");
        }
        for name in [
            "example.com",
            "localhost.example.com",
            "mylocalhost",
            "internal.example.com",
            "local.host",
            "meta",
        ] {
            assert!(!is_internal(name), "{name}");
        }
    }

    /// Every way that there is to write an IPv4 address into an IPv6 address.
    fn wrapped(inner: Ipv4Addr) -> Vec<Ipv6Addr> {
        let [a, b] = [inner.to_bits() >> 16, inner.to_bits() & 0xffff].map(|half| half as u16);
        let public = [0x808, 0x808];
        vec![
            inner.to_ipv6_mapped(),
            Ipv6Addr::new(0, 0, 0, 0, 0, 0, a, b),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, a, b),
            Ipv6Addr::new(0x2002, a, b, 0, 0, 0, 0, 1),
            Ipv6Addr::new(0x2001, 0, public[0], public[1], 0, 0, !a, !b),
            Ipv6Addr::new(0x2001, 0, a, b, 0, 0, !public[0], !public[1]),
        ]
    }

    fn in_a_range() -> impl Strategy<Value = Ipv4Addr> {
        let ranges: Vec<_> = RANGES
            .iter()
            .filter_map(|(range, _)| match range {
                ipnet::IpNet::V4(range) => Some(*range),
                ipnet::IpNet::V6(_) => None,
            })
            .collect();
        (proptest::sample::select(ranges), any::<u32>()).prop_map(|(range, bits)| {
            let host = bits & range.hostmask().to_bits();
            Ipv4Addr::from_bits(range.network().to_bits() | host)
        })
    }

    proptest! {
        #[test]
        fn no_wrapping_hides_a_special_address(inner in in_a_range()) {
            prop_assert!(judged(inner.into()).is_some());
            for outer in wrapped(inner) {
                prop_assert!(judged(outer.into()).is_some(), "{outer}");
            }
        }

        #[test]
        fn a_wrapped_public_address_stays_public(bits in any::<u32>()) {
            let inner = Ipv4Addr::from_bits(bits);
            prop_assume!(class(inner.into()).is_none());
            for outer in wrapped(inner) {
                prop_assert_eq!(judged(outer.into()), None, "{}", outer);
            }
        }

        #[test]
        fn the_forms_of_an_address_begin_with_itself(bits in any::<u128>()) {
            let address = IpAddr::V6(Ipv6Addr::from_bits(bits));
            prop_assert_eq!(forms(address)[0], address);
        }
    }
}
