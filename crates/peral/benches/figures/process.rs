//! Other programs: running them, and what they cost.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
    time::Instant,
};

use peral_testkit::eventually;

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
    output(command);
    Cost { wall: start.elapsed().as_secs_f64(), cpu: cpu_of_ended() - before }
}

/// What a command prints; it must succeed.
pub fn text(command: &mut Command) -> String {
    String::from_utf8(output(command).stdout).expect("text")
}

fn output(command: &mut Command) -> Output {
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
    output
}

/// The first line of a file that another process writes when it is ready.
pub fn first_line(path: &Path) -> String {
    eventually(&format!("{} is written", path.display()), || {
        let text = fs::read_to_string(path).ok()?;
        text.lines().next().filter(|line| !line.is_empty()).map(str::to_owned)
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
