//! Which source is asked next, and for how many pieces.

use std::{cmp::Ordering, time::Duration};

use rand::RngExt;

use super::{
    Action, Have, Locality, Plan, PlanPhase, RequestId, SourceId, pick, request,
    request::Request,
    source::{SourceState, TrackedSource},
};
use crate::pieces::PIECE;

/// Requests that a source has at a time: one under way, one to follow.
const DEPTH: usize = 2;
/// This many pieces are taken at random before rarity counts, to have something to offer soon.
const RANDOM_FIRST: u64 = 4;

/// The place of a source in the order in which sources are asked.
struct Draw {
    slow: bool,
    locality: Locality,
    /// Exponential, by the rate of the source.
    time: f64,
    source: SourceId,
}

impl Draw {
    fn order(&self, other: &Self) -> Ordering {
        let key = |draw: &Self| (draw.slow, draw.locality);
        let times = self.time.partial_cmp(&other.time).unwrap_or(Ordering::Equal);
        key(self).cmp(&key(other)).then(times)
    }
}

impl Plan {
    /// What the driver must do now. Call it after each event and at [`Self::next_deadline`].
    pub fn actions(&mut self, now: Duration) -> Vec<Action> {
        self.looked = now;
        if self.done.is_full() {
            self.finish();
        } else {
            self.drop_stuck(now);
            self.judge_speed(now);
            self.wake(now);
            self.ask_suspects(now);
            while self.hand_out(now) {}
            self.help_out(now);
            self.weigh_end(now);
        }
        std::mem::take(&mut self.out)
    }

    fn finish(&mut self) {
        if self.phase != PlanPhase::Done {
            self.phase = PlanPhase::Done;
            let live: Vec<RequestId> = self.live().map(|(id, _)| id).collect();
            live.into_iter().for_each(|id| self.cancel(id));
            self.out.push(Action::Done);
        }
    }

    /// Whether this source may be asked at all. After the wait, sources that failed since their last
    /// piece are not tried again.
    pub(super) fn may_ask(&self, source: &TrackedSource, now: Duration) -> bool {
        source.state == SourceState::Ready
            && (source.failures == 0 || now < self.alive.saturating_add(self.config.wait))
    }

    /// Requests each bad piece again from the source that sent it.
    fn ask_suspects(&mut self, now: Duration) {
        let in_doubt = self.sources.iter().filter(|(id, source)| {
            self.may_ask(source, now) && self.live_of(**id).next().is_none()
        });
        let ask: Vec<(SourceId, u64)> =
            in_doubt.filter_map(|(id, source)| Some((*id, source.doubt?))).collect();
        for (id, piece) in ask {
            self.send(id, &[piece], true, now);
        }
    }

    /// Gives each source with room for it a run of free pieces. False when there was nothing to
    /// give.
    fn hand_out(&mut self, now: Duration) -> bool {
        if self.taken.is_full() {
            return false;
        }
        let mut given = false;
        for id in self.drawn(now) {
            let Some(source) =
                self.sources.get(&id).filter(|source| source.fruitless != Some(self.freed))
            else {
                continue;
            };
            if !self.has_room(id, source) {
                continue;
            }
            let pieces = self.pick(id, self.run(source, now));
            if pieces.is_empty() {
                self.fruitless(id);
            } else {
                self.send(id, &pieces, false, now);
                given = true;
            }
        }
        given
    }

    /// Those that may be asked: the fast before the slow, the near before the far, then by a draw
    /// weighted by what they deliver.
    pub(super) fn drawn(&mut self, now: Duration) -> Vec<SourceId> {
        let rates: Vec<f64> =
            self.sources.values().filter_map(|source| source.meter.rate()).collect();
        let usual =
            if rates.is_empty() { 1.0 } else { rates.iter().sum::<f64>() / rates.len() as f64 };
        let candidates: Vec<(SourceId, bool, Locality, f64)> = self
            .sources
            .iter()
            .filter(|(_, source)| source.doubt.is_none() && self.may_ask(source, now))
            .map(|(id, source)| {
                (*id, source.slow, source.locality, source.meter.rate().unwrap_or(usual))
            })
            .collect();
        // Weighted draw without putting back (Efraimidis and Spirakis): the least of exponential
        // times.
        let mut draws: Vec<Draw> = candidates
            .into_iter()
            .map(|(source, slow, locality, rate)| {
                let time = -(1.0 - self.rng.random::<f64>()).ln() / rate;
                Draw { slow, locality, time, source }
            })
            .collect();
        draws.sort_by(Draw::order);
        draws.into_iter().map(|draw| draw.source).collect()
    }

