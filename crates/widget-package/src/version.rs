//! The version of a package. Versions are comparable, because each upload needs a higher one.

use std::fmt;
use std::str::FromStr;

/// Three numbers, `1.0.0`, each from 0 to 65535 and without leading zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    numbers: [u16; 3],
}

impl Version {
    /// `1.0.0`, the version of a first upload.
    pub const FIRST: Self = Self { numbers: [1, 0, 0] };

    /// The next patch version; `None` if the patch number is the highest.
    pub fn next(self) -> Option<Self> {
        let [major, minor, patch] = self.numbers;
        Some(Self { numbers: [major, minor, patch.checked_add(1)?] })
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || VersionError(text.to_owned());
        let numbers: Vec<u16> = text
            .split('.')
            .map(|part| {
                let number: u16 = part.parse().map_err(|_| refused())?;
                // Rust parses `+1` and `01`, but Kommo may not.
                if number.to_string() == part { Ok(number) } else { Err(refused()) }
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { numbers: numbers.try_into().map_err(|_| refused())? })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// The text is not a [`Version`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid version `{0}` (expected three numbers up to 65535, like 1.0.0)")]
pub struct VersionError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers_and_other_texts_are_refused() {
        let version = |text: &str| text.parse::<Version>();
        assert!(version("1.0.10").unwrap() > version("1.0.9").unwrap());
        assert_eq!(version("1.0.9").unwrap().next(), Some(version("1.0.10").unwrap()));
        assert_eq!(version("1.0.65535").unwrap().next(), None);
        assert_eq!(version("1.2.3").unwrap().to_string(), "1.2.3");
        for bad in
            ["", "1", "1.0", "1.0.0.0", "1.0.x", "01.0.0", "1.+1.0", "1.0.0-beta", "1.0.65536", " 1.0.0"]
        {
            assert_eq!(version(bad), Err(VersionError(bad.to_owned())), "{bad}");
        }
    }
}
