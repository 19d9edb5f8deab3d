//! Who may have what: decided here and nowhere else, without central.

mod callers;
mod permit;

use std::sync::Arc;

use arc_swap::ArcSwap;
use peral_model::{FileId, Grant, Identity, Record, Ticket, UploadId, Verb, Visibility};
use peral_runtime::{SharedClock, tls::PeerCertificate};
use peral_wire::{Failure, Sealed, envelope::Sealable, fail, keys::Verifier, pb};
use tokio::sync::Notify;

pub use self::permit::{Permit, absent};
use self::{callers::Callers, permit::OpenFiles};
use crate::{db::Db, link::Link};

/// How long after it was first opened a broken upload can be resumed, in milliseconds.
pub const UPLOAD_LIFE_MS: i64 = 24 * 3600 * 1000;

struct Inner {
    db: Db,
    clock: SharedClock,
    link: Link,
    keys: ArcSwap<Verifier>,
    keys_wanted: Notify,
    callers: Arc<Callers>,
    files: OpenFiles,
}

/// Decides who may have what. Cheap to clone.
#[derive(Clone)]
pub struct Rights(Arc<Inner>);

impl Rights {
    /// With the keys of the network, and the revocations in the database.
    ///
    /// # Errors
    /// INTERNAL, when the database fails.
    pub async fn open(
        db: Db,
        clock: SharedClock,
        link: Link,
        keys: Verifier,
    ) -> Result<Self, Failure> {
        let revoked = db.revoked(clock.now_ms()).await?;
        let callers = Arc::new(Callers::new(clock.clone(), link.clone(), revoked));
        Ok(Self(Arc::new(Inner {
            db,
            clock,
            link,
            keys: ArcSwap::from_pointee(keys),
            keys_wanted: Notify::new(),
            callers,
            files: OpenFiles::default(),
        })))
    }

    /// Sets the network's keys, which central may change.
    pub fn set_keys(&self, keys: Verifier) {
        self.0.keys.store(Arc::new(keys));
    }

    /// Verifies records, grants and tickets.
    pub fn verifier(&self) -> Arc<Verifier> {
        self.0.keys.load_full()
    }

    /// Waits until an envelope with an unknown key comes.
    pub(crate) async fn keys_wanted(&self) {
        self.0.keys_wanted.notified().await;
    }

    /// Checks an envelope.
    ///
    /// # Errors
    /// UNAUTHENTICATED or INVALID_ARGUMENT.
    pub fn read<T: Sealable>(&self, envelope: pb::Envelope) -> Result<Sealed<T>, Failure> {
        Sealed::open(envelope, &self.0.keys.load()).inspect_err(|_| self.0.keys_wanted.notify_one())
    }

    /// Whether this caller is served at all. Its certificate was verified by the handshake; it must
    /// not have expired since, nor its identity be revoked.
    ///
    /// # Errors
    /// UNAUTHENTICATED; SUPERSEDED when this process must serve nobody.
    pub fn admits(&self, caller: &PeerCertificate) -> Result<(), Failure> {
        self.0.callers.admits(caller.identity, caller.not_after_ms)
    }

    /// Whether a call that was admitted may go on. Not once its identity is revoked, or this process
    /// superseded. A certificate that expires meanwhile ends no upload: its sender could not resume
    /// it over the same connection.
    ///
    /// # Errors
    /// UNAUTHENTICATED; SUPERSEDED.
    pub fn goes_on(&self, identity: Identity) -> Result<(), Failure> {
        self.0.callers.goes_on(identity)
    }

    /// Whether this caller may read the version of this record, the newest that this peer has of it.
    ///
    /// # Errors
    /// NOT_FOUND when not, as if it were not there; UNAUTHENTICATED when what it shows was not
    /// signed by central.
    pub async fn may_read(
        &self,
        caller: &PeerCertificate,
        record: &Sealed<Record>,
        shown: &pb::FileRef,
    ) -> Result<Permit, Failure> {
        self.admits(caller)?;
        let mut record = record.clone();
        let file = record.value.file;
        if FileId::from_bytes(&shown.file_id) != Ok(file) || shown.version != record.value.version {
            return Err(absent());
        }
        // Made before the serial is read: a serial that rises in between is not missed.
        let mut permit = Permit::new(Arc::clone(&self.0.callers), caller, &self.0.files, file);
        if let Some(envelope) = &shown.record {
            record = self.newest(record, self.read(envelope.clone())?).await?;
        }
        let grant = shown.grant.clone().map(|envelope| self.read::<Grant>(envelope)).transpose()?;
        if let Some(grant) = &grant
            && grant.value.record.file == file
        {
            self.learn(file, grant.value.record.serial).await?;
        }
        let serial = self.0.db.serial(file).await?;
        let open = record.value.visibility == Visibility::Public && record.value.serial >= serial;
        if !open
            && !grant.is_some_and(|grant| self.fits(&grant.value, caller, &record.value, serial))
        {
            return Err(absent());
        }
        permit.at(serial);
        permit.check()?;
        Ok(permit)
    }

