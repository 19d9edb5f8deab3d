//! Groups of accounts.

use async_trait::async_trait;
use futures::FutureExt;
use peral_model::{AccountId, GroupId};
use peral_wire::rest::{Page, accounts::Group};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Conn, Database};
use crate::store::{Groups, Paging, Result, text::SEPARATOR};

#[async_trait]
impl Groups for Database {
    async fn create_group(&self, name: &str) -> Result<Group> {
        self.write(name.to_owned(), |c, name| add(c, name).boxed()).await
    }
    async fn groups(&self, paging: Paging) -> Result<Page<Group>> {
        list(&mut *self.reader().await?, &paging).await
    }
    async fn groups_of(&self, account: AccountId) -> Result<Vec<String>> {
        of(&mut *self.reader().await?, account).await
    }
    async fn delete_group(&self, id: GroupId) -> Result<bool> {
        self.write(id, |c, id| remove(c, *id).boxed()).await
    }
    async fn add_member(&self, group: GroupId, account: AccountId) -> Result<bool> {
        self.write((group, account), |c, (group, account)| add_member(c, *group, *account).boxed())
            .await
    }
    async fn remove_member(&self, group: GroupId, account: AccountId) -> Result<bool> {
        self.write((group, account), |c, (group, account)| {
            remove_member(c, *group, *account).boxed()
        })
        .await
    }
}

async fn add(c: &mut Conn, name: &str) -> Result<Group> {
    let id = Uuid::new_v4();
    sqlx::query("INSERT INTO groups (id, name) VALUES ($1, $2)")
        .bind(id)
        .bind(name)
        .execute(c)
        .await?;
    Ok(Group { id: GroupId(id), name: name.into(), members: Vec::new() })
}

#[derive(FromRow)]
struct GroupRow {
    id: Uuid,
    name: String,
    members: Option<String>,
}

async fn list(c: &mut Conn, paging: &Paging) -> Result<Page<Group>> {
    let sql = concat!(
        "SELECT g.id, g.name, (SELECT ",
        joined!("a.name"),
        " FROM members m JOIN accounts a ON a.id = m.account WHERE m.grp = g.id) AS members \
         FROM groups g WHERE g.name > $1 ORDER BY g.name LIMIT $2",
    );
    let after = paging.after.as_deref().unwrap_or("");
    let rows: Vec<GroupRow> =
        sqlx::query_as(sql).bind(after).bind(i64::from(paging.limit)).fetch_all(c).await?;
    let next = (rows.len() == paging.limit as usize)
        .then(|| rows.last().map(|row| row.name.clone()))
        .flatten();
    let group = |row: GroupRow| {
        let mut members: Vec<String> =
            row.members.iter().flat_map(|names| names.split(SEPARATOR)).map(Into::into).collect();
        members.sort();
        Group { id: GroupId(row.id), name: row.name, members }
    };
    Ok(Page { items: rows.into_iter().map(group).collect(), next })
}

async fn of(c: &mut Conn, account: AccountId) -> Result<Vec<String>> {
    let sql = "SELECT g.name FROM members m JOIN groups g ON g.id = m.grp WHERE m.account = $1 \
        ORDER BY g.name";
    Ok(sqlx::query_scalar(sql).bind(account.0).fetch_all(c).await?)
}

async fn remove(c: &mut Conn, id: GroupId) -> Result<bool> {
    sqlx::query("DELETE FROM access WHERE principal = $1").bind(id.0).execute(&mut *c).await?;
    Ok(sqlx::query("DELETE FROM groups WHERE id = $1").bind(id.0).execute(c).await?.rows_affected()
        > 0)
}

async fn add_member(c: &mut Conn, group: GroupId, account: AccountId) -> Result<bool> {
    let known = "SELECT EXISTS (SELECT 1 FROM groups WHERE id = $1) AND EXISTS (SELECT 1 FROM \
        accounts WHERE id = $2)";
    if !sqlx::query_scalar::<_, bool>(known)
        .bind(group.0)
        .bind(account.0)
        .fetch_one(&mut *c)
        .await?
    {
        return Ok(false);
    }
    let sql = "INSERT INTO members (grp, account) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    sqlx::query(sql).bind(group.0).bind(account.0).execute(c).await?;
    Ok(true)
}

async fn remove_member(c: &mut Conn, group: GroupId, account: AccountId) -> Result<bool> {
    let sql = "DELETE FROM members WHERE grp = $1 AND account = $2";
    Ok(sqlx::query(sql).bind(group.0).bind(account.0).execute(c).await?.rows_affected() > 0)
}
