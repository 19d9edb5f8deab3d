//! One client of central: how a call goes out, and what comes back.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Serialize, de::DeserializeOwned};

use crate::{ErrorCode, Failure, fail, failure::Problem, rest::Page};

/// Most bytes of an answer that the client reads.
const MAX_ANSWER: usize = 32 << 20;
/// Most pages of a listing that are read at once.
const MAX_PAGES: usize = 100;

/// A client of one central. Cheap to clone.
#[derive(Clone)]
pub struct Catalogue {
    http: reqwest::Client,
    base: Arc<str>,
    token: Option<Arc<str>>,
    inject: fn(&mut HeaderMap),
    deadline: Duration,
}

impl Catalogue {
    /// A client for central at `base` (such as `https://10.0.0.7:7070`). The HTTP client brings TLS
    /// and its trust; `inject` adds the trace context to each request; no call takes longer than
    /// `deadline`.
    pub fn new(
        base: &str,
        http: reqwest::Client,
        inject: fn(&mut HeaderMap),
        deadline: Duration,
    ) -> Self {
        Self { http, base: base.trim_end_matches('/').into(), token: None, inject, deadline }
    }

    /// The same client with a bearer token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// Where central is.
    pub fn base(&self) -> &str {
        &self.base
    }

    pub(super) async fn call<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<T, Failure> {
        let url = format!("{}/v1{path}", self.base);
        let mut headers = HeaderMap::new();
        (self.inject)(&mut headers);
        let mut request = self.http.request(method, &url).headers(headers).timeout(self.deadline);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| self.away(&error))?;
        let status = response.status();
        let bytes = self.read(response).await?;
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(|error| {
                fail!(Internal, "the answer of central at {url} cannot be read: {error}")
            });
        }
        Err(self.refused(status, &bytes))
    }

    async fn read(&self, mut response: reqwest::Response) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| self.away(&error))? {
            if bytes.len() + part.len() > MAX_ANSWER {
                return Err(fail!(
                    Internal,
                    "central at {} answers more than {MAX_ANSWER} bytes",
                    self.base
                ));
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes)
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> Failure {
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) => problem.into(),
            Err(_) => Failure::new(
                ErrorCode::from_status(status.as_u16()),
                format!("central at {} answers {status}", self.base),
            ),
        }
    }

    fn away(&self, error: &reqwest::Error) -> Failure {
        let base = &self.base;
        if error.is_timeout() && !error.is_connect() {
            return fail!(
                Unavailable,
                "central at {base} does not answer within {} s",
                self.deadline.as_secs()
            );
        }
        let mut reason = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(inner) = source {
            if let Some(rustls::Error::InvalidCertificate(why)) = tls_error(inner) {
                return fail!(
                    Untrusted,
                    "the server at {base} presents a certificate that is not trusted: {why}"
                );
            }
            reason = inner.to_string();
            source = inner.source();
        }
        fail!(Unavailable, "central at {base} cannot be reached: {reason}")
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.call(Method::GET, path, None::<&()>).await
    }

    /// All pages of a listing, as one.
    pub(super) async fn all<T: DeserializeOwned>(&self, path: &str) -> Result<Page<T>, Failure> {
        let mut whole: Page<T> = self.get(path).await?;
        for _ in 1..MAX_PAGES {
            let Some(cursor) = whole.next.take() else { break };
            let more: Page<T> =
                self.get(&format!("{path}?cursor={}", escape(&cursor, false))).await?;
            whole.items.extend(more.items);
            whole.next = more.next;
        }
        Ok(whole)
    }

    pub(super) async fn post<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, Failure> {
        self.call(Method::POST, path, Some(body)).await
    }

    pub(super) async fn patch<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, Failure> {
        self.call(Method::PATCH, path, Some(body)).await
    }

    pub(super) async fn put<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, Failure> {
        self.call(Method::PUT, path, Some(body)).await
    }

    pub(super) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.call(Method::DELETE, path, None::<&()>).await
    }
}

/// The handshake's error, in however many I/O errors: those carry it without naming it as their
/// source.
fn tls_error<'a>(mut error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    while let Some(inner) = error.downcast_ref::<std::io::Error>() {
        error = inner.get_ref()?;
    }
    error.downcast_ref()
}

/// What a segment of a path may hold as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same for the rest of a path.
const SEGMENTS: &AsciiSet = &SEGMENT.remove(b'/');

/// Writes a text as one segment of a path, or with `keep_slash` as the rest of it.
pub(super) fn escape(text: &str, keep_slash: bool) -> String {
    utf8_percent_encode(text, if keep_slash { SEGMENTS } else { SEGMENT }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unreserved_characters_stay_in_a_path() {
        assert_eq!(escape("a-Z.0_9~/x y", false), "a-Z.0_9~%2Fx%20y");
        assert_eq!(escape("models/ü?#%+", true), "models/%C3%BC%3F%23%25%2B");
    }
}
