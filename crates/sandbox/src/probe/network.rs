//! Attempts at what answers on the network and on sockets.
//!
//! The listeners of the stage know an attempt by its words in angle brackets.

use std::io::{IoSlice, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixStream};
use std::time::Duration;

use rustix::net::{
    AddressFamily, MMsgHdr, Protocol, SendAncillaryBuffer, SendFlags, SocketFlags, SocketType,
    addr::SocketAddrArg, connect, ipproto, sendmmsg, sendmsg_addr, sendto, socket_with,
};

use super::Trial;
use super::child::{Stopped, Tried};
use super::kernel;

/// Sends the first bytes along with the request to connect, on a socket that is not connected.
const FAST_OPEN: SendFlags = SendFlags::from_bits_retain(libc::MSG_FASTOPEN.cast_unsigned());
/// How long the page is waited for.
const PAGE_WAIT: Duration = Duration::from_millis(200);

impl Trial<'_> {
    fn tcp(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.bait.tcp).into()
    }

    fn udp(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.bait.udp).into()
    }

    fn message(&self) -> Vec<u8> {
        format!("<{}>", self.words).into_bytes()
    }

    fn request(&self) -> Vec<u8> {
        format!("GET / HTTP/1.0\r\nProbe: <{}>\r\n\r\n", self.words).into_bytes()
    }
}

pub fn tcp(trial: &Trial) -> Tried {
    ask(trial, TcpStream::connect(trial.tcp())?)
}

pub fn tcp_mapped(trial: &Trial) -> Tried {
    let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
    ask(trial, TcpStream::connect((mapped, trial.bait.tcp))?)
}

/// A Landlock rule for TCP does not look at it, and with a peer that does not speak it, it is TCP.
pub fn mptcp(trial: &Trial) -> Tried {
    let socket = make(
        AddressFamily::INET,
        SocketType::STREAM,
        Some(ipproto::MPTCP),
    )?;
    connect(&socket, &trial.tcp())?;
    ask(trial, socket.into())
}

/// As with MPTCP: the family falls back to TCP.
pub fn smc(trial: &Trial) -> Tried {
    const AF_SMC: u16 = 43;
    let socket = make(AddressFamily::from_raw(AF_SMC), SocketType::STREAM, None)?;
    connect(&socket, &trial.tcp())?;
    ask(trial, socket.into())
}

/// `connect` returns at once, and the first write makes the connection.
pub fn fast_connect(trial: &Trial) -> Tried {
    let socket = make(AddressFamily::INET, SocketType::STREAM, None)?;
    kernel::set_option(
        socket.as_fd(),
        libc::IPPROTO_TCP,
        libc::TCP_FASTOPEN_CONNECT,
    )?;
    connect(&socket, &trial.tcp())?;
    ask(trial, socket.into())
}

pub fn fast_sendto(trial: &Trial) -> Tried {
    let socket = make(AddressFamily::INET, SocketType::STREAM, None)?;
    sendto(&socket, &trial.request(), FAST_OPEN, &trial.tcp())?;
    page(trial, socket.into())
}

pub fn fast_sendmsg(trial: &Trial) -> Tried {
    let socket = make(AddressFamily::INET, SocketType::STREAM, None)?;
    send_message(&socket, &trial.tcp(), &trial.request(), FAST_OPEN)?;
    page(trial, socket.into())
}

pub fn fast_sendmmsg(trial: &Trial) -> Tried {
    let socket = make(AddressFamily::INET, SocketType::STREAM, None)?;
    send_messages(&socket, &trial.tcp(), &trial.request(), FAST_OPEN)?;
    page(trial, socket.into())
}

fn ask(trial: &Trial, mut stream: TcpStream) -> Tried {
    stream.write_all(&trial.request())?;
    page(trial, stream)
}

fn page(trial: &Trial, mut stream: TcpStream) -> Tried {
    stream.set_read_timeout(Some(PAGE_WAIT))?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    trial.expect_secret(&bytes)
}

pub fn udp_sendto(trial: &Trial) -> Tried {
    let socket = make(AddressFamily::INET, SocketType::DGRAM, None)?;
    sendto(&socket, &trial.message(), SendFlags::empty(), &trial.udp())?;
    sent()
}

