//! Which URLs are refused before anything is sent, and with which sentence.

use waystation::egress::fetch::{Limits, Request};

use crate::world::{client, failure, get};

/// Fetches under rules; gives what it fails with.
async fn under(rules: &str, url: &str) -> String {
    let fetched = client(rules).fetch(get(url), Limits::default()).await;
    fetched.unwrap_err().to_string()
}

/// The sentence for an address that a rule can allow.
fn special(address: &str, class: &str, rule: &str) -> String {
    format!(
        "the address {address} is {class}, which this server does not allow; an administrator can allow it with \
         `egress_allow = \"{rule}\"`"
    )
}

#[tokio::test]
async fn names_of_local_networks_are_refused_without_asking_for_their_addresses() {
    for (host, name) in [
        ("localhost", "localhost"),
        ("LOCALHOST", "localhost"),
        ("localhost.", "localhost"),
        ("a.localhost", "a.localhost"),
        ("printer.local", "printer.local"),
        ("metadata.google.internal", "metadata.google.internal"),
        ("metadata", "metadata"),
        ("instance-data", "instance-data"),
        ("lo\u{ad}calhost", "localhost"),
        ("ｌｏｃａｌｈｏｓｔ", "localhost"),
        ("%6cocalhost", "localhost"),
    ] {
        let sentence = format!(
            "the name `{name}` is one for local networks, which this server does not allow; an administrator can allow \
             it with `egress_allow = \"{name}:8080\"`"
        );
        assert_eq!(
            failure(&[], format!("http://{host}:8080/")).await,
            sentence,
            "{host}"
        );
    }
}

#[tokio::test]
async fn every_spelling_of_loopback_is_the_address() {
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f000001",
        "0x7f.1",
        "2130706433",
        "017700000001",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "１２７.0.0.1",
        "127.0.0.1.",
        "good@127.0.0.1#",
    ] {
        let expected = match host.contains('@') {
            true => "the URL has a user name or a password in it; send the header `Authorization` instead".to_owned(),
            false => special("127.0.0.1", "in a loopback range", "127.0.0.1:80"),
        };
        assert_eq!(
            failure(&[], format!("http://{host}/")).await,
            expected,
            "{host}"
        );
    }
}

#[tokio::test]
async fn addresses_that_are_not_public_are_refused_with_the_line_that_allows_them() {
    for (host, class) in [
        ("0.0.0.0", "in a special range"),
        ("10.0.0.1", "in a private range"),
        ("172.16.0.1", "in a private range"),
        ("172.31.255.255", "in a private range"),
        ("192.168.1.1", "in a private range"),
        ("100.64.0.1", "in a special range"),
        ("224.0.0.1", "in a multicast range"),
        ("255.255.255.255", "in a special range"),
        ("168.63.129.16", "the metadata service of a cloud"),
        ("100.100.100.200", "the metadata service of a cloud"),
        ("192.0.0.192", "the metadata service of a cloud"),
    ] {
        let expected = special(host, class, &format!("{host}:443"));
        assert_eq!(failure(&[], format!("https://{host}/")).await, expected);
    }
    for (host, class) in [
        ("::", "in a special range"),
        ("::1", "in a loopback range"),
        ("fc00::1", "in a private range"),
        ("fec0::1", "in a private range"),
        ("2001:db8::1", "in a special range"),
        ("64:ff9b:1::808:808", "in a special range"),
        ("fd00:ec2::254", "the metadata service of a cloud"),
    ] {
        let expected = special(host, class, &format!("[{host}]:81"));
        assert_eq!(failure(&[], format!("http://[{host}]:81/")).await, expected);
    }
    let expected = special("0.0.0.0", "in a special range", "0.0.0.0:80");
    assert_eq!(failure(&[], "http://0/").await, expected);
}

#[tokio::test]
async fn what_an_address_stands_for_is_named() {
    for (host, inner, class) in [
        ("::ffff:127.0.0.1", "127.0.0.1", "in a loopback range"),
        ("::10.0.0.5", "10.0.0.5", "in a private range"),
        ("64:ff9b::7f00:1", "127.0.0.1", "in a loopback range"),
        ("2002:7f00:1::", "127.0.0.1", "in a loopback range"),
        (
            "2001:0:808:808::80ff:fffe",
            "127.0.0.1",
            "in a loopback range",
        ),
        ("2001:0:a00:1::f7f7:f7f7", "10.0.0.1", "in a private range"),
    ] {
        let address: std::net::IpAddr = host.parse().unwrap();
        let expected = special(
            &format!("{address} stands for {inner}, which"),
            class,
            &format!("{inner}:80"),
        );
        assert_eq!(failure(&[], format!("http://[{host}]/")).await, expected);
    }
}

#[tokio::test]
async fn link_local_addresses_are_refused_whatever_is_allowed() {
    let open = "0.0.0.0/0, ::/0, 169.254.169.254, [fe80::1]:80";
    for (host, address) in [
        ("169.254.169.254", "169.254.169.254"),
        ("[fe80::1]", "fe80::1"),
        (
            "[::ffff:169.254.169.254]",
            "::ffff:169.254.169.254 stands for 169.254.169.254, which",
        ),
    ] {
        let expected = format!(
            "the address {address} is in a link-local range, which this server never allows"
        );
        assert_eq!(under(open, &format!("http://{host}/")).await, expected);
    }
}

