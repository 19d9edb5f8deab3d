//! Ports as people write them: `7071`, `0`, `7100-7199`.

use std::{fmt, ops::RangeInclusive, str::FromStr};

/// One port, port 0 (the system chooses a free one) or a range, of which the first free one is
/// taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    first: u16,
    last: u16,
}

/// A text that is neither a port nor a range of ports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a port: write a number such as 7071, 0 for any free port, or a range such as \
     7100-7199"
)]
pub struct InvalidPorts(String);

impl Ports {
    /// This port only.
    pub const fn one(port: u16) -> Self {
        Self { first: port, last: port }
    }

    /// The ports to try, in order.
    pub fn candidates(self) -> RangeInclusive<u16> {
        self.first..=self.last
    }
}

impl From<u16> for Ports {
    fn from(port: u16) -> Self {
        Self::one(port)
    }
}

impl FromStr for Ports {
    type Err = InvalidPorts;

    fn from_str(text: &str) -> Result<Self, InvalidPorts> {
        let invalid = || InvalidPorts(text.into());
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse::<u16>().ok()).flatten().ok_or_else(invalid)
        };
        match text.split_once('-') {
            None => number(text).map(Self::one),
            Some((first, last)) => {
                let (first, last) = (number(first)?, number(last)?);
                // 0 is any free port: it cannot begin a range.
                if first == 0 || first > last { Err(invalid()) } else { Ok(Self { first, last }) }
            }
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_read_back_as_they_are_written() {
        for text in ["7071", "0", "7100-7199", "65535"] {
            assert_eq!(text.parse::<Ports>().unwrap().to_string(), text);
        }
        assert_eq!(
            "7100-7102".parse::<Ports>().unwrap().candidates().collect::<Vec<_>>(),
            [7100, 7101, 7102]
        );
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "-", "a", "65536", "7199-7100", "0-10", "+1", "1-", "-1", "1-2-3", " 1"] {
            assert!(text.parse::<Ports>().is_err(), "{text:?}");
        }
    }
}
