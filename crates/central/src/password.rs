//! Passwords: which are strong enough, and argon2id away from the async threads.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, PasswordHash, Version,
    password_hash::{PasswordHasher, PasswordVerifier},
};
use peral_wire::{Failure, fail};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use zxcvbn::{Score, zxcvbn};

/// Minimum number of characters of a password.
const MIN_CHARS: usize = 12;
/// Maximum number of bytes of a password, so that hashing cannot be used to keep central busy.
const MAX_BYTES: usize = 1024;
/// Memory in KiB, passes and lanes of argon2id.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);

/// Hashes and checks passwords, a few at a time.
pub struct Passwords {
    argon: Argon2<'static>,
    turn: Arc<Semaphore>,
    /// The hash of a password that nobody has: unknown accounts take as long as known ones.
    decoy: String,
}

impl Passwords {
    /// Computes at most `at_once` hashes in parallel, each in 19 MiB.
    ///
    /// # Errors
    /// INTERNAL, when the system gives no randomness.
    pub fn new(at_once: usize) -> Result<Self, Failure> {
        let (memory, passes, lanes) = COST;
        let params = Params::new(memory, passes, lanes, None)
            .map_err(|error| fail!(Internal, "cannot set up argon2id: {error}"))?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let decoy = hash_with(&argon, &uuid::Uuid::new_v4().to_string())?;
        Ok(Self { argon, turn: Arc::new(Semaphore::new(at_once)), decoy })
    }

    /// The hash of a password, to be stored.
    ///
    /// # Errors
    /// INTERNAL, when hashing fails.
    pub async fn hash(&self, password: &SecretString) -> Result<String, Failure> {
        let (argon, password) = (self.argon.clone(), password.clone());
        self.aside(move || hash_with(&argon, password.expose_secret())).await?
    }

    /// Whether this is the password. Without a hash the answer is no, and takes as long as with
    /// one.
    ///
    /// # Errors
    /// INTERNAL, when the hash cannot be read.
    pub async fn check(
        &self,
        password: &SecretString,
        hash: Option<String>,
    ) -> Result<bool, Failure> {
        let known = hash.is_some() && password.expose_secret().len() <= MAX_BYTES;
        let (argon, password, hash) =
            (self.argon.clone(), password.clone(), hash.unwrap_or_else(|| self.decoy.clone()));
        let right = self.aside(move || {
            let hash = PasswordHash::new(&hash)
                .map_err(|error| fail!(Internal, "cannot read a stored password hash: {error}"))?;
            let text: String = password.expose_secret().chars().take(MAX_BYTES).collect();
            Ok::<_, Failure>(argon.verify_password(text.as_bytes(), &hash).is_ok())
        });
        Ok(right.await?? && known)
    }

    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let permit = Arc::clone(&self.turn).acquire_owned().await;
        let permit = permit.map_err(|_| fail!(Unavailable, "central is stopping"))?;
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        done.await.map_err(|error| fail!(Internal, "password hashing failed: {error}"))
    }
}

fn hash_with(argon: &Argon2<'_>, password: &str) -> Result<String, Failure> {
    let hash = argon
        .hash_password(password.as_bytes())
        .map_err(|error| fail!(Internal, "cannot hash a password: {error}"))?;
    Ok(hash.to_string())
}

/// Checks that a password is strong enough for an account.
///
/// # Errors
/// WEAK_PASSWORD with the reason.
pub fn good_enough(password: &SecretString, account: &str) -> Result<(), Failure> {
    let text = password.expose_secret();
    let chars = text.chars().count();
    if chars < MIN_CHARS {
        return Err(fail!(
            WeakPassword,
            "the password has {chars} characters; use at least {MIN_CHARS}"
        ));
    }
    if text.len() > MAX_BYTES {
        return Err(fail!(WeakPassword, "the password is longer than {MAX_BYTES} bytes"));
    }
    let strength = zxcvbn(text, &[account, "peral", "pear"]);
    if strength.score() >= Score::Three {
        return Ok(());
    }
    let why = strength.feedback().and_then(zxcvbn::feedback::Feedback::warning);
    let why = why.map_or_else(|| "it follows a pattern.".to_owned(), |warning| warning.to_string());
    Err(fail!(
        WeakPassword,
        "the password is easy to guess: {why} Use four or more uncommon words."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[test]
    fn weak_passwords_are_refused_with_the_reason() {
        for (text, reason) in [
            ("short", "at least 12"),
            ("password1234", "easy to guess"),
            ("aaaaaaaaaaaaaaaaaaaa", "easy to guess"),
            ("margaritapear", "easy to guess"),
        ] {
            let failure = good_enough(&secret(text), "margarita").unwrap_err();
            assert_eq!(failure.code, peral_wire::ErrorCode::WeakPassword);
            assert!(failure.detail.contains(reason), "{text}: {}", failure.detail);
        }
        assert_eq!(good_enough(&secret("orchard lantern viscous 72"), "margarita"), Ok(()));
        assert!(
            good_enough(&secret(&"correct horse ".repeat(100)), "x").is_err(),
            "over the limit"
        );
    }

    #[tokio::test]
    async fn a_hash_takes_its_own_password_only() {
        let passwords = Passwords::new(1).unwrap();
        let hash = passwords.hash(&secret("orchard lantern")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_eq!(passwords.check(&secret("orchard lantern"), Some(hash.clone())).await, Ok(true));
        assert_eq!(passwords.check(&secret("orchard Lantern"), Some(hash)).await, Ok(false));
        assert_eq!(passwords.check(&secret("orchard lantern"), None).await, Ok(false));
    }
}
