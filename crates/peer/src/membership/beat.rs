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

use super::Membership;
use crate::args::PodToken;

const OBEYED: &str = "obeyed";
/// More notices than these come with the next heartbeat, at once.
const ROUNDS: usize = 100;

/// Renews the lease; obeys; renews certificate and token where it is time.
pub(super) async fn beat(of: &Membership) -> Result<(), Failure> {
    let now_ms = of.0.clock.now_ms();
    let token_over = of.link().token_now().is_none_or(|(_, ends_ms)| ends_ms <= now_ms);
    if token_over || of.lifetime().is_none_or(|lifetime| lifetime.is_half_over(now_ms)) {
        renew(of).await?;
    }
    for _ in 0..ROUNDS {
        let obeyed = obeyed(of).await?;
        let answer = match send(of, obeyed).await {
            // The token is not believed, though its time is not over.
            Err(failure) if failure.code == ErrorCode::Unauthenticated => {
                renew(of).await?;
                send(of, obeyed).await?
            }
            answer => answer?,
        };
        if !obey(of, &answer, obeyed).await? {
            return Ok(());
        }
    }
    Ok(())
}

async fn obeyed(of: &Membership) -> Result<u64, Failure> {
    let kept = of.0.library.db().meta(OBEYED).await?;
    Ok(kept.and_then(|text| text.parse().ok()).unwrap_or(0))
}

async fn send(of: &Membership, obeyed: u64) -> Result<HeartbeatAnswer, Failure> {
    let library = &of.0.library;
    let room = library.space().room();
    let state = match of.is_leaving() {
        true => PeerState::Leaving,
        false if library.space().is_full() => PeerState::Full,
        false => PeerState::Ready,
    };
    let (token, _) = of.link().token_now().ok_or_else(|| fail!(Unavailable, "no token yet"))?;
    let before = library.acknowledged_delta();
    let beat = Heartbeat { state, room, last_delta: library.db().last_delta().await?, obeyed };
    let answer = of.anonymous()?.with_token(&token).heartbeat(&beat).await?;
    of.link().renew(&answer.token, answer.token_ends_ms);
    *of.0.beaten.locked() = Some(Instant::now());
    if answer.last_delta < before {
        // Central lost what it had acknowledged, as after a restore: it is sent again.
        tracing::warn!(
            central = answer.last_delta,
            acknowledged = before,
            "central misses deltas that it had acknowledged"
        );
        library.acknowledge(answer.last_delta);
        library.kicks().deltas.notify_one();
    }
    Ok(answer)
}

/// Obeys notices in order. True if there may be more.
async fn obey(of: &Membership, answer: &HeartbeatAnswer, before: u64) -> Result<bool, Failure> {
    for notice in &answer.notices {
        match of.0.library.obey(notice).await {
            Ok(()) => {}
            // A key that is not known yet: fetched, and tried once more.
            Err(failure) if failure.code == ErrorCode::Unauthenticated => {
                super::join::refresh_keys(of).await;
                of.0.library.obey(notice).await?;
            }
            Err(failure) => return Err(failure),
        }
    }
    if answer.obeyed != before {
        of.0.library.db().set_meta(OBEYED, answer.obeyed.to_string()).await?;
    }
    Ok(!answer.notices.is_empty())
}

/// Renews certificate and token by proof of the key.
async fn renew(of: &Membership) -> Result<(), Failure> {
    let standing = of.link().standing().ok_or_else(|| fail!(Unavailable, "not registered yet"))?;
    let catalogue = of.anonymous()?;
    let pod_token = of.0.about.pod_token.as_ref().map(PodToken::read).transpose()?;
    let request = RenewRequest {
        identity: Identity::Peer(standing.peer),
        csr: of.0.key.csr()?,
        epoch: Some(standing.epoch),
        pod_token,
    };
    let proof = of.0.key.prove(&catalogue, standing.network, &request).await?;
    let credentials = catalogue.renew(&proof).await?;
    of.take(standing, &credentials).await?;
    tracing::info!(ends_ms = credentials.certificate_ends_ms, "certificate and token are renewed");
    Ok(())
}
