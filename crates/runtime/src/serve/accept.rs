//! The accept loop, which only the drain ends.

use std::{
    io::{self, ErrorKind},
    sync::Arc,
};

use super::{Listener, connection::Server, pause::Pause};
use crate::Shutdown;

pub(super) async fn run(listener: Listener, server: Server, shutdown: Shutdown) {
    let server = Arc::new(server);
    let address = listener.local_addr();
    let mut pause = Pause::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.draining().cancelled() => break,
            accepted = listener.inner.accept() => accepted,
        };
        match accepted {
            Ok((stream, remote)) => {
                pause.over();
                server.take_tcp(stream, remote);
            }
            Err(error) if is_the_callers(&error) => {}
            Err(error) => pause.wait(&error, &shutdown).await,
        }
    }
    tracing::debug!(%address, "the listener is closed");
}

/// The caller closed the connection before it was accepted.
fn is_the_callers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_caller_did_is_passed_over_at_once() {
        assert!(is_the_callers(&ErrorKind::ConnectionAborted.into()));
        // EMFILE
        assert!(!is_the_callers(&io::Error::from_raw_os_error(24)));
    }
}
