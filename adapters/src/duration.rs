//! Lengths of time as people write them in a configuration: `250ms`, `5s`, `10m`, `24h`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// A text that is not a length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a length of time: {0:?}; write a whole number and a unit: \"250ms\", \"5s\", \"10m\", \"24h\"")]
pub struct Malformed(String);

/// Reads a whole number followed by `ms`, `s`, `m` or `h`.
///
/// # Errors
/// When number or unit is missing or something else, or the number is too large.
pub fn parse(text: &str) -> Result<Duration, Malformed> {
    let malformed = || Malformed(text.chars().take(80).collect());
    let trimmed = text.trim();
    let unit_at = trimmed.find(|c: char| !c.is_ascii_digit()).ok_or_else(malformed)?;
    let (number, unit) = trimmed.split_at(unit_at);
    let number: u64 = number.parse().map_err(|_| malformed())?;
    let millis = match unit.trim_start() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(malformed()),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(malformed)
}

/// For `#[serde(deserialize_with = "duration::deserialize")]`.
///
/// # Errors
/// As `parse`.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(from)?).map_err(de::Error::custom)
}

/// For `#[serde(default, deserialize_with = "duration::optional")]`.
///
/// # Errors
/// As `parse`.
pub fn optional<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    Option::<String>::deserialize(from)?.map(|text| parse(&text).map_err(de::Error::custom)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_as_people_write_them() {
        let read: Vec<_> =
            ["250ms", "5s", " 10m ", "24h", "0s", "5 s"].map(|text| parse(text).unwrap()).into();
        assert_eq!(read, [250, 5_000, 600_000, 86_400_000, 0, 5_000].map(Duration::from_millis));
    }

    #[test]
    fn anything_else_is_refused_with_the_form_to_write() {
        for bad in
            ["", "5", "s", "5d", "-5s", "1.5s", "5 s s", "99999999999999999999s", "18446744073709551615h"]
        {
            let said = parse(bad).unwrap_err().to_string();
            assert!(said.contains(&format!("{bad:?}")) && said.contains("\"5s\""), "{said}");
        }
    }
}
