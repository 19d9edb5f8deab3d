//! First contact, logins, certificates.

use peral_model::{AccountId, Identity, NetworkId, SessionId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::accounts::Role;

/// What a client needs before it can trust central.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Ca {
    /// Id of this network.
    #[schema(value_type = String, format = "uuid")]
    pub network: NetworkId,
    /// Certificate of central's authority, PEM.
    pub certificate: String,
    /// SHA-256 of the certificate (DER), hexadecimal with colons.
    pub fingerprint: String,
}

/// A number that is good for one proof, within two minutes.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Nonce {
    /// To be signed with the request.
    pub nonce: String,
    /// Id of this network; part of what is signed.
    #[schema(value_type = String, format = "uuid")]
    pub network: NetworkId,
}

/// Inside a proof: `POST /v1/login`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// Why the account should be believed.
    pub credential: Credential,
    /// Signing request (PKCS#10, DER, base64) for the session's certificate; names in it are
    /// ignored.
    pub csr: String,
    /// What to call the session in listings, such as the host name; at most 100 characters.
    #[serde(default)]
    pub label: String,
}

/// What proves an account.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Credential {
    /// A name and a password.
    Password {
        /// Name of the account.
        account: String,
        /// Its password.
        password: String,
    },
    /// An API token.
    ApiToken {
        /// The token's secret text.
        token: String,
    },
}

/// A login.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Login {
    /// The session; its certificate identity is `peral:user/<session>`.
    #[schema(value_type = String, format = "uuid")]
    pub session: SessionId,
    /// The account.
    #[schema(value_type = String, format = "uuid")]
    pub account: AccountId,
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Certificate and token.
    pub credentials: Credentials,
    /// When the session ends, whatever is renewed.
    pub session_ends_ms: i64,
}

/// A certificate and a token for the same identity.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Credentials {
    /// Certificate of the identity, PEM.
    pub certificate: String,
    /// When the certificate ends.
    pub certificate_ends_ms: i64,
    /// Bearer token for the REST interface.
    pub token: String,
    /// When the token ends.
    pub token_ends_ms: i64,
}

/// Inside a proof: `POST /v1/certificates`. Renews certificate and token of a session or a peer,
/// expired or not.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewRequest {
    /// Whose.
    #[schema(value_type = String, example = "peral:user/0190…")]
    pub identity: Identity,
    /// Signing request with the same key as before (PKCS#10, DER, base64).
    pub csr: String,
    /// A peer's epoch: a superseded process renews nothing.
    #[serde(default)]
    pub epoch: Option<u64>,
    /// Token of the pod that the peer is, as at its registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_token: Option<String>,
}

/// Who the caller is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct WhoAmI {
    /// The account.
    #[schema(value_type = String, format = "uuid")]
    pub account: AccountId,
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Certificate identity of the session or peer that asks.
    #[schema(value_type = String)]
    pub identity: Identity,
    /// Groups it is in.
    pub groups: Vec<String>,
}

/// `PUT /v1/me/password`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The password until now.
    pub current: String,
    /// At least 12 characters, and not easy to guess.
    pub new: String,
}
