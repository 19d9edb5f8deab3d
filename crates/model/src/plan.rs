//! The download plan: which pieces to request from which source, which are lost, which sources lie
//! or are slow, and when the download is done.
//!
//! A state machine without I/O and without a clock. A driver tells it what happened
//! ([`Plan::source_joined`], [`Plan::piece_arrived`], ...) and then asks it for [`Plan::actions`],
//! also at [`Plan::next_deadline`]. `now` is always the time since the download's start. Each
//! request is one stream of pieces from one source, in the order asked; the driver verifies each
//! piece before it hands it in.
//!
//! # Who is banned
//! A piece is judged only against the live request that asked for it. The first bad piece of a
//! source may come from an edited file or a bad disk, which is not a lie: all its requests are
//! cancelled, and only that piece is requested again, as *suspect*. If the source answers CHANGED,
//! it is out without a ban. If it sends a bad piece again, it lied and is banned. A good piece
//! clears it, but a later bad piece bans it at once. If the request fails, it is repeated after the
//! back-off, before any other. So a liar wastes two pieces of the download's work, and is then out
//! for good. Pieces that arrive on its cancelled requests are not judged.
//!
//! # Who is asked
//! Nearer sources first; within the same distance a draw weighted by what they deliver. Each gets
//! runs of about two seconds of its own rate, the next one before the last has ended. An idle
//! source takes over the tail of the slowest; at the end a piece is requested from a second source
//! where that is likely to be faster. Slow sources are asked last, and are not banned for that.

mod outcome;
mod pick;
mod request;
mod schedule;
mod source;
mod steal;
mod types;

use std::{collections::BTreeMap, time::Duration};

use rand::{RngExt, SeedableRng, rngs::SmallRng};

pub use self::types::{
    Action, Counters, End, Have, Locality, Loss, PlanConfig, Refused, RequestId, SourceId, Why,
};
use self::{
    pick::Rarity,
    request::Request,
    source::{SourceState, TrackedSource},
};
use crate::{
    Bitmap,
    bitmap::InvalidBitmap,
    pieces::{count, length},
};

/// One download.
#[derive(Debug)]
pub struct Plan {
    config: PlanConfig,
    size: u64,
    done: Bitmap,
    /// Done, or to come on a live request: not free to be asked for.
    taken: Bitmap,
    /// How often pieces became free again.
    freed: u64,
    rarity: Rarity,
    sources: BTreeMap<SourceId, TrackedSource>,
    requests: BTreeMap<RequestId, Request>,
    next_request: u64,
    rng: SmallRng,
    out: Vec<Action>,
    phase: PlanPhase,
    /// The last new piece or new source; the wait counts from here.
    alive: Duration,
    last_bad: Option<(u64, SourceId)>,
    counters: Counters,
    /// When actions were last asked for.
    looked: Duration,
}

/// The last action about the whole download, so that it is given once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlanPhase {
    Running,
    Stalled,
    Failed,
    Done,
}

impl Plan {
    /// Begins, or goes on with, the download of a content of `size` bytes of which the pieces
    /// `done` are there and verified. All randomness comes from `seed`.
    ///
    /// # Errors
    /// A bitmap of another number of pieces than the content has.
    pub fn new(
        config: PlanConfig,
        size: u64,
        done: Bitmap,
        seed: u64,
    ) -> Result<Self, InvalidBitmap> {
        check_length(&done, count(size))?;
        Ok(Self {
            config,
            size,
            taken: done.clone(),
            done,
            freed: 0,
            rarity: Rarity::default(),
            sources: BTreeMap::new(),
            requests: BTreeMap::new(),
            next_request: 0,
            rng: SmallRng::seed_from_u64(seed),
            out: Vec::new(),
            phase: PlanPhase::Running,
            alive: Duration::ZERO,
            last_bad: None,
            counters: Counters::default(),
            looked: Duration::ZERO,
        })
    }

