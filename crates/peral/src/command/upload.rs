//! `peral upload`

mod input;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use peral_model::{ContentId, FileName, Identity, PeerId, Record, Visibility};
use peral_wire::{
    Catalogue, ErrorCode, Failure, Sealed, convert,
    envelope::envelope_from_text,
    fail,
    keys::{KeyUse, Verifier},
    pb,
    rest::files::{Access, NewUpload, SourcesRequest, Upload},
};
use serde::Serialize;

use self::input::Input;
use super::{
    access,
    args::{absolute, visibility},
    peers,
};
use crate::{
    context::Context,
    control::{LocalPeer, follow},
    direct::{self, UploadSpec, name_exists},
    interrupt::interrupted,
    output::{quoted, summary},
    session::Session,
};

/// Put a file into the network, under a name.
///
/// Where a peer runs here, it takes the file: one inside a share stays where it is, anything else
/// is copied into the share. Else the file is sent to --peer, or to the peer with the most room. It
/// is done when the file is published and can be found.
///
/// With `-` standard input is read to its end, as in
/// `kubectl exec -i POD -- peral upload - --name x < file`; it needs --name. It is written to the
/// volume of the peer here, once, or else to a temporary file in TMPDIR, and nothing is left of it
/// when it breaks off. A connection that breaks looks like the end: --size says what must come.
#[derive(Debug, Args)]
pub struct UploadArgs {
    /// The file; `-` for standard input.
    file: PathBuf,
    /// Its name in the network [default: its file name; inside a share, the name it has there]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Of standard input: the number of bytes that must come, such as 1000 or 50M; with fewer or
    /// more nothing is published.
    #[arg(long, value_name = "BYTES", value_parser = peral_peer::args::bytes)]
    size: Option<u64>,
    /// Of a new name: only you and those named with --access may have it.
    #[arg(long, conflicts_with = "public")]
    private: bool,
    /// Of a new name: everybody in the network may have it (the default).
    #[arg(long)]
    public: bool,
    /// Of a new name: let an account, or group:NAME, `read` or `write` it.
    #[arg(long, value_name = "WHO:RIGHT", value_parser = access::line)]
    access: Vec<Access>,
    /// Of a new name: a tag.
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// Publish a new version of the name, in place of the version that is current now.
    #[arg(long)]
    replace: bool,
    /// The peer that should take it, by id, beginning of the id, or label.
    #[arg(long, value_name = "PEER")]
    peer: Option<String>,
}

#[derive(Serialize)]
struct Uploaded {
    name: String,
    file: String,
    version: u64,
    hash: ContentId,
    size: u64,
    visibility: Visibility,
    peer: PeerId,
    by: String,
    seconds: f64,
}

