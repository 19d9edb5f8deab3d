//! Joining, coming back, being taken over, and leaving.

use std::fs;

use peral_model::FileName;
use peral_peer::JoinToken;
use peral_runtime::tls::Pin;
use peral_testkit::{files::copy_folder, until};
use peral_transfer::trust::FirstContact;
use peral_wire::{
    ErrorCode,
    pb::{self, peer_service_client::PeerServiceClient},
    rest::{accounts::AccountChange, peers::ListedState},
};

use super::support::{Net, Node, listed};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_keeps_its_id_raises_its_epoch_and_logs_out() {
    let net = Net::start().await;
    let root = net.log_in("root").await;
    let mut peer = net.peer("root", "one").await;
    let (id, epoch) = (peer.id().await, peer.status().await.unwrap().epoch);
    assert_eq!(listed(&root, id).await, Some(ListedState::Ready));
    assert_eq!(peer.status().await.unwrap().address, peer.address.to_string());
    let config = peer.stop().await;
    assert_eq!(listed(&root, id).await, Some(ListedState::Away));
    assert!(!config.data.join("peral.sock").exists());
    // The join token is used up, and its file is gone: the key alone brings it back.
    let gone = config.data.with_file_name("gone");
    let again = Node::start(peral_peer::Config {
        join_token: Some(JoinToken::File(gone.clone())),
        ..config.clone()
    })
    .await;
    again.until_ready().await;
    assert_eq!((again.id().await, again.status().await.unwrap().epoch), (id, epoch + 1));
    // A new key needs it.
    let data = config.data.with_file_name("new");
    let failure =
        Node::start(peral_peer::Config { data, join_token: Some(JoinToken::File(gone)), ..config })
            .await
            .fails()
            .await;
    assert!(
        failure.code == ErrorCode::InvalidArgument && failure.detail.contains("gone"),
        "{failure}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_fingerprint_and_a_wrong_token_register_nobody() {
    let net = Net::start().await;
    let mut config = net.config("root", "one").await;
    config.first_contact = Some(FirstContact::Fingerprint(Pin::new(&"ab".repeat(32)).unwrap()));
    let stranger = Node::start(config.clone()).await;
    let failure = stranger.fails().await;
    assert!(
        failure.code == ErrorCode::Untrusted && failure.detail.contains("fingerprint"),
        "{failure}"
    );
    assert!(!config.data.join("network.json").exists());
    let said = async |node: &Node| {
        until("the reason is shown", async || node.status().await?.troubles.into_iter().next())
            .await
    };
    let good = net.config("root", "one").await;
    let mut stranger = Node::start(peral_peer::Config {
        join_token: Some(JoinToken::Secret("no such token".into())),
        ..good.clone()
    })
    .await;
    assert_eq!(said(&stranger).await.code, "UNAUTHENTICATED");
    assert!(!stranger.is_ready().await);
    stranger.stop().await;
    assert!(net.log_in("root").await.api.peers().await.unwrap().items.is_empty());
    // The same data folder with what is right.
    let peer = Node::start(good).await;
    peer.until_ready().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_central_is_away_a_peer_serves_and_what_it_finds_waits() {
    let mut net = Net::start().await;
    let ann = net.member("ann").await;
    let mut peer = net.peer("ann", "one").await;
    peer.write("before", b"before");
    ann.until_file("before", |found| found.file.sources == 1).await;
    let dialer = ann.dialer(&net).await;
    net.stop().await;
    until("the peer notices", async || {
        peer.status().await.filter(|status| status.state == "waiting-for-central")
    })
    .await;
    assert!(peer.is_ready().await, "ready does not hang on central");
    peer.write("meanwhile", b"meanwhile");
    // Even started anew, from what is on its disk.
    let id = peer.id().await;
    let config = peer.stop().await;
    let peer = Node::start(config).await;
    until("ready without central", async || peer.is_ready().await).await;
    let mut service = PeerServiceClient::new(dialer.channel(id, peer.address).await.unwrap());
    let listed = service
        .list_files(pb::ListFilesRequest { limit: 10, ..Default::default() })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(listed.files.len(), 1);
    net.run().await;
    net.log_in("ann").await.until_file("meanwhile", |found| found.file.sources == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_superseded_process_serves_and_writes_nothing_and_stays() {
    let net = Net::start().await;
    let ann = net.member("ann").await;
    let mut first = net.peer("ann", "one").await;
    first.write("file", b"bytes");
    ann.until_file("file", |found| found.file.sources == 1).await;
    let id = first.id().await;
    // A copy of its data folder, as a volume's snapshot makes it.
    let copy = first.data.with_file_name("copy");
    copy_folder(&first.data, &copy);
    let mut config = net.config("ann", "unused").await;
    (config.data, config.shares[0].path) = (copy, first.share.with_file_name("second-share"));
    let second = Node::start(config).await;
    second.until_ready().await;
    assert_eq!(second.id().await, id);
    until("the first notices", async || {
        first.status().await.filter(|status| status.state == "superseded")
    })
    .await;
    assert!(first.runs() && !first.is_ready().await);
    let dialer = ann.dialer(&net).await;
    let mut service = PeerServiceClient::new(dialer.channel(id, first.address).await.unwrap());
    let refused = service.stat_file(named("file")).await.unwrap_err();
    assert_eq!(peral_wire::Failure::from(refused).code, ErrorCode::Superseded);
    first.write("late", b"late");
    // The second one writes on; when it has published, the first one would have long since.
    second.write("newer", b"newer");
    ann.until_file("newer", |found| found.file.sources == 1).await;
    assert_eq!(
        ann.api.file(&FileName::new("late").unwrap()).await.unwrap_err().code,
        ErrorCode::NotFound
    );
    first.stop().await;
    assert_eq!(
        listed(&net.log_in("root").await, id).await,
        Some(ListedState::Ready),
        "its end logs nobody out"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_account_is_out_within_a_heartbeat() {
    let net = Net::start().await;
    let (root, ann, bob) =
        (net.log_in("root").await, net.member("ann").await, net.member("bob").await);
    let peer = net.peer("ann", "one").await;
    peer.write("file", b"bytes");
    ann.until_file("file", |found| found.file.sources == 1).await;
    let dialer = bob.dialer(&net).await;
    let mut service =
        PeerServiceClient::new(dialer.channel(peer.id().await, peer.address).await.unwrap());
    service.stat_file(named("file")).await.unwrap();
    root.api
        .change_account(
            bob.login.account,
            &AccountChange { disabled: Some(true), ..Default::default() },
        )
        .await
        .unwrap();
    until("bob is refused", async || {
        service
            .stat_file(named("file"))
            .await
            .err()
            .filter(|status| status.code() == tonic::Code::Unauthenticated)
    })
    .await;
    // Also by a peer that was started since.
    let mut peer = peer;
    let config = peer.stop().await;
    let peer = Node::start(config).await;
    peer.until_ready().await;
    let mut service =
        PeerServiceClient::new(dialer.channel(peer.id().await, peer.address).await.unwrap());
    assert_eq!(
        service.stat_file(named("file")).await.unwrap_err().code(),
        tonic::Code::Unauthenticated
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_copy_of_the_data_folder_is_made_good() {
    let net = Net::start().await;
    let ann = net.member("ann").await;
    let mut peer = net.peer("ann", "one").await;
    peer.write("a", b"a");
    ann.until_file("a", |found| found.file.sources == 1).await;
    let config = peer.stop().await;
    let backup = config.data.with_file_name("backup");
    copy_folder(&config.data, &backup);
    let mut peer = Node::start(config).await;
    peer.write("b", b"b");
    fs::remove_file(peer.share.join("a")).unwrap();
    ann.until_file("b", |found| found.file.sources == 1).await;
    ann.until_file("a", |found| found.file.sources == 0).await;
    let config = peer.stop().await;
    fs::remove_dir_all(&config.data).unwrap();
    fs::rename(&backup, &config.data).unwrap();
    let peer = Node::start(config).await;
    peer.until_ready().await;
    peer.write("c", b"c");
    for (name, sources) in [("c", 1), ("b", 1), ("a", 0)] {
        ann.until_file(name, |found| found.file.sources == sources).await;
    }
}

fn named(name: &str) -> pb::StatFileRequest {
    pb::StatFileRequest { which: Some(pb::stat_file_request::Which::Name(name.into())) }
}
