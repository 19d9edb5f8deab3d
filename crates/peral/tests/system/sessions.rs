//! Logins, tokens, roles: what ends them, and that it does.

use std::fs;

use peral_testkit::{Process, eventually};

use crate::{
    command::peral,
    network::{Network, Node, User},
    raw::login_file,
};

#[test]
fn a_logout_is_a_logout() {
    let network = Network::start(None);
    let ana = network.user("ana");
    let file = login_file(&ana);
    let kept = fs::read(&file).unwrap();
    network.ok(&ana, &["logout"]);
    assert!(!file.exists());
    // Whoever had copied the login has nothing: the session is over, not only forgotten.
    let thief = network.stranger("thief");
    let stolen = thief.home.join("config/logins").join(file.file_name().unwrap());
    fs::create_dir_all(stolen.parent().unwrap()).unwrap();
    fs::write(&stolen, kept).unwrap();
    fs::set_permissions(&stolen, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(network.said(&thief, &["whoami"]).failed(), "UNAUTHENTICATED");
}

#[test]
fn sessions_are_listed_and_ended_one_by_one() {
    let network = Network::start(None);
    let ana = network.user("ana");
    let laptop = User { name: "ana".into(), ..network.stranger("laptop") };
    network.log_in(&laptop);
    let listed = network.ok(&ana, &["whoami", "--sessions"]);
    let sessions = listed["items"].as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    let other = sessions.iter().find(|session| session["current"] == false).unwrap()["id"]
        .as_str()
        .unwrap();
    network.ok(&ana, &["logout", "--session", other]);
    assert_eq!(network.said(&laptop, &["whoami"]).failed(), "UNAUTHENTICATED");
    network.ok(&ana, &["whoami"]);
    // A password change ends the others too.
    network.log_in(&laptop);
    fs::write(network.path("next"), "eight pears on a white table").unwrap();
    network.ok(
        &ana,
        &[
            "passwd",
            "--password-file",
            &network.password(),
            "--new-password-file",
            network.path("next").to_str().unwrap(),
        ],
    );
    assert_eq!(network.said(&laptop, &["whoami"]).failed(), "UNAUTHENTICATED");
    network.ok(&ana, &["whoami"]);
    let old = [
        "login",
        "--central",
        &network.url,
        "--ca-file",
        &network.authority(),
        "--account",
        "ana",
        "--password-file",
        &network.password(),
    ];
    assert_eq!(network.said(&laptop, &old).failed(), "UNAUTHENTICATED");
}

#[test]
fn an_api_token_logs_in_until_it_is_ended() {
    let network = Network::start(None);
    let (ana, robot) = (network.user("ana"), network.stranger("robot"));
    let file = network.path("token");
    let made = network
        .ok(&ana, &["token", "add", "robot", "--lasts", "1h", "--out", file.to_str().unwrap()]);
    assert!(made.get("secret").is_none(), "{made}");
    let login = [
        "login",
        "--central",
        &network.url,
        "--ca-file",
        &network.authority(),
        "--token-file",
        file.to_str().unwrap(),
    ];
    network.ok(&robot, &login);
    assert_eq!(network.ok(&robot, &["whoami"])["name"], "ana");
    assert_eq!(network.ok(&ana, &["token", "ls"])["items"].as_array().unwrap().len(), 1);
    network.ok(&ana, &["token", "rm", made["id"].as_str().unwrap()]);
    assert_eq!(network.said(&robot, &["whoami"]).failed(), "UNAUTHENTICATED");
    assert_eq!(network.said(&robot, &login).failed(), "UNAUTHENTICATED");
}

#[test]
fn members_do_not_administrate() {
    let network = Network::start(None);
    let ana = network.user("ana");
    for args in [
        &["user", "add", "x", "--no-password"][..],
        &["group", "add", "x"],
        &["token", "join", "--account", "ana"],
        &["user", "role", "ana", "admin"],
    ] {
        let said = network.said(&ana, args);
        assert_eq!((said.code, said.failed().as_str()), (Some(5), "FORBIDDEN"), "{args:?}");
    }
    network.ok(&network.admin, &["user", "role", "ana", "admin"]);
    network.ok(&ana, &["group", "add", "x"]);
    network.ok(&network.admin, &["user", "role", "ana", "member"]);
    assert_eq!(network.said(&ana, &["group", "rm", "x"]).failed(), "FORBIDDEN");
}

#[test]
fn first_contact_needs_a_reason_to_trust() {
    let network = Network::start(None);
    let ana = network.user("ana");
    network.ok(&ana, &["logout"]);
    let attempt = |more: &[&str]| {
        let password = network.password();
        let args =
            ["login", "--central", &network.url, "--account", "ana", "--password-file", &password];
        network.said(&ana, &[&args, more].concat())
    };
    // There is no terminal to ask at, and nobody vouches for this central.
    let said = attempt(&[]);
    assert_eq!((said.code, said.failed().as_str()), (Some(4), "UNAUTHENTICATED"), "{said:?}");
    assert!(said.out.contains("--ca-fingerprint"), "{said:?}");
    let wrong = "AB".repeat(32);
    assert_ne!(attempt(&["--ca-fingerprint", &wrong]).code, Some(0));
    assert_eq!(attempt(&["--ca-fingerprint", "zz"]).failed(), "INVALID_ARGUMENT");
    let mut command = peral(network.root.path());
    command.args(["central", "fingerprint", "--data"]).arg(network.path("central"));
    let fingerprint = Process::start(command, &network.path("fingerprint.log")).finish().out;
    assert_eq!(attempt(&["--ca-fingerprint", fingerprint.trim()]).ok()["account"], "ana");
    // Over loopback central also speaks plaintext: a port that kubectl forwards.
    network.ok(&ana, &["logout"]);
    let plain = network.url.replace("https://", "http://");
    let args =
        ["login", "--central", &plain, "--account", "ana", "--password-file", &network.password()];
    network.ok(&ana, &args);
    assert_eq!(network.ok(&ana, &["whoami"])["name"], "ana");
}

#[test]
fn a_peer_that_cannot_believe_central_ends_and_says_how_to() {
    let network = Network::start(None);
    let peer = |data: &str, more: &[&str]| {
        let mut command = peral(network.root.path());
        command.args([
            "peer",
            "--output",
            "json",
            "--central",
            &network.url,
            "--listen-address",
            "127.0.0.1",
            "--port",
            "0",
        ]);
        command
            .args(["--admin-listen", "127.0.0.1:0", "--data"])
            .arg(network.path(data))
            .args(more);
        Process::start(command, &network.path("stranger.log")).finish()
    };
    let wrong = "AB".repeat(32);
    for (data, more) in [("stranger", &[][..]), ("misled", &["--ca-fingerprint", &wrong])] {
        let said = peer(data, more);
        assert_eq!((said.code, said.failed().as_str()), (Some(4), "UNTRUSTED"), "{said:?}");
        assert!(
            said.out.contains("--ca-fingerprint") && said.out.contains("--ca-file"),
            "{said:?}"
        );
    }
}

#[test]
fn a_revoked_peer_is_out_for_good() {
    let network = Network::start(None);
    network.ok(&network.admin, &["user", "add", "peers", "--no-password"]);
    let one = network.peer("one", "peers", &[]);
    network.ok(&network.admin, &["revoke", "one"]);
    assert_eq!(network.state(&one.id), "revoked");
    let state = eventually("the peer knows it", || {
        let status = network.at(&one, &network.admin, &["status"]).ok();
        Some(status["state"].as_str().unwrap().to_owned()).filter(|state| state != "ready")
    });
    assert_eq!(state, "revoked");
    assert_eq!(
        network.said(&network.admin, &["echo", "one", "--size", "1M"]).failed(),
        "REVOKED",
        "it serves and writes nothing more"
    );
    // Nor does it after a restart.
    let address = network.path("one.address");
    fs::remove_file(&address).unwrap();
    drop(one.process);
    let again = network.start_peer("one", &one.data, &one.share, &[], &address);
    let again = Node {
        process: again,
        data: one.data,
        share: one.share,
        label: one.label,
        id: one.id,
        flags: Vec::new(),
    };
    eventually("the restarted peer knows it", || {
        let said = network.at(&again, &network.admin, &["status"]);
        said.code == Some(0) && said.json()["state"] == "revoked"
    });
}
