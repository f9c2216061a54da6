//! Who may use the proxy, for what, how much, and for how long.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};
use waystation::egress::Scope;
use waystation::egress::proxy::{Allowance, Grant, Limits, Tokens};

use crate::proxied::{Answer, Client, TestProxy, echo, reached};
use crate::world::{Server, answer, door};

#[test]
fn what_was_reached_is_written_for_a_log() {
    let text = reached("example.com:443", 3, 12_345, 200).to_string();
    assert_eq!(
        text,
        "example.com:443 (3 connections, 12,345 bytes down, 200 up)"
    );
    let text = reached("[fd00::5]:80", 1, 1_000_000, 0).to_string();
    assert_eq!(
        text,
        "[fd00::5]:80 (1 connection, 1,000,000 bytes down, 0 up)"
    );
}

fn basic(text: &str) -> String {
    format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(text))
}

/// Checks the answer to whoever has no good token.
fn check_unknown(answer: Answer, header: &str) {
    let status = "HTTP/1.1 407 Proxy Authentication Required";
    assert_eq!(answer.status, status, "{header}");
    let how = "proxy-authenticate: Basic realm=\"waystation\"";
    let text = "content-type: text/plain; charset=utf-8";
    assert_eq!(answer.headers[..2], [text, how]);
    let sentence = "this proxy takes the token of a run as its password";
    assert_eq!(answer.body, sentence);
}

#[tokio::test]
async fn nobody_gets_through_without_a_good_token() {
    let server = Server::fixed(answer("200 OK", &[], "")).await;
    let proxy = TestProxy::new(&[server.address]).await;
    let token = proxy.grant.token().to_owned();
    for header in [
        String::new(),
        basic("run:"),
        basic(":"),
        basic("run:wrong"),
        basic(&token),
        basic(&format!("other:{token}")),
        basic(&format!("{token}:{token}")),
        basic(&format!(":{token}")),
        basic(&format!("run:{} ", token)),
        basic(&format!("run:{}", token.to_lowercase() + "a")),
        format!("Proxy-Authorization: Bearer {token}\r\n"),
        format!("Proxy-Authorization: Basic {token}\r\n"),
        "Proxy-Authorization: Basic\r\n".to_owned(),
        format!(
            "Authorization: Basic {}\r\n",
            STANDARD.encode(format!("run:{token}"))
        ),
    ] {
        for line in [
            format!("CONNECT {}", server.address),
            format!("GET http://{}/", server.address),
        ] {
            let mut client = proxy.connect().await;
            client
                .send(&format!("{line} HTTP/1.1\r\nHost: x\r\n{header}\r\n"))
                .await;
            check_unknown(client.answer().await, &header);
        }
    }
    assert_eq!(
        (server.connections(), proxy.grant.total()),
        (0, reached("all", 0, 0, 0))
    );
}

#[tokio::test]
async fn a_token_is_a_user_or_the_password_of_run() {
    let server = Server::fixed(answer("200 OK", &[], "")).await;
    let proxy = TestProxy::new(&[server.address]).await;
    let token = proxy.grant.token().to_owned();
    for header in [
        basic(&format!("{token}:")),
        basic(&format!("run:{token}")).replace("Basic", "bAsIc"),
    ] {
        let mut client = proxy.connect().await;
        client
            .send(&format!(
                "GET http://{}/ HTTP/1.1\r\nHost: x\r\n{header}\r\n",
                server.address
            ))
            .await;
        assert_eq!(client.answer().await.status, "HTTP/1.1 200 OK");
    }
}

#[tokio::test]
async fn tokens_are_long_and_never_the_same() {
    let tokens = Arc::new(Tokens::default());
    let grants: Vec<Grant> = (0..100)
        .map(|_| {
            tokens
                .grant(Scope::Public, Allowance::default(), Box::new(|_| {}))
                .unwrap()
        })
        .collect();
    let mut texts: Vec<&str> = grants.iter().map(Grant::token).collect();
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    assert!(
        texts
            .iter()
            .all(|token| token.len() == 32 && token.bytes().all(fine))
    );
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), 100);
    let url = grants[0].url("127.0.0.1:3128".parse().unwrap());
    assert_eq!(
        url,
        format!("http://run:{}@127.0.0.1:3128", grants[0].token())
    );
}

