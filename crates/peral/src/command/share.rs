//! `peral share`

use std::path::{Path, PathBuf};

use clap::Args;
use peral_model::Visibility;
use peral_wire::{Failure, pb};
use serde::Serialize;

use super::args::{absolute, unicode, visibility};
use crate::{
    context::Context,
    control::Control,
    output::{Items, Table, bytes, quoted},
};

/// Publish a folder through the peer that runs here, in place; without a folder, list what it
/// publishes.
#[derive(Debug, Args)]
pub struct ShareArgs {
    /// The folder.
    path: Option<PathBuf>,
    /// What to put before each name.
    #[arg(long, value_name = "PREFIX", requires = "path")]
    prefix: Option<String>,
    /// New names are for their owner and those it names, rather than for everybody.
    #[arg(long, requires = "path")]
    private: bool,
    /// Stop publishing this folder; its files stay where they are.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["path", "prefix", "private"])]
    remove: Option<PathBuf>,
}

/// A share, as listings show it.
#[derive(Serialize)]
pub struct Share {
    path: String,
    prefix: String,
    visibility: Visibility,
    files: u64,
    bytes: u64,
    pending: u64,
}

#[derive(Serialize)]
struct Shared {
    path: String,
    prefix: String,
    visibility: Visibility,
}

#[derive(Serialize)]
struct Unshared {
    path: String,
}

impl ShareArgs {
    /// Talks to the peer here.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let mut control = context.local_peer().await?;
        match (&self.path, &self.remove) {
            (Some(path), _) => self.add(context, &mut control, path).await,
            (None, Some(path)) => remove(context, &mut control, path).await,
            (None, None) => list(context, &mut control).await,
        }
    }

    async fn add(
        &self,
        context: &Context,
        control: &mut Control,
        path: &Path,
    ) -> Result<(), Failure> {
        let said = Shared {
            path: absolute(path)?,
            prefix: self.prefix.clone().unwrap_or_default(),
            visibility: visibility(self.private),
        };
        let visible = pb::Visibility::from(said.visibility).into();
        control
            .share(pb::ShareRequest {
                path: said.path.clone(),
                prefix: said.prefix.clone(),
                visibility: visible,
            })
            .await?;
        context.out.result("peral.share/1", &said, |said| {
            let prefix = if said.prefix.is_empty() {
                "without a prefix".into()
            } else {
                format!("under {}", quoted(&said.prefix))
            };
            format!(
                "Publishing {} {prefix}; `peral status` shows how far it is.\n",
                quoted(&said.path)
            )
        })
    }
}

async fn remove(context: &Context, control: &mut Control, path: &Path) -> Result<(), Failure> {
    // A folder that is gone can be taken off as well: no need for it to exist.
    let path = absolute(path)
        .or_else(|_| unicode(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned())))?;
    control.unshare(path.clone()).await?;
    context.out.result("peral.unshare/1", &Unshared { path }, |said| {
        format!("No longer publishing {}.\n", quoted(&said.path))
    })
}

async fn list(context: &Context, control: &mut Control) -> Result<(), Failure> {
    let status = control.status().await?;
    let items = status.shares.iter().map(share).collect::<Result<_, _>>()?;
    context.out.result("peral.shares/1", &Items { items }, |said| {
        context.out.table(&table(&said.items), "nothing is shared")
    })
}

/// The shares of a status.
///
/// # Errors
/// INVALID_ARGUMENT: the peer says what it should not.
pub fn share(status: &pb::ShareStatus) -> Result<Share, Failure> {
    Ok(Share {
        path: status.path.clone(),
        prefix: status.prefix.clone(),
        visibility: status.visibility().try_into()?,
        files: status.files,
        bytes: status.bytes,
        pending: status.pending,
    })
}

/// Shares as a table.
pub fn table(shares: &[Share]) -> Table {
    let mut table =
        Table::new(&["PATH", "PREFIX", "ACCESS", "FILES", "SIZE", "TO DO"]).right(&[3, 4, 5]);
    for share in shares {
        let access = format!("{:?}", share.visibility).to_lowercase();
        table.row([
            &share.path,
            &share.prefix,
            &access,
            &share.files.to_string(),
            &bytes(share.bytes),
            &share.pending.to_string(),
        ]);
    }
    table
}
