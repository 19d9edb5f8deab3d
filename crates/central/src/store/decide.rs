//! What becomes of a version that is published: the rules, without a database.

use peral_model::{AccountId, Content, FileId};
use peral_wire::rest::holdings::VersionRef;

use super::Refusal;

/// What a name means now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Current {
    pub file: FileId,
    pub owner: AccountId,
    pub public: bool,
    pub serial: u64,
    pub version: u64,
    pub content: Content,
}

/// What a publisher asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Proposal {
    pub account: AccountId,
    pub content: Content,
    pub replaces: Option<VersionRef>,
    /// By an upload: a person asked for it, so tombstones do not matter.
    pub upload: bool,
}

/// What the publisher's account may do with the current file beyond what its owner may.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FileRights {
    pub read: bool,
    pub write: bool,
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// The current version has this content already.
    Same,
    /// The next version of the current file.
    Next,
    /// The first version of a new file.
    New,
    /// Nothing.
    Refuse(Refusal),
}

/// Decides. `removed`: the file that it replaces, or this content under this name, has a tombstone.
pub(super) fn decide(
    proposal: &Proposal,
    current: Option<&Current>,
    rights: FileRights,
    removed: bool,
) -> Decision {
    let removed = removed && !proposal.upload;
    let Some(current) = current else {
        return match proposal.replaces {
            _ if removed => Decision::Refuse(Refusal::Removed),
            None => Decision::New,
            Some(_) => Decision::Refuse(Refusal::VersionConflict),
        };
    };
    let owner = current.owner == proposal.account;
    let may_write = owner || rights.write;
    if current.content == proposal.content && (may_write || rights.read || current.public) {
        return Decision::Same;
    }
    let is_current =
        proposal.replaces == Some(VersionRef { file: current.file, version: current.version });
    match (may_write, is_current) {
        (true, true) => Decision::Next,
        _ if removed => Decision::Refuse(Refusal::Removed),
        (true, false) => Decision::Refuse(Refusal::VersionConflict),
        (false, _) => Decision::Refuse(Refusal::NameTaken),
    }
}

#[cfg(test)]
mod tests {
    use peral_model::ContentId;
    use uuid::Uuid;

    use super::*;

    const OWNER: AccountId = AccountId(Uuid::from_u128(1));
    const OTHER: AccountId = AccountId(Uuid::from_u128(2));
    const FILE: FileId = FileId(Uuid::from_u128(3));

    fn content(text: &str) -> Content {
        Content { hash: ContentId::of(text.as_bytes()), size: text.len() as u64 }
    }

    fn current(public: bool) -> Current {
        Current { file: FILE, owner: OWNER, public, serial: 1, version: 4, content: content("now") }
    }

    fn proposal(account: AccountId, text: &str, version: Option<u64>) -> Proposal {
        Proposal {
            account,
            content: content(text),
            replaces: version.map(|version| VersionRef { file: FILE, version }),
            upload: false,
        }
    }

    const NOTHING: FileRights = FileRights { read: false, write: false };
    const WRITE: FileRights = FileRights { read: true, write: true };

    #[test]
    fn a_free_name_is_new_unless_it_was_removed_or_something_should_be_there() {
        assert_eq!(decide(&proposal(OWNER, "x", None), None, NOTHING, false), Decision::New);
        assert_eq!(
            decide(&proposal(OWNER, "x", None), None, NOTHING, true),
            Decision::Refuse(Refusal::Removed)
        );
        assert_eq!(
            decide(&proposal(OWNER, "x", Some(4)), None, NOTHING, false),
            Decision::Refuse(Refusal::VersionConflict)
        );
        assert_eq!(
            decide(&Proposal { upload: true, ..proposal(OWNER, "x", None) }, None, NOTHING, true),
            Decision::New
        );
    }

    #[test]
    fn only_who_may_write_replaces_and_only_the_current_version() {
        for (account, rights) in [(OWNER, NOTHING), (OTHER, WRITE)] {
            assert_eq!(
                decide(&proposal(account, "x", Some(4)), Some(&current(true)), rights, false),
                Decision::Next
            );
            for version in [None, Some(3), Some(5)] {
                let decision =
                    decide(&proposal(account, "x", version), Some(&current(true)), rights, false);
                assert_eq!(decision, Decision::Refuse(Refusal::VersionConflict));
            }
        }
        let readable = FileRights { read: true, write: false };
        for (version, rights) in [(None, NOTHING), (Some(4), NOTHING), (Some(4), readable)] {
            let decision =
                decide(&proposal(OTHER, "x", version), Some(&current(true)), rights, false);
            assert_eq!(decision, Decision::Refuse(Refusal::NameTaken));
        }
    }

    #[test]
    fn the_current_content_again_makes_no_version_but_shows_nothing_hidden() {
        assert_eq!(
            decide(&proposal(OWNER, "now", None), Some(&current(false)), NOTHING, true),
            Decision::Same
        );
        assert_eq!(
            decide(&proposal(OTHER, "now", None), Some(&current(true)), NOTHING, false),
            Decision::Same
        );
        assert_eq!(
            decide(&proposal(OTHER, "now", None), Some(&current(false)), NOTHING, false),
            Decision::Refuse(Refusal::NameTaken)
        );
    }

    #[test]
    fn going_back_to_a_removed_content_is_a_new_version_for_who_knows_the_current_one() {
        assert_eq!(
            decide(&proposal(OWNER, "old", Some(4)), Some(&current(true)), NOTHING, true),
            Decision::Next
        );
        assert_eq!(
            decide(&proposal(OWNER, "old", Some(2)), Some(&current(true)), NOTHING, true),
            Decision::Refuse(Refusal::Removed)
        );
    }
}
