//! The door itself: names with several addresses, rules, the server's own addresses, chosen hosts.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use proptest::prelude::*;
use tokio::net::TcpListener;
use waystation::egress::{Egress, Scope, Target};

use crate::world::door;

/// What is said of a target with these addresses; nothing if it may be reached.
fn judged(door: &Egress, target: (&str, u16), addresses: &[&str], scope: &Scope) -> Option<String> {
    let target = Target::new(target.0, target.1).unwrap();
    let addresses: Vec<IpAddr> = addresses
        .iter()
        .map(|address| address.parse().unwrap())
        .collect();
    door.judge(&target, &addresses, scope)
        .err()
        .map(|refused| refused.to_string())
}

#[test]
fn one_address_that_is_not_allowed_stands_against_the_name() {
    let refused = Some(
        "the address 10.0.0.5 (`db.example.com`) is in a private range, which this server does not allow; an \
         administrator can allow it with `egress_allow = \"10.0.0.5:5432\"`"
            .to_owned(),
    );
    let db = ("DB.example.com.", 5432);
    for addresses in [
        &["10.0.0.5"][..],
        &["8.8.8.8", "10.0.0.5"],
        &["10.0.0.5", "8.8.8.8"],
        &["2606:4700::1", "10.0.0.5"],
    ] {
        assert_eq!(judged(&door(""), db, addresses, &Scope::Public), refused);
    }
    assert_eq!(
        judged(&door(""), db, &["8.8.8.8", "2606:4700::1"], &Scope::Public),
        None
    );
    for rules in [
        "10.0.0.5:5432",
        "10.0.0.0/8",
        "db.example.com",
        "Db.Example.Com:5432",
    ] {
        assert_eq!(
            judged(&door(rules), db, &["8.8.8.8", "10.0.0.5"], &Scope::Public),
            None,
            "{rules}"
        );
    }
    for rules in [
        "10.0.0.5:5433",
        "10.0.0.6",
        "example.com",
        "db.example.com:1",
    ] {
        assert_eq!(
            judged(&door(rules), db, &["8.8.8.8", "10.0.0.5"], &Scope::Public),
            refused,
            "{rules}"
        );
    }
}

#[test]
fn a_name_of_a_local_network_needs_a_rule_of_its_own() {
    let internal = ("db.internal", 5432);
    let refused = "the name `db.internal` is one for local networks, which this server does not allow; an administrator \
                   can allow it with `egress_allow = \"db.internal:5432\"`";
    for rules in ["", "10.0.0.0/8", "db.internal:1"] {
        assert_eq!(
            judged(&door(rules), internal, &["10.0.0.5"], &Scope::Public).as_deref(),
            Some(refused)
        );
    }
    assert_eq!(
        judged(
            &door("db.internal:5432"),
            internal,
            &["10.0.0.5"],
            &Scope::Public
        ),
        None
    );
    let never = "the address 169.254.169.254 (`metadata.google.internal`) is in a link-local range, which this server \
                 never allows";
    let metadata = ("metadata.google.internal", 80);
    let open = door("metadata.google.internal");
    assert_eq!(
        judged(&open, metadata, &["169.254.169.254"], &Scope::Public).as_deref(),
        Some(never)
    );
}

/// A door under rules that allow everything, of a server that listens at an address.
fn own(address: &str) -> Arc<Egress> {
    let door = door("0.0.0.0/0, ::/0, localhost");
    door.own(address.parse().unwrap());
    door
}

/// Where the server listens, what is asked for, what that resolves to, and which address is named.
const OWN: &[(&str, &str, &[&str], &str)] = &[
    (
        "127.0.0.1:8080",
        "127.0.0.1",
        &["127.0.0.1"],
        "127.0.0.1:8080",
    ),
    (
        "127.0.0.1:8080",
        "localhost",
        &["::1", "127.0.0.1"],
        "127.0.0.1:8080 (`localhost`)",
    ),
    ("127.0.0.1:8080", "0.0.0.0", &["0.0.0.0"], "0.0.0.0:8080"),
    (
        "127.0.0.1:8080",
        "::ffff:127.0.0.1",
        &["::ffff:127.0.0.1"],
        "[::ffff:127.0.0.1]:8080",
    ),
    ("[::1]:8080", "::1", &["::1"], "[::1]:8080"),
    (
        "[::ffff:127.0.0.1]:8080",
        "127.0.0.1",
        &["127.0.0.1"],
        "127.0.0.1:8080",
    ),
    (
        "0.0.0.0:8080",
        "127.0.0.1",
        &["127.0.0.1"],
        "127.0.0.1:8080",
    ),
    (
        "0.0.0.0:8080",
        "127.9.9.9",
        &["127.9.9.9"],
        "127.9.9.9:8080",
    ),
    ("[::]:8080", "127.0.0.1", &["127.0.0.1"], "127.0.0.1:8080"),
    (
        "203.0.113.7:8080",
        "waystation.example.com",
        &["203.0.113.7"],
        "203.0.113.7:8080 (`waystation.example.com`)",
    ),
];

