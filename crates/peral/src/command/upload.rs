//! `peral upload`

mod input;
mod local;
mod naming;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use peral_model::{ContentId, FileName, Identity, PeerId, Record, Visibility};
use peral_wire::{
    Catalogue, ErrorCode, Failure, Sealed, fail,
    keys::{KeyUse, Verifier},
    rest::files::{Access, NewUpload, SourcesRequest},
};
use serde::Serialize;

use self::{input::Input, naming::Naming};
use super::{
    access::parse_access,
    args::{absolute, visibility},
    peers,
};
use crate::{
    context::Context,
    control::LocalPeer,
    direct::{self, UploadSpec, name_exists},
    output::{CommandResult, Output, quoted, summary},
    session::AnySession,
};

/// Upload a file and publish it under a name.
///
/// Next to a running peer, that peer takes the file: a file inside a share stays where it is, any
/// other file is copied into the share. Otherwise the file is sent to --peer, or to the peer with
/// the most free space. The command succeeds when the file is published and can be found.
///
/// With `-`, standard input is read to its end, as in
/// `kubectl exec -i POD -- peral upload - --name x < file`; this needs --name. The input is written
/// once to the volume of the local peer, or else to a temporary file in TMPDIR, and is deleted if
/// the upload fails. A broken connection looks like the end of the input: --size makes sure that
/// all of it has come.
#[derive(Debug, Args)]
pub struct UploadArgs {
    /// The file; `-` for standard input.
    file: PathBuf,
    /// Its name in the network [default: the file name, or inside a share the name there]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// For standard input: the exact number of bytes, such as 1000 or 50M; otherwise nothing is
    /// published.
    #[arg(long, value_name = "BYTES", value_parser = peral_peer::args::bytes)]
    size: Option<u64>,
    /// For a new file: only you and those listed with --access can read it.
    #[arg(long, conflicts_with = "public")]
    private: bool,
    /// For a new file: everybody in the network can read it (the default).
    #[arg(long)]
    public: bool,
    /// For a new file: give an account, or group:NAME, the right to `read` or `write` it.
    #[arg(long, value_name = "WHO:RIGHT", value_parser = parse_access)]
    access: Vec<Access>,
    /// For a new file: a tag.
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// If the name exists, publish a new version of it.
    #[arg(long)]
    replace: bool,
    /// The peer to send it to: its id, the beginning of its id, or its label.
    #[arg(long, value_name = "PEER")]
    peer: Option<String>,
}

#[derive(Serialize)]
pub struct UploadResult {
    pub name: String,
    pub file: String,
    pub version: u64,
    pub hash: ContentId,
    pub size: u64,
    pub visibility: Visibility,
    pub peer: PeerId,
    pub by: String,
    pub seconds: f64,
}

/// A published version, and who published it.
struct PublishedUpload {
    record: Sealed<Record>,
    peer: PeerId,
    by: String,
}

impl UploadArgs {
    /// Uploads it.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let start = context.clock.monotonic();
        self.check()?;
        let session = context.session().await?;
        let wanted_peer = match &self.peer {
            Some(text) => Some(peers::find(session.catalogue(), text).await?.id),
            None => None,
        };
        let mut local = context
            .local_peer_for(&session)
            .await?
            .filter(|local| wanted_peer.is_none_or(|wanted| wanted == local.id));
        if local.is_none() && matches!(session, AnySession::Peer(_)) {
            return Err(fail!(
                InvalidArgument,
                "without a login only the local peer can take the file: leave --peer out, or log in"
            ));
        }
        let (spec, input) = self.prepare(context, &session, local.as_mut()).await?;
        let published = match (local, &session) {
            (Some(local), _) => self.through_local(context, &session, local, &spec, &input).await,
            (None, AnySession::User(user)) => {
                let request = self.request(&spec, wanted_peer);
                let sent = direct::upload(context, user, &spec, &request).await;
                sent.map(|sent| PublishedUpload {
                    record: sent.record,
                    peer: sent.peer,
                    by: "this command".to_owned(),
                })
                .map_err(|failure| spec.explain(failure))
            }
            (None, AnySession::Peer(_)) => {
                Err(fail!(Internal, "a peer's account, but no peer to take the file"))
            }
        }?;
        let took = context.clock.monotonic().saturating_sub(start);
        context.out.result(&UploadResult::new(published, took))
    }

    fn is_stdin(&self) -> bool {
        self.file == Path::new("-")
    }

    fn check(&self) -> Result<(), Failure> {
        match (self.is_stdin(), &self.name, self.size) {
            (true, None, _) => Err(fail!(
                InvalidArgument,
                "standard input has no name: pass --name; for a file with the name -, write ./-"
            )),
            (false, _, Some(_)) => Err(fail!(InvalidArgument, "--size is only for standard input")),
            _ => Ok(()),
        }
    }

    async fn prepare(
        &self,
        context: &Context,
        session: &AnySession,
        mut local: Option<&mut LocalPeer>,
    ) -> Result<(UploadSpec, Input), Failure> {
        let verifier = Verifier::new(&session.catalogue().jwks().await?, KeyUse::Record);
        let naming = Naming { file: &self.file, name: self.name.as_deref() };
        let named = naming.resolve(self.is_stdin(), local.as_deref_mut()).await?;
        let before = self.before(session.catalogue(), &named.name, &verifier).await?;
        let input = if self.is_stdin() {
            Input::stdin(context, local.map(|local| &mut local.control), self.size).await?
        } else {
            Input::of(PathBuf::from(absolute(&self.file)?), named.in_share)?
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
            name: named.name,
            verifier,
        };
        Ok((spec, input))
    }

    /// The version to replace. Standard input can be read only once, so it is not read if the name
    /// is taken.
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

    async fn through_local(
        &self,
        context: &Context,
        session: &AnySession,
        local: LocalPeer,
        spec: &UploadSpec,
        input: &Input,
    ) -> Result<PublishedUpload, Failure> {
        let peer = local.id;
        let request = NewUpload {
            placed: input.placed,
            bearer: Some(Identity::Peer(peer)),
            ..self.request(spec, Some(peer))
        };
        let upload = session.catalogue().upload(&request).await;
        let upload = upload.map_err(|failure| spec.explain(failure))?;
        let record = local::upload(context, local, spec, input, &upload).await?;
        Ok(PublishedUpload { record, peer, by: format!("peer {peer}") })
    }

    fn request(&self, spec: &UploadSpec, peer: Option<PeerId>) -> NewUpload {
        NewUpload {
            name: spec.name.to_string(),
            size: spec.size,
            visibility: spec.visibility,
            access: self.access.clone(),
            tags: self.tag.clone(),
            replaces: spec.replaces,
            peer,
            bearer: None,
            placed: false,
        }
    }
}

/// The current version of a name, if there is one.
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

impl UploadResult {
    fn new(published: PublishedUpload, took: Duration) -> Self {
        let record = published.record.value;
        Self {
            name: record.name.to_string(),
            file: record.file.to_string(),
            version: record.version,
            hash: record.content.hash,
            size: record.content.size,
            visibility: record.visibility,
            peer: published.peer,
            by: published.by,
            seconds: took.as_secs_f64(),
        }
    }
}

impl CommandResult for UploadResult {
    const SCHEMA: &'static str = "peral.upload/1";

    fn text(&self, _: &Output) -> String {
        let moved = summary(self.size, Duration::from_secs_f64(self.seconds));
        format!(
            "Published {} version {} on peer {}: {moved}; {}.\n",
            quoted(&self.name),
            self.version,
            self.peer,
            self.hash
        )
    }
}