    /// Whether one more request fits. The next run is requested when half of a run is left, so that
    /// the link never idles.
    fn has_room(&self, id: SourceId, source: &TrackedSource) -> bool {
        let live = self.live_of(id).count();
        if live == 0 {
            return self.may_begin();
        }
        !source.slow && live < DEPTH && self.owed(id) <= (self.full_run(source) / 2).max(1)
    }

    /// Whether one more source may be asked. Slow ones do not count.
    pub(super) fn may_begin(&self) -> bool {
        let fast = self
            .sources
            .iter()
            .filter(|(id, source)| !source.slow && self.live_of(**id).next().is_some());
        fast.count() < self.config.max_parallel
    }

    /// Pieces of a run to this source: its own rate for the time of a run; near the end a fair
    /// share of what is left.
    fn run(&self, source: &TrackedSource, now: Duration) -> u64 {
        let others = self.sources.values().filter(|other| self.may_ask(other, now)).count() as u64;
        let free = self.taken.len() - self.taken.count();
        let share = if others <= 1 { free } else { free.div_ceil(2 * others) };
        self.full_run(source).min(share.max(1))
    }

    pub(super) fn full_run(&self, source: &TrackedSource) -> u64 {
        let most = self.config.max_run.max(1);
        let Some(rate) = source.meter.rate() else { return self.config.first_run.clamp(1, most) };
        whole(rate * self.config.run_time.as_secs_f64() / PIECE as f64).clamp(1, most)
    }

    fn pick(&mut self, id: SourceId, want: u64) -> Vec<u64> {
        let start = self.rng.random_range(0..self.taken.len().max(1));
        let Some(source) = self.sources.get(&id) else { return Vec::new() };
        let want = usize::try_from(want).unwrap_or(usize::MAX);
        match &source.have {
            Have::All if !self.rarity.matters() => pick::next(&self.taken, want),
            have => {
                let rarity = (self.done.count() >= RANDOM_FIRST).then_some(&self.rarity);
                pick::rarest(&self.taken, have, rarity, start, want)
            }
        }
    }

    /// Nothing that is free is had there; no need to look again before something changes.
    fn fruitless(&mut self, id: SourceId) {
        if let Some(source) = self.sources.get_mut(&id) {
            source.fruitless = Some(self.freed);
        }
    }

    /// Asks this source for these pieces.
    pub(super) fn send(&mut self, id: SourceId, pieces: &[u64], suspect: bool, now: Duration) {
        let idle = self.live_of(id).next().is_none();
        if let Some(source) = self.sources.get_mut(&id).filter(|_| idle) {
            source.meter.begin(now);
        }
        for piece in pieces {
            self.taken.set(*piece, true);
        }
        let request = RequestId(self.next_request);
        self.next_request += 1;
        self.requests.insert(request, Request::new(id, pieces, suspect));
        self.out.push(Action::Request {
            request,
            source: id,
            ranges: request::ranges(pieces),
            suspect,
        });
    }

    pub(super) fn live_of(&self, id: SourceId) -> impl Iterator<Item = (RequestId, &Request)> {
        self.live().filter(move |(_, request)| request.source == id)
    }

    /// Pieces that are still wanted from this source.
    pub(super) fn owed(&self, id: SourceId) -> u64 {
        self.live_of(id)
            .flat_map(|(_, request)| request.kept())
            .filter(|piece| !self.done.get(*piece))
            .count() as u64
    }
}

/// A number of pieces out of an estimate.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float casts saturate, and negative or no numbers become 0"
)]
pub(super) fn whole(pieces: f64) -> u64 {
    pieces as u64
}
