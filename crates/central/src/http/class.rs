//! Who may use a route.

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Whoever can connect.
    Public,
    /// Whoever can connect; the request proves by a signature who sends it.
    Proof,
    /// A user's session.
    User,
    /// A peer at its current epoch.
    Peer,
    /// Users and peers.
    Member,
    /// A session of an administrator.
    Admin,
}

impl Class {
    /// The class in one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Proof => "proof",
            Self::User => "user",
            Self::Peer => "peer",
            Self::Member => "member",
            Self::Admin => "admin",
        }
    }

    /// Does a request of this class need a bearer token?
    pub(super) fn needs_token(self) -> bool {
        !matches!(self, Self::Public | Self::Proof)
    }
}
