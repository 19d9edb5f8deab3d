//! What a fetch is asked for, what it works with, and what it gives.

use std::{path::PathBuf, sync::Arc, time::Duration};

use peral_model::{Content, Record};
use peral_wire::{Sealed, pb, rest::files::Source};

use super::{finder::SourceFinder, room::Room};
use crate::{
    dial::Dialer, limits::Limits, lists::ListStore, metrics::Metrics, nearness::Here,
    registry::Registry, stamp::Stamp,
};

/// How long a known holder that is away is waited for, unless somebody says otherwise.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(120);

/// What to fetch, and to where.
#[derive(Debug, Clone)]
pub struct FetchRequest {
    /// The file version, as central signed it.
    pub record: Sealed<Record>,
    /// For a private file: the grant that this process may show.
    pub grant: Option<pb::Envelope>,
    /// Sources that are known already; central is asked for more, or for the first ones.
    pub sources: Vec<Source>,
    /// The file to write. Its folder is there.
    pub path: PathBuf,
    /// Replace a file that is there.
    pub overwrite: bool,
    /// How long known holders that are away are waited for, from the last new piece on.
    pub wait: Duration,
}

/// What a fetch works with.
#[derive(Clone)]
pub struct FetchDeps {
    /// Connects to peers.
    pub dialer: Dialer,
    /// Finds sources.
    pub finder: Arc<dyn SourceFinder>,
    /// Where piece lists are kept.
    pub lists: ListStore,
    /// The limits of this process.
    pub limits: Limits,
    /// Where others find what arrives.
    pub registry: Registry,
    /// Knows how much room there is.
    pub room: Arc<dyn Room>,
    /// Where this process runs, for choosing near sources.
    pub here: Here,
    /// Counters.
    pub metrics: Metrics,
    /// Where the plan's randomness comes from.
    pub seed: fn() -> u64,
}

/// A finished download.
#[derive(Debug)]
pub struct Fetched {
    /// Where the file is.
    pub path: PathBuf,
    /// What it looked like when it was put in place.
    pub stamp: Stamp,
    /// Its bytes.
    pub content: Content,
    /// Its record, as signed last.
    pub record: Sealed<Record>,
    /// Bytes that came over the network and were kept.
    pub bytes_fetched: u64,
    /// Bytes that came over the network and were thrown away.
    pub bytes_wasted: u64,
}
