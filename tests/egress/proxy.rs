//! The proxy, byte by byte: tunnels and plain requests.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use waystation::egress::proxy::{Allowance, Limits};

use crate::proxied::{LONG, TestProxy, echo, reached};
use crate::world::{Server, answer};

#[tokio::test]
async fn a_tunnel_carries_bytes_both_ways_and_counts_them() {
    let echo = echo().await;
    let proxy = TestProxy::new(&[echo]).await;
    let mut client = proxy.tunnel(echo).await;
    client.send("hello, \0 there").await;
    assert_eq!(client.bytes(14).await, "hello, \0 there");
    client.0.get_mut().shutdown().await.unwrap();
    assert_eq!(client.rest().await, "");
    assert_eq!(proxy.grant.reached(), [reached(echo, 1, 14, 14)]);
    let mut again = proxy.tunnel(echo).await;
    again.send("x").await;
    assert_eq!(again.bytes(1).await, "x");
    assert_eq!(proxy.grant.reached(), [reached(echo, 2, 15, 15)]);
    assert_eq!(proxy.grant.total(), reached("all", 2, 15, 15));
    assert!(proxy.told().is_empty());
}

#[tokio::test]
async fn bytes_behind_the_head_of_connect_go_into_the_tunnel() {
    let echo = echo().await;
    let proxy = TestProxy::new(&[echo]).await;
    let mut client = proxy.connect().await;
    client
        .send(&(proxy.asking(&format!("CONNECT {echo}")) + "early"))
        .await;
    assert_eq!(client.head().await, ["HTTP/1.1 200 OK"]);
    assert_eq!(client.bytes(5).await, "early");
}

#[tokio::test]
async fn plain_requests_are_passed_on_without_what_is_the_proxys() {
    let headers = [
        "connection: keep-alive, x-hop",
        "x-hop: a",
        "keep-alive: 5",
        "proxy-x: a",
        "upgrade: h9",
        "x-kept: a",
    ];
    let server = Server::fixed(answer("200 Fine", &headers, "hello")).await;
    let proxy = TestProxy::new(&[server.address]).await;
    let mut client = proxy.connect().await;
    let shown = proxy.shown();
    client
        .send(&format!(
            "POST http://{}/a/../b?c HTTP/1.1\r\nHost: lies.example\r\n{shown}Proxy-Connection: keep-alive\r\n\
             Connection: X-Mine, close-not\r\nX-Mine: a\r\nTE: trailers\r\nKeep-Alive: 5\r\nUpgrade: h9\r\n\
             Expect: 100-continue\r\nAuthorization: Basic eDp5\r\nX-Kept: b\r\nContent-Length: 4\r\n\r\nbody",
            server.address
        ))
        .await;
    assert_eq!(client.head().await, ["HTTP/1.1 100 Continue"]);
    let answer = client.answer().await;
    assert_eq!(
        (&*answer.status, &*answer.body),
        ("HTTP/1.1 200 Fine", "hello")
    );
    assert_eq!(answer.headers, ["content-length: 5", "x-kept: a"]);
    let sent = format!(
        "POST /a/../b?c HTTP/1.1\r\nhost: {}\r\nauthorization: Basic eDp5\r\nx-kept: b\r\ncontent-length: 4\r\n\r\nbody",
        server.address
    );
    assert_eq!(server.requests(), [sent]);
}

#[tokio::test]
async fn a_connection_is_used_for_many_requests() {
    let server = Server::new(|request| answer("200 OK", &[], &request[..6])).await;
    let other = Server::fixed(answer("200 OK", &[], "other")).await;
    let proxy = TestProxy::new(&[server.address, other.address]).await;
    let mut client = proxy.connect().await;
    for number in 0..5 {
        client
            .send(&proxy.asking(&format!("GET http://{}/{number}", server.address)))
            .await;
        assert_eq!(client.answer().await.body, format!("GET /{number}"));
    }
    client
        .send(&proxy.asking(&format!("GET http://{}/", other.address)))
        .await;
    assert_eq!(client.answer().await.body, "other");
    client
        .send(&proxy.asking(&format!("GET http://{}/6", server.address)))
        .await;
    assert_eq!(client.answer().await.body, "GET /6");
    // The connection to the last server is kept, that to one before is not.
    assert_eq!((server.connections(), other.connections()), (2, 1));
    let connections: Vec<usize> = proxy
        .grant
        .reached()
        .iter()
        .map(|host| host.connections)
        .collect();
    assert_eq!(connections, [2, 1]);
}

