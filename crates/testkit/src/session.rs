//! Logging in at a central through its typed client.

use base64::{Engine, engine::general_purpose::STANDARD};
use peral_runtime::tls::{KeyPkcs8Der, new_key, signing_request};
use peral_wire::{
    Catalogue, Failure,
    proof::Proven,
    rest::sessions::{Credential, Login, LoginRequest},
};

/// Good enough for central, and for everybody in a test.
pub const PASSWORD: &str = "orchard lantern viscous 72";

/// What somebody has who has logged in.
pub struct LoggedIn {
    /// What central answered.
    pub login: Login,
    /// The key of the session.
    pub key: KeyPkcs8Der,
}

/// A name and the password that everybody has.
pub fn password(account: &str) -> Credential {
    Credential::Password { account: account.into(), password: PASSWORD.into() }
}

/// A request for a certificate, as bodies have it.
///
/// # Panics
/// The key cannot be used.
pub fn csr(key: &KeyPkcs8Der) -> String {
    STANDARD.encode(signing_request(key).unwrap())
}

/// Signs a request with a fresh nonce.
///
/// # Panics
/// Central gives no nonce.
pub async fn prove<T: serde::Serialize>(
    central: &Catalogue,
    request: &T,
    key: &KeyPkcs8Der,
) -> Proven {
    let nonce = central.nonce().await.unwrap();
    Proven::sign(request, nonce.network, nonce.nonce, &key.0).unwrap()
}

/// Logs somebody in.
///
/// # Errors
/// Central refuses.
pub async fn log_in(central: &Catalogue, credential: Credential) -> Result<LoggedIn, Failure> {
    let key = new_key();
    let request = LoginRequest { credential, csr: csr(&key), label: "test".into() };
    let proof = prove(central, &request, &key).await;
    Ok(LoggedIn { login: central.login(&proof).await?, key })
}
