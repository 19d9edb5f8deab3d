//! The two streams that a command writes to.

use std::io::{self, ErrorKind, Write};

use peral_wire::{Failure, fail};

/// Writes to stdout. A reader that has seen enough (`| head`) is not a failure.
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
                "the command succeeded, but there is no space for its result on stdout: {error}"
            ))
        }
        written => written.map_err(|error| {
            fail!(
                Internal,
                "the command succeeded, but could not write its result to stdout: {error}"
            )
        }),
    }
}

/// Writes a line to stderr. When stderr is gone, nobody reads it.
pub fn write_err(line: &str) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}
