//! The typed client of a peer, and what both ends of a call between peers must agree on.
//!
//! `DownloadFile` is not among its methods: pieces travel in bodies that need no copies, which the
//! transfer engine reads and writes itself.

use http::HeaderMap;
use tonic::{
    Code, IntoRequest, IntoStreamingRequest, Request, Status, Streaming, transport::Channel,
};

use crate::{
    Failure, fail,
    failure::{CODE_KEY, root_of},
    pb::{self, peer_service_client::PeerServiceClient},
};

/// Path of the method for pieces.
pub const DOWNLOAD: &str = "/peral.v1.PeerService/DownloadFile";
/// Entries of a piece list in one message.
pub const MAX_ENTRIES: u64 = 32_768;
/// Maximum bytes of a message with a part of a piece list.
pub const MAX_LIST_MESSAGE: usize = 32 * 32_768 + 64 * 1024;
/// Maximum bytes of a message with a piece: the piece, and room for fields that later versions add.
pub const MAX_MESSAGE: usize = (1 << 20) + 64 * 1024;
/// Maximum bytes of a page of held files: a thousand records with the longest names.
pub const MAX_PAGE_MESSAGE: usize = 8 << 20;
/// Maximum bytes of any other message.
pub const MAX_CONTROL_MESSAGE: usize = 256 * 1024;

/// A client of one peer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PeerClient {
    client: PeerServiceClient<Channel>,
    inject: fn(&mut HeaderMap),
}

impl PeerClient {
    /// A client on this connection. `inject` adds the trace context to each call.
    pub fn new(channel: Channel, inject: fn(&mut HeaderMap)) -> Self {
        let client = PeerServiceClient::new(channel).max_encoding_message_size(MAX_MESSAGE);
        Self { client, inject }
    }

    /// Opens an upload, and gives the number of bytes that the peer has kept of it.
    ///
    /// # Errors
    /// As [`failed`].
    pub async fn open_upload(&self, request: pb::OpenUploadRequest) -> Result<u64, Failure> {
        let answer = self.client.clone().open_upload(self.traced(request.into_request())).await;
        Ok(answer.map_err(failed)?.into_inner().offset)
    }

    /// Uploads a header, pieces and an end.
    ///
    /// # Errors
    /// As [`failed`].
    pub async fn upload_file(
        &self,
        parts: impl IntoStreamingRequest<Message = pb::UploadFileRequest>,
    ) -> Result<pb::UploadFileResponse, Failure> {
        let request = self.traced(parts.into_streaming_request());
        let answer = self.client.clone().upload_file(request).await;
        Ok(answer.map_err(failed)?.into_inner())
    }

    /// Begins to read a piece list. Map the failures of its parts by [`failed`].
    ///
    /// # Errors
    /// As [`failed`].
    pub async fn piece_list(
        &self,
        file: pb::FileRef,
    ) -> Result<Streaming<pb::PieceListPart>, Failure> {
        let mut client = self.client.clone().max_decoding_message_size(MAX_LIST_MESSAGE);
        let request = pb::PieceListRequest { file: Some(file) }.into_request();
        let answer = client.piece_list(self.traced(request)).await;
        Ok(answer.map_err(failed)?.into_inner())
    }

    /// Lists files that the peer holds, one page.
    ///
    /// # Errors
    /// As [`failed`].
    pub async fn list_files(
        &self,
        request: impl IntoRequest<pb::ListFilesRequest>,
    ) -> Result<pb::ListFilesResponse, Failure> {
        let mut client = self.client.clone().max_decoding_message_size(MAX_PAGE_MESSAGE);
        let answer = client.list_files(self.traced(request.into_request())).await;
        Ok(answer.map_err(failed)?.into_inner())
    }

    /// Begins an echo: the peer sends back each piece that it gets. Map the failures of the pieces
    /// by [`failed`].
    ///
    /// # Errors
    /// As [`failed`].
    pub async fn echo(
        &self,
        pieces: impl IntoStreamingRequest<Message = pb::Piece>,
    ) -> Result<Streaming<pb::Piece>, Failure> {
        let mut client = self.client.clone().max_decoding_message_size(MAX_MESSAGE);
        let answer = client.echo(self.traced(pieces.into_streaming_request())).await;
        Ok(answer.map_err(failed)?.into_inner())
    }

    fn traced<T>(&self, mut request: Request<T>) -> Request<T> {
        (self.inject)(request.metadata_mut().as_mut());
        request
    }
}

/// Why a call to a peer failed. Peers name a code of Peral; a failure without one comes from the
/// connection.
pub fn failed(status: Status) -> Failure {
    let named = status.metadata().contains_key(CODE_KEY);
    match status.code() {
        Code::Unknown | Code::Internal | Code::Cancelled | Code::Unavailable if !named => {
            fail!(Unavailable, "the connection broke: {}", root_of(&status))
        }
        _ => status.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    #[test]
    fn a_failure_without_a_code_of_ours_comes_from_the_connection() {
        for code in [Code::Unknown, Code::Internal, Code::Cancelled, Code::Unavailable] {
            let failure = failed(Status::new(code, "h2 says goodbye"));
            assert_eq!(failure.code, ErrorCode::Unavailable, "{code:?}");
        }
        let said = fail!(Internal, "the disk is broken");
        assert_eq!(failed(said.clone().into()), said);
        assert_eq!(failed(Status::new(Code::NotFound, "")).code, ErrorCode::NotFound);
    }
}
