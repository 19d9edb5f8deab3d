//! The session of one command, by an API token: begun when it is needed, ended with the command,
//! never written to disk.

use std::{fmt, path::PathBuf};

use peral_wire::{Failure, rest::sessions::Credential};
use secrecy::ExposeSecret;
use tokio::sync::Mutex;

use super::{UserSession, log_in};
use crate::{context::Context, logins::Login, output::machine, secret};

/// A session that there will be when somebody asks for it.
pub struct TokenSession {
    file: PathBuf,
    login: Mutex<Option<Login>>,
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

    /// The session; begun with the first question, renewed where it is time.
    ///
    /// # Errors
    /// INVALID_ARGUMENT: the file cannot be read, or nothing says which central. UNAUTHENTICATED:
    /// the token has ended. UNAVAILABLE.
    pub async fn user(&self, context: &Context) -> Result<UserSession, Failure> {
        let mut kept = self.login.lock().await;
        let login = match &*kept {
            Some(login) => login.clone(),
            None => {
                let token = secret::file(&self.file)?.expose_secret().to_owned();
                let contact = context.meet(&context.first_contact).await?;
                log_in(contact, Credential::ApiToken { token }, machine()).await?
            }
        };
        *kept = Some(login.clone());
        let (user, _) = context.fresh(login).await?;
        *kept = Some(user.login.clone());
        Ok(user)
    }

    /// Ends the session, if it was begun. One that central is not told of lasts until it ends by
    /// itself.
    pub async fn end(&self, context: &Context) {
        let Some(login) = self.login.lock().await.take() else { return };
        let ended = async { context.fresh(login).await?.0.catalogue.logout().await };
        if let Err(failure) = ended.await {
            tracing::debug!(%failure, "the session of this command is not ended");
        }
    }
}
