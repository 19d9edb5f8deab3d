//! Requests that no honest caller sends: a typed error each, and no big allocation.

use futures::stream;
use peral_model::{PeerId, Visibility};
use peral_testkit::{
    identity::{Issuer, a_peer},
    sample::{MIB, sample},
};
use peral_wire::{ErrorCode, pb, pb::upload_file_request::Part};
use uuid::Uuid;

use crate::kit::{Peer, dial_as, shown};

fn code<T>(answer: Result<T, tonic::Status>) -> ErrorCode {
    peral_wire::peer::failed(answer.map(drop).unwrap_err()).code
}

fn range(first: u64, count: u64) -> pb::PieceRange {
    pb::PieceRange { first, count }
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_that_a_file_has_not() {
    let net = Issuer::new();
    let peer = Peer::start(&net).await;
    let record = peer.hold(&net, "a file", &sample(3 * MIB), Visibility::Public).await;
    let mut client = peer.client(&dial_as(&net, a_peer())).await;
    let bad = [
        vec![range(3, 1)],
        vec![range(0, 4)],
        vec![range(0, 0)],
        vec![range(u64::MAX, 1)],
        vec![range(0, u64::MAX)],
        vec![range(1, u64::MAX)],
        vec![range(1 << 44, 1)],
        vec![range(0, 2), range(1, 2)],
        vec![range(0, 1); 5000],
    ];
    for ranges in bad {
        let request = pb::DownloadFileRequest {
            file: Some(shown(&record, None)),
            ranges: ranges.clone(),
            suspect: false,
        };
        assert_eq!(
            code(client.download_file(request).await),
            ErrorCode::InvalidArgument,
            "{:?}",
            ranges.first()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn references_that_name_nothing() {
    let net = Issuer::new();
    let peer = Peer::start(&net).await;
    let record = peer.hold(&net, "a file", &sample(10), Visibility::Public).await;
    let mut client = peer.client(&dial_as(&net, a_peer())).await;
    let right = shown(&record, None);
    let cases = [
        (None, ErrorCode::InvalidArgument),
        (
            Some(pb::FileRef { file_id: vec![1; 15].into(), ..right.clone() }),
            ErrorCode::InvalidArgument,
        ),
        (
            Some(pb::FileRef { file_id: vec![1; 1000].into(), ..right.clone() }),
            ErrorCode::InvalidArgument,
        ),
        (Some(pb::FileRef { file_id: vec![1; 16].into(), ..right.clone() }), ErrorCode::NotFound),
        (Some(pb::FileRef { version: 2, ..right.clone() }), ErrorCode::NotFound),
        (Some(pb::FileRef { version: u64::MAX, ..right.clone() }), ErrorCode::NotFound),
        (
            Some(pb::FileRef {
                record: Some(pb::Envelope { body: vec![9; 100].into(), ..pb::Envelope::default() }),
                ..right.clone()
            }),
            ErrorCode::Unauthenticated,
        ),
        (
            Some(pb::FileRef { grant: Some(record.envelope.clone()), ..right }),
            ErrorCode::Unauthenticated,
        ),
    ];
    for (file, expected) in cases {
        let ranges = vec![range(0, 1)];
        let download = pb::DownloadFileRequest { file: file.clone(), ranges, suspect: false };
        assert_eq!(code(client.download_file(download).await), expected, "{file:?}");
        assert_eq!(code(client.piece_list(pb::PieceListRequest { file }).await), expected);
    }
    assert_eq!(
        code(client.stat_file(pb::StatFileRequest { which: None }).await),
        ErrorCode::InvalidArgument
    );
    let long = pb::ListFilesRequest { prefix: "x".repeat(2000), ..pb::ListFilesRequest::default() };
    assert_eq!(code(client.list_files(long).await), ErrorCode::InvalidArgument);
    let huge = pb::DownloadFileRequest {
        file: Some(pb::FileRef { file_id: vec![0; 512 << 10].into(), ..pb::FileRef::default() }),
        ..pb::DownloadFileRequest::default()
    };
    assert_eq!(code(client.download_file(huge).await), ErrorCode::TooLarge);
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_begin_or_go_on_wrongly() {
    let net = Issuer::new();
    let peer = Peer::start(&net).await;
    let share = peer.path("").parent().unwrap().join("shared");
    std::fs::create_dir(&share).unwrap();
    peer.library.share(&share, "", Visibility::Public).await.unwrap();
    let bearer = a_peer();
    let mut client = peer.client(&dial_as(&net, bearer)).await;
    let ticket = net.ticket(peer.id, bearer, "up", 3 << 20);
    let open = |size| pb::OpenUploadRequest { ticket: Some(ticket.envelope.clone()), size };
    assert_eq!(code(client.open_upload(open((3 << 20) + 1)).await), ErrorCode::TooLarge);
    assert_eq!(code(client.open_upload(open(1 << 63)).await), ErrorCode::InvalidArgument);
    assert_eq!(code(client.open_upload(open(u64::MAX)).await), ErrorCode::InvalidArgument);
    let elsewhere = net.ticket(PeerId(Uuid::new_v4()), bearer, "up", 3 << 20).envelope;
    assert_eq!(
        code(client.open_upload(pb::OpenUploadRequest { ticket: Some(elsewhere), size: 1 }).await),
        ErrorCode::Forbidden
    );
    let others = net.ticket(peer.id, a_peer(), "up", 3 << 20).envelope;
    assert_eq!(
        code(client.open_upload(pb::OpenUploadRequest { ticket: Some(others), size: 1 }).await),
        ErrorCode::Forbidden
    );

    let header = |size, offset| {
        Part::Header(pb::UploadHeader { ticket: Some(ticket.envelope.clone()), size, offset })
    };
    let piece = |index, length| Part::Piece(pb::Piece { index, data: vec![0; length].into() });
    let end = |length: usize| Part::End(pb::UploadEnd { hash: vec![0; length].into() });
    let size = 2 * MIB as u64 + 5;
    let cases: Vec<(Vec<Part>, ErrorCode)> = vec![
        (vec![], ErrorCode::InvalidArgument),
        (vec![piece(0, MIB)], ErrorCode::InvalidArgument),
        (vec![end(32)], ErrorCode::InvalidArgument),
        (vec![header(size, 1)], ErrorCode::InvalidArgument),
        (vec![header(size, 1 << 20)], ErrorCode::InvalidArgument),
        (vec![header(size, u64::MAX)], ErrorCode::InvalidArgument),
        (vec![header(size, 0), header(size, 0)], ErrorCode::InvalidArgument),
        (vec![header(size, 0), piece(1, MIB)], ErrorCode::InvalidArgument),
        (vec![header(size, 0), piece(0, MIB - 1)], ErrorCode::InvalidArgument),
        (vec![header(size, 0), piece(0, MIB + 1)], ErrorCode::InvalidArgument),
        (vec![header(size, 0), piece(0, MIB), end(32)], ErrorCode::InvalidArgument),
        (
            vec![header(size, 0), piece(0, MIB), piece(1, MIB), piece(2, 5), piece(3, 0)],
            ErrorCode::InvalidArgument,
        ),
        (
            vec![header(size, 0), piece(0, MIB), piece(1, MIB), piece(2, 5), end(31)],
            ErrorCode::InvalidArgument,
        ),
        (
            vec![header(size, 0), piece(0, MIB), piece(1, MIB), piece(2, 5), end(32)],
            ErrorCode::Integrity,
        ),
        (vec![header(size, 0), piece(0, MIB)], ErrorCode::Unavailable),
    ];
    for (number, (parts, expected)) in cases.into_iter().enumerate() {
        let messages = parts.into_iter().map(|part| pb::UploadFileRequest { part: Some(part) });
        assert_eq!(
            code(client.upload_file(stream::iter(messages.collect::<Vec<_>>())).await),
            expected,
            "case {number}"
        );
    }
    // What is left of the last one is of use.
    assert_eq!(client.open_upload(open(size)).await.unwrap().into_inner().offset, 1 << 20);
}
