//! Asks the admin listener of a peer on this machine, if the peer's socket does not answer.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use serde::Deserialize;

/// The default admin address of peers.
const USUAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7079);
/// It is on this machine: it answers at once or not at all.
const LOOK: Duration = Duration::from_secs(1);
/// A check that only peers have.
const OF_A_PEER: &str = "volume";

/// A peer whose admin listener answers.
#[derive(Debug, PartialEq, Eq)]
pub enum Probed {
    Ready,
    /// It is not ready, for this reason.
    Waits(String),
}

#[derive(Deserialize)]
struct ReadinessAnswer {
    ready: bool,
    checks: BTreeMap<String, CheckAnswer>,
}

#[derive(Deserialize)]
struct CheckAnswer {
    ok: bool,
    #[serde(default)]
    text: String,
}

/// The peer on this machine, at the admin address of the environment or the default one.
pub async fn peer_here() -> Option<Probed> {
    let said = std::env::var("PERAL_PEER_ADMIN_LISTEN")
        .ok()
        .and_then(|text| text.parse::<SocketAddr>().ok());
    let at = match said.unwrap_or(USUAL) {
        any if any.ip().is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), any.port()),
        own => own,
    };
    let http = reqwest::Client::builder().no_proxy().timeout(LOOK).build().ok()?;
    let answer = http.get(format!("http://{at}/readyz")).send().await.ok()?;
    judge(&answer.bytes().await.ok()?)
}

fn judge(answer: &[u8]) -> Option<Probed> {
    let said: ReadinessAnswer = serde_json::from_slice(answer).ok()?;
    if !said.checks.contains_key(OF_A_PEER) {
        return None;
    }
    if said.ready {
        return Some(Probed::Ready);
    }
    // Until the peer has its volume, all other checks are "starting": that is not the reason.
    let bad = said.checks.iter().filter(|(_, check)| !check.ok);
    let reasons = bad
        .map(|(_, check)| check.text.as_str())
        .filter(|text| *text != "starting")
        .collect::<Vec<_>>();
    Some(Probed::Waits(if reasons.is_empty() {
        "it is starting".into()
    } else {
        reasons.join("; ")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_recognised_and_says_what_it_waits_for() {
        let of = |text: &str| judge(text.as_bytes());
        assert_eq!(
            of(r#"{"ready":true,"checks":{"network":{"ok":true},"volume":{"ok":true}}}"#),
            Some(Probed::Ready)
        );
        let waits = r#"{"ready":false,"checks":{"network":{"ok":false,"text":"starting"},"volume":{"ok":false,"text":"no /data"}}}"#;
        assert_eq!(of(waits), Some(Probed::Waits("no /data".into())));
        let starts = r#"{"ready":false,"checks":{"network":{"ok":false,"text":"starting"},"volume":{"ok":true}}}"#;
        assert_eq!(of(starts), Some(Probed::Waits("it is starting".into())));
        assert_eq!(of(r#"{"ready":false,"checks":{"database":{"ok":false,"text":"x"}}}"#), None);
        assert_eq!(of("live\n"), None);
    }
}
