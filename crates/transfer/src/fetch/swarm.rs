//! Who may have the file: the peers that were named, what became of each, and the newest right to
//! it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use peral_model::{
    PeerId, Record,
    plan::{Locality, SourceId},
};
use peral_wire::{ErrorCode, Failure, Sealed, fail, pb, rest::files::Source};
use tokio::time::timeout;

use super::{
    finder::{KnownSources, SourceFinder},
    request::{FetchDeps, FetchRequest},
};
use crate::nearness::{Here, Nearness};

/// Most peers that one download remembers; as many as its plan does.
const MAX_REMOTES: usize = 64;
/// How long central may take to name sources.
const ASKING: Duration = Duration::from_secs(15);
/// How often a peer that refused may come back because central names it again.
const MAX_RETURNS: u32 = 3;

/// A peer that may have the file.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    pub peer: PeerId,
    pub address: SocketAddr,
    pub locality: Locality,
    pub nearness: Nearness,
    /// Why it was of no use last time.
    pub failure: Option<Failure>,
    /// It refused, and is not asked unless it is named again.
    pub gone: bool,
    /// It lied; never again.
    pub liar: bool,
    returns: u32,
}

impl std::fmt::Display for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "peer {} at {}", self.peer, self.address)
    }
}

impl Remote {
    /// A failure with this peer before it, unless it names the peer already.
    pub fn said(&self, failure: &Failure) -> String {
        if failure.detail.contains(&self.peer.to_string()) {
            failure.to_string()
        } else {
            format!("{self}: {failure}")
        }
    }
}

/// All of them, numbered as the plan numbers its sources.
pub(super) struct Swarm {
    pub record: Sealed<Record>,
    pub grant: Option<pb::Envelope>,
    pub remotes: Vec<Remote>,
    /// Known holders that are away, as central said last.
    pub away: u64,
    finder: Arc<dyn SourceFinder>,
    here: Here,
}

impl Swarm {
    /// Those that the request names.
    pub fn new(request: &FetchRequest, deps: &FetchDeps) -> Self {
        let (record, grant) = (request.record.clone(), request.grant.clone());
        let mut this = Self {
            record,
            grant,
            remotes: Vec::new(),
            away: 0,
            finder: Arc::clone(&deps.finder),
            here: deps.here.clone(),
        };
        this.take(&request.sources);
        this
    }

