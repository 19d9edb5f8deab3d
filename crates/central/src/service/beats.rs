//! Heartbeats are collected, and written once a second in one statement. Their senders wait for
//! that, so that a heartbeat is acknowledged only after it is written.

use std::{collections::HashMap, sync::Mutex};

use peral_model::PeerId;
use peral_runtime::Lock;
use peral_wire::{Failure, fail, rest::peers::PeerState};
use tokio::sync::{Notify, oneshot};

use crate::store::peers::{Beat, Writer};

/// Maximum number of peers whose heartbeats wait.
const MAX_WAITING: usize = 50_000;

/// A heartbeat that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WrittenBeat {
    /// Number of the last delta that central has.
    pub last_delta: u64,
    /// Number of the newest notice.
    pub newest_notice: u64,
}

/// A heartbeat that waits to be written.
pub(super) struct WaitingBeat {
    pub beat: Beat,
    answer: oneshot::Sender<Result<WrittenBeat, Failure>>,
}

impl WaitingBeat {
    /// Answers the sender, if it still waits.
    pub fn answer(self, answer: Result<WrittenBeat, Failure>) {
        drop(self.answer.send(answer));
    }
}

/// Heartbeats that wait to be written, and the peers that sent one recently.
#[derive(Default)]
pub(crate) struct Beats {
    waiting: Mutex<HashMap<Writer, WaitingBeat>>,
    alive: Mutex<HashMap<PeerId, i64>>,
    urgent: Notify,
}

impl Beats {
    /// Takes a heartbeat and waits until it is written.
    ///
    /// # Errors
    /// STALE_EPOCH: the peer was superseded or logged out. REVOKED. BUSY, UNAVAILABLE.
    pub async fn add(&self, beat: Beat) -> Result<WrittenBeat, Failure> {
        let (answer, written) = oneshot::channel();
        let leaving = beat.state == PeerState::Leaving;
        {
            let mut waiting = self.waiting.locked();
            if waiting.len() >= MAX_WAITING && !waiting.contains_key(&beat.writer) {
                return Err(fail!(
                    Busy,
                    "too many heartbeats are waiting to be written; try again shortly"
                ));
            }
            // A second one of the same peer replaces the first, whose sender has given up.
            waiting.insert(beat.writer, WaitingBeat { beat, answer });
        }
        if leaving {
            self.urgent.notify_one();
        }
        written.await.unwrap_or_else(|_| {
            Err(fail!(
                Busy,
                "a newer heartbeat of this peer replaced this one before it was written"
            ))
        })
    }

    /// Completes when a heartbeat must be written at once.
    pub async fn urgent(&self) {
        self.urgent.notified().await;
    }

    /// Peers whose heartbeat this central took within the last lease.
    pub fn alive(&self) -> usize {
        self.alive.locked().len()
    }

    pub(super) fn take(&self) -> Vec<WaitingBeat> {
        std::mem::take(&mut *self.waiting.locked()).into_values().collect()
    }

    /// Remembers who is alive by these written heartbeats.
    pub(super) fn record_alive<'a>(&self, written: impl Iterator<Item = &'a Beat>, now_ms: i64) {
        let mut alive = self.alive.locked();
        alive.retain(|_, ends| *ends > now_ms);
        for beat in written {
            match beat.state {
                PeerState::Leaving => drop(alive.remove(&beat.writer.peer)),
                _ => drop(alive.insert(beat.writer.peer, beat.lease_ends_ms)),
            }
        }
    }
}
