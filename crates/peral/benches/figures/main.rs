//! What `make bench` measures. Each figure is a line of JSON: a value, and a reference that was
//! measured in the same run.
//!
//! `cargo bench -p peral --bench figures -- [transfer|index|sqlite|postgres|heartbeats]...`; all of
//! them without a name.
#![expect(clippy::expect_used, reason = "a measuring program: it stops at the first surprise")]

mod catalogue;
mod index;
mod plain;
mod process;
mod report;
mod stand;
mod transfer;

use std::path::Path;

/// The allocator of the product: the plain transfer runs in this program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    peral_runtime::tls::install_provider();
    match words.as_slice() {
        ["plain-send", file, address] => {
            runtime().block_on(plain::send(Path::new(file), Path::new(address)));
        }
        ["plain-receive", address, target] => runtime()
            .block_on(plain::receive(address.parse().expect("an address"), Path::new(target))),
        names => figures(names),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

fn figures(names: &[&str]) {
    let scratch =
        tempfile::Builder::new().prefix("peral-bench").tempdir().expect("a temporary folder");
    let wanted = |name: &str| names.is_empty() || names.contains(&name);
    if wanted("transfer") {
        transfer::measure(scratch.path());
    }
    if wanted("index") {
        index::measure(scratch.path());
    }
    if wanted("sqlite") {
        runtime().block_on(catalogue::on_sqlite(scratch.path()));
    }
    if wanted("postgres") {
        runtime().block_on(catalogue::on_postgres(scratch.path()));
    }
    if wanted("heartbeats") {
        runtime().block_on(catalogue::beats::measure(scratch.path()));
    }
}
