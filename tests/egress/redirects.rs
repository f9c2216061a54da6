//! Redirects: each hop is judged, and what was meant for one origin stays there.

use waystation::egress::fetch::{FetchError, Redirect, Request};

use crate::world::{Server, answer, failure, fetch, get, to};

/// A request with everything that an author can set.
fn full(method: &str, url: String, body: &str) -> Request {
    let headers = [
        ("X-API-Key", "secret"),
        ("Authorization", "secret"),
        ("Cookie", "secret"),
        ("Content-Type", "text/plain"),
        ("Accept", "text/html"),
        ("User-Agent", "me"),
        ("Accept-Language", "fr"),
    ];
    Request {
        method: method.to_owned(),
        url,
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        body: body.as_bytes().to_vec(),
        redirect: Redirect::Follow,
    }
}

/// What a server received, its host aside.
fn received(server: &Server) -> Vec<String> {
    let host = format!("host: {}\r\n", server.address);
    let requests = server.requests().into_iter();
    requests.map(|request| request.replace(&host, "")).collect()
}

#[tokio::test]
async fn a_redirect_is_judged_from_the_start() {
    let private = Server::fixed(answer("200 OK", &[], "secret")).await;
    let target = private.address;
    for (location, sentence) in [
        (
            private.url("/"),
            format!(
                "the address 127.0.0.1 is in a loopback range, which this server does not allow; an administrator can \
                 allow it with `egress_allow = \"{target}\"`"
            ),
        ),
        (
            "file:///etc/passwd".to_owned(),
            "only URLs of `http` and `https` can be fetched, not of `file`".to_owned(),
        ),
        (
            "gopher://a/".to_owned(),
            "only URLs of `http` and `https` can be fetched, not of `gopher`".to_owned(),
        ),
        (
            format!("http://a:b@{target}/"),
            "the URL has a user name or a password in it; send the header `Authorization` instead"
                .to_owned(),
        ),
        (
            "http://[::1".to_owned(),
            "the URL is not valid: invalid IPv6 address".to_owned(),
        ),
        (
            "http://169.254.169.254/latest/".to_owned(),
            "the address 169.254.169.254 is in a link-local range, which this server never allows"
                .to_owned(),
        ),
    ] {
        let open = Server::fixed(to(302, &location)).await;
        assert_eq!(failure(&[&open], open.url("/")).await, sentence);
    }
    assert_eq!(private.connections(), 0);
}

