//! A download by the local peer.

use peral_wire::{ErrorCode, Failure, envelope::envelope_from_text, fail, pb, rest::files::Source};

use crate::{
    command::args::unicode,
    context::Context,
    control::{LocalPeer, follow, job_id},
    direct::DownloadSpec,
    interrupt::interrupted,
};

/// What the peer did.
pub struct LocalDownload {
    /// Bytes that came over the network.
    pub fetched: u64,
    /// Id of the job.
    pub job: String,
}

/// Lets the local peer download.
///
/// # Errors
/// What the peer answers. CANCELLED: this command ends, and the download goes on.
pub async fn download(
    context: &Context,
    mut local: LocalPeer,
    spec: &DownloadSpec,
) -> Result<LocalDownload, Failure> {
    let stream = local.control.download(request(spec)?).await?;
    let meter = context.out.meter();
    let mut done = LocalDownload { fetched: 0, job: String::new() };
    let followed = follow(stream, &meter, |progress| {
        done.fetched = done.fetched.max(progress.fetched);
        if !progress.job.is_empty() {
            done.job = job_id(&progress.job);
        }
    });
    let ended = tokio::select! {
        ended = followed => ended.map(|_| ()),
        () = interrupted() => Err(fail!(Cancelled, "")),
    };
    meter.finish();
    match ended {
        Ok(()) => Ok(done),
        Err(failure) if failure.code == ErrorCode::Cancelled && failure.detail.is_empty() => {
            Err(fail!(
                Cancelled,
                "this command ends, but the local peer continues the download: `peral status` \
                 shows it, `peral cancel {}` cancels it",
                done.job
            ))
        }
        Err(failure) => Err(failure),
    }
}

fn request(spec: &DownloadSpec) -> Result<pb::DownloadRequest, Failure> {
    let source = |source: &Source| pb::Source {
        peer: source.peer.to_vec().into(),
        address: source.address.clone(),
        node: source.node.clone(),
        zone: source.zone.clone(),
    };
    Ok(pb::DownloadRequest {
        record: Some(spec.record.envelope.clone()),
        grant: spec.sources.grant.as_deref().map(envelope_from_text).transpose()?,
        path: unicode(&spec.path)?,
        sources: spec.sources.sources.iter().map(source).collect(),
        overwrite: spec.overwrite,
        // 0 is the peer's own default.
        wait_seconds: u32::try_from(spec.wait.as_secs()).unwrap_or(u32::MAX).max(1),
    })
}
