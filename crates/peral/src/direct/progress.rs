//! The engine's progress on the command's meter.

use peral_transfer::progress::{Observer, Phase, Progress};

use crate::{
    context::Context,
    output::{ProgressMeter, Step, TransferPhase},
};

/// Shows what the engine reports.
pub struct MeterObserver {
    meter: ProgressMeter,
}

impl MeterObserver {
    pub fn new(context: &Context) -> Self {
        Self { meter: context.out.meter() }
    }

    pub fn finish(&self) {
        self.meter.finish();
    }
}

impl Observer for MeterObserver {
    fn progress(&self, progress: &Progress) {
        let phase = match progress.phase {
            Phase::Waiting => TransferPhase::Waiting,
            Phase::Hashing => TransferPhase::Hashing,
            Phase::Moving => TransferPhase::Moving,
            Phase::Publishing => TransferPhase::Publishing,
        };
        let Progress { done, total, fetched, sources, .. } = *progress;
        self.meter.step(&Step { phase, done, total, fetched, sources });
    }

    fn note(&self, text: &str) {
        self.meter.note(text);
    }
}
