//! Services that note what reaches them.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long a service waits for somebody who has connected to say something.
const PATIENCE: Duration = Duration::from_millis(200);
/// The most that is noted of one connection or datagram, in bytes.
const LONGEST: usize = 4096;

/// What a service was told, connection by connection.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<Vec<u8>>>>);

impl Heard {
    /// Whether somebody said these words, in angle brackets.
    pub fn has(&self, words: &str) -> bool {
        let words = format!("<{words}>").into_bytes();
        self.told()
            .iter()
            .any(|message| message.windows(words.len()).any(|part| part == words))
    }

    fn told(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a message, unless it says to end.
    fn note(&self, message: &[u8], end: &[u8]) -> bool {
        if message == end {
            return false;
        }
        if !message.is_empty() {
            self.told().push(message.to_vec());
        }
        true
    }
}

/// The services of a stage, each in a thread of its own.
pub struct Listeners {
    tcp: u16,
    udp: u16,
    file: PathBuf,
    name: String,
    /// What tells a service to end.
    farewell: Vec<u8>,
    heard: Heard,
    threads: Vec<JoinHandle<()>>,
}

impl Listeners {
    /// Opens the services: TCP and UDP on 127.0.0.1, a socket file, and an abstract socket of a name. Streams are
    /// answered with an HTTP page of the secret.
    pub fn open(secret: &str, file: PathBuf, name: String) -> io::Result<Listeners> {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let unix = UnixListener::bind(&file)?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o777))?;
        let nameless = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        let mut listeners = Listeners {
            tcp: tcp.local_addr()?.port(),
            udp: udp.local_addr()?.port(),
            file,
            name,
            farewell: format!("end {secret}").into_bytes(),
            heard: Heard::default(),
            threads: Vec::new(),
        };
        let page = format!(
            "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{secret}",
            secret.len()
        );
        listeners.serve(page.clone(), move || {
            let (stream, _) = tcp.accept()?;
            stream.set_read_timeout(Some(PATIENCE)).map(|()| stream)
        });
        for listener in [unix, nameless] {
            listeners.serve(page.clone(), move || {
                let (stream, _) = listener.accept()?;
                stream.set_read_timeout(Some(PATIENCE)).map(|()| stream)
            });
        }
        listeners.receive(udp);
        Ok(listeners)
    }

    /// The port on 127.0.0.1 for TCP.
    pub fn tcp(&self) -> u16 {
        self.tcp
    }

    /// The port on 127.0.0.1 for UDP.
    pub fn udp(&self) -> u16 {
        self.udp
    }

    fn serve<S: Read + Write>(
        &mut self,
        page: String,
        mut accept: impl FnMut() -> io::Result<S> + Send + 'static,
    ) {
        let (heard, farewell) = (self.heard.clone(), self.farewell.clone());
        self.threads.push(thread::spawn(move || {
            let mut message = [0; LONGEST];
            loop {
                let Ok(mut stream) = accept() else { continue };
                let length = stream.read(&mut message).unwrap_or(0);
                if !heard.note(&message[..length], &farewell) {
                    break;
                }
                let _ = stream.write_all(page.as_bytes());
            }
        }));
    }

    fn receive(&mut self, socket: UdpSocket) {
        let (heard, farewell) = (self.heard.clone(), self.farewell.clone());
        self.threads.push(thread::spawn(move || {
            let mut message = [0; LONGEST];
            loop {
                let length = socket.recv(&mut message).unwrap_or(0);
                if !heard.note(&message[..length], &farewell) {
                    break;
                }
            }
        }));
    }

    /// Ends the services and gives what they heard. The farewell waits in line behind whatever came before it.
    ///
    /// # Errors
    /// Where a service cannot be reached, and so may go on.
    pub fn end(&mut self) -> io::Result<Heard> {
        let threads = std::mem::take(&mut self.threads);
        if !threads.is_empty() {
            self.bid_farewell()?;
            for thread in threads {
                let _ = thread.join();
            }
        }
        Ok(self.heard.clone())
    }

    fn bid_farewell(&self) -> io::Result<()> {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.tcp))?.write_all(&self.farewell)?;
        UnixStream::connect(&self.file)?.write_all(&self.farewell)?;
        let nameless = SocketAddr::from_abstract_name(&self.name)?;
        UnixStream::connect_addr(&nameless)?.write_all(&self.farewell)?;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket
            .send_to(&self.farewell, (Ipv4Addr::LOCALHOST, self.udp))
            .map(drop)
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        let _ = self.end();
    }
}
