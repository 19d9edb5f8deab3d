//! `peral cancel`

use clap::Args;
use peral_wire::{Failure, fail};
use serde::Serialize;
use uuid::Uuid;

use crate::context::Context;

/// End a download that the peer here has accepted.
#[derive(Debug, Args)]
pub struct CancelArgs {
    /// Id of the job, as `peral download` and `peral status` show it.
    job: String,
}

#[derive(Serialize)]
struct Cancelled {
    job: String,
}

impl CancelArgs {
    /// Ends the job.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let job = Uuid::try_parse(&self.job).map_err(|_| {
            fail!(InvalidArgument, "{:?} is no id of a job; `peral status` lists them", self.job)
        })?;
        context.local_peer().await?.cancel(job.as_bytes().to_vec()).await?;
        context.out.result("peral.cancel/1", &Cancelled { job: job.to_string() }, |said| {
            format!("Cancelled {}.\n", said.job)
        })
    }
}
