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
    /// The database is away, starting, full up with work, or was too slow; trying again later may
    /// help.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The disk or the quota of the database is full; nothing changed.
    #[error("the disk of the database is full: {0}")]
    Full(String),
    /// Others changed the same rows at the same time, again and again; trying again later may help.
    #[error("others changed the same rows at the same time, too often")]
    Raced,
    /// A row does not hold what it must: somebody else wrote to the database, or there is a defect.
    #[error("{table}.{column} of {row} holds what it cannot hold")]
    Corrupt {
        /// Table.
        table: &'static str,
        /// Column.
        column: &'static str,
        /// Which row.
        row: String,
    },
    /// The database was changed by a newer central that this one must not follow.
    #[error(
        "the database needs a central of generation {needed} or newer; this one is of generation \
         {own}: start a newer version"
    )]
    TooOld {
        /// Oldest generation that may use it.
        needed: i64,
        /// Ours.
        own: i64,
    },
    /// The database refused a statement.
    #[error("the database failed: {0}")]
    Database(#[source] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the database's schema could not be brought up to date: {0}")]
    Migration(#[source] sqlx::migrate::MigrateError),
}

/// What was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Taken {
    /// An account's name.
    #[error("the account name")]
    AccountName,
    /// A group's name.
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
    #[error("the version to replace is not the current one; look the file up and decide again")]
    VersionConflict,
    /// The name was removed after this copy was made.
    #[error("the name was removed; only an upload brings it back")]
    Removed,
    /// The peer's epoch is not the current one, or the peer logged out.
    #[error("another process registered as this peer, or it logged out; register again")]
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
        "the key of this peer is revoked for good; with a new data folder and a join token, or in \
         Kubernetes as a new pod with a new volume, it can come back as another peer"
    )]
    PeerRevoked,
    /// The key is that of the peer that another pod is.
    #[error(
        "this key is that of another pod's peer: a data folder serves one pod; give this pod a \
         volume of its own"
    )]
    OtherPod,
    /// The pod is there with another key.
    #[error(
        "this pod registered with another key, which it keeps for as long as it is there; if its \
         data folder was lost, delete the pod: it comes back as a new peer"
    )]
    OtherKey,
    /// The peer is a pod, and no pod's token was shown.
    #[error("this peer is a pod: it registers and renews with the pod's token (--pod-token-file)")]
    NeedsPod,
    /// A pod's token was shown for a peer that is none.
    #[error(
        "this key joined by a join token and cannot become a pod's: start the peer without \
         --pod-token-file, or with an empty data folder"
    )]
    NotAPod,
    /// A token that is unknown, used up or has ended, or none where one is needed.
    #[error("the token is unknown, used up or has ended; ask an administrator for a new one")]
    BadToken,
    /// The caller sees the file and may not do this to it.
    #[error("only the file's owner and administrators may do this")]
    Forbidden,
    /// The last administrator cannot be disabled or made a member.
    #[error("this is the last administrator; make another one first")]
    LastAdministrator,
    /// An account or a group that is not there.
    #[error("there is no account or group {0:?}")]
    UnknownPrincipal(String),
    /// The upload is unknown, has ended, or is for another peer, name or content.
    #[error("the upload is unknown, has ended, or is for something else; begin a new one")]
    BadUpload,
    /// More bytes than the upload allows.
    #[error("more bytes than the upload allows")]
    TooLarge,
    /// The same idempotency key came with other files.
    #[error("the idempotency key was used for other files")]
    KeyReused,
    /// The peer asked for is away or takes no uploads.
    #[error("the peer is away or takes no uploads")]
    PeerUnavailable,
    /// The peer asked for is there, and full.
    #[error("the peer is full; make room on it, or let central choose another")]
    PeerFull,
    /// No live peer has room.
    #[error("no live peer has room for this upload")]
    NoRoom,
    /// As many of them as one account may have.
    #[error("the account has as many {0} as it may; end some first")]
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
            Self::PeerUnavailable => ErrorCode::Unavailable,
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
                    "central's database is away or too slow; try again later",
                )
            }
            // The store has logged it.
            StoreError::Full(_) => Self::new(
                ErrorCode::NoSpace,
                "the disk of central's database is full, nothing was written; its administrator \
                 must make room there",
            ),
            // Logged, and hidden from the caller, where it is answered.
            _ => Self::new(ErrorCode::Internal, error.to_string()),
        }
    }
}
