//! `peral cancel`

use clap::Args;
use peral_wire::{Failure, fail};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    context::Context,
    output::{CommandResult, Output},
};

/// Cancel a download of the local peer.
#[derive(Debug, Args)]
pub struct CancelArgs {
    /// Id of the job, as `peral download` and `peral status` show it.
    job: String,
}

#[derive(Serialize)]
pub struct CancelResult {
    pub job: String,
}

impl CancelArgs {
    /// Cancels the job.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let job = Uuid::try_parse(&self.job).map_err(|_| {
            fail!(InvalidArgument, "{:?} is not a job id; `peral status` lists the jobs", self.job)
        })?;
        context.local_peer().await?.cancel(job.as_bytes().to_vec()).await?;
        context.out.result(&CancelResult { job: job.to_string() })
    }
}

impl CommandResult for CancelResult {
    const SCHEMA: &'static str = "peral.cancel/1";

    fn text(&self, _: &Output) -> String {
        format!("Cancelled {}.\n", self.job)
    }
}
