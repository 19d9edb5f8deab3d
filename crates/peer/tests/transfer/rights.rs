//! Who gets what: by certificate, grant and revocation.

use std::{fs, sync::Arc, time::Duration};

use futures::stream;
use peral_model::Visibility;
use peral_peer::IdentityLoss;
use peral_runtime::tls::CertStore;
use peral_testkit::{
    PATIENCE,
    identity::{Issuer, a_peer, a_user, now_ms},
    sample::{MIB, sample},
};
use peral_transfer::{
    dial::{Dialer, OutboundPolicy},
    limits::{Limits, Rates},
    wirebody::{self, Receiver},
};
use peral_wire::{ErrorCode, Failure, pb, peer::DOWNLOAD};
use tower::{Service, ServiceExt};
use uuid::Uuid;

use crate::kit::{Getter, Peer, dial_as, shown};

fn all(record: &peral_wire::Sealed<peral_model::Record>, pieces: u64) -> pb::DownloadFileRequest {
    pb::DownloadFileRequest {
        file: Some(shown(record, None)),
        ranges: vec![pb::PieceRange { first: 0, count: pieces }],
        suspect: false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_file_goes_to_the_bearer_of_a_grant_alone() {
    let net = Issuer::new();
    let peer = Peer::start(&net).await;
    let bytes = sample(3 * MIB);
    let record = peer.hold(&net, "secret", &bytes, Visibility::Private).await;
    let (bearer, thief) = (a_user(), a_user());
    let grant = net.grant(&record.value, bearer);
    let absent = Getter::new(&net, &record, &[peer.source()]).get().await.unwrap_err();
    assert_eq!(absent.code, ErrorCode::NoSource);
    assert!(
        absent.detail.contains("does not hold this file version"),
        "as if it were not there: {absent}"
    );
    let stolen = Getter::showing(&net, &record, Some(grant.clone()), &[peer.source()], thief);
    assert_eq!(stolen.get().await.unwrap_err().code, ErrorCode::NoSource);
    // Signed by somebody else.
    let forged = Getter::showing(
        &net,
        &record,
        Some(Issuer::new().grant(&record.value, bearer)),
        &[peer.source()],
        bearer,
    );
    assert_eq!(forged.get().await.unwrap_err().code, ErrorCode::NoSource);
    let right = Getter::showing(&net, &record, Some(grant), &[peer.source()], bearer);
    right.get().await.unwrap();
    assert_eq!(fs::read(right.path()).unwrap(), bytes);
}

async fn open(
    peer: &Peer,
    dialer: &Dialer,
    message: &pb::DownloadFileRequest,
) -> Result<Receiver, Failure> {
    let mut channel = dialer.channel(peer.id, peer.address).await?;
    let response = channel.ready().await.unwrap().call(wirebody::request(DOWNLOAD, message)).await;
    Receiver::new(response.map_err(|error| peral_wire::fail!(Unavailable, "{error}"))?)
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_an_identity_cuts_its_open_stream() {
    let net = Issuer::new();
    let peer =
        Peer::with(&net, Limits::new(Rates { upload: 4 << 20, download: 0 }), "http://127.0.0.1:1")
            .await;
    let record = peer.hold(&net, "a file", &sample(30 * MIB), Visibility::Public).await;
    let caller = a_user();
    let dialer = dial_as(&net, caller);
    let mut stream = open(&peer, &dialer, &all(&record, 30)).await.unwrap();
    stream.next().await.unwrap().unwrap();
    peer.library.rights().revoke(caller, now_ms() + 3_600_000).await.unwrap();
    let mut more = 0;
    let cut = loop {
        match stream.next().await {
            Ok(Some(_)) => more += 1,
            Ok(None) => panic!("the stream went on to its end"),
            Err(failure) => break failure,
        }
    };
    assert_eq!(cut.code, ErrorCode::Unauthenticated);
    assert!(more <= 4, "{more} pieces came after it");
    let refused = open(&peer, &dialer, &all(&record, 30)).await.err().unwrap();
    assert_eq!(refused.code, ErrorCode::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_higher_serial_cuts_streams_under_the_old_one() {
    let net = Issuer::new();
    let peer =
        Peer::with(&net, Limits::new(Rates { upload: 4 << 20, download: 0 }), "http://127.0.0.1:1")
            .await;
    let record = peer.hold(&net, "a file", &sample(30 * MIB), Visibility::Public).await;
    let mut stream = open(&peer, &dial_as(&net, a_user()), &all(&record, 30)).await.unwrap();
    stream.next().await.unwrap().unwrap();
    peer.library.rights().learn(record.value.file, 2).await.unwrap();
    let cut = loop {
        if let Err(failure) = stream.next().await.map(|piece| assert!(piece.is_some())) {
            break failure;
        }
    };
    assert_eq!(cut.code, ErrorCode::NotFound);
}

/// I7: whatever a remote can grow has a cap.
#[tokio::test(flavor = "multi_thread")]
async fn one_identity_cannot_take_all_streams() {
    let net = Issuer::new();
    let peer = Peer::start(&net).await;
    let record = peer.hold(&net, "a file", &sample(30 * MIB), Visibility::Public).await;
    let (greedy, other) = (dial_as(&net, a_user()), dial_as(&net, a_user()));
    let mut open_streams = Vec::new();
    let busy = loop {
        match open(&peer, &greedy, &all(&record, 30)).await {
            Ok(stream) => open_streams.push(stream),
            Err(failure) => break failure,
        }
    };
    assert_eq!(
        (busy.code, open_streams.len()),
        (ErrorCode::Busy, peral_transfer::limits::STREAMS_PER_IDENTITY)
    );
    let mut stream = open(&peer, &other, &all(&record, 30)).await.unwrap();
    for _ in 0..30 {
        tokio::time::timeout(PATIENCE, stream.next())
            .await
            .expect("others are not held up")
            .unwrap()
            .unwrap();
    }
}

/// What each method says to a caller.
async fn matrix(peer: &Peer, dialer: &Dialer) -> Vec<(&'static str, Result<(), ErrorCode>)> {
    let file = pb::FileRef { file_id: vec![1; 16].into(), version: 1, ..pb::FileRef::default() };
    let code = |status: tonic::Status| peral_wire::peer::failed(status).code;
    let mut client = match dialer.channel(peer.id, peer.address).await {
        Ok(channel) => pb::peer_service_client::PeerServiceClient::new(channel),
        Err(failure) => return vec![("connect", Err(failure.code))],
    };
    let download =
        pb::DownloadFileRequest { file: Some(file.clone()), ..pb::DownloadFileRequest::default() };
    let list = pb::PieceListRequest { file: Some(file.clone()) };
    let stat = pb::StatFileRequest { which: Some(pb::stat_file_request::Which::File(file)) };
    let ticket = pb::OpenUploadRequest { ticket: Some(pb::Envelope::default()), size: 1 };
    let header = pb::UploadHeader { ticket: Some(pb::Envelope::default()), size: 1, offset: 0 };
    let header =
        pb::UploadFileRequest { part: Some(pb::upload_file_request::Part::Header(header)) };
    vec![
        ("DownloadFile", client.download_file(download).await.map(drop).map_err(code)),
        ("PieceList", client.piece_list(list).await.map(drop).map_err(code)),
        (
            "ListFiles",
            client.list_files(pb::ListFilesRequest::default()).await.map(drop).map_err(code),
        ),
        ("StatFile", client.stat_file(stat).await.map(drop).map_err(code)),
        ("OpenUpload", client.open_upload(ticket).await.map(drop).map_err(code)),
        ("UploadFile", client.upload_file(stream::iter([header])).await.map(drop).map_err(code)),
        ("Echo", client.echo(stream::iter([pb::Piece::default()])).await.map(drop).map_err(code)),
    ]
}

/// I3: deny by default.
#[tokio::test(flavor = "multi_thread")]
async fn each_method_looks_at_who_calls() {
    let net = Issuer::new();
    let peer = Peer::start(&net).await;
    // The descriptors name the methods: a new one needs a row above.
    let descriptors = <prost_types_set::Set as prost::Message>::decode(pb::DESCRIPTORS).unwrap();
    let methods = descriptors.methods("PeerService");
    let rows = matrix(&peer, &dial_as(&net, a_user())).await;
    let mut named: Vec<&str> = rows.iter().map(|(method, _)| *method).collect();
    named.sort_unstable();
    assert_eq!(named, methods);
    // Nothing of this is public but what one may ask at all.
    for (method, answer) in rows {
        let expected = match method {
            "ListFiles" | "Echo" => Ok(()),
            "OpenUpload" | "UploadFile" => Err(ErrorCode::Unauthenticated),
            _ => Err(ErrorCode::NotFound),
        };
        assert_eq!(answer, expected, "{method} for a user");
    }

    let revoked = a_user();
    peer.library.rights().revoke(revoked, now_ms() + 3_600_000).await.unwrap();
    for (method, answer) in matrix(&peer, &dial_as(&net, revoked)).await {
        assert_eq!(answer, Err(ErrorCode::Unauthenticated), "{method} for a revoked identity");
    }

    let nobody =
        Dialer::new(CertStore::shared(), net.roots(), OutboundPolicy { allow_loopback: true });
    for (method, answer) in matrix(&peer, &nobody).await {
        assert_eq!(
            answer,
            Err(ErrorCode::Unavailable),
            "{method} without a certificate: there is no connection"
        );
    }
    // Of another network.
    let stranger = Dialer::new(
        Issuer::new().certs(a_user()),
        net.roots(),
        OutboundPolicy { allow_loopback: true },
    );
    for (method, answer) in matrix(&peer, &stranger).await {
        assert_eq!(answer, Err(ErrorCode::Unavailable), "{method} with a stranger's certificate");
    }
    peer.library.link().lose(IdentityLoss::Superseded);
    for (method, answer) in matrix(&peer, &dial_as(&net, a_user())).await {
        assert_eq!(answer, Err(ErrorCode::Superseded), "{method} of a process that was superseded");
    }
}

/// As much of a descriptor set as names methods.
mod prost_types_set {
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Set {
        #[prost(message, repeated, tag = "1")]
        pub files: Vec<File>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct File {
        #[prost(message, repeated, tag = "6")]
        pub services: Vec<Service>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Service {
        #[prost(string, tag = "1")]
        pub name: String,
        #[prost(message, repeated, tag = "2")]
        pub methods: Vec<Method>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Method {
        #[prost(string, tag = "1")]
        pub name: String,
    }

    impl Set {
        pub fn methods(&self, service: &str) -> Vec<String> {
            let service = self
                .files
                .iter()
                .flat_map(|file| &file.services)
                .find(|found| found.name == service)
                .unwrap();
            let mut names: Vec<String> =
                service.methods.iter().map(|method| method.name.clone()).collect();
            names.sort_unstable();
            names
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_show_what_a_caller_may_see() {
    let net = Issuer::new();
    let peer = Peer::start(&net).await;
    for number in 0..5 {
        peer.hold(&net, &format!("public/{number}"), &sample(10 + number), Visibility::Public)
            .await;
        let mut hidden = net.record(
            &format!("public/{number}-hidden"),
            peral_model::Content { hash: peral_model::ContentId::of(b"x"), size: 1 },
            Visibility::Private,
        );
        hidden.value.owner = peral_model::AccountId(Uuid::new_v4());
        let hidden = peral_wire::Sealed::seal(hidden.value, &net.key);
        peer.hold_record(&hidden, b"x").await;
    }
    let mut client = peer.client(&dial_as(&net, a_user())).await;
    let (mut after, mut names) = (String::new(), Vec::new());
    loop {
        let request =
            pb::ListFilesRequest { prefix: "public/".into(), after: after.clone(), limit: 3 };
        let page = client.list_files(request).await.unwrap().into_inner();
        let keys = net.verifier();
        names.extend(page.files.into_iter().map(|file| {
            peral_wire::Sealed::<peral_model::Record>::open(file.record.unwrap(), &keys)
                .unwrap()
                .value
                .name
                .to_string()
        }));
        if !page.more {
            break;
        }
        after.clone_from(names.last().unwrap());
    }
    assert_eq!(names, ["public/0", "public/1", "public/2", "public/3", "public/4"]);
    let by_name = |name: &str| pb::StatFileRequest {
        which: Some(pb::stat_file_request::Which::Name(name.into())),
    };
    assert_eq!(client.stat_file(by_name("public/3")).await.unwrap().into_inner().held, 13);
    let hidden = client.stat_file(by_name("public/3-hidden")).await.unwrap_err();
    let absent = client.stat_file(by_name("nothing")).await.unwrap_err();
    assert_eq!(
        (hidden.code(), hidden.message()),
        (absent.code(), absent.message()),
        "what is hidden looks like what is not there"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_never_part_the_versions_of_a_name_and_leave_out_what_rights_are_not_known_of() {
    let net = Issuer::new();
    let peer = Peer::start(&net).await;
    let first = peer.hold(&net, "a", b"one", Visibility::Public).await.value;
    for version in 2..=3 {
        let next = peral_model::Record {
            version,
            content: peral_model::Content { hash: peral_model::ContentId::of(b"x"), size: 1 },
            ..first.clone()
        };
        let path = peer.path(&format!("a{version}"));
        fs::write(&path, b"x").unwrap();
        let stamp = peral_transfer::Stamp::of(&fs::File::open(&path).unwrap()).unwrap();
        let record = peral_wire::Sealed::seal(next, &net.key);
        peer.library.adopt(peral_peer::FinishedDownload { record, path, stamp }).await.unwrap();
    }
    peer.hold(&net, "b", b"two", Visibility::Public).await;
    let mut client = peer.client(&dial_as(&net, a_user())).await;
    let mut list = async |after: &str| {
        let page = client
            .list_files(pb::ListFilesRequest {
                prefix: String::new(),
                after: after.into(),
                limit: 1,
            })
            .await
            .unwrap()
            .into_inner();
        let keys = net.verifier();
        let read = |file: pb::HeldFile| {
            peral_wire::Sealed::<peral_model::Record>::open(file.record.unwrap(), &keys)
                .unwrap()
                .value
        };
        (
            page.files
                .into_iter()
                .map(read)
                .map(|record| (record.name.to_string(), record.version))
                .collect::<Vec<_>>(),
            page.more,
        )
    };
    assert_eq!(list("").await, (vec![("a".into(), 3), ("a".into(), 2), ("a".into(), 1)], true));
    assert_eq!(list("a").await, (vec![("b".into(), 1)], false));
    // Its rights changed, and no record says yet how.
    peer.library.rights().learn(first.file, first.serial + 1).await.unwrap();
    assert_eq!(list("").await, (vec![("b".into(), 1)], false));
    let by_name =
        pb::StatFileRequest { which: Some(pb::stat_file_request::Which::Name("a".into())) };
    assert_eq!(client.stat_file(by_name).await.unwrap_err().code(), tonic::Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_an_identity_ends_its_echo() {
    let net = Issuer::new();
    let peer = Peer::start(&net).await;
    let caller = a_user();
    let mut client = peer.client(&dial_as(&net, caller)).await;
    let (sender, pieces) = futures::channel::mpsc::unbounded();
    sender.unbounded_send(pb::Piece { index: 1, data: vec![1].into() }).unwrap();
    let mut echoed = client.echo(pieces).await.unwrap().into_inner();
    assert_eq!(echoed.message().await.unwrap().unwrap().index, 1);
    peer.library.rights().revoke(caller, now_ms() + 3_600_000).await.unwrap();
    sender.unbounded_send(pb::Piece { index: 2, data: vec![2].into() }).unwrap();
    assert_eq!(echoed.message().await.unwrap_err().code(), tonic::Code::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_comes_back() {
    let net = Issuer::new();
    let peer = Peer::start(&net).await;
    let dialer = dial_as(&net, a_peer());
    for bytes in [0, 1, 5 * MIB as u64 + 3] {
        let report =
            peral_transfer::echo::echo(&dialer, peer.id, peer.address, bytes).await.unwrap();
        assert_eq!(report.bytes, bytes);
        assert!(report.round_trip > Duration::ZERO);
    }
    peer.kill();
    let away = Arc::new(
        peral_transfer::echo::echo(&dial_as(&net, a_user()), peer.id, peer.address, 1)
            .await
            .unwrap_err(),
    );
    assert_eq!(away.code, ErrorCode::Unavailable);
}
