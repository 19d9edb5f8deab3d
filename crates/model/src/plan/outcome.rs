//! Which sources are slow, stuck or back, whether the download can still succeed, and when to look
//! again.

use std::time::Duration;

use super::{Action, Loss, Plan, PlanPhase, SourceId, Why, source::SourceState};
use crate::pieces::PIECE;

impl Plan {
    /// Sources whose back-off is over may be asked again.
    pub(super) fn wake(&mut self, now: Duration) {
        for source in self.sources.values_mut() {
            if matches!(source.state, SourceState::Away(until) if until <= now) {
                source.state = SourceState::Ready;
            }
        }
    }

    /// Sources that have sent nothing for long count as away.
    pub(super) fn drop_stuck(&mut self, now: Duration) {
        let patience = self.patience(self.config.stuck_after);
        let stuck: Vec<SourceId> = self
            .busy()
            .filter(|(_, last)| now.saturating_sub(*last) >= patience)
            .map(|(id, _)| id)
            .collect();
        for id in stuck {
            self.cancel_all(id);
            self.lose(id, Loss::Away, now);
        }
    }

    /// Finds the slow sources by the median of those at work. A slow one stops being slow at half of
    /// the factor.
    pub(super) fn judge_speed(&mut self, now: Duration) {
        let patience = self.patience(self.config.slow_after);
        let busy: Vec<SourceId> = self.busy().map(|(id, _)| id).collect();
        let mut rates: Vec<f64> =
            busy.iter().filter_map(|id| self.sources.get(id)?.meter.rate()).collect();
        rates.sort_by(f64::total_cmp);
        let median = rates.get(rates.len() / 2).copied().unwrap_or(0.0);
        for id in busy {
            let Some(source) = self.sources.get_mut(&id) else { continue };
            let factor =
                if source.slow { self.config.slow_factor / 2.0 } else { self.config.slow_factor };
            source.slow = source.meter.silence(now) >= patience
                || source.meter.rate_at(now) * factor < median;
        }
    }

    /// The sources at work, and since when each has sent nothing.
    fn busy(&self) -> impl Iterator<Item = (SourceId, Duration)> {
        self.sources
            .iter()
            .filter(|(id, _)| self.live_of(**id).next().is_some())
            .map(|(id, source)| (*id, source.meter.last()))
    }

    /// A time limit for a source, longer where our own rate limit makes all of them slow.
    fn patience(&self, time: Duration) -> Duration {
        let ours = self
            .config
            .limit
            .map_or(0, |limit| self.config.max_parallel as u64 * PIECE / limit.max(1));
        time.saturating_add(Duration::from_secs(ours))
    }

    fn wait_ends(&self) -> Duration {
        self.alive.saturating_add(self.config.wait)
    }

    /// Without a request under way: waits for sources that may come back, or gives up.
    pub(super) fn weigh_end(&mut self, now: Duration) {
        if self.live().next().is_some() {
            return;
        }
        let hope = self.sources.is_empty()
            || self.sources.values().any(super::source::TrackedSource::counts);
        if hope && now < self.wait_ends() {
            if self.phase == PlanPhase::Running {
                self.phase = PlanPhase::Stalled;
                self.out.push(Action::Stalled { until: self.wait_ends() });
            }
        } else if self.phase != PlanPhase::Failed {
            self.phase = PlanPhase::Failed;
            let lie = self
                .last_bad
                .filter(|_| !hope)
                .map(|(piece, sender)| Why::Integrity { piece, sender });
            self.out.push(Action::Failed(lie.unwrap_or(Why::NoSource)));
        }
    }

    /// When `actions` has something to do though nothing happens; later than the last call of it.
    /// Nothing once the plan is at its end.
    pub fn next_deadline(&self) -> Option<Duration> {
        if matches!(self.phase, PlanPhase::Done | PlanPhase::Failed) {
            return None;
        }
        let back = self.sources.values().filter_map(|source| match source.state {
            SourceState::Away(until) => Some(until),
            _ => None,
        });
        let (slow, stuck) =
            (self.patience(self.config.slow_after), self.patience(self.config.stuck_after));
        let silent = self
            .busy()
            .flat_map(|(_, last)| [last.saturating_add(slow), last.saturating_add(stuck)]);
        let working = self.live().next().is_some();
        let idle = self.sources.iter().any(|(id, source)| {
            source.state == SourceState::Ready && self.live_of(*id).next().is_none()
        });
        let help = (working && idle).then(|| self.looked.saturating_add(self.config.worth));
        let end = (!working).then(|| self.wait_ends());
        back.chain(silent).chain(help).chain(end).filter(|deadline| *deadline > self.looked).min()
    }
}
