//! Heartbeats: collected, and written once a second in one statement. Who sent one waits for that,
//! so that what it is told was written.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use peral_model::PeerId;
use peral_runtime::Shutdown;
use peral_wire::{Failure, fail, rest::peers::PeerState};
use tokio::sync::{Notify, oneshot};

use super::App;
use crate::store::{
    Refusal,
    peers::{Beat, Writer},
};

/// How often they are written.
const EVERY: Duration = Duration::from_secs(1);
/// A write that takes longer has failed.
const DEADLINE: Duration = Duration::from_secs(10);
/// Most peers whose heartbeats wait.
const MAX_WAITING: usize = 50_000;
/// How long a peer is alive after a heartbeat, in milliseconds.
pub const LEASE_MS: i64 = 30_000;

/// What became of one heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Number of the last delta that central has.
    pub last_delta: u64,
    /// Number of the newest notice.
    pub newest_notice: u64,
}

type Answer = oneshot::Sender<Result<Outcome, Failure>>;

/// Heartbeats that wait to be written, and who has sent one lately.
#[derive(Default)]
pub struct Beats {
    waiting: Mutex<HashMap<Writer, (Beat, Answer)>>,
    alive: Mutex<HashMap<PeerId, i64>>,
    now: Notify,
}

impl Beats {
    /// Takes a heartbeat and waits until it is written.
    ///
    /// # Errors
    /// STALE_EPOCH: the peer was superseded or logged out. REVOKED. BUSY, UNAVAILABLE.
    pub async fn add(&self, beat: Beat) -> Result<Outcome, Failure> {
        let (answer, written) = oneshot::channel();
        {
            let mut waiting = lock(&self.waiting);
            if waiting.len() >= MAX_WAITING && !waiting.contains_key(&beat.writer) {
                return Err(fail!(Busy, "too many peers send heartbeats at once"));
            }
            // A second one of the same peer takes the place of the first, whose sender has given up
            // on it.
            waiting.insert(beat.writer, (beat, answer));
        }
        if beat.state == PeerState::Leaving {
            self.now.notify_one();
        }
        written.await.unwrap_or_else(|_| {
            Err(fail!(Busy, "a newer heartbeat of this peer came before this one was written"))
        })
    }

    /// Peers whose heartbeat this central took within the last lease.
    pub fn alive(&self) -> usize {
        lock(&self.alive).len()
    }

    fn take(&self) -> Vec<(Beat, Answer)> {
        std::mem::take(&mut *lock(&self.waiting)).into_values().collect()
    }

    fn note(&self, beats: &[Beat], good: &[Option<u64>], now_ms: i64) {
        let mut alive = lock(&self.alive);
        alive.retain(|_, ends| *ends > now_ms);
        for (beat, _) in beats.iter().zip(good).filter(|(_, last_delta)| last_delta.is_some()) {
            match beat.state {
                PeerState::Leaving => drop(alive.remove(&beat.writer.peer)),
                _ => drop(alive.insert(beat.writer.peer, beat.lease_ends_ms)),
            }
        }
    }
}

impl App {
    /// Writes heartbeats until the drain is over.
    pub async fn write_beats(&self, shutdown: &Shutdown) {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = self.beats.now.notified() => {}
                () = shutdown.killed().cancelled() => return,
            }
            self.write_waiting().await;
        }
    }

    async fn write_waiting(&self) {
        let (beats, answers): (Vec<Beat>, Vec<Answer>) = self.beats.take().into_iter().unzip();
        let outcome = match beats.is_empty() {
            true => Ok((vec![], 0)),
            false => self.write(beats.clone()).await,
        };
        match outcome {
            Ok((last_deltas, newest_notice)) => {
                self.beats.note(&beats, &last_deltas, self.now());
                let written = last_deltas.iter().flatten().count();
                self.metrics.heartbeats(written, beats.len() - written);
                let mut refused = Vec::new();
                for ((beat, answer), last_delta) in beats.iter().zip(answers).zip(last_deltas) {
                    match last_delta {
                        // Whoever no longer waits does not mind.
                        Some(last_delta) => {
                            drop(answer.send(Ok(Outcome { last_delta, newest_notice })));
                        }
                        None => refused.push((beat.writer.peer, answer)),
                    }
                }
                for (peer, answer) in refused {
                    drop(answer.send(Err(self.why_refused(peer).await)));
                }
            }
            Err(failure) => {
                self.metrics.heartbeats_lost(beats.len());
                answers.into_iter().for_each(|answer| drop(answer.send(Err(failure.clone()))));
            }
        }
    }

    /// Why a heartbeat that carries a good token was not written.
    async fn why_refused(&self, id: PeerId) -> Failure {
        let found = async { Ok::<_, Failure>(self.store()?.peer(id).await?) };
        match found.await {
            Ok(Some(peer)) if peer.revoked => Refusal::PeerRevoked.into(),
            Ok(_) => Refusal::StaleEpoch.into(),
            Err(failure) => failure,
        }
    }

    async fn write(&self, beats: Vec<Beat>) -> Result<(Vec<Option<u64>>, u64), Failure> {
        let late = |_| {
            fail!(
                Unavailable,
                "the database did not take heartbeats within {} s",
                DEADLINE.as_secs()
            )
        };
        let beaten =
            tokio::time::timeout(DEADLINE, self.store()?.beat(beats)).await.map_err(late)??;
        Ok((beaten.last_deltas, beaten.newest_notice))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
