//! What the admin listener of a peer on this machine says, where its socket does not answer.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use serde::Deserialize;

/// Where peers serve their probes unless they are told otherwise.
const USUAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7079);
/// It is on this machine: it answers at once or not at all.
const LOOK: Duration = Duration::from_secs(1);
/// The check that a peer has and no other process of ours.
const OF_A_PEER: &str = "volume";

/// A peer whose admin listener answers.
#[derive(Debug, PartialEq, Eq)]
pub enum Probed {
    /// It can serve.
    Ready,
    /// It cannot; what it says about it.
    Waits(String),
}

#[derive(Deserialize)]
struct Readiness {
    ready: bool,
    checks: BTreeMap<String, Check>,
}

#[derive(Deserialize)]
struct Check {
    ok: bool,
    #[serde(default)]
    text: String,
}

/// The peer of this machine, where its probes are served as its environment says, or as usual.
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
    let said: Readiness = serde_json::from_slice(answer).ok()?;
    if !said.checks.contains_key(OF_A_PEER) {
        return None;
    }
    if said.ready {
        return Some(Probed::Ready);
    }
    // Until it has its volume, nothing else has begun: that is no reason.
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
    fn a_peer_is_told_from_others_and_says_what_it_waits_for() {
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
