//! One run of a command: its telemetry, its span, its exit code.

use std::{
    ffi::OsString,
    panic::{AssertUnwindSafe, resume_unwind},
    process::ExitCode,
    time::Duration,
};

use clap::error::ErrorKind;
use futures::FutureExt;
use peral_runtime::{SystemClock, propagate, telemetry::Telemetry};
use peral_wire::{ErrorCode, Failure, fail};
use tracing::Instrument;

use crate::{
    cli::{self, Cli, Command, Parsed},
    context::Context,
    interrupt::interrupted,
    output::{Format, Output},
    role::{self, Surroundings},
};

/// How long an interrupted command may take to end by itself before its session is ended.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Reads the command line. Prints a mistake, or help, and returns the exit code for it.
pub fn read(args: Vec<OsString>) -> Result<Parsed, ExitCode> {
    let json = cli::wants_json(&args);
    cli::parse(args).map_err(|error| {
        if json && error.use_stderr() {
            let failure = Failure::new(ErrorCode::InvalidArgument, error.render().to_string());
            Output::new(Format::Json, SystemClock::shared()).failure(&failure, "");
            return ExitCode::from(failure.code.class().exit_code());
        }
        // A closed stdout does not change the exit code.
        drop(error.print());
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
            _ => ExitCode::from(ErrorCode::InvalidArgument.class().exit_code()),
        }
    })
}

/// Runs a command to its exit code.
pub async fn run(parsed: Parsed) -> ExitCode {
    let out = Output::new(parsed.cli.global.output, SystemClock::shared());
    let name = parsed.name.clone();
    match within_telemetry(parsed).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            out.failure(&failure, &name);
            ExitCode::from(failure.code.class().exit_code())
        }
    }
}

async fn within_telemetry(Parsed { cli, name }: Parsed) -> Result<(), Failure> {
    let (service, quiet) = match &cli.command {
        Command::Central(args) => (
            "peral-central",
            args.command
                .as_ref()
                .is_some_and(|command| !matches!(command, peral_central::CentralCommand::Run(_))),
        ),
        Command::Peer(_) => ("peral-peer", false),
        _ => ("peral", true),
    };
    let telemetry = cli.telemetry.clone();
    let telemetry = if quiet { telemetry.with_default_log("warn") } else { telemetry };
    let guard = Telemetry::init(telemetry, service, None)
        .map_err(|error| fail!(InvalidArgument, "{error}"))?;
    let metrics = guard.metrics();
    let outcome = Box::pin(dispatch(cli, &name, metrics)).await;
    guard.shutdown().await;
    outcome
}

/// A user's command is one span, the root of its trace; a role has one for each request instead.
async fn dispatch(cli: Cli, name: &str, metrics: prometheus::Registry) -> Result<(), Failure> {
    let clock = SystemClock::shared();
    let out = Output::new(cli.global.output, clock.clone());
    match cli.command {
        Command::Central(args) => {
            Box::pin(role::central(*args, Surroundings { out, clock, metrics })).await
        }
        Command::Peer(args) => {
            Box::pin(role::peer(*args, Surroundings { out, clock, metrics })).await
        }
        command => {
            let context = Context::new(&cli.global)?;
            let span = tracing::info_span!(
                "command",
                otel.name = format!("peral {name}"),
                otel.kind = "client",
                otel.status_code = tracing::field::Empty
            );
            if let Some(traceparent) = &cli.telemetry.traceparent
                && !propagate::join_trace(&span, traceparent)
            {
                tracing::warn!(
                    traceparent,
                    "TRACEPARENT is not a valid trace context: this command starts a new trace"
                );
            }
            let outcome = to_its_end(command, &context).instrument(span.clone()).await;
            if outcome.is_err() {
                span.record("otel.status_code", "ERROR");
            }
            outcome
        }
    }
}

/// Runs a command. If it logged in for itself, it logs out at its end, even when interrupted.
async fn to_its_end(command: Command, context: &Context) -> Result<(), Failure> {
    let Some(token) = &context.token else { return command.run(context).await };
    let work = async {
        let running = Box::pin(command.run(context));
        tokio::pin!(running);
        tokio::select! {
            outcome = &mut running => outcome,
            () = interrupted() => {
                // Transfers end by themselves and say how to continue.
                let ended = tokio::time::timeout(LAST_WORDS, running).await;
                ended.unwrap_or_else(|_| Err(fail!(Cancelled, "the command was interrupted")))
            }
        }
    };
    then(work, token.end(context.clock.now_ms())).await
}

/// Does some work, and then what must follow it, even after a panic.
async fn then<T>(work: impl Future<Output = T>, after: impl Future<Output = ()>) -> T {
    let outcome = AssertUnwindSafe(work).catch_unwind().await;
    after.await;
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_must_follow_runs_after_a_panic() {
        let (done, mut doing) = tokio::sync::mpsc::channel(2);
        let after =
            |done: tokio::sync::mpsc::Sender<u8>| async move { done.send(1).await.unwrap() };
        assert_eq!(then(async { 7 }, after(done.clone())).await, 7);
        #[expect(clippy::panic, reason = "that is the test")]
        let broken = tokio::spawn(then(async { panic!("broken") }, after(done)));
        assert!(broken.await.unwrap_err().is_panic());
        assert_eq!((doing.recv().await, doing.recv().await), (Some(1), Some(1)));
    }
}
