//! Beginning a session: which central, and the login.

use peral_runtime::tls;
use peral_wire::{
    Failure, fail,
    proof::Proven,
    rest::sessions::{Credential, LoginRequest},
};

use super::csr;
use crate::{
    central::{self, Contact, FirstContact},
    context::Context,
    logins::Login,
};

impl Context {
    /// Central: the one that was named, the one logged in to before, or that of the peer here.
    ///
    /// # Errors
    /// INVALID_ARGUMENT: nothing says which. As [`FirstContact::meet`].
    pub async fn meet(&self, first: &FirstContact) -> Result<Contact, Failure> {
        let only = || self.logins.find(None).ok().flatten().map(|login| login.central);
        let named = self.central.as_deref().map(central::address).transpose()?.or_else(only);
        if !first.is_empty() {
            return first.meet(&self.named(named).await?).await;
        }
        let before = self
            .logins
            .all()
            .unwrap_or_default()
            .into_iter()
            .find(|login| Some(&login.central) == named.as_ref());
        if let Some(Login { central: base, network, .. }) = before {
            let catalogue = central::catalogue(&base, &network)?;
            return Ok(Contact { base, network, catalogue });
        }
        if let Some(mut control) = self.here().await {
            let session = control.session().await?;
            let of_peer = central::address(&session.central)?;
            if named.as_ref().is_none_or(|named| *named == of_peer) {
                return central::known(&of_peer, session.authority).await;
            }
        }
        first.meet(&self.named(named).await?).await
    }

    /// The central that was named, or that of the peer here.
    async fn named(&self, named: Option<String>) -> Result<String, Failure> {
        if let Some(named) = named {
            return Ok(named);
        }
        match self.here().await {
            Some(mut control) => central::address(&control.session().await?.central),
            None => Err(fail!(
                InvalidArgument,
                "say which central: --central https://HOST:7070 (or PERAL_CENTRAL, or in \
                 peral.toml)"
            )),
        }
    }
}

/// Logs in, with a new key.
///
/// # Errors
/// UNAUTHENTICATED: the credential is not believed. RATE_LIMITED. UNAVAILABLE.
pub async fn log_in(
    contact: Contact,
    credential: Credential,
    label: String,
) -> Result<Login, Failure> {
    let key = tls::new_key();
    let request = LoginRequest { credential, csr: csr(&key)?, label };
    let nonce = contact.catalogue.nonce().await?;
    let proof = Proven::sign(&request, contact.network.id, nonce.nonce, &key.0)?;
    let answer = contact.catalogue.login(&proof).await?;
    Ok(Login {
        central: contact.base,
        network: contact.network,
        session: answer.session,
        account: answer.account,
        name: answer.name,
        role: answer.role,
        session_ends_ms: answer.session_ends_ms,
        key: key.to_pem().map_err(|error| fail!(Internal, "{error}"))?,
        credentials: answer.credentials,
    })
}
