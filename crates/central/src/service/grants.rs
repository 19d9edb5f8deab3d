//! Sources of a file, and grants: the right to a private one, for one bearer.

use base64::{Engine, engine::general_purpose::STANDARD};
use peral_model::{AccountId, Grant, Identity, Verb, Visibility};
use peral_wire::{
    ErrorCode, Failure, Sealed, fail,
    rest::{
        accounts::Role,
        files::{Sources, SourcesRequest},
    },
};

use super::{app::App, caller::Caller, check::at_most};
use crate::store::{
    Viewer,
    files::{FileKey, Found, SourcesOf},
};

/// How long a grant lasts, in milliseconds.
const GRANT_MS: i64 = 3_600_000;
/// How long after the account asked a peer may renew its grant, in milliseconds.
const RENEW_MS: i64 = 7 * 24 * 3_600_000;
/// Most characters of a node or a zone, as at registration.
const MAX_PLACE: usize = 253;
/// Most sources of one answer.
const MAX_SOURCES: u32 = 50;

/// Whose right it is, and since when.
struct Right {
    viewer: Viewer,
    asked_ms: i64,
}

impl App {
    /// Who has a file, its record, and the right to it.
    ///
    /// # Errors
    /// NOT_FOUND: not there, or not for this caller. FORBIDDEN: the bearer. UNAUTHENTICATED: the
    /// grant to renew.
    pub async fn sources(
        &self,
        caller: &Caller,
        request: SourcesRequest,
    ) -> Result<Sources, Failure> {
        let bearer = caller.bearer(request.bearer)?;
        at_most("node", &request.node, MAX_PLACE)?;
        at_most("zone", &request.zone, MAX_PLACE)?;
        let (key, version, right) = match &request.renew {
            None => (
                key_of(&request)?,
                request.version,
                Right { viewer: caller.viewer(), asked_ms: self.now() },
            ),
            Some(grant) => self.renewed(grant, bearer, caller).await?,
        };
        let found = self.store()?.find(key, version, right.viewer).await?;
        let found = found.ok_or_else(|| fail!(NotFound, "there is no such file or version"))?;
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

    fn grant(&self, found: &Found, right: &Right, bearer: Identity) -> Option<String> {
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
        tracing::info!(file = %grant.record.file, account = %grant.account, bearer = %grant.bearer, "granted");
        Some(Sealed::seal(grant, &self.keys.record).to_text())
    }

    /// What a grant that a peer renews was for, if that account still exists. Whether it still has
    /// the right is looked up as for anybody.
    async fn renewed(
        &self,
        grant: &str,
        bearer: Identity,
        caller: &Caller,
    ) -> Result<(FileKey, Option<u64>, Right), Failure> {
        caller
            .peer()
            .map_err(|_| fail!(Forbidden, "only peers renew grants; ask for the file again"))?;
        let grant = Sealed::<Grant>::from_text(grant, &self.keys.verifier)?.value;
        if grant.bearer != bearer {
            return Err(fail!(
                Forbidden,
                "the grant is another's: whoever was merely shown it can do nothing with it"
            ));
        }
        if grant.asked_ms + RENEW_MS <= self.now() {
            return Err(fail!(
                Forbidden,
                "the account asked for this file more than 7 days ago; it must ask again"
            ));
        }
        let viewer = self.viewer_of(grant.account).await?;
        Ok((
            FileKey::Id(grant.record.file),
            Some(grant.record.version),
            Right { viewer, asked_ms: grant.asked_ms },
        ))
    }

    async fn viewer_of(&self, account: AccountId) -> Result<Viewer, Failure> {
        let account = self.store()?.account(account).await?.filter(|account| !account.disabled);
        let account = account
            .ok_or_else(|| Failure::new(ErrorCode::NotFound, "there is no such file or version"))?;
        Ok(Viewer { account: account.id, admin: account.role == Role::Admin })
    }

    /// Where the bearer is: known of a peer, said by a user.
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

fn key_of(request: &SourcesRequest) -> Result<FileKey, Failure> {
    match (&request.name, request.hash, request.file) {
        (Some(name), None, None) => Ok(FileKey::Name(peral_wire::convert::name(name)?)),
        (None, Some(hash), None) => Ok(FileKey::Hash(hash)),
        (None, None, Some(file)) => Ok(FileKey::Id(file)),
        _ => Err(fail!(InvalidArgument, "ask for a file by name, by hash or by id: one of them")),
    }
}
