//! Heartbeats: the lease of a peer, and what it must obey.

use std::{iter::zip, time::Duration};

use peral_model::PeerId;
use peral_wire::{
    Failure, convert, fail,
    rest::peers::{Heartbeat, HeartbeatAnswer},
};

use super::{app::App, beats::WrittenBeat, caller::PeerCaller};
use crate::{
    store::{
        Refusal,
        peers::{Beat, Beaten},
    },
    token::Subject,
};

/// A write that takes longer has failed.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long a peer counts as alive after a heartbeat, in milliseconds.
pub(super) const LEASE_MS: i64 = 30_000;

impl App {
    /// Takes a heartbeat; its answer has the notices that the peer must obey. The new token expires
    /// with the peer's last proof, so that a stolen token cannot be renewed for ever.
    ///
    /// # Errors
    /// STALE_EPOCH, UNAVAILABLE, BUSY.
    pub async fn heartbeat(
        &self,
        peer: &PeerCaller,
        beat: &Heartbeat,
    ) -> Result<HeartbeatAnswer, Failure> {
        let now_ms = self.now();
        let room = convert::size(beat.room)?;
        let beat_row = Beat {
            writer: peer.writer,
            state: beat.state,
            room,
            seen_ms: now_ms,
            lease_ends_ms: now_ms + LEASE_MS,
        };
        let written = self.beats.add(beat_row).await?;
        let (mut notices, mut obeyed) = (vec![], beat.obeyed);
        if written.newest_notice != beat.obeyed {
            let news = self.store()?.notices(peer.writer.peer, beat.obeyed, now_ms).await?;
            (notices, obeyed) = (news.notices, news.obeyed);
        }
        let subject = Subject::Peer { pid: peer.writer.peer, epoch: peer.writer.epoch };
        let issued =
            self.keys.tokens.issue(peer.account, subject, peer.proof_ends_ms, self.now())?;
        Ok(HeartbeatAnswer {
            token: issued.token,
            token_ends_ms: issued.ends_ms,
            last_delta: written.last_delta,
            notices,
            obeyed,
        })
    }

    /// Writes the heartbeats that wait, and answers their senders.
    pub async fn write_beats(&self) {
        let waiting = self.beats.take();
        if waiting.is_empty() {
            self.beats.record_alive(std::iter::empty(), self.now());
            return;
        }
        let beats = waiting.iter().map(|waiting| waiting.beat).collect();
        let Beaten { last_deltas, newest_notice } = match self.write(beats).await {
            Ok(beaten) => beaten,
            Err(failure) => {
                self.metrics.heartbeats_lost(waiting.len());
                waiting.into_iter().for_each(|waiting| waiting.answer(Err(failure.clone())));
                return;
            }
        };
        let written = zip(&waiting, &last_deltas).filter(|(_, last_delta)| last_delta.is_some());
        self.beats.record_alive(written.map(|(waiting, _)| &waiting.beat), self.now());
        let written = last_deltas.iter().flatten().count();
        self.metrics.heartbeats(written, waiting.len() - written);
        let mut refused = Vec::new();
        for (waiting, last_delta) in zip(waiting, last_deltas) {
            match last_delta {
                Some(last_delta) => waiting.answer(Ok(WrittenBeat { last_delta, newest_notice })),
                None => refused.push(waiting),
            }
        }
        for waiting in refused {
            let failure = self.why_refused(waiting.beat.writer.peer).await;
            waiting.answer(Err(failure));
        }
    }

    /// Why a heartbeat with a valid token was not written.
    async fn why_refused(&self, id: PeerId) -> Failure {
        let found = async { Ok::<_, Failure>(self.store()?.peer(id).await?) };
        match found.await {
            Ok(Some(peer)) if peer.revoked => Refusal::PeerRevoked.into(),
            Ok(_) => Refusal::StaleEpoch.into(),
            Err(failure) => failure,
        }
    }

    async fn write(&self, beats: Vec<Beat>) -> Result<Beaten, Failure> {
        let late = |_| {
            fail!(
                Unavailable,
                "the database did not write heartbeats within {} s",
                DEADLINE.as_secs()
            )
        };
        Ok(tokio::time::timeout(DEADLINE, self.store()?.beat(beats)).await.map_err(late)??)
    }
}
