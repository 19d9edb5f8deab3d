//! Processes that a test starts: each is ended by its own pid when the test is over, however it
//! ends.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::wait::{PATIENCE, Patience};

/// Lines of a log that a failed test shows.
const TAIL: usize = 40;

/// What a command that has ended said.
#[derive(Debug)]
pub struct Said {
    /// The command.
    pub line: String,
    /// The exit code; none for one that was killed.
    pub code: Option<i32>,
    /// All of stdout.
    pub out: String,
    /// All of stderr.
    pub err: String,
    /// For figures. No test asserts anything about it.
    pub took: Duration,
}

impl Said {
    /// The JSON object on stdout.
    ///
    /// # Panics
    /// There is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self:#?}"))
    }

    /// The same, if it succeeded.
    ///
    /// # Panics
    /// It failed.
    pub fn success(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// The result, as JSON, of a command that must have succeeded.
    ///
    /// # Panics
    /// It failed.
    pub fn ok(self) -> Value {
        self.success().json()
    }

    /// The code of the error of a command that must have failed.
    ///
    /// # Panics
    /// It succeeded, or named no code.
    pub fn failed(&self) -> String {
        assert_ne!(self.code, Some(0), "it should have failed: {self:#?}");
        self.json()["error"]["code"]
            .as_str()
            .unwrap_or_else(|| panic!("no code: {self:#?}"))
            .to_owned()
    }
}

/// A process that runs; killed when dropped.
#[derive(Debug)]
pub struct Process {
    line: String,
    child: Child,
    out: PathBuf,
    log: PathBuf,
    start: Instant,
    /// A test that fails shows what it said, unless somebody has heard that.
    unheard: bool,
    /// Goes with it, if it has one of its own.
    folder: Option<TempDir>,
}

impl Process {
    /// Starts a command. What it says on stderr is added to `log`, stdout goes into a file beside
    /// it, so that it never waits for a reader.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(mut command: Command, log: &Path) -> Self {
        let (line, out) = (words(&command), log.with_extension("out"));
        let err = File::options().create(true).append(true).open(log).unwrap();
        command.stdout(File::create(&out).unwrap()).stderr(err);
        let start = Instant::now();
        let child = command.spawn().unwrap_or_else(|error| panic!("{line}: {error}"));
        Self { line, child, out, log: log.to_owned(), start, unheard: true, folder: None }
    }

    /// The same for one whose words nobody reads later: they go into a folder that goes with it.
    ///
    /// # Panics
    /// It does not start.
    pub fn spawn(command: Command) -> Self {
        let folder = tempfile::Builder::new().prefix("peral-test-").tempdir().unwrap();
        let log = folder.path().join("log");
        let mut process = Self::start(command, &log);
        process.folder = Some(folder);
        process
    }

    /// The command.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// What it said on stdout so far.
    pub fn out(&self) -> String {
        read(&self.out)
    }

    /// What it said on stderr so far.
    pub fn err(&self) -> String {
        read(&self.log)
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
    ///
    /// # Panics
    /// There is no such process any more.
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Asks it to end, and waits for that.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// It does not end.
    pub fn wait(&mut self) -> ExitStatus {
        self.wait_within(PATIENCE)
    }

    fn wait_within(&mut self, most: Duration) -> ExitStatus {
        let (child, log, line) = (&mut self.child, &self.log, &self.line);
        Patience::most(most).eventually(&format!("the end of {line}"), || {
            child.try_wait().unwrap().ok_or_else(|| tail(&read(log)))
        })
    }

    /// Waits for its end, and gives what it said.
    ///
    /// # Panics
    /// It does not end.
    pub fn finish(self) -> Said {
        self.finish_within(PATIENCE)
    }

    /// The same for one that may take longer, or should not take as long.
    ///
    /// # Panics
    /// It does not end in time.
    pub fn finish_within(mut self, most: Duration) -> Said {
        let status = self.wait_within(most);
        let took = self.start.elapsed();
        self.unheard = false;
        Said {
            line: self.line.clone(),
            code: status.code(),
            out: self.out(),
            err: self.err(),
            took,
        }
    }

    /// Waits until this `peral` command, which writes JSON, has reported so many bytes done: it is
    /// in the middle of its work. Gives what it reported.
    ///
    /// # Panics
    /// It ended before.
    pub fn moved(&mut self, bytes: u64) -> u64 {
        self.moved_within(PATIENCE, bytes)
    }

    /// The same for one that may take longer to begin.
    ///
    /// # Panics
    /// It ended before.
    pub fn moved_within(&mut self, most: Duration, bytes: u64) -> u64 {
        Patience::most(most).eventually("the transfer is under way", || {
            let ended = self.ended();
            let done = progress(&self.err());
            assert!(!ended, "{} ended before its middle: {}{}", self.line, self.out(), self.err());
            done.filter(|done| *done >= bytes).ok_or(done)
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        if self.unheard && thread::panicking() {
            eprintln!("--- {} ({}) ---\n{}", self.line, self.log.display(), tail(&self.err()));
        }
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

fn words(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Nothing where there is no such file any more.
fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

fn tail(text: &str) -> String {
    let lines = text.lines().collect::<Vec<_>>();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}
