//! The generated trait: check, call, convert.

use std::sync::Arc;

use futures::{Stream, StreamExt, stream::BoxStream};
use peral_runtime::tls::PeerCertificate;
use peral_wire::{Failure, pb, pb::peer_service_server};
use tonic::{Request, Response, Status, Streaming};

use super::{PeerService, download, echo, files, list, upload};

type Answers<T> = BoxStream<'static, Result<T, Status>>;

impl PeerService {
    fn of<T>(&self, request: &Request<T>) -> Result<Arc<PeerCertificate>, Failure> {
        self.caller(request.extensions())
    }
}

fn answers<T: 'static>(
    stream: impl Stream<Item = Result<T, Failure>> + Send + 'static,
) -> Response<Answers<T>> {
    Response::new(stream.map(|item| item.map_err(Status::from)).boxed())
}

#[tonic::async_trait]
impl peer_service_server::PeerService for PeerService {
    type DownloadFileStream = Answers<pb::Piece>;
    type PieceListStream = Answers<pb::PieceListPart>;
    type EchoStream = Answers<pb::Piece>;

    async fn open_upload(
        &self,
        request: Request<pb::OpenUploadRequest>,
    ) -> Result<Response<pb::OpenUploadResponse>, Status> {
        let caller = self.of(&request)?;
        Ok(Response::new(upload::open(self, &caller, request.into_inner()).await?))
    }

    async fn upload_file(
        &self,
        request: Request<Streaming<pb::UploadFileRequest>>,
    ) -> Result<Response<pb::UploadFileResponse>, Status> {
        let caller = self.of(&request)?;
        Ok(Response::new(upload::receive(self, &caller, request.into_inner()).await?))
    }

    // The router serves this method with our own bodies; this does the same with generated code, for
    // callers that mount only the service.
    async fn download_file(
        &self,
        request: Request<pb::DownloadFileRequest>,
    ) -> Result<Response<Self::DownloadFileStream>, Status> {
        let caller = self.of(&request)?;
        let pieces = download::pieces(self, &caller, request.into_inner()).await?;
        Ok(answers(
            pieces
                .map(|piece| piece.map(|piece| pb::Piece { index: piece.index, data: piece.data })),
        ))
    }

    async fn piece_list(
        &self,
        request: Request<pb::PieceListRequest>,
    ) -> Result<Response<Self::PieceListStream>, Status> {
        let caller = self.of(&request)?;
        Ok(answers(list::parts(self, &caller, request.into_inner()).await?))
    }

    async fn list_files(
        &self,
        request: Request<pb::ListFilesRequest>,
    ) -> Result<Response<pb::ListFilesResponse>, Status> {
        let caller = self.of(&request)?;
        Ok(Response::new(files::list(self, &caller, &request.into_inner()).await?))
    }

    async fn stat_file(
        &self,
        request: Request<pb::StatFileRequest>,
    ) -> Result<Response<pb::HeldFile>, Status> {
        let caller = self.of(&request)?;
        Ok(Response::new(files::stat(self, &caller, request.into_inner()).await?))
    }

    async fn echo(
        &self,
        request: Request<Streaming<pb::Piece>>,
    ) -> Result<Response<Self::EchoStream>, Status> {
        let caller = self.of(&request)?;
        Ok(answers(echo::echo(self, &caller, request.into_inner())?))
    }
}
