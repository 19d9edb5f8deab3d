//! Private files: their owner and those named, by a grant that counts over one certificate alone.
//! Nobody else learns that they are there.

use std::net::SocketAddr;

use peral_model::{ContentId, PeerId};
use peral_testkit::{
    Said, eventually,
    sample::{hash_of, noise_file},
    until,
};
use peral_wire::{
    ErrorCode, Failure,
    envelope::envelope_from_text,
    pb,
    rest::files::{NewVersion, Publish, PublishResult, Sources, SourcesRequest},
};

use crate::{
    network::{Network, Node, User},
    raw::{Login, block_on, session_of},
};

const NAME: &str = "secret/plan.bin";

/// Asks a peer for the first piece of a file, with a login's certificate; what came.
async fn first_piece(
    login: &Login,
    peer: PeerId,
    address: SocketAddr,
    file: pb::FileRef,
) -> Result<usize, Failure> {
    let request = pb::DownloadFileRequest {
        file: Some(file),
        ranges: vec![pb::PieceRange { first: 0, count: 1 }],
        suspect: false,
    };
    let mut stream = login.peer(peer, address).await?.download_file(request).await?.into_inner();
    Ok(stream.message().await?.map_or(0, |piece| piece.data.len()))
}

fn file_ref(sources: &Sources, with_grant: bool) -> pb::FileRef {
    let record = envelope_from_text(&sources.record).unwrap();
    let read = <pb::Record as prost::Message>::decode(record.body.clone()).unwrap();
    let grant = sources
        .grant
        .as_deref()
        .filter(|_| with_grant)
        .map(|grant| envelope_from_text(grant).unwrap());
    pb::FileRef { file_id: read.file_id, version: read.version, record: Some(record), grant }
}

#[test]
fn a_private_file_is_there_for_those_it_names_and_for_nobody_else() {
    let network = Network::start(None);
    network.ok(&network.admin, &["user", "add", "peers", "--no-password"]);
    let (ana, ben, eve) = (network.user("ana"), network.user("ben"), network.user("eve"));
    let (one, two) = (network.peer("one", "peers", &[]), network.peer("two", "peers", &[]));
    let source = network.path("plan.bin");
    let hash = noise_file(&source, "plan", 3 << 20);
    let args =
        ["upload", source.to_str().unwrap(), "--name", NAME, "--private", "--access", "ben:read"];
    let up = network.at(&one, &ana, &args).ok();
    assert_eq!(up["visibility"], "private");

    for (user, name) in [(&ana, "ana.bin"), (&ben, "ben.bin")] {
        let target = network.path(name);
        network.ok(user, &["download", NAME, "-o", target.to_str().unwrap()]);
        assert_eq!(hash_of(&target), hash);
    }
    // Through a peer: the grant is made out to it, and asked for by the user.
    let target = network.path("beside-two.bin");
    network.at(&two, &ben, &["download", NAME, "-o", target.to_str().unwrap()]).ok();
    assert_eq!(hash_of(&target), hash);

    nothing_for(&network, &eve, &two, &hash);
    for peer in ["one", "two"] {
        let count = |user: &User| {
            let held = network.ok(user, &["ls", "--peer", peer, "secret/"]);
            held["items"].as_array().unwrap().len()
        };
        assert_eq!((count(&eve), count(&ana)), (0, 1), "{peer}");
    }
    // Names are one space all the same.
    assert_eq!(
        network.said(&eve, &["upload", source.to_str().unwrap(), "--name", NAME]).failed(),
        "NAME_TAKEN"
    );
}

