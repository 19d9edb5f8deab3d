//! Hosts in namespaces of this test's own.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// Set where the test runs inside its namespaces.
const INSIDE: &str = "PERAL_TEST_HOSTS";
/// Seconds that the lines of one block may take.
const PATIENCE: u64 = 60;
/// Commands that the test is made of, and Debian's packages that bring them.
const TOOLS: [(&str, &str); 6] = [
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("bwrap", "bubblewrap"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("timeout", "coreutils"),
];

/// Is this process the one in the namespaces?
pub fn is_inside() -> bool {
    env::var_os(INSIDE).is_some()
}

/// Runs this test again, as the first process in namespaces of its own; all that it starts ends
/// with it.
///
/// # Panics
/// The test fails there, or this machine lets nobody make namespaces: it is never left out.
pub fn enter(test: &str) {
    for (tool, package) in TOOLS {
        let found = env::split_paths(&path()).any(|folder| folder.join(tool).is_file());
        assert!(
            found,
            "the command {tool} is missing: `make test` installs it; by hand, `scripts/setup \
             {tool}={package}`"
        );
    }
    let begins = [&["unshare", "--user", "--map-root-user"][..], &["sudo", "-n", "unshare"][..]];
    let begin = begins.into_iter().find(|begin| {
        let tried = Command::new(begin[0])
            .args(&begin[1..])
            .args(["--net", "--mount", "true"])
            .env("PATH", path())
            .output();
        tried.is_ok_and(|tried| tried.status.success())
    });
    let begin = begin.expect(
        "this machine lets neither this user make namespaces (`unshare --user --map-root-user \
        --net`), nor root (`sudo -n`)",
    );
    let mut command = Command::new(begin[0]);
    command.args(&begin[1..]).args([
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "env",
    ]);
    command.arg(format!("{INSIDE}=yes")).arg(env::current_exe().unwrap()).args([
        "--exact",
        test,
        "--nocapture",
    ]);
    let said = command.env("PATH", path()).stdin(Stdio::null()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success() && out.contains("1 passed"), "inside: {out}{err}");
}

/// Where commands are looked for: Debian keeps some of them where only root looks.
fn path() -> String {
    format!("{}:/usr/sbin:/sbin", env::var("PATH").unwrap_or_default())
}

/// The hosts.
pub struct World {
    root: TempDir,
}

/// What lines said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl World {
    /// Makes hosts with these addresses; the last of them is a laptop without Docker, but with the
    /// command.
    pub fn lay_out(hosts: &[&str]) -> Self {
        assert_eq!(
            std::process::id(),
            1,
            "this process has no namespace of its own for process ids"
        );
        let root = tempfile::Builder::new().prefix("peral-hosts-").tempdir().unwrap();
        for (folder, script) in [("host", "docker"), ("host", "scp"), ("laptop", "scp")] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
            std::os::unix::fs::symlink(here().join(script), root.path().join(folder).join(script))
                .unwrap();
        }
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_peral"), root.path().join("laptop/peral"))
            .unwrap();
        for host in hosts {
            fs::create_dir_all(root.path().join("home").join(host)).unwrap();
        }
        let laid =
            Command::new(here().join("world")).args(hosts).env("PATH", path()).output().unwrap();
        assert!(laid.status.success(), "{}", String::from_utf8_lossy(&laid.stderr));
        Self { root }
    }

    /// A file in the home folder of a host's user.
    pub fn file(&self, host: &str, name: &str) -> PathBuf {
        self.root.path().join("home").join(host).join(name)
    }

    /// Runs lines on a host, which must all succeed; gives what they wrote.
    pub fn run(&self, host: &str, lines: &str) -> String {
        let said = self.command(host, lines);
        assert_eq!(
            said.code,
            Some(0),
            "on {host}: {lines}\n{}\n{}\n{}",
            said.out,
            said.err,
            self.logs()
        );
        said.out
    }

    /// Runs lines on a host.
    pub fn command(&self, host: &str, lines: &str) -> Said {
        let number = host.rsplit('.').next().unwrap();
        let kind = if number == "9" { "laptop" } else { "host" };
        let mut command = Command::new("timeout");
        command
            .arg(PATIENCE.to_string())
            .arg("nsenter")
            .arg(format!("--net=/run/netns/{host}"))
            .args(["unshare", "--uts", "bash", "-euo", "pipefail", "-c"]);
        command.arg(format!("echo host-{number} > /proc/sys/kernel/hostname\n{lines}"));
        command
            .env_clear()
            .current_dir(self.file(host, ""))
            .env("HOME", self.file(host, ""))
            .stdin(Stdio::null());
        command.env("PATH", format!("{}:{}", self.root.path().join(kind).display(), path()));
        command
            .env("HOST", host)
            .env("WORLD", self.root.path())
            .env("PERAL", env!("CARGO_BIN_EXE_peral"))
            .env("REPOSITORY", here().join("../../../.."));
        let said = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: said.status.code(), out: text(said.stdout), err: text(said.stderr) }
    }

    /// The ends of what the containers logged.
    fn logs(&self) -> String {
        let script =
            "for log in engine/*/containers/*/log; do echo \"--- $log\"; tail -n 20 \"$log\"; done";
        let said =
            Command::new("sh").args(["-c", script]).current_dir(self.root.path()).output().unwrap();
        String::from_utf8_lossy(&said.stdout).into_owned()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // All processes of this namespace but its first, which is this one.
        drop(Command::new("kill").args(["-KILL", "--", "-1"]).status());
    }
}

fn here() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hosts"))
}
