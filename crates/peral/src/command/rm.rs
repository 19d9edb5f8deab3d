//! `peral rm`

use clap::Args;
use peral_wire::{Failure, convert};
use serde::Serialize;

use crate::{context::Context, output::quoted};

/// Remove a name from the catalogue.
///
/// Copies that peers only cached go; files that somebody shares in place stay on their disks. The
/// name comes back only by an upload.
#[derive(Debug, Args)]
pub struct RmArgs {
    /// Name of the file.
    name: String,
}

#[derive(Serialize)]
struct Removed {
    name: String,
}

impl RmArgs {
    /// Removes the name.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let name = convert::name(&self.name)?;
        context.user_session().await?.catalogue.remove_file(&name).await?;
        context.out.result("peral.rm/1", &Removed { name: name.to_string() }, |said| {
            format!("Removed {}.\n", quoted(&said.name))
        })
    }
}
