//! `OpenUpload` and `UploadFile`: a file that somebody with a ticket puts on this peer, taken up
//! again where it broke off.

mod running;
mod temp;

use futures::FutureExt;
use peral_model::{Content, ContentId, Identity, Ticket, pieces};
use peral_runtime::tls::PeerCertificate;
use peral_transfer::{Nearness, blocking};
use peral_wire::{
    Failure, Sealed,
    convert::{required, size},
    fail, pb,
    pb::upload_file_request::Part,
};
use tokio::{task::JoinHandle, time::timeout};
use tonic::Streaming;

use self::{running::Hold, temp::Temp};
pub(super) use self::{running::Running, temp::sweep};
use super::{IDLE, PeerService, REQUEST};
use crate::library::Reservation;

/// Where an upload stands.
pub(super) async fn open(
    service: &PeerService,
    caller: &PeerCertificate,
    request: pb::OpenUploadRequest,
) -> Result<pb::OpenUploadResponse, Failure> {
    let library = &service.0.library;
    let ticket = ticket(service, caller, request.ticket, request.size).await?;
    if let Some(record) = library.landed(ticket.value.upload).await? {
        return Ok(pb::OpenUploadResponse { offset: record.value.content.size });
    }
    library.may_land().await?;
    let (path, size) = (library.upload_temp(ticket.value.upload), request.size);
    let offset = blocking(move || Ok(temp::kept(&path, size))).await?;
    if offset == 0 {
        library.has_room()?;
    }
    // Asked for now, so that a full disk is known before anything moves; promised when the stream
    // begins.
    drop(library.reserve(size - offset)?);
    Ok(pb::OpenUploadResponse { offset })
}

async fn ticket(
    service: &PeerService,
    caller: &PeerCertificate,
    envelope: Option<pb::Envelope>,
    bytes: u64,
) -> Result<Sealed<Ticket>, Failure> {
    let ticket =
        service.0.library.rights().open_ticket(caller, &required(envelope, "ticket")?).await?;
    let (bytes, most) = (size(bytes)?, ticket.value.max_size);
    if bytes > most {
        return Err(fail!(TooLarge, "an upload of {bytes} bytes, where the ticket allows {most}"));
    }
    Ok(ticket)
}

/// Takes an upload to its end.
pub(super) async fn receive(
    service: &PeerService,
    caller: &PeerCertificate,
    mut stream: Streaming<pb::UploadFileRequest>,
) -> Result<pb::UploadFileResponse, Failure> {
    let inner = &service.0;
    let _slot = inner.limits.slots.take(caller.identity)?;
    let first = timeout(REQUEST, stream.message()).await;
    let first = first
        .map_err(|_| fail!(DeadlineExceeded, "no header came within {} s", REQUEST.as_secs()))??;
    let Some(Part::Header(header)) = first.and_then(|message| message.part) else {
        return Err(fail!(InvalidArgument, "an upload begins with its header"));
    };
    let ticket = ticket(service, caller, header.ticket, header.size).await?;
    let turn = inner.uploads.enter(ticket.value.upload).await?;
    let incoming = Incoming { service, caller: caller.identity, stream };
    let running = taken(incoming, &ticket, header.size, header.offset, turn.hold()).boxed();
    let record = tokio::select! {
        biased;
        () = turn.superseded() => Err(fail!(Cancelled, "the same upload was begun again on another stream")),
        record = running => record,
    };
    record.map(|envelope| pb::UploadFileResponse { record: Some(envelope) })
}

async fn taken(
    incoming: Incoming<'_>,
    ticket: &Sealed<Ticket>,
    size: u64,
    offset: u64,
    turn: Hold,
) -> Result<pb::Envelope, Failure> {
    let library = &incoming.service.0.library;
    if let Some(record) = library.landed(ticket.value.upload).await? {
        let hash = Taker::new(incoming, size, None).ending().await?;
        let same = record.value.content == Content { hash, size };
        return if same {
            Ok(record.envelope)
        } else {
            Err(fail!(AlreadyExists, "this upload has ended with another content; begin a new one"))
        };
    }
    library.may_land().await?;
    if offset == 0 {
        library.has_room()?;
    }
    let room = library.reserve(size.saturating_sub(offset))?;
    let (path, lists) = (library.upload_temp(ticket.value.upload), library.lists().clone());
    let disk = library.data().disk().clone();
    let temp = blocking(move || Temp::open(disk, &path, &lists, size, offset, turn)).await?;
    let path = library.upload_temp(ticket.value.upload);
    let content = Taker::new(incoming, size, Some((temp, room))).content().await?;
    let record = library.land(ticket, &path, content).await?;
    tracing::info!(name = %record.value.name, version = record.value.version, size, "an upload has landed");
    Ok(record.envelope)
}

