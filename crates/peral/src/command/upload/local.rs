//! An upload through the local peer.

use peral_model::Record;
use peral_wire::{Failure, Sealed, envelope::envelope_from_text, fail, pb, rest::files::Upload};

use super::input::Input;
use crate::{
    command::args::unicode,
    context::Context,
    control::{LocalPeer, follow},
    direct::UploadSpec,
    interrupt::interrupted,
};

/// Lets the local peer take the file, and hashes it as well: both must get the same hash.
///
/// # Errors
/// What the peer answers. INTEGRITY. CANCELLED.
pub async fn upload(
    context: &Context,
    mut local: LocalPeer,
    spec: &UploadSpec,
    input: &Input,
    upload: &Upload,
) -> Result<Sealed<Record>, Failure> {
    let request = pb::UploadRequest {
        path: unicode(&spec.path)?,
        name: spec.name.to_string(),
        ticket: Some(envelope_from_text(&upload.ticket)?),
    };
    let hashed = input.hash();
    let stream = local.control.upload(request).await?;
    let meter = context.out.meter();
    let ended = tokio::select! {
        ended = follow(stream, &meter, |_| {}) => ended,
        () = interrupted() => Err(fail!(
            Cancelled,
            "the upload was cancelled; nothing was published, unless the peer already had the \
             whole file"
        )),
    };
    meter.finish();
    let last = ended?;
    let envelope = last.record.ok_or_else(|| {
        fail!(Internal, "the local peer finished the upload without sending its record")
    })?;
    let record = Sealed::<Record>::open(envelope, &spec.verifier)?;
    spec.check(&record.value, hashed.await?)?;
    Ok(record)
}
