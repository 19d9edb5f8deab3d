//! One method for each route, named by what it does.

use peral_model::{AccountId, FileName, GroupId, PeerId, SessionId, TokenId};

use super::client::{Catalogue, escape};
use crate::{
    Failure,
    keys::Jwks,
    proof::Proven,
    rest::{
        Done, Page,
        accounts::{
            Account, AccountChange, Group, MintedToken, NewAccount, NewApiToken, NewGroup,
            NewJoinToken, Session, Token,
        },
        files::{
            File, FileChange, FileDetail, Located, NewUpload, Publish, Published, Sources,
            SourcesRequest, Upload,
        },
        holdings::{Bucket, DeltaAnswer, Deltas, Digest, DigestAnswer},
        peers::{Heartbeat, HeartbeatAnswer, Peer, PeerChange, Registration},
        sessions::{Ca, Credentials, Login, Nonce, PasswordChange, WhoAmI},
    },
};

/// What `GET /v1/search` is asked.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// Terms, as DESIGN describes them; empty for all files.
    pub q: String,
    /// Name of the owner.
    pub owner: Option<String>,
    /// A tag.
    pub tag: Option<String>,
    /// A content hash, hexadecimal.
    pub hash: Option<String>,
    /// Where to go on, from the page before.
    pub cursor: Option<String>,
    /// Most rows, at most 1,000.
    pub limit: Option<u32>,
}

impl Search {
    fn to_query(&self) -> String {
        let limit = self.limit.map(|limit| limit.to_string());
        let parts = [
            ("q", Some(&self.q)),
            ("owner", self.owner.as_ref()),
            ("tag", self.tag.as_ref()),
            ("hash", self.hash.as_ref()),
        ];
        let rest = [("cursor", self.cursor.as_ref()), ("limit", limit.as_ref())];
        let given = parts.iter().chain(&rest).filter_map(|(key, value)| {
            value.map(|value| format!("{key}={}", escape(value, false)))
        });
        given.collect::<Vec<_>>().join("&")
    }
}

macro_rules! calls {
    ($(
        $(#[$doc:meta])*
        $name:ident($($arg:ident: $type:ty),*) -> $answer:ty =
            $verb:ident $path:expr $(, $body:expr)?;
    )*) => {
        impl Catalogue {$(
            $(#[$doc])*
            ///
            /// # Errors
            /// What central answers, or UNAVAILABLE.
            pub async fn $name(&self $(, $arg: $type)*) -> Result<$answer, Failure> {
                self.$verb(&$path $(, $body)?).await
            }
        )*}
    };
}

calls! {
    /// Central's authority.
    ca() -> Ca = get "/ca";
    /// The keys that verify tokens and envelopes.
    jwks() -> Jwks = get "/.well-known/jwks.json";
    /// A nonce for a proof.
    nonce() -> Nonce = post "/nonces", &Done {};
    /// Begins a session; the proof holds a `LoginRequest`.
    login(proof: &Proven) -> Login = post "/login", proof;
    /// Ends the session.
    logout() -> Done = post "/logout", &Done {};
    /// Renews certificate and token; the proof holds a `RenewRequest`.
    renew(proof: &Proven) -> Credentials = post "/certificates", proof;
    /// Who the caller is.
    whoami() -> WhoAmI = get "/me";
    /// Changes the caller's password; ends its other sessions.
    change_password(change: &PasswordChange) -> Done = put "/me/password", change;
    /// The caller's sessions.
    sessions() -> Page<Session> = get "/me/sessions";
    /// Ends one of the caller's sessions.
    end_session(id: SessionId) -> Done = delete format!("/me/sessions/{id}");

    /// Registers a peer; the proof holds a `RegisterRequest`.
    register(proof: &Proven) -> Registration = post "/register", proof;
    /// Renews a peer's lease.
    heartbeat(beat: &Heartbeat) -> HeartbeatAnswer = post "/heartbeat", beat;
    /// All peers.
    peers() -> Page<Peer> = all "/peers";
    /// A peer's logout.
    log_out_peer(id: PeerId) -> Done = delete format!("/peers/{id}");
    /// Revokes a peer's key.
    change_peer(id: PeerId, change: &PeerChange) -> Done = patch format!("/peers/{id}"), change;

    /// The next holdings of the calling peer.
    index(deltas: &Deltas) -> DeltaAnswer = post "/index", deltas;
    /// What the calling peer holds, in short.
    digest(digest: &Digest) -> DigestAnswer = post "/index/digest", digest;
    /// All that the calling peer holds of one bucket.
    bucket(bucket: &Bucket) -> DeltaAnswer = post "/index/buckets", bucket;

    /// Publishes versions.
    publish(publish: &Publish) -> Published = post "/files", publish;
    /// A file with its versions.
    file(name: &FileName) -> FileDetail = get format!("/files/{}", escape(name.as_str(), true));
    /// Changes who may have a file, or its tags.
    change_file(name: &FileName, change: &FileChange) -> FileDetail =
        patch format!("/files/{}", escape(name.as_str(), true)), change;
    /// Removes a name.
    remove_file(name: &FileName) -> Done = delete format!("/files/{}", escape(name.as_str(), true));
    /// Begins an upload.
    upload(upload: &NewUpload) -> Upload = post "/uploads", upload;
    /// Who has a file.
    sources(request: &SourcesRequest) -> Sources = post "/sources", request;
    /// Files by terms.
    search(search: &Search) -> Page<File> = get format!("/search?{}", search.to_query());
    /// The peers that hold a file of exactly this name.
    locate(name: &FileName) -> Located = get format!("/search/{}", escape(name.as_str(), true));

    /// All accounts.
    accounts() -> Page<Account> = all "/accounts";
    /// Makes an account.
    add_account(account: &NewAccount) -> Account = post "/accounts", account;
    /// Changes an account.
    change_account(id: AccountId, change: &AccountChange) -> Account =
        patch format!("/accounts/{id}"), change;
    /// All groups.
    groups() -> Page<Group> = all "/groups";
    /// Makes a group.
    add_group(group: &NewGroup) -> Group = post "/groups", group;
    /// Removes a group.
    remove_group(id: GroupId) -> Done = delete format!("/groups/{id}");
    /// Puts an account into a group.
    add_member(group: GroupId, account: AccountId) -> Done =
        put format!("/groups/{group}/members/{account}"), &Done {};
    /// Takes an account out of a group.
    remove_member(group: GroupId, account: AccountId) -> Done =
        delete format!("/groups/{group}/members/{account}");
    /// API tokens: the caller's own; for administrators, all.
    api_tokens() -> Page<Token> = all "/tokens";
    /// Makes an API token.
    add_api_token(token: &NewApiToken) -> MintedToken = post "/tokens", token;
    /// Ends an API token, and the sessions that it began.
    remove_api_token(id: TokenId) -> Done = delete format!("/tokens/{id}");
    /// Join tokens.
    join_tokens() -> Page<Token> = all "/join-tokens";
    /// Makes a join token.
    add_join_token(token: &NewJoinToken) -> MintedToken = post "/join-tokens", token;
    /// Ends a join token.
    remove_join_token(id: TokenId) -> Done = delete format!("/join-tokens/{id}");
}
