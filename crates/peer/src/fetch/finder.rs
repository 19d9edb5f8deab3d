//! Central as the one who knows the sources.

use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use peral_model::{Grant, Record};
use peral_wire::{Failure, Sealed, keys::Verifier, rest::files::SourcesRequest};

use super::{Found, Here, SourceFinder, Why};
use crate::trust::Central;

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

    async fn ask(&self) -> Result<Found, Failure> {
        let mut asked = self.asked.clone();
        asked.renew = self
            .renewed
            .as_ref()
            .map(|grant| grant.lock().unwrap_or_else(PoisonError::into_inner).to_text());
        let found = self.central.catalogue().await?.sources(&asked).await?;
        let verifier = (self.verifiers)();
        let record = Sealed::from_text(&found.record, &verifier)?;
        let grant =
            found.grant.map(|text| Sealed::<Grant>::from_text(&text, &verifier)).transpose()?;
        if let (Some(kept), Some(grant)) = (&self.renewed, &grant) {
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = grant.clone();
        }
        Ok(Found {
            record,
            grant: grant.map(|grant| grant.envelope),
            sources: found.sources,
            away: found.away,
        })
    }
}

impl SourceFinder for CatalogueFinder {
    fn sources(&self, _: Why) -> BoxFuture<'_, Result<Found, Failure>> {
        Box::pin(self.ask())
    }
}
