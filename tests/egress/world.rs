//! Servers on loopback that answer what a test says, and the rules that open them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use waystation::egress::fetch::{Client, FetchError, Limits, Request, Response};
use waystation::egress::{Egress, Scope};

/// An HTTP server that answers with bytes.
pub struct Server {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<usize>>,
    task: AbortHandle,
}

impl Server {
    /// Answers every request with what comes of its head and body, and closes the connection where that is nothing.
    pub async fn new(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, connections) = (Arc::new(Mutex::default()), Arc::new(Mutex::new(0)));
        let (seen, count, answer) = (requests.clone(), connections.clone(), Arc::new(answer));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                *count.lock().unwrap() += 1;
                tokio::spawn(converse(stream, seen.clone(), answer.clone()));
            }
        });
        Server {
            address,
            requests,
            connections,
            task: task.abort_handle(),
        }
    }

    /// Always answers the same.
    pub async fn fixed(answer: impl Into<Vec<u8>>) -> Server {
        let answer = answer.into();
        Server::new(move |_| answer.clone()).await
    }

    /// The URL of a path on it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it was asked so far, heads and bodies.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// How many connections it was sent.
    pub fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn converse(
    stream: TcpStream,
    seen: Arc<Mutex<Vec<String>>>,
    answer: Arc<impl Fn(&str) -> Vec<u8>>,
) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = request(&mut stream).await {
        seen.lock().unwrap().push(request.clone());
        let answer = answer(&request);
        let closing = answer.is_empty() || !contains(&answer, b"content-length");
        if stream.write_all(&answer).await.is_err() || closing {
            return;
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Reads a request: its head, and a body of the length that it says or in chunks.
pub async fn request(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut text = String::new();
    while !text.ends_with("\r\n\r\n") {
        if stream.read_line(&mut text).await.ok()? == 0 {
            return None;
        }
    }
    let head = text.to_ascii_lowercase();
    if head.contains("transfer-encoding: chunked") {
        while !text.ends_with("\r\n0\r\n\r\n") {
            stream.read_line(&mut text).await.ok()?;
        }
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    Some(text + &String::from_utf8(body).unwrap())
}

/// An answer with a status line, headers and a body of known length.
pub fn answer(status: &str, headers: &[&str], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut text = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
    for header in headers {
        text += &format!("{header}\r\n");
    }
    let mut bytes = (text + "\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A redirect.
pub fn to(status: u16, location: &str) -> Vec<u8> {
    answer(
        &format!("{status} Elsewhere"),
        &[&format!("location: {location}")],
        "",
    )
}

/// A door with rules, as in the setting.
pub fn door(rules: &str) -> Arc<Egress> {
    Arc::new(Egress::new(rules.parse().unwrap()))
}

/// A client under rules.
pub fn client(rules: &str) -> Client {
    Client::new(door(rules), Scope::Public)
}

/// A request without anything but its URL.
pub fn get(url: impl Into<String>) -> Request {
    Request {
        method: "GET".to_owned(),
        url: url.into(),
        ..Request::default()
    }
}

/// Fetches from servers, which are allowed, and nothing else.
pub async fn fetch(servers: &[&Server], request: Request) -> Result<Response, FetchError> {
    fetch_within(servers, request, Limits::default()).await
}

/// As [`fetch`], under other limits.
pub async fn fetch_within(
    servers: &[&Server],
    request: Request,
    limits: Limits,
) -> Result<Response, FetchError> {
    let rules: Vec<String> = servers
        .iter()
        .map(|server| server.address.to_string())
        .collect();
    client(&rules.join(",")).fetch(request, limits).await
}

/// What fetching a URL from servers fails with.
pub async fn failure(servers: &[&Server], url: impl Into<String>) -> String {
    fetch(servers, get(url)).await.unwrap_err().to_string()
}

impl Server {
    /// Where a server is that knows no TLS after 1.0.
    pub async fn address_of_old_tls() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 5];
            stream.read_exact(&mut head).await.unwrap();
            let mut hello = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
            stream.read_exact(&mut hello).await.unwrap();
            // A hello of version 3.1, with a random number, no session, a cipher and no compression.
            let body = [&[3, 1][..], &[7; 32], &[0, 0, 0x2f, 0]].concat();
            let hello = [
                &[
                    0x16,
                    3,
                    1,
                    0,
                    body.len() as u8 + 4,
                    2,
                    0,
                    0,
                    body.len() as u8,
                ][..],
                &body,
            ]
            .concat();
            stream.write_all(&hello).await.unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
        });
        address
    }
}
