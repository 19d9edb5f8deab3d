//! Progress of a transfer, on stderr: a bar on a terminal, a line now and then elsewhere, events as
//! JSON.

use std::{
    io::{self, IsTerminal},
    sync::Mutex,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use peral_runtime::{Lock, SharedClock};
use serde::Serialize;

use super::{
    escape::escape,
    format::Format,
    sizes::{bytes, rate},
    streams::write_err,
};

/// Between two lines of text.
const LINE_EVERY: Duration = Duration::from_secs(2);
/// Between two JSON events.
const EVENT_EVERY: Duration = Duration::from_secs(1);
/// Between two of the same note to people: an unreachable source is retried each second or two.
const SAME_NOTE_EVERY: Duration = Duration::from_secs(60);
/// How many different notes are remembered for that.
const MAX_NOTED: usize = 32;
const BAR: &str =
    "{msg:12} {wide_bar:.cyan/blue} {bytes:>11} of {total_bytes} {bytes_per_sec:>13} {eta:>4}";

/// What a transfer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TransferPhase {
    /// Waiting for a source, or for the peer to start.
    Waiting,
    /// Reading and hashing bytes on this side.
    Hashing,
    /// Bytes are crossing the network.
    Moving,
    /// Central is publishing.
    Publishing,
    /// Finished.
    Done,
}

/// The progress of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Step {
    pub phase: TransferPhase,
    /// Bytes that are ready.
    pub done: u64,
    /// Bytes in total.
    pub total: u64,
    /// Bytes of those that came over the network this time.
    pub fetched: u64,
    /// Sources that are sending now.
    pub sources: u32,
}

/// Shows steps, at most as often as is useful.
#[derive(Debug)]
pub struct ProgressMeter {
    kind: MeterStyle,
    clock: SharedClock,
    last: Mutex<Option<(Duration, Step)>>,
    noted: Mutex<Vec<(Duration, String)>>,
}

#[derive(Debug)]
enum MeterStyle {
    Bar(ProgressBar),
    Lines,
    Json,
}

impl ProgressMeter {
    pub(super) fn new(format: Format, clock: SharedClock) -> Self {
        let kind = match format {
            Format::Json => MeterStyle::Json,
            Format::Text if io::stderr().is_terminal() => MeterStyle::Bar(bar()),
            Format::Text => MeterStyle::Lines,
        };
        Self { kind, clock, last: Mutex::new(None), noted: Mutex::default() }
    }

    /// Shows the progress.
    pub fn step(&self, step: &Step) {
        match &self.kind {
            MeterStyle::Bar(bar) => show(bar, step),
            MeterStyle::Lines if self.is_due(LINE_EVERY, step) => write_err(&line(step)),
            MeterStyle::Json if self.is_due(EVENT_EVERY, step) => write_err(&event(step)),
            MeterStyle::Lines | MeterStyle::Json => {}
        }
    }

    /// Something that a person should know during the transfer.
    pub fn note(&self, text: &str) {
        match &self.kind {
            MeterStyle::Bar(_) | MeterStyle::Lines if !self.is_news(text) => {}
            MeterStyle::Bar(bar) => bar.suspend(|| write_err(&escape(text))),
            MeterStyle::Lines => write_err(&escape(text)),
            MeterStyle::Json => {
                write_err(&serde_json::json!({ "event": "note", "detail": text }).to_string());
            }
        }
    }

    /// Takes the bar off the screen.
    pub fn finish(&self) {
        if let MeterStyle::Bar(bar) = &self.kind {
            bar.finish_and_clear();
        }
    }

    /// The first step and each new phase are always shown; the others when their time has come.
    fn is_due(&self, every: Duration, step: &Step) -> bool {
        let now = self.clock.monotonic();
        let mut last = self.last.locked();
        let due =
            last.is_none_or(|(then, before)| before.phase != step.phase || now >= then + every);
        if due {
            *last = Some((now, *step));
        }
        due
    }

    /// The same note is not repeated all the time.
    fn is_news(&self, text: &str) -> bool {
        let now = self.clock.monotonic();
        let mut noted = self.noted.locked();
        noted.retain(|(then, _)| now < *then + SAME_NOTE_EVERY);
        let news = noted.iter().all(|(_, before)| before != text);
        if news && noted.len() < MAX_NOTED {
            noted.push((now, text.to_owned()));
        }
        news
    }
}

