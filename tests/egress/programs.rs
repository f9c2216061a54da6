//! The proxy, with the programs that code uses.

use std::process::Output;

use tokio::process::Command;

use crate::proxied::TestProxy;
use crate::world::{Server, answer};

async fn run(command: &mut Command) -> Output {
    command.kill_on_drop(true).output().await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// `curl` with nothing set but the proxy, as code sees it.
fn curl(proxy: &TestProxy) -> Command {
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--max-time", "20"])
        .env_clear();
    command
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("http_proxy", proxy.grant.url(proxy.address));
    command
}

#[tokio::test]
async fn curl_goes_through_plainly_and_by_tunnel() {
    let server =
        Server::new(|request| answer("200 OK", &[], request.lines().next().unwrap())).await;
    let proxy = TestProxy::new(&[server.address]).await;
    let output = run(curl(&proxy).arg(server.url("/plain"))).await;
    assert_eq!(
        (text(&output.stdout), text(&output.stderr)),
        ("GET /plain HTTP/1.1".to_owned(), String::new())
    );
    let tunnelled = server.url("/tunnel");
    let output = run(curl(&proxy).args(["--proxytunnel", "--data", "a=b", &tunnelled])).await;
    assert_eq!(
        (text(&output.stdout), text(&output.stderr)),
        ("POST /tunnel HTTP/1.1".to_owned(), String::new())
    );
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(
        !requests.concat().to_lowercase().contains("proxy"),
        "{requests:?}"
    );
    assert!(!requests.concat().contains(proxy.grant.token()));
    let reached = &proxy.grant.reached()[0];
    assert_eq!(
        (&*reached.host, reached.connections),
        (&*server.address.to_string(), 2)
    );
}

#[tokio::test]
async fn curl_sends_and_gets_large_bodies() {
    let server =
        Server::new(|request| answer("200 OK", &[], request.rsplit("\r\n").next().unwrap())).await;
    let proxy = TestProxy::new(&[server.address]).await;
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("body");
    let body = "0123456789".repeat(300_000);
    std::fs::write(&file, &body).unwrap();
    let from = format!("@{}", file.display());
    let output = run(curl(&proxy).args(["--data-binary", &from, &server.url("/")])).await;
    assert!(text(&output.stdout) == body, "{}", text(&output.stderr));
    let reached = &proxy.grant.reached()[0];
    assert!(
        reached.up > 3_000_000 && reached.down > 3_000_000,
        "{reached}"
    );
}

#[tokio::test]
async fn curl_is_told_why_it_does_not_go_through() {
    let proxy = TestProxy::new(&[]).await;
    let output =
        run(curl(&proxy).args(["--write-out", " %{http_code}", "http://10.0.0.5:5432/"])).await;
    let sentence = "the address 10.0.0.5 is in a private range, which this server does not allow; an administrator can \
                    allow it with `egress_allow = \"10.0.0.5:5432\"`";
    assert_eq!(text(&output.stdout), format!("{sentence} 403"));
    let output = run(curl(&proxy).args(["--proxytunnel", "http://10.0.0.5:5432/"])).await;
    let stderr = "curl: (56) CONNECT tunnel failed, response 403\n";
    assert_eq!(
        (output.status.code(), text(&output.stderr)),
        (Some(56), stderr.to_owned())
    );
    // The client does not show the answer; the run is told all the same.
    assert_eq!(proxy.told(), [sentence, sentence]);
}

const PYTHON: &str = "
import sys, urllib.request, urllib.error
try:
    with urllib.request.urlopen(sys.argv[1], timeout=20) as answer:
        print(answer.status, answer.read().decode())
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
";

#[tokio::test]
async fn urllib_of_python_goes_through() {
    let server =
        Server::new(|request| answer("200 OK", &[], request.lines().next().unwrap())).await;
    let proxy = TestProxy::new(&[server.address]).await;
    let python = async |url: &str| {
        let mut command = Command::new("python3");
        command
            .args(["-I", "-c", PYTHON, url])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap());
        let output = run(command.env("http_proxy", proxy.grant.url(proxy.address))).await;
        assert_eq!(text(&output.stderr), "");
        text(&output.stdout)
    };
    assert_eq!(python(&server.url("/a")).await, "200 GET /a HTTP/1.1\n");
    let sentence = "the address 127.0.0.2 is in a loopback range, which this server does not allow; an administrator can \
                    allow it with `egress_allow = \"127.0.0.2:80\"`";
    assert_eq!(
        python("http://127.0.0.2/").await,
        format!("403 {sentence}\n")
    );
}
