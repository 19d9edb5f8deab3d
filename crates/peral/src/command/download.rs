//! `peral download`

mod local;
mod lookup;
mod patience;
mod target;

use std::{path::PathBuf, time::Duration};

use clap::Args;
use peral_model::{ContentId, Identity};
use peral_transfer::fetch::DEFAULT_WAIT;
use peral_wire::{Failure, fail};
use serde::Serialize;

use self::{lookup::FileQuery, patience::Patience};
use crate::{
    context::Context,
    control::LocalPeer,
    direct::{self, DownloadSpec},
    output::{CommandResult, Output, escape, quoted, summary},
    session::AnySession,
};

/// Download a file, verify every byte, and put the complete file in place.
///
/// Next to a running peer, the peer does the work: the download continues when this command ends,
/// and the peer then serves the file from its place. Otherwise the command does the work itself. If
/// it is interrupted, the received part stays next to the target, and the same command continues
/// from there.
///
/// Waits for holders that are offline. With --wait, also waits for central, for a name that does
/// not exist yet and for its first holder, for example in an init container:
/// `peral download NAME -o /data/x --overwrite --wait 600`. --overwrite keeps a target that is
/// already correct.
#[derive(Debug, Args)]
pub struct DownloadArgs {
    /// Name of the file, or the hash of its content: 64 hexadecimal digits.
    file: String,
    /// The file to write, or an existing folder to write it into [default: the last part of the
    /// name, in the current folder]
    #[arg(short = 'o', long = "to", value_name = "PATH")]
    to: Option<PathBuf>,
    /// Number of the version [default: the current version]
    #[arg(long, value_name = "NUMBER")]
    version: Option<u64>,
    /// Replace an existing file.
    #[arg(long)]
    overwrite: bool,
    /// How long to wait when nothing new arrives [default: 120]. If given, also waits for central,
    /// for the name to be published and for a first holder.
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u32>,
}

/// A download that can begin: who asks, who does the work, and what it is.
struct Prepared {
    session: AnySession,
    local: Option<LocalPeer>,
    spec: DownloadSpec,
}

#[derive(Serialize)]
pub struct DownloadResult {
    pub name: String,
    pub file: String,
    pub version: u64,
    pub hash: ContentId,
    pub size: u64,
    pub path: String,
    pub by: String,
    pub fetched: u64,
    pub seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
}

impl DownloadArgs {
    /// Downloads it.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let start = context.clock.monotonic();
        let Prepared { session, local, spec } = self.prepare(context).await?;
        let (by, fetched, job) = match (local, session) {
            (Some(local), _) => {
                let by = format!("peer {}", local.id);
                let done = local::download(context, local, &spec).await?;
                (by, done.fetched, Some(done.job))
            }
            (None, AnySession::User(user)) => {
                ("this command".to_owned(), direct::download(context, *user, &spec).await?, None)
            }
            (None, AnySession::Peer(_)) => {
                return Err(fail!(Internal, "a peer's account, but no peer to do the download"));
            }
        };
        let record = &spec.record.value;
        context.out.result(&DownloadResult {
            name: record.name.to_string(),
            file: record.file.to_string(),
            version: record.version,
            hash: record.content.hash,
            size: record.content.size,
            path: spec.path.to_string_lossy().into_owned(),
            by,
            fetched,
            seconds: context.clock.monotonic().saturating_sub(start).as_secs_f64(),
            job,
        })
    }

    /// Finds out what to download. With --wait, retries what can change in time.
    async fn prepare(&self, context: &Context) -> Result<Prepared, Failure> {
        let Some(seconds) = self.wait else { return self.try_prepare(context).await };
        let mut patience = Patience::new(context, Duration::from_secs(seconds.into()));
        loop {
            let reason = match self.try_prepare(context).await {
                Ok(prepared) if prepared.has_no_holder() && !patience.is_over() => {
                    format!("no peer holds {:?}", prepared.spec.record.value.name.as_str())
                }
                Err(failure) if patience::can_change(failure.code) && !patience.is_over() => {
                    failure.detail
                }
                ended => return ended,
            };
            patience.wait(&reason).await;
        }
    }

    async fn try_prepare(&self, context: &Context) -> Result<Prepared, Failure> {
        let session = context.session().await?;
        let local = context.local_peer_for(&session).await?;
        let query = FileQuery {
            file: &self.file,
            version: self.version,
            bearer: local.as_ref().map(|local| Identity::Peer(local.id)),
        };
        let found = query.find(session.catalogue()).await?;
        let path = target::path(self.to.as_deref(), found.record.value.name.last_segment())?;
        if path.exists() && !self.overwrite {
            return Err(fail!(
                AlreadyExists,
                "{} already exists: use --overwrite to replace it, or -o PATH for another place",
                path.display()
            ));
        }
        let spec = DownloadSpec {
            record: found.record,
            sources: found.sources,
            verifier: found.verifier,
            path,
            overwrite: self.overwrite,
            wait: self.wait.map_or(DEFAULT_WAIT, |seconds| Duration::from_secs(seconds.into())),
        };
        Ok(Prepared { session, local, spec })
    }
}

impl Prepared {
    /// No peer has the file, not even one that is offline.
    fn has_no_holder(&self) -> bool {
        self.spec.sources.sources.is_empty() && self.spec.sources.away == 0
    }
}

impl CommandResult for DownloadResult {
    const SCHEMA: &'static str = "peral.download/1";

    fn text(&self, _: &Output) -> String {
        let (name, path) = (quoted(&self.name), quoted(&self.path));
        let (by, hash) = (escape(&self.by), self.hash);
        if self.fetched == 0 && self.size > 0 {
            return format!("{name} is already at {path}; verified {hash} by {by}.\n");
        }
        let moved = summary(self.fetched, Duration::from_secs_f64(self.seconds));
        format!("Downloaded {name} to {path} by {by}: {moved}; verified {hash}.\n")
    }
}
