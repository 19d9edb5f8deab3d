//! `peral rm`

use clap::Args;
use peral_wire::{Failure, convert};
use serde::Serialize;

use crate::{
    context::Context,
    output::{CommandResult, Output, quoted},
};

/// Delete a name, with all its versions, from the catalogue.
///
/// Peers delete their stored copies. Files inside a share stay on their disks, but are not
/// published again: only an upload brings the name back.
#[derive(Debug, Args)]
pub struct RmArgs {
    /// Name of the file.
    name: String,
}

#[derive(Serialize)]
pub struct RmResult {
    pub name: String,
}

impl RmArgs {
    /// Deletes the name.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let name = convert::name(&self.name)?;
        context.user_session().await?.catalogue.remove_file(&name).await?;
        context.out.result(&RmResult { name: name.to_string() })
    }
}

impl CommandResult for RmResult {
    const SCHEMA: &'static str = "peral.rm/1";

    fn text(&self, _: &Output) -> String {
        format!("Deleted {}.\n", quoted(&self.name))
    }
}
