//! What a request to download asks for, checked.

use std::{
    fmt::Display,
    net::SocketAddr,
    path::{Component, PathBuf},
    time::Duration,
};

use peral_model::{Grant, PeerId, Record};
use peral_transfer::fetch::{DEFAULT_WAIT, FetchRequest};
use peral_wire::{Failure, Sealed, convert::required, fail, pb, rest::files::Source};

use crate::library::Library;

/// Maximum number of sources in a request.
const MAX_SOURCES: usize = 64;
/// Longest wait for sources, in seconds: as long as a grant can be renewed.
const MAX_WAIT: u32 = 7 * 24 * 3600;

/// A request that was checked.
#[derive(Debug, Clone)]
pub(super) struct CheckedRequest {
    pub fetch: FetchRequest,
    pub grant: Option<Sealed<Grant>>,
}

impl CheckedRequest {
    /// Checks a request.
    pub fn new(library: &Library, request: &pb::DownloadRequest) -> Result<Self, Failure> {
        let rights = library.rights();
        let record: Sealed<Record> = rights.read(required(request.record.clone(), "record")?)?;
        let grant: Option<Sealed<Grant>> =
            request.grant.clone().map(|envelope| rights.read(envelope)).transpose()?;
        let path = PathBuf::from(&request.path);
        if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
            return Err(fail!(
                InvalidArgument,
                "{} is not an absolute path without ..",
                path.display()
            ));
        }
        if path.starts_with(library.data().root()) {
            return Err(fail!(
                InvalidArgument,
                "{} is inside the peer's data folder; choose another folder",
                path.display()
            ));
        }
        if request.sources.len() > MAX_SOURCES || request.wait_seconds > MAX_WAIT {
            return Err(fail!(
                InvalidArgument,
                "at most {MAX_SOURCES} sources and {MAX_WAIT} seconds of waiting"
            ));
        }
        let sources = request.sources.iter().map(source).collect::<Result<_, _>>()?;
        let wait = if request.wait_seconds == 0 {
            DEFAULT_WAIT
        } else {
            Duration::from_secs(request.wait_seconds.into())
        };
        let envelope = grant.as_ref().map(|grant| grant.envelope.clone());
        let fetch = FetchRequest {
            record,
            grant: envelope,
            sources,
            path,
            overwrite: request.overwrite,
            wait,
        };
        Ok(Self { fetch, grant })
    }
}

fn source(source: &pb::Source) -> Result<Source, Failure> {
    let bad = |error: &dyn Display| fail!(InvalidArgument, "malformed source: {error}");
    let peer = PeerId::from_bytes(&source.peer).map_err(|error| bad(&error))?;
    let address: SocketAddr = source.address.parse().map_err(|error| bad(&error))?;
    Ok(Source {
        peer,
        address: address.to_string(),
        node: source.node.clone(),
        zone: source.zone.clone(),
        complete: true,
    })
}
