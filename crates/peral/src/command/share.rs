//! `peral share`

use std::path::{Path, PathBuf};

use clap::Args;
use peral_model::Visibility;
use peral_wire::{Failure, pb};
use serde::Serialize;

use super::args::{absolute, unicode, visibility, visibility_word};
use crate::{
    context::Context,
    control::ControlClient,
    output::{CommandResult, Output, Table, bytes, quoted},
};

/// Publish a folder through the local peer; without a folder, list the shares.
///
/// The peer serves the files from where they are and watches the folder: new and changed files are
/// published by themselves.
#[derive(Debug, Args)]
pub struct ShareArgs {
    /// The folder.
    path: Option<PathBuf>,
    /// What the names begin with, before the path inside the folder.
    #[arg(long, value_name = "PREFIX", requires = "path")]
    prefix: Option<String>,
    /// For new files: only the owner and those whom the owner grants access can read them.
    #[arg(long, requires = "path")]
    private: bool,
    /// Stop publishing this folder; its files stay on disk.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["path", "prefix", "private"])]
    remove: Option<PathBuf>,
}

#[derive(Serialize)]
pub struct ShareResult {
    pub path: String,
    pub prefix: String,
    pub visibility: Visibility,
}

#[derive(Serialize)]
pub struct UnshareResult {
    pub path: String,
}

#[derive(Serialize)]
pub struct SharesResult {
    pub items: Vec<ListedShare>,
}

/// A share, as listings show it.
#[derive(Serialize)]
pub struct ListedShare {
    pub path: String,
    pub prefix: String,
    pub visibility: Visibility,
    pub files: u64,
    pub bytes: u64,
    pub pending: u64,
}

impl ShareArgs {
    /// Asks the local peer.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let mut control = context.local_peer().await?;
        match (&self.path, &self.remove) {
            (Some(path), _) => context.out.result(&self.add(&mut control, path).await?),
            (None, Some(path)) => context.out.result(&remove(&mut control, path).await?),
            (None, None) => {
                let status = control.status().await?;
                let items = status.shares.iter().map(ListedShare::new).collect::<Result<_, _>>()?;
                context.out.result(&SharesResult { items })
            }
        }
    }

    async fn add(&self, control: &mut ControlClient, path: &Path) -> Result<ShareResult, Failure> {
        let result = ShareResult {
            path: absolute(path)?,
            prefix: self.prefix.clone().unwrap_or_default(),
            visibility: visibility(self.private),
        };
        control
            .share(pb::ShareRequest {
                path: result.path.clone(),
                prefix: result.prefix.clone(),
                visibility: pb::Visibility::from(result.visibility).into(),
            })
            .await?;
        Ok(result)
    }
}

async fn remove(control: &mut ControlClient, path: &Path) -> Result<UnshareResult, Failure> {
    // The folder need not exist any more.
    let path = absolute(path)
        .or_else(|_| unicode(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned())))?;
    control.unshare(path.clone()).await?;
    Ok(UnshareResult { path })
}

impl ListedShare {
    /// From a status.
    ///
    /// # Errors
    /// INVALID_ARGUMENT: the peer sends a visibility that does not exist.
    pub fn new(status: &pb::ShareStatus) -> Result<Self, Failure> {
        Ok(Self {
            path: status.path.clone(),
            prefix: status.prefix.clone(),
            visibility: status.visibility().try_into()?,
            files: status.files,
            bytes: status.bytes,
            pending: status.pending,
        })
    }
}

/// Shares as a table.
pub fn table(shares: &[ListedShare]) -> Table {
    let mut table =
        Table::new(&["PATH", "PREFIX", "ACCESS", "FILES", "SIZE", "PENDING"]).right(&[3, 4, 5]);
    for share in shares {
        table.row([
            &share.path,
            &share.prefix,
            visibility_word(share.visibility),
            &share.files.to_string(),
            &bytes(share.bytes),
            &share.pending.to_string(),
        ]);
    }
    table
}

impl CommandResult for ShareResult {
    const SCHEMA: &'static str = "peral.share/1";

    fn text(&self, _: &Output) -> String {
        let prefix = if self.prefix.is_empty() {
            "without a prefix".into()
        } else {
            format!("with the prefix {}", quoted(&self.prefix))
        };
        format!("Publishing {} {prefix}; `peral status` shows the progress.\n", quoted(&self.path))
    }
}

impl CommandResult for UnshareResult {
    const SCHEMA: &'static str = "peral.unshare/1";

    fn text(&self, _: &Output) -> String {
        format!("Stopped publishing {}.\n", quoted(&self.path))
    }
}

impl CommandResult for SharesResult {
    const SCHEMA: &'static str = "peral.shares/1";

    fn text(&self, out: &Output) -> String {
        out.table(&table(&self.items), "no shares")
    }
}
