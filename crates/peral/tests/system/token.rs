//! Commands that log in for themselves by an API token: in an init container or a job, where nobody
//! else does.

use std::{fs, path::PathBuf, process::Command};

use peral_testkit::{
    Process, eventually,
    sample::{hash_of, noise_file},
};

use crate::{
    command::peral,
    network::{Network, Node, User},
};

const SIZE: u64 = 48 << 20;

/// A network with a token of ana's in a file.
fn start(network: &Network) -> (User, Node, PathBuf) {
    network.ok(&network.admin, &["user", "add", "peers", "--no-password"]);
    let (ana, one) = (network.user("ana"), network.peer("one", "peers", &["--upload-rate", "12M"]));
    let file = network.path("api.token");
    network.ok(&ana, &["token", "add", "job", "--lasts", "1h", "--out", file.to_str().unwrap()]);
    (ana, one, file)
}

/// A command as in a container: its home is not there, and all it knows is in its environment.
fn job(network: &Network, token: &PathBuf, args: &[&str]) -> Command {
    let mut command = peral(network.root.path());
    command
        .env("HOME", "/nonexistent/home")
        .env_remove("PERAL_CONFIG_DIR")
        .env_remove("PERAL_DATA");
    command
        .env("PERAL_CENTRAL", &network.url)
        .env("PERAL_CA_FILE", network.authority())
        .env("PERAL_TOKEN_FILE", token);
    command.args(args).args(["--output", "json"]);
    command
}

fn run(network: &Network, command: Command) -> Process {
    Process::start(command, &network.path(&format!("job-{}.log", uuid::Uuid::new_v4())))
}

fn sessions(network: &Network, user: &User) -> usize {
    network.ok(user, &["whoami", "--sessions"])["items"].as_array().unwrap().len()
}

#[test]
fn a_command_logs_in_for_itself_and_out_again() {
    let network = Network::start(None);
    let (ana, one, token) = start(&network);
    let said = |args: &[&str]| run(&network, job(&network, &token, args)).finish();
    let who = said(&["whoami"]).ok();
    assert_eq!((who["by"].as_str(), who["name"].as_str()), (Some("token"), Some("ana")));
    let source = network.path("result.bin");
    let hash = noise_file(&source, "result", 2 << 20);
    said(&["upload", source.to_str().unwrap(), "--private"]).ok();
    let target = network.path("back.bin");
    assert_eq!(
        said(&["download", "result.bin", "-o", target.to_str().unwrap()]).ok()["hash"],
        hash
    );
    said(&["search", "result"]).ok();
    assert_eq!(said(&["download", "no-such-file"]).failed(), "NOT_FOUND");
    // Also beside a peer, which then does the work.
    let mut beside = job(
        &network,
        &token,
        &["download", "result.bin", "-o", network.path("again.bin").to_str().unwrap()],
    );
    beside.env("PERAL_DATA", &one.data);
    assert_eq!(run(&network, beside).finish().ok()["by"], format!("peer {}", one.id));
    assert_eq!(network.file("result.bin").unwrap()["owner"], "ana");
    assert_eq!(sessions(&network, &ana), 1, "only her own is left");
    // By a fingerprint, by a flag; and it comes before a login.
    let mut command = peral(network.root.path());
    command.args(["central", "fingerprint", "--data"]).arg(network.path("central"));
    let fingerprint = Process::start(command, &network.path("fingerprint.log")).finish().out;
    let flags =
        ["whoami", "--token-file", token.to_str().unwrap(), "--ca-fingerprint", fingerprint.trim()];
    assert_eq!(network.ok(&network.admin, &flags)["name"], "ana");
    assert_eq!(network.ok(&network.admin, &["whoami"])["name"], "admin");
    assert_eq!(sessions(&network, &ana), 1);
}

