//! Numbers of bytes on the command line.

/// Bytes as people write them: `1000`, `50M`, `2GiB`. The letters are powers of 1,024.
///
/// # Errors
/// What is wrong with the text.
pub fn bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim().to_ascii_uppercase().trim_end_matches('B').trim_end_matches('I') {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err(format!("{unit:?} is not a unit; write K, M or G")),
    };
    let number: u64 =
        number.parse().map_err(|_| "expected a number of bytes, such as 1000 or 50M".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "the number is too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_people_write_them() {
        for (text, value) in [
            ("0", 0),
            ("1000", 1000),
            ("1k", 1024),
            ("50M", 50 << 20),
            ("2GiB", 2 << 30),
            ("3 mb", 3 << 20),
        ] {
            assert_eq!(bytes(text), Ok(value));
        }
        for text in ["", "M", "-1", "1.5M", "99999999999G", "1T"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
