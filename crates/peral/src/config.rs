//! `peral.toml`: defaults for flags. The environment and the command line override them.
//!
//! Each key is the long name of a flag. Keys at the top are for all commands, those in
//! `[role.central]` and `[role.peer]` for the roles.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use clap::{Arg, Command, error::ErrorKind};
use config::{Config, File, FileFormat};
use etcetera::BaseStrategy;
use serde::Deserialize;

/// Flags that make no sense in a file.
const NOT_HERE: [&str; 7] = [
    "config",
    "help",
    "version",
    "data-default",
    "token-file-default",
    "ca-file-default",
    "ca-fingerprint-default",
];
/// See `Global`: the file sets these for all commands, but not the flag of the same name that one
/// command has for itself.
const APART: [(&str, &str); 4] = [
    ("data", "data_default"),
    ("token-file", "token_file_default"),
    ("ca-file", "ca_file_default"),
    ("ca-fingerprint", "ca_fingerprint_default"),
];
/// Keys at the top that also set the peer's own flags of the same name.
const FOR_THE_PEER_TOO: [&str; 2] = ["central", "data"];

#[derive(Debug, Default, Deserialize)]
struct Settings {
    #[serde(default)]
    role: BTreeMap<String, BTreeMap<String, Setting>>,
    #[serde(flatten)]
    flags: BTreeMap<String, Setting>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Setting {
    Flag(bool),
    Number(i64),
    Text(String),
    List(Vec<String>),
}

impl Setting {
    fn values(&self) -> Vec<String> {
        match self {
            Self::Flag(value) => vec![value.to_string()],
            Self::Number(value) => vec![value.to_string()],
            Self::Text(value) => vec![value.clone()],
            Self::List(values) => values.clone(),
        }
    }
}

/// The folder for `peral.toml` and the logins: `PERAL_CONFIG_DIR`, or `peral` in the user's
/// configuration folder.
pub fn folder() -> Option<PathBuf> {
    match std::env::var_os("PERAL_CONFIG_DIR") {
        Some(folder) if !folder.is_empty() => Some(folder.into()),
        _ => etcetera::choose_base_strategy()
            .ok()
            .map(|strategy| strategy.config_dir().join("peral")),
    }
}

/// The configuration file that the command line or the environment names.
pub fn path_in(args: &[OsString]) -> Option<PathBuf> {
    flag_in(args, "--config")
        .or_else(|| std::env::var_os("PERAL_CONFIG"))
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

/// The value of a flag, before the command line is read as a whole.
pub fn flag_in(args: &[OsString], flag: &str) -> Option<OsString> {
    let args = args.iter().take_while(|arg| *arg != "--").collect::<Vec<_>>();
    let joined = format!("{flag}=");
    args.iter().enumerate().find_map(|(at, arg)| match arg.to_str()?.strip_prefix(&joined) {
        Some(value) => Some(value.into()),
        None if arg.as_os_str() == OsStr::new(flag) => {
            args.get(at + 1).map(|value| (*value).clone())
        }
        None => None,
    })
}

/// Makes the values in the file the defaults of the flags.
///
/// # Errors
/// The file was named and does not exist, it cannot be read, or it has a key that is not a flag.
pub fn apply(command: Command, named: Option<PathBuf>) -> Result<Command, clap::Error> {
    let path = match named {
        Some(path) => path,
        None => match folder().map(|folder| folder.join("peral.toml")).filter(|path| path.exists())
        {
            Some(path) => path,
            None => return Ok(command),
        },
    };
    let failed = |command: &Command, reason: String| {
        command.clone().error(ErrorKind::InvalidValue, format!("{}: {reason}", path.display()))
    };
    match read(&path).and_then(|settings| merge(command.clone(), &settings)) {
        Ok(merged) => Ok(merged),
        Err(reason) => Err(failed(&command, reason)),
    }
}

fn read(path: &Path) -> Result<Settings, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("could not read the configuration file: {error}"))?;
    let config = Config::builder()
        .add_source(File::from_str(&text, FileFormat::Toml))
        .build()
        .map_err(|error| error.to_string())?;
    config.try_deserialize().map_err(|error| error.to_string())
}

fn merge(mut command: Command, settings: &Settings) -> Result<Command, String> {
    for (key, setting) in &settings.flags {
        command = match APART.iter().find(|(name, _)| name == key) {
            Some((_, id)) => command.mut_arg(*id, |arg| arg.default_values(setting.values())),
            None => with_default(command, key, setting, "at the top")?,
        };
    }
    for (role, flags) in &settings.role {
        if !["central", "peer"].contains(&role.as_str()) {
            return Err(format!("there is no role {role:?}; roles are central and peer"));
        }
        for (key, setting) in flags {
            command = in_role(command, role, |role_command| {
                with_default(role_command, key, setting, &format!("in [role.{role}]"))
            })?;
        }
    }
    for key in FOR_THE_PEER_TOO {
        let own = settings.role.get("peer").is_some_and(|flags| flags.contains_key(key));
        let Some(setting) = settings.flags.get(key).filter(|_| !own) else { continue };
        command = in_role(command, "peer", |peer| {
            if find(&peer, key).is_some() {
                with_default(peer, key, setting, "at the top")
            } else {
                Ok(peer)
            }
        })?;
    }
    Ok(command)
}

