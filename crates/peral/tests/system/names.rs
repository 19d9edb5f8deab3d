//! What a name means: who may change it, and that nobody's old copy does.

use std::fs;

use peral_testkit::{
    Process, eventually,
    sample::{noise, noise_file},
};
use peral_wire::{ErrorCode, rest::files::NewUpload};
use serde_json::Value;

use crate::{
    command::peral,
    network::{Network, Node, User},
    raw::{Login, block_on},
};

/// Waits until a peer says that a name stands in its way, with this code.
fn trouble(network: &Network, node: &Node, user: &User, name: &str, code: &str) -> Value {
    eventually(&format!("{name} is told as {code}"), || {
        let status = network.at(node, user, &["status"]).ok();
        status["troubles"]
            .as_array()
            .unwrap()
            .iter()
            .find(|trouble| trouble["name"] == name && trouble["code"] == code)
            .cloned()
    })
}

#[test]
fn a_name_belongs_to_its_first_publisher_and_a_version_replaces_the_one_it_names() {
    let network = Network::start(None);
    network.ok(&network.admin, &["user", "add", "peers", "--no-password"]);
    let (ana, ben) = (network.user("ana"), network.user("ben"));
    let one = network.peer("one", "peers", &[]);
    let source = network.path("doc.bin");
    let path = source.to_str().unwrap();
    let first = noise_file(&source, "first", 1000);
    network.at(&one, &ana, &["upload", path, "--name", "doc"]).ok();
    noise_file(&source, "second", 2000);
    for args in
        [&["upload", path, "--name", "doc"][..], &["upload", path, "--name", "doc", "--replace"]]
    {
        let said = network.said(&ben, args);
        assert!([Some(5), Some(6)].contains(&said.code), "{said:?}");
        assert!(["NAME_TAKEN", "FORBIDDEN"].contains(&said.failed().as_str()), "{said:?}");
    }
    let unasked = network.said(&ana, &["upload", path, "--name", "doc"]);
    assert_eq!((unasked.code, unasked.failed().as_str()), (Some(6), "VERSION_CONFLICT"));
    assert_eq!(network.file("doc").unwrap()["hash"], first);
    assert_eq!(network.ok(&ana, &["upload", path, "--name", "doc", "--replace"])["version"], 2);
    // Somebody who thinks that version 1 is current changes nothing.
    let stale = NewUpload {
        name: "doc".into(),
        size: 1,
        visibility: Default::default(),
        access: vec![],
        tags: vec![],
        replaces: 1,
        peer: None,
        bearer: None,
        placed: false,
    };
    let refused = block_on(async { Login::of(&ana).catalogue().upload(&stale).await }).unwrap_err();
    assert_eq!(refused.code, ErrorCode::VersionConflict, "{refused}");
    // Whom the owner lets write may.
    network.ok(&ana, &["access", "doc", "--grant", "ben:write"]);
    noise_file(&source, "third", 3000);
    let up = network.ok(&ben, &["upload", path, "--name", "doc", "--replace"]);
    assert_eq!(
        (up["version"].as_u64(), network.file("doc").unwrap()["owner"].as_str()),
        (Some(3), Some("ana"))
    );
    // The same content again does not make a new version.
    assert_eq!(network.ok(&ana, &["upload", path, "--name", "doc", "--replace"])["version"], 3);
    for name in ["../doc", "/doc", "a//b", "."] {
        assert_eq!(
            network.said(&ana, &["upload", path, "--name", name]).failed(),
            "INVALID_NAME",
            "{name}"
        );
    }
}

/// I4: versions never go back.
#[test]
fn a_peer_with_an_old_copy_changes_nothing() {
    let network = Network::start(None);
    network.ok(&network.admin, &["user", "add", "peers", "--no-password"]);
    let (mut one, two) = (network.peer("one", "peers", &[]), network.peer("two", "peers", &[]));
    noise_file(&one.share.join("doc"), "old", 1000);
    network.sources("doc", 1);
    one.process.kill();
    // The copy is the old one, with a date of now.
    noise_file(&one.share.join("doc"), "old", 1000);
    let source = network.path("new");
    let new = noise_file(&source, "new", 2000);
    network
        .at(
            &two,
            &network.admin,
            &["upload", source.to_str().unwrap(), "--name", "doc", "--replace"],
        )
        .ok();
    let one = network.restart(one, &[]);
    // It says that it holds the old version, which can still be had, and no more than that.
    eventually("version 1 has a source", || {
        let detail = network.ok(&network.admin, &["access", "doc"]);
        assert_eq!(detail["version"], 2, "{detail}");
        detail["versions"][1]["sources"] == 1
    });
    // Nor does what somebody makes of the old version replace the new one.
    noise_file(&one.share.join("doc"), "old, edited", 1000);
    trouble(&network, &one, &network.admin, "doc", "OUTDATED");
    let file = network.file("doc").unwrap();
    assert_eq!((file["version"].as_u64(), file["hash"].as_str()), (Some(2), Some(new.as_str())));
}

#[test]
fn a_removed_name_comes_back_only_by_an_upload_and_as_another_file() {
    let network = Network::start(None);
    network.ok(&network.admin, &["user", "add", "peers", "--no-password"]);
    let (ana, one) = (network.user("ana"), network.peer("one", "peers", &[]));
    let path = one.share.join("doc");
    let hash = noise_file(&path, "doc", 1000);
    let before = network.sources("doc", 1);
    assert_eq!(network.said(&ana, &["rm", "doc"]).failed(), "FORBIDDEN");
    network.ok(&network.admin, &["rm", "doc"]);
    trouble(&network, &one, &ana, "doc", "REMOVED");
    assert!(path.exists(), "a file that is shared in place stays");
    // Neither a restart nor another date brings it back.
    let one = network.restart(one, &[]);
    fs::write(&path, noise("doc", 1000)).unwrap();
    trouble(&network, &one, &ana, "doc", "REMOVED");
    assert!(network.file("doc").is_none());
    let source = network.path("elsewhere");
    noise_file(&source, "doc", 1000);
    let up = network.ok(&ana, &["upload", source.to_str().unwrap(), "--name", "doc"]);
    assert_eq!(up["hash"], hash);
    assert_ne!(up["file"], before["id"]);
    assert_eq!(network.file("doc").unwrap()["owner"], "ana");
}

#[test]
fn names_of_any_script_come_back_equal_and_cannot_steer_a_terminal() {
    let network = Network::start(None);
    network.ok(&network.admin, &["user", "add", "peers", "--no-password"]);
    let (ana, _one) = (network.user("ana"), network.peer("one", "peers", &[]));
    let source = network.path("x");
    noise_file(&source, "x", 10);
    for name in ["模型/ünï çødé.bin", "a\u{1b}]0;owned\u{7}\nb", "\u{202e}gpj.exe", "with?and%and#"]
    {
        network.ok(&ana, &["upload", source.to_str().unwrap(), "--name", name]);
        let items = network.ok(&ana, &["ls", name])["items"].clone();
        assert_eq!(items[0]["name"], name);
        let mut command = peral(&ana.home);
        command.args(["ls", name]);
        let said = Process::start(command, &network.path("text.log")).finish();
        assert_eq!(said.code, Some(0));
        assert!(!said.out.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{said:?}");
        assert_eq!(said.out.lines().count(), 2, "a header and one line: {said:?}");
        network.ok(
            &ana,
            &["download", name, "-o", network.path("y").to_str().unwrap(), "--overwrite"],
        );
        network.ok(&ana, &["rm", name]);
    }
}
