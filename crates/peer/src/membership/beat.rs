//! One heartbeat, and what its answer asks for.

use std::time::Instant;

use peral_model::Identity;
use peral_runtime::Lock;
use peral_wire::{
    ErrorCode, Failure, fail,
    rest::{
        peers::{Heartbeat, HeartbeatAnswer, PeerState},
        sessions::RenewRequest,
    },
};

use super::member::Membership;
use crate::secret::PodToken;

/// Key of the last notice that this peer obeyed.
const OBEYED: &str = "obeyed";
/// One heartbeat brings at most this many batches of notices, one after the other; the rest come
/// with the next.
const ROUNDS: usize = 100;

impl Membership {
    /// Renews the lease; obeys notices; renews certificate and token when that is due.
    pub(super) async fn beat(&self) -> Result<(), Failure> {
        let now_ms = self.0.clock.now_ms();
        let token_over = self.link().token_now().is_none_or(|token| token.ends_ms <= now_ms);
        if token_over || self.lifetime().is_none_or(|lifetime| lifetime.is_half_over(now_ms)) {
            self.renew().await?;
        }
        for _ in 0..ROUNDS {
            let obeyed = self.obeyed().await?;
            let answer = match self.send_beat(obeyed).await {
                // Central rejects the token before it expires.
                Err(failure) if failure.code == ErrorCode::Unauthenticated => {
                    self.renew().await?;
                    self.send_beat(obeyed).await?
                }
                answer => answer?,
            };
            if !self.obey(&answer, obeyed).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn obeyed(&self) -> Result<u64, Failure> {
        let stored = self.0.library.db().meta(OBEYED).await?;
        Ok(stored.and_then(|text| text.parse().ok()).unwrap_or(0))
    }

    async fn send_beat(&self, obeyed: u64) -> Result<HeartbeatAnswer, Failure> {
        let library = &self.0.library;
        let room = library.space().room();
        let state = match self.is_leaving() {
            true => PeerState::Leaving,
            false if library.space().is_full() => PeerState::Full,
            false => PeerState::Ready,
        };
        let token = self.link().token_now().ok_or_else(|| fail!(Unavailable, "no token yet"))?;
        let before = library.acknowledged_delta();
        let beat = Heartbeat { state, room, last_delta: library.db().last_delta().await?, obeyed };
        let answer = self.anonymous()?.with_token(&token.text).heartbeat(&beat).await?;
        self.link().renew(&answer.token, answer.token_ends_ms);
        *self.0.heartbeat.locked() = Some(Instant::now());
        if answer.last_delta < before {
            // Central lost what it had acknowledged, as after a restore: it is sent again.
            tracing::warn!(
                central = answer.last_delta,
                acknowledged = before,
                "central lost deltas that it had acknowledged; sending them again"
            );
            library.acknowledge(answer.last_delta);
            library.wake_ups().deltas.notify_one();
        }
        Ok(answer)
    }

    /// Obeys notices in order. True if there may be more.
    async fn obey(&self, answer: &HeartbeatAnswer, before: u64) -> Result<bool, Failure> {
        let library = &self.0.library;
        for notice in &answer.notices {
            match library.obey(notice).await {
                Ok(()) => {}
                // A key that is not known yet: fetched, and tried once more.
                Err(failure) if failure.code == ErrorCode::Unauthenticated => {
                    self.refresh_keys().await;
                    library.obey(notice).await?;
                }
                Err(failure) => return Err(failure),
            }
        }
        if answer.obeyed != before {
            library.db().set_meta(OBEYED, answer.obeyed.to_string()).await?;
        }
        Ok(!answer.notices.is_empty())
    }

    /// Renews certificate and token by proof of the key.
    async fn renew(&self) -> Result<(), Failure> {
        let registration =
            self.link().registration().ok_or_else(|| fail!(Unavailable, "not registered yet"))?;
        let catalogue = self.anonymous()?;
        let pod_token = self.0.about.pod_token.as_ref().map(PodToken::read).transpose()?;
        let request = RenewRequest {
            identity: Identity::Peer(registration.peer),
            csr: self.0.key.csr()?,
            epoch: Some(registration.epoch),
            pod_token,
        };
        let proof = self.0.key.prove(&catalogue, registration.network, &request).await?;
        let credentials = catalogue.renew(&proof).await?;
        self.take(registration, &credentials).await?;
        tracing::info!(ends_ms = credentials.certificate_ends_ms, "renewed certificate and token");
        Ok(())
    }
}
