//! `peral status`

use clap::Args;
use peral_model::PeerId;
use peral_wire::{Failure, pb};
use serde::Serialize;

use super::share::{self, Share};
use crate::{
    context::Context,
    control::{job_id, peer_id},
    output::{Shown, Table, bytes},
};

/// Show what the peer here is doing, and what stands in its way.
#[derive(Debug, Args)]
pub struct StatusArgs {}

#[derive(Serialize)]
struct Status {
    peer: PeerId,
    epoch: u64,
    address: String,
    central: String,
    state: String,
    version: String,
    files: u64,
    room: u64,
    sent: u64,
    received: u64,
    shares: Vec<Share>,
    troubles: Vec<Trouble>,
    jobs: Vec<Job>,
}

#[derive(Serialize)]
struct Trouble {
    path: String,
    name: String,
    code: String,
    detail: String,
}

#[derive(Serialize)]
struct Job {
    job: String,
    name: String,
    path: String,
    done: u64,
    total: u64,
    state: String,
    detail: String,
}

impl StatusArgs {
    /// Asks the peer here.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let status = read(context.local_peer().await?.status().await?)?;
        context.out.result("peral.status/1", &status, |status| {
            text(status, |table| context.out.table(table, "none"))
        })
    }
}

fn read(status: pb::StatusResponse) -> Result<Status, Failure> {
    let trouble = |one: pb::Trouble| Trouble {
        path: one.path,
        name: one.name,
        code: one.code,
        detail: one.detail,
    };
    let job = |one: pb::Job| Job {
        job: job_id(&one.job),
        name: one.name,
        path: one.path,
        done: one.done,
        total: one.total,
        state: one.state,
        detail: one.detail,
    };
    Ok(Status {
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
        shares: status.shares.iter().map(share::share).collect::<Result<_, _>>()?,
        troubles: status.troubles.into_iter().map(trouble).collect(),
        jobs: status.jobs.into_iter().map(job).collect(),
    })
}

fn text(status: &Status, draw: impl Fn(&Table) -> String) -> String {
    let head = [
        ("peer", format!("{}, epoch {}, version {}", status.peer, status.epoch, status.version)),
        ("address", status.address.clone()),
        ("central", status.central.clone()),
        ("state", status.state.clone()),
        ("holds", format!("{} files, room for {} more", status.files, bytes(status.room))),
        (
            "moved",
            format!(
                "{} sent, {} received since the start",
                bytes(status.sent),
                bytes(status.received)
            ),
        ),
    ];
    let head =
        head.iter().map(|(key, value)| format!("{key:<8} {}\n", Shown(value))).collect::<String>();
    // What is wrong with no file, such as that central is away, belongs to the state.
    let (own, unpublished): (Vec<_>, Vec<_>) =
        status.troubles.iter().partition(|one| one.name.is_empty() && one.path.is_empty());
    let own = own
        .iter()
        .map(|one| format!("trouble  {} ({})\n", Shown(&one.detail), Shown(&one.code)))
        .collect::<String>();
    let mut text = format!("{head}{own}\nshares\n{}", draw(&share::table(&status.shares)));
    if !status.jobs.is_empty() {
        let mut table = Table::new(&["JOB", "NAME", "DONE", "OF", "STATE", ""]).right(&[2, 3]);
        for job in &status.jobs {
            table.row([
                &job.job,
                &job.name,
                &bytes(job.done),
                &bytes(job.total),
                &job.state,
                &job.detail,
            ]);
        }
        text += &format!("\ndownloads\n{}", draw(&table));
    }
    if !unpublished.is_empty() {
        let mut table = Table::new(&["NAME", "CODE", "WHY", "PATH"]);
        for trouble in unpublished {
            table.row([&trouble.name, &trouble.code, &trouble.detail, &trouble.path]);
        }
        text += &format!("\nnot published\n{}", draw(&table));
    }
    text
}
