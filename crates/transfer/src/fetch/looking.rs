//! When central may be asked for more sources, and what it said last. It asks nobody itself: the
//! driver gives it the question and hears the answer from it.

use std::time::Duration;

use futures::future::BoxFuture;
use peral_wire::Failure;
use tokio::time::Instant;

use super::{finder::KnownSources, swarm::is_refusal};

/// Between two questions; doubles as long as they bring nothing.
const PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// A question to central that has not been answered.
pub(super) type Question = BoxFuture<'static, Result<KnownSources, Failure>>;

/// The state of the search for sources.
pub(super) struct Looking {
    open: Option<Question>,
    next: Instant,
    pause: Duration,
    /// Central answered since the plan gave up last.
    answered: bool,
    /// Central said last that there is no right to this file any more.
    refused: Option<Failure>,
}

impl Looking {
    pub fn new() -> Self {
        Self { open: None, next: Instant::now(), pause: PAUSE, answered: false, refused: None }
    }

    /// Whether a question may be asked: none is open, and the pause since the last one is over.
    pub fn is_due(&self) -> bool {
        self.open.is_none() && self.next <= Instant::now()
    }

    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// When the next question may be asked.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// Asks. The next question has to wait the longer the more have brought nothing.
    pub fn ask(&mut self, question: Question) {
        self.open = Some(question);
        self.next = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// The answer to the open question, once it comes; never, while none is open. May be dropped
    /// and awaited again.
    pub async fn answer(&mut self) -> Result<KnownSources, Failure> {
        let Some(question) = &mut self.open else { return std::future::pending().await };
        let answer = question.await;
        (self.open, self.answered, self.refused) = (None, true, None);
        if let Err(failure) = &answer {
            self.refused = is_refusal(failure.code).then(|| failure.clone());
        }
        answer
    }

    /// The last answer brought somebody new: the next question need not wait long.
    pub fn brought_somebody(&mut self) {
        self.pause = PAUSE;
    }

    /// The plan gave up: central is asked at once, and at least once before that is the end.
    pub fn plan_gave_up(&mut self) {
        (self.answered, self.next) = (false, Instant::now());
    }

    /// Whether central answered since the plan gave up last.
    pub fn has_answered(&self) -> bool {
        self.answered
    }

    /// Central's last answer, if it was that there is no right to the file any more.
    pub fn take_refusal(&mut self) -> Option<Failure> {
        self.refused.take()
    }
}

#[cfg(test)]
mod tests {
    use peral_wire::fail;
    use tokio::time::advance;

    use super::*;

    fn refusing(failure: Failure) -> Question {
        Box::pin(async move { Err(failure) })
    }

    async fn ask(looking: &mut Looking, failure: Failure) {
        looking.ask(refusing(failure));
        assert!(looking.is_open() && !looking.is_due());
        looking.answer().await.unwrap_err();
        assert!(!looking.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn questions_that_bring_nothing_become_rarer() {
        let mut looking = Looking::new();
        assert!(looking.is_due());
        for seconds in [2, 4, 8, 15, 15] {
            ask(&mut looking, fail!(Unavailable, "away")).await;
            advance(Duration::from_secs(seconds) - Duration::from_millis(1)).await;
            assert!(!looking.is_due(), "{seconds}");
            advance(Duration::from_millis(1)).await;
            assert!(looking.is_due(), "{seconds}");
        }
        looking.brought_somebody();
        ask(&mut looking, fail!(Unavailable, "away")).await;
        advance(Duration::from_secs(2)).await;
        assert!(looking.is_due());
    }

    #[tokio::test(start_paused = true)]
    async fn a_plan_that_gave_up_asks_at_once_and_waits_for_the_answer() {
        let mut looking = Looking::new();
        ask(&mut looking, fail!(Unavailable, "away")).await;
        assert!(looking.has_answered() && !looking.is_due());
        looking.plan_gave_up();
        assert!(!looking.has_answered() && looking.is_due());
        ask(&mut looking, fail!(Unavailable, "away")).await;
        assert!(looking.has_answered());
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_last_answer_can_be_a_refusal() {
        let mut looking = Looking::new();
        ask(&mut looking, fail!(Unavailable, "away")).await;
        assert_eq!(looking.take_refusal(), None);
        ask(&mut looking, fail!(NotFound, "not there, or not for you")).await;
        ask(&mut looking, fail!(Unavailable, "away")).await;
        assert_eq!(looking.take_refusal(), None, "a later answer takes its place");
        let failure = fail!(NotFound, "not there, or not for you");
        ask(&mut looking, failure.clone()).await;
        assert_eq!(looking.take_refusal(), Some(failure));
        assert_eq!(looking.take_refusal(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_question_no_answer_comes() {
        let mut looking = Looking::new();
        let waited = tokio::time::timeout(Duration::from_secs(3600), looking.answer()).await;
        assert!(waited.is_err());
    }
}