#[tokio::test]
async fn a_server_that_closes_is_connected_to_again() {
    let server = Server::fixed("HTTP/1.0 200 OK\r\n\r\nhello").await;
    let proxy = TestProxy::new(&[server.address]).await;
    let mut client = proxy.connect().await;
    for _ in 0..2 {
        client
            .send(&proxy.asking(&format!("GET http://{}/", server.address)))
            .await;
        assert_eq!(
            client.head().await[..2],
            ["HTTP/1.1 200 OK", "transfer-encoding: chunked"]
        );
        assert_eq!(client.bytes(15).await, "5\r\nhello\r\n0\r\n\r\n");
    }
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn both_bodies_flow_before_they_are_whole() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (first, came) = oneshot::channel();
    tokio::spawn(async move {
        let mut stream = BufReader::new(listener.accept().await.unwrap().0);
        let mut text = String::new();
        while !text.ends_with("one\r\n") {
            stream.read_line(&mut text).await.unwrap();
        }
        first.send(()).unwrap();
        while !text.ends_with("0\r\n\r\n") {
            stream.read_line(&mut text).await.unwrap();
        }
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        // The rest never comes.
        std::future::pending::<()>().await;
    });
    let proxy = TestProxy::new(&[address]).await;
    let mut client = proxy.connect().await;
    let shown = proxy.shown();
    client
        .send(&format!(
            "POST http://{address}/ HTTP/1.1\r\nHost: x\r\n{shown}Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n"
        ))
        .await;
    timeout(LONG, came).await.unwrap().unwrap();
    client.send("3\r\ntwo\r\n0\r\n\r\n").await;
    assert_eq!(client.head().await[0], "HTTP/1.1 200 OK");
    assert_eq!(client.bytes(8).await, "3\r\none\r\n");
}

#[tokio::test]
async fn a_refused_target_is_told_to_the_client_and_the_run() {
    let server = Server::fixed(answer("200 OK", &[], "")).await;
    let proxy = TestProxy::new(&[]).await;
    let (address, own) = (server.address, proxy.address);
    let loopback = |rule: &str| {
        format!(
            "the address 127.0.0.1 is in a loopback range, which this server does not allow; an administrator can allow \
             it with `egress_allow = \"{rule}\"`"
        )
    };
    let mut told = Vec::new();
    for (line, sentence) in [
        (format!("CONNECT {address}"), loopback(&address.to_string())),
        (format!("GET http://{address}/"), loopback(&address.to_string())),
        ("CONNECT 0x7f.1:443".to_owned(), loopback("127.0.0.1:443")),
        ("GET http://2130706433/".to_owned(), loopback("127.0.0.1:80")),
        (
            "CONNECT [::ffff:169.254.169.254]:80".to_owned(),
            "the address ::ffff:169.254.169.254 stands for 169.254.169.254, which is in a link-local range, which this \
             server never allows"
                .to_owned(),
        ),
        (
            format!("CONNECT {own}"),
            format!("the address {own} is this server itself, which its programs do not reach"),
        ),
        (
            "CONNECT LOCALHOST:1".to_owned(),
            "the name `localhost` is one for local networks, which this server does not allow; an administrator can \
             allow it with `egress_allow = \"localhost:1\"`"
                .to_owned(),
        ),
    ] {
        let refused = ("HTTP/1.1 403 Forbidden".to_owned(), sentence.clone());
        assert_eq!(proxy.ask(&line).await, refused, "{line}");
        told.push(sentence);
    }
    assert_eq!(proxy.told(), told);
    assert_eq!((server.connections(), proxy.grant.reached()), (0, vec![]));
    assert_eq!(proxy.grant.total().connections, 7);
}

#[tokio::test]
async fn what_cannot_be_reached_is_another_answer() {
    let gone = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let broken = Server::fixed("nonsense").await;
    let proxy = TestProxy::new(&[gone, broken.address]).await;
    let sentence = format!("cannot connect to `{gone}`: Connection refused (os error 111)");
    let answer = ("HTTP/1.1 502 Bad Gateway".to_owned(), sentence.clone());
    assert_eq!(proxy.ask(&format!("CONNECT {gone}")).await, answer);
    let lost = format!(
        "`{}` gave no answer that can be passed on: invalid HTTP version parsed",
        broken.address
    );
    let answer = ("HTTP/1.1 502 Bad Gateway".to_owned(), lost.clone());
    assert_eq!(
        proxy.ask(&format!("GET http://{}/", broken.address)).await,
        answer
    );
    assert_eq!(proxy.told(), [sentence, lost]);
}

