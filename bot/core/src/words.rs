//! Names and values that everything else is said in.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// A point in time: milliseconds since 1970-01-01 UTC.
pub type At = i64;
/// A length of time in milliseconds.
pub type Millis = i64;
/// Who gets which share of a service's traffic: pool → percent (0 to 100).
pub type Shares = BTreeMap<String, u8>;

/// How a service's traffic is moved to another version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Two pools, each with a version of its own; the route is switched.
    BlueGreen,
    /// The new version has a part of the traffic until it is trusted with all of it.
    Canary,
    /// Pods are replaced one after the other.
    Rolling,
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = Malformed;
            /// Takes the number with or without its prefix, in either case.
            fn from_str(text: &str) -> Result<Self, Malformed> {
                let lower = text.trim().to_lowercase();
                let digits = lower.strip_prefix(&$prefix.to_lowercase()).unwrap_or(&lower);
                digits.parse().map(Self).map_err(|_| Malformed {
                    what: concat!("number like ", $prefix, "42"),
                    got: clip(text),
                })
            }
        }
    };
}

number!(
    /// The number of a rollback that people say: `RB-42`.
    RollbackId, "RB-"
);
number!(
    /// The number of an incident that people say: `INC-42`.
    IncidentId, "INC-"
);
number!(
    /// A row of the inventory.
    ReleaseId, "R-"
);
number!(
    /// A conversation about one alert group, mirrored into every room of the service.
    ThreadId, "T-"
);

/// A value that does not have the shape its name promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a {what}: {got:?}")]
pub struct Malformed {
    pub what: &'static str,
    pub got: String,
}

/// Cuts foreign text that is quoted in an error.
fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Something deployable in one environment, by the name it has in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServiceId(pub String);

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for ServiceId {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

/// The identity of an artifact: `sha256:` and 64 lower-case hexadecimal digits, or `sha512:` and 128
/// (the OCI image specification's registered algorithms).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits, as people compare them by eye.
    pub fn short(&self) -> &str {
        let digits = self.0.split_once(':').map_or(self.0.as_str(), |(_, digits)| digits);
        digits.get(..12).unwrap_or(digits)
    }
}

impl TryFrom<String> for Digest {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        let length = match text.split_once(':') {
            Some(("sha256", digits)) => (digits, 64),
            Some(("sha512", digits)) => (digits, 128),
            _ => ("", 64),
        };
        let hex = length.0.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if length.0.len() == length.1 && hex {
            Ok(Self(text))
        } else {
            Err(Malformed { what: "digest (sha256: and 64 lower-case hexadecimal digits)", got: clip(&text) })
        }
    }
}

impl std::str::FromStr for Digest {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        Self::try_from(text.to_owned())
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is deployed: a name for people and the bytes' identity. Two artifacts are the same when their digests are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Artifact {
    pub version: String,
    pub digest: Digest,
}

impl fmt::Display for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.version)
    }
}

/// Somebody (or a token) that did something: `slack:U024BE7LH`, `os:ana`, `token:ci`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Actor {
    /// Platform and the platform's own, stable id; what approvals are compared by.
    pub id: String,
    /// For people to read; never compared.
    pub name: String,
}

impl Actor {
    pub fn new(id: impl Into<String>, name: impl Into<String>) -> Self {
        Self { id: id.into(), name: name.into() }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A length of time as people say it: `350 ms`, `6 min`, `2 h 5 min`, `3 d`.
pub fn spell(length: Millis) -> String {
    let seconds = length.max(0) / 1000;
    match seconds {
        0 => format!("{} ms", length.max(0)),
        1..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => match (seconds / 3600, seconds % 3600 / 60) {
            (hours, 0) => format!("{hours} h"),
            (hours, minutes) => format!("{hours} h {minutes} min"),
        },
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_only_what_the_oci_specification_registers() {
        let good = format!("sha256:{}", "ab".repeat(32));
        assert_eq!(good.parse::<Digest>().unwrap().short(), "abababababab");
        for bad in
            ["", "v2.4.1", "sha256:", "sha256:ABAB", &good.to_uppercase(), &format!("{good}0"), "md5:00"]
        {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
        assert!(format!("sha512:{}", "0".repeat(128)).parse::<Digest>().is_ok());
    }

    #[test]
    fn numbers_are_read_as_people_type_them() {
        assert_eq!("rb-42".parse(), Ok(RollbackId(42)));
        assert_eq!(" INC-7 ".parse(), Ok(IncidentId(7)));
        assert_eq!("42".parse(), Ok(RollbackId(42)));
        assert!("RB-".parse::<RollbackId>().is_err());
    }

    #[test]
    fn lengths_read_like_speech() {
        let said: Vec<_> = [20, 5_000, 360_000, 7_500_000, 7_200_000, 260_000_000].map(spell).into();
        assert_eq!(said, ["20 ms", "5 s", "6 min", "2 h 5 min", "2 h", "3 d"]);
    }
}
