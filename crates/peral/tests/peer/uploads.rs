//! Uploads by the socket: in place in a share, copied into it otherwise.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use peral_model::{ContentId, Identity, Visibility};
use peral_testkit::files::write_settled;
use peral_wire::{
    ErrorCode, Failure,
    envelope::envelope_from_text,
    pb,
    rest::files::{NewUpload, SourcesRequest},
};

use super::support::{Net, Node, User};

async fn upload(
    user: &User,
    node: &Node,
    path: &Path,
    name: &str,
    visibility: Visibility,
    replaces: u64,
) -> Result<pb::Progress, Failure> {
    let peer = node.id().await;
    let size = fs::metadata(path).unwrap().len();
    let new = NewUpload {
        name: name.into(),
        size,
        visibility,
        access: vec![],
        tags: vec![],
        replaces,
        peer: Some(peer),
        bearer: Some(Identity::Peer(peer)),
        placed: false,
    };
    let ticket = user.api.upload(&new).await?.ticket;
    show(node, path, name, &ticket).await
}

async fn show(node: &Node, path: &Path, name: &str, ticket: &str) -> Result<pb::Progress, Failure> {
    let request = pb::UploadRequest {
        path: path.display().to_string(),
        name: name.into(),
        ticket: Some(envelope_from_text(ticket)?),
    };
    let mut progress = node.control().await.unwrap().upload(request).await?.into_inner();
    let mut last = None;
    while let Some(step) = progress.message().await? {
        last = Some(step);
    }
    Ok(last.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_lands_in_the_share_published_and_held_when_it_is_acknowledged() {
    let net = Net::start().await;
    let (ann, bob) = (net.member("ann").await, net.member("bob").await);
    let peer = net.peer("ann", "one").await;
    let source = write_settled(&net.folder.path().join("elsewhere"), b"bob's bytes");
    let done =
        upload(&bob, &peer, &source, "deep/down/file", Visibility::Private, 0).await.unwrap();
    assert!(done.phase() == pb::Phase::Done && done.record.is_some());
    let found = bob.until_file("deep/down/file", |_| true).await;
    assert_eq!(
        (found.file.sources, found.file.owner.as_str(), found.file.hash),
        (1, "bob", ContentId::of(b"bob's bytes"))
    );
    assert_eq!(fs::read(peer.share.join("deep/down/file")).unwrap(), b"bob's bytes");
    // The indexer saw it, and did not publish it again in ann's name.
    peer.write("marker", b"marker");
    ann.until_file("marker", |found| found.file.sources == 1).await;
    assert!(
        peer.status().await.unwrap().troubles.is_empty(),
        "{:?}",
        peer.status().await.unwrap().troubles
    );
    // A new version takes the place of the old one.
    let source = write_settled(&net.folder.path().join("elsewhere"), b"newer bytes");
    upload(&bob, &peer, &source, "deep/down/file", Visibility::Private, 1).await.unwrap();
    assert_eq!(fs::read(peer.share.join("deep/down/file")).unwrap(), b"newer bytes");
    // The last copy of the old one is not lost by that.
    let earlier =
        SourcesRequest { file: Some(found.file.id), version: Some(1), ..SourcesRequest::default() };
    let earlier = bob.api.sources(&earlier).await.unwrap();
    assert_eq!((earlier.sources.len(), earlier.away), (1, 0));
    let kept = peer.data.join(format!("kept/{}-1", found.file.id));
    assert_eq!(fs::read(&kept).unwrap(), b"bob's bytes");
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    let stale =
        upload(&bob, &peer, &source, "deep/down/file", Visibility::Private, 1).await.unwrap_err();
    assert_eq!(stale.code, ErrorCode::VersionConflict);
    // Under another prefix it is not published by ann, who has it for bob only.
    let other = pb::ShareRequest {
        path: peer.share.display().to_string(),
        prefix: "new".into(),
        visibility: 1,
    };
    peer.control().await.unwrap().share(other).await.unwrap();
    ann.until_file("new/marker", |found| found.file.sources == 1).await;
    peer.until_trouble("new/deep/down/file", ErrorCode::Extent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_another_file_is_overwritten_and_no_symlink_followed() {
    let net = Net::start().await;
    let (_ann, bob) = (net.member("ann").await, net.member("bob").await);
    let peer = net.peer("ann", "one").await;
    let outside = net.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    // Hidden from the indexer, and there all the same.
    fs::write(peer.share.join(".notes"), b"ann's notes").unwrap();
    std::os::unix::fs::symlink(&outside, peer.share.join("way")).unwrap();
    let source = write_settled(&net.folder.path().join("source"), b"bytes");
    for name in [".notes", "way/out"] {
        upload(&bob, &peer, &source, name, Visibility::Public, 0).await.unwrap();
        let found = bob.until_file(name, |_| true).await;
        assert_eq!(found.file.sources, 1, "kept in the data folder");
    }
    assert_eq!(fs::read(peer.share.join(".notes")).unwrap(), b"ann's notes");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert_eq!(fs::read_dir(peer.data.join("kept")).unwrap().count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_a_share_is_uploaded_where_it_is() {
    let net = Net::start().await;
    let ann = net.member("ann").await;
    let peer = net.peer("ann", "one").await;
    let path = peer.write(".kept/model", b"in place");
    upload(&ann, &peer, &path, "models/one", Visibility::Public, 0).await.unwrap();
    let found = ann.until_file("models/one", |_| true).await;
    assert_eq!((found.file.sources, found.file.hash), (1, ContentId::of(b"in place")));
    assert!(!peer.share.join("models").exists(), "no second copy");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_of_others_is_refused_and_a_repeated_one_gives_the_same() {
    let net = Net::start().await;
    let ann = net.member("ann").await;
    let (peer, other) = (net.peer("ann", "one").await, net.peer("ann", "two").await);
    let source = write_settled(&net.folder.path().join("source"), b"bytes");
    let id = peer.id().await;
    let new = |bearer| NewUpload {
        name: "file".into(),
        size: 5,
        visibility: Visibility::Public,
        access: vec![],
        tags: vec![],
        replaces: 0,
        peer: Some(id),
        bearer,
        placed: false,
    };
    let ticket = ann.api.upload(&new(Some(Identity::Peer(id)))).await.unwrap().ticket;
    let own = ann.api.upload(&new(None)).await.unwrap().ticket;
    assert_eq!(
        show(&other, &source, "file", &ticket).await.unwrap_err().code,
        ErrorCode::Forbidden
    );
    assert_eq!(show(&peer, &source, "file", &own).await.unwrap_err().code, ErrorCode::Forbidden);
    assert_eq!(
        show(&peer, &source, "another", &ticket).await.unwrap_err().code,
        ErrorCode::InvalidArgument
    );
    let first = show(&peer, &source, "file", &ticket).await.unwrap();
    let again = show(&peer, &source, "file", &ticket).await.unwrap();
    assert_eq!(first.record, again.record);
    write_settled(&source, b"other");
    assert_eq!(
        show(&peer, &source, "file", &ticket).await.unwrap_err().code,
        ErrorCode::AlreadyExists
    );
}
