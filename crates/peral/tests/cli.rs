//! The command line by itself: help, exit codes, configuration, what is written where. No network
//! is needed.
#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "common/command.rs"]
mod command;

use std::{collections::BTreeSet, fs, net::TcpListener, path::Path, time::Duration};

use command::peral;
use peral_testkit::{Process, Said};
use tempfile::TempDir;

fn home() -> TempDir {
    tempfile::Builder::new().prefix("peral-cli-").tempdir().unwrap()
}

fn run(home: &Path, args: &[&str]) -> Said {
    run_with(home, args, &[])
}

fn run_with(home: &Path, args: &[&str], environment: &[(&str, &str)]) -> Said {
    let mut command = peral(home);
    command.args(args).envs(environment.iter().copied());
    let log = home.join("log");
    drop(fs::remove_file(&log));
    Process::start(command, &log).finish()
}

/// Every page of help, as users see it: the first page, and those of all commands that a page lists.
#[test]
fn help() {
    let home = home();
    let mut pages = vec![Vec::new()];
    let mut text = String::new();
    let mut names = BTreeSet::new();
    while let Some(page) = pages.pop() {
        let args: Vec<&str> = page.iter().map(String::as_str).chain(["--help"]).collect();
        let said = run(home.path(), &args);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{page:?}");
        names.insert([&["peral".to_owned()][..], &page].concat().join("-") + ".1");
        pages.extend(
            listed_commands(&said.out)
                .into_iter()
                .rev()
                .map(|command| [&page[..], &[command]].concat()),
        );
        let own = if page.is_empty() { said.out } else { without_global_options(&said.out) };
        let own = own.lines().map(|line| line.trim_end().to_owned() + "\n").collect::<String>();
        text += &format!("$ peral {}\n{own}\n", args.join(" "));
    }
    insta::assert_snapshot!(text);
    // Manual pages come from the definition of the command line: no command is left out here.
    let folder = home.path().join("man");
    assert_eq!(run(home.path(), &["man", folder.to_str().unwrap()]).code, Some(0));
    let manual = fs::read_dir(folder).unwrap().map(|page| page.unwrap().file_name());
    let manual = manual.map(|name| name.into_string().unwrap()).collect::<BTreeSet<_>>();
    assert_eq!(manual, names);
}

/// The commands below a page of help, but for `help`.
fn listed_commands(page: &str) -> Vec<String> {
    let list = page.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands = list.take_while(|line| !line.is_empty());
    commands
        .filter_map(|line| line.strip_prefix("  ")?.split_once("  ").map(|(name, _)| name))
        .filter(|name| !name.is_empty() && *name != "help")
        .map(str::to_owned)
        .collect()
}

/// The options of all commands are on the first page.
fn without_global_options(page: &str) -> String {
    let mut global = false;
    let mut own = String::new();
    for line in page.lines() {
        if line.starts_with(|c: char| !c.is_whitespace()) {
            global = matches!(line, "Global options:" | "Telemetry:");
        }
        if !global {
            own += &format!("{line}\n");
        }
    }
    own
}

#[test]
fn exit_codes() {
    let home = home();
    let said = run(home.path(), &["exit-codes"]);
    assert_eq!(said.code, Some(0));
    insta::assert_snapshot!(said.out);
    assert!(run(home.path(), &["exit-codes", "--help"]).out.contains("never renamed"));
}

#[test]
fn mistakes_are_told_as_text_or_json_and_exit_with_2() {
    let home = home();
    let text = run(home.path(), &["download"]);
    assert_eq!((text.code, text.out.as_str()), (Some(2), ""));
    assert!(text.err.contains("Usage: peral download"), "{text:?}");
    let json = run(home.path(), &["download", "--output", "json"]);
    assert_eq!(
        (json.code, json.failed().as_str(), json.err.as_str()),
        (Some(2), "INVALID_ARGUMENT", "")
    );
    let json = run_with(home.path(), &["nonsense"], &[("PERAL_OUTPUT", "json")]);
    assert_eq!((json.code, json.failed().as_str()), (Some(2), "INVALID_ARGUMENT"));
    assert_eq!(run(home.path(), &["rm", "a/../b"]).code, Some(2));
    assert_eq!(run(home.path(), &["rm", "a/../b", "--output", "json"]).failed(), "INVALID_NAME");
}

#[test]
fn nobody_is_logged_in_at_first() {
    let home = home();
    for args in
        [&["ls"][..], &["whoami"], &["logout"], &["upload", "x"], &["user", "ls"], &["token", "ls"]]
    {
        let said = run(home.path(), args);
        assert_eq!(said.code, Some(4), "{args:?}: {said:?}");
        assert!(
            said.err.starts_with("error: ") && said.err.contains("(UNAUTHENTICATED)\nhint: "),
            "{said:?}"
        );
    }
    for args in [&["status"][..], &["share"], &["cancel", "01900000-0000-7000-8000-000000000000"]] {
        assert_eq!(run(home.path(), args).code, Some(9), "{args:?}");
    }
}

/// I8: a call ends before its deadline, in success or a typed error.
#[test]
fn a_central_that_is_away_is_told_within_five_seconds() {
    let home = home();
    // Nobody listens there; and somebody listens there who never says a word.
    let refusing = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for address in [refusing, silent.local_addr().unwrap()] {
        let central = format!("https://{address}");
        let said = run(
            home.path(),
            &[
                "login",
                "--central",
                &central,
                "--account",
                "a",
                "--password-stdin",
                "--output",
                "json",
            ],
        );
        assert_eq!((said.code, said.failed().as_str()), (Some(9), "UNAVAILABLE"), "{said:?}");
        assert!(said.took < Duration::from_secs(8), "{said:?}");
    }
}