    /// Asks central. The answer is for [`Self::merge`].
    pub fn look(&self) -> BoxFuture<'static, Result<KnownSources, Failure>> {
        let finder = Arc::clone(&self.finder);
        Box::pin(async move {
            let late = |_| {
                fail!(Unavailable, "central did not name sources within {} s", ASKING.as_secs())
            };
            timeout(ASKING, finder.sources()).await.unwrap_or_else(|elapsed| Err(late(elapsed)))
        })
    }

    /// Takes over what central said, and gives the numbers of those that are new or may be asked
    /// again.
    pub fn merge(&mut self, found: &KnownSources) -> Vec<SourceId> {
        self.away = found.away;
        let (new, old) = (&found.record.value, &self.record.value);
        // The same version, signed again because somebody's right changed.
        if (new.file, new.version, new.content) == (old.file, old.version, old.content)
            && new.serial >= old.serial
        {
            self.record = found.record.clone();
        }
        if found.grant.is_some() {
            self.grant.clone_from(&found.grant);
        }
        self.take(&found.sources)
    }

    fn take(&mut self, sources: &[Source]) -> Vec<SourceId> {
        // Partial holders will join once peers tell each other their pieces.
        let whole = sources.iter().filter(|source| source.complete);
        whole.filter_map(|source| self.take_one(source)).collect()
    }

    fn take_one(&mut self, source: &Source) -> Option<SourceId> {
        let address = source.address.parse().ok()?;
        if let Some(at) = self.remotes.iter().position(|remote| remote.peer == source.peer) {
            let known = self.remotes.get_mut(at)?;
            let returns = known.gone && known.returns < MAX_RETURNS;
            let moved = known.address != address;
            if known.liar || !(returns || moved) {
                return None;
            }
            known.returns += u32::from(returns);
            (known.address, known.gone) = (address, false);
            return number(at);
        }
        if self.remotes.len() >= MAX_REMOTES {
            return None;
        }
        let nearness = self.nearness(source);
        let locality = match nearness {
            Nearness::Node => Locality::Node,
            Nearness::Zone => Locality::Zone,
            Nearness::Other | Nearness::Unknown => Locality::Rest,
        };
        self.remotes.push(Remote {
            peer: source.peer,
            address,
            locality,
            nearness,
            failure: None,
            gone: false,
            liar: false,
            returns: 0,
        });
        number(self.remotes.len() - 1)
    }

    fn nearness(&self, source: &Source) -> Nearness {
        let (here, there) = (&self.here, source);
        let is_same = |ours: &str, theirs: &str| {
            (!ours.is_empty() && !theirs.is_empty()).then_some(ours == theirs)
        };
        match (is_same(&here.node, &there.node), is_same(&here.zone, &there.zone)) {
            (Some(true), _) => Nearness::Node,
            (_, Some(true)) => Nearness::Zone,
            (_, Some(false)) => Nearness::Other,
            (_, None) => Nearness::Unknown,
        }
    }

    /// The peer behind a number.
    pub fn remote(&self, id: SourceId) -> Option<&Remote> {
        self.remotes.get(usize::try_from(id.0).ok()?)
    }

    /// The same, to change it.
    pub fn remote_mut(&mut self, id: SourceId) -> Option<&mut Remote> {
        self.remotes.get_mut(usize::try_from(id.0).ok()?)
    }

    /// The numbers of those that may be asked, the near ones first.
    pub fn askable(&self) -> Vec<SourceId> {
        let may =
            self.remotes.iter().enumerate().filter(|(_, remote)| !remote.gone && !remote.liar);
        let mut may: Vec<_> =
            may.filter_map(|(at, remote)| Some((remote.locality, number(at)?))).collect();
        may.sort_by_key(|(locality, _)| *locality);
        may.into_iter().map(|(_, id)| id).collect()
    }

    /// What is shown to a peer: the file version, and the right to it.
    pub fn file(&self) -> pb::FileRef {
        let record = &self.record.value;
        pb::FileRef {
            file_id: record.file.to_vec().into(),
            version: record.version,
            record: Some(self.record.envelope.clone()),
            grant: self.grant.clone(),
        }
    }

    /// Notes why a peer was of no use.
    pub fn failed(&mut self, id: SourceId, failure: &Failure) {
        if let Some(remote) = self.remote_mut(id) {
            remote.gone = is_final(failure.code);
            remote.failure = Some(failure.clone());
        }
    }

    /// Nobody can be asked: who was tried, and what each said.
    pub fn no_source(&self) -> Failure {
        let name = self.record.value.name.as_str();
        let tried =
            self.remotes.iter().filter_map(|remote| Some(remote.said(remote.failure.as_ref()?)));
        let tried: Vec<String> = tried.take(5).collect();
        let tried =
            if tried.is_empty() { String::new() } else { format!(" ({})", tried.join("; ")) };
        let away = match self.away {
            0 => "try again when a peer that holds it is there".to_owned(),
            away => format!("{away} known holders are away; try again when one is back"),
        };
        fail!(NoSource, "no peer that holds {name:?} can be reached{tried}; {away}")
    }
}

fn number(at: usize) -> Option<SourceId> {
    u32::try_from(at).ok().map(SourceId)
}

/// Does it make no sense to ask this peer again, unless something changes?
pub(super) fn is_final(code: ErrorCode) -> bool {
    use ErrorCode as E;
    !matches!(
        code,
        E::Busy
            | E::RateLimited
            | E::Unavailable
            | E::DeadlineExceeded
            | E::Cancelled
            | E::Internal
            | E::NoSpace
    )
}

/// Does it refuse the right that was shown?
pub(super) fn is_refusal(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::NotFound | ErrorCode::Unauthenticated | ErrorCode::Forbidden)
}
