//! Progress of a transfer: a bar on a terminal, now and then a line elsewhere, events as JSON.
//! Always on stderr.

use std::{
    io::{self, IsTerminal},
    sync::Mutex,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use peral_runtime::{Lock, SharedClock};
use serde::Serialize;

use super::{
    escape::shown,
    format::Format,
    sizes::{bytes, rate},
    streams::write_err,
};

/// Between two lines of text.
const LINE_EVERY: Duration = Duration::from_secs(2);
/// Between two JSON events.
const EVENT_EVERY: Duration = Duration::from_secs(1);
/// Between two of the same note to people: a source that cannot be reached is tried each second or
/// two.
const SAME_NOTE_EVERY: Duration = Duration::from_secs(60);
/// Different notes that are remembered for that.
const MAX_NOTED: usize = 32;
const BAR: &str =
    "{msg:12} {wide_bar:.cyan/blue} {bytes:>11} of {total_bytes} {bytes_per_sec:>13} {eta:>4}";

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// For a source, or for the peer to begin.
    Waiting,
    /// Bytes on this side are read and hashed.
    Hashing,
    /// Bytes cross the network.
    Moving,
    /// Central is told.
    Publishing,
    /// Ended well.
    Done,
}

/// Where a transfer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What is being done.
    pub phase: Phase,
    /// Bytes that are done.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
    /// Of those done, how many came over the network this time.
    pub fetched: u64,
    /// Sources that deliver now.
    pub sources: u32,
}

/// Shows steps as they come, not more often than is of use.
#[derive(Debug)]
pub struct Meter {
    kind: Kind,
    clock: SharedClock,
    last: Mutex<Option<(Duration, Step)>>,
    noted: Mutex<Vec<(Duration, String)>>,
}

#[derive(Debug)]
enum Kind {
    Bar(ProgressBar),
    Lines,
    Json,
}

impl Meter {
    pub(super) fn new(format: Format, clock: SharedClock) -> Self {
        let kind = match format {
            Format::Json => Kind::Json,
            Format::Text if io::stderr().is_terminal() => Kind::Bar(bar()),
            Format::Text => Kind::Lines,
        };
        Self { kind, clock, last: Mutex::new(None), noted: Mutex::default() }
    }

    /// Shows where the transfer stands.
    pub fn step(&self, step: &Step) {
        match &self.kind {
            Kind::Bar(bar) => show(bar, step),
            Kind::Lines if self.is_due(LINE_EVERY, step) => write_err(&line(step)),
            Kind::Json if self.is_due(EVENT_EVERY, step) => write_err(&event(step)),
            Kind::Lines | Kind::Json => {}
        }
    }

    /// Something that a person should know, while it goes on.
    pub fn note(&self, text: &str) {
        match &self.kind {
            Kind::Bar(_) | Kind::Lines if !self.is_news(text) => {}
            Kind::Bar(bar) => bar.suspend(|| write_err(&shown(text))),
            Kind::Lines => write_err(&shown(text)),
            Kind::Json => {
                write_err(&serde_json::json!({ "event": "note", "detail": text }).to_string());
            }
        }
    }

    /// Takes the bar off the screen.
    pub fn finish(&self) {
        if let Kind::Bar(bar) = &self.kind {
            bar.finish_and_clear();
        }
    }

    /// The first step, a new phase and the end are always shown; the others when their time has
    /// come.
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

    /// The same words are not shown again and again.
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

impl Drop for Meter {
    fn drop(&mut self) {
        self.finish();
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    // A template that cannot be read would be a defect, and no reason to fail a download:
    // indicatif's own looks well too.
    bar.set_style(
        ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar
}

fn show(bar: &ProgressBar, step: &Step) {
    // Without a total there is nothing to draw but a bar that looks full.
    if step.total == 0 {
        return;
    }
    bar.set_message(words(step));
    bar.set_length(step.total);
    bar.set_position(step.done);
}

fn words(step: &Step) -> String {
    match step.phase {
        Phase::Waiting => "waiting".into(),
        Phase::Hashing => "hashing".into(),
        Phase::Moving if step.sources > 1 => format!("{} sources", step.sources),
        Phase::Moving => "moving".into(),
        Phase::Publishing => "publishing".into(),
        Phase::Done => "done".into(),
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
    struct Event<'a> {
        event: &'static str,
        #[serde(flatten)]
        step: &'a Step,
    }
    serde_json::to_string(&Event { event: "progress", step }).unwrap_or_default()
}

/// What was moved, and how fast: the end of a transfer in words.
pub fn summary(moved: u64, took: Duration) -> String {
    format!("{} in {:.1} s, {}", bytes(moved), took.as_secs_f64(), rate(moved, took))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use peral_runtime::MockClock;

    use super::*;

    fn step(phase: Phase, done: u64) -> Step {
        Step { phase, done, total: 4 << 20, fetched: done, sources: 1 }
    }

    #[test]
    fn lines_come_at_most_every_two_seconds_and_at_each_new_phase() {
        let clock = Arc::new(MockClock::new(0));
        let meter = Meter {
            kind: Kind::Lines,
            clock: clock.clone(),
            last: Mutex::new(None),
            noted: Mutex::default(),
        };
        let due = |step: &Step| meter.is_due(LINE_EVERY, step);
        assert!(due(&step(Phase::Moving, 0)));
        assert!(!due(&step(Phase::Moving, 1)));
        clock.advance(Duration::from_millis(1999));
        assert!(!due(&step(Phase::Moving, 2)));
        assert!(due(&step(Phase::Publishing, 2)));
        clock.advance(Duration::from_secs(2));
        assert!(due(&step(Phase::Publishing, 3)));
    }

    #[test]
    fn the_same_note_is_shown_once_in_a_while() {
        let clock = Arc::new(MockClock::new(0));
        let meter = Meter {
            kind: Kind::Lines,
            clock: clock.clone(),
            last: Mutex::new(None),
            noted: Mutex::default(),
        };
        assert!(meter.is_news("one is away") && meter.is_news("another is away"));
        clock.advance(Duration::from_secs(59));
        assert!(!meter.is_news("one is away") && !meter.is_news("another is away"));
        clock.advance(Duration::from_secs(1));
        assert!(meter.is_news("one is away"));
    }

    #[test]
    fn a_bar_begins_when_the_total_is_known() {
        let bar = ProgressBar::hidden();
        show(&bar, &Step { phase: Phase::Waiting, done: 0, total: 0, fetched: 0, sources: 0 });
        assert_eq!((bar.message().as_str(), bar.length()), ("", None));
        show(&bar, &step(Phase::Moving, 1 << 20));
        assert_eq!(
            (bar.message().as_str(), bar.length(), bar.position()),
            ("moving", Some(4 << 20), 1 << 20)
        );
    }

    #[test]
    fn a_step_reads_well_for_people_and_for_programs() {
        let step = step(Phase::Moving, 1 << 20);
        assert_eq!(line(&step), "moving: 1 MiB of 4 MiB (25 %)");
        assert_eq!(line(&Step { total: 0, done: 0, ..step }), "moving");
        assert_eq!(line(&Step { total: 0, ..step }), "moving: 1 MiB");
        assert_eq!(
            event(&step),
            r#"{"event":"progress","phase":"moving","done":1048576,"total":4194304,"fetched":1048576,"sources":1}"#
        );
    }
}
