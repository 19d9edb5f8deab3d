//! Sources of a file, and grants: the right of one bearer to read a private file.

use base64::{Engine, engine::general_purpose::STANDARD};
use peral_model::{AccountId, Grant, Identity, Verb, Visibility};
use peral_wire::{
    Failure, Sealed, fail,
    rest::{
        accounts::Role,
        files::{Sources, SourcesRequest},
    },
};

use super::{app::App, caller::Caller, check::at_most};
use crate::store::{
    Viewer,
    files::{FileKey, FoundVersion, SourcesOf},
};

/// How long a grant is valid, in milliseconds.
const GRANT_MS: i64 = 3_600_000;
/// How long after the account's request a peer may renew its grant, in milliseconds.
const RENEW_MS: i64 = 7 * 24 * 3_600_000;
/// Maximum number of characters of a node or a zone, as at registration.
const MAX_PLACE: usize = 253;
/// Maximum number of sources in one answer.
const MAX_SOURCES: u32 = 50;

/// Whose right it is, and when the account asked for it.
struct Entitlement {
    viewer: Viewer,
    asked_ms: i64,
}

/// A version of a file, and by whose right it is asked for.
struct FileRequest {
    key: FileKey,
    /// The current one, if none is given.
    version: Option<u64>,
    right: Entitlement,
}

impl App {
    /// The sources of a file, its record, and a grant if it is private.
    ///
    /// # Errors
    /// NOT_FOUND: it does not exist, or the caller may not see it. FORBIDDEN: the bearer.
    /// UNAUTHENTICATED: the grant to renew.
    pub async fn sources(
        &self,
        caller: &Caller,
        request: SourcesRequest,
    ) -> Result<Sources, Failure> {
        let bearer = caller.bearer(request.bearer)?;
        at_most("node", &request.node, MAX_PLACE)?;
        at_most("zone", &request.zone, MAX_PLACE)?;
        let FileRequest { key, version, right } = match &request.renew {
            None => FileRequest {
                key: key_of(&request)?,
                version: request.version,
                right: Entitlement { viewer: caller.viewer(), asked_ms: self.now() },
            },
            Some(grant) => self.renewed(grant, bearer, caller).await?,
        };
        let found = self.store()?.find(key, version, right.viewer).await?;
        let found = found.ok_or_else(no_file)?;
        let (node, zone) = self.place_of(bearer, &request).await?;
        let of = SourcesOf {
            file: found.record.file,
            version: found.record.version,
            node,
            zone,
            limit: MAX_SOURCES,
            now_ms: self.now(),
        };
        let list = self.store()?.sources(of).await?;
        let grant = self.grant(&found, &right, bearer);
        Ok(Sources {
            record: STANDARD.encode(&found.envelope),
            grant,
            sources: list.sources,
            away: list.away,
        })
    }

    fn grant(&self, found: &FoundVersion, right: &Entitlement, bearer: Identity) -> Option<String> {
        if found.record.visibility == Visibility::Public {
            return None;
        }
        let grant = Grant {
            record: found.record.clone(),
            verbs: vec![Verb::Get],
            account: right.viewer.account,
            bearer,
            expires_ms: self.now() + GRANT_MS,
            asked_ms: right.asked_ms,
        };
        tracing::info!(
            file = %grant.record.file,
            account = %grant.account,
            bearer = %grant.bearer,
            "issued a grant"
        );
        Some(Sealed::seal(grant, &self.keys.record).to_text())
    }

    /// The file of a grant that a peer renews, if its account still exists. Whether the account
    /// still has the right is looked up afterwards, as for everybody.
    async fn renewed(
        &self,
        grant: &str,
        bearer: Identity,
        caller: &Caller,
    ) -> Result<FileRequest, Failure> {
        caller
            .peer()
            .map_err(|_| fail!(Forbidden, "only peers can renew grants; ask for the file again"))?;
        let grant = Sealed::<Grant>::from_text(grant, &self.keys.verifier)?.value;
        if grant.bearer != bearer {
            return Err(fail!(
                Forbidden,
                "this grant was issued for another bearer, and only that bearer can renew it"
            ));
        }
        if grant.asked_ms + RENEW_MS <= self.now() {
            return Err(fail!(
                Forbidden,
                "the account asked for this file more than 7 days ago; ask for the file again"
            ));
        }
        let viewer = self.viewer_of(grant.account).await?;
        Ok(FileRequest {
            key: FileKey::Id(grant.record.file),
            version: Some(grant.record.version),
            right: Entitlement { viewer, asked_ms: grant.asked_ms },
        })
    }

    async fn viewer_of(&self, account: AccountId) -> Result<Viewer, Failure> {
        let account = self.store()?.account(account).await?.filter(|account| !account.disabled);
        let account = account.ok_or_else(no_file)?;
        Ok(Viewer { account: account.id, admin: account.role == Role::Admin })
    }

    /// Node and zone of the bearer: those registered for a peer, those in the request of a user.
    async fn place_of(
        &self,
        bearer: Identity,
        request: &SourcesRequest,
    ) -> Result<(String, String), Failure> {
        let Identity::Peer(id) = bearer else {
            return Ok((request.node.clone(), request.zone.clone()));
        };
        let place = self.store()?.peer(id).await?.map(|peer| peer.place).unwrap_or_default();
        Ok((place.node, place.zone))
    }
}

fn no_file() -> Failure {
    fail!(NotFound, "the file or the version does not exist, or you may not see it")
}

fn key_of(request: &SourcesRequest) -> Result<FileKey, Failure> {
    match (&request.name, request.hash, request.file) {
        (Some(name), None, None) => Ok(FileKey::Name(peral_wire::convert::name(name)?)),
        (None, Some(hash), None) => Ok(FileKey::Hash(hash)),
        (None, None, Some(file)) => Ok(FileKey::Id(file)),
        _ => Err(fail!(InvalidArgument, "give exactly one of name, hash and id of the file")),
    }
}