    /// A source is there, for the first time or again; its back-off ends. Let those that are known
    /// join before the first `actions`: a plan whose sources are all out fails at once.
    ///
    /// # Errors
    /// It is out of this download for good, there are too many, or its bitmap has not the content's
    /// length.
    pub fn source_joined(
        &mut self,
        id: SourceId,
        have: Have,
        locality: Locality,
        now: Duration,
    ) -> Result<(), Refused> {
        let have = match have {
            Have::Some(bitmap) => {
                check_length(&bitmap, self.done.len())?;
                if bitmap.is_full() { Have::All } else { Have::Some(bitmap) }
            }
            Have::All => Have::All,
        };
        let known = self.sources.len();
        match self.sources.get(&id) {
            Some(source) if source.state == SourceState::Out => return Err(Refused::Out),
            None if known >= self.config.max_sources => return Err(Refused::TooMany),
            Some(_) => self.forget_have(id),
            None => self.alive = now,
        }
        if let Have::Some(bitmap) = &have {
            self.rarity.change(bitmap, 1);
        }
        let source =
            self.sources.entry(id).or_insert_with(|| TrackedSource::new(Have::All, locality, now));
        (source.have, source.locality) = (have, locality);
        (source.state, source.failures, source.fruitless) = (SourceState::Ready, 0, None);
        if self.phase != PlanPhase::Done {
            self.phase = PlanPhase::Running;
        }
        Ok(())
    }

    /// A source with a part of the content has one piece more.
    pub fn source_has(&mut self, id: SourceId, piece: u64) {
        let Some(source) = self.sources.get_mut(&id).filter(|source| source.counts()) else {
            return;
        };
        let Have::Some(bitmap) = &mut source.have else { return };
        if bitmap.set(piece, true) {
            self.rarity.one_more(piece);
            source.fruitless = None;
            if bitmap.is_full() {
                self.forget_have(id);
            }
        }
    }

    /// A source is lost as a whole, with all its requests: each is cancelled once more, and needs
    /// no `request_ended`.
    pub fn source_left(&mut self, id: SourceId, loss: Loss, now: Duration) {
        self.cancel_all(id);
        self.requests.retain(|_, request| request.source != id);
        self.lose(id, loss, now);
    }

    /// A verified piece is there. Says whether it is new, and so to be kept.
    pub fn piece_arrived(&mut self, request: RequestId, piece: u64, now: Duration) -> bool {
        let length = length(self.size, piece);
        let new = self.done.set(piece, true);
        self.taken.set(piece, true);
        *(if new { &mut self.counters.fetched } else { &mut self.counters.wasted }) += length;
        if new {
            self.alive = now;
            self.phase = PlanPhase::Running;
        }
        self.credit(request, piece, length, now);
        if new {
            self.cancel_needless();
        }
        new
    }

    /// Books a verified piece for the source that sent it.
    fn credit(&mut self, request: RequestId, piece: u64, length: u64, now: Duration) {
        let Some(request) = self.requests.get_mut(&request) else { return };
        let (id, live, suspect, asked) =
            (request.source, request.live, request.suspect, request.receive(piece));
        let Some(source) = self.sources.get_mut(&id) else { return };
        source.delivered += length;
        source.meter.piece(length, now);
        if !live {
            return;
        }
        if !asked {
            // A stream out of order, or without end, could waste without limit.
            return self.retire(id, SourceState::Out);
        }
        (source.state, source.failures) = (SourceState::Ready, 0);
        if suspect {
            source.doubt = None;
        }
    }

    /// A piece that does not hash to its entry, or has not its length. What follows of it: see the
    /// module's page.
    pub fn piece_bad(&mut self, request: RequestId, piece: u64, now: Duration) {
        self.counters.wasted += length(self.size, piece);
        let Some(request) = self.requests.get_mut(&request) else { return };
        let (id, live, suspect, asked) =
            (request.source, request.live, request.suspect, request.receive(piece));
        if !live {
            return;
        }
        if asked {
            self.free(&[piece]);
        }
        self.last_bad = Some((piece, id));
        let Some(source) = self.sources.get_mut(&id) else { return };
        if suspect || source.struck || !asked {
            self.retire(id, SourceState::Out);
            self.out.push(Action::Ban { source: id, piece });
        } else {
            (source.struck, source.doubt) = (true, Some(piece));
            self.cancel_all(id);
            self.wake(now);
        }
    }

