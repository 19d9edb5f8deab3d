//! The session of one command, by an API token: started when it is needed, ended with the command,
//! never written to disk.

use std::{fmt, path::PathBuf};

use peral_wire::{Failure, rest::sessions::Credential};
use secrecy::ExposeSecret;
use tokio::sync::Mutex;

use super::user::{UserSession, log_in};
use crate::{central::Contact, logins::StoredLogin, output::machine, secret};

/// A session that starts when it is first asked for.
pub struct TokenSession {
    file: PathBuf,
    login: Mutex<Option<StoredLogin>>,
}

impl fmt::Debug for TokenSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSession").field("file", &self.file).finish_non_exhaustive()
    }
}

impl TokenSession {
    /// By the token in a file.
    pub fn new(file: PathBuf) -> Self {
        Self { file, login: Mutex::new(None) }
    }

    /// The session. The first call logs in, at the central that `contact` finds; later ones renew
    /// the session when its credentials run out.
    ///
    /// # Errors
    /// INVALID_ARGUMENT: the file cannot be read, or nothing says which central. UNAUTHENTICATED:
    /// the token has ended. UNAVAILABLE.
    pub async fn open(
        &self,
        contact: impl Future<Output = Result<Contact, Failure>>,
        now_ms: i64,
    ) -> Result<UserSession, Failure> {
        let mut current = self.login.lock().await;
        let login = match &*current {
            Some(login) => login.clone(),
            None => {
                let token = secret::file(&self.file)?.expose_secret().to_owned();
                log_in(contact.await?, Credential::ApiToken { token }, machine()).await?
            }
        };
        *current = Some(login.clone());
        let user = UserSession::open(login, now_ms).await?;
        *current = Some(user.login.clone());
        Ok(user)
    }

    /// Ends the session, if it has started. If central cannot be reached, the session lasts until it
    /// expires.
    pub async fn end(&self, now_ms: i64) {
        let Some(login) = self.login.lock().await.take() else { return };
        let ended = async { UserSession::open(login, now_ms).await?.catalogue.logout().await };
        if let Err(failure) = ended.await {
            tracing::debug!(%failure, "could not end the session of this command");
        }
    }
}
