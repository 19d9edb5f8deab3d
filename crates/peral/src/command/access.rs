//! `peral access`

use clap::Args;
use peral_model::Visibility;
use peral_wire::{
    Failure, convert, fail,
    rest::files::{Access, FileChange, FileDetail, Right},
};
use serde::Serialize;

use super::args::visibility_word;
use crate::{
    context::Context,
    output::{CommandResult, Escaped, Output, Table, age, bytes, instant},
};

/// Show a file with its versions, and change who can read and write it.
#[derive(Debug, Args)]
pub struct AccessArgs {
    /// Name of the file.
    name: String,
    /// Give access to an account, or to group:NAME: `read` (find and download) or `write` (also
    /// publish new versions).
    #[arg(long, value_name = "WHO:RIGHT", value_parser = parse_access)]
    grant: Vec<Access>,
    /// Remove the access of an account, or of group:NAME.
    #[arg(long, value_name = "WHO")]
    withdraw: Vec<String>,
    /// Only the owner and those with granted access can read it.
    #[arg(long, conflicts_with = "public")]
    private: bool,
    /// Everybody in the network can read it.
    #[arg(long)]
    public: bool,
    /// Set this tag; together, the given tags replace all present ones.
    #[arg(long, value_name = "TAG", conflicts_with = "no_tags")]
    tag: Vec<String>,
    /// Remove all tags.
    #[arg(long)]
    no_tags: bool,
}

#[derive(Serialize)]
pub struct AccessResult {
    pub changed: bool,
    #[serde(flatten)]
    pub detail: FileDetail,
}

impl AccessArgs {
    /// Shows or changes the file.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let name = convert::name(&self.name)?;
        let change = self.change();
        let session = context.session().await?;
        let detail = match &change {
            None => session.catalogue().file(&name).await?,
            Some(change) => session.catalogue().change_file(&name, change).await?,
        };
        context.out.result(&AccessResult { changed: change.is_some(), detail })
    }

    fn change(self) -> Option<FileChange> {
        let visibility = match (self.private, self.public) {
            (true, _) => Some(Visibility::Private),
            (_, true) => Some(Visibility::Public),
            _ => None,
        };
        let tags = (self.no_tags || !self.tag.is_empty()).then_some(self.tag);
        let change = FileChange { visibility, grant: self.grant, withdraw: self.withdraw, tags };
        let nothing = change.visibility.is_none()
            && change.grant.is_empty()
            && change.withdraw.is_empty()
            && change.tags.is_none();
        (!nothing).then_some(change)
    }
}

/// Reads `WHO:RIGHT`, such as `alice:read` or `group:devs:write`.
///
/// # Errors
/// It has another form.
pub fn parse_access(text: &str) -> Result<Access, Failure> {
    let bad = || {
        fail!(
            InvalidArgument,
            "{text:?} is not a right: write WHO:read or WHO:write, where WHO is an account or \
             group:NAME"
        )
    };
    let (who, right) = text
        .rsplit_once(':')
        .filter(|(who, _)| !who.is_empty() && *who != "group")
        .ok_or_else(bad)?;
    let right = match right {
        "read" => Right::Read,
        "write" => Right::Write,
        _ => return Err(bad()),
    };
    Ok(Access { who: who.to_owned(), right })
}

impl AccessResult {
    fn head(&self, now_ms: i64) -> String {
        let file = &self.detail.file;
        let sources = match file.last_seen_ms {
            _ if file.sources > 0 => format!("{} online", file.sources),
            Some(then) => format!("none online; last seen {}", age(then, now_ms)),
            None => "none online".into(),
        };
        let lines = [
            ("name", file.name.as_str()),
            ("owner", file.owner.as_str()),
            ("access", visibility_word(file.visibility)),
            ("tags", &file.tags.join(" ")),
            ("hash", &file.hash.to_string()),
            ("sources", &sources),
        ];
        lines.iter().map(|(key, value)| format!("{key:<8} {}\n", Escaped(value))).collect()
    }

    fn versions(&self) -> Table {
        let mut table =
            Table::new(&["VERSION", "SIZE", "PUBLISHED", "SOURCES", "HASH"]).right(&[0, 1, 3]);
        for version in &self.detail.versions {
            table.row([
                &version.version.to_string(),
                &bytes(version.size),
                &instant(version.published_ms),
                &version.sources.to_string(),
                &version.hash.to_string(),
            ]);
        }
        table
    }

    fn access(&self) -> Table {
        let mut table = Table::new(&["WHO", "RIGHT"]);
        for access in &self.detail.access {
            table.row([&access.who, if access.right == Right::Read { "read" } else { "write" }]);
        }
        table
    }
}

impl CommandResult for AccessResult {
    const SCHEMA: &'static str = "peral.access/1";

    fn text(&self, out: &Output) -> String {
        let versions = out.table(&self.versions(), "no versions");
        let access = self.access();
        let access = if access.is_empty() {
            String::new()
        } else {
            format!("\n{}", out.table(&access, "nobody else"))
        };
        format!("{}\n{versions}{access}", self.head(out.now_ms()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_read_from_the_right() {
        let access = |who: &str, right| Ok(Access { who: who.into(), right });
        assert_eq!(parse_access("alice:read"), access("alice", Right::Read));
        assert_eq!(parse_access("group:devs:write"), access("group:devs", Right::Write));
        for text in ["alice", "alice:admin", ":read", "group:read", "", "alice:"] {
            assert!(parse_access(text).is_err(), "{text}");
        }
    }
}
