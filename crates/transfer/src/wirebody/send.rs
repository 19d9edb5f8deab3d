//! The sending end.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{BufMut, Bytes, BytesMut};
use futures::{Stream, stream::BoxStream};
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};
use peral_wire::Failure;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use tonic::Status;

use super::format::{DATA, INDEX, PREFIX};

/// A piece to send.
#[derive(Debug, Clone)]
pub struct SentPiece {
    /// Its number.
    pub index: u64,
    /// Its bytes.
    pub data: Bytes,
}

/// A stream of pieces as the body of a gRPC answer. An error of the stream becomes the status in
/// its trailers.
pub struct PieceBody {
    pieces: BoxStream<'static, Result<SentPiece, Failure>>,
    data: Option<Bytes>,
    ended: bool,
}

impl PieceBody {
    /// The body of these pieces.
    pub fn new(pieces: impl Stream<Item = Result<SentPiece, Failure>> + Send + 'static) -> Self {
        Self { pieces: Box::pin(pieces), data: None, ended: false }
    }

    /// The whole answer.
    pub fn into_response(self) -> http::Response<tonic::body::Body> {
        let mut response = http::Response::new(tonic::body::Body::new(self));
        response
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        response
    }
}

impl Body for PieceBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let frame = match ready!(self.pieces.as_mut().poll_next(cx)) {
            Some(Ok(piece)) => {
                let head = head(&piece);
                self.data = (!piece.data.is_empty()).then_some(piece.data);
                Frame::data(head)
            }
            Some(Err(failure)) => {
                self.ended = true;
                Frame::trailers(trailers(&failure.into()))
            }
            None => {
                self.ended = true;
                Frame::trailers(trailers(&Status::new(tonic::Code::Ok, "")))
            }
        };
        Poll::Ready(Some(Ok(frame)))
    }
}

/// Everything of a message but the data.
fn head(piece: &SentPiece) -> Bytes {
    let length = piece.data.len() as u64;
    let index = if piece.index == 0 { 0 } else { key_len(INDEX) + encoded_len_varint(piece.index) };
    let data = if length == 0 { 0 } else { key_len(DATA) + encoded_len_varint(length) };
    let mut head = BytesMut::with_capacity(PREFIX + index + data);
    head.put_u8(0);
    // A piece is 1 MiB: its message is far below 4 GiB.
    head.put_u32(u32::try_from(index + data + piece.data.len()).unwrap_or(u32::MAX));
    if index > 0 {
        encode_key(INDEX, WireType::Varint, &mut head);
        encode_varint(piece.index, &mut head);
    }
    if data > 0 {
        encode_key(DATA, WireType::LengthDelimited, &mut head);
        encode_varint(length, &mut head);
    }
    head.freeze()
}

fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        // Text that no header can carry: the code alone must do.
        trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from(status.code() as i32));
    }
    trailers
}
