//! The receiving end.

use std::collections::VecDeque;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::{BodyExt, Limited};
use peral_wire::{
    ErrorCode, Failure, fail,
    peer::{MAX_MESSAGE, failed},
};
use prost::{
    Message,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use tonic::{Code, Status, body::Body};

use super::format::{DATA, INDEX, PREFIX};

/// A piece as it came: its bytes in the transport's own buffers, unchecked.
#[derive(Debug, Clone, Default)]
pub struct ReceivedPiece {
    /// Its number, as the sender says.
    pub index: u64,
    /// Its bytes, in order.
    pub parts: Vec<Bytes>,
}

impl ReceivedPiece {
    /// Number of bytes.
    pub fn len(&self) -> u64 {
        self.parts.iter().map(|part| part.len() as u64).sum()
    }

    /// No bytes at all?
    pub fn is_empty(&self) -> bool {
        self.parts.iter().all(Bytes::is_empty)
    }
}

/// Bytes of a part that is worth keeping as it came.
const SMALL: usize = 4096;

/// Reads pieces from the body of a gRPC answer.
pub struct Receiver {
    body: Body,
    parts: Parts,
    trailers: Option<HeaderMap>,
}

impl Receiver {
    /// Reads the answer's head, and then its body.
    ///
    /// # Errors
    /// What the other side answered in place of a stream.
    pub fn new(response: http::Response<Body>) -> Result<Self, Failure> {
        let (head, body) = response.into_parts();
        if let Some(status) = Status::from_header_map(&head.headers)
            && status.code() != Code::Ok
        {
            return Err(status.into());
        }
        if head.status != http::StatusCode::OK {
            return Err(Failure::new(
                ErrorCode::from_status(head.status.as_u16()),
                format!("the peer answers {}", head.status),
            ));
        }
        Ok(Self { body, parts: Parts::default(), trailers: None })
    }

    /// The next piece; nothing when the stream has ended well. Holds at most one message that is
    /// not whole yet.
    ///
    /// # Errors
    /// The status that the sender ended with; UNAVAILABLE when the stream broke off;
    /// INVALID_ARGUMENT or TOO_LARGE when it is malformed.
    pub async fn next(&mut self) -> Result<Option<ReceivedPiece>, Failure> {
        loop {
            if let Some(message) = self.parts.take_message()? {
                return piece_of(message).map(Some);
            }
            if self.trailers.is_some() || !self.more().await? {
                return self.end().map(|()| None);
            }
        }
    }

    /// Takes one frame; false at the end.
    async fn more(&mut self) -> Result<bool, Failure> {
        let Some(frame) = self.body.frame().await else { return Ok(false) };
        match frame.map_err(failed)?.into_data() {
            Ok(data) => self.parts.push(data),
            Err(frame) => self.trailers = frame.into_trailers().ok(),
        }
        Ok(true)
    }

    fn end(&mut self) -> Result<(), Failure> {
        let status = self.trailers.as_ref().and_then(Status::from_header_map);
        match status {
            Some(status) if status.code() != Code::Ok => Err(status.into()),
            Some(_) if self.parts.length == 0 => Ok(()),
            _ => Err(fail!(Unavailable, "the stream broke off")),
        }
    }
}

/// A gRPC request with this one message.
pub fn request(path: &'static str, message: &impl Message) -> http::Request<Body> {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX + length);
    bytes.put_u8(0);
    // What we send is far below 4 GiB; a wrong length would be refused there.
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    // A `BytesMut` grows: the only error that encoding knows cannot happen.
    message.encode(&mut bytes).unwrap_or_default();
    let mut request = http::Request::new(Body::new(http_body_util::Full::new(bytes.freeze())));
    *request.method_mut() = http::Method::POST;
    *request.version_mut() = http::Version::HTTP_2;
    *request.uri_mut() = http::Uri::from_static(path);
    let headers = request.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/grpc"));
    headers.insert(http::header::TE, http::HeaderValue::from_static("trailers"));
    request
}

/// Reads the one message of a request, of at most `limit` bytes.
///
/// # Errors
/// TOO_LARGE, INVALID_ARGUMENT, or UNAVAILABLE when the caller goes away.
pub async fn message_of<M: Message + Default>(body: Body, limit: usize) -> Result<M, Failure> {
    let collected = Limited::new(body, limit + PREFIX).collect().await;
    let bytes = collected.map_err(|error| {
        match error.downcast_ref::<http_body_util::LengthLimitError>() {
            Some(_) => fail!(TooLarge, "a request of more than {limit} bytes"),
            None => fail!(Unavailable, "the request broke off: {error}"),
        }
    })?;
    let mut parts = Parts::default();
    parts.push(bytes.to_bytes());
    let message = parts
        .take_message()?
        .ok_or_else(|| fail!(InvalidArgument, "the request holds no whole message"))?;
    if parts.length > 0 {
        return Err(fail!(InvalidArgument, "the request holds more than one message"));
    }
    M::decode(message).map_err(|error| fail!(InvalidArgument, "malformed request: {error}"))
}

/// Bytes in the pieces in which they came.
#[derive(Debug, Default)]
struct Parts {
    parts: VecDeque<Bytes>,
    length: usize,
}

impl Parts {
    /// Small parts are put together: each keeps much more than its bytes, and a sender may cut a
    /// piece as small as it likes.
    fn push(&mut self, bytes: Bytes) {
        self.length += bytes.len();
        match self.parts.back_mut() {
            _ if bytes.is_empty() => {}
            Some(last) if last.len() < SMALL && bytes.len() < SMALL => {
                let mut joined = std::mem::take(last)
                    .try_into_mut()
                    .unwrap_or_else(|shared| BytesMut::from(shared.as_ref()));
                joined.extend_from_slice(&bytes);
                *last = joined.freeze();
            }
            _ => self.parts.push_back(bytes),
        }
    }

    /// Cuts off the first `length` bytes, without copying; there are as many.
    fn split_to(&mut self, length: usize) -> Self {
        let mut head = Self::default();
        while head.length < length {
            let Some(mut first) = self.parts.pop_front() else { break };
            self.length -= first.len();
            let missing = length - head.length;
            if first.len() > missing {
                head.push(first.split_to(missing));
                self.length += first.len();
                self.parts.push_front(first);
            } else {
                head.push(first);
            }
        }
        head
    }

    /// The first message, once it is whole.
    fn take_message(&mut self) -> Result<Option<Self>, Failure> {
        let mut prefix = [0; PREFIX];
        if self.length < PREFIX {
            return Ok(None);
        }
        let head = self.parts.iter().flat_map(|part| part.iter().copied());
        prefix.iter_mut().zip(head).for_each(|(to, from)| *to = from);
        let [compressed, length @ ..] = prefix;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if compressed != 0 {
            return Err(fail!(InvalidArgument, "a compressed message, which nobody asked for"));
        }
        if length > MAX_MESSAGE {
            return Err(fail!(TooLarge, "a message of {length} bytes; the most is {MAX_MESSAGE}"));
        }
        if self.length < PREFIX + length {
            return Ok(None);
        }
        self.advance(PREFIX);
        Ok(Some(self.split_to(length)))
    }
}

impl Buf for Parts {
    fn remaining(&self) -> usize {
        self.length
    }

    fn chunk(&self) -> &[u8] {
        self.parts.front().map_or(&[], |part| part)
    }

    fn advance(&mut self, count: usize) {
        self.split_to(count);
    }
}

/// Reads the fields of a `Piece`, in any order; those it does not know are left out.
fn piece_of(mut message: Parts) -> Result<ReceivedPiece, Failure> {
    let bad = |error| fail!(InvalidArgument, "malformed piece: {error}");
    let mut piece = ReceivedPiece::default();
    while message.has_remaining() {
        match decode_key(&mut message).map_err(bad)? {
            (INDEX, WireType::Varint) => piece.index = decode_varint(&mut message).map_err(bad)?,
            (DATA, WireType::LengthDelimited) => {
                let length = decode_varint(&mut message).map_err(bad)?;
                let length =
                    usize::try_from(length).ok().filter(|length| *length <= message.remaining());
                let length = length.ok_or_else(|| {
                    fail!(InvalidArgument, "malformed piece: its data is longer than its message")
                })?;
                piece.parts = message.split_to(length).parts.into();
            }
            (tag, wire_type) => {
                skip_field(wire_type, tag, &mut message, DecodeContext::default()).map_err(bad)?;
            }
        }
    }
    Ok(piece)
}