pub fn udp_sendmsg(trial: &Trial) -> Tried {
    let socket = make(AddressFamily::INET, SocketType::DGRAM, None)?;
    send_message(&socket, &trial.udp(), &trial.message(), SendFlags::empty())?;
    sent()
}

pub fn udp_sendmmsg(trial: &Trial) -> Tried {
    let socket = make(AddressFamily::INET, SocketType::DGRAM, None)?;
    send_messages(&socket, &trial.udp(), &trial.message(), SendFlags::empty())?;
    sent()
}

pub fn udp_connected(trial: &Trial) -> Tried {
    let socket = make(AddressFamily::INET, SocketType::DGRAM, None)?;
    connect(&socket, &trial.udp())?;
    UdpSocket::from(socket).send(&trial.message())?;
    sent()
}

/// A question for the address of a name whose only label is the attempt's words.
pub fn dns(trial: &Trial) -> Tried {
    let label = trial.message();
    let length = u8::try_from(label.len()).map_err(|_| "the words are too long")?;
    let header = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let query = [&header[..], &[length], &label, &[0, 0, 1, 0, 1]].concat();
    UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?.send_to(&query, trial.udp())?;
    sent()
}

fn sent() -> Tried {
    Ok("sent".to_owned())
}

fn send_message(
    socket: &OwnedFd,
    to: &SocketAddr,
    bytes: &[u8],
    flags: SendFlags,
) -> Result<(), Stopped> {
    let nothing = &mut SendAncillaryBuffer::default();
    sendmsg_addr(socket, to, &[IoSlice::new(bytes)], nothing, flags)?;
    Ok(())
}

fn send_messages(
    socket: &OwnedFd,
    to: &SocketAddr,
    bytes: &[u8],
    flags: SendFlags,
) -> Result<(), Stopped> {
    let nothing = &mut SendAncillaryBuffer::default();
    let (to, parts) = (to.as_any(), [IoSlice::new(bytes)]);
    sendmmsg(
        socket,
        &mut [MMsgHdr::new_with_addr(&to, &parts, nothing)],
        flags,
    )?;
    Ok(())
}

/// Connecting a datagram socket looks for a route and sends nothing. The address is one of those for documentation.
pub fn route(_: &Trial) -> Tried {
    let socket = make(AddressFamily::INET, SocketType::DGRAM, None)?;
    connect(&socket, &SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 9))?;
    let from = UdpSocket::from(socket).local_addr()?;
    Ok(format!("from {}", from.ip()))
}

pub fn socket_file(trial: &Trial) -> Tried {
    tell(trial, UnixStream::connect(&trial.bait.socket_file)?)
}

pub fn abstract_socket(trial: &Trial) -> Tried {
    let address = UnixAddress::from_abstract_name(&trial.bait.abstract_socket)?;
    tell(trial, UnixStream::connect_addr(&address)?)
}

fn tell(trial: &Trial, mut stream: UnixStream) -> Tried {
    stream.write_all(&trial.message())?;
    sent()
}

/// Nobody listens by this protocol: making the socket is what a sandbox has to refuse.
pub fn sctp(_: &Trial) -> Tried {
    made(make(
        AddressFamily::INET,
        SocketType::STREAM,
        Some(ipproto::SCTP),
    ))
}

pub fn raw(family: i32, protocol: i32) -> Tried {
    made(kernel::socket(family, libc::SOCK_RAW, protocol))
}

pub fn packet(_: &Trial) -> Tried {
    let every_protocol = i32::from((libc::ETH_P_ALL as u16).to_be());
    made(kernel::socket(
        libc::AF_PACKET,
        libc::SOCK_RAW,
        every_protocol,
    ))
}

pub fn stream(family: i32) -> Tried {
    made(kernel::socket(family, libc::SOCK_STREAM, 0))
}

pub fn crypto(_: &Trial) -> Tried {
    made(kernel::socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0))
}

pub fn netlink(protocol: i32) -> Tried {
    made(kernel::socket(libc::AF_NETLINK, libc::SOCK_RAW, protocol))
}

fn made(socket: Result<OwnedFd, Stopped>) -> Tried {
    socket.map(|_| "made".to_owned())
}

fn make(
    family: AddressFamily,
    kind: SocketType,
    protocol: Option<Protocol>,
) -> Result<OwnedFd, Stopped> {
    Ok(socket_with(family, kind, SocketFlags::CLOEXEC, protocol)?)
}
