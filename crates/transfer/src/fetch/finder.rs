//! Who has a file: the question, and central as the one who knows.

use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use peral_model::{FileId, Grant, Record};
use peral_runtime::Lock;
use peral_wire::{
    Catalogue, Failure, Sealed,
    keys::{KeyUse, Verifier},
    pb,
    rest::files::{Source, Sources, SourcesRequest},
};

use crate::nearness::Here;

/// Who has a file version now.
#[derive(Debug, Clone)]
pub struct KnownSources {
    /// Its record, as signed last.
    pub record: Sealed<Record>,
    /// A fresh grant, for a private file.
    pub grant: Option<pb::Envelope>,
    /// Peers that are there.
    pub sources: Vec<Source>,
    /// Known holders that are away.
    pub away: u64,
}

/// Finds sources: central, or who knows them in its place.
pub trait SourceFinder: Send + Sync + 'static {
    /// Looks for sources of the file version that this finder is for.
    fn sources(&self) -> BoxFuture<'_, Result<KnownSources, Failure>>;
}

/// As whom central is asked, and what is kept of its answers.
pub trait Asker: Send + Sync + 'static {
    /// Central, with a right that is good for the next call.
    fn catalogue(&self) -> BoxFuture<'_, Result<Catalogue, Failure>>;

    /// The keys known here that verify records and grants.
    fn verifier(&self) -> Arc<Verifier>;

    /// Where this process runs, for near sources first.
    fn here(&self) -> Here {
        Here::default()
    }

    /// Keeps a renewed grant where the download outlives the process.
    fn keep<'a>(&'a self, _grant: &'a Sealed<Grant>) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Asks central for the sources of one file version.
pub struct CatalogueFinder {
    asker: Arc<dyn Asker>,
    file: FileId,
    version: u64,
    /// The grant that is renewed by showing it; nothing where each question gives a new one, by the
    /// right of the caller itself.
    renewed: Option<Mutex<Sealed<Grant>>>,
    /// Keys that central named when those of the asker did not fit.
    learned: Mutex<Option<Verifier>>,
}

/// An answer whose signatures were verified.
struct Verified {
    record: Sealed<Record>,
    grant: Option<Sealed<Grant>>,
}

impl Verified {
    fn open(answer: &Sources, verifier: &Verifier) -> Result<Self, Failure> {
        let record = Sealed::from_text(&answer.record, verifier)?;
        let grant = answer.grant.as_deref();
        let grant = grant.map(|text| Sealed::from_text(text, verifier)).transpose()?;
        Ok(Self { record, grant })
    }
}

impl CatalogueFinder {
    /// Asks for the version of this record.
    pub fn new(asker: Arc<dyn Asker>, record: &Record) -> Self {
        let (file, version) = (record.file, record.version);
        Self { asker, file, version, renewed: None, learned: Mutex::default() }
    }

    /// The same for a peer that works for somebody else: the right is in the grant, and central
    /// renews it.
    #[must_use]
    pub fn renewing(mut self, grant: Option<Sealed<Grant>>) -> Self {
        self.renewed = grant.map(Mutex::new);
        self
    }

    async fn ask(&self) -> Result<KnownSources, Failure> {
        let catalogue = self.asker.catalogue().await?;
        let here = self.asker.here();
        let question = SourcesRequest {
            file: Some(self.file),
            version: Some(self.version),
            node: here.node,
            zone: here.zone,
            renew: self.renewed.as_ref().map(|grant| grant.locked().to_text()),
            ..SourcesRequest::default()
        };
        let answer = catalogue.sources(&question).await?;
        let Verified { record, grant } = self.verify(&catalogue, &answer).await?;
        if let (Some(renewed), Some(grant)) = (&self.renewed, &grant) {
            *renewed.locked() = grant.clone();
            self.asker.keep(grant).await?;
        }
        Ok(KnownSources {
            record,
            grant: grant.map(|grant| grant.envelope),
            sources: answer.sources,
            away: answer.away,
        })
    }

    /// Keys can be new: they are learned when one is needed.
    async fn verify(&self, catalogue: &Catalogue, answer: &Sources) -> Result<Verified, Failure> {
        if let Ok(verified) = Verified::open(answer, &self.asker.verifier()) {
            return Ok(verified);
        }
        let learned = self.learned.locked().clone();
        if let Some(verified) = learned.and_then(|keys| Verified::open(answer, &keys).ok()) {
            return Ok(verified);
        }
        let fresh = Verifier::new(&catalogue.jwks().await?, KeyUse::Record);
        let verified = Verified::open(answer, &fresh)?;
        *self.learned.locked() = Some(fresh);
        Ok(verified)
    }
}

impl SourceFinder for CatalogueFinder {
    fn sources(&self) -> BoxFuture<'_, Result<KnownSources, Failure>> {
        Box::pin(self.ask())
    }
}