    /// The newer of two records of one version; what is newer than ours is kept.
    async fn newest(
        &self,
        ours: Sealed<Record>,
        shown: Sealed<Record>,
    ) -> Result<Sealed<Record>, Failure> {
        let (mine, theirs) = (&ours.value, &shown.value);
        if mine.file != theirs.file {
            return Err(absent());
        }
        self.learn(theirs.file, theirs.serial).await?;
        let newer = mine.version == theirs.version
            && mine.content == theirs.content
            && theirs.serial > mine.serial;
        if newer {
            self.0.db.renew_records(std::slice::from_ref(&shown)).await?;
        }
        Ok(if newer { shown } else { ours })
    }

    fn fits(&self, grant: &Grant, caller: &PeerCertificate, record: &Record, serial: u64) -> bool {
        let of = &grant.record;
        (of.file, of.version, of.content) == (record.file, record.version, record.content)
            && of.serial >= serial
            && grant.bearer == caller.identity
            && grant.expires_ms > self.0.clock.now_ms()
            && grant.verbs.contains(&Verb::Get)
    }

    /// A serial was seen: what is below it no longer counts, for open streams too.
    ///
    /// # Errors
    /// INTERNAL, when the database fails.
    pub async fn learn(&self, file: FileId, serial: u64) -> Result<(), Failure> {
        if serial > self.0.db.serial(file).await? {
            self.0.db.raise_serial(file, serial).await?;
        }
        self.0.files.raise(file, serial);
        Ok(())
    }

    /// The file was removed: its open streams end.
    pub fn cut(&self, file: FileId) {
        self.0.files.cut(file);
    }

    /// An identity was revoked: it is no longer served, and its open streams end.
    ///
    /// # Errors
    /// INTERNAL, when the database fails.
    pub async fn revoke(&self, identity: Identity, until_ms: i64) -> Result<(), Failure> {
        self.0.db.revoke(identity, until_ms).await?;
        self.0.callers.set_revoked(self.0.db.revoked(self.0.clock.now_ms()).await?);
        Ok(())
    }

    /// Whether this caller sees a file in lists: public files, and those of its own account.
    pub fn may_see(&self, caller: &PeerCertificate, record: &Record) -> bool {
        record.visibility == Visibility::Public || caller.account == Some(record.owner)
    }

    /// Checks an upload ticket: for this peer, shown by its bearer, and not expired; an upload that
    /// was opened in time can go on for 24 hours.
    ///
    /// # Errors
    /// UNAUTHENTICATED, FORBIDDEN.
    pub async fn open_ticket(
        &self,
        caller: &PeerCertificate,
        envelope: &pb::Envelope,
    ) -> Result<Sealed<Ticket>, Failure> {
        self.admits(caller)?;
        self.ticket(caller.identity, envelope).await
    }

    /// As [`Rights::open_ticket`], for a bearer that was authenticated otherwise.
    ///
    /// # Errors
    /// UNAUTHENTICATED, FORBIDDEN.
    pub async fn ticket(
        &self,
        bearer: Identity,
        envelope: &pb::Envelope,
    ) -> Result<Sealed<Ticket>, Failure> {
        let ticket = self.read::<Ticket>(envelope.clone())?;
        if ticket.value.bearer != bearer || ticket.value.peer != self.0.link.peer()? {
            return Err(fail!(
                Forbidden,
                "this upload ticket was issued for another peer or to another user"
            ));
        }
        self.in_time(ticket.value.upload, ticket.value.expires_ms).await?;
        Ok(ticket)
    }

    async fn in_time(&self, upload: UploadId, expires_ms: i64) -> Result<(), Failure> {
        let now_ms = self.0.clock.now_ms();
        if now_ms < expires_ms {
            return self.0.db.open_upload(upload, now_ms).await;
        }
        match self.0.db.upload_opened(upload).await? {
            Some(opened_ms) if now_ms - opened_ms < UPLOAD_LIFE_MS => Ok(()),
            _ => Err(fail!(Forbidden, "the upload ticket has expired; start the upload again")),
        }
    }
}
