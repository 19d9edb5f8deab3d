//! `kubectl port-forward`, and plain HTTP through it.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use super::{Running, Space, eventually, start};

/// How long a port may take to be forwarded, and an answer to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A port of a pod or a Service, on a free port of this machine; closed when dropped.
#[derive(Debug)]
pub struct Forward {
    running: Running,
    /// The port here.
    pub port: u16,
}

impl Forward {
    /// Forwards a port of `pod/NAME` or `svc/NAME`. The way goes through the kubelet, past what
    /// NetworkPolicies forbid.
    pub fn open(space: &Space, to: &str, port: u16) -> Self {
        let mut running = start(space.command(&[
            "port-forward",
            "--address",
            "127.0.0.1",
            to,
            &format!(":{port}"),
        ]));
        let port = eventually(&format!("port {port} of {to} is forwarded"), PATIENCE, || {
            assert!(!running.ended(), "port-forward to {to} ended: {}", running.err());
            let said = running.out();
            let (_, rest) = said.split_once("127.0.0.1:")?;
            rest.split_whitespace().next()?.parse().ok()
        });
        Self { running, port }
    }

    /// `GET path`: the status and the body.
    ///
    /// # Errors
    /// The other end broke off.
    pub fn get(&self, path: &str) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // HTTP/1.0, so that the body comes in one piece and ends with the connection.
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes())?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .ok_or(std::io::ErrorKind::InvalidData)?;
        Ok((status, body.to_owned()))
    }

    /// What kubectl said of it.
    pub fn said(&self) -> String {
        self.running.err()
    }
}
