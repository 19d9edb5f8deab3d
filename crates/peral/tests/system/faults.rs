//! What breaks: peers and central that are killed, disks that lie, two processes with one identity.

use std::fs::{self, File};

use peral_testkit::{
    eventually,
    files::{copy_folder, flip_bit},
    sample::{hash_of, noise_file},
};

use crate::network::{Network, Node, User};

const SIZE: usize = 24 << 20;

fn people(network: &Network) -> User {
    network.ok(&network.admin, &["user", "add", "peers", "--no-password"]);
    network.user("ana")
}

/// Puts a file on two peers.
fn on_both(network: &Network, ana: &User, one: &Node, two: &Node) -> String {
    let hash = noise_file(&one.share.join("big.bin"), "big", SIZE);
    network.sources("big.bin", 1);
    network
        .at(
            two,
            ana,
            &["download", "big.bin", "-o", network.path("copy-on-two.bin").to_str().unwrap()],
        )
        .ok();
    network.sources("big.bin", 2);
    hash
}

#[test]
fn a_download_goes_on_from_the_next_source_when_one_is_killed() {
    let network = Network::start(None);
    let ana = people(&network);
    let (mut one, two) = (
        network.peer("one", "peers", &["--upload-rate", "8M"]),
        network.peer("two", "peers", &["--upload-rate", "8M"]),
    );
    let hash = on_both(&network, &ana, &one, &two);
    let target = network.path("fetched.bin");
    let mut running =
        network.begin(&ana, None, &["download", "big.bin", "-o", target.to_str().unwrap()]);
    running.moved(6 << 20);
    one.process.kill();
    let said = running.finish();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(hash_of(&target), hash);
}

#[test]
fn a_changed_bit_is_found_and_the_bytes_come_from_elsewhere() {
    let network = Network::start(None);
    let ana = people(&network);
    let (one, two) = (network.peer("one", "peers", &[]), network.peer("two", "peers", &[]));
    let hash = on_both(&network, &ana, &one, &two);
    flip_bit(&one.share.join("big.bin"), 5 << 20);
    for round in 0..4 {
        let target = network.path(&format!("fetched-{round}.bin"));
        network.ok(&ana, &["download", "big.bin", "-o", target.to_str().unwrap()]);
        assert_eq!(hash_of(&target), hash);
    }
}

/// I2: no byte reaches a user unless its piece hashed to the signed content.
#[test]
fn a_changed_bit_without_another_source_fails_and_leaves_no_file() {
    let network = Network::start(None);
    let ana = people(&network);
    let one = network.peer("one", "peers", &[]);
    noise_file(&one.share.join("big.bin"), "big", SIZE);
    network.sources("big.bin", 1);
    flip_bit(&one.share.join("big.bin"), (7 << 20) + 5);
    let target = network.path("fetched.bin");
    let said =
        network.said(&ana, &["download", "big.bin", "-o", target.to_str().unwrap(), "--wait", "3"]);
    assert_eq!((said.code, said.failed().as_str()), (Some(7), "INTEGRITY"), "{said:?}");
    assert!(said.out.contains("piece 7") && said.out.contains(&one.id), "{said:?}");
    assert!(!target.exists());
    // The holder looked again, and no longer says that it has the file.
    network.sources("big.bin", 0);
}

/// I1: an acknowledged publish is durable and findable.
#[test]
fn an_acknowledged_publish_survives_central_being_killed() {
    let mut network = Network::start(None);
    let (ana, one) = (people(&network), network.peer("one", "peers", &[]));
    let source = network.path("doc");
    for round in 0..3 {
        let name = format!("doc-{round}");
        let hash = noise_file(&source, &name, 5000);
        network.at(&one, &ana, &["upload", source.to_str().unwrap(), "--name", &name]).ok();
        network.central.kill();
        let away = network.said(&ana, &["search", &name]);
        assert_eq!((away.code, away.failed().as_str()), (Some(9), "UNAVAILABLE"));
        assert!(away.out.contains("cannot be reached"), "it did not wait for an answer: {away:?}");
        network.restart_central();
        let file = network.sources(&name, 1);
        assert_eq!(file["hash"], hash);
    }
    // Peers and users go on with the central that came back.
    network.ok(&ana, &["download", "doc-2", "-o", network.path("back").to_str().unwrap()]);
}

#[test]
fn a_download_does_not_need_central_to_the_end() {
    let mut network = Network::start(None);
    let ana = people(&network);
    let one = network.peer("one", "peers", &["--upload-rate", "8M"]);
    let hash = noise_file(&one.share.join("big.bin"), "big", SIZE);
    network.sources("big.bin", 1);
    let target = network.path("fetched.bin");
    let mut running =
        network.begin(&ana, None, &["download", "big.bin", "-o", target.to_str().unwrap()]);
    running.moved(6 << 20);
    network.central.kill();
    let said = running.finish();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(hash_of(&target), hash);
    network.restart_central();
}

/// I6: one live owner of a peer id.
#[test]
fn of_two_processes_with_one_identity_the_later_one_counts() {
    let network = Network::start(None);
    let ana = people(&network);
    let mut one = network.peer("one", "peers", &[]);
    noise_file(&one.share.join("a.bin"), "a", 3 << 20);
    network.sources("a.bin", 1);
    let (data, share) = (network.path("copied-data"), network.path("copied-share"));
    copy_folder(&one.data, &data);
    fs::create_dir(&share).unwrap();
    let copy = network.start_peer("copy", &data, &share, &[], &network.path("copy.address"));
    let state = eventually("the first one is superseded", || {
        let status = network.at(&one, &ana, &["status"]).ok();
        Some(status["state"].as_str().unwrap().to_owned()).filter(|state| state != "ready")
    });
    assert_eq!(state, "superseded");
    assert!(!one.process.ended(), "it stays, so that nothing restarts it and throws the other out");
    // It takes nothing on any more, and writes nothing into the catalogue.
    let source = network.path("late.bin");
    noise_file(&source, "late", 100);
    assert_eq!(
        network.at(&one, &ana, &["upload", source.to_str().unwrap()]).failed(),
        "SUPERSEDED"
    );
    assert!(network.file("late.bin").is_none());
    assert_eq!(network.state(&one.id), "ready", "the copy holds the lease");
    drop(copy);
}

#[test]
fn a_full_disk_is_reported_before_anything_is_written() {
    let network = Network::start(None);
    let ana = people(&network);
    let _one = network.peer("one", "peers", &[]);
    // More than any disk here has room for: a file of holes.
    let source = network.path("huge.bin");
    File::create(&source).unwrap().set_len(1 << 50).ok();
    if fs::metadata(&source).unwrap().len() < 1 << 50 {
        // This file system has no files of that size; 8 TiB it has.
        File::create(&source).unwrap().set_len(8 << 40).unwrap();
    }
    let said = network.said(&ana, &["upload", source.to_str().unwrap()]);
    assert_eq!((said.code, said.failed().as_str()), (Some(8), "NO_SPACE"), "{said:?}");
    assert!(network.file("huge.bin").is_none());
}
