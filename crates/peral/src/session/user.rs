//! A user's session: started with a new key, and renewed before it runs out.

use base64::{Engine, engine::general_purpose::STANDARD};
use peral_runtime::tls::{self, KeyPkcs8Der};
use peral_wire::{
    Catalogue, Failure, fail,
    proof::Proven,
    rest::sessions::{Credential, LoginRequest, RenewRequest},
};

use crate::{
    central::{self, Contact},
    logins::StoredLogin,
};

/// A token that ends sooner is renewed first.
const TOKEN_MARGIN_MS: i64 = 2 * 60 * 1000;
/// A certificate too: transfers can take long, and connections are opened all the while.
const CERTIFICATE_MARGIN_MS: i64 = 60 * 60 * 1000;

/// A user's session with central.
pub struct UserSession {
    /// The login, with credentials that last for a while.
    pub login: StoredLogin,
    /// Central, with the login's token.
    pub catalogue: Catalogue,
    /// The credentials are new: the stored login has older ones.
    pub renewed: bool,
}

impl UserSession {
    /// The session of a login, renewed if its credentials run out soon.
    ///
    /// # Errors
    /// UNAUTHENTICATED: the session has ended, or the login's key is damaged. UNAVAILABLE.
    pub async fn open(mut login: StoredLogin, now_ms: i64) -> Result<Self, Failure> {
        let catalogue = central::catalogue(&login.central, &login.network)?;
        let has = &login.credentials;
        let renewed = has.token_ends_ms - now_ms <= TOKEN_MARGIN_MS
            || has.certificate_ends_ms - now_ms <= CERTIFICATE_MARGIN_MS;
        if renewed {
            renew(&catalogue, &mut login).await?;
        }
        Ok(Self { catalogue: catalogue.with_token(&login.credentials.token), login, renewed })
    }
}

/// A new certificate and token, by proof of the session's key.
async fn renew(catalogue: &Catalogue, login: &mut StoredLogin) -> Result<(), Failure> {
    let key = login.private_key()?;
    let request = RenewRequest {
        identity: login.identity(),
        csr: signing_request(&key)?,
        epoch: None,
        pod_token: None,
    };
    let nonce = catalogue.nonce().await?;
    login.credentials =
        catalogue.renew(&Proven::sign(&request, login.network.id, nonce.nonce, &key.0)?).await?;
    Ok(())
}

/// Logs in, with a new key.
///
/// # Errors
/// UNAUTHENTICATED: central does not accept the credential. RATE_LIMITED. UNAVAILABLE.
pub async fn log_in(
    contact: Contact,
    credential: Credential,
    label: String,
) -> Result<StoredLogin, Failure> {
    let key = tls::new_key();
    let request = LoginRequest { credential, csr: signing_request(&key)?, label };
    let nonce = contact.catalogue.nonce().await?;
    let proof = Proven::sign(&request, contact.network.id, nonce.nonce, &key.0)?;
    let answer = contact.catalogue.login(&proof).await?;
    Ok(StoredLogin {
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

/// A signing request as REST carries it.
fn signing_request(key: &KeyPkcs8Der) -> Result<String, Failure> {
    let request = tls::signing_request(key)
        .map_err(|error| fail!(Internal, "could not create a certificate request: {error}"))?;
    Ok(STANDARD.encode(request))
}
