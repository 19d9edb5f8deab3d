//! `peral echo`

use clap::Args;
use peral_model::PeerId;
use peral_wire::Failure;
use serde::Serialize;

use super::peers;
use crate::{
    context::Context,
    direct,
    output::{bytes, rate, shown},
    session::Session,
};

/// Measure the way to a peer and back, without disk or catalogue.
#[derive(Debug, Args)]
pub struct EchoArgs {
    /// Id of the peer, the beginning of it, or its label.
    peer: String,
    /// How much to send, such as 64M or 1G.
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = peral_peer::args::bytes)]
    size: u64,
}

#[derive(Serialize)]
struct Echo {
    peer: PeerId,
    label: String,
    address: String,
    by: String,
    bytes: u64,
    seconds: f64,
    bytes_per_second: f64,
    round_trip_ms: f64,
}

impl EchoArgs {
    /// Sends and takes back.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let session = context.session().await?;
        let peer = peers::find(session.catalogue(), &self.peer).await?;
        let (echoed, by) = match &session {
            Session::User(user) => {
                (direct::echo(&user.login, &peer, self.size).await?, "this command".to_owned())
            }
            Session::Peer(own) => {
                let mut control = own.control.clone();
                (control.echo(&peer, self.size).await?, format!("peer {}", own.peer))
            }
        };
        let seconds = echoed.took.as_secs_f64();
        let said = Echo {
            peer: peer.id,
            label: peer.label,
            address: peer.address,
            by,
            bytes: echoed.bytes,
            seconds,
            bytes_per_second: echoed.rate(),
            round_trip_ms: echoed.round_trip.as_secs_f64() * 1e3,
        };
        context.out.result("peral.echo/1", &said, |said| {
            let (size, speed) = (bytes(said.bytes), rate(said.bytes, echoed.took));
            let (label, address) = (shown(&said.label), shown(&said.address));
            if said.bytes == 0 {
                return format!(
                    "Peer {label} at {address}: there and back takes {:.2} ms.\n",
                    said.round_trip_ms
                );
            }
            format!(
                "{size} to peer {label} at {address} and back: {seconds:.2} s, {speed} each way; \
                 a byte there and back takes {:.2} ms.\n",
                said.round_trip_ms
            )
        })
    }
}
