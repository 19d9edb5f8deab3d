//! `peral`: all roles of the network, and the commands of its users, in one binary.

mod central;
mod cli;
mod command;
mod config;
mod context;
#[cfg(test)]
mod contract;
mod control;
mod direct;
mod global;
mod interrupt;
mod logins;
mod output;
mod probe;
mod role;
mod run;
mod secret;
mod session;

use std::{process::ExitCode, thread::available_parallelism, time::Duration};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long blocking work that nobody waits for any more, such as reading a terminal, may delay the
/// exit.
const LAST_WORK: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    peral_runtime::tls::install_provider();
    let parsed = match run::read(std::env::args_os().collect()) {
        Ok(parsed) => parsed,
        Err(code) => return code,
    };
    let workers = available_parallelism().map_or(2, |cores| cores.get().max(2));
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(_) => return ExitCode::FAILURE,
    };
    let code = runtime.block_on(run::run(parsed));
    runtime.shutdown_timeout(LAST_WORK);
    code
}
