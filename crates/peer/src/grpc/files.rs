//! `ListFiles` and `StatFile`: what is here, as far as the caller may see it.

use peral_runtime::tls::PeerCertificate;
use peral_wire::{Failure, convert, fail, pb};

use super::{PeerService, named};
use crate::{
    library::{Held, MAX_LIST},
    rights::absent,
};
use peral_model::name::MAX_NAME;

fn shown(held: &Held) -> pb::HeldFile {
    pb::HeldFile { record: Some(held.record.envelope.clone()), held: held.record.value.content.size }
}

/// One page. Looks on until it is full or all was seen: what a caller may not see does not even leave a gap.
pub(super) async fn list(service: &PeerService, caller: &PeerCertificate, request: &pb::ListFilesRequest) -> Result<pb::ListFilesResponse, Failure> {
    if request.prefix.len() > MAX_NAME || request.after.len() > MAX_NAME {
        return Err(fail!(InvalidArgument, "prefix and after are names: at most {MAX_NAME} bytes"));
    }
    let limit = if request.limit == 0 { MAX_LIST } else { request.limit.min(MAX_LIST) };
    let (library, mut after) = (&service.0.library, request.after.clone());
    let _slot = service.0.limits.slots.take(caller.identity)?;
    let mut files = Vec::new();
    loop {
        let page = library.list(&request.prefix, &after, limit).await?;
        let Some(last) = page.last() else { return Ok(pb::ListFilesResponse { files, more: false }) };
        after = last.record.value.name.to_string();
        for held in page.iter().filter(|held| library.rights().may_see(caller, &held.record.value)) {
            files.push(shown(held));
        }
        if !files.is_empty() && files.len() >= usize::try_from(limit).unwrap_or(usize::MAX) / 2 {
            return Ok(pb::ListFilesResponse { files, more: true });
        }
    }
}

/// One file, by what the caller shows of it or by its name.
pub(super) async fn stat(service: &PeerService, caller: &PeerCertificate, request: pb::StatFileRequest) -> Result<pb::HeldFile, Failure> {
    let library = &service.0.library;
    match convert::required(request.which, "which")? {
        pb::stat_file_request::Which::File(file) => {
            let file = named(Some(file))?;
            let held = service.held(&file).await?;
            library.rights().may_read(caller, &held, &file).await?;
            Ok(shown(&held))
        }
        pb::stat_file_request::Which::Name(name) => {
            let held = library.find_name(&convert::name(&name)?).await?;
            let seen = held.filter(|held| library.rights().may_see(caller, &held.record.value));
            seen.as_ref().map(shown).ok_or_else(absent)
        }
    }
}
