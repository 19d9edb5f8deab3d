//! What a share's indexer publishes, and what it leaves alone.

use std::fs;

use peral_model::{ContentId, FileName, Visibility};
use peral_testkit::{files::write_settled, until};
use peral_wire::{ErrorCode, rest::files::FileChange};

use super::support::{Net, Node};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_file_is_published_found_edited_and_kept_by_name_when_it_is_gone() {
    let net = Net::start().await;
    let ann = net.member("ann").await;
    let peer = net.peer("ann", "one").await;
    peer.write("data/file", b"first");
    let first = ann.until_file("data/file", |found| found.file.sources == 1).await;
    assert_eq!(
        (first.file.version, first.file.hash, first.file.owner.as_str()),
        (1, ContentId::of(b"first"), "ann")
    );
    peer.write("data/file", b"second");
    let second = ann
        .until_file("data/file", |found| found.file.version == 2 && found.file.sources == 1)
        .await;
    assert_eq!((second.file.id, second.file.hash), (first.file.id, ContentId::of(b"second")));
    assert_eq!(
        second.versions.iter().map(|version| version.sources).collect::<Vec<_>>(),
        [1, 0],
        "nobody holds the old one any more"
    );
    fs::remove_file(peer.share.join("data/file")).unwrap();
    let gone = ann.until_file("data/file", |found| found.file.sources == 0).await;
    assert_eq!(gone.file.version, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_of_others_and_a_copy_that_is_behind_are_left_alone() {
    let net = Net::start().await;
    let (ann, _bob) = (net.member("ann").await, net.member("bob").await);
    let (one, two, other) = (
        net.peer("ann", "one").await,
        net.peer("ann", "two").await,
        net.peer("bob", "other").await,
    );
    one.write("file", b"v1");
    ann.until_file("file", |found| found.file.sources == 1).await;
    // The same bytes elsewhere: one more source, no version.
    two.write("file", b"v1");
    ann.until_file("file", |found| found.file.sources == 2 && found.file.version == 1).await;
    two.write("file", b"v2");
    ann.until_file("file", |found| found.file.version == 2).await;
    // The first peer had version 1: what it makes of that does not replace version 2.
    one.write("file", b"v1 edited");
    one.until_trouble("file", ErrorCode::Outdated).await;
    other.write("file", b"mine");
    other.until_trouble("file", ErrorCode::NameTaken).await;
    let now = ann.until_file("file", |_| true).await;
    assert_eq!((now.file.version, now.file.hash), (2, ContentId::of(b"v2")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_comes_back_with_an_old_copy_changes_nothing_newer() {
    let net = Net::start().await;
    let ann = net.member("ann").await;
    let mut one = net.peer("ann", "one").await;
    let two = net.peer("ann", "two").await;
    one.write("file", b"v1");
    ann.until_file("file", |found| found.file.sources == 1).await;
    two.write("file", b"v1");
    ann.until_file("file", |found| found.file.sources == 2).await;
    let config = one.stop().await;
    two.write("file", b"v2");
    ann.until_file("file", |found| found.file.version == 2).await;
    // Nothing of what it knew: the data folder is lost too, and another key joins.
    let known = Node::start(config).await;
    known.until_ready().await;
    let fresh = net
        .peer_with("ann", "fresh", |config| {
            config.shares[0].path = known.share.with_file_name("fresh-share");
        })
        .await;
    fresh.write("file", b"v1");
    fresh.until_trouble("file", ErrorCode::Outdated).await;
    known.write("file", b"v1 again");
    known.until_trouble("file", ErrorCode::Outdated).await;
    let now = ann.until_file("file", |_| true).await;
    assert_eq!((now.file.version, now.file.hash), (2, ContentId::of(b"v2")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_name_does_not_come_back_by_itself() {
    let net = Net::start().await;
    let ann = net.member("ann").await;
    let mut away = net.peer("ann", "away").await;
    let peer = net.peer("ann", "here").await;
    let name = FileName::new("file").unwrap();
    let path = peer.write("file", b"bytes");
    ann.until_file("file", |found| found.file.sources == 1).await;
    away.write("file", b"bytes");
    ann.until_file("file", |found| found.file.sources == 2).await;
    let config = away.stop().await;
    ann.api.remove_file(&name).await.unwrap();
    peer.until_trouble("file", ErrorCode::Removed).await;
    assert!(path.exists(), "what a user shared stays on disk");
    // Edited, it is still the file that was removed; and who was away hears of it.
    peer.write("file", b"edited");
    let away = Node::start(config).await;
    away.until_trouble("file", ErrorCode::Removed).await;
    peer.until_trouble("file", ErrorCode::Removed).await;
    assert_eq!(ann.api.file(&name).await.unwrap_err().code, ErrorCode::NotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_share_publishes_privately_and_a_change_of_rights_is_kept() {
    let net = Net::start().await;
    let (ann, bob) = (net.member("ann").await, net.member("bob").await);
    let peer = net
        .peer_with("ann", "one", |config| config.shares[0].visibility = Visibility::Private)
        .await;
    peer.write("secret", b"first");
    let first = ann.until_file("secret", |found| found.file.sources == 1).await;
    assert_eq!(first.file.visibility, Visibility::Private);
    let name = FileName::new("secret").unwrap();
    assert_eq!(bob.api.file(&name).await.unwrap_err().code, ErrorCode::NotFound);
    // A new version keeps what the file has, whatever the share says.
    ann.api
        .change_file(
            &name,
            &FileChange { visibility: Some(Visibility::Public), ..FileChange::default() },
        )
        .await
        .unwrap();
    peer.write("secret", b"second");
    let second = bob.until_file("secret", |found| found.file.version == 2).await;
    assert_eq!(second.file.visibility, Visibility::Public);
    // The same private bytes under a public name of the same peer: only an upload does that.
    peer.write("other", b"quite private");
    ann.until_file("other", |found| found.file.sources == 1).await;
    let public = peer.share.with_file_name("public");
    let mut control = peer.control().await.unwrap();
    let share = peral_wire::pb::ShareRequest {
        path: public.display().to_string(),
        prefix: "pub".into(),
        visibility: 1,
    };
    control.share(share).await.unwrap();
    write_settled(&public.join("leak"), b"quite private");
    peer.until_trouble("pub/leak", ErrorCode::Extent).await;
    assert_eq!(
        bob.api.file(&FileName::new("pub/leak").unwrap()).await.unwrap_err().code,
        ErrorCode::NotFound
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_files_come_in_batches_and_go_with_their_share() {
    let net = Net::start().await;
    let ann = net.member("ann").await;
    let peer = net.peer("ann", "one").await;
    for number in 0..2_500 {
        fs::create_dir_all(peer.share.join(format!("d{}", number % 7))).unwrap();
        fs::write(peer.share.join(format!("d{}/f{number}", number % 7)), number.to_string())
            .unwrap();
    }
    let held = async |expected: u64| {
        until(&format!("central knows {expected} holdings"), async || {
            let peers = ann.api.peers().await.unwrap().items;
            peers.iter().map(|peer| peer.files).sum::<u64>() == expected
        })
        .await;
    };
    held(2_500).await;
    assert_eq!(peer.status().await.unwrap().shares[0].files, 2_500);
    let mut control = peer.control().await.unwrap();
    control
        .unshare(peral_wire::pb::UnshareRequest { path: peer.share.display().to_string() })
        .await
        .unwrap();
    held(0).await;
    ann.until_file("d3/f3", |found| found.file.sources == 0).await;
}
