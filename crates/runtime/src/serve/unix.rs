//! The socket in a peer's data folder, for processes of the same user on the same machine only.

use std::{
    fs::Permissions,
    io::{self, ErrorKind},
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::Router;
use rustix::process::geteuid;
use tokio::net::{UnixListener, UnixStream};

use super::{Caller, LocalCaller, ServeConfig, connection::Server, pause::Pause};
use crate::Shutdown;

/// Listens on a unix socket (mode 0600) and serves a router there, in tasks of `shutdown`, until
/// the drain; then the socket is removed. A socket that a dead process left is replaced. Callers of
/// another user are refused.
///
/// Returns as soon as it listens.
///
/// # Errors
/// `AddrInUse` when a living process listens there; whatever else the system refuses, such as a
/// path of more than about 100 bytes.
pub async fn serve_unix(
    path: impl AsRef<Path>,
    router: Router,
    shutdown: Shutdown,
) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    let explain = |error: io::Error| {
        io::Error::new(error.kind(), format!("cannot listen on {}: {error}", path.display()))
    };
    let (listener, inode) = bind(&path).await.map_err(explain)?;
    let config = ServeConfig { body_deadline: None, ..ServeConfig::peer() };
    let server = Arc::new(Server::new(config, None, router, shutdown.clone()));
    let tasks = shutdown.clone();
    tasks.spawn(async move {
        accept(listener, &server, &shutdown).await;
        remove(&path, inode);
    });
    Ok(())
}

/// Binds under another name and renames, so that the socket is never there with wider rights, and
/// never missing.
async fn bind(path: &Path) -> io::Result<(UnixListener, u64)> {
    if UnixStream::connect(path).await.is_ok() {
        return Err(io::Error::new(ErrorKind::AddrInUse, "another process listens on it"));
    }
    let fresh: PathBuf = path.with_file_name(".sock.new");
    match std::fs::remove_file(&fresh) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&fresh)?;
    std::fs::set_permissions(&fresh, Permissions::from_mode(0o600))?;
    let inode = std::fs::symlink_metadata(&fresh)?.ino();
    std::fs::rename(&fresh, path)?;
    Ok((listener, inode))
}

async fn accept(listener: UnixListener, server: &Arc<Server>, shutdown: &Shutdown) {
    let mut pause = Pause::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.draining().cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                pause.over();
                take(stream, server);
            }
            Err(error) => pause.wait(&error, shutdown).await,
        }
    }
}

fn take(stream: UnixStream, server: &Arc<Server>) {
    let own = geteuid().as_raw();
    let local = match stream.peer_cred() {
        Ok(cred) if cred.uid() == own => LocalCaller { uid: own, pid: cred.pid() },
        Ok(cred) => {
            return tracing::warn!(
                uid = cred.uid(),
                "refused a process of another user on the unix socket"
            );
        }
        Err(error) => {
            return tracing::warn!(
                %error,
                "refused a process on the unix socket: its user is unknown"
            );
        }
    };
    server.take_unix(
        stream,
        Caller {
            remote: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            certificate: None,
            encrypted: false,
        },
        local,
    );
}

/// Removes the socket unless a successor has put its own there.
fn remove(path: &Path, inode: u64) {
    if std::fs::symlink_metadata(path).is_ok_and(|found| found.ino() == inode)
        && let Err(error) = std::fs::remove_file(path)
    {
        tracing::warn!(%error, path = %path.display(), "cannot remove the unix socket");
    }
}
