//! The local peer: the one that runs on this machine, reached by the socket in its data folder.

use std::{path::Path, time::Duration};

use peral_model::PeerId;
use peral_peer::SOCKET;
use peral_runtime::propagate;
use peral_transfer::{echo::EchoReport, trust::Network};
use peral_wire::{
    Failure, fail,
    failure::CODE_KEY,
    pb::{self, control_service_client::ControlServiceClient},
    rest::peers::Peer,
};
use tonic::{
    Code, Request, Status, Streaming,
    codegen::InterceptedService,
    service::Interceptor,
    transport::{Channel, Endpoint},
};
use uuid::Uuid;

use crate::{
    output::{ProgressMeter, Step, TransferPhase},
    probe::{self, Probed},
};

/// The socket is on this machine: it answers quickly or not at all.
const CONNECT: Duration = Duration::from_secs(2);
/// For calls with one answer.
const CALL: Duration = Duration::from_secs(10);
/// A status with ten thousand problems has about 2 MiB.
const MAX_ANSWER: usize = 16 << 20;

/// Adds the trace context to calls.
#[derive(Debug, Clone, Copy)]
struct Traced;

impl Interceptor for Traced {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        propagate::inject(request.metadata_mut().as_mut());
        Ok(request)
    }
}

/// The peer's control service.
#[derive(Clone)]
pub struct ControlClient {
    client: ControlServiceClient<InterceptedService<Channel, Traced>>,
}

impl ControlClient {
    /// The peer whose data folder this is, if its socket answers.
    pub async fn find(data: &Path) -> Option<Self> {
        let socket = data.join(SOCKET);
        if !socket.exists() {
            return None;
        }
        let endpoint =
            Endpoint::from_shared(format!("unix:{}", std::path::absolute(socket).ok()?.to_str()?))
                .ok()?;
        let channel = endpoint.connect_timeout(CONNECT).connect().await;
        let channel = channel.inspect_err(|error| tracing::debug!(%error, "no peer answers at its socket in {}", data.display())).ok()?;
        let client = ControlServiceClient::with_interceptor(channel, Traced)
            .max_decoding_message_size(MAX_ANSWER);
        Some(Self { client })
    }

    /// A token of the peer's account, and who the peer is.
    pub async fn session(&mut self) -> Result<pb::SessionResponse, Failure> {
        let answer = self.client.session(once(pb::SessionRequest {})).await;
        answer.map(tonic::Response::into_inner).map_err(Failure::from)
    }

    /// What the peer is doing.
    pub async fn status(&mut self) -> Result<pb::StatusResponse, Failure> {
        let answer = self.client.status(once(pb::StatusRequest {})).await;
        answer.map(tonic::Response::into_inner).map_err(Failure::from)
    }

    /// Publishes a folder.
    pub async fn share(&mut self, share: pb::ShareRequest) -> Result<pb::ShareResponse, Failure> {
        let answer = self.client.share(once(share)).await;
        answer.map(tonic::Response::into_inner).map_err(Failure::from)
    }

    /// Stops publishing a folder.
    pub async fn unshare(&mut self, path: String) -> Result<(), Failure> {
        self.client.unshare(once(pb::UnshareRequest { path })).await?;
        Ok(())
    }

    /// Cancels a download.
    pub async fn cancel(&mut self, job: Vec<u8>) -> Result<(), Failure> {
        self.client.cancel(once(pb::CancelRequest { job: job.into() })).await?;
        Ok(())
    }

    /// Lets the peer send bytes to another peer, which sends them back.
    pub async fn echo(&mut self, peer: &Peer, size: u64) -> Result<EchoReport, Failure> {
        let request =
            pb::EchoRequest { peer: peer.id.to_vec().into(), address: peer.address.clone(), size };
        let answer = self.client.echo(Request::new(request)).await?.into_inner();
        let (connect, round_trip) =
            (Duration::from_nanos(answer.connect_ns), Duration::from_nanos(answer.round_trip_ns));
        Ok(EchoReport {
            connect,
            round_trip,
            bytes: answer.bytes,
            took: Duration::from_nanos(answer.took_ns),
        })
    }

    /// Downloads a file.
    pub async fn download(
        &mut self,
        download: pb::DownloadRequest,
    ) -> Result<Streaming<pb::Progress>, Failure> {
        Ok(self.client.download(Request::new(download)).await?.into_inner())
    }

