//! `peral access`

use clap::Args;
use peral_model::Visibility;
use peral_wire::{
    Failure, convert, fail,
    rest::files::{Access, FileChange, FileDetail, Right},
};
use serde::Serialize;

use crate::{
    context::Context,
    output::{Shown, Table, age, bytes, instant},
};

/// Show a file with its versions, and change who may have it.
#[derive(Debug, Args)]
pub struct AccessArgs {
    /// Name of the file.
    name: String,
    /// Let an account, or group:NAME, `read` (find and download) or `write` (also publish
    /// versions).
    #[arg(long, value_name = "WHO:RIGHT", value_parser = line)]
    grant: Vec<Access>,
    /// Take an account, or group:NAME, off the list.
    #[arg(long, value_name = "WHO")]
    withdraw: Vec<String>,
    /// Only the owner and those on the list may have it.
    #[arg(long, conflicts_with = "public")]
    private: bool,
    /// Everybody in the network may have it.
    #[arg(long)]
    public: bool,
    /// Give it these tags, in place of those it has.
    #[arg(long, value_name = "TAG", conflicts_with = "no_tags")]
    tag: Vec<String>,
    /// Take all its tags away.
    #[arg(long)]
    no_tags: bool,
}

#[derive(Serialize)]
struct Shows {
    changed: bool,
    #[serde(flatten)]
    detail: FileDetail,
}

impl AccessArgs {
    /// Shows or changes the file.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let name = convert::name(&self.name)?;
        let said = match self.change() {
            None => Shows {
                changed: false,
                detail: context.session().await?.catalogue().file(&name).await?,
            },
            Some(change) => Shows {
                changed: true,
                detail: context.session().await?.catalogue().change_file(&name, &change).await?,
            },
        };
        let now = context.out.now_ms();
        context.out.result("peral.access/1", &said, |said| {
            text(&said.detail, now, |table| context.out.table(table, "nobody else"))
        })
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
/// It is not of that form.
pub fn line(text: &str) -> Result<Access, Failure> {
    let bad = || {
        fail!(
            InvalidArgument,
            "{text:?} is no right: write WHO:read or WHO:write, WHO being an account or group:NAME"
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

fn text(detail: &FileDetail, now_ms: i64, draw: impl Fn(&Table) -> String) -> String {
    let file = &detail.file;
    let seen = match file.last_seen_ms {
        _ if file.sources > 0 => format!("{} now", file.sources),
        Some(then) => format!("none now; the last was seen {}", age(then, now_ms)),
        None => "none now".into(),
    };
    let visibility = format!("{:?}", file.visibility).to_lowercase();
    let head = [
        ("name", file.name.as_str()),
        ("owner", file.owner.as_str()),
        ("access", &visibility),
        ("tags", &file.tags.join(" ")),
        ("hash", &file.hash.to_string()),
        ("sources", &seen),
    ];
    let head =
        head.iter().map(|(key, value)| format!("{key:<8} {}\n", Shown(value))).collect::<String>();
    let mut versions =
        Table::new(&["VERSION", "SIZE", "PUBLISHED", "SOURCES", "HASH"]).right(&[0, 1, 3]);
    for version in &detail.versions {
        let numbers =
            [version.version.to_string(), bytes(version.size), version.sources.to_string()];
        versions.row([
            &numbers[0],
            &numbers[1],
            &instant(version.published_ms),
            &numbers[2],
            &version.hash.to_string(),
        ]);
    }
    let mut access = Table::new(&["WHO", "RIGHT"]);
    for line in &detail.access {
        access.row([&line.who, if line.right == Right::Read { "read" } else { "write" }]);
    }
    let access = if access.is_empty() { String::new() } else { format!("\n{}", draw(&access)) };
    format!("{head}\n{}{access}", draw(&versions))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_read_from_the_right() {
        assert_eq!(line("alice:read"), Ok(Access { who: "alice".into(), right: Right::Read }));
        assert_eq!(
            line("group:devs:write"),
            Ok(Access { who: "group:devs".into(), right: Right::Write })
        );
        for text in ["alice", "alice:admin", ":read", "group:read", "", "alice:"] {
            assert!(line(text).is_err(), "{text}");
        }
    }
}