/// The messages of an upload.
struct Incoming<'a> {
    service: &'a PeerService,
    caller: Identity,
    stream: Streaming<pb::UploadFileRequest>,
}

impl Incoming<'_> {
    async fn next(&mut self) -> Result<Part, Failure> {
        let next = timeout(IDLE, self.stream.message()).await;
        let next =
            next.map_err(|_| fail!(DeadlineExceeded, "nothing came for {} s", IDLE.as_secs()))??;
        self.service.0.library.rights().goes_on(self.caller)?;
        let message =
            next.ok_or_else(|| fail!(Unavailable, "the upload broke off before its end"))?;
        message.part.ok_or_else(|| fail!(InvalidArgument, "an empty message in an upload"))
    }
}

/// Reads a stream of pieces, and writes each while the next one comes.
struct Taker<'a> {
    incoming: Incoming<'a>,
    size: u64,
    at: u64,
    temp: Option<Temp>,
    room: Option<Reservation>,
    writing: Option<JoinHandle<Result<Temp, Failure>>>,
}

impl<'a> Taker<'a> {
    fn new(incoming: Incoming<'a>, size: u64, into: Option<(Temp, Reservation)>) -> Self {
        let at = into.as_ref().map_or(pieces::count(size), |(temp, _)| temp.next());
        let (temp, room) = into.unzip();
        Self { incoming, size, at, temp, room, writing: None }
    }

    /// All pieces that are missing, and the hash that the sender says they make.
    async fn ending(&mut self) -> Result<ContentId, Failure> {
        loop {
            match self.incoming.next().await? {
                Part::Piece(piece) => self.piece(piece).await?,
                Part::End(end) if self.at == pieces::count(self.size) => {
                    return ContentId::from_bytes(&end.hash)
                        .map_err(|error| fail!(InvalidArgument, "malformed message: {error}"));
                }
                Part::End(_) => {
                    return Err(fail!(
                        InvalidArgument,
                        "the upload ends at piece {} of {}",
                        self.at,
                        pieces::count(self.size)
                    ));
                }
                Part::Header(_) => {
                    return Err(fail!(InvalidArgument, "a second header in an upload"));
                }
            }
        }
    }

    async fn piece(&mut self, piece: pb::Piece) -> Result<(), Failure> {
        let (expected, length) = (pieces::length(self.size, self.at), piece.data.len() as u64);
        if piece.index != self.at || length != expected || expected == 0 {
            let (index, at) = (piece.index, self.at);
            return Err(fail!(
                InvalidArgument,
                "piece {index} of {length} bytes, where piece {at} of {expected} bytes was to come"
            ));
        }
        let inner = &self.incoming.service.0;
        inner.metrics.received.add(length, Nearness::Unknown);
        inner.limits.download.take(length).await;
        let mut temp = self.written().await?;
        self.at += 1;
        self.writing =
            Some(tokio::task::spawn_blocking(move || temp.push(&piece.data).map(|()| temp)));
        if let Some(room) = &mut self.room {
            room.used(length);
        }
        Ok(())
    }

    /// The file, once the last piece is in it.
    async fn written(&mut self) -> Result<Temp, Failure> {
        if let Some(writing) = self.writing.take() {
            return writing
                .await
                .unwrap_or_else(|error| Err(fail!(Internal, "a piece was not written: {error}")));
        }
        self.temp.take().ok_or_else(|| fail!(InvalidArgument, "more pieces than the upload has"))
    }

    /// The whole content, when both sides agree on it.
    async fn content(mut self) -> Result<Content, Failure> {
        let hash = self.ending().await?;
        let content = Content { hash, size: self.size };
        let temp = self.written().await?;
        blocking(move || temp.finish(content)).await?;
        Ok(content)
    }
}
