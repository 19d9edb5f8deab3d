//! `ListFiles` and `StatFile`: what is here, as far as the caller may see it.

use peral_runtime::tls::PeerCertificate;
use peral_wire::{Failure, convert, fail, pb, peer::MAX_MESSAGE};

use super::{PeerService, file_id, named};
use crate::{
    library::{Held, MAX_LIST},
    rights::absent,
};
use peral_model::name::MAX_NAME;
use prost::Message;

fn shown(held: &Held) -> pb::HeldFile {
    pb::HeldFile {
        record: Some(held.record.envelope.clone()),
        held: held.record.value.content.size,
    }
}

/// A page with so many bytes of envelopes ends: a message has a limit, and names can be long.
const PAGE_BYTES: usize = MAX_MESSAGE / 2;

/// One page. Looks on until it is full or all was seen: what a caller may not see does not even
/// leave a gap. Versions of one name are never parted: the next page goes on after the name.
pub(super) async fn list(
    service: &PeerService,
    caller: &PeerCertificate,
    request: &pb::ListFilesRequest,
) -> Result<pb::ListFilesResponse, Failure> {
    if request.prefix.len() > MAX_NAME || request.after.len() > MAX_NAME {
        return Err(fail!(InvalidArgument, "prefix and after are names: at most {MAX_NAME} bytes"));
    }
    let limit = if request.limit == 0 { MAX_LIST } else { request.limit.min(MAX_LIST) } as usize;
    let (library, mut after) = (&service.0.library, request.after.clone());
    let _slot = service.0.limits.slots.take(caller.identity)?;
    let (mut files, mut bytes, mut name) = (Vec::new(), 0, None);
    loop {
        let page = library.list(&request.prefix, &after, MAX_LIST).await?;
        let Some(last) = page.last() else {
            return Ok(pb::ListFilesResponse { files, more: false });
        };
        after = last.record.value.name.to_string();
        for held in
            page.into_iter().filter(|held| library.rights().may_see(caller, &held.record.value))
        {
            if name.as_ref() != Some(&held.record.value.name)
                && (files.len() >= limit || bytes >= PAGE_BYTES)
            {
                return Ok(pb::ListFilesResponse { files, more: true });
            }
            bytes += held.record.envelope.encoded_len();
            files.push(shown(&held));
            name = Some(held.record.value.name);
        }
    }
}

/// One file, by what the caller shows of it or by its name.
pub(super) async fn stat(
    service: &PeerService,
    caller: &PeerCertificate,
    request: pb::StatFileRequest,
) -> Result<pb::HeldFile, Failure> {
    let library = &service.0.library;
    match convert::required(request.which, "which")? {
        pb::stat_file_request::Which::File(file) => {
            let file = named(Some(file))?;
            let id = file_id(&file)?;
            let held = library.find(id, file.version).await?.ok_or_else(absent)?;
            library.rights().may_read(caller, &held.record, &file).await?;
            Ok(shown(&held))
        }
        pb::stat_file_request::Which::Name(name) => {
            let held = library.find_name(&convert::name(&name)?).await?;
            let seen = held
                .filter(|held| library.rights().may_see(caller, &held.record.value))
                .ok_or_else(absent)?;
            // Its rights have changed since, and nobody here knows how.
            let outdated =
                seen.record.value.serial < library.db().serial(seen.record.value.file).await?;
            if outdated { Err(absent()) } else { Ok(shown(&seen)) }
        }
    }
}
