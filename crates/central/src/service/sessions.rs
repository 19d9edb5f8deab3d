//! Logins and logouts.

use std::net::IpAddr;

use peral_wire::{
    Failure, fail,
    proof::Proven,
    rest::{
        accounts::Account,
        sessions::{Credential, Login, LoginRequest},
    },
};
use secrecy::SecretString;

use super::{app::App, caller::Caller, check::at_most, credentials::SigningRequest, tokens};
use crate::{
    store::sessions::{Basis, NewSession},
    token::Subject,
};

/// What a credential proves.
struct ProvenLogin {
    account: Account,
    basis: Basis,
    /// When the proof expires.
    ends_ms: i64,
}

impl App {
    /// Begins a session.
    ///
    /// # Errors
    /// UNAUTHENTICATED, RATE_LIMITED, INVALID_ARGUMENT.
    pub async fn login(&self, remote: IpAddr, proof: &Proven) -> Result<Login, Failure> {
        let outcome = self.try_login(remote, proof).await;
        self.metrics.login(&outcome);
        match &outcome {
            Ok(login) => {
                let (account, session) = (login.name.as_str(), login.session);
                tracing::info!(account, %session, %remote, "logged in");
            }
            Err(failure) => tracing::info!(code = %failure.code, %remote, "refused a login"),
        }
        outcome
    }

    async fn try_login(&self, remote: IpAddr, proof: &Proven) -> Result<Login, Failure> {
        self.attempts.login(remote)?;
        let request: LoginRequest = self.read_proof(remote, proof)?;
        at_most("label", &request.label, 100)?;
        let signing = SigningRequest::read(&request.csr)?;
        let checked = self.check_proof(proof, &signing.public_key)?;
        let ProvenLogin { account, basis, ends_ms } =
            self.check_credential(request.credential, remote).await?;
        self.use_up(checked).await?;
        let now = self.now();
        let life = i64::try_from(self.config.session.as_millis()).unwrap_or(i64::MAX);
        let ends_ms = now.saturating_add(life).min(ends_ms);
        let certificate_ends_ms = self.certificate_ends(ends_ms);
        let public_key = signing.public_key.clone();
        let new = NewSession {
            account: account.id,
            basis,
            public_key,
            label: request.label,
            ends_ms,
            certificate_ends_ms,
            now_ms: now,
        };
        let session = self.store()?.begin_session(new).await?;
        let credentials = self.credentials(
            &signing,
            account.id,
            Subject::User { sid: session },
            certificate_ends_ms,
        )?;
        Ok(Login {
            session,
            account: account.id,
            name: account.name,
            role: account.role,
            credentials,
            session_ends_ms: ends_ms,
        })
    }

    /// The account that a credential proves.
    async fn check_credential(
        &self,
        credential: Credential,
        remote: IpAddr,
    ) -> Result<ProvenLogin, Failure> {
        match credential {
            Credential::Password { account, password } => {
                self.attempts.password(&account, remote)?;
                let known = self.store()?.secret(&account).await?;
                let hash = known.as_ref().and_then(|known| known.password.clone());
                let right =
                    self.passwords.check(&SecretString::from(password), hash.clone()).await?;
                match (known, hash) {
                    (Some(known), Some(hash)) if right && !known.account.disabled => {
                        let basis = Basis::Password(hash);
                        Ok(ProvenLogin { account: known.account, basis, ends_ms: i64::MAX })
                    }
                    _ => Err(fail!(Unauthenticated, "the account name or the password is wrong")),
                }
            }
            Credential::ApiToken { token } => {
                let known = self.store()?.api_token(&tokens::hash(&token), self.now()).await?;
                let known = known.ok_or_else(|| {
                    fail!(Unauthenticated, "the API token is unknown, revoked or expired")
                })?;
                let basis = Basis::ApiToken(known.id);
                Ok(ProvenLogin { account: known.account, basis, ends_ms: known.ends_ms })
            }
        }
    }

    /// Ends the calling session.
    ///
    /// # Errors
    /// FORBIDDEN for a peer.
    pub async fn logout(&self, caller: &Caller) -> Result<(), Failure> {
        let session = caller.session()?;
        self.store()?.end_session(session, Some(caller.account), self.now()).await?;
        self.live.forget_session(session).await;
        tracing::info!(%session, "logged out");
        Ok(())
    }
}
