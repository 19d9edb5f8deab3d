//! Work for idle sources: the tail of the slowest source's work, and at the end pieces that another
//! source is slow to send.

use std::time::Duration;

use super::{Plan, RequestId, SourceId, schedule::whole, source::TrackedSource};
use crate::pieces::PIECE;

/// A source with work, and the seconds that it will take for it.
struct Backlog {
    source: SourceId,
    seconds: f64,
}

/// A missing piece that a request will bring, and the seconds until then.
struct Expected {
    piece: u64,
    seconds: f64,
}

impl Plan {
    pub(super) fn help_out(&mut self, now: Duration) {
        for id in self.drawn(now) {
            if self.live_of(id).next().is_none() && self.may_begin() && !self.steal(id, now) {
                self.double(id, now);
            }
        }
    }

    /// The sources with work, the slowest first. A silent one will take at least as long as it has
    /// been silent.
    fn backlog(&self, now: Duration) -> Vec<Backlog> {
        let expected = |source: &TrackedSource, owed: u64| {
            let seconds = owed as f64 * PIECE as f64 / source.meter.rate_at(now);
            seconds.max(source.meter.silence(now).as_secs_f64())
        };
        let mut slowest: Vec<Backlog> = self
            .sources
            .iter()
            .map(|(id, source)| (*id, source, self.owed(*id)))
            .filter(|(.., owed)| *owed > 0)
            .map(|(id, source, owed)| Backlog { source: id, seconds: expected(source, owed) })
            .filter(|backlog| backlog.seconds >= self.config.worth.as_secs_f64())
            .collect();
        slowest.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        slowest
    }

    /// Takes the tail of the slowest source's work: half of it, or less if the thief is the slower
    /// one. The victim's stream goes on up to there.
    fn steal(&mut self, thief: SourceId, now: Duration) -> bool {
        for Backlog { source: victim, seconds } in self.backlog(now) {
            let newest = self
                .live_of(victim)
                .filter(|(_, request)| !request.suspect)
                .map(|(id, _)| id)
                .last();
            let Some(newest) = newest.filter(|_| victim != thief) else { continue };
            let pieces = self.take_tail(thief, newest, self.loot(thief, victim, seconds));
            if !pieces.is_empty() {
                self.cancel_needless();
                self.send(thief, &pieces, false, now);
                return true;
            }
        }
        false
    }

    /// How many pieces to take so that both end at about the same time.
    fn loot(&self, thief: SourceId, victim: SourceId, seconds: f64) -> u64 {
        let Some(source) = self.sources.get(&thief) else { return 0 };
        let owed = self.owed(victim);
        let theirs = owed as f64 * PIECE as f64 / seconds;
        let ours = source.meter.rate().unwrap_or(theirs);
        whole(owed as f64 * ours / (ours + theirs)).min(owed / 2).min(self.full_run(source))
    }

    /// Takes up to `most` pieces, as far as the thief has them, off the end of a request.
    fn take_tail(&mut self, thief: SourceId, from: RequestId, most: u64) -> Vec<u64> {
        let (Some(source), Some(request)) =
            (self.sources.get(&thief), self.requests.get_mut(&from))
        else {
            return Vec::new();
        };
        let mut pieces = Vec::new();
        while (pieces.len() as u64) < most {
            let Some(last) = request.kept().next_back() else { break };
            if !self.done.get(last) {
                if !source.have.has(last) {
                    break;
                }
                pieces.push(last);
            }
            request.give_up_last();
        }
        pieces.reverse();
        pieces
    }

    /// The endgame: nothing is free, so it asks for the piece that will come last from another
    /// source, if it would be faster. Two at most.
    fn double(&mut self, id: SourceId, now: Duration) {
        let missing = self.done.len() - self.done.count();
        if !self.taken.is_full() || missing > 4 * self.config.max_parallel as u64 {
            return;
        }
        let Some(source) = self.sources.get(&id) else { return };
        let ours = source.meter.rate().map_or(0.0, |rate| 2.0 * PIECE as f64 / rate);
        let latest = self
            .expected(now)
            .filter(|Expected { piece, seconds }| {
                *seconds > ours && source.have.has(*piece) && self.copies(*piece) == 1
            })
            .max_by(|a, b| a.seconds.total_cmp(&b.seconds));
        if let Some(latest) = latest {
            self.send(id, &[latest.piece], false, now);
        }
    }

    /// The missing pieces that requests will bring, as far as waiting for them takes long enough to
    /// act on it.
    fn expected(&self, now: Duration) -> impl Iterator<Item = Expected> {
        self.live().flat_map(move |(_, request)| {
            let meter = self.sources.get(&request.source).map(|source| &source.meter);
            let (rate, silence) = meter
                .map_or((1.0, 0.0), |meter| (meter.rate_at(now), meter.silence(now).as_secs_f64()));
            let seconds = move |at: usize| ((at + 1) as f64 * PIECE as f64 / rate).max(silence);
            let missing = request.kept().filter(|piece| !self.done.get(*piece)).enumerate();
            missing
                .map(move |(at, piece)| Expected { piece, seconds: seconds(at) })
                .filter(|expected| expected.seconds >= self.config.worth.as_secs_f64())
        })
    }
}
