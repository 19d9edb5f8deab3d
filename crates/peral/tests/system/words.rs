//! What commands say when something goes wrong, and that it helps.

use std::fs;

use peral_testkit::{Process, Said, sample::noise_file};

use crate::{
    command::peral,
    network::{Network, Node, User},
};

/// A command of a user, as text.
fn text(network: &Network, user: &User, args: &[&str]) -> Said {
    let mut command = peral(&user.home);
    command.args(args);
    let log = network.path("text.log");
    drop(fs::remove_file(&log));
    Process::start(command, &log).finish()
}

#[test]
fn another_authority_is_reported_as_that() {
    let network = Network::start(None);
    let other = Network::start(None);
    let ana = network.user("ana");
    let attempt = |url: &str, more: &[&str]| {
        let password = network.password();
        network.said(
            &ana,
            &[&["login", "--central", url, "--account", "ana", "--password-file", &password], more]
                .concat(),
        )
    };
    network.ok(&ana, &["logout"]);
    for more in [["--ca-fingerprint", &"AB".repeat(32)], ["--ca-file", &other.authority()]] {
        let said = attempt(&network.url, &more);
        assert_eq!((said.code, said.failed().as_str()), (Some(4), "UNTRUSTED"), "{said:?}");
        assert!(said.out.contains("has another authority than"), "{said:?}");
        // Plaintext would show none at all.
        let said = attempt(&network.url.replace("https://", "http://"), &more);
        assert_eq!((said.code, said.failed().as_str()), (Some(2), "INVALID_ARGUMENT"), "{said:?}");
        assert!(said.out.contains("plain http"), "{said:?}");
    }
    // The same for a login that is kept, where another network's central answers now.
    let kept = crate::raw::login_file(&network.admin);
    let moved = fs::read_to_string(&kept).unwrap().replace(&network.url, &other.url);
    fs::write(&kept, moved).unwrap();
    let said = network.said(&network.admin, &["ls"]);
    assert_eq!((said.code, said.failed().as_str()), (Some(4), "UNTRUSTED"), "{said:?}");
}

#[test]
fn a_failure_says_what_to_do_about_it_and_nothing_else() {
    let network = Network::start(None);
    network.ok(&network.admin, &["user", "add", "peers", "--no-password"]);
    let (ana, one) = (network.user("ana"), network.peer("one", "peers", &[]));
    let source = network.path(" a b ");
    let path = source.to_str().unwrap();
    // A name may look like a hash.
    let name = "ab".repeat(32);
    let hash = noise_file(&source, "x", 1000);
    network.ok(&ana, &["upload", path, "--name", &name]);
    let target = network.path("target");
    let to = target.to_str().unwrap();
    assert_eq!(network.ok(&ana, &["download", &name, "-o", to])["hash"], hash);
    assert_eq!(
        network.said(&ana, &["download", &format!("hash:{name}"), "-o", to]).failed(),
        "NOT_FOUND"
    );
    let again = text(&network, &ana, &["download", &name, "-o", to]);
    assert!(
        again.code == Some(6)
            && again.err.contains("--overwrite")
            && !again.err.contains("--replace"),
        "{again:?}"
    );
    let missing = network.path("missing/");
    for to in ["-", missing.join("").to_str().unwrap()] {
        let said = network.said(&ana, &["download", &name, "-o", to]);
        assert_eq!((said.code, said.failed().as_str()), (Some(2), "INVALID_ARGUMENT"), "{said:?}");
    }
    assert!(!missing.exists() && !ana.home.join("-").exists());
    // A name that is there.
    let taken = text(&network, &ana, &["upload", path, "--name", &name]);
    assert!(taken.code == Some(6) && taken.err.contains("--replace"), "{taken:?}");
    assert!(taken.err.contains("\ntrace: "), "central's log has more under it: {taken:?}");
    let put = text(&network, &ana, &["upload", path]);
    assert!(put.out.contains("\" a b \""), "{put:?}");
    wrong_passwords_and_missing_logins(&network, &ana, &one);
}

fn wrong_passwords_and_missing_logins(network: &Network, ana: &User, one: &Node) {
    // Another login would not help against a wrong password.
    fs::write(network.path("wrong"), "no such password at all").unwrap();
    let wrong = network.path("wrong");
    let said = text(
        network,
        ana,
        &[
            "login",
            "--central",
            &network.url,
            "--account",
            "ana",
            "--password-file",
            wrong.to_str().unwrap(),
        ],
    );
    assert!(said.code == Some(4) && !said.err.contains("hint"), "{said:?}");
    // Beside a peer without a login.
    let nobody = network.stranger("nobody");
    let said = network.at(one, &nobody, &["user", "ls"]);
    assert_eq!(said.failed(), "UNAUTHENTICATED");
    assert!(said.out.contains("the account of the local peer"), "{said:?}");
    let said = network.at(one, ana, &["echo", "one", "--size", "0"]);
    assert_eq!(said.ok()["bytes"], 0);
}

#[test]
fn a_full_stdout_is_not_an_internal_error() {
    let network = Network::start(None);
    for args in [&["exit-codes"][..], &["ls"], &["man"]] {
        let mut command = peral(&network.admin.home);
        command.args(args).stdout(fs::File::options().write(true).open("/dev/full").unwrap());
        let ended = command.output().unwrap();
        let err = String::from_utf8(ended.stderr).unwrap();
        assert!(
            ended.status.code() == Some(8) && err.contains("NO_SPACE") && !err.contains("hint"),
            "{err}"
        );
    }
}

#[test]
fn the_pages_of_help_are_the_pages() {
    let network = Network::start(None);
    for page in ["exit-codes", "json"] {
        let said = text(&network, &network.admin, &["help", page]);
        assert_eq!(
            (said.code, &said.out),
            (Some(0), &text(&network, &network.admin, &[page]).out),
            "{said:?}"
        );
    }
    fs::create_dir_all(network.admin.home.join("config")).unwrap();
    fs::write(network.admin.home.join("config/peral.toml"), "central = 5\n").unwrap();
    let said = network.said(&network.admin, &["ls"]);
    assert_eq!((said.code, said.failed().as_str()), (Some(2), "INVALID_ARGUMENT"), "{said:?}");
}
