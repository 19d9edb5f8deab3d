//! `peral download`

mod patience;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use peral_model::{ContentId, Identity, Record};
use peral_transfer::fetch::DEFAULT_WAIT;
use peral_wire::{
    Catalogue, ErrorCode, Failure, Sealed, convert,
    envelope::envelope_from_text,
    fail,
    keys::{KeyUse, Verifier},
    pb,
    rest::files::{Sources, SourcesRequest},
};
use serde::Serialize;

use self::patience::Patience;
use super::args::absolute;
use crate::{
    context::Context,
    control::{LocalPeer, follow, job_id},
    direct::{self, DownloadSpec},
    interrupt::interrupted,
    output::{quoted, shown, summary},
    session::Session,
};

/// Fetch a file, every byte verified, and put it in place at once.
///
/// Where a peer runs here, it does the work: the download goes on when this command ends, and the
/// peer serves the file from where it lies. Else the command does it itself; what came before an
/// interruption is kept beside the target, and the same command goes on from there.
///
/// A holder that is away is waited for. With --wait, so are central, a name that is not there yet,
/// and a first holder: as in an init container,
/// `peral download NAME -o /data/x --overwrite --wait 600`, where --overwrite leaves a target alone
/// that is right already.
#[derive(Debug, Args)]
pub struct DownloadArgs {
    /// Name of the file, or its content: 64 hexadecimal digits.
    file: String,
    /// Where to put it: a file, or a folder that is there [default: its last name, here]
    #[arg(short = 'o', long = "to", value_name = "PATH")]
    to: Option<PathBuf>,
    /// A version other than the current one.
    #[arg(long, value_name = "NUMBER")]
    version: Option<u64>,
    /// Replace a file that is there.
    #[arg(long)]
    overwrite: bool,
    /// How long to wait, without anything new, for a holder that is away [default: 120]; given,
    /// also for central, the name and a holder.
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u32>,
}

/// A download that can begin: who asks, who does the work, and what it is.
struct Prepared {
    session: Session,
    local: Option<LocalPeer>,
    spec: DownloadSpec,
}

impl Prepared {
    /// Nobody has the file, not even a holder that is offline.
    fn has_no_holder(&self) -> bool {
        self.spec.sources.sources.is_empty() && self.spec.sources.away == 0
    }
}

#[derive(Serialize)]
struct Downloaded {
    name: String,
    file: String,
    version: u64,
    hash: ContentId,
    size: u64,
    path: String,
    by: String,
    fetched: u64,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<String>,
}