#[test]
fn the_server_itself_is_refused_whatever_is_allowed() {
    for (ours, host, addresses, address) in OWN {
        let sentence =
            format!("the address {address} is this server itself, which its programs do not reach");
        for scope in [Scope::Public, Scope::Hosts(vec![(host.to_string(), 8080)])] {
            let refused = judged(&own(ours), (host, 8080), addresses, &scope);
            assert_eq!(refused.as_ref(), Some(&sentence), "{ours} {host}");
        }
    }
}

#[test]
fn other_ports_and_other_machines_at_the_port_are_somebody_elses() {
    for (ours, host, port) in [
        ("127.0.0.1:8080", "127.0.0.1", 8081),
        ("127.0.0.1:8080", "127.0.0.2", 8080),
        ("0.0.0.0:8080", "10.99.99.99", 8080),
    ] {
        let refused = judged(&own(ours), (host, port), &[host], &Scope::Public);
        assert_eq!(refused, None, "{ours} {host}:{port}");
    }
}

#[test]
fn chosen_hosts_may_have_any_address_and_others_are_not_reached() {
    let scope = Scope::Hosts(vec![
        ("PyPI.example.".to_owned(), 443),
        ("[fd00::5]".to_owned(), 80),
    ]);
    let door = door("example.com");
    assert_eq!(
        judged(
            &door,
            ("pypi.example", 443),
            &["198.18.0.7", "10.0.0.1", "127.0.0.1"],
            &scope
        ),
        None
    );
    assert_eq!(judged(&door, ("fd00::5", 80), &["fd00::5"], &scope), None);
    for (host, port) in [
        ("pypi.example", 80),
        ("a.pypi.example", 443),
        ("example.com", 443),
        ("fd00::6", 80),
    ] {
        let target = Target::new(host, port).unwrap();
        let sentence = format!(
            "`{target}` is not among the hosts that can be reached from here, which are `PyPI.example.:443`, \
             `[fd00::5]:80`"
        );
        assert_eq!(judged(&door, (host, port), &[], &scope), Some(sentence));
    }
    let never = "the address 169.254.0.1 (`pypi.example`) is in a link-local range, which this server never allows";
    assert_eq!(
        judged(&door, ("pypi.example", 443), &["169.254.0.1"], &scope).as_deref(),
        Some(never)
    );
    let none = judged(&door, ("example.com", 443), &[], &Scope::Hosts(vec![]));
    let sentence =
        "`example.com:443` is not among the hosts that can be reached from here, which are none";
    assert_eq!(none.as_deref(), Some(sentence));
}

#[tokio::test]
async fn what_is_allowed_is_connected_to_by_address_or_name() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for (rules, host) in [
        (address.to_string(), "127.1"),
        (address.to_string(), "::ffff:127.0.0.1"),
        (format!("localhost:{}", address.port()), "LocalHost."),
    ] {
        let stream = door(&rules)
            .connect(host, address.port(), &Scope::Public)
            .await
            .unwrap();
        let peer: SocketAddr = stream.peer_addr().unwrap();
        assert_eq!(
            (peer.ip().to_canonical(), peer.port()),
            (address.ip(), address.port())
        );
        assert_eq!(listener.accept().await.unwrap().1.ip(), address.ip());
    }
    let chosen = Scope::Hosts(vec![("localhost".to_owned(), address.port())]);
    door("")
        .connect("localhost", address.port(), &chosen)
        .await
        .unwrap();
}

#[tokio::test]
async fn nobody_at_the_port_is_told_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let refused = door(&address.to_string())
        .connect("127.0.0.1", address.port(), &Scope::Public)
        .await
        .unwrap_err();
    assert!(!refused.by_rule());
    let sentence = format!("cannot connect to `{address}`: Connection refused (os error 111)");
    assert_eq!(refused.to_string(), sentence);
}

proptest! {
    /// Whatever somebody writes, it is read without a panic, and an address is judged as one.
    #[test]
    fn a_host_is_read_without_a_panic(host in ".{0,60}", port in any::<u16>()) {
        if let Ok(target) = Target::new(&host, port) {
            prop_assert!(target.name().is_some() != target.address().is_some());
            let again = Target::new(target.name().unwrap_or(&host), port);
            prop_assert_eq!(again.as_ref(), Ok(&target));
        }
    }

    #[test]
    fn a_private_address_among_public_ones_is_always_found(before in 0..5usize, after in 0..5usize, last in any::<u16>()) {
        let private = IpAddr::from([10, 1, (last >> 8) as u8, last as u8]);
        let public = IpAddr::from([8, 8, 8, 8]);
        let mut addresses = vec![public; before];
        addresses.push(private);
        addresses.extend(vec![public; after]);
        let target = Target::new("example.com", 443).unwrap();
        prop_assert!(door("").judge(&target, &addresses, &Scope::Public).is_err());
        addresses.remove(before);
        prop_assert!(door("").judge(&target, &addresses, &Scope::Public).is_ok());
    }
}
