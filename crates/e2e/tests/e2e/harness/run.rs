//! Commands as a user types them: each has a deadline, and is ended by its own pid when nobody
//! waits for it any longer.

use std::{
    fs::{self, File},
    io::Read,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// Longest that a command may take which has no deadline of its own.
const PATIENCE: Duration = Duration::from_secs(240);
/// Between two looks at a process.
const LOOK: Duration = Duration::from_millis(50);
/// Between two looks at the cluster: each costs it a request.
const LOOK_AT_CLUSTER: Duration = Duration::from_millis(500);

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
        thread::sleep(LOOK_AT_CLUSTER);
    }
}

/// What a command that has ended said.
#[derive(Debug)]
pub struct Said {
    pub line: String,
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
    pub took: Duration,
}

impl Said {
    /// The same, if it succeeded.
    ///
    /// # Panics
    /// It did not.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}: {self:#?}", self.line);
        self
    }

    /// The JSON on stdout.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self:#?}"))
    }

    /// The code of the `peral` command that must have failed.
    pub fn failed(&self) -> String {
        assert_ne!(self.code, Some(0), "{} should have failed: {self:#?}", self.line);
        self.json()["error"]["code"]
            .as_str()
            .unwrap_or_else(|| panic!("no code: {self:#?}"))
            .to_owned()
    }
}

/// A command that runs; killed when dropped.
#[derive(Debug)]
pub struct Running {
    line: String,
    child: Child,
    folder: TempDir,
    begin: Instant,
    /// Nobody heard yet what it said.
    unheard: bool,
}

/// Starts a command. What it says goes into files, so that it never waits for a reader.
pub fn start(mut command: Command) -> Running {
    let line = words(&command);
    let folder = tempfile::Builder::new().prefix("peral-e2e-").tempdir().unwrap();
    command
        .stdout(File::create(folder.path().join("out")).unwrap())
        .stderr(File::create(folder.path().join("err")).unwrap());
    let begin = Instant::now();
    let child = command.spawn().unwrap_or_else(|error| panic!("{line}: {error}"));
    Running { line, child, folder, begin, unheard: true }
}

/// Runs a command to its end, without standard input.
pub fn run(mut command: Command) -> Said {
    command.stdin(Stdio::null());
    start(command).finish(PATIENCE)
}

fn words(command: &Command) -> String {
    let args = command.get_args().map(|arg| arg.to_string_lossy().into_owned());
    std::iter::once(command.get_program().to_string_lossy().into_owned())
        .chain(args)
        .collect::<Vec<_>>()
        .join(" ")
}

impl Running {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What it said on stdout so far.
    pub fn out(&self) -> String {
        read(&self.path("out"))
    }

    /// What it said on stderr so far.
    pub fn err(&self) -> String {
        read(&self.path("err"))
    }

    /// Has it ended?
    pub fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end. One that does not end in time is killed, has no exit code, and says so.
    pub fn finish(mut self, patience: Duration) -> Said {
        self.unheard = false;
        let end = Instant::now() + patience;
        let (code, late) = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break (status.code(), String::new()),
                None if Instant::now() >= end => {
                    drop(self.child.kill());
                    break (None, format!("\nit did not end within {patience:?}"));
                }
                None => thread::sleep(LOOK),
            }
        };
        Said {
            line: self.line.clone(),
            code,
            out: self.out(),
            err: self.err() + &late,
            took: self.begin.elapsed(),
        }
    }

    /// Waits until this `peral` command, which writes JSON, has reported so many bytes done: it is
    /// in the middle of its work.
    pub fn moved(&mut self, bytes: u64, patience: Duration) -> u64 {
        eventually("the transfer is under way", patience, || {
            assert!(
                !self.ended(),
                "{} ended before its middle: {}{}",
                self.line,
                self.out(),
                self.err()
            );
            progress(&self.err()).filter(|done| *done >= bytes)
        })
    }
}

/// Most bytes that the progress events in this text report.
pub fn progress(text: &str) -> Option<u64> {
    let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events
        .filter(|event| event["event"] == "progress")
        .filter_map(|event| event["done"].as_u64())
        .max()
}

fn read(path: &PathBuf) -> String {
    let mut bytes = Vec::new();
    File::open(path).unwrap().read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Drop for Running {
    fn drop(&mut self) {
        // Errors mean that it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        if self.unheard && thread::panicking() {
            let tail = fs::read_to_string(self.path("err")).unwrap_or_default();
            eprintln!(
                "--- {} ---\n{}",
                self.line,
                tail.lines()
                    .rev()
                    .take(20)
                    .collect::<Vec<_>>()
                    .into_iter()
                    .rev()
                    .collect::<Vec<_>>()
                    .join("\n")
            );
        }
    }
}