#[tokio::test]
async fn what_is_not_for_a_proxy_is_not_understood() {
    let proxy = TestProxy::new(&[]).await;
    let connect = "CONNECT takes a host and a port, such as `example.com:443`";
    let whole = "this is a proxy: ask for whole URLs, or CONNECT to a host and a port";
    for (line, sentence) in [
        ("CONNECT example.com", connect),
        ("CONNECT a@example.com:443", connect),
        ("GET /", whole),
        ("OPTIONS *", whole),
        (
            "GET https://example.com/",
            "only `http` URLs are passed on; CONNECT to others",
        ),
        (
            "GET ftp://example.com/",
            "only `http` URLs are passed on; CONNECT to others",
        ),
        (
            "GET http://a:b@example.com/",
            "a URL cannot have a user name or a password here",
        ),
    ] {
        let answer = ("HTTP/1.1 400 Bad Request".to_owned(), sentence.to_owned());
        assert_eq!(proxy.ask(line).await, answer, "{line}");
    }
    for (line, sentence) in [
        (
            "CONNECT example.com:25",
            "connections to port 25 are not allowed",
        ),
        (
            "GET http://example.com:0/",
            "connections to port 0 are not allowed",
        ),
        (
            "CONNECT 256.1:443",
            "`256.1` is no host: invalid IPv4 address",
        ),
    ] {
        let answer = ("HTTP/1.1 403 Forbidden".to_owned(), sentence.to_owned());
        assert_eq!(proxy.ask(line).await, answer, "{line}");
    }
    // Those that were understood are told of, and counted.
    assert_eq!(
        (proxy.told().len(), proxy.grant.total().connections),
        (3, 3)
    );
}

#[tokio::test]
async fn a_head_has_limits() {
    let proxy = TestProxy::new(&[]).await;
    let many = "X: a\r\n".repeat(64);
    let long = format!("X: {}\r\n", "a".repeat(200_000));
    for headers in [many, long] {
        let mut client = proxy.connect().await;
        let _ = client
            .0
            .write_all(format!("GET http://a/ HTTP/1.1\r\nHost: a\r\n{headers}\r\n").as_bytes())
            .await;
        assert_eq!(
            client.head().await[0],
            "HTTP/1.1 431 Request Header Fields Too Large"
        );
    }
}

#[tokio::test]
async fn what_is_silent_is_closed() {
    let short = Limits {
        idle: Duration::from_secs(1),
        ..Limits::default()
    };
    let echo = echo().await;
    let silent = Server::fixed("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await;
    let proxy = TestProxy::with(&[echo, silent.address], Allowance::default(), short).await;
    let began = Instant::now();
    let mut tunnel = proxy.tunnel(echo).await;
    // Each byte begins the time anew.
    for _ in 0..3 {
        assert!(
            timeout(Duration::from_millis(400), tunnel.0.read_u8())
                .await
                .is_err()
        );
        tunnel.send("a").await;
        assert_eq!(tunnel.bytes(1).await, "a");
    }
    assert_eq!(tunnel.rest().await, "");
    assert!(began.elapsed() >= Duration::from_millis(2200));
    let mut answering = proxy.connect().await;
    answering
        .send(&proxy.asking(&format!("GET http://{}/", silent.address)))
        .await;
    assert_eq!(answering.head().await[0], "HTTP/1.1 200 OK");
    assert_eq!(answering.rest().await, "abc");
    // So does waiting for the next request.
    let mut between = proxy.connect().await;
    between.send(&proxy.asking("GET http://[::1]/")).await;
    assert_eq!(between.answer().await.status, "HTTP/1.1 403 Forbidden");
    assert_eq!(between.rest().await, "");
}

#[tokio::test]
async fn neither_silence_nor_asking_without_a_token_keeps_a_connection() {
    let short = Limits {
        admission: Duration::from_secs(1),
        ..Limits::default()
    };
    let proxy = TestProxy::with(&[], Allowance::default(), short).await;
    let began = Instant::now();
    let mut client = proxy.connect().await;
    client
        .send("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    assert_eq!(
        client.answer().await.status,
        "HTTP/1.1 407 Proxy Authentication Required"
    );
    assert_eq!(client.rest().await, "");
    let mut client = proxy.connect().await;
    assert_eq!(client.rest().await, "");
    assert!(began.elapsed() < LONG);
}

#[tokio::test]
async fn any_stream_is_served() {
    let echo = echo().await;
    let proxy = TestProxy::new(&[echo]).await;
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let served = proxy.proxy.clone();
    let serving = tokio::spawn(async move { served.serve_stream(theirs).await });
    ours.write_all(proxy.asking(&format!("CONNECT {echo}")).as_bytes())
        .await
        .unwrap();
    let mut ours = BufReader::new(ours);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        ours.read_line(&mut head).await.unwrap();
    }
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    ours.write_all(b"hello").await.unwrap();
    let mut bytes = [0; 5];
    ours.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"hello");
    // It is served until it ends.
    assert!(!serving.is_finished());
    drop(ours);
    timeout(LONG, serving).await.unwrap().unwrap();
}