#[tokio::test]
async fn dropping_the_grant_closes_everything_made_with_it() {
    let echo = echo().await;
    let slow = Server::fixed("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await;
    let proxy = TestProxy::new(&[echo, slow.address]).await;
    let other = proxy
        .tokens
        .grant(Scope::Public, Allowance::default(), Box::new(|_| {}))
        .unwrap();
    let TestProxy {
        address, ref grant, ..
    } = proxy;
    let shown = |grant: &Grant| STANDARD.encode(format!("{}:", grant.token()));
    let connect = |code: &str| {
        format!("CONNECT {echo} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic {code}\r\n\r\n")
    };
    let (mine, others) = (shown(grant), shown(&other));

    let mut tunnel = proxy.tunnel(echo).await;
    let mut answering = proxy.connect().await;
    answering
        .send(&proxy.asking(&format!("GET http://{}/", slow.address)))
        .await;
    assert_eq!(answering.head().await[0], "HTTP/1.1 200 OK");
    assert_eq!(answering.bytes(3).await, "abc");
    let mut idle = proxy.connect().await;
    idle.send(&proxy.asking("GET http://[::1]/")).await;
    assert_eq!(idle.answer().await.status, "HTTP/1.1 403 Forbidden");
    let mut kept = proxy.connect().await;
    kept.send(&connect(&others)).await;
    assert_eq!(kept.head().await[0], "HTTP/1.1 200 OK");

    drop(proxy);
    for client in [&mut tunnel, &mut answering, &mut idle] {
        assert_eq!(client.rest().await, "");
    }
    // Another grant is not touched, and the token is worth nothing any more.
    kept.send("still here").await;
    assert_eq!(kept.bytes(10).await, "still here");
    let mut late = Client(BufReader::new(TcpStream::connect(address).await.unwrap()));
    late.send(&connect(&mine)).await;
    assert_eq!(
        late.head().await[0],
        "HTTP/1.1 407 Proxy Authentication Required"
    );
}

#[tokio::test]
async fn a_connection_has_one_bearer() {
    let proxy = TestProxy::new(&[]).await;
    let other = proxy
        .tokens
        .grant(Scope::Public, Allowance::default(), Box::new(|_| {}))
        .unwrap();
    let mut client = proxy.connect().await;
    client.send(&proxy.asking("GET http://[::1]/")).await;
    assert_eq!(client.answer().await.status, "HTTP/1.1 403 Forbidden");
    let code = STANDARD.encode(format!("{}:", other.token()));
    client
        .send(&format!(
            "GET http://[::1]/ HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic {code}\r\n\r\n"
        ))
        .await;
    assert_eq!(
        client.answer().await.status,
        "HTTP/1.1 407 Proxy Authentication Required"
    );
}

#[tokio::test]
async fn a_grant_makes_so_many_connections() {
    let echo = echo().await;
    let allowance = Allowance {
        connections: 2,
        ..Allowance::default()
    };
    let proxy = TestProxy::with(&[echo], allowance, Limits::default()).await;
    let _first = proxy.tunnel(echo).await;
    assert_eq!(
        proxy.ask("CONNECT 10.0.0.1:1").await.0,
        "HTTP/1.1 403 Forbidden"
    );
    let sentence = "the proxy makes no more than 2 connections for a run".to_owned();
    for _ in 0..2 {
        let answer = (
            "HTTP/1.1 503 Service Unavailable".to_owned(),
            sentence.clone(),
        );
        assert_eq!(proxy.ask(&format!("CONNECT {echo}")).await, answer);
    }
    // Said once to the run.
    assert_eq!(proxy.told()[1..], [sentence]);
    assert_eq!(proxy.grant.total().connections, 2);
}

#[tokio::test]
async fn a_grant_moves_so_many_bytes() {
    let echo = echo().await;
    let allowance = Allowance {
        bytes: 1000,
        ..Allowance::default()
    };
    let proxy = TestProxy::with(&[echo], allowance, Limits::default()).await;
    let mut client = proxy.tunnel(echo).await;
    client.send(&"a".repeat(500)).await;
    assert_eq!(client.bytes(500).await.len(), 500);
    client.send("b").await;
    assert_eq!(client.rest().await, "");
    let sentence = "the proxy moves no more than 1,000 bytes for a run".to_owned();
    let answer = (
        "HTTP/1.1 503 Service Unavailable".to_owned(),
        sentence.clone(),
    );
    assert_eq!(proxy.ask(&format!("CONNECT {echo}")).await, answer);
    assert_eq!(proxy.told(), [sentence]);
}

#[tokio::test]
async fn a_hundred_hosts_are_remembered() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let proxy = TestProxy::on(
        door("127.0.0.0/8"),
        Scope::Public,
        Allowance::default(),
        Limits::default(),
    )
    .await;
    for host in 1..=101 {
        proxy.tunnel(format!("127.0.1.{host}:{port}")).await;
    }
    let hosts = proxy.grant.reached();
    assert_eq!(
        (hosts.len(), &*hosts[99].host),
        (100, &*format!("127.0.1.100:{port}"))
    );
    assert_eq!(proxy.grant.total().connections, 101);
}

#[tokio::test]
async fn a_grant_for_chosen_hosts_reaches_no_others() {
    let echo = echo().await;
    let scope = Scope::Hosts(vec![("localhost".to_owned(), echo.port())]);
    let proxy = TestProxy::on(
        door("0.0.0.0/0"),
        scope,
        Allowance::default(),
        Limits::default(),
    )
    .await;
    let mut client = proxy.tunnel(format!("localhost:{}", echo.port())).await;
    client.send("a").await;
    assert_eq!(client.bytes(1).await, "a");
    let (status, sentence) = proxy.ask(&format!("CONNECT {echo}")).await;
    let port = echo.port();
    let why = format!(
        "`{echo}` is not among the hosts that can be reached from here, which are `localhost:{port}`"
    );
    assert_eq!((&*status, sentence), ("HTTP/1.1 403 Forbidden", why));
}
