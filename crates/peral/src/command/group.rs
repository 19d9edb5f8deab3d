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
    output::{CommandResult, Output, Table, escape},
};

/// Manage groups of accounts (administrators).
///
/// Access to a file can be given to a group: see --access and --grant of `peral upload` and
/// `peral access`.
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// Create a group.
    Add(GroupArgs),
    /// List the groups and their members.
    Ls,
    /// Delete a group; its members lose the access it gave them.
    Rm(GroupArgs),
    /// Add an account to a group.
    Join(MemberArgs),
    /// Remove an account from a group.
    Leave(MemberArgs),
}

#[derive(Debug, Args)]
pub struct GroupArgs {
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
pub struct GroupResult {
    pub group: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    #[serde(skip)]
    pub change: GroupChange,
}

#[derive(Clone, Copy)]
pub enum GroupChange {
    Created,
    Deleted,
    Joined,
    Left,
}

#[derive(Serialize)]
pub struct GroupsResult {
    pub items: Vec<Group>,
}

impl GroupCommand {
    /// Asks central.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let user = context.user_session().await?;
        let catalogue = &user.catalogue;
        let result = match self {
            Self::Ls => {
                let items = catalogue.groups().await?.items;
                return context.out.result(&GroupsResult { items });
            }
            Self::Add(args) => {
                catalogue.add_group(&NewGroup { name: args.name.clone() }).await?;
                GroupResult { group: args.name, account: None, change: GroupChange::Created }
            }
            Self::Rm(args) => {
                catalogue.remove_group(find(catalogue, &args.name).await?.id).await?;
                GroupResult { group: args.name, account: None, change: GroupChange::Deleted }
            }
            Self::Join(args) => args.change(catalogue, GroupChange::Joined).await?,
            Self::Leave(args) => args.change(catalogue, GroupChange::Left).await?,
        };
        context.out.result(&result)
    }
}

impl MemberArgs {
    async fn change(
        self,
        catalogue: &Catalogue,
        change: GroupChange,
    ) -> Result<GroupResult, Failure> {
        let group = find(catalogue, &self.group).await?.id;
        let account = user::find(catalogue, &self.account).await?.id;
        match change {
            GroupChange::Left => catalogue.remove_member(group, account).await?,
            _ => catalogue.add_member(group, account).await?,
        };
        Ok(GroupResult { group: self.group, account: Some(self.account), change })
    }
}

async fn find(catalogue: &Catalogue, name: &str) -> Result<Group, Failure> {
    let groups = catalogue.groups().await?.items;
    groups
        .into_iter()
        .find(|group| group.name == name)
        .ok_or_else(|| fail!(NotFound, "there is no group {name:?}; `peral group ls` lists them"))
}

impl CommandResult for GroupResult {
    const SCHEMA: &'static str = "peral.group/1";

    fn text(&self, _: &Output) -> String {
        let group = escape(&self.group);
        let account = escape(self.account.as_deref().unwrap_or_default());
        match self.change {
            GroupChange::Created => format!("Created the group {group}.\n"),
            GroupChange::Deleted => format!("Deleted the group {group}.\n"),
            GroupChange::Joined => format!("Added {account} to the group {group}.\n"),
            GroupChange::Left => format!("Removed {account} from the group {group}.\n"),
        }
    }
}

impl CommandResult for GroupsResult {
    const SCHEMA: &'static str = "peral.groups/1";

    fn text(&self, out: &Output) -> String {
        let mut table = Table::new(&["NAME", "MEMBERS"]);
        for group in &self.items {
            table.row([&group.name, &group.members.join(", ")]);
        }
        out.table(&table, "no groups")
    }
}
