//! Uploads from this machine: in place inside a share, moved where a command spooled them for the
//! peer, copied into the first share otherwise.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use futures::Stream;
use peral_model::{Content, Identity, Record, Ticket};
use peral_runtime::propagate;
use peral_transfer::{
    Stamp,
    disk::{Disk, is_full, open_plain, open_private},
};
use peral_wire::{Failure, Sealed, convert::required, fail, pb};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tracing::Instrument;

use crate::{
    db::broken,
    library::{Library, is_spooled},
};

type Tell = mpsc::Sender<Result<pb::Progress, Failure>>;

/// Starts an upload; it runs to its end even if the command goes away.
pub(super) async fn start(
    library: Library,
    path: PathBuf,
    request: pb::UploadRequest,
) -> Result<impl Stream<Item = Result<pb::Progress, Failure>> + Send + use<>, Failure> {
    let me = Identity::Peer(library.link().peer()?);
    let ticket = library.rights().ticket(me, &required(request.ticket, "ticket")?).await?;
    if ticket.value.name.as_str() != request.name {
        return Err(fail!(
            InvalidArgument,
            "the upload ticket is for the name {}, not {}",
            ticket.value.name,
            request.name
        ));
    }
    let real = tokio::fs::canonicalize(&path)
        .await
        .map_err(|error| fail!(NotFound, "{} cannot be read: {error}", path.display()))?;
    let (tell, told) = mpsc::channel(16);
    let span =
        propagate::follow(tracing::info_span!(parent: None, "upload", name = %ticket.value.name));
    let upload = async move {
        let done = run(&library, &ticket, &real, &tell).await;
        let last = done.map(|record| pb::Progress {
            record: Some(record.envelope),
            ..step(pb::Phase::Done, record.value.content.size)
        });
        // The upload is done even where nobody listens any more.
        drop(tell.send(last).await);
    };
    tokio::spawn(upload.instrument(span));
    Ok(ReceiverStream::new(told))
}

async fn run(
    library: &Library,
    ticket: &Sealed<Ticket>,
    path: &Path,
    tell: &Tell,
) -> Result<Sealed<Record>, Failure> {
    let size = tokio::fs::metadata(path)
        .await
        .map_err(|error| fail!(NotFound, "{} cannot be read: {error}", path.display()))?
        .len();
    if size > ticket.value.max_size {
        return Err(fail!(
            TooLarge,
            "{} has {size} bytes, but the upload ticket is for {}; the file grew meanwhile",
            path.display(),
            ticket.value.max_size
        ));
    }
    let say = async |phase| drop(tell.send(Ok(step(phase, size))).await);
    let temp = library.upload_temp(ticket.value.upload);
    if is_spooled(library.data(), path) {
        say(pb::Phase::Hashing).await;
        tokio::fs::rename(path, &temp).await.map_err(|error| {
            fail!(Internal, "cannot move {} into the upload folder: {error}", path.display())
        })?;
        let landed = spooled(library, ticket, &temp, || say(pb::Phase::Publishing)).await;
        if landed.is_err() {
            // The command could read its input only once: nobody can resume this.
            drop(tokio::fs::remove_file(&temp).await);
        }
        return landed;
    }
    if library.share_of(path).await?.is_some() {
        say(pb::Phase::Hashing).await;
        return library.land_in_place(ticket, path).await;
    }
    library.may_land().await?;
    library.has_room()?;
    say(pb::Phase::Moving).await;
    let _room = library.reserve(size)?;
    let (from, to, lists) = (path.to_path_buf(), temp.clone(), library.lists().clone());
    let disk = library.data().disk().clone();
    let copied = tokio::task::spawn_blocking(move || -> Result<Content, Failure> {
        let file = copy(&disk, &from, &to)?;
        let size = file.metadata().map_err(broken)?.len();
        lists.hash(&file, size).map_err(|error| fail!(Internal, "cannot read the copy: {error}"))
    });
    let content = copied.await.map_err(broken)??;
    say(pb::Phase::Publishing).await;
    library.land(ticket, &temp, content).await
}

/// Bytes that a command wrote into the data folder for this upload.
async fn spooled(
    library: &Library,
    ticket: &Sealed<Ticket>,
    temp: &Path,
    publishing: impl AsyncFnOnce(),
) -> Result<Sealed<Record>, Failure> {
    library.may_land().await?;
    let (from, lists) = (temp.to_path_buf(), library.lists().clone());
    let hashed = tokio::task::spawn_blocking(move || {
        let file = open_plain(&from)?;
        lists.hash(&file, file.metadata()?.len())
    });
    let content = hashed.await.map_err(broken)?.map_err(|error: io::Error| {
        fail!(Internal, "cannot read the spooled bytes again: {error}")
    })?;
    publishing().await;
    library.land(ticket, temp, content).await
}

/// Copies a file, by the file system where it can, if nobody writes it meanwhile.
fn copy(disk: &Disk, from: &Path, to: &Path) -> Result<File, Failure> {
    let failed = |error: io::Error| {
        if is_full(&error) {
            fail!(NoSpace, "the disk of this peer is full: {error}")
        } else {
            fail!(Internal, "cannot copy {}: {error}", from.display())
        }
    };
    let source = open_plain(from).map_err(failed)?;
    let before = Stamp::of(&source).map_err(failed)?;
    let target = open_private(to).map_err(failed)?;
    // Of a try that was cut off.
    target.set_len(0).map_err(failed)?;
    disk.copy(&source, &target).map_err(failed)?;
    if Stamp::of(&source).map_err(failed)? != before {
        return Err(fail!(Changed, "{} changed while it was copied; try again", from.display()));
    }
    Ok(target)
}

fn step(phase: pb::Phase, size: u64) -> pb::Progress {
    let done = if phase == pb::Phase::Done || phase == pb::Phase::Publishing { size } else { 0 };
    pb::Progress { phase: phase.into(), done, total: size, ..pb::Progress::default() }
}