/// Somebody who may not have the file gets nothing of it, and learns nothing of it.
fn nothing_for(network: &Network, eve: &User, beside: &Node, hash: &str) {
    let absent = network.said(eve, &["download", "secret/other.bin"]);
    for args in [&["download", NAME][..], &["download", hash], &["access", NAME], &["rm", NAME]] {
        for said in [network.said(eve, args), network.at(beside, eve, args)] {
            assert_eq!((said.code, said.failed().as_str()), (Some(3), "NOT_FOUND"), "{args:?}");
            // All that is said but the id of the call.
            let told = |said: &Said| {
                let mut error = said.json()["error"].take();
                let trace = error.as_object_mut().unwrap().remove("trace");
                assert_eq!(trace.unwrap().as_str().map(str::len), Some(32));
                error
                    .to_string()
                    .replace(NAME, "…")
                    .replace("secret/other.bin", "…")
                    .replace(hash, "…")
            };
            if args[0] == "download" && args[1] == NAME {
                assert_eq!(told(&said), told(&absent), "hidden and absent look alike");
            }
        }
    }
    for args in [&["search", "plan"][..], &["search", hash], &["ls", "secret/"]] {
        assert_eq!(network.ok(eve, args)["items"].as_array().unwrap().len(), 0, "{args:?}");
    }
}

/// I3: deny by default.
#[test]
fn a_grant_counts_for_its_bearer_alone_and_a_hash_for_nothing() {
    let network = Network::start(None);
    for account in ["peers", "evil"] {
        network.ok(&network.admin, &["user", "add", account, "--no-password"]);
    }
    let (ana, eve) = (network.user("ana"), network.user("eve"));
    let (one, own) = (network.peer("one", "peers", &[]), network.peer("own", "evil", &[]));
    let source = network.path("plan.bin");
    let hash = noise_file(&source, "plan", 3 << 20);
    network.at(&one, &ana, &["upload", source.to_str().unwrap(), "--name", NAME, "--private"]).ok();
    block_on(async {
        let (ana, eve) = (Login::of(&ana), Login::of(&eve));
        let request = SourcesRequest { name: Some(NAME.into()), ..SourcesRequest::default() };
        let sources = ana.catalogue().sources(&request).await.unwrap();
        assert!(sources.grant.is_some());
        let holder = sources.sources[0].clone();
        let (peer, address) = (holder.peer, holder.address.parse::<SocketAddr>().unwrap());
        assert_eq!(first_piece(&ana, peer, address, file_ref(&sources, true)).await, Ok(1 << 20));
        // The same grant over another's certificate; no grant; the record alone.
        for (login, with_grant) in [(&eve, true), (&eve, false), (&ana, false)] {
            let refused = first_piece(login, peer, address, file_ref(&sources, with_grant))
                .await
                .unwrap_err();
            assert_eq!(refused.code, ErrorCode::NotFound, "{refused}");
        }
        let mine = published_by(&eve, &own, &hash).await;
        assert_eq!(
            mine.sources,
            [],
            "the publisher has not the bytes, and who has them does not have them for this name"
        );
        let refused = first_piece(&eve, peer, address, file_ref(&mine, true)).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::NotFound, "{refused}");
        let request = SourcesRequest { hash: hash.parse().ok(), ..SourcesRequest::default() };
        let by_hash = eve.catalogue().sources(&request).await.unwrap();
        assert_eq!(
            (by_hash.sources, by_hash.record),
            (vec![], mine.record),
            "of all with this content eve may have her own alone"
        );
    });
}

/// Eve's own peer says that it has the content under a name of its own: that gives no right to the
/// bytes of others. What central names for it.
async fn published_by(eve: &Login, own: &Node, hash: &str) -> Sources {
    let token = session_of(own).await.token;
    let version = NewVersion {
        name: "mine.bin".into(),
        hash: hash.parse::<ContentId>().unwrap(),
        size: 3 << 20,
        visibility: Default::default(),
        replaces: None,
        upload: None,
    };
    let published = eve
        .with_token(&token)
        .publish(&Publish { idempotency_key: "mine".into(), files: vec![version] })
        .await
        .unwrap();
    assert!(matches!(published.results[0], PublishResult::Record(_)), "{published:?}");
    let request = SourcesRequest { name: Some("mine.bin".into()), ..SourcesRequest::default() };
    eve.catalogue().sources(&request).await.unwrap()
}

