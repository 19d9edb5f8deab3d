//! `kubectl port-forward`, and plain HTTP through it.

use std::time::Duration;

use peral_testkit::{
    Process,
    net::{self, Answer},
};

use super::{Space, eventually};

/// How long a port may take to be forwarded.
const PATIENCE: Duration = Duration::from_secs(30);

/// A port of a pod or a Service, on a free port of this machine; closed when dropped.
#[derive(Debug)]
pub struct Forward {
    running: Process,
    /// The port here.
    pub port: u16,
}

impl Forward {
    /// Forwards a port of `pod/NAME` or `svc/NAME`. The way goes through the kubelet, past what
    /// NetworkPolicies forbid.
    pub fn open(space: &Space, to: &str, port: u16) -> Self {
        let mut running = Process::spawn(space.command(&[
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

    /// `GET path`.
    ///
    /// # Errors
    /// The other end broke off.
    pub fn get(&self, path: &str) -> std::io::Result<Answer> {
        net::get(&format!("127.0.0.1:{}", self.port), path)
    }

    /// What kubectl said of it.
    pub fn said(&self) -> String {
        self.running.err()
    }
}
