//! The two streams that a command writes to.

use std::io::{self, ErrorKind, Write};

use peral_wire::{Failure, fail};

/// Writes to stdout. A reader that has seen enough (`| head`) is no failure.
///
/// # Errors
/// NO_SPACE where stdout goes; INTERNAL.
pub fn write_out(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
            ) =>
        {
            Err(fail!(
                NoSpace,
                "what was asked for is done, but there is no room for the result where stdout \
                 goes: {error}"
            ))
        }
        written => written.map_err(|error| {
            fail!(
                Internal,
                "what was asked for is done, but the result cannot be written to stdout: {error}"
            )
        }),
    }
}

/// When stderr is gone there is nobody left to tell.
pub fn write_err(line: &str) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}
