//! How the command line names a resource: by name, by file, or by address.

use portcullis_protocol::{PublisherName, ResourceName, Version};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// `publisher/name@version`; publisher and version may be left out where what is installed decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    /// The publisher.
    pub(crate) publisher: Option<PublisherName>,
    /// The resource.
    pub(crate) name: ResourceName,
    /// The version.
    pub(crate) version: Option<Version>,
}

impl Name {
    /// Without the version, as what is installed is looked up.
    pub(crate) fn path(&self) -> String {
        Self { version: None, ..self.clone() }.to_string()
    }

    /// Whether `publisher/name` is meant.
    pub(crate) fn means(&self, full: &str) -> bool {
        match self.publisher {
            Some(_) => full == self.path(),
            None => full.split_once('/').is_some_and(|(_, name)| name == self.name.as_str()),
        }
    }
}

impl FromStr for Name {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |error: &dyn fmt::Display| format!("{error}; write publisher/name or publisher/name@version");
        let (path, version) = match text.split_once('@') {
            Some((path, version)) => (path, Some(version.parse().map_err(|e| wrong(&e))?)),
            None => (text, None),
        };
        let (publisher, name) = match path.split_once('/') {
            Some((publisher, name)) => (Some(publisher.parse().map_err(|e| wrong(&e))?), name),
            None => (None, path),
        };
        Ok(Self { publisher, name: name.parse().map_err(|e| wrong(&e))?, version })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(publisher) = &self.publisher {
            write!(f, "{publisher}/")?;
        }
        f.write_str(self.name.as_str())?;
        match &self.version {
            Some(version) => write!(f, "@{version}"),
            None => Ok(()),
        }
    }
}

/// What a verb works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A name, installed or in a store.
    Name(Name),
    /// A sealed file.
    File(PathBuf),
    /// The address of a sealed file.
    Url(url::Url),
}

impl FromStr for Target {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("https://") || text.starts_with("http://") {
            return text.parse().map(Self::Url).map_err(|e| format!("not a URL: {e}"));
        }
        let path = PathBuf::from(text);
        let looks_like_a_file = text.starts_with(['.', '/']) || text.ends_with(".wasm") || path.is_absolute();
        match text.parse() {
            Ok(name) if !looks_like_a_file => Ok(Self::Name(name)),
            Err(error) if !looks_like_a_file && !path.exists() => Err(error),
            _ => Ok(Self::File(path)),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::File(path) => path.display().fmt(f),
            Self::Url(url) => url.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_files_and_addresses_are_told_apart() {
        let name = |text: &str| match text.parse() {
            Ok(Target::Name(name)) => name.to_string(),
            other => panic!("{text}: {other:?}"),
        };
        for text in ["lake", "lumen/lake", "lumen/lake@1.2.0", "lake@1.0.0-rc.1"] {
            assert_eq!(name(text), text);
        }
        for text in ["lake.wasm", "./lake", "/tmp/lake", "out/lake.sealed.wasm"] {
            assert_eq!(text.parse(), Ok(Target::File(PathBuf::from(text))));
        }
        assert!(matches!("https://store.example/v1/files/x".parse(), Ok(Target::Url(_))));
        for text in ["Lake", "lumen/lake@one", "a/b/c", "lumen/", "@1.0.0"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
