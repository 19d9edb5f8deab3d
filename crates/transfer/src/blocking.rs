//! Work that blocks, where blocking is allowed.

use peral_wire::{Failure, fail};

/// Runs what blocks on a thread for it.
///
/// # Errors
/// Those of the work; INTERNAL when it panicked.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| {
        Err(fail!(Internal, "a task ended before its work was done: {error}"))
    })
}
