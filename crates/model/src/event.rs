//! Events: what changed in the catalogue, for whoever follows it.
//!
//! Each kind has a struct, a name and a version of its payload. A field that is only added keeps
//! the version, because readers pass over fields that they do not know. Every other change of a
//! payload takes the next version.

use serde::{Deserialize, Deserializer, Serialize};

use crate::{FileId, FileName, PeerId};

/// A name got a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePublished {
    /// The file.
    pub file: FileId,
    /// Number of the version.
    pub version: u64,
}

/// The owner or an administrator changed a file's rights or tags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChanged {
    /// The file.
    pub file: FileId,
    /// Its name.
    pub name: FileName,
    /// It is public now.
    pub public: bool,
    /// Who may have it changed too, so that its serial rose.
    pub rights: bool,
}

/// A name was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRemoved {
    /// The file.
    pub file: FileId,
    /// The name that it had.
    pub name: FileName,
    /// It was public.
    pub public: bool,
    /// The serial of its tombstone.
    pub serial: u64,
}

/// A peer registered, for the first time or again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerJoined {
    /// The peer.
    pub peer: PeerId,
    /// The epoch that begins.
    pub epoch: u64,
}

/// A peer logged out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerLeft {
    /// The peer.
    pub peer: PeerId,
}

/// The key of a peer was revoked for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRevoked {
    /// The peer.
    pub peer: PeerId,
}

/// An event that this version of Peral cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableEvent {
    /// Most likely, a newer version of Peral wrote it.
    #[error("events of kind {0:?} are not known here")]
    UnknownKind(String),
    /// Most likely, a newer version of Peral wrote it.
    #[error("{kind} events are readable in version {readable}, and this one is version {found}")]
    OtherVersion {
        /// Its kind.
        kind: &'static str,
        /// The version of its payload.
        found: u32,
        /// The version that can be read.
        readable: u32,
    },
    /// The payload does not have the fields of its kind and version.
    #[error("the payload of a {kind} event is not valid: {reason}")]
    Payload {
        /// Its kind.
        kind: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// The enum of all kinds, from their structs, names and versions.
macro_rules! events {
    ($($name:ident: $kind:literal, version $version:literal;)*) => {
        /// An event of any kind. It is written as the payload of its kind, without a tag.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        pub enum Event {
            $(
                #[doc = concat!("`", $kind, "`")]
                $name($name),
            )*
        }

        $(
            impl $name {
                /// What this kind is called.
                pub const KIND: &'static str = $kind;
                /// The version of its payload.
                pub const VERSION: u32 = $version;
            }

            impl From<$name> for Event {
                fn from(event: $name) -> Self {
                    Self::$name(event)
                }
            }
        )*

        impl Event {
            /// The names of all kinds.
            pub const KINDS: &'static [&'static str] = &[$($name::KIND),*];

            /// What its kind is called.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => $name::KIND,)*
                }
            }

            /// The version of its payload.
            pub fn version(&self) -> u32 {
                match self {
                    $(Self::$name(_) => $name::VERSION,)*
                }
            }

            /// Reads the payload of an event of this kind and version.
            ///
            /// # Errors
            /// The kind or version is not known here, or the payload is not what they say.
            pub fn read<'de, D: Deserializer<'de>>(
                kind: &str,
                version: u32,
                payload: D,
            ) -> Result<Self, UnreadableEvent> {
                match kind {
                    $($name::KIND if version == $name::VERSION => $name::deserialize(payload)
                        .map(Self::$name)
                        .map_err(|error| UnreadableEvent::Payload {
                            kind: $name::KIND,
                            reason: error.to_string(),
                        }),
                    $name::KIND => Err(UnreadableEvent::OtherVersion {
                        kind: $name::KIND,
                        found: version,
                        readable: $name::VERSION,
                    }),)*
                    unknown => Err(UnreadableEvent::UnknownKind(unknown.into())),
                }
            }
        }
    };
}

events! {
    FilePublished: "file.published", version 1;
    FileChanged: "file.changed", version 1;
    FileRemoved: "file.removed", version 1;
    PeerJoined: "peer.joined", version 1;
    PeerLeft: "peer.left", version 1;
    PeerRevoked: "peer.revoked", version 1;
}

impl Event {
    /// The file that it is about, if it is about one.
    pub fn file(&self) -> Option<FileId> {
        match self {
            Self::FilePublished(event) => Some(event.file),
            Self::FileChanged(event) => Some(event.file),
            Self::FileRemoved(event) => Some(event.file),
            Self::PeerJoined(_) | Self::PeerLeft(_) | Self::PeerRevoked(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::de::value::{Error, MapDeserializer};
    use uuid::Uuid;

    use super::*;

    const PEER: &str = "01900000-0000-7000-8000-000000000001";

    fn read(kind: &str, version: u32, field: &str, value: &str) -> Result<Event, UnreadableEvent> {
        let fields = [(field, value), ("added.later", "and passed over")];
        Event::read(kind, version, MapDeserializer::<_, Error>::new(fields.into_iter()))
    }

    #[test]
    fn an_event_is_read_by_its_kind_and_version() {
        let peer = PeerId(Uuid::try_parse(PEER).unwrap());
        let left = Event::from(PeerLeft { peer });
        assert_eq!((left.kind(), left.version(), left.file()), ("peer.left", 1, None));
        assert_eq!(read("peer.left", 1, "peer", PEER), Ok(left));
        let revoked = Event::from(PeerRevoked { peer });
        assert_eq!(read(PeerRevoked::KIND, PeerRevoked::VERSION, "peer", PEER), Ok(revoked));
    }

    #[test]
    fn what_a_newer_central_wrote_is_refused_and_not_misread() {
        let unknown = read("peer.sang", 1, "peer", PEER).unwrap_err();
        assert_eq!(unknown, UnreadableEvent::UnknownKind("peer.sang".into()));
        for kind in Event::KINDS {
            let newer = read(kind, 2, "peer", PEER).unwrap_err();
            let expected = UnreadableEvent::OtherVersion { kind, found: 2, readable: 1 };
            assert_eq!(newer, expected);
        }
    }

    #[test]
    fn a_payload_must_have_its_fields() {
        for (field, value) in [("peers", PEER), ("peer", "not an id")] {
            let error = read("peer.left", 1, field, value).unwrap_err();
            assert!(matches!(error, UnreadableEvent::Payload { kind: "peer.left", .. }), "{error}");
        }
    }
}
