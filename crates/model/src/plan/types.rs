//! What goes into a plan and what comes out of it.

use std::{ops::Range, time::Duration};

use crate::{Bitmap, bitmap::InvalidBitmap};

/// How a plan behaves. The defaults are right for a network of gigabit links.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanConfig {
    /// Most pieces of one request. A source is never asked for more than one and a half of it at a
    /// time. Default 64.
    pub max_run: u64,
    /// Pieces of a request to a source whose rate is not known yet. Default 4.
    pub first_run: u64,
    /// How long a run should take. Default 2 s.
    pub run_time: Duration,
    /// Most sources that are asked at the same time, slow ones apart. Default 16.
    pub max_parallel: usize,
    /// Most sources that the plan remembers, banned ones among them. Default 64.
    pub max_sources: usize,
    /// Work that ends within this time is not taken from anybody. Also how often idle sources are
    /// looked at. Default 200 ms.
    pub worth: Duration,
    /// A source that sends no piece for this time is slow. Default 10 s.
    pub slow_after: Duration,
    /// A source that is slower than the median by this factor is slow. Default 8.
    pub slow_factor: f64,
    /// A source that sends no piece for this time counts as away. Default 60 s: 1 MiB in that time
    /// is 17 kB/s.
    pub stuck_after: Duration,
    /// First back-off of a source that failed; doubles with each failure. Default 0.5 s.
    pub back_off: Duration,
    /// Longest back-off, whatever the source says. Default 15 s.
    pub max_back_off: Duration,
    /// How long holders that are away are waited for, from the last new piece on. Default 120 s.
    pub wait: Duration,
    /// The limit in bytes a second that the driver keeps the whole download to, if any: sources are
    /// then not blamed for slowness that is ours.
    pub limit: Option<u64>,
}

impl Default for PlanConfig {
    fn default() -> Self {
        Self {
            max_run: 64,
            first_run: 4,
            run_time: Duration::from_secs(2),
            max_parallel: 16,
            max_sources: 64,
            worth: Duration::from_millis(200),
            slow_after: Duration::from_secs(10),
            slow_factor: 8.0,
            stuck_after: Duration::from_secs(60),
            back_off: Duration::from_millis(500),
            max_back_off: Duration::from_secs(15),
            wait: Duration::from_secs(120),
            limit: None,
        }
    }
}

/// A source, numbered by the driver: one number for one authenticated peer id, also when it comes
/// back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u32);

/// One request of a plan; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Which pieces a source has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Have {
    /// The whole content.
    All,
    /// These; [`super::Plan::source_has`] adds to them.
    Some(Bitmap),
}

impl Have {
    pub(super) fn has(&self, piece: u64) -> bool {
        match self {
            Self::All => true,
            Self::Some(bitmap) => bitmap.get(piece),
        }
    }
}

/// How near a source is; nearer ones are asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Locality {
    /// On the same node.
    Node,
    /// In the same zone.
    Zone,
    /// Elsewhere, or unknown.
    Rest,
}

/// Why a source gives nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Refused connection, broken stream, leaving, late: asked again after a back-off.
    Away,
    /// It says that it is busy, and for how long: asked again after that, within the longest
    /// back-off.
    Busy(Duration),
    /// Not found, not allowed, superseded: not asked again unless it joins again.
    Gone,
    /// Its file is not what was indexed any more: not a lie, but it has nothing to offer now.
    Changed,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The stream ended in order, or the driver ended it because of [`Action::Cancel`].
    Complete,
    /// It failed.
    Lost(Loss),
}

/// What the driver must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Ask `source` for `ranges`, in this order. The driver answers each request with exactly one
    /// `request_ended`.
    Request {
        /// Its number.
        request: RequestId,
        /// The source to ask.
        source: SourceId,
        /// Which pieces: at least one, and none of them twice.
        ranges: Vec<Range<u64>>,
        /// Ask the holder to hash again before it sends.
        suspect: bool,
    },
    /// End this request: what is left of it comes from elsewhere. Pieces that are here already may
    /// still be handed in.
    Cancel {
        /// Its number.
        request: RequestId,
    },
    /// This source lied about this piece and is never asked again for this content. Its requests
    /// were cancelled before.
    Ban {
        /// The liar.
        source: SourceId,
        /// The piece that showed it.
        piece: u64,
    },
    /// All pieces are there. The last action of a plan.
    Done,
    /// No source can be asked now. Ends in [`Why::NoSource`] unless one joins or comes back before
    /// `until`: the time to look for more sources.
    Stalled {
        /// When the plan gives up, since the start.
        until: Duration,
    },
    /// The plan cannot continue with its sources. A source that joins afterwards restarts it.
    Failed(Why),
}

/// Why a download failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// No reachable source has the missing pieces.
    #[error("no reachable source has the missing pieces")]
    NoSource,
    /// No source is left, and the last bad piece came from this one.
    #[error(
        "piece {piece} does not hash to its entry in the piece list, and no other source is left"
    )]
    Integrity {
        /// The piece.
        piece: u64,
        /// Who sent it.
        sender: SourceId,
    },
}

/// Why a source is not taken into the plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It lied, broke the protocol or lost the content.
    #[error("this source is out of this download for good")]
    Out,
    /// [`PlanConfig::max_sources`] are there.
    #[error("the download has reached its limit of sources")]
    TooMany,
    /// Its bitmap belongs to another content.
    #[error(transparent)]
    Bitmap(#[from] InvalidBitmap),
}

/// What a plan has counted, in bytes of whole pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Verified, and not there before.
    pub fetched: u64,
    /// Bad, or there already.
    pub wasted: u64,
}
