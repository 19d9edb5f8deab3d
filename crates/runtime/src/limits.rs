//! Limits of the process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the number of files and sockets this process may have open to what the system allows at
/// most, and says how many that is (`None`: no limit).
///
/// # Errors
/// The system refuses.
pub fn raise_open_files() -> std::io::Result<Option<u64>> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return Ok(limit.maximum);
    }
    // macOS says "no limit" and then refuses more than this.
    let wanted = if cfg!(target_os = "macos") {
        Some(limit.maximum.unwrap_or(10_240).min(10_240))
    } else {
        limit.maximum
    };
    setrlimit(Resource::Nofile, Rlimit { current: wanted, maximum: limit.maximum })?;
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_to_the_hard_one() {
        let raised = raise_open_files().unwrap();
        let now = getrlimit(Resource::Nofile);
        assert_eq!(now.current, raised);
        if !cfg!(target_os = "macos") {
            assert_eq!(now.current, now.maximum);
        }
    }
}
