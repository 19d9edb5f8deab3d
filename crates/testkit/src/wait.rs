//! Waiting for a condition. No test waits for a time: a deadline only ends one that would hang.

use std::{
    fmt::Debug,
    thread,
    time::{Duration, Instant},
};

/// Far longer than anything takes here, on a busy machine too.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks at something on this machine.
const PAUSE: Duration = Duration::from_millis(20);

/// What a look at a condition may give: whether it holds, or what was waited for.
pub trait Look {
    /// What was waited for.
    type Found;

    /// What was waited for, or else what was seen.
    ///
    /// # Errors
    /// The condition does not hold yet.
    fn found(self) -> Result<Self::Found, String>;
}

impl Look for bool {
    type Found = ();

    fn found(self) -> Result<(), String> {
        self.then_some(()).ok_or_else(|| "it does not hold".into())
    }
}

impl<T> Look for Option<T> {
    type Found = T;

    fn found(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing".into())
    }
}

impl<T, E: Debug> Look for Result<T, E> {
    type Found = T;

    fn found(self) -> Result<T, String> {
        self.map_err(|seen| format!("{seen:?}"))
    }
}

/// When to give up, and how often to look.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    most: Duration,
    pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self::most(PATIENCE)
    }
}

impl Patience {
    /// Gives up after this time.
    pub const fn most(most: Duration) -> Self {
        Self { most, pause: PAUSE }
    }

    /// Looks less often: each look costs what is looked at.
    pub const fn looking_every(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// Looks until the condition holds; gives what was found.
    ///
    /// # Panics
    /// It does not hold in time: with what was waited for, and what was seen last.
    pub async fn until<L: Look>(self, what: &str, mut look: impl AsyncFnMut() -> L) -> L::Found {
        let end = tokio::time::Instant::now() + self.most;
        let mut last = "the first look did not end".to_owned();
        loop {
            match tokio::time::timeout_at(end, look()).await.map(Look::found) {
                Ok(Ok(found)) => return found,
                Ok(Err(seen)) => last = seen,
                Err(_) => panic!("{what}: not within {:?}; last seen: {last}", self.most),
            }
            tokio::time::sleep(self.pause).await;
        }
    }

    /// The same in a test that blocks its thread.
    ///
    /// # Panics
    /// As [`Patience::until`].
    pub fn eventually<L: Look>(self, what: &str, mut look: impl FnMut() -> L) -> L::Found {
        let end = Instant::now() + self.most;
        loop {
            match look().found() {
                Ok(found) => return found,
                Err(last) => assert!(
                    Instant::now() < end,
                    "{what}: not within {:?}; last seen: {last}",
                    self.most
                ),
            }
            thread::sleep(self.pause);
        }
    }
}

/// Looks until the condition holds, for at most [`PATIENCE`]; gives what was found.
///
/// # Panics
/// It does not hold in time.
pub async fn until<L: Look>(what: &str, look: impl AsyncFnMut() -> L) -> L::Found {
    Patience::default().until(what, look).await
}

/// The same in a test that blocks its thread.
///
/// # Panics
/// It does not hold in time.
pub fn eventually<L: Look>(what: &str, look: impl FnMut() -> L) -> L::Found {
    Patience::default().eventually(what, look)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_found_is_given() {
        let mut looks = 0;
        let third = || {
            looks += 1;
            (looks == 3).then_some("found")
        };
        assert_eq!(eventually("the third look", third), "found");
        until("a condition", async || true).await;
        assert_eq!(until("a success", async || Ok::<_, ()>(7)).await, 7);
    }

    #[test]
    #[should_panic(expected = "a success: not within 1ms; last seen: \"busy\"")]
    fn what_was_seen_last_is_said() {
        Patience::most(Duration::from_millis(1)).eventually("a success", || Err::<(), _>("busy"));
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "an answer: not within 90s; last seen: the first look did not end")]
    async fn a_look_that_hangs_is_given_up() {
        until("an answer", std::future::pending::<bool>).await;
    }
}
