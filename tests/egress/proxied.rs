//! A proxy to test, and a client of it that speaks bytes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use waystation::egress::proxy::{Allowance, Grant, Limits, Proxy, Reached, Tokens};
use waystation::egress::{Egress, Scope};

use crate::world::door;

/// A proxy that serves, and a grant to use it.
pub struct TestProxy {
    pub address: SocketAddr,
    pub grant: Grant,
    pub tokens: Arc<Tokens>,
    pub proxy: Arc<Proxy>,
    told: Arc<Mutex<Vec<String>>>,
}

impl TestProxy {
    /// Lets those with the grant reach servers.
    pub async fn new(servers: &[SocketAddr]) -> TestProxy {
        TestProxy::with(servers, Allowance::default(), Limits::default()).await
    }

    pub async fn with(servers: &[SocketAddr], allowance: Allowance, limits: Limits) -> TestProxy {
        let rules: Vec<String> = servers.iter().map(ToString::to_string).collect();
        TestProxy::on(door(&rules.join(",")), Scope::Public, allowance, limits).await
    }

    pub async fn on(
        egress: Arc<Egress>,
        scope: Scope,
        allowance: Allowance,
        limits: Limits,
    ) -> TestProxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        egress.own(address);
        let tokens = Arc::new(Tokens::default());
        let proxy = Arc::new(Proxy::new(egress, tokens.clone(), limits));
        tokio::spawn(proxy.clone().serve(listener));
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let lines = told.clone();
        let watch = Box::new(move |line: &str| lines.lock().unwrap().push(line.to_owned()));
        let grant = tokens.grant(scope, allowance, watch).unwrap();
        TestProxy {
            address,
            grant,
            tokens,
            proxy,
            told,
        }
    }

    /// What the holder of the grant was told.
    pub fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }

    pub async fn connect(&self) -> Client {
        Client(BufReader::new(
            TcpStream::connect(self.address).await.unwrap(),
        ))
    }

    /// The header that shows the token.
    pub fn shown(&self) -> String {
        let code = STANDARD.encode(format!("run:{}", self.grant.token()));
        format!("Proxy-Authorization: Basic {code}\r\n")
    }

    /// A request to the proxy with the token, and nothing else.
    pub fn asking(&self, line: &str) -> String {
        format!("{line} HTTP/1.1\r\nHost: other\r\n{}\r\n", self.shown())
    }

    /// What a request on a connection of its own is answered: the status line and the body.
    pub async fn ask(&self, line: &str) -> (String, String) {
        let mut client = self.connect().await;
        client.send(&self.asking(line)).await;
        let answer = client.answer().await;
        (answer.status, answer.body)
    }

    /// A tunnel to a server.
    pub async fn tunnel(&self, to: impl ToString) -> Client {
        let mut client = self.connect().await;
        client
            .send(&self.asking(&format!("CONNECT {}", to.to_string())))
            .await;
        assert_eq!(client.head().await[0], "HTTP/1.1 200 OK");
        client
    }
}

/// A client that speaks bytes.
pub struct Client(pub BufReader<TcpStream>);

pub struct Answer {
    pub status: String,
    pub headers: Vec<String>,
    pub body: String,
}

/// Longer than anything here takes, unless it hangs.
pub const LONG: Duration = Duration::from_secs(20);

impl Client {
    pub async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// A line, without its end; nothing at the end of all.
    pub async fn line(&mut self) -> String {
        let mut line = String::new();
        // A connection that is reset has ended as well.
        let _ = timeout(LONG, self.0.read_line(&mut line)).await.unwrap();
        line.trim_end().to_owned()
    }

    /// The lines of a head, without the date.
    pub async fn head(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.line().await {
                line if line.is_empty() => return lines,
                line if line.starts_with("date: ") => {}
                line => lines.push(line),
            }
        }
    }

    pub async fn answer(&mut self) -> Answer {
        let mut headers = self.head().await;
        let status = headers.remove(0);
        let length = headers
            .iter()
            .find_map(|line| line.strip_prefix("content-length: "));
        let body = self
            .bytes(length.map_or(0, |length| length.parse().unwrap()))
            .await;
        Answer {
            status,
            headers,
            body,
        }
    }

    pub async fn bytes(&mut self, length: usize) -> String {
        let mut bytes = vec![0; length];
        timeout(LONG, self.0.read_exact(&mut bytes))
            .await
            .unwrap()
            .unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// What is left until the other side closes.
    pub async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        let _ = timeout(LONG, self.0.read_to_end(&mut bytes)).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }
}

/// A server that sends back what it gets.
pub async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    address
}

pub fn reached(host: impl ToString, connections: usize, down: u64, up: u64) -> Reached {
    Reached {
        host: host.to_string(),
        connections,
        down,
        up,
    }
}
