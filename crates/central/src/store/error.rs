//! What can go wrong in the store.

use peral_wire::{ErrorCode, Failure};

/// What the store's calls give.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why a call of the store gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A rule says no; nothing changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Something of that name is there already; nothing changed.
    #[error("{0} is taken")]
    Conflict(Taken),
    /// The database is down, starting, at its limit, or too slow; trying again later may help.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The disk or the quota of the database is full; nothing changed.
    #[error("the disk of the database is full: {0}")]
    Full(String),
    /// Others changed the same rows at the same time, again and again; trying again later may help.
    #[error("too many other changes of the same rows at the same time; try again")]
    Raced,
    /// A row has a value that Peral never writes: somebody else did, or this is an internal error.
    #[error("the value of {table}.{column} in row {row} is not valid")]
    Corrupt { table: &'static str, column: &'static str, row: String },
    /// The database was changed by a newer central that this one must not follow.
    #[error(
        "the database needs a central of generation {needed} or newer, and this one has generation \
         {own}; start a newer version of central"
    )]
    TooOld {
        /// Oldest generation that may use it.
        needed: i64,
        own: i64,
    },
    /// The database refused a statement.
    #[error("the database failed: {0}")]
    Database(#[source] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the schema of the database could not be migrated: {0}")]
    Migration(#[source] sqlx::migrate::MigrateError),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Taken {
    #[error("the account name")]
    AccountName,
    #[error("the group name")]
    GroupName,
    /// Some other key that must be unique.
    #[error("a key")]
    Other,
}

/// A rule that says no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The name belongs to another account.
    #[error("the name is taken by another account")]
    NameTaken,
    /// The version to replace is not the current one.
    #[error("the version to replace is not the current one; look up the file and try again")]
    VersionConflict,
    /// The name was removed after this copy was made.
    #[error("the name was removed; only an upload can publish it again")]
    Removed,
    /// The peer's epoch is not the current one, or the peer logged out.
    #[error("another process registered as this peer, or the peer logged out; register again")]
    StaleEpoch,
    /// Deltas are missing.
    #[error("deltas are missing: the last one here is {last_delta}")]
    IndexGap {
        /// Number of the last delta that is here.
        last_delta: u64,
    },
    /// The key, peer, session or account is revoked or disabled.
    #[error("the account or key is disabled or revoked; ask an administrator")]
    Revoked,
    /// The key of this peer is revoked.
    #[error(
        "the key of this peer is revoked permanently; to join as another peer, use a new data \
         folder and a join token, or in Kubernetes a new pod with a new volume"
    )]
    PeerRevoked,
    /// The key is that of the peer that another pod is.
    #[error(
        "this key belongs to the peer of another pod; a data folder serves one pod, so give this \
         pod a volume of its own"
    )]
    OtherPod,
    /// The pod is there with another key.
    #[error(
        "this pod is registered with another key, which it keeps for its lifetime; if its data \
         folder was lost, delete the pod: its replacement joins as a new peer"
    )]
    OtherKey,
    /// The peer is a pod, and no pod's token was shown.
    #[error("this peer is a pod: it registers and renews with the pod's token (--pod-token-file)")]
    NeedsPod,
    /// A pod's token was shown for a peer that is not a pod.
    #[error(
        "this key joined by a join token and cannot become the key of a pod; start the peer \
         without --pod-token-file, or with an empty data folder"
    )]
    NotAPod,
    /// A token that is unknown, used up or expired, or a missing one.
    #[error("the token is unknown, used up or expired; ask an administrator for a new one")]
    BadToken,
    /// The caller sees the file and may not do this to it.
    #[error("only the file's owner and administrators may do this")]
    Forbidden,
    /// The last administrator cannot be disabled or made a member.
    #[error("this is the last administrator; create another one first")]
    LastAdministrator,
    /// An account or a group that is not there.
    #[error("there is no account or group {0:?}")]
    UnknownPrincipal(String),
    /// The upload is unknown, has ended, or is for another peer, name or content.
    #[error("the upload is unknown, expired or for another file; start a new one")]
    BadUpload,
    /// More bytes than the upload allows.
    #[error("more bytes than the upload allows")]
    TooLarge,
    /// The same idempotency key came with other files.
    #[error("the idempotency key was used for other files")]
    KeyReused,
    /// The peer asked for is offline or takes no uploads.
    #[error("the peer is offline or takes no uploads")]
    PeerUnavailable,
    /// The peer asked for is there, and full.
    #[error("the peer is full; free space on it, or let central choose another")]
    PeerFull,
    /// No peer was asked for, and none is online.
    #[error("no peer is online to take this upload; try again when one is")]
    NobodyOnline,
    /// No live peer has room.
    #[error("no peer that is online has room for this upload")]
    NoRoom,
    /// One more than a limit allows.
    #[error("the limit of {0} is reached; remove some first")]
    TooMany(&'static str),
}

impl Refusal {
    /// The code that says it to programs.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NameTaken => ErrorCode::NameTaken,
            Self::VersionConflict => ErrorCode::VersionConflict,
            Self::Removed => ErrorCode::Removed,
            Self::StaleEpoch => ErrorCode::StaleEpoch,
            Self::IndexGap { .. } => ErrorCode::IndexGap,
            Self::PeerRevoked => ErrorCode::Revoked,
            Self::Revoked
            | Self::BadToken
            | Self::OtherPod
            | Self::OtherKey
            | Self::NeedsPod
            | Self::NotAPod => ErrorCode::Unauthenticated,
            Self::Forbidden => ErrorCode::Forbidden,
            Self::LastAdministrator | Self::KeyReused => ErrorCode::AlreadyExists,
            Self::UnknownPrincipal(_) | Self::BadUpload => ErrorCode::InvalidArgument,
            Self::TooLarge => ErrorCode::TooLarge,
            Self::PeerUnavailable | Self::NobodyOnline => ErrorCode::Unavailable,
            Self::PeerFull | Self::NoRoom => ErrorCode::NoSpace,
            Self::TooMany(_) => ErrorCode::RateLimited,
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code(), refusal.to_string())
    }
}

/// What callers are told. What the database says of its own troubles is for the log.
impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(refusal) => refusal.into(),
            StoreError::Conflict(_) => Self::new(ErrorCode::AlreadyExists, error.to_string()),
            StoreError::Unavailable(_) | StoreError::Raced => {
                tracing::warn!(%error, "the database is not available");
                Self::new(
                    ErrorCode::Unavailable,
                    "central's database is unavailable or too slow; try again later",
                )
            }
            // The store has logged it.
            StoreError::Full(_) => Self::new(
                ErrorCode::NoSpace,
                "the disk of central's database is full and nothing was written; ask its \
                 administrator to free space",
            ),
            // Logged, and hidden from the caller, where it is answered.
            _ => Self::new(ErrorCode::Internal, error.to_string()),
        }
    }
}
