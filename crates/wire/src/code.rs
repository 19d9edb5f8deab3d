//! The error codes of Peral: one list, with a table for REST, one for gRPC and one for the
//! command's exit code.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use tonic::Code;
use utoipa::ToSchema;

/// Classes of failure; each has an exit code of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// An internal error: exit code 1.
    Internal,
    /// The call itself is wrong: exit code 2.
    Usage,
    /// Not there, or not for this caller: exit code 3.
    NotFound,
    /// The caller is not authenticated, or not any more: exit code 4.
    Unauthenticated,
    /// Known, but not allowed: exit code 5.
    Forbidden,
    /// Something else came first: exit code 6.
    Conflict,
    /// The bytes are not what was signed: exit code 7.
    Integrity,
    /// No room, or a limit is reached: exit code 8.
    Exhausted,
    /// Central or every source is away: exit code 9.
    Unavailable,
    /// It took longer than allowed: exit code 10.
    Deadline,
    /// The user ended it: exit code 130.
    Cancelled,
}

impl Class {
    /// The exit code of a command that ends with it.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Unauthenticated => 4,
            Self::Forbidden => 5,
            Self::Conflict => 6,
            Self::Integrity => 7,
            Self::Exhausted => 8,
            Self::Unavailable => 9,
            Self::Deadline => 10,
            Self::Cancelled => 130,
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $text:tt $status:literal $grpc:ident $class:ident;)*) => {
        /// What went wrong, in a form that programs can rely on: never renamed, never reused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        pub enum ErrorCode { $($(#[$doc])* #[serde(rename = $text)] $name,)* }

        impl ErrorCode {
            /// All codes.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The stable text, such as `NAME_TAKEN`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
            /// The HTTP status that goes with it.
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }
            /// The gRPC code that goes with it.
            pub fn grpc(self) -> Code {
                match self { $(Self::$name => Code::$grpc,)* }
            }
            /// The class, which gives the command's exit code.
            pub fn class(self) -> Class {
                match self { $(Self::$name => Class::$class,)* }
            }
        }
    };
}

codes! {
    /// A request that cannot be understood or breaks a rule of its form.
    InvalidArgument "INVALID_ARGUMENT" 400 InvalidArgument Usage;
    /// A name that no file can have.
    InvalidName "INVALID_NAME" 400 InvalidArgument Usage;
    /// An address that a peer must not register.
    InvalidAddress "INVALID_ADDRESS" 400 InvalidArgument Usage;
    /// A password that is too easy to guess.
    WeakPassword "WEAK_PASSWORD" 400 InvalidArgument Usage;
    /// No credentials, or bad, expired or revoked ones.
    Unauthenticated "UNAUTHENTICATED" 401 Unauthenticated Unauthenticated;
    /// What answers cannot prove that it is who is called.
    Untrusted "UNTRUSTED" 401 Unauthenticated Unauthenticated;
    /// The caller is known and may not do this.
    Forbidden "FORBIDDEN" 403 PermissionDenied Forbidden;
    /// The key of this peer is revoked for good.
    Revoked "REVOKED" 403 PermissionDenied Forbidden;
    /// Not there, or not for this caller to know of.
    NotFound "NOT_FOUND" 404 NotFound NotFound;
    /// Something of that name is there already.
    AlreadyExists "ALREADY_EXISTS" 409 AlreadyExists Conflict;
    /// The name belongs to another account.
    NameTaken "NAME_TAKEN" 409 AlreadyExists Conflict;
    /// The version that this one should replace is not the current one.
    VersionConflict "VERSION_CONFLICT" 409 Aborted Conflict;
    /// The name was removed after this copy was made.
    Removed "REMOVED" 409 Aborted Conflict;
    /// Content that this peer only fetched, or holds for a private file: only an upload publishes
    /// it.
    Extent "HELD" 409 FailedPrecondition Conflict;
    /// A local copy that is older than the catalogue's.
    Outdated "OUTDATED" 409 Aborted Conflict;
    /// The caller's epoch is not the current one of its peer id.
    StaleEpoch "STALE_EPOCH" 409 FailedPrecondition Conflict;
    /// Another process has taken over this peer id.
    Superseded "SUPERSEDED" 409 FailedPrecondition Conflict;
    /// Deltas are missing before these.
    IndexGap "INDEX_GAP" 409 FailedPrecondition Conflict;
    /// The file on the holder's disk is no longer what was indexed.
    Changed "CHANGED" 409 Aborted Conflict;
    /// The request is larger than allowed.
    TooLarge "TOO_LARGE" 413 OutOfRange Usage;
    /// Too many requests; try again later.
    RateLimited "RATE_LIMITED" 429 ResourceExhausted Exhausted;
    /// The serving side has as much to do as it takes on.
    Busy "BUSY" 503 ResourceExhausted Unavailable;
    /// A disk or a quota is full.
    NoSpace "NO_SPACE" 507 ResourceExhausted Exhausted;
    /// Bytes that do not hash to what was signed.
    Integrity "INTEGRITY" 500 DataLoss Integrity;
    /// Nobody who holds the file can be reached.
    NoSource "NO_SOURCE" 503 Unavailable Unavailable;
    /// Central, its database or a peer is away.
    Unavailable "UNAVAILABLE" 503 Unavailable Unavailable;
    /// It took longer than allowed.
    DeadlineExceeded "DEADLINE_EXCEEDED" 504 DeadlineExceeded Deadline;
    /// The caller ended it.
    Cancelled "CANCELLED" 499 Cancelled Cancelled;
    /// A defect of Peral, or of what it stands on.
    Internal "INTERNAL" 500 Internal Internal;
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ErrorCode {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text).ok_or(())
    }
}

impl ErrorCode {
    /// What stands for a gRPC code that came without one of ours.
    pub fn from_grpc(code: Code) -> Self {
        match code {
            Code::InvalidArgument | Code::OutOfRange => Self::InvalidArgument,
            Code::Unauthenticated => Self::Unauthenticated,
            Code::PermissionDenied => Self::Forbidden,
            Code::NotFound => Self::NotFound,
            Code::AlreadyExists => Self::AlreadyExists,
            Code::Aborted | Code::FailedPrecondition => Self::VersionConflict,
            Code::ResourceExhausted => Self::Busy,
            Code::DataLoss => Self::Integrity,
            Code::Unavailable => Self::Unavailable,
            Code::DeadlineExceeded => Self::DeadlineExceeded,
            Code::Cancelled => Self::Cancelled,
            _ => Self::Internal,
        }
    }

    /// What stands for an HTTP status that came without a problem document.
    pub fn from_status(status: u16) -> Self {
        match status {
            401 => Self::Unauthenticated,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            409 => Self::VersionConflict,
            413 => Self::TooLarge,
            429 => Self::RateLimited,
            502 | 503 => Self::Unavailable,
            504 => Self::DeadlineExceeded,
            400..=499 => Self::InvalidArgument,
            _ => Self::Internal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_reads_back_and_its_tables_agree() {
        for code in ErrorCode::ALL {
            assert_eq!(code.as_str().parse(), Ok(*code));
            assert_eq!(serde_json::to_value(code).ok(), Some(code.as_str().into()));
            assert_eq!(code.grpc() == Code::Unauthenticated, code.status() == 401, "{code}");
            assert!((400..600).contains(&code.status()), "{code}");
            assert!(code.class().exit_code() != 0);
        }
    }
}