impl DownloadArgs {
    /// Fetches it.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let start = context.clock.monotonic();
        let Prepared { session, local, spec } = self.prepare(context).await?;
        let (by, fetched, job) = match (local, session) {
            (Some(local), _) => {
                let by = format!("peer {}", local.id);
                let (fetched, job) = through(context, local, &spec).await?;
                (by, fetched, Some(job))
            }
            (None, Session::User(user)) => {
                ("this command".to_owned(), direct::download(context, *user, &spec).await?, None)
            }
            (None, Session::Peer(_)) => {
                return Err(fail!(Internal, "there is nobody to fetch the file"));
            }
        };
        let took = context.clock.monotonic().saturating_sub(start);
        say(context, &spec, by, fetched, took, job)
    }

    /// Finds out what to download. With --wait, retries what can change in time.
    async fn prepare(&self, context: &Context) -> Result<Prepared, Failure> {
        let Some(seconds) = self.wait else { return self.try_prepare(context).await };
        let mut patience = Patience::new(context, Duration::from_secs(seconds.into()));
        loop {
            let reason = match self.try_prepare(context).await {
                Ok(prepared) if prepared.has_no_holder() => {
                    if patience.is_over() {
                        return Ok(prepared);
                    }
                    format!("nobody holds {:?}", prepared.spec.record.value.name.as_str())
                }
                Err(failure) if patience::may_pass(failure.code) && !patience.is_over() => {
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
        let spec = self.look_up(session.catalogue(), local.as_ref()).await?;
        Ok(Prepared { session, local, spec })
    }

    /// Asks central who has it. Nothing keeps a name from looking like a hash: where there is no
    /// such content, it may be a name.
    async fn sources(
        &self,
        catalogue: &Catalogue,
        request: &mut SourcesRequest,
    ) -> Result<Sources, Failure> {
        match catalogue.sources(request).await {
            Err(failure)
                if failure.code == ErrorCode::NotFound
                    && request.hash.is_some()
                    && !self.file.starts_with("hash:") =>
            {
                request.hash = None;
                request.name = Some(convert::name(&self.file)?.to_string());
                catalogue.sources(request).await
            }
            answer => answer,
        }
    }

    /// Asks central who has it, and checks that it is what was asked for.
    async fn look_up(
        &self,
        catalogue: &Catalogue,
        local: Option<&LocalPeer>,
    ) -> Result<DownloadSpec, Failure> {
        let asked = self.file.strip_prefix("hash:").unwrap_or(&self.file);
        let mut request = SourcesRequest {
            version: self.version,
            bearer: local.map(|local| Identity::Peer(local.id)),
            ..SourcesRequest::default()
        };
        match asked.parse::<ContentId>() {
            Ok(hash) => request.hash = Some(hash),
            Err(error) if asked.len() < self.file.len() => {
                return Err(fail!(InvalidArgument, "{error}"));
            }
            Err(_) => request.name = Some(convert::name(asked)?.to_string()),
        }
        let sources = self.sources(catalogue, &mut request).await?;
        let verifier = Verifier::new(&catalogue.jwks().await?, KeyUse::Record);
        let record = Sealed::<Record>::from_text(&sources.record, &verifier)?;
        let said = &record.value;
        let fits = request.hash.is_none_or(|hash| said.content.hash == hash)
            && request.name.as_deref().is_none_or(|name| said.name.as_str() == name)
            && request.version.is_none_or(|version| said.version == version);
        if !fits {
            return Err(fail!(
                Internal,
                "central answers with another file: {:?}, version {}",
                said.name.as_str(),
                said.version
            ));
        }
        let path = target(self.to.as_deref(), said.name.last_segment())?;
        if path.exists() && !self.overwrite {
            return Err(fail!(
                AlreadyExists,
                "{} is there already: --overwrite replaces it, -o PATH puts the file elsewhere",
                path.display()
            ));
        }
        let wait = self.wait.map_or(DEFAULT_WAIT, |seconds| Duration::from_secs(seconds.into()));
        Ok(DownloadSpec { record, sources, verifier, path, overwrite: self.overwrite, wait })
    }
}

/// The file to write, absolute.
fn target(to: Option<&Path>, name: &str) -> Result<PathBuf, Failure> {
    let path = match to {
        Some(to) if to == Path::new("-") => {
            return Err(fail!(
                InvalidArgument,
                "a download is put in place as a whole and not written to stdout; a file of that \
                 name is ./-"
            ));
        }
        Some(to) if to.is_dir() => to.join(name),
        Some(to) if to.as_os_str().as_encoded_bytes().ends_with(b"/") => {
            return Err(fail!(
                InvalidArgument,
                "there is no folder {}: make it first",
                to.display()
            ));
        }
        Some(to) => to.to_owned(),
        None => PathBuf::from(name),
    };
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let last = path
        .file_name()
        .ok_or_else(|| fail!(InvalidArgument, "{} names no file to write", path.display()))?;
    Ok(PathBuf::from(absolute(folder)?).join(last))
}

/// Lets the peer here do it: what it fetched, and the job.
async fn through(
    context: &Context,
    mut local: LocalPeer,
    spec: &DownloadSpec,
) -> Result<(u64, String), Failure> {
    let path = spec
        .path
        .to_str()
        .ok_or_else(|| fail!(InvalidArgument, "{} is no Unicode text", spec.path.display()))?;
    let source = |source: &peral_wire::rest::files::Source| pb::Source {
        peer: source.peer.to_vec().into(),
        address: source.address.clone(),
        node: source.node.clone(),
        zone: source.zone.clone(),
    };
    let request = pb::DownloadRequest {
        record: Some(spec.record.envelope.clone()),
        grant: spec.sources.grant.as_deref().map(envelope_from_text).transpose()?,
        path: path.to_owned(),
        sources: spec.sources.sources.iter().map(source).collect(),
        overwrite: spec.overwrite,
        // 0 is the peer's own default.
        wait_seconds: u32::try_from(spec.wait.as_secs()).unwrap_or(u32::MAX).max(1),
    };
    let stream = local.control.download(request).await?;
    let meter = context.out.meter();
    let mut job = String::new();
    let mut fetched = 0;
    let followed = follow(stream, &meter, |progress| {
        fetched = fetched.max(progress.fetched);
        if !progress.job.is_empty() {
            job = job_id(&progress.job);
        }
    });
    let ended = tokio::select! {
        ended = followed => ended.map(|_| ()),
        () = interrupted() => Err(fail!(Cancelled, "")),
    };
    meter.finish();
    match ended {
        Ok(()) => Ok((fetched, job)),
        Err(failure) if failure.code == ErrorCode::Cancelled && failure.detail.is_empty() => {
            Err(fail!(
                Cancelled,
                "this command ends; the download goes on in the peer here. `peral status` shows \
                 it, `peral cancel {job}` ends it"
            ))
        }
        Err(failure) => Err(failure),
    }
}

fn say(
    context: &Context,
    spec: &DownloadSpec,
    by: String,
    fetched: u64,
    took: Duration,
    job: Option<String>,
) -> Result<(), Failure> {
    let record = &spec.record.value;
    let said = Downloaded {
        name: record.name.to_string(),
        file: record.file.to_string(),
        version: record.version,
        hash: record.content.hash,
        size: record.content.size,
        path: spec.path.to_string_lossy().into_owned(),
        by,
        fetched,
        seconds: took.as_secs_f64(),
        job,
    };
    context.out.result("peral.download/1", &said, |said| {
        let (name, path) = (quoted(&said.name), quoted(&said.path));
        if said.fetched == 0 && said.size > 0 {
            return format!(
                "{name} is at {path}: already there, verified {} by {}.\n",
                said.hash,
                shown(&said.by)
            );
        }
        let moved = summary(said.fetched, took);
        format!(
            "Downloaded {name} to {path} by {}: {moved}; verified {}.\n",
            shown(&said.by),
            said.hash
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_is_a_file_in_a_folder_that_is_there() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().canonicalize().unwrap();
        assert_eq!(target(Some(&folder), "x.bin").unwrap(), folder.join("x.bin"));
        assert_eq!(target(Some(&folder.join("y")), "x.bin").unwrap(), folder.join("y"));
        assert_eq!(
            target(None, "x.bin").unwrap(),
            std::env::current_dir().unwrap().canonicalize().unwrap().join("x.bin")
        );
        assert_eq!(
            target(Some(&folder.join("no/y")), "x").unwrap_err().code,
            ErrorCode::InvalidArgument
        );
        assert!(target(Some(Path::new("..")), "x").unwrap().ends_with("x"));
        assert_eq!(
            target(Some(&folder.join("no/")), "x").unwrap_err().code,
            ErrorCode::InvalidArgument
        );
        assert_eq!(target(Some(Path::new("-")), "x").unwrap_err().code, ErrorCode::InvalidArgument);
        assert!(target(Some(Path::new("./-")), "x").unwrap().ends_with("-"));
    }
}