#[tokio::test]
async fn a_url_is_judged_by_what_the_parser_makes_of_it() {
    let loopback = special("127.0.0.1", "in a loopback range", "127.0.0.1:80");
    for url in [
        "http://127.0.0.1#@good/",
        "http:127.0.0.1/",
        "http:///127.0.0.1/",
        "http:\\\\127.0.0.1\\",
        " http://127.0.0.1/\n",
        "ht\ntp://127.0.0.1",
        "http://127.0.0.1:080/",
        "http://127.0.0.1?@good/",
    ] {
        assert_eq!(failure(&[], url).await, loopback, "{url:?}");
    }
    // The backslash ends the host.
    let name = "the name `good.localhost` is one for local networks, which this server does not allow; an administrator \
                can allow it with `egress_allow = \"good.localhost:80\"`";
    assert_eq!(
        failure(&[], "http://good.localhost\\@127.0.0.1/").await,
        name
    );
}

#[tokio::test]
async fn a_url_that_is_none_is_told_so() {
    for (url, why) in [
        ("http://1.2.3.4.5/", "invalid IPv4 address"),
        ("http://256.1/", "invalid IPv4 address"),
        ("http://a%00b/", "invalid international domain name"),
        ("http://[fe80::1%25eth0]/", "invalid IPv6 address"),
        ("http://a:65536/", "invalid port number"),
        ("", "relative URL without a base"),
        ("//x", "relative URL without a base"),
        ("/x", "relative URL without a base"),
        ("http://", "empty host"),
    ] {
        assert_eq!(
            failure(&[], url).await,
            format!("the URL is not valid: {why}"),
            "{url}"
        );
    }
    let long = "a".repeat(10_000);
    let sentence = format!(
        "`{}` is no host: a name has 1 to 253 characters",
        "a".repeat(253)
    );
    assert_eq!(failure(&[], format!("http://{long}/")).await, sentence);
    for host in ["..", "a..", "a..b", ".a"] {
        let sentence = format!("`{host}` is no host: a part of a name has 1 to 63 characters");
        assert_eq!(failure(&[], format!("http://{host}/")).await, sentence);
    }
    for port in [0, 25] {
        let sentence = format!("connections to port {port} are not allowed");
        assert_eq!(
            failure(&[], format!("http://example.com:{port}/")).await,
            sentence
        );
    }
}

#[tokio::test]
async fn only_http_is_fetched() {
    for (url, scheme) in [
        ("file:///etc/passwd", "file"),
        ("ftp://example.com/", "ftp"),
        ("gopher://example.com/", "gopher"),
        ("dict://example.com/", "dict"),
        ("data:text/plain,a", "data"),
        ("jar:http://example.com/", "jar"),
        ("unix:/run/a.sock", "unix"),
        ("javascript:alert(1)", "javascript"),
        ("ws://example.com/", "ws"),
    ] {
        let sentence = format!("only URLs of `http` and `https` can be fetched, not of `{scheme}`");
        assert_eq!(failure(&[], url).await, sentence);
    }
    for url in [
        "http://a@example.com/",
        "http://a:b@example.com/",
        "https://:b@example.com/",
    ] {
        let sentence =
            "the URL has a user name or a password in it; send the header `Authorization` instead";
        assert_eq!(failure(&[], url).await, sentence);
    }
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_told_so() {
    let sentence =
        "the name `nothing.invalid` does not resolve: failed to lookup address information: ";
    let failed = failure(&[], "http://nothing.invalid/").await;
    assert!(failed.starts_with(sentence), "{failed}");
}

#[tokio::test]
async fn headers_and_methods_that_would_lie_are_refused() {
    let with = |method: &str, name: &str, value: &str| Request {
        method: method.to_owned(),
        headers: vec![(name.to_owned(), value.to_owned())],
        ..get("http://example.com/")
    };
    let fails = async |request| {
        client("")
            .fetch(request, Limits::default())
            .await
            .unwrap_err()
            .to_string()
    };
    for name in [
        "Host",
        "content-length",
        "Transfer-Encoding",
        "Connection",
        "TE",
        "Trailer",
        "Upgrade",
        "Expect",
        "Keep-Alive",
        "Proxy-Authorization",
        "proxy-anything",
    ] {
        let sentence =
            format!("the header `{name}` cannot be set; it follows from the URL and the body");
        assert_eq!(fails(with("GET", name, "5")).await, sentence);
    }
    for (name, value) in [
        ("a", "b\r\nc: d"),
        ("a", "b\0"),
        ("a", "b\nc"),
        ("a b", "c"),
        ("a\r\nb", "c"),
        ("", "c"),
        ("a:", "b"),
    ] {
        let name_shown = name.escape_debug();
        let sentence = format!(
            "the header `{name_shown}` cannot be sent: its name or its value has a character that no header has"
        );
        assert_eq!(fails(with("GET", name, value)).await, sentence);
    }
    for method in ["CONNECT", "trace", "", "G T", "GET\r\n"] {
        let sentence = format!("`{method}` is no method that can be sent");
        assert_eq!(fails(with(method, "a", "b")).await, sentence);
    }
}
