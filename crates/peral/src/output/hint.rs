//! What to do about a failure, where its sentence cannot know it.

use peral_wire::ErrorCode;

/// What to do about a failure of this command, such as `token add`. Nothing where the sentence says
/// it, or where it depends on more.
pub fn hint(code: ErrorCode, command: &str) -> Option<&'static str> {
    let first = command.split(' ').next().unwrap_or_default();
    // The roles are no users of central: their failures are those of one machine, and say what to
    // do.
    let user = !matches!(first, "" | "central" | "peer");
    // Whoever gives a password is not helped by "log in".
    let acts = user && !matches!(first, "login" | "passwd");
    Some(match code {
        ErrorCode::Internal => "a defect: the same with --log debug says more",
        ErrorCode::Unauthenticated if acts => "log in (again): peral login --central URL",
        ErrorCode::Untrusted if user => {
            "see that this is central's address; who runs it knows the fingerprint of its authority"
        }
        ErrorCode::Forbidden if acts => "peral whoami says which account asks, and what it is",
        ErrorCode::NameTaken if first == "upload" => {
            "names are one space: choose another with --name"
        }
        ErrorCode::NotFound if first == "download" => {
            "peral ls lists the names; --wait SECONDS waits for one that is still to come"
        }
        ErrorCode::NoSource if user => {
            "peral peers says who is there; --wait SECONDS waits longer for a holder that is away"
        }
        // Its sentence says it all: these ask the peer here alone.
        ErrorCode::Unavailable if matches!(first, "status" | "share" | "cancel") => return None,
        ErrorCode::Unavailable if user => {
            "see that central, or the peer, runs and can be reached from here; then try again"
        }
        ErrorCode::NoSpace if first == "download" => {
            "make room where the file goes; what was fetched is kept and used"
        }
        ErrorCode::Busy if user => "try again in a minute",
        ErrorCode::Integrity if first == "download" => {
            "the copy at that peer is damaged: its owner uploads it again, or another peer has a \
             good one"
        }
        ErrorCode::WeakPassword => "12 characters at least; several unrelated words are good",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_fits_what_failed() {
        let some = |code, command| hint(code, command).is_some();
        assert!(
            some(ErrorCode::Unauthenticated, "token add")
                && !some(ErrorCode::Unauthenticated, "login")
        );
        assert!(
            some(ErrorCode::Forbidden, "user add")
                && !some(ErrorCode::Forbidden, "passwd")
                && !some(ErrorCode::Forbidden, "peer")
        );
        assert!(
            !some(ErrorCode::AlreadyExists, "download") && !some(ErrorCode::AlreadyExists, "peer")
        );
        assert!(some(ErrorCode::NoSpace, "download") && !some(ErrorCode::NoSpace, "ls"));
        assert!(some(ErrorCode::NotFound, "download") && !some(ErrorCode::NotFound, "user rm"));
        assert!(some(ErrorCode::Unavailable, "ls") && !some(ErrorCode::Unavailable, "status"));
        assert!(!some(ErrorCode::Unavailable, "central") && some(ErrorCode::Internal, "central"));
    }
}