#[test]
fn a_wrong_token_and_another_central_are_reported() {
    let network = Network::start(None);
    let (_ana, _one, token) = start(&network);
    let missing = run(&network, job(&network, &network.path("absent"), &["ls"])).finish();
    assert_eq!(
        (missing.code, missing.failed().as_str()),
        (Some(2), "INVALID_ARGUMENT"),
        "{missing:?}"
    );
    let wrong = network.path("wrong.token");
    fs::write(&wrong, "not a token\n").unwrap();
    let said = run(&network, job(&network, &wrong, &["ls"])).finish();
    assert_eq!((said.code, said.failed().as_str()), (Some(4), "UNAUTHENTICATED"), "{said:?}");
    let mut stranger = job(&network, &token, &["ls"]);
    stranger.env_remove("PERAL_CA_FILE").env("PERAL_CA_FINGERPRINT", "AB".repeat(32));
    assert_eq!(run(&network, stranger).finish().failed(), "UNTRUSTED");
    let mut nowhere = job(&network, &token, &["ls"]);
    nowhere.env_remove("PERAL_CENTRAL");
    let said = run(&network, nowhere).finish();
    assert!(said.failed() == "INVALID_ARGUMENT" && said.out.contains("PERAL_CENTRAL"), "{said:?}");
    // A login is one's own, whatever the environment has for single commands.
    let robot = network.stranger("robot");
    let mut login = peral(&robot.home);
    login
        .env("PERAL_CENTRAL", &network.url)
        .env("PERAL_CA_FILE", network.authority())
        .env("PERAL_TOKEN_FILE", &wrong);
    login.args([
        "login",
        "--account",
        "ana",
        "--password-file",
        &network.password(),
        "--output",
        "json",
    ]);
    assert_eq!(run(&network, login).finish().ok()["account"], "ana");
}

#[test]
fn an_interrupted_download_logs_out_and_the_next_run_goes_on() {
    let network = Network::start(None);
    let (ana, one, token) = start(&network);
    let hash = noise_file(&one.share.join("big.bin"), "big", usize::try_from(SIZE).unwrap());
    network.sources("big.bin", 1);
    let target = network.path("fetched.bin");
    let args =
        ["download", "big.bin", "-o", target.to_str().unwrap(), "--overwrite", "--wait", "60"];
    // There is no place for temporary files either.
    let again = || {
        let mut command = job(&network, &token, &args);
        command.env("TMPDIR", "/nonexistent/tmp");
        run(&network, command)
    };
    let mut running = again();
    running.moved(8 << 20);
    running.signal("TERM");
    let said = running.finish();
    assert_eq!((said.code, said.failed().as_str()), (Some(130), "CANCELLED"), "{said:?}");
    assert_eq!(sessions(&network, &ana), 1);
    let mut running = again();
    running.moved(14 << 20);
    running.kill();
    let fetched = again().finish().ok()["fetched"].as_u64().unwrap();
    assert!(fetched < SIZE - (8 << 20), "{fetched}");
    assert_eq!(hash_of(&target), hash);
    // Started once more, as an init container is with its pod: nothing is fetched, nothing fails.
    assert_eq!(again().finish().ok()["fetched"], 0);
    let beside = fs::read_dir(network.root.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(
        beside.filter(|name| name.starts_with('.')).collect::<Vec<_>>(),
        Vec::<String>::new(),
        "nothing is left beside it"
    );
}

#[test]
fn a_download_waits_for_central_for_the_name_and_for_a_holder() {
    let mut network = Network::start(None);
    let (_ana, one, token) = start(&network);
    network.central.kill();
    let target = network.path("fetched.bin");
    let mut running = run(
        &network,
        job(
            &network,
            &token,
            &["download", "later.bin", "-o", target.to_str().unwrap(), "--wait", "80"],
        ),
    );
    let says = |running: &mut Process, text: &str| {
        eventually(text, || {
            assert!(!running.ended(), "{}", running.err());
            running.err().contains(text)
        });
    };
    says(&mut running, "cannot be reached");
    network.restart_central();
    says(&mut running, "the file or the version does not exist");
    let hash = noise_file(&one.share.join("later.bin"), "later", 100_000);
    let said = running.finish();
    assert_eq!(said.ok()["hash"], hash);
    assert_eq!(hash_of(&target), hash);
    // A name that nobody holds any more.
    fs::remove_file(one.share.join("later.bin")).unwrap();
    network.sources("later.bin", 0);
    let target = network.path("other.bin");
    let args = ["download", "later.bin", "-o", target.to_str().unwrap(), "--wait"];
    let over = run(&network, job(&network, &token, &[&args[..], &["2"]].concat())).finish();
    assert_eq!((over.code, over.failed().as_str()), (Some(9), "NO_SOURCE"), "{over:?}");
    let mut running = run(&network, job(&network, &token, &[&args[..], &["80"]].concat()));
    says(&mut running, "no peer holds");
    noise_file(&one.share.join("later.bin"), "later", 100_000);
    assert_eq!(running.finish().ok()["hash"], hash);
    // Without it, or when the time is over, it is told as ever.
    assert_eq!(
        run(&network, job(&network, &token, &["download", "never.bin"])).finish().failed(),
        "NOT_FOUND"
    );
    let over =
        run(&network, job(&network, &token, &["download", "never.bin", "--wait", "1"])).finish();
    assert_eq!((over.code, over.failed().as_str()), (Some(3), "NOT_FOUND"), "{over:?}");
}
