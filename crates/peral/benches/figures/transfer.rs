//! One source to one destination: what verification and encryption cost beside plain HTTP, and how
//! much memory it takes.

use std::{
    fs,
    io::Write,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use peral_testkit::{Process, eventually, net::free_address};
use rand::{Rng, SeedableRng, rngs::SmallRng};

use crate::{
    process::{Cost, cpu_of, peak_mib, run, settle},
    report::{median, print},
    stand::Stand,
};

const GIB: u64 = 1 << 30;
const RUNS: usize = 5;

/// A file that nobody can guess, of `size` bytes.
pub fn random_file(path: &Path, size: u64, seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut file = fs::File::create(path).expect("a file");
    let mut block = vec![0; 1 << 20];
    let mut left = size;
    while left > 0 {
        rng.fill_bytes(&mut block);
        let part = usize::try_from(left.min(1 << 20)).expect("at most a MiB");
        file.write_all(&block[..part]).expect("room on the disk");
        left -= part as u64;
    }
}

pub fn measure(scratch: &Path) {
    let share = scratch.join("share");
    fs::create_dir_all(&share).expect("a folder");
    random_file(&share.join("one.bin"), GIB, 1);
    let (reference_cpu, reference_wall) = nginx(scratch, &share);
    let mut stand = Stand::start(&scratch.join("transfer"), None);
    stand.peer("source", &share);
    stand.published("one.bin");
    let (cpu, wall) = verified(&stand, scratch);
    print(
        "transfer.verified.cpu",
        cpu,
        "CPU s/GiB, both sides",
        "curl from nginx without TLS",
        reference_cpu,
    );
    print("transfer.verified.wall", wall, "s/GiB", "curl from nginx without TLS", reference_wall);
    let plain = crate::plain::measure(&share.join("one.bin"), scratch, RUNS);
    print(
        "transfer.plain.cpu",
        plain,
        "CPU s/GiB, both sides",
        "curl from nginx without TLS",
        reference_cpu,
    );
    memory(&stand, scratch);
}

/// Runs `once` after a warm-up; medians of CPU (with what `server` used meanwhile) and wall.
fn repeated(server: impl Fn() -> f64, mut once: impl FnMut() -> Cost) -> (f64, f64) {
    once();
    let runs: Vec<Cost> = (0..RUNS)
        .map(|_| {
            settle();
            let before = server();
            let cost = once();
            Cost { cpu: cost.cpu + server() - before, ..cost }
        })
        .collect();
    (
        median(runs.iter().map(|run| run.cpu).collect()),
        median(runs.iter().map(|run| run.wall).collect()),
    )
}

fn verified(stand: &Stand, scratch: &Path) -> (f64, f64) {
    let target = scratch.join("verified.bin");
    let server = stand.last_peer();
    repeated(
        || cpu_of(server),
        || {
            // A target that is the wanted file already would not be fetched again.
            let _ = fs::remove_file(&target);
            run(stand.command().args(["download", "one.bin", "-o"]).arg(&target))
        },
    )
}

fn nginx(scratch: &Path, share: &Path) -> (f64, f64) {
    let folder = scratch.join("nginx");
    fs::create_dir_all(&folder).expect("a folder");
    let address = free_address();
    let at = folder.display();
    let configuration = format!(
        "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log; events {{ }}\n\
         http \
         {{ access_log off; sendfile off; output_buffers 2 512k;\n\
         client_body_temp_path {at}/b; proxy_temp_path {at}/p;\n\
         fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s; server \
         {{ listen {address}; root {}; }} }}\n",
        share.display()
    );
    fs::write(folder.join("nginx.conf"), configuration).expect("a file");
    let mut command = Command::new("nginx");
    command.arg("-c").arg(folder.join("nginx.conf")).arg("-p").arg(&folder).stdin(Stdio::null());
    let server = Process::start(command, &folder.join("log"));
    eventually("nginx listens", || std::net::TcpStream::connect(address));
    let target = scratch.join("curl.bin");
    let url = format!("http://{address}/one.bin");
    let figures = repeated(
        || cpu_of(server.pid()),
        || {
            let _ = fs::remove_file(&target);
            run(Command::new("curl")
                .args(["--silent", "--fail", "--output"])
                .arg(&target)
                .arg(&url))
        },
    );
    let _ = fs::remove_file(&target);
    figures
}

/// Peak memory of each side, for 1 GiB and for 16 GiB without anything in it. Each size gets a peer
/// and a receiver of its own.
fn memory(small: &Stand, scratch: &Path) {
    let folder = scratch.join("sparse");
    fs::create_dir_all(&folder).expect("a folder");
    fs::File::create(folder.join("large.bin"))
        .and_then(|file| file.set_len(16 * GIB))
        .expect("a sparse file");
    let mut large = Stand::start(&scratch.join("memory"), None);
    large.peer("large", &folder);
    large.published("large.bin");
    let (small_sender, small_receiver) = peaks(small, "one.bin", &scratch.join("memory-one.bin"));
    let (large_sender, large_receiver) =
        peaks(&large, "large.bin", &scratch.join("memory-large.bin"));
    print(
        "transfer.memory.sender",
        large_sender,
        "MiB at 16 GiB",
        "the same at 1 GiB",
        small_sender,
    );
    print(
        "transfer.memory.receiver",
        large_receiver,
        "MiB at 16 GiB",
        "the same at 1 GiB",
        small_receiver,
    );
}

fn peaks(stand: &Stand, name: &str, target: &PathBuf) -> (f64, f64) {
    let mut child = stand
        .command()
        .args(["download", name, "-o"])
        .arg(target)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut receiver: f64 = 0.0;
    loop {
        receiver = receiver.max(peak_mib(child.id()));
        match child.try_wait().expect("our child") {
            Some(status) => break assert!(status.success(), "download of {name}: {status}"),
            None => std::thread::sleep(std::time::Duration::from_millis(20)),
        }
    }
    assert!(fs::metadata(target).is_ok_and(|meta| meta.size() > 0));
    let _ = fs::remove_file(target);
    (peak_mib(stand.last_peer()), receiver)
}