impl Drop for ProgressMeter {
    fn drop(&mut self) {
        self.finish();
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    // A wrong template must not fail a download: indicatif's default looks good too.
    bar.set_style(
        ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar
}

fn show(bar: &ProgressBar, step: &Step) {
    // Without a total, a bar would look full.
    if step.total == 0 {
        return;
    }
    bar.set_message(words(step));
    bar.set_length(step.total);
    bar.set_position(step.done);
}

fn words(step: &Step) -> String {
    match step.phase {
        TransferPhase::Waiting => "waiting".into(),
        TransferPhase::Hashing => "hashing".into(),
        TransferPhase::Moving if step.sources > 1 => format!("{} sources", step.sources),
        TransferPhase::Moving => "moving".into(),
        TransferPhase::Publishing => "publishing".into(),
        TransferPhase::Done => "done".into(),
    }
}

fn line(step: &Step) -> String {
    match (u128::from(step.done) * 100).checked_div(u128::from(step.total)) {
        Some(percent) => {
            format!("{}: {} of {} ({percent} %)", words(step), bytes(step.done), bytes(step.total))
        }
        None if step.done > 0 => format!("{}: {}", words(step), bytes(step.done)),
        None => words(step),
    }
}

fn event(step: &Step) -> String {
    #[derive(Serialize)]
    struct ProgressEvent<'a> {
        event: &'static str,
        #[serde(flatten)]
        step: &'a Step,
    }
    serde_json::to_string(&ProgressEvent { event: "progress", step }).unwrap_or_default()
}

/// A finished transfer in words: how much, and how fast.
pub fn summary(moved: u64, took: Duration) -> String {
    format!("{} in {:.1} s, {}", bytes(moved), took.as_secs_f64(), rate(moved, took))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use peral_runtime::MockClock;

    use super::*;

    fn step(phase: TransferPhase, done: u64) -> Step {
        Step { phase, done, total: 4 << 20, fetched: done, sources: 1 }
    }

    #[test]
    fn lines_come_at_most_every_two_seconds_and_at_each_new_phase() {
        let clock = Arc::new(MockClock::new(0));
        let meter = ProgressMeter {
            kind: MeterStyle::Lines,
            clock: clock.clone(),
            last: Mutex::new(None),
            noted: Mutex::default(),
        };
        let due = |step: &Step| meter.is_due(LINE_EVERY, step);
        assert!(due(&step(TransferPhase::Moving, 0)));
        assert!(!due(&step(TransferPhase::Moving, 1)));
        clock.advance(Duration::from_millis(1999));
        assert!(!due(&step(TransferPhase::Moving, 2)));
        assert!(due(&step(TransferPhase::Publishing, 2)));
        clock.advance(Duration::from_secs(2));
        assert!(due(&step(TransferPhase::Publishing, 3)));
    }

    #[test]
    fn the_same_note_is_shown_once_in_a_while() {
        let clock = Arc::new(MockClock::new(0));
        let meter = ProgressMeter {
            kind: MeterStyle::Lines,
            clock: clock.clone(),
            last: Mutex::new(None),
            noted: Mutex::default(),
        };
        assert!(meter.is_news("one is offline") && meter.is_news("another is offline"));
        clock.advance(Duration::from_secs(59));
        assert!(!meter.is_news("one is offline") && !meter.is_news("another is offline"));
        clock.advance(Duration::from_secs(1));
        assert!(meter.is_news("one is offline"));
    }

    #[test]
    fn a_bar_begins_when_the_total_is_known() {
        let bar = ProgressBar::hidden();
        show(
            &bar,
            &Step { phase: TransferPhase::Waiting, done: 0, total: 0, fetched: 0, sources: 0 },
        );
        assert_eq!((bar.message().as_str(), bar.length()), ("", None));
        show(&bar, &step(TransferPhase::Moving, 1 << 20));
        assert_eq!(
            (bar.message().as_str(), bar.length(), bar.position()),
            ("moving", Some(4 << 20), 1 << 20)
        );
    }

    #[test]
    fn a_step_reads_well_for_people_and_for_programs() {
        let step = step(TransferPhase::Moving, 1 << 20);
        assert_eq!(line(&step), "moving: 1 MiB of 4 MiB (25 %)");
        assert_eq!(line(&Step { total: 0, done: 0, ..step }), "moving");
        assert_eq!(line(&Step { total: 0, ..step }), "moving: 1 MiB");
        assert_eq!(
            event(&step),
            r#"{"event":"progress","phase":"moving","done":1048576,"total":4194304,"fetched":1048576,"sources":1}"#
        );
    }
}
