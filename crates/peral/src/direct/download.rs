//! Downloads by the command itself.

use std::{fs, io, path::Path, sync::Arc};

use futures::future::BoxFuture;
use peral_runtime::tls::CertStore;
use peral_transfer::{
    Here, Registry,
    fetch::{Asker, CatalogueFinder, DiskRoom, FetchDeps, FetchRequest, fetch},
    limits::Limits,
    lists::ListStore,
    metrics::Metrics,
    progress::Observer,
};
use peral_wire::{
    Catalogue, ErrorCode, Failure, envelope::envelope_from_text, fail, keys::Verifier,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    connector::{Connector, run_until_interrupted, use_certificate},
    progress::MeterObserver,
    spec::DownloadSpec,
};
use crate::{context::Context, session::UserSession};

/// Downloads a file, and returns how many bytes came over the network.
///
/// # Errors
/// As [`fetch`].
pub async fn download(
    context: &Context,
    user: UserSession,
    spec: &DownloadSpec,
) -> Result<u64, Failure> {
    let connector = Connector::new(&user.login)?;
    let scratch = scratch(&spec.path)?;
    let lists = ListStore::new(scratch.path())
        .map_err(|error| fail!(Internal, "could not store piece lists: {error}"))?;
    let asker = UserAsker::new(context, connector.certs, user, spec.verifier.clone());
    let deps = FetchDeps {
        dialer: connector.dialer.clone(),
        finder: Arc::new(CatalogueFinder::new(Arc::new(asker), &spec.record.value)),
        lists,
        limits: Limits::default(),
        registry: Registry::default(),
        room: Arc::new(DiskRoom),
        here: Here::default(),
        metrics: Metrics::new(),
        seed: || Uuid::new_v4().as_u64_pair().0,
    };
    let request = FetchRequest {
        record: spec.record.clone(),
        grant: spec.sources.grant.as_deref().map(envelope_from_text).transpose()?,
        sources: spec.sources.sources.clone(),
        path: spec.path.clone(),
        overwrite: spec.overwrite,
        wait: spec.wait,
    };
    let observer = Arc::new(MeterObserver::new(context));
    let cancel = CancellationToken::new();
    let running = fetch(request, &deps, Arc::clone(&observer) as Arc<dyn Observer>, cancel.clone());
    let ended = run_until_interrupted(running, cancel).await;
    observer.finish();
    match ended {
        Ok(fetched) => Ok(fetched.bytes_fetched),
        Err(failure) if failure.code == ErrorCode::Cancelled => {
            let path = spec.path.display();
            Err(fail!(
                Cancelled,
                "the download was cancelled; the received part is kept next to {path}, and the \
                 same command continues from there"
            ))
        }
        Err(failure) => Err(failure),
    }
}

/// A folder for piece lists: a temporary one, or, if none can be created, one next to the target.
fn scratch(target: &Path) -> Result<TempDir, Failure> {
    let reason = match tempfile::tempdir() {
        Ok(folder) => return Ok(folder),
        Err(reason) => reason,
    };
    let (Some(folder), Some(name)) = (target.parent(), target.file_name()) else {
        return Err(no_place(&reason));
    };
    // Always the same name, so that the folder of a killed command is found and replaced.
    let name = format!(".{}.lists", name.to_string_lossy());
    drop(fs::remove_dir_all(folder.join(&name)));
    tempfile::Builder::new()
        .prefix(&name)
        .rand_bytes(0)
        .tempdir_in(folder)
        .map_err(|error| no_place(&error))
}

fn no_place(error: &io::Error) -> Failure {
    fail!(Internal, "could not create a folder for temporary files: {error}; set TMPDIR")
}

/// Asks central as the user, for as long as the session lasts.
struct UserAsker {
    context: Context,
    certs: Arc<CertStore>,
    verifier: Arc<Verifier>,
}

impl UserAsker {
    fn new(context: &Context, certs: Arc<CertStore>, user: UserSession, keys: Verifier) -> Self {
        // Later sessions are opened for this address, so that a new login to another central is not
        // taken for this one.
        let context = Context { central: Some(user.login.central), ..context.clone() };
        Self { context, certs, verifier: Arc::new(keys) }
    }

    async fn session(&self) -> Result<Catalogue, Failure> {
        let user = self.context.user_session().await?;
        use_certificate(&self.certs, &user.login)?;
        Ok(user.catalogue)
    }
}

impl Asker for UserAsker {
    fn catalogue(&self) -> BoxFuture<'_, Result<Catalogue, Failure>> {
        Box::pin(self.session())
    }

    fn verifier(&self) -> Arc<Verifier> {
        Arc::clone(&self.verifier)
    }
}