    /// Uploads a file.
    pub async fn upload(
        &mut self,
        upload: pb::UploadRequest,
    ) -> Result<Streaming<pb::Progress>, Failure> {
        Ok(self.client.upload(Request::new(upload)).await?.into_inner())
    }
}

/// A peer of the user's network that runs on this machine.
pub struct LocalPeer {
    pub control: ControlClient,
    pub id: PeerId,
}

impl LocalPeer {
    /// The peer at this socket, if it is of this network.
    pub async fn of_network(
        mut control: ControlClient,
        network: &Network,
    ) -> Result<Option<Self>, Failure> {
        let session = control.session().await?;
        if session.authority.trim() != network.authority.trim() {
            return Ok(None);
        }
        Ok(Some(Self { id: peer_id(&session.peer)?, control }))
    }
}

/// Why no peer answers at the socket in a data folder, in words.
pub async fn absence(data: Option<&Path>) -> Failure {
    let Some(data) = data else {
        return fail!(
            Unavailable,
            "no local peer is known: give the data folder of the running peer with --data (or \
             PERAL_DATA)"
        );
    };
    let socket = data.join(SOCKET);
    let socket = socket.display();
    match probe::peer_here().await {
        Some(Probed::Waits(reason)) => fail!(Unavailable, "the local peer is not ready: {reason}"),
        Some(Probed::Ready) => fail!(
            Unavailable,
            "nothing answers at {socket}, but a peer runs on this machine: run the command as the \
             user of the peer, with the peer's data folder in --data (or PERAL_DATA)"
        ),
        None => fail!(
            Unavailable,
            "no local peer: nothing answers at {socket}; start a peer with `peral peer --central \
             URL`, or give the data folder of the running peer with --data (or PERAL_DATA)"
        ),
    }
}

/// The id of a peer, from the 16 bytes of a message.
///
/// # Errors
/// INTERNAL: the local peer sent something else.
pub fn peer_id(bytes: &[u8]) -> Result<PeerId, Failure> {
    PeerId::from_bytes(bytes)
        .map_err(|error| fail!(Internal, "the local peer sent a wrong peer id: {error}"))
}

/// The id of a job as people see it.
pub fn job_id(bytes: &[u8]) -> String {
    Uuid::from_slice(bytes).map(|id| id.to_string()).unwrap_or_default()
}

/// Shows the progress that the peer reports until it is done, and returns the last message. Calls
/// `seen` with each.
///
/// # Errors
/// What the peer answers; UNAVAILABLE when it stops.
pub async fn follow(
    mut stream: Streaming<pb::Progress>,
    meter: &ProgressMeter,
    mut seen: impl FnMut(&pb::Progress),
) -> Result<pb::Progress, Failure> {
    loop {
        let progress = stream.message().await.map_err(broken)?;
        let progress = progress
            .ok_or_else(|| fail!(Internal, "the local peer stopped reporting before the end"))?;
        seen(&progress);
        if !progress.note.is_empty() {
            meter.note(&progress.note);
        }
        let Some(phase) = phase(progress.phase()) else { continue };
        let pb::Progress { done, total, fetched, sources, .. } = progress;
        meter.step(&Step { phase, done, total, fetched, sources });
        if phase == TransferPhase::Done {
            return Ok(progress);
        }
    }
}

fn phase(phase: pb::Phase) -> Option<TransferPhase> {
    match phase {
        pb::Phase::Unspecified => None,
        pb::Phase::Waiting => Some(TransferPhase::Waiting),
        pb::Phase::Hashing => Some(TransferPhase::Hashing),
        pb::Phase::Moving => Some(TransferPhase::Moving),
        pb::Phase::Publishing => Some(TransferPhase::Publishing),
        pb::Phase::Done => Some(TransferPhase::Done),
    }
}

/// A broken socket means that the peer has stopped: not an internal error.
fn broken(status: Status) -> Failure {
    let ours = status.metadata().contains_key(CODE_KEY);
    if !ours && matches!(status.code(), Code::Unknown | Code::Unavailable | Code::Internal) {
        return fail!(
            Unavailable,
            "the local peer stopped: {}; it continues its accepted downloads when it runs again",
            status.message()
        );
    }
    status.into()
}

fn once<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL);
    request
}