#[test]
fn an_address_in_use_is_told_with_its_listener_and_its_flag() {
    let home = home();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, port) =
        (taken.local_addr().unwrap().to_string(), taken.local_addr().unwrap().port().to_string());
    let free = "127.0.0.1:0";
    let data = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let (central, peer) = (data("central"), data("peer"));
    let central = ["central", "--data", &central, "--output", "json"];
    let peer = [
        "peer",
        "--data",
        &peer,
        "--central",
        "https://127.0.0.1:1",
        "--listen-address",
        "127.0.0.1",
        "--output",
        "json",
    ];
    for (role, more, named) in [
        (
            &central[..],
            ["--listen", free, "--admin-listen", &address],
            ["admin listener", "--admin-listen"],
        ),
        (
            &central,
            ["--listen", &address, "--admin-listen", free],
            ["listener for peers and commands", "--listen"],
        ),
        (&peer, ["--port", "0", "--admin-listen", &address], ["admin listener", "--admin-listen"]),
        (&peer, ["--port", &port, "--admin-listen", free], ["listener for other peers", "--port"]),
    ] {
        let said = run(home.path(), &[role, &more].concat());
        assert_eq!((said.code, said.failed().as_str()), (Some(9), "UNAVAILABLE"), "{said:?}");
        let in_use = format!("127.0.0.1, port {port}: in use");
        assert!(
            said.out.contains(&in_use) && named.iter().all(|part| said.out.contains(part)),
            "{said:?}"
        );
    }
}

#[test]
fn central_makes_no_network_that_nobody_could_log_in_to() {
    let home = home();
    let data = home.path().join("central");
    let at = data.to_str().unwrap();
    let free = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let said =
        run(home.path(), &[&["central", "--data", at, "--output", "json"][..], &free].concat());
    assert_eq!((said.code, said.failed().as_str()), (Some(2), "INVALID_ARGUMENT"), "{said:?}");
    assert!(
        said.out.contains(&format!(
            "no network exists in {at}; create one with `peral central init --data {at} --admin \
             NAME`"
        )),
        "{said:?}"
    );
    assert!(!data.exists(), "nothing was made");
}

#[test]
fn plaintext_goes_no_further_than_this_machine() {
    let home = home();
    let said = run(
        home.path(),
        &["login", "--central", "http://192.0.2.1:7070", "--account", "a", "--password-stdin"],
    );
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("loopback"), "{said:?}");
}

#[test]
fn flags_come_before_the_environment_and_the_environment_before_the_file() {
    let home = home();
    let config = home.path().join("config");
    fs::create_dir(&config).unwrap();
    fs::write(config.join("peral.toml"), "output = \"json\"\ndata = \"/of-the-file\"\n").unwrap();
    let socket = |said: &Said| {
        let line = if said.out.is_empty() { said.err.clone() } else { said.out.clone() };
        line.split("nothing answers at ")
            .nth(1)
            .unwrap()
            .split("/peral.sock")
            .next()
            .unwrap()
            .to_owned()
    };
    let mut from_file = peral(home.path());
    from_file.env_remove("PERAL_DATA").arg("status");
    let said = Process::start(from_file, &home.path().join("log")).finish();
    assert_eq!((said.failed().as_str(), socket(&said).as_str()), ("UNAVAILABLE", "/of-the-file"));
    let said = run_with(
        home.path(),
        &["status"],
        &[("PERAL_DATA", "/of-the-environment"), ("PERAL_OUTPUT", "text")],
    );
    assert_eq!((said.out.as_str(), socket(&said).as_str()), ("", "/of-the-environment"));
    let said = run_with(
        home.path(),
        &["--data", "/of-the-flag", "status"],
        &[("PERAL_DATA", "/of-the-environment")],
    );
    assert_eq!(socket(&said), "/of-the-flag");
}

#[test]
fn a_configuration_with_a_mistake_is_refused_by_name() {
    let home = home();
    let file = home.path().join("mine.toml");
    fs::write(&file, "centrall = \"x\"\n").unwrap();
    let said = run(home.path(), &["ls", "--config", file.to_str().unwrap()]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("mine.toml") && said.err.contains("centrall"), "{said:?}");
    let said = run(home.path(), &["ls", "--config", "/absent.toml", "--output", "json"]);
    assert_eq!((said.code, said.failed().as_str()), (Some(2), "INVALID_ARGUMENT"));
}

#[test]
fn errors_cannot_steer_the_terminal() {
    let home = home();
    let said = run(home.path(), &["rm", "a//\u{1b}[2J\u{202e}"]);
    assert_eq!(said.code, Some(2));
    assert!(!said.err.contains(['\u{1b}', '\u{202e}']) && said.err.contains("1b"), "{said:?}");
}

#[test]
fn manual_pages_and_completions_are_made() {
    let home = home();
    let folder = home.path().join("man");
    assert_eq!(run(home.path(), &["man", folder.to_str().unwrap()]).code, Some(0));
    for page in ["peral.1", "peral-download.1", "peral-token-join.1", "peral-peer.1"] {
        assert!(fs::read_to_string(folder.join(page)).unwrap().contains(".TH"), "{page}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let said = run(home.path(), &["completions", shell]);
        assert!(said.code == Some(0) && said.out.contains("download"), "{shell}");
    }
}