#[test]
fn a_right_that_is_withdrawn_ends_at_the_peers() {
    let network = Network::start(None);
    network.ok(&network.admin, &["user", "add", "peers", "--no-password"]);
    let (ana, ben) = (network.user("ana"), network.user("ben"));
    let one = network.peer("one", "peers", &[]);
    let source = network.path("plan.bin");
    noise_file(&source, "plan", 2 << 20);
    network.ok(&network.admin, &["group", "add", "team"]);
    network.ok(&network.admin, &["group", "join", "team", "ben"]);
    network
        .at(
            &one,
            &ana,
            &[
                "upload",
                source.to_str().unwrap(),
                "--name",
                NAME,
                "--private",
                "--access",
                "group:team:read",
            ],
        )
        .ok();
    block_on(async {
        let login = Login::of(&ben);
        let request = SourcesRequest { name: Some(NAME.into()), ..SourcesRequest::default() };
        let sources = login.catalogue().sources(&request).await.unwrap();
        let (peer, address) =
            (sources.sources[0].peer, sources.sources[0].address.parse::<SocketAddr>().unwrap());
        assert_eq!(first_piece(&login, peer, address, file_ref(&sources, true)).await, Ok(1 << 20));
        network.ok(&ana, &["access", NAME, "--withdraw", "group:team"]);
        // The grant runs for an hour; the peer hears within a heartbeat that it counts no longer.
        let fresh = Login::of(&ana).catalogue().sources(&request).await.unwrap();
        let refused = until_refused(&login, peer, address, &sources).await;
        assert_eq!(refused.code, ErrorCode::NotFound, "{refused}");
        assert_ne!(
            fresh.record, sources.record,
            "the records are signed again with a higher serial"
        );
    });
    assert_eq!(network.said(&ben, &["download", NAME]).failed(), "NOT_FOUND");
}

async fn until_refused(
    login: &Login,
    peer: PeerId,
    address: SocketAddr,
    sources: &Sources,
) -> Failure {
    until("it is no longer served", async || {
        first_piece(login, peer, address, file_ref(sources, true)).await.err()
    })
    .await
}

#[test]
fn a_disabled_account_is_out() {
    let network = Network::start(None);
    let (ana, eve) = (network.user("ana"), network.user("eve"));
    let (one, own) = (network.peer("one", "ana", &[]), network.peer("own", "eve", &[]));
    let source = network.path("song.ogg");
    noise_file(&source, "song", 2 << 20);
    network.at(&one, &ana, &["upload", source.to_str().unwrap(), "--name", "song.ogg"]).ok();
    let login = Login::of(&eve);
    let (sources, address) = block_on(async {
        let sources = login
            .catalogue()
            .sources(&SourcesRequest { name: Some("song.ogg".into()), ..SourcesRequest::default() })
            .await
            .unwrap();
        let address = sources.sources[0].address.parse::<SocketAddr>().unwrap();
        assert_eq!(
            first_piece(&login, sources.sources[0].peer, address, file_ref(&sources, false)).await,
            Ok(1 << 20)
        );
        (sources, address)
    });
    network.ok(&network.admin, &["user", "disable", "eve"]);
    assert_eq!(network.said(&eve, &["ls"]).failed(), "UNAUTHENTICATED");
    // Her certificate would run for hours: the other peers hear within a heartbeat.
    let refused = block_on(until_refused(&login, sources.sources[0].peer, address, &sources));
    assert!(
        matches!(
            refused.code,
            ErrorCode::Unauthenticated | ErrorCode::Forbidden | ErrorCode::NotFound
        ),
        "{refused}"
    );
    eventually("her peer is out", || Some(network.state(&own.id)).filter(|state| state != "ready"));
}
