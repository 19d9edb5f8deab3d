//! Commands as in a pod: beside a peer, where nobody has logged in.

use peral_testkit::sample::{hash_of, noise_file};

use crate::network::{Network, Node, User};

fn two_peers(network: &Network) -> (Node, Node) {
    network.ok(&network.admin, &["user", "add", "peers", "--no-password"]);
    (network.peer("one", "peers", &[]), network.peer("two", "peers", &[]))
}

#[test]
fn without_a_login_all_that_moves_files_works_for_the_peers_account() {
    let network = Network::start(None);
    let (one, two) = two_peers(&network);
    let (nobody, ana) = (network.stranger("nobody"), network.user("ana"));
    let source = network.path("model.bin");
    let hash = noise_file(&source, "model", (3 << 20) + 7);
    let up = network
        .at(
            &one,
            &nobody,
            &["upload", source.to_str().unwrap(), "--name", "models/a", "--private", "--tag", "m"],
        )
        .ok();
    assert_eq!(
        (up["by"].as_str(), up["visibility"].as_str()),
        (Some(format!("peer {}", one.id).as_str()), Some("private"))
    );
    let shown = network.at(&one, &nobody, &["access", "models/a"]).ok();
    assert_eq!((shown["owner"].as_str(), shown["tags"][0].as_str()), (Some("peers"), Some("m")));
    // Private to the account: its other peer has the right to it, and nobody else.
    let target = network.path("fetched.bin");
    let down =
        network.at(&two, &nobody, &["download", "models/a", "-o", target.to_str().unwrap()]).ok();
    assert_eq!((down["fetched"].as_u64(), hash_of(&target)), (Some((3 << 20) + 7), hash.clone()));
    assert_eq!(
        network
            .said(&ana, &["download", "models/a", "-o", network.path("no").to_str().unwrap()])
            .failed(),
        "NOT_FOUND"
    );
    network.at(&two, &nobody, &["access", "models/a", "--grant", "ana:read"]).ok();
    network.ok(&ana, &["download", "models/a", "-o", network.path("granted").to_str().unwrap()]);
    in_place_and_again(&network, &nobody, &one, &two);
    the_rest(&network, &nobody, &one);
}

/// A file in the share is published where it lies, also under another name; and a new version of
/// one that was there.
fn in_place_and_again(network: &Network, nobody: &User, one: &Node, two: &Node) {
    let below = one.share.join("below.bin");
    noise_file(&below, "below", 5000);
    let in_place =
        network.at(one, nobody, &["upload", below.to_str().unwrap(), "--name", "named"]).ok();
    assert_eq!(in_place["version"], 1);
    let source = network.path("model.bin");
    let again = noise_file(&source, "model, again", 4000);
    let next = network
        .at(two, nobody, &["upload", source.to_str().unwrap(), "--name", "models/a", "--replace"])
        .ok();
    assert_eq!((next["version"].as_u64(), next["hash"].as_str()), (Some(2), Some(again.as_str())));
}

/// What else the peer's account can do, and what it cannot: it is a member, and works through its
/// own peer.
fn the_rest(network: &Network, nobody: &User, one: &Node) {
    let source = network.path("model.bin");
    let path = source.to_str().unwrap();
    for args in [
        &["search", "models"][..],
        &["ls", "models/"],
        &["peers"],
        &["status"],
        &["share"],
        &["echo", "two", "--size", "1M"],
    ] {
        network.at(one, nobody, args).ok();
    }
    assert_eq!(network.at(one, nobody, &["user", "ls"]).failed(), "UNAUTHENTICATED");
    let elsewhere = network.at(one, nobody, &["upload", path, "--name", "x", "--peer", "two"]);
    assert_eq!(elsewhere.failed(), "INVALID_ARGUMENT");
    assert_eq!(
        network.said(nobody, &["upload", path]).failed(),
        "UNAUTHENTICATED",
        "without a peer there is nobody"
    );
}

#[test]
fn whoever_has_logged_in_wins() {
    let network = Network::start(None);
    let (one, _two) = two_peers(&network);
    let ana = network.user("ana");
    let who = |user: &User| {
        let said = network.at(&one, user, &["whoami"]).ok();
        (said["by"].as_str().unwrap().to_owned(), said["name"].as_str().unwrap().to_owned())
    };
    assert_eq!(who(&ana), ("login".into(), "ana".into()));
    let source = network.path("file");
    noise_file(&source, "file", 100);
    network.at(&one, &ana, &["upload", source.to_str().unwrap()]).ok();
    assert_eq!(network.file("file").unwrap()["owner"], "ana");
    network.at(&one, &ana, &["logout"]).ok();
    assert_eq!(who(&ana), ("peer".into(), "peers".into()));
}
