//! `peral status`

use clap::Args;
use peral_model::PeerId;
use peral_wire::{Failure, pb};
use serde::Serialize;

use super::share::{self, ListedShare};
use crate::{
    context::Context,
    control::{job_id, peer_id},
    output::{CommandResult, Escaped, Output, Table, bytes},
};

/// Show what the local peer is doing, and its problems.
#[derive(Debug, Args)]
pub struct StatusArgs {}

#[derive(Serialize)]
pub struct StatusResult {
    pub peer: PeerId,
    pub epoch: u64,
    pub address: String,
    pub central: String,
    pub state: String,
    pub version: String,
    pub files: u64,
    pub room: u64,
    pub sent: u64,
    pub received: u64,
    pub shares: Vec<ListedShare>,
    pub troubles: Vec<ListedTrouble>,
    pub jobs: Vec<ListedJob>,
}

#[derive(Serialize)]
pub struct ListedTrouble {
    pub path: String,
    pub name: String,
    pub code: String,
    pub detail: String,
}

#[derive(Serialize)]
pub struct ListedJob {
    pub job: String,
    pub name: String,
    pub path: String,
    pub done: u64,
    pub total: u64,
    pub state: String,
    pub detail: String,
}

impl StatusArgs {
    /// Asks the local peer.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let status = context.local_peer().await?.status().await?;
        context.out.result(&StatusResult::new(status)?)
    }
}

impl StatusResult {
    pub fn new(status: pb::StatusResponse) -> Result<Self, Failure> {
        let trouble = |trouble: pb::Trouble| ListedTrouble {
            path: trouble.path,
            name: trouble.name,
            code: trouble.code,
            detail: trouble.detail,
        };
        let job = |job: pb::Job| ListedJob {
            job: job_id(&job.job),
            name: job.name,
            path: job.path,
            done: job.done,
            total: job.total,
            state: job.state,
            detail: job.detail,
        };
        Ok(Self {
            peer: peer_id(&status.peer)?,
            epoch: status.epoch,
            address: status.address,
            central: status.central,
            state: status.state,
            version: status.version,
            files: status.files,
            room: status.room,
            sent: status.sent,
            received: status.received,
            shares: status.shares.iter().map(ListedShare::new).collect::<Result<_, _>>()?,
            troubles: status.troubles.into_iter().map(trouble).collect(),
            jobs: status.jobs.into_iter().map(job).collect(),
        })
    }

    fn head(&self) -> String {
        let (peer, epoch, version) = (self.peer, self.epoch, &self.version);
        let (sent, received) = (bytes(self.sent), bytes(self.received));
        let lines = [
            ("peer", format!("{peer}, epoch {epoch}, version {version}")),
            ("address", self.address.clone()),
            ("central", self.central.clone()),
            ("state", self.state.clone()),
            ("holds", format!("{} files, {} free", self.files, bytes(self.room))),
            ("traffic", format!("{sent} sent, {received} received since the start")),
        ];
        lines.iter().map(|(key, value)| format!("{key:<8} {}\n", Escaped(value))).collect()
    }

    /// Problems of the peer itself, such as that central is offline.
    fn own_troubles(&self) -> String {
        let own = self.troubles.iter().filter(|trouble| !trouble.is_of_a_file());
        own.map(|one| format!("problem  {} ({})\n", Escaped(&one.detail), Escaped(&one.code)))
            .collect()
    }

    fn jobs(&self) -> Table {
        let mut table = Table::new(&["JOB", "NAME", "DONE", "OF", "STATE", ""]).right(&[2, 3]);
        for job in &self.jobs {
            table.row([
                &job.job,
                &job.name,
                &bytes(job.done),
                &bytes(job.total),
                &job.state,
                &job.detail,
            ]);
        }
        table
    }

    fn unpublished(&self) -> Table {
        let mut table = Table::new(&["NAME", "CODE", "WHY", "PATH"]);
        for trouble in self.troubles.iter().filter(|trouble| trouble.is_of_a_file()) {
            table.row([&trouble.name, &trouble.code, &trouble.detail, &trouble.path]);
        }
        table
    }
}

impl ListedTrouble {
    fn is_of_a_file(&self) -> bool {
        !self.name.is_empty() || !self.path.is_empty()
    }
}

impl CommandResult for StatusResult {
    const SCHEMA: &'static str = "peral.status/1";

    fn text(&self, out: &Output) -> String {
        let shares = out.table(&share::table(&self.shares), "none");
        let mut text = format!("{}{}\nshares\n{shares}", self.head(), self.own_troubles());
        for (title, table) in [("downloads", self.jobs()), ("not published", self.unpublished())] {
            if !table.is_empty() {
                text += &format!("\n{title}\n{}", out.table(&table, ""));
            }
        }
        text
    }
}
