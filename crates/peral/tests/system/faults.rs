//! What breaks: peers and central that are killed, disks that lie, two processes with one identity.

use std::{
    fs::{self, File, FileTimes},
    os::unix::fs::FileExt,
    path::Path,
    time::Duration,
};

use crate::{
    folder::copy_folder,
    network::{Network, Node, User, hash_of, moved, noise_file},
    process::{PATIENCE, eventually},
};

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
    moved(&mut running, 6 << 20);
    one.process.kill();
    let said = running.finish();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(hash_of(&target), hash);
}

/// Changes one bit, and nothing that a look at the file's date or size would show.
fn rot(path: &Path, at: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let before = file.metadata().unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    file.set_times(
        FileTimes::new()
            .set_accessed(before.accessed().unwrap())
            .set_modified(before.modified().unwrap()),
    )
    .unwrap();
}

#[test]
fn a_changed_bit_is_found_and_the_bytes_come_from_elsewhere() {
    let network = Network::start(None);
    let ana = people(&network);
    let (one, two) = (network.peer("one", "peers", &[]), network.peer("two", "peers", &[]));
    let hash = on_both(&network, &ana, &one, &two);
    rot(&one.share.join("big.bin"), 5 << 20);
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
    rot(&one.share.join("big.bin"), (7 << 20) + 5);
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
        assert!(away.took < Duration::from_secs(5), "{away:?}");
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
    moved(&mut running, 6 << 20);
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
    let state = eventually("the first one is superseded", PATIENCE, || {
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
fn a_full_disk_is_told_before_anything_is_written() {
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
