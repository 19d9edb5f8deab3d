//! What to do about a failure, where its sentence cannot say it.

use peral_wire::ErrorCode;

/// What to do about a failure of this command, such as `token add`. Nothing if the sentence says it
/// already.
pub fn hint(code: ErrorCode, command: &str) -> Option<&'static str> {
    let first = command.split(' ').next().unwrap_or_default();
    // The roles are not users of central: their failures concern one machine and say what to do.
    let user = !matches!(first, "" | "central" | "peer");
    // "Log in" does not help somebody who is giving a password.
    let acts = user && !matches!(first, "login" | "passwd");
    Some(match code {
        ErrorCode::Internal => "run the command again with --log debug to see more",
        ErrorCode::Unauthenticated if acts => "log in, or log in again: peral login --central URL",
        ErrorCode::Untrusted if user => {
            "check that this is central's address; its administrator knows the fingerprint of its authority"
        }
        ErrorCode::Forbidden if acts => {
            "peral whoami shows the account that the command uses, and its role"
        }
        ErrorCode::NameTaken if first == "upload" => {
            "names are unique in the network: choose another one with --name"
        }
        ErrorCode::NotFound if first == "download" => {
            "peral ls lists the names; --wait SECONDS waits for a name that does not exist yet"
        }
        ErrorCode::NoSource if user => {
            "peral peers shows which peers are online; --wait SECONDS waits longer for a holder"
        }
        // These ask the local peer only, and the sentence says why it does not answer.
        ErrorCode::Unavailable if matches!(first, "status" | "share" | "cancel") => return None,
        ErrorCode::Unavailable if user => {
            "check that central or the peer is running and can be reached from here; then retry"
        }
        ErrorCode::NoSpace if first == "download" => {
            "free some space there and run the same command again: it continues where it stopped"
        }
        ErrorCode::Busy if user => "retry in a minute",
        ErrorCode::Integrity if first == "download" => {
            "the copy on that peer is damaged: retry when another peer has the file, or ask its \
             owner to upload it again"
        }
        ErrorCode::WeakPassword => "use at least 12 characters; several unrelated words work well",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_fits_the_failure() {
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
