//! Who has a file: the question, and central as the one who knows.

use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use peral_model::{Grant, Record};
use peral_runtime::Lock;
use peral_wire::{
    Failure, Sealed,
    keys::Verifier,
    pb,
    rest::files::{Source, SourcesRequest},
};

use crate::{nearness::Here, trust::Central};

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

/// Gives the keys that verify records and grants now.
pub type Verifiers = Arc<dyn Fn() -> Arc<Verifier> + Send + Sync>;

/// Asks central for the sources of one file version.
pub struct CatalogueFinder {
    central: Central,
    verifiers: Verifiers,
    asked: SourcesRequest,
    /// The grant that is renewed by showing it; nothing where each question gives a new one, by the
    /// right of the caller itself.
    renewed: Option<Mutex<Sealed<Grant>>>,
}

impl CatalogueFinder {
    /// Asks for this version, from here.
    pub fn new(central: Central, verifiers: Verifiers, record: &Record, here: &Here) -> Self {
        let (node, zone) = (here.node.clone(), here.zone.clone());
        let asked = SourcesRequest {
            file: Some(record.file),
            version: Some(record.version),
            node,
            zone,
            ..SourcesRequest::default()
        };
        Self { central, verifiers, asked, renewed: None }
    }

    /// The same for a peer that works for somebody else: the right is in the grant, and central
    /// renews it.
    #[must_use]
    pub fn renewing(mut self, grant: Option<Sealed<Grant>>) -> Self {
        self.renewed = grant.map(Mutex::new);
        self
    }

    async fn ask(&self) -> Result<KnownSources, Failure> {
        let mut asked = self.asked.clone();
        asked.renew = self.renewed.as_ref().map(|grant| grant.locked().to_text());
        let found = self.central.catalogue().await?.sources(&asked).await?;
        let verifier = (self.verifiers)();
        let record = Sealed::from_text(&found.record, &verifier)?;
        let grant =
            found.grant.map(|text| Sealed::<Grant>::from_text(&text, &verifier)).transpose()?;
        if let (Some(kept), Some(grant)) = (&self.renewed, &grant) {
            *kept.locked() = grant.clone();
        }
        Ok(KnownSources {
            record,
            grant: grant.map(|grant| grant.envelope),
            sources: found.sources,
            away: found.away,
        })
    }
}

impl SourceFinder for CatalogueFinder {
    fn sources(&self) -> BoxFuture<'_, Result<KnownSources, Failure>> {
        Box::pin(self.ask())
    }
}