#[tokio::test]
async fn five_redirects_are_followed_and_no_sixth() {
    let server = Server::new(|request| {
        let left: u32 = request[5..6].parse().unwrap();
        match left {
            0 => answer("200 OK", &[], "there"),
            left => to(302, &(left - 1).to_string()),
        }
    })
    .await;
    let response = fetch(&[&server], get(server.url("/5#part"))).await.unwrap();
    assert_eq!(
        (response.body.as_slice(), response.redirected),
        (&b"there"[..], true)
    );
    assert_eq!(response.url, server.url("/0"));
    assert_eq!(
        failure(&[&server], server.url("/6")).await,
        "too many redirects: more than 5"
    );
    // All of it over one connection.
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_redirect_is_an_answer_or_an_error_where_that_is_wanted() {
    let server = Server::fixed(to(307, "/next")).await;
    let with = |redirect| Request {
        redirect,
        ..get(server.url("/"))
    };
    let response = fetch(&[&server], with(Redirect::Manual)).await.unwrap();
    assert_eq!((response.status, response.redirected), (307, false));
    let headers = [("content-length", "0"), ("location", "/next")];
    assert_eq!(
        response.headers,
        headers.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    let failed = fetch(&[&server], with(Redirect::Error)).await;
    assert_eq!(failed, Err(FetchError::Redirected));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_status_of_redirects_without_a_place_is_an_answer() {
    for head in ["301 Moved", "304 Not Modified", "300 Many"] {
        let server = Server::fixed(answer(head, &[], "")).await;
        let response = fetch(&[&server], get(server.url("/"))).await.unwrap();
        assert_eq!(response.status.to_string(), head[..3]);
    }
}

#[tokio::test]
async fn what_the_author_set_does_not_go_to_another_origin() {
    let other = Server::fixed(answer("200 OK", &[], "")).await;
    let url = other.url("/there");
    let first = Server::new(move |request| match request.starts_with("GET /same") {
        true => to(302, &url),
        false => to(302, "/same"),
    })
    .await;
    fetch(&[&first, &other], full("GET", first.url("/"), ""))
        .await
        .unwrap();
    let all = "x-api-key: secret\r\nauthorization: secret\r\ncookie: secret\r\ncontent-type: text/plain\r\n\
               accept: text/html\r\nuser-agent: me\r\naccept-language: fr\r\naccept-encoding: gzip, deflate, br\r\n\r\n";
    assert_eq!(
        received(&first),
        ["/", "/same"].map(|path| format!("GET {path} HTTP/1.1\r\n{all}"))
    );
    let some = "content-type: text/plain\r\naccept: text/html\r\nuser-agent: me\r\naccept-encoding: gzip, deflate, br";
    assert_eq!(
        received(&other),
        [format!("GET /there HTTP/1.1\r\n{some}\r\n\r\n")]
    );
}

#[tokio::test]
async fn what_is_dropped_stays_dropped_on_the_way_back() {
    let first = Server::new(|_| answer("200 OK", &[], "")).await;
    let back = Server::fixed(to(302, &first.url("/back"))).await;
    let url = back.url("/");
    let start = Server::fixed(to(302, &url)).await;
    fetch(&[&first, &back, &start], full("GET", start.url("/"), ""))
        .await
        .unwrap();
    assert!(
        !first.requests()[0].contains("secret"),
        "{:?}",
        first.requests()
    );
}

#[tokio::test]
async fn methods_change_as_in_browsers() {
    for (status, method, after, body) in [
        (301, "POST", "GET", ""),
        (302, "POST", "GET", ""),
        (303, "POST", "GET", ""),
        (303, "PUT", "GET", ""),
        (303, "HEAD", "HEAD", ""),
        (301, "PUT", "PUT", "body"),
        (302, "HEAD", "HEAD", ""),
        (307, "POST", "POST", "body"),
        (308, "DELETE", "DELETE", "body"),
    ] {
        let server = Server::new(move |request| match request.contains(" /next ") {
            true => b"HTTP/1.1 204 Done\r\n\r\n".to_vec(),
            false => to(status, "/next"),
        })
        .await;
        let sent = if method == "HEAD" { "" } else { "body" };
        let response = fetch(
            &[&server],
            full(&method.to_lowercase(), server.url("/"), sent),
        )
        .await
        .unwrap();
        assert_eq!(response.status, 204);
        let next = server.requests().pop().unwrap();
        assert!(
            next.starts_with(&format!("{after} /next ")),
            "{status} {method}: {next}"
        );
        assert!(
            next.ends_with(&format!("\r\n\r\n{body}")),
            "{status} {method}: {next}"
        );
        // What describes the body goes with it.
        assert_eq!(
            next.contains("content-type"),
            after == method,
            "{status} {method}: {next}"
        );
    }
}

#[tokio::test]
async fn a_body_is_not_sent_to_another_origin() {
    let other = Server::fixed(answer("200 OK", &[], "")).await;
    for (status, method) in [(307, "POST"), (308, "POST"), (307, "PUT"), (302, "PUT")] {
        let first = Server::fixed(to(status, &other.url("/"))).await;
        let failed = fetch(&[&first, &other], full(method, first.url("/"), "body")).await;
        let origin = format!("http://{}", other.address);
        assert_eq!(failed, Err(FetchError::Body(origin.clone())));
        let sentence = format!("a redirect asks to send the body to another origin, `{origin}`");
        assert_eq!(failed.unwrap_err().to_string(), sentence);
    }
    assert_eq!(other.connections(), 0);
    // Without a body there is nothing to keep back.
    let first = Server::fixed(to(307, &other.url("/"))).await;
    fetch(&[&first, &other], full("POST", first.url("/"), ""))
        .await
        .unwrap();
    assert_eq!(other.requests().len(), 1);
}
