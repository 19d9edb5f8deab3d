//! What is written reads back, here and by the generated code; what is malformed is a typed error.

use bytes::Bytes;
use futures::stream;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use peral_wire::{ErrorCode, Failure, fail, pb};
use proptest::prelude::*;
use prost::Message;
use tonic::body::Body;

use super::{
    receive::{Receiver, message_of, request},
    send::{PieceBody, SentPiece},
};

fn piece(index: u64, length: usize) -> SentPiece {
    SentPiece { index, data: vec![u8::try_from(index % 251).unwrap(); length].into() }
}

fn answer(body: Vec<Bytes>) -> http::Response<Body> {
    let frames =
        stream::iter(body.into_iter().map(|part| Ok::<_, tonic::Status>(Frame::data(part))));
    http::Response::new(Body::new(StreamBody::new(frames)))
}

async fn read(mut receiver: Receiver) -> (Vec<(u64, Vec<u8>)>, Result<(), Failure>) {
    let mut pieces = Vec::new();
    loop {
        match receiver.next().await {
            Ok(Some(piece)) => pieces.push((piece.index, piece.parts.concat())),
            Ok(None) => return (pieces, Ok(())),
            Err(failure) => return (pieces, Err(failure)),
        }
    }
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn pieces_and_the_end_come_through() {
    let sent = [piece(0, 5), piece(1, 0), piece(300, 70_000), piece(u64::MAX, 1)];
    let body = PieceBody::new(stream::iter(sent.clone().map(Ok)));
    let (pieces, end) = run(read(Receiver::new(body.into_response()).unwrap()));
    assert_eq!(pieces, sent.map(|piece| (piece.index, piece.data.to_vec())));
    assert_eq!(end, Ok(()));
}

#[test]
fn a_piece_in_single_bytes_takes_no_more_than_a_whole_one() {
    let body = PieceBody::new(stream::iter([Ok(piece(5, 100_000))])).into_response().into_body();
    let bytes = run(body.collect()).unwrap().to_bytes();
    let mut receiver =
        Receiver::new(answer((0..bytes.len()).map(|at| bytes.slice(at..=at)).collect())).unwrap();
    let got = run(receiver.next()).unwrap().unwrap();
    assert_eq!((got.index, got.parts.concat()), (5, piece(5, 100_000).data.to_vec()));
    assert!(got.parts.len() <= 30, "{} parts", got.parts.len());
}

#[test]
fn a_failure_comes_through_behind_the_pieces() {
    let failure = fail!(Changed, "the file was edited: ü\n%");
    let body =
        PieceBody::new(stream::iter([Ok(piece(7, 3)), Err(failure.clone()), Ok(piece(8, 3))]));
    let (pieces, end) = run(read(Receiver::new(body.into_response()).unwrap()));
    assert_eq!((pieces.len(), end), (1, Err(failure)));
}

#[test]
fn generated_code_reads_what_is_written_here() {
    let body = PieceBody::new(stream::iter([Ok(piece(5, 100))])).into_response().into_body();
    let bytes = run(body.collect()).unwrap().to_bytes();
    let decoded = pb::Piece::decode(bytes.slice(5..)).unwrap();
    assert_eq!((decoded.index, decoded.data.len()), (5, 100));
}

#[test]
fn a_stream_without_trailers_broke_off() {
    for body in [
        vec![],
        vec![Bytes::from_static(&[0, 0, 0])],
        vec![Bytes::from_static(&[0, 0, 0, 0, 2, 8])],
    ] {
        let (_, end) = run(read(Receiver::new(answer(body)).unwrap()));
        assert_eq!(end.unwrap_err().code, ErrorCode::Unavailable);
    }
}

#[test]
fn lengths_from_a_stranger_cost_nothing() {
    let huge = Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff, 1]);
    let inner = Bytes::from_static(&[0, 0, 0, 0, 6, 0x12, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    let compressed = Bytes::from_static(&[1, 0, 0, 0, 0]);
    for (bytes, code) in [
        (huge, ErrorCode::TooLarge),
        (inner, ErrorCode::InvalidArgument),
        (compressed, ErrorCode::InvalidArgument),
    ] {
        let (_, end) = run(read(Receiver::new(answer(vec![bytes])).unwrap()));
        assert_eq!(end.unwrap_err().code, code);
    }
}

#[test]
fn a_request_reads_back_and_one_that_is_too_long_is_refused() {
    let asked = pb::ListFilesRequest { prefix: "models/".into(), after: String::new(), limit: 7 };
    let read = run(message_of::<pb::ListFilesRequest>(request("/x", &asked).into_body(), 100));
    assert_eq!(read, Ok(asked.clone()));
    let long = run(message_of::<pb::ListFilesRequest>(request("/x", &asked).into_body(), 5));
    assert_eq!(long.unwrap_err().code, ErrorCode::TooLarge);
}

proptest! {
    #[test]
    fn what_generated_code_writes_reads_back_however_it_is_cut(
        pieces in prop::collection::vec((any::<u64>(), prop::collection::vec(any::<u8>(), 0..200)), 0..5),
        cut in 1usize..60,
    ) {
        let mut bytes = Vec::new();
        for (index, data) in &pieces {
            let message = pb::Piece { index: *index, data: data.clone().into() }.encode_to_vec();
            bytes.push(0);
            bytes.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
            bytes.extend(message);
        }
        let parts = bytes.chunks(cut).map(Bytes::copy_from_slice).collect();
        let (read, _) = run(read(Receiver::new(answer(parts)).unwrap()));
        prop_assert_eq!(read, pieces);
    }

    #[test]
    fn random_bytes_are_a_typed_error(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 1usize..50) {
        let parts = bytes.chunks(cut).map(Bytes::copy_from_slice).collect();
        let (_, end) = run(read(Receiver::new(answer(parts)).unwrap()));
        prop_assert!(end.is_err());
    }
}
