//! Logins, renewals, and what users do with their own account.

use std::net::IpAddr;

use peral_model::{Identity, PeerId, SessionId};
use peral_wire::{
    Failure, fail,
    proof::Proven,
    rest::{
        Page,
        accounts::{Account, Role, Session},
        sessions::{
            Credential, Credentials, Login, LoginRequest, PasswordChange, RenewRequest, WhoAmI,
        },
    },
};
use secrecy::SecretString;

use super::{app::App, caller::Caller, check::at_most, credentials::SigningRequest, tokens};
use crate::{
    password,
    store::{
        Refusal, accounts,
        peers::{KnownPeer, Writer},
        sessions::{Basis, NewSession},
    },
    token::Subject,
};

/// A peer that renews.
struct Renewing {
    writer: Writer,
    pod_token: Option<String>,
    remote: IpAddr,
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
                tracing::info!(account = login.name, session = %login.session, %remote, "logged in");
            }
            Err(failure) => tracing::info!(code = %failure.code, %remote, "login refused"),
        }
        outcome
    }

    async fn try_login(&self, remote: IpAddr, proof: &Proven) -> Result<Login, Failure> {
        self.attempts.login(remote)?;
        let request: LoginRequest = self.read_proof(remote, proof)?;
        at_most("label", &request.label, 100)?;
        let signing = SigningRequest::read(&request.csr)?;
        let checked = self.check_proof(proof, &signing.public_key)?;
        let (account, basis, proof_ends_ms) = self.believe(request.credential, remote).await?;
        self.use_up(checked).await?;
        let now = self.now();
        let life = i64::try_from(self.config.session.as_millis()).unwrap_or(i64::MAX);
        let ends_ms = now.saturating_add(life).min(proof_ends_ms);
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

    /// The account that a credential proves, and when that proof ends.
    async fn believe(
        &self,
        credential: Credential,
        remote: IpAddr,
    ) -> Result<(Account, Basis, i64), Failure> {
        match credential {
            Credential::Password { account, password } => {
                self.attempts.password(&account, remote)?;
                let known = self.store()?.secret(&account).await?;
                let hash = known.as_ref().and_then(|known| known.password.clone());
                let right =
                    self.passwords.check(&SecretString::from(password), hash.clone()).await?;
                match (known, hash) {
                    (Some(known), Some(hash)) if right && !known.account.disabled => {
                        Ok((known.account, Basis::Password(hash), i64::MAX))
                    }
                    _ => Err(fail!(Unauthenticated, "no account has this name and password")),
                }
            }
            Credential::ApiToken { token } => {
                let known = self.store()?.api_token(&tokens::hash(&token), self.now()).await?;
                let known = known.ok_or_else(|| {
                    fail!(Unauthenticated, "the API token is unknown or has ended")
                })?;
                Ok((known.account, Basis::ApiToken(known.id), known.ends_ms))
            }
        }
    }

    /// Ends the session that calls.
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

    /// Renews certificate and token of a session or a peer, ended or not.
    ///
    /// # Errors
    /// UNAUTHENTICATED: another key, another pod, or nobody that goes on. STALE_EPOCH: a superseded
    /// peer. REVOKED: a revoked one. UNAVAILABLE or BUSY where Kubernetes must be asked.
    pub async fn renew(&self, remote: IpAddr, proof: &Proven) -> Result<Credentials, Failure> {
        let request: RenewRequest = self.read_proof(remote, proof)?;
        let signing = SigningRequest::read(&request.csr)?;
        match (request.identity, request.epoch) {
            (Identity::User(session), _) => self.renew_session(session, &signing, proof).await,
            (Identity::Peer(peer), Some(epoch)) => {
                let renewing = Renewing {
                    writer: Writer { peer, epoch },
                    pod_token: request.pod_token,
                    remote,
                };
                self.renew_peer(renewing, &signing, proof).await
            }
            (Identity::Peer(_), None) => {
                Err(fail!(InvalidArgument, "a peer renews with its epoch"))
            }
            (Identity::Central, _) => Err(nobody()),
        }
    }

    async fn renew_session(
        &self,
        id: SessionId,
        signing: &SigningRequest,
        proof: &Proven,
    ) -> Result<Credentials, Failure> {
        let session = self.store()?.session(id, self.now()).await?.ok_or_else(nobody)?;
        same_key(&session.public_key, signing)?;
        let checked = self.check_proof(proof, &session.public_key)?;
        self.use_up(checked).await?;
        let ends = self.certificate_ends(session.ends_ms);
        if !self.store()?.renew_session(id, ends, self.now()).await? {
            return Err(nobody());
        }
        self.credentials(signing, session.account.id, Subject::User { sid: id }, ends)
    }

    async fn renew_peer(
        &self,
        renewing: Renewing,
        signing: &SigningRequest,
        proof: &Proven,
    ) -> Result<Credentials, Failure> {
        let Renewing { writer, pod_token, remote } = renewing;
        let peer = self.known_peer(writer.peer).await?;
        same_key(&peer.public_key, signing)?;
        let checked = self.check_proof(proof, &peer.public_key)?;
        // Who holds the key of a peer that ended hears so, even where its pod is gone.
        let stands = stands(&peer, writer.epoch);
        if stands.is_ok() {
            self.still_pod(remote, peer.pod.as_ref(), pod_token.as_deref()).await?;
        }
        self.use_up(checked).await?;
        stands?;
        let ends = self.certificate_ends(i64::MAX);
        self.store()?.renew_peer(writer, ends).await?;
        self.credentials(
            signing,
            peer.account,
            Subject::Peer { pid: writer.peer, epoch: writer.epoch },
            ends,
        )
    }

    async fn known_peer(&self, id: PeerId) -> Result<KnownPeer, Failure> {
        self.store()?.peer(id).await?.ok_or_else(nobody)
    }

    /// Who calls.
    ///
    /// # Errors
    /// UNAUTHENTICATED, when the account went.
    pub async fn who_am_i(&self, caller: &Caller) -> Result<WhoAmI, Failure> {
        let store = self.store()?;
        let account = store.account(caller.account).await?.ok_or_else(nobody)?;
        let role = if caller.peer().is_ok() { Role::Member } else { account.role };
        let groups = store.groups_of(account.id).await?;
        Ok(WhoAmI {
            account: account.id,
            name: account.name,
            role,
            identity: caller.identity(),
            groups,
        })
    }

    /// Changes the caller's password; its other sessions end.
    ///
    /// # Errors
    /// FORBIDDEN: the current one is not right. WEAK_PASSWORD. RATE_LIMITED.
    pub async fn change_password(
        &self,
        caller: &Caller,
        remote: IpAddr,
        change: PasswordChange,
    ) -> Result<(), Failure> {
        let keep = Some(caller.session()?);
        let store = self.store()?;
        let account = store.account(caller.account).await?.ok_or_else(nobody)?;
        self.attempts.password(&account.name, remote)?;
        let expected = store.secret(&account.name).await?.and_then(|known| known.password);
        let wrong = || fail!(Forbidden, "the current password is not right");
        let expected = expected.ok_or_else(|| {
            fail!(
                Forbidden,
                "this account has no password; an administrator gives it the first one"
            )
        })?;
        if !self
            .passwords
            .check(&SecretString::from(change.current), Some(expected.clone()))
            .await?
        {
            return Err(wrong());
        }
        let new = SecretString::from(change.new);
        password::good_enough(&new, &account.name)?;
        let new = self.passwords.hash(&new).await?;
        if !store
            .change_password(
                account.id,
                accounts::PasswordChange { expected, new, keep },
                self.now(),
            )
            .await?
        {
            return Err(wrong());
        }
        self.live.forget_all();
        tracing::info!(account = account.name, "changed its password");
        Ok(())
    }

    /// The caller's sessions.
    ///
    /// # Errors
    /// FORBIDDEN for a peer.
    pub async fn sessions(&self, caller: &Caller) -> Result<Page<Session>, Failure> {
        let current = caller.session()?;
        let sessions = self.store()?.sessions(caller.account, self.now()).await?;
        let mark = |session: Session| Session { current: session.id == current, ..session };
        Ok(Page { items: sessions.into_iter().map(mark).collect(), next: None })
    }

    /// Ends one of the caller's sessions.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub async fn end_session(&self, caller: &Caller, id: SessionId) -> Result<(), Failure> {
        caller.session()?;
        if !self.store()?.end_session(id, Some(caller.account), self.now()).await? {
            return Err(fail!(NotFound, "there is no session {id}"));
        }
        self.live.forget_session(id).await;
        tracing::info!(session = %id, "ended a session");
        Ok(())
    }
}

fn nobody() -> Failure {
    fail!(Unauthenticated, "this identity is unknown, or has ended; log in, or register, again")
}

/// Does this peer go on, at this epoch?
fn stands(peer: &KnownPeer, epoch: u64) -> Result<(), Failure> {
    match peer {
        peer if peer.revoked => Err(Refusal::PeerRevoked.into()),
        peer if peer.epoch != epoch => Err(fail!(
            StaleEpoch,
            "another process registered as this peer, or it logged out; register again"
        )),
        peer if !peer.active => Err(nobody()),
        _ => Ok(()),
    }
}

fn same_key(known: &[u8], signing: &SigningRequest) -> Result<(), Failure> {
    if known == signing.public_key {
        Ok(())
    } else {
        Err(fail!(Unauthenticated, "this identity has another key"))
    }
}
