//! `peral echo`

use std::time::Duration;

use clap::Args;
use peral_model::PeerId;
use peral_wire::Failure;
use serde::Serialize;

use super::peers;
use crate::{
    context::Context,
    direct,
    output::{CommandResult, Output, bytes, escape, rate},
    session::AnySession,
};

/// Measure the network to a peer and back, without disk and catalogue.
#[derive(Debug, Args)]
pub struct EchoArgs {
    /// The peer: its id, the beginning of its id, or its label.
    peer: String,
    /// How much to send, such as 64M or 1G.
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = peral_peer::args::bytes)]
    size: u64,
}

#[derive(Serialize)]
pub struct EchoResult {
    pub peer: PeerId,
    pub label: String,
    pub address: String,
    pub by: String,
    pub bytes: u64,
    pub seconds: f64,
    pub bytes_per_second: f64,
    pub round_trip_ms: f64,
}

impl EchoArgs {
    /// Sends bytes and takes them back.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let session = context.session().await?;
        let peer = peers::find(session.catalogue(), &self.peer).await?;
        let (echoed, by) = match &session {
            AnySession::User(user) => {
                (direct::echo(&user.login, &peer, self.size).await?, "this command".to_owned())
            }
            AnySession::Peer(own) => {
                let mut control = own.control.clone();
                (control.echo(&peer, self.size).await?, format!("peer {}", own.peer))
            }
        };
        context.out.result(&EchoResult {
            peer: peer.id,
            label: peer.label,
            address: peer.address,
            by,
            bytes: echoed.bytes,
            seconds: echoed.took.as_secs_f64(),
            bytes_per_second: echoed.rate(),
            round_trip_ms: echoed.round_trip.as_secs_f64() * 1e3,
        })
    }
}

impl CommandResult for EchoResult {
    const SCHEMA: &'static str = "peral.echo/1";

    fn text(&self, _: &Output) -> String {
        let (label, address) = (escape(&self.label), escape(&self.address));
        let round_trip = self.round_trip_ms;
        if self.bytes == 0 {
            return format!("Peer {label} at {address}: round trip {round_trip:.2} ms.\n");
        }
        let took = Duration::from_secs_f64(self.seconds);
        format!(
            "{} to peer {label} at {address} and back: {:.2} s, {} each way; round trip of one \
             byte {round_trip:.2} ms.\n",
            bytes(self.bytes),
            self.seconds,
            rate(self.bytes, took)
        )
    }
}
