//! Access to routes.

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RouteAccess {
    /// Everybody.
    Public,
    /// Everybody; a signature in the request proves who sends it.
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

impl RouteAccess {
    /// Its name, as a label of metrics.
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

    /// Whether requests need a bearer token.
    pub(super) fn needs_token(self) -> bool {
        !matches!(self, Self::Public | Self::Proof)
    }
}
