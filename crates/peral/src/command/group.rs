//! `peral group`

use clap::{Args, Subcommand};
use peral_wire::{
    Catalogue, Failure, fail,
    rest::accounts::{Group, NewGroup},
};
use serde::Serialize;

use super::user;
use crate::{
    context::Context,
    output::{Items, Table, shown},
};

/// Manage groups of accounts (administrators).
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// Make a group.
    Add(NameArgs),
    /// List the groups with their accounts.
    Ls,
    /// Remove a group; what it was let to have it may no longer have.
    Rm(NameArgs),
    /// Put an account into a group.
    Join(MemberArgs),
    /// Take an account out of a group.
    Leave(MemberArgs),
}

#[derive(Debug, Args)]
pub struct NameArgs {
    /// Name of the group.
    name: String,
}

#[derive(Debug, Args)]
pub struct MemberArgs {
    /// Name of the group.
    group: String,
    /// Name of the account.
    account: String,
}

#[derive(Serialize)]
struct Changed {
    group: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
}

impl GroupCommand {
    /// Talks to central.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let user = context.user_session().await?;
        let catalogue = &user.catalogue;
        match self {
            Self::Ls => list(context, catalogue).await,
            Self::Add(args) => {
                catalogue.add_group(&NewGroup { name: args.name.clone() }).await?;
                say(context, args.name, None, "Made the group")
            }
            Self::Rm(args) => {
                catalogue.remove_group(find(catalogue, &args.name).await?.id).await?;
                say(context, args.name, None, "Removed the group")
            }
            Self::Join(args) => {
                let (group, account) = (
                    find(catalogue, &args.group).await?,
                    user::find(catalogue, &args.account).await?,
                );
                catalogue.add_member(group.id, account.id).await?;
                say(context, args.group, Some(args.account), "Joined the group")
            }
            Self::Leave(args) => {
                let (group, account) = (
                    find(catalogue, &args.group).await?,
                    user::find(catalogue, &args.account).await?,
                );
                catalogue.remove_member(group.id, account.id).await?;
                say(context, args.group, Some(args.account), "Left the group")
            }
        }
    }
}

fn say(
    context: &Context,
    group: String,
    account: Option<String>,
    what: &str,
) -> Result<(), Failure> {
    context.out.result("peral.group/1", &Changed { group, account }, |said| {
        let account = said
            .account
            .as_deref()
            .map_or(String::new(), |account| format!(": {}", shown(account)));
        format!("{what} {}{account}.\n", shown(&said.group))
    })
}

async fn list(context: &Context, catalogue: &Catalogue) -> Result<(), Failure> {
    let said = Items { items: catalogue.groups().await?.items };
    context.out.result("peral.groups/1", &said, |said| {
        let mut table = Table::new(&["NAME", "ACCOUNTS"]);
        for group in &said.items {
            table.row([&group.name, &group.members.join(", ")]);
        }
        context.out.table(&table, "no groups")
    })
}

async fn find(catalogue: &Catalogue, name: &str) -> Result<Group, Failure> {
    let groups = catalogue.groups().await?.items;
    groups
        .into_iter()
        .find(|group| group.name == name)
        .ok_or_else(|| fail!(NotFound, "there is no group {name:?}; `peral group ls` lists them"))
}
