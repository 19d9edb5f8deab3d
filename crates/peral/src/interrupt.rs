//! The wish to end a command: Ctrl-C, or the system's SIGTERM.

use tokio::signal::unix::{SignalKind, signal};

/// Resolves when the user, or the system, wants the command to end.
pub async fn interrupted() {
    // Without the signals nobody can interrupt; the default action of the system still ends the
    // process.
    let (Ok(mut int), Ok(mut term)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = int.recv() => {}
        _ = term.recv() => {}
    }
}