impl UploadArgs {
    /// Uploads it.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let start = context.clock.monotonic();
        self.check()?;
        let session = context.session().await?;
        let wish = match &self.peer {
            Some(text) => Some(peers::find(session.catalogue(), text).await?.id),
            None => None,
        };
        let mut local = context
            .local_peer_for(&session)
            .await?
            .filter(|local| wish.is_none_or(|wish| wish == local.id));
        if local.is_none() && matches!(session, Session::Peer(_)) {
            return Err(fail!(
                InvalidArgument,
                "without a login the peer here takes the file: leave --peer out, or log in"
            ));
        }
        let verifier = Verifier::new(&session.catalogue().jwks().await?, KeyUse::Record);
        let (name, placed) = self.name(local.as_mut()).await?;
        let before = self.before(session.catalogue(), &name, &verifier).await?;
        let input = if self.is_stdin() {
            Input::stdin(context, local.as_mut().map(|local| &mut local.control), self.size).await?
        } else {
            Input::of(PathBuf::from(absolute(&self.file)?), placed)?
        };
        let spec = UploadSpec {
            path: input.path.clone(),
            once: input.is_once(),
            size: input.size,
            owner: match &before {
                Some(before) => before.owner,
                None => session.account().await?,
            },
            visibility: before
                .as_ref()
                .map_or(visibility(self.private), |record| record.visibility),
            replaces: before.map_or(0, |record| record.version),
            name,
            verifier,
        };
        let (record, peer, by) = match (local, &session) {
            (Some(local), _) => {
                let bearer = Some(Identity::Peer(local.id));
                let request = NewUpload {
                    placed: input.placed,
                    ..self.request(&spec, Some(local.id), bearer)
                };
                let upload = session
                    .catalogue()
                    .upload(&request)
                    .await
                    .map_err(|failure| spec.explain(failure))?;
                let peer = local.id;
                (
                    through(context, local, &spec, &input, &upload).await?,
                    peer,
                    format!("peer {peer}"),
                )
            }
            (None, Session::User(user)) => {
                let request = self.request(&spec, wish, None);
                let sent = direct::upload(context, user, &spec, &request).await;
                let sent = sent.map_err(|failure| spec.explain(failure))?;
                (sent.record, sent.peer, "this command".to_owned())
            }
            (None, Session::Peer(_)) => {
                return Err(fail!(Internal, "there is nobody to take the file"));
            }
        };
        say(context, &record.value, peer, by, context.clock.monotonic().saturating_sub(start))
    }

    fn is_stdin(&self) -> bool {
        self.file == Path::new("-")
    }

    fn check(&self) -> Result<(), Failure> {
        match (self.is_stdin(), &self.name, self.size) {
            (true, None, _) => Err(fail!(
                InvalidArgument,
                "standard input has no name: pass --name; a file that is called so is ./-"
            )),
            (false, _, Some(_)) => {
                Err(fail!(InvalidArgument, "--size is for standard input, whose end says nothing"))
            }
            _ => Ok(()),
        }
    }

    /// What is to be replaced. What can be read once only is not read where the name is not free.
    async fn before(
        &self,
        catalogue: &Catalogue,
        name: &FileName,
        verifier: &Verifier,
    ) -> Result<Option<Record>, Failure> {
        let look = self.replace || self.is_stdin();
        let before = if look { current(catalogue, name, verifier).await? } else { None };
        match before {
            Some(_) if !self.replace => Err(name_exists(name.as_str())),
            before => Ok(before),
        }
    }

    /// The name that was given, or that of the path in a share of the peer here, or the file's own;
    /// and whether it is in a share.
    async fn name(&self, local: Option<&mut LocalPeer>) -> Result<(FileName, bool), Failure> {
        if self.is_stdin() {
            return Ok((convert::name(self.name.as_deref().unwrap_or_default())?, false));
        }
        let path = PathBuf::from(absolute(&self.file)?);
        let shares = match local {
            Some(local) => local.control.status().await?.shares,
            None => Vec::new(),
        };
        let inside = shares
            .iter()
            .find_map(|share| Some((&share.prefix, path.strip_prefix(&share.path).ok()?)));
        if let Some(name) = &self.name {
            return Ok((convert::name(name)?, inside.is_some()));
        }
        let text = |path: &Path| {
            path.to_str().map(str::to_owned).ok_or_else(|| {
                fail!(InvalidName, "{} is no Unicode text: pass --name", path.display())
            })
        };
        let name = match inside {
            Some((prefix, rest)) if prefix.is_empty() => text(rest)?,
            Some((prefix, rest)) => format!("{}/{}", prefix.trim_end_matches('/'), text(rest)?),
            None => text(Path::new(path.file_name().unwrap_or_default()))?,
        };
        Ok((convert::name(&name)?, inside.is_some()))
    }

    fn request(
        &self,
        spec: &UploadSpec,
        peer: Option<PeerId>,
        bearer: Option<Identity>,
    ) -> NewUpload {
        NewUpload {
            name: spec.name.to_string(),
            size: spec.size,
            visibility: spec.visibility,
            access: self.access.clone(),
            tags: self.tag.clone(),
            replaces: spec.replaces,
            peer,
            bearer,
            placed: false,
        }
    }
}

/// What the name means now; nothing if it is free.
async fn current(
    catalogue: &Catalogue,
    name: &FileName,
    verifier: &Verifier,
) -> Result<Option<Record>, Failure> {
    let request = SourcesRequest { name: Some(name.to_string()), ..SourcesRequest::default() };
    match catalogue.sources(&request).await {
        Ok(sources) => Ok(Some(Sealed::<Record>::from_text(&sources.record, verifier)?.value)),
        Err(failure) if failure.code == ErrorCode::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Lets the peer here take it, and hashes it besides: both must find the same.
async fn through(
    context: &Context,
    mut local: LocalPeer,
    spec: &UploadSpec,
    input: &Input,
    upload: &Upload,
) -> Result<Sealed<Record>, Failure> {
    let path = spec
        .path
        .to_str()
        .ok_or_else(|| fail!(InvalidArgument, "{} is no Unicode text", spec.path.display()))?;
    let request = pb::UploadRequest {
        path: path.to_owned(),
        name: spec.name.to_string(),
        ticket: Some(envelope_from_text(&upload.ticket)?),
    };
    let hashed = input.hash();
    let stream = local.control.upload(request).await?;
    let meter = context.out.meter();
    let ended = tokio::select! {
        ended = follow(stream, &meter, |_| {}) => ended,
        () = interrupted() => Err(fail!(Cancelled, "the upload was ended; nothing was published unless the peer had it all")),
    };
    meter.finish();
    let last = ended?;
    let envelope = last
        .record
        .ok_or_else(|| fail!(Internal, "the peer here says it is done and shows no record"))?;
    let record = Sealed::<Record>::open(envelope, &spec.verifier)?;
    spec.check(&record.value, hashed.await?)?;
    Ok(record)
}

fn say(
    context: &Context,
    record: &Record,
    peer: PeerId,
    by: String,
    took: Duration,
) -> Result<(), Failure> {
    let said = Uploaded {
        name: record.name.to_string(),
        file: record.file.to_string(),
        version: record.version,
        hash: record.content.hash,
        size: record.content.size,
        visibility: record.visibility,
        peer,
        by,
        seconds: took.as_secs_f64(),
    };
    context.out.result("peral.upload/1", &said, |said| {
        let moved = summary(said.size, took);
        format!(
            "Published {} version {} on peer {}: {moved}; {}.\n",
            quoted(&said.name),
            said.version,
            said.peer,
            said.hash
        )
    })
}
