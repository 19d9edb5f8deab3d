//! `ControlService`: what commands ask of the peer next to them, over the socket in the data folder.
//! The socket accepts processes of the same user only.

mod gauges;
mod status;
mod upload;
mod view;

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::{Stream, StreamExt, stream::BoxStream};
use peral_model::PeerId;
use peral_transfer::echo;
use peral_wire::{
    Failure, fail,
    pb::{self, control_service_server::ControlService},
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use uuid::Uuid;

pub use self::view::Engine;
use self::{status::Counted, view::View};
use crate::{library::Library, membership::Membership};

struct Inner {
    view: Arc<View>,
    counted: Counted,
}

/// The service. Cheap to clone.
#[derive(Clone)]
pub struct Control(Arc<Inner>);

impl Control {
    /// Serves a peer that may still wait for its network.
    pub fn new(library: Library, membership: Membership) -> Self {
        let view = Arc::new(View { library, membership, engine: OnceLock::new() });
        Self(Arc::new(Inner { view, counted: Counted::default() }))
    }

    /// Shows this peer's state as metrics, for as long as it exists. Counts its files until told to
    /// stop.
    pub async fn measure(&self, stop: CancellationToken) {
        gauges::measure(&self.0.view, &stop).await;
    }

    /// The network is known: downloads can be accepted.
    pub fn start(&self, engine: Engine) {
        // Set once, when the network is known.
        drop(self.0.view.engine.set(engine));
    }

    fn engine(&self) -> Result<&Engine, Failure> {
        let central = self.library().link().base();
        self.0.view.engine.get().ok_or_else(|| {
            fail!(
                Unavailable,
                "this peer has not reached central at {central} yet; see peral status"
            )
        })
    }

    fn library(&self) -> &Library {
        &self.0.view.library
    }

    async fn download_from(
        &self,
        request: &pb::DownloadRequest,
    ) -> Result<impl Stream<Item = Result<pb::Progress, Failure>> + Send + use<>, Failure> {
        self.library().link().check()?;
        let jobs = &self.engine()?.jobs;
        let job = jobs.accept(request).await?;
        let named = move |progress: pb::Progress| pb::Progress {
            job: job.as_bytes().to_vec().into(),
            ..progress
        };
        Ok(jobs.watch(job)?.map(move |progress| progress.map(named)))
    }

    async fn session_now(&self) -> Result<pb::SessionResponse, Failure> {
        let link = self.library().link();
        let network = self.0.view.membership.network().ok_or_else(|| {
            fail!(Unavailable, "this peer has not reached central at {} yet", link.base())
        })?;
        let peer = link.peer()?;
        let token = link.good_token().await?;
        let expires_ms = link.token_now().map_or(0, |token| token.ends_ms);
        Ok(pb::SessionResponse {
            token: token.to_string(),
            expires_ms,
            peer: peer.to_vec().into(),
            central: link.base().into(),
            authority: network.authority,
        })
    }

    async fn echo_with(&self, request: &pb::EchoRequest) -> Result<pb::EchoResponse, Failure> {
        let malformed =
            |error: &dyn std::fmt::Display| fail!(InvalidArgument, "malformed message: {error}");
        let peer = PeerId::from_bytes(&request.peer).map_err(|error| malformed(&error))?;
        let address = request.address.parse().map_err(|error| malformed(&error))?;
        let report = echo::echo(&self.engine()?.dialer, peer, address, request.size).await?;
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Ok(pb::EchoResponse {
            bytes: report.bytes,
            connect_ns: nanos(report.connect),
            round_trip_ns: nanos(report.round_trip),
            took_ns: nanos(report.took),
        })
    }
}

fn absolute(path: &str) -> Result<PathBuf, Failure> {
    let path = PathBuf::from(path);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(fail!(InvalidArgument, "{} is not an absolute path", path.display()))
    }
}

fn stream_of(
    progress: impl Stream<Item = Result<pb::Progress, Failure>> + Send + 'static,
) -> Response<BoxStream<'static, Result<pb::Progress, Status>>> {
    Response::new(progress.map(|progress| progress.map_err(Status::from)).boxed())
}

#[tonic::async_trait]
impl ControlService for Control {
    type UploadStream = BoxStream<'static, Result<pb::Progress, Status>>;
    type DownloadStream = BoxStream<'static, Result<pb::Progress, Status>>;

    async fn share(
        &self,
        request: Request<pb::ShareRequest>,
    ) -> Result<Response<pb::ShareResponse>, Status> {
        let request = request.into_inner();
        let visibility = request.visibility().try_into()?;
        let share =
            self.library().share(&absolute(&request.path)?, &request.prefix, visibility).await?;
        Ok(Response::new(pb::ShareResponse { share_id: share.share_id().to_vec().into() }))
    }

    async fn unshare(
        &self,
        request: Request<pb::UnshareRequest>,
    ) -> Result<Response<pb::UnshareResponse>, Status> {
        self.library().unshare(&absolute(&request.into_inner().path)?).await?;
        Ok(Response::new(pb::UnshareResponse {}))
    }

    async fn upload(
        &self,
        request: Request<pb::UploadRequest>,
    ) -> Result<Response<Self::UploadStream>, Status> {
        let request = request.into_inner();
        let path = absolute(&request.path)?;
        Ok(stream_of(upload::start(self.library().clone(), path, request).await?))
    }

    async fn download(
        &self,
        request: Request<pb::DownloadRequest>,
    ) -> Result<Response<Self::DownloadStream>, Status> {
        Ok(stream_of(self.download_from(&request.into_inner()).await?))
    }

    async fn cancel(
        &self,
        request: Request<pb::CancelRequest>,
    ) -> Result<Response<pb::CancelResponse>, Status> {
        let job = Uuid::from_slice(&request.into_inner().job)
            .map_err(|error| fail!(InvalidArgument, "malformed message: {error}"))?;
        self.engine()?.jobs.cancel(job).await?;
        Ok(Response::new(pb::CancelResponse {}))
    }

    async fn status(
        &self,
        _: Request<pb::StatusRequest>,
    ) -> Result<Response<pb::StatusResponse>, Status> {
        Ok(Response::new(status::of(&self.0.view, &self.0.counted).await?))
    }

    async fn session(
        &self,
        _: Request<pb::SessionRequest>,
    ) -> Result<Response<pb::SessionResponse>, Status> {
        Ok(Response::new(self.session_now().await?))
    }

    async fn echo(
        &self,
        request: Request<pb::EchoRequest>,
    ) -> Result<Response<pb::EchoResponse>, Status> {
        Ok(Response::new(self.echo_with(&request.into_inner()).await?))
    }
}
