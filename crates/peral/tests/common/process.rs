//! Processes of the tests: the real binary, each ended by its own pid when the test is over,
//! however it ends.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// Longest that any one command of the tests may take.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(50);

/// Looks until the condition gives something.
///
/// # Panics
/// It gives nothing within `patience`.
pub fn eventually<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited {patience:?} in vain: {what}");
        thread::sleep(LOOK);
    }
}

/// The binary under test, in an environment of its own.
pub fn peral(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peral"));
    command
        .env_clear()
        .env("HOME", home)
        .env("PERAL_CONFIG_DIR", home.join("config"))
        .env("PERAL_DATA", home.join("no-peer"));
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command.current_dir(home).stdin(Stdio::null());
    command
}

/// What a command that has ended said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
    pub took: Duration,
}

impl Said {
    /// The JSON object on stdout.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// The result of a command that must have succeeded.
    pub fn ok(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.json()
    }

    /// The code of a command that must have failed.
    pub fn failed(&self) -> String {
        assert_ne!(self.code, Some(0), "{self:?}");
        self.json()["error"]["code"]
            .as_str()
            .unwrap_or_else(|| panic!("no code: {self:?}"))
            .to_owned()
    }
}

/// A process that runs; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
    out: PathBuf,
    start: Instant,
}

impl Process {
    /// Starts a command; what it says goes into files beside `log`.
    pub fn start(mut command: Command, log: &Path) -> Self {
        let out = log.with_extension("out");
        let err = File::options().create(true).append(true).open(log).unwrap();
        command.stdout(File::create(&out).unwrap()).stderr(err);
        let start = Instant::now();
        let child = command.spawn().unwrap();
        Self { child, log: log.to_owned(), out, start }
    }

    /// What it said on stderr so far.
    pub fn err(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has it ended?
    pub fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// As `kill -9`: it gets no chance to say or to write anything.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal such as `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.pid().to_string())
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Asks it to end, and waits for that.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let (child, log) = (&mut self.child, &self.log);
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < end,
                "it does not end: {}",
                fs::read_to_string(log).unwrap_or_default()
            );
            thread::sleep(LOOK);
        }
    }

    /// Waits for its end, and says what it said.
    pub fn finish(mut self) -> Said {
        let status = self.wait();
        let took = self.start.elapsed();
        let read = |path: &Path| {
            let mut text = String::new();
            File::open(path).unwrap().read_to_string(&mut text).unwrap();
            text
        };
        Said { code: status.code(), out: read(&self.out), err: read(&self.log), took }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        if thread::panicking() {
            eprintln!("--- {} ---\n{}", self.log.display(), tail(&self.err()));
        }
    }
}

fn tail(text: &str) -> String {
    let lines = text.lines().collect::<Vec<_>>();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
