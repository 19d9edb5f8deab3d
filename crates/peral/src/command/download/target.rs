//! Where a download goes.

use std::path::{Path, PathBuf};

use peral_wire::{Failure, fail};

use crate::command::args::absolute;

/// The file to write, absolute.
///
/// # Errors
/// INVALID_ARGUMENT: there is no such folder, or it is not a file that can be written.
pub fn path(to: Option<&Path>, name: &str) -> Result<PathBuf, Failure> {
    let path = match to {
        Some(to) if to == Path::new("-") => {
            return Err(fail!(
                InvalidArgument,
                "a download is not written to stdout: it is put in place as a complete file; for \
                 a file with the name -, write ./-"
            ));
        }
        Some(to) if to.is_dir() => to.join(name),
        Some(to) if to.as_os_str().as_encoded_bytes().ends_with(b"/") => {
            return Err(fail!(
                InvalidArgument,
                "the folder {} does not exist: create it first",
                to.display()
            ));
        }
        Some(to) => to.to_owned(),
        None => PathBuf::from(name),
    };
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let last = path
        .file_name()
        .ok_or_else(|| fail!(InvalidArgument, "{} is not the path of a file", path.display()))?;
    Ok(PathBuf::from(absolute(folder)?).join(last))
}

#[cfg(test)]
mod tests {
    use peral_wire::ErrorCode;

    use super::*;

    #[test]
    fn the_target_is_a_file_in_a_folder_that_is_there() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().canonicalize().unwrap();
        assert_eq!(path(Some(&folder), "x.bin").unwrap(), folder.join("x.bin"));
        assert_eq!(path(Some(&folder.join("y")), "x.bin").unwrap(), folder.join("y"));
        assert_eq!(
            path(None, "x.bin").unwrap(),
            std::env::current_dir().unwrap().canonicalize().unwrap().join("x.bin")
        );
        assert_eq!(
            path(Some(&folder.join("no/y")), "x").unwrap_err().code,
            ErrorCode::InvalidArgument
        );
        assert!(path(Some(Path::new("..")), "x").unwrap().ends_with("x"));
        assert_eq!(
            path(Some(&folder.join("no/")), "x").unwrap_err().code,
            ErrorCode::InvalidArgument
        );
        assert_eq!(path(Some(Path::new("-")), "x").unwrap_err().code, ErrorCode::InvalidArgument);
        assert!(path(Some(Path::new("./-")), "x").unwrap().ends_with("-"));
    }
}