fn in_role(
    command: Command,
    role: &str,
    change: impl FnOnce(Command) -> Result<Command, String>,
) -> Result<Command, String> {
    let mut outcome = Ok(());
    let command = command.mut_subcommand(role, |role_command| match change(role_command.clone()) {
        Ok(changed) => changed,
        Err(reason) => {
            outcome = Err(reason);
            role_command
        }
    });
    outcome.map(|()| command)
}

fn find<'a>(command: &'a Command, key: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|arg| arg.get_long() == Some(key) && !NOT_HERE.contains(&key))
}

fn with_default(
    command: Command,
    key: &str,
    setting: &Setting,
    place: &str,
) -> Result<Command, String> {
    let Some(id) = find(&command, key).map(|arg| arg.get_id().clone()) else {
        return Err(format!("{key:?} {place} is not a flag that a file can set"));
    };
    Ok(command.mut_arg(id, |arg| arg.default_values(setting.values()).required(false)))
}

#[cfg(test)]
mod tests {
    use clap::{ArgAction, Command, value_parser};

    use super::*;

    fn tree() -> Command {
        let global = [
            Arg::new("output").long("output").global(true).default_value("text"),
            Arg::new("central").long("central").global(true),
            Arg::new("data_default").long("data-default").global(true),
        ];
        let peer = Command::new("peer").args([
            Arg::new("central").long("central").required(true),
            Arg::new("data").long("data"),
            Arg::new("shares").long("share").action(ArgAction::Append),
            Arg::new("reflection").long("reflection").action(ArgAction::SetTrue),
            Arg::new("rescan").long("rescan").value_parser(value_parser!(u64)).default_value("60"),
        ]);
        Command::new("peral")
            .args(global)
            .subcommand(peer)
            .subcommand(Command::new("central").arg(Arg::new("data").long("data")))
            .subcommand(Command::new("ls"))
    }

    fn with(text: &str) -> Result<Command, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peral.toml");
        std::fs::write(&path, text).unwrap();
        read(&path).and_then(|settings| merge(tree(), &settings))
    }

    #[test]
    fn the_file_sets_what_no_flag_sets() {
        let command = with(
            "central = \"https://c\"\noutput = \"json\"\n[role.peer]\nshare = [\"/a\", \
                \"/b=x\"]\nreflection = true\nrescan = 5\n",
        )
        .unwrap();
        let matches = command.clone().get_matches_from(["peral", "peer", "--rescan", "7"]);
        let peer = matches.subcommand_matches("peer").unwrap();
        assert_eq!(peer.get_many::<String>("shares").unwrap().collect::<Vec<_>>(), ["/a", "/b=x"]);
        assert_eq!(peer.get_one::<String>("central").unwrap(), "https://c");
        assert!(peer.get_flag("reflection"));
        assert_eq!(peer.get_one::<u64>("rescan"), Some(&7));
        let matches = command.get_matches_from(["peral", "ls", "--central", "https://d"]);
        let ls = matches.subcommand_matches("ls").unwrap();
        assert_eq!(
            (
                ls.get_one::<String>("central").unwrap().as_str(),
                ls.get_one::<String>("output").unwrap().as_str()
            ),
            ("https://d", "json")
        );
    }

    #[test]
    fn the_peers_data_folder_is_never_taken_for_centrals() {
        let command = with("data = \"/peer\"").unwrap();
        let data = |line: &[&str]| {
            let matches = command.clone().get_matches_from(line);
            matches.subcommand().unwrap().1.try_get_one::<String>("data").ok().flatten().cloned()
        };
        assert_eq!(data(&["peral", "peer", "--central", "x"]), Some("/peer".into()));
        assert_eq!(data(&["peral", "central"]), None);
        let ls = command.clone().get_matches_from(["peral", "ls"]);
        assert_eq!(ls.get_one::<String>("data_default").map(String::as_str), Some("/peer"));
    }

    #[test]
    fn unknown_keys_are_refused_by_name() {
        for (text, part) in [
            ("centrall = \"x\"", "\"centrall\" at the top"),
            ("config = \"x\"", "\"config\" at the top"),
            ("[role.peer]\nrescam = 1", "\"rescam\" in [role.peer]"),
            ("[role.console]\nx = 1", "no role \"console\""),
            ("central = [", ""),
        ] {
            let error = with(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_flag_is_found_before_the_command_line_is_read() {
        let args = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert_eq!(flag_in(&args("peral --config a.toml ls"), "--config"), Some("a.toml".into()));
        assert_eq!(flag_in(&args("peral ls --config=b.toml"), "--config"), Some("b.toml".into()));
        assert_eq!(flag_in(&args("peral ls -- --config c"), "--config"), None);
    }
}
