//! The section `[storage]` of the configuration.

use serde::{Deserialize, Deserializer, de::Error as _};
use std::fmt;
use url::{Host, Url};
use zeroize::Zeroizing;

/// Where sealed files lie. Without a bucket, in the server's directory.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageSettings {
    /// `s3://NAME` or `s3://NAME/PREFIX`.
    pub bucket: Option<BucketName>,
    /// The region of the service; whatever it ignores, if it knows none.
    pub region: String,
    /// The address of a service other than Amazon's.
    #[serde(deserialize_with = "endpoint")]
    pub endpoint: Option<Url>,
    /// The key to it. Left out, it is found as Amazon's own tools find it: AWS_ACCESS_KEY_ID and
    /// AWS_SECRET_ACCESS_KEY, a web identity, or the machine's role.
    pub access_key_id: Option<String>,
    /// Its secret.
    pub secret_access_key: Option<SecretText>,
}

impl Default for StorageSettings {
    fn default() -> Self {
        Self { bucket: None, region: "us-east-1".into(), endpoint: None, access_key_id: None, secret_access_key: None }
    }
}

impl StorageSettings {
    /// What cannot be right, if anything is.
    ///
    /// # Errors
    /// Which key, and what it needs.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.access_key_id.is_some() != self.secret_access_key.is_some() {
            return Err("storage: `access_key_id` and `secret_access_key` go together: set both or neither".into());
        }
        if self.bucket.is_none() && (self.endpoint.is_some() || self.access_key_id.is_some()) {
            return Err("storage: there is no `bucket`; set it to s3://NAME".into());
        }
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if self.region.is_empty() || !self.region.bytes().all(is_plain) {
            return Err(format!("storage: `{}` is not a region, such as eu-central-1", self.region));
        }
        Ok(())
    }

    /// The address of the service.
    pub(super) fn address(&self) -> Result<Url, url::ParseError> {
        match &self.endpoint {
            Some(endpoint) => Ok(endpoint.clone()),
            None => Url::parse(&format!("https://s3.{}.amazonaws.com", self.region)),
        }
    }

    pub(super) fn credentials(&self) -> Option<(&str, &str)> {
        Some((self.access_key_id.as_deref()?, self.secret_access_key.as_ref()?.0.as_str()))
    }
}

/// A bucket and what the keys of its objects begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketName {
    /// The bucket.
    pub name: String,
    /// The beginning of every key; may be empty.
    pub prefix: String,
}

impl<'de> Deserialize<'de> for BucketName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || D::Error::custom(format!("`{text}` is not a bucket: write s3://NAME or s3://NAME/PREFIX"));
        let (name, prefix) = match text.strip_prefix("s3://").ok_or_else(wrong)?.split_once('/') {
            Some((name, prefix)) => (name, prefix.trim_end_matches('/')),
            None => (text.trim_start_matches("s3://"), ""),
        };
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
        // General purpose buckets: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
        if !(3..=63).contains(&name.len()) || !name.bytes().all(is_name) || prefix.starts_with('/') {
            return Err(wrong());
        }
        Ok(Self { name: name.into(), prefix: prefix.into() })
    }
}

/// A text that is printed nowhere and wiped when it is dropped.
#[derive(Clone)]
pub struct SecretText(Zeroizing<String>);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// Reads the address of a service. Plain HTTP is for this machine alone: requests carry no secret, but answers are what
/// is sold, and nobody else may change them on the way.
fn endpoint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let wrong = || D::Error::custom(format!("`{text}` is not the address of a service: write https://HOST"));
    let url = Url::parse(&text).map_err(|_| wrong())?;
    let is_loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    let is_bare =
        url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    match url.scheme() {
        "https" if is_bare && url.has_host() => Ok(Some(url)),
        "http" if is_bare && is_loopback => Ok(Some(url)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<StorageSettings, String> {
        let settings: StorageSettings = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        settings.check()?;
        Ok(settings)
    }

    #[test]
    fn a_bucket_is_named_as_amazons_tools_name_it() {
        let of = |text: &str| read(&format!("bucket = \"{text}\"")).map(|settings| settings.bucket.expect("a bucket"));
        assert_eq!(of("s3://store"), Ok(BucketName { name: "store".into(), prefix: String::new() }));
        assert_eq!(of("s3://store/a/b/"), Ok(BucketName { name: "store".into(), prefix: "a/b".into() }));
        for wrong in ["store", "s3://", "s3://St", "https://store", "s3://a/b", "s3://store//a"] {
            assert!(of(wrong).expect_err(wrong).contains("s3://NAME"), "{wrong}");
        }
    }

    #[test]
    fn a_service_elsewhere_is_reached_by_https_only() {
        for good in ["https://objects.example", "http://127.0.0.1:9000", "http://[::1]:9000", "http://localhost:9000"] {
            read(&format!("bucket = \"s3://store\"\nendpoint = \"{good}\"")).expect(good);
        }
        for wrong in
            ["http://objects.example", "objects.example", "https://user:word@objects.example", "https://o.example?x"]
        {
            read(&format!("bucket = \"s3://store\"\nendpoint = \"{wrong}\"")).expect_err(wrong);
        }
    }

    #[test]
    fn halves_are_refused_and_secrets_are_not_printed() {
        assert!(read("bucket = \"s3://store\"\naccess_key_id = \"a\"").expect_err("half").contains("go together"));
        assert!(read("endpoint = \"https://objects.example\"").expect_err("no bucket").contains("bucket"));
        let whole = read("bucket = \"s3://store\"\naccess_key_id = \"a\"\nsecret_access_key = \"tell-nobody\"");
        assert!(!format!("{:?}", whole.expect("settings")).contains("tell-nobody"));
    }
}
