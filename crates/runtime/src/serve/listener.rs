//! Bound sockets.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr},
};

use tokio::net::{TcpListener, TcpSocket};

use crate::Ports;

/// Connections that the kernel queues until they are accepted.
const BACKLOG: u32 = 1024;

/// A TCP socket that listens; [`serve`](super::serve) takes it.
#[derive(Debug)]
pub struct Listener {
    pub(super) inner: TcpListener,
    local: SocketAddr,
}

impl Listener {
    /// Listens at this address, on the first free one of these ports.
    ///
    /// # Errors
    /// Every port is taken (`AddrInUse`), or the system refuses otherwise.
    pub fn bind(ip: IpAddr, ports: impl Into<Ports>) -> io::Result<Self> {
        let ports = ports.into();
        for port in ports.candidates() {
            match Self::bind_one(SocketAddr::new(ip, port)) {
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                Err(error) => {
                    return Err(io::Error::new(
                        error.kind(),
                        format!("cannot listen on {}: {error}", SocketAddr::new(ip, port)),
                    ));
                }
                Ok(listener) => return Ok(listener),
            }
        }
        Err(io::Error::new(
            ErrorKind::AddrInUse,
            format!("cannot listen on {ip}, port {ports}: in use by another process"),
        ))
    }

    fn bind_one(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // So that a restart need not wait for old connections to fade; two listeners on one port
        // remain impossible.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let inner = socket.listen(BACKLOG)?;
        let local = inner.local_addr()?;
        Ok(Self { inner, local })
    }

    /// Where it listens: with port 0 or a range, this is how to learn the port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }
}
