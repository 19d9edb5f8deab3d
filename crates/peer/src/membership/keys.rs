//! Central's keys, which may change.

use peral_runtime::Lock;
use peral_wire::keys::Jwks;

use super::member::Membership;

/// The file of what is known of the network.
pub(super) const NETWORK: &str = "network.json";

impl Membership {
    /// Fetches central's keys again.
    pub(super) async fn refresh_keys(&self) {
        let fetched = async { self.anonymous()?.jwks().await };
        match fetched.await {
            Ok(jwks) => self.keep_keys(jwks),
            Err(failure) => tracing::info!(reason = %failure, "could not fetch central's keys"),
        }
    }

    fn keep_keys(&self, jwks: Jwks) {
        let mut known = self.0.network.locked();
        let Some(network) =
            known.as_mut().filter(|network| network.jwks != jwks && !jwks.keys.is_empty())
        else {
            return;
        };
        tracing::info!(keys = jwks.keys.len(), "central's keys changed");
        network.jwks = jwks;
        self.0.library.rights().set_keys(network.verifier());
        if let Err(failure) = network.save(&self.0.library.data().file(NETWORK)) {
            tracing::warn!(reason = %failure, "could not store central's new keys");
        }
    }
}