    /// A request ended. What it still owed is asked from elsewhere; an end before that is a failure
    /// of its source.
    pub fn request_ended(&mut self, request: RequestId, end: End, now: Duration) {
        let Some(ended) = self.requests.remove(&request) else { return };
        self.out.retain(|action| *action != Action::Cancel { request });
        let owed: Vec<u64> = ended.kept().collect();
        self.free(&owed);
        match end {
            End::Complete if ended.is_complete() || !ended.live => {}
            End::Complete => self.lose(ended.source, Loss::Away, now),
            // A cancelled stream may break in any way: only a statement about the file counts.
            End::Lost(Loss::Away | Loss::Busy(_)) if !ended.live => {}
            End::Lost(loss) => self.lose(ended.source, loss, now),
        }
    }

    /// Whether this piece is still missing. Others need not be verified.
    pub fn wants(&self, piece: u64) -> bool {
        piece < self.done.len() && !self.done.get(piece)
    }

    /// The pieces that are there.
    pub fn done(&self) -> &Bitmap {
        &self.done
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Verified bytes that this source delivered, twice delivered ones among them.
    pub fn delivered(&self, id: SourceId) -> u64 {
        self.sources.get(&id).map_or(0, |source| source.delivered)
    }

    fn lose(&mut self, id: SourceId, loss: Loss, now: Duration) {
        let jitter = self.rng.random::<f64>();
        let Some(source) = self.sources.get_mut(&id).filter(|source| source.counts()) else {
            return;
        };
        let asked_for = match loss {
            Loss::Gone => return self.retire(id, SourceState::Gone),
            Loss::Changed => return self.retire(id, SourceState::Out),
            Loss::Away => Duration::ZERO,
            Loss::Busy(time) => time.min(self.config.max_back_off),
        };
        // Two requests that break with one connection are one failure.
        if source.state == SourceState::Ready {
            source.failures = source.failures.saturating_add(1);
            source.state =
                SourceState::Away(now + source.back_off(&self.config, jitter).max(asked_for));
        }
    }

    /// Takes a source out of the swarm.
    fn retire(&mut self, id: SourceId, state: SourceState) {
        self.cancel_all(id);
        self.forget_have(id);
        if let Some(source) = self.sources.get_mut(&id) {
            source.state = state;
        }
    }

    /// It no longer counts as a source with a part: it is complete, or gone.
    fn forget_have(&mut self, id: SourceId) {
        let Some(source) = self.sources.get_mut(&id) else { return };
        if let Have::Some(bitmap) = std::mem::replace(&mut source.have, Have::All) {
            self.rarity.change(&bitmap, -1);
        }
    }

    fn cancel_all(&mut self, id: SourceId) {
        let live: Vec<RequestId> = self
            .live()
            .filter(|(_, request)| request.source == id)
            .map(|(request, _)| request)
            .collect();
        live.into_iter().for_each(|request| self.cancel(request));
    }

    /// Cancels the requests that would only bring pieces that are here. The answer of a suspect is
    /// always wanted.
    fn cancel_needless(&mut self) {
        let needless = |request: &Request| {
            !request.suspect
                && !request.is_complete()
                && request.kept().all(|piece| self.done.get(piece))
        };
        let needless: Vec<RequestId> =
            self.live().filter(|(_, request)| needless(request)).map(|(id, _)| id).collect();
        needless.into_iter().for_each(|request| self.cancel(request));
    }

    fn cancel(&mut self, id: RequestId) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        let owed: Vec<u64> = request.kept().collect();
        request.live = false;
        self.out.push(Action::Cancel { request: id });
        self.free(&owed);
    }

    /// These pieces will not arrive on a request. Unless another request brings them, they can be
    /// requested again.
    fn free(&mut self, pieces: &[u64]) {
        for piece in pieces {
            if !self.done.get(*piece) && self.copies(*piece) == 0 {
                self.taken.set(*piece, false);
                self.freed += 1;
            }
        }
    }

    /// From how many requests this piece is to come.
    fn copies(&self, piece: u64) -> usize {
        self.live().filter(|(_, request)| request.kept().any(|kept| kept == piece)).count()
    }

    fn live(&self) -> impl Iterator<Item = (RequestId, &Request)> {
        self.requests.iter().filter(|(_, request)| request.live).map(|(id, request)| (*id, request))
    }
}

fn check_length(bitmap: &Bitmap, expected: u64) -> Result<(), InvalidBitmap> {
    let found = bitmap.len();
    if found == expected {
        Ok(())
    } else {
        Err(InvalidBitmap::WrongLength { unit: "pieces", found, expected })
    }
}
