//! What ours is measured against: rows inserted into SQLite as safely as ours, gathered while the last ones are committed, alone and
//! behind a handler that does nothing else.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::routing::post;
use axum::serve::ListenerExt;
use rusqlite::{Connection, params};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::load::Measured;

/// Inserts rows on a thread of its own.
#[derive(Clone)]
pub struct Plain(mpsc::Sender<(String, oneshot::Sender<()>)>);

impl Plain {
    pub fn open(path: &Path) -> Plain {
        let connection = Connection::open(path).expect("a database");
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                 CREATE TABLE IF NOT EXISTS runs (number INTEGER PRIMARY KEY, id BLOB NOT NULL, inputs TEXT NOT NULL)",
            )
            .expect("a table");
        let (send, mut waiting) = mpsc::channel::<(String, oneshot::Sender<()>)>(4_096);
        std::thread::spawn(move || {
            while let Some(first) = waiting.blocking_recv() {
                let mut told = Vec::new();
                connection
                    .execute_batch("BEGIN IMMEDIATE")
                    .expect("it begins");
                let mut next = Some(first);
                while let Some((inputs, tell)) = next {
                    connection
                        .prepare_cached("INSERT INTO runs (id, inputs) VALUES (?1, ?2)")
                        .and_then(|mut insert| {
                            insert.execute(params![Uuid::now_v7().as_bytes(), inputs])
                        })
                        .expect("a row");
                    told.push(tell);
                    next = waiting.try_recv().ok().filter(|_| told.len() < 512);
                }
                connection.execute_batch("COMMIT").expect("it is committed");
                for tell in told {
                    let _ = tell.send(());
                }
            }
        });
        Plain(send)
    }

    pub async fn insert(&self, inputs: String) {
        let (tell, told) = oneshot::channel();
        self.0
            .send((inputs, tell))
            .await
            .expect("the thread is there");
        told.await.expect("it is committed");
    }

    /// Inserts as fast as rows are committed, by so many at once.
    pub fn on(&self, inserters: usize, time: Duration) -> Measured {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let start = Instant::now();
        let mut latencies: Vec<Duration> = runtime.block_on(async {
            let tasks = (0..inserters).map(|_| {
                let plain = self.clone();
                tokio::spawn(async move {
                    let mut latencies = Vec::new();
                    while start.elapsed() < time {
                        let began = Instant::now();
                        plain.insert(INPUTS.to_owned()).await;
                        latencies.push(began.elapsed());
                    }
                    latencies
                })
            });
            let mut all = Vec::new();
            for task in tasks.collect::<Vec<_>>() {
                all.extend(task.await.expect("it inserts"));
            }
            all
        });
        Measured::of(&mut latencies, start.elapsed())
    }
}

/// What every row holds.
const INPUTS: &str = r#"{"Name":"Ann","Count":7}"#;

/// Serves until the process is killed; the address is the first line it writes.
pub fn serve(path: &Path, answer: &'static str) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let plain = Plain::open(path);
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("an address"));
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        let handle = async move |State(plain): State<Arc<Plain>>, RawQuery(query): RawQuery| {
            plain.insert(query.unwrap_or_default()).await;
            answer
        };
        let router = Router::new()
            .route("/api", post(handle))
            .with_state(Arc::new(plain));
        axum::serve(listener, router).await.expect("it serves");
    });
}

/// The plain server in a process of its own.
pub struct Server {
    child: Child,
    pub address: String,
}

impl Server {
    pub fn start(path: &Path) -> Server {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .arg("plain")
            .arg(path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut address = String::new();
        let out = child.stdout.take().expect("it is piped");
        BufReader::new(out)
            .read_line(&mut address)
            .expect("it tells");
        Server {
            child,
            address: address.trim().to_owned(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
