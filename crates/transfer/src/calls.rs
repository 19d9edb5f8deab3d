//! What both ends of a call between peers must agree on, and what the calling end does with it.

use http::HeaderMap;
use peral_runtime::propagate;
use peral_wire::{Failure, fail, failure::CODE_KEY};
use tonic::metadata::MetadataMap;

use crate::dial::root_of;

/// Path of the one method that is served and called by our own bodies ([`crate::wirebody`]).
pub const DOWNLOAD: &str = "/peral.v1.PeerService/DownloadFile";
/// Entries of a piece list in one message.
pub const MAX_ENTRIES: u64 = 32_768;
/// Most bytes of a message with a part of a piece list.
pub const MAX_LIST_MESSAGE: usize = 32 * 32_768 + 64 * 1024;
/// Most bytes of any other message but pieces.
pub const MAX_CONTROL_MESSAGE: usize = 256 * 1024;

/// Adds the trace context to a call by generated code.
pub fn inject<T>(mut request: tonic::Request<T>) -> tonic::Request<T> {
    let mut headers = HeaderMap::new();
    propagate::inject(&mut headers);
    *request.metadata_mut() = MetadataMap::from_headers(headers);
    request
}

/// What a call by generated code failed with. Our peers name a code of ours; a failure without one
/// comes of the way to them.
pub fn failed(status: tonic::Status) -> Failure {
    use tonic::Code;
    let named = status.metadata().contains_key(CODE_KEY);
    match status.code() {
        Code::Unknown | Code::Internal | Code::Cancelled | Code::Unavailable if !named => {
            fail!(Unavailable, "the connection broke: {}", root_of(&status))
        }
        _ => status.into(),
    }
}
