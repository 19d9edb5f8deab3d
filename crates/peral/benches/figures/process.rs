//! Other programs: starting them, waiting for them, and what they cost.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Clock ticks of /proc in a second; fixed in Linux's interface to user space.
const TICKS: f64 = 100.0;

/// CPU seconds (user and system) of a process that runs, with those of its threads.
pub fn cpu_of(pid: u32) -> f64 {
    stat(pid, 13..15)
}

/// CPU seconds of all children of this process that have ended.
fn cpu_of_ended() -> f64 {
    stat(std::process::id(), 15..17)
}

fn stat(pid: u32, fields: std::ops::Range<usize>) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let numbers: Vec<f64> =
        after_name.split_whitespace().map(|field| field.parse().unwrap_or(0.0)).collect();
    // Fields are counted from 0 with the process id and name before `after_name`.
    fields.map(|field| numbers.get(field - 2).copied().unwrap_or(0.0)).sum::<f64>() / TICKS
}

/// Most resident memory of a process, in MiB.
pub fn peak_mib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) / 1024.0
}

/// Seconds a command took, by the clock and of the CPU.
pub struct Cost {
    pub wall: f64,
    pub cpu: f64,
}

/// Runs a command to its end; it must succeed.
pub fn run(command: &mut Command) -> Cost {
    let before = cpu_of_ended();
    let start = Instant::now();
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Cost { wall: start.elapsed().as_secs_f64(), cpu: cpu_of_ended() - before }
}

/// What a command prints; it must succeed.
pub fn text(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

/// A server that ends with this value.
pub struct Server(Child);

impl Server {
    /// Starts it; what it says goes to `log`.
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let log = fs::File::create(log).expect("a log file");
        let errors = log.try_clone().expect("a second handle");
        Self(
            command
                .stdin(Stdio::null())
                .stdout(log)
                .stderr(errors)
                .spawn()
                .unwrap_or_else(|error| panic!("{command:?}: {error}")),
        )
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for a condition, at most a minute.
pub fn until<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    until_within(Duration::from_secs(60), what, condition)
}

/// Waits for a condition.
pub fn until_within<T>(limit: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The first line of a file that another process writes when it is ready.
pub fn first_line(path: &Path) -> String {
    until(&format!("{}", path.display()), || {
        let file = fs::File::open(path).ok()?;
        BufReader::new(file).lines().next()?.ok().filter(|line| !line.is_empty())
    })
}

/// Touches memory before a run. A virtual machine may have given idle memory back to its host, and
/// the run would pay for getting it again.
pub fn settle() {
    const BYTES: usize = 4 << 30;
    let mut memory = vec![0u8; BYTES];
    for page in memory.chunks_mut(4096) {
        page[0] = 1;
    }
    std::hint::black_box(&memory);
}
