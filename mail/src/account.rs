//! A mailbox to read: which server, which user, whose mail it is.

use crate::renewal::Renewal;
use crate::sealed_folder::{FolderError, FolderLock, SealedFolder};
use portcullis_protocol::Digest;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use tokio_rustls::rustls::pki_types::ServerName;
use zeroize::Zeroizing;

/// The kind of sealed file that accounts are.
const KIND: &str = "accounts";
/// RFC 5321 section 4.5.3.1: 64 for the local part, 255 for the domain.
const MAX_ADDRESS: usize = 320;

/// Why an account's settings were not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// Not a name.
    #[error("`{0}` is not a name for an account. Use up to 64 lowercase letters, digits and `-`")]
    Name(String),
    /// Not an address.
    #[error("`{0}` is not a mail address. Write it as name@example.org")]
    Address(String),
    /// No address of the user's.
    #[error("name at least one address that bills are sent to, with --address")]
    NoAddress,
    /// Not a server.
    #[error("`{0}` is not a server. Write its host name, or the https address of the JMAP session or token endpoint")]
    Server(String),
    /// A host name and a port in one.
    #[error("`{0}` has a port in it. Write the host name alone, and the port as --port PORT")]
    ServerWithPort(String),
    /// Port 0.
    #[error("no server has the port 0. Leave --port out for the usual one, or name the one that your provider names")]
    Port,
    /// Nothing where something has to stand.
    #[error("the {0} is empty. Write what your provider tells you")]
    Empty(&'static str),
    /// Not a domain.
    #[error("`{0}` is not the domain of a forwarder. Write it as example.org")]
    Forwarder(String),
    /// Line breaks or the like in what is sent to a server.
    #[error("the {0} has a line break or another control character in it")]
    Control(&'static str),
    /// Not there.
    #[error(
        "there is no account `{0}`. See `portcullis-mail account list`, or add it with `portcullis-mail account add`"
    )]
    Unknown(AccountName),
    /// Stored by another version.
    #[error("the settings of account `{0}` cannot be read. Remove the account and add it again")]
    Unreadable(AccountName),
    /// The certificate file.
    #[error(
        "no certificate can be read from `{path}`: {cause}. Name a file in PEM form, with `-----BEGIN CERTIFICATE-----` in it"
    )]
    Certificate {
        /// The file.
        path: String,
        /// What is wrong.
        cause: String,
    },
}

/// What the user calls an account.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountName(String);

impl AccountName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountName {
    type Err = AccountError;
    fn from_str(text: &str) -> Result<Self, AccountError> {
        let good = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(good) {
            Ok(Self(text.into()))
        } else {
            Err(AccountError::Name(text.chars().take(80).collect()))
        }
    }
}

impl TryFrom<String> for AccountName {
    type Error = AccountError;
    fn try_from(text: String) -> Result<Self, AccountError> {
        text.parse()
    }
}

impl From<AccountName> for String {
    fn from(name: AccountName) -> Self {
        name.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A mail address in the form in which two are compared: the domain in its ASCII form (UTS #46), all in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(String);

impl Address {
    /// The part after the last `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// The whole address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Address {
    type Err = AccountError;
    fn from_str(text: &str) -> Result<Self, AccountError> {
        let wrong = || AccountError::Address(text.chars().take(80).collect());
        let (local, domain) = text.trim().rsplit_once('@').ok_or_else(wrong)?;
        let bad = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>' | '@');
        if local.is_empty() || text.len() > MAX_ADDRESS || local.contains(bad) {
            return Err(wrong());
        }
        Ok(Self(format!("{}@{}", local.to_lowercase(), ascii_domain(domain).ok_or_else(wrong)?)))
    }
}

impl TryFrom<String> for Address {
    type Error = AccountError;
    fn try_from(text: String) -> Result<Self, AccountError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A domain of at least two labels in its ASCII form, without a dot at the end.
pub(crate) fn ascii_domain(text: &str) -> Option<String> {
    let domain = idna::domain_to_ascii_strict(text.trim_end_matches('.')).ok()?;
    let good = domain.contains('.') && domain.len() <= 253 && !domain.starts_with('.');
    good.then_some(domain)
}

/// How a mailbox is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Protocol {
    /// RFC 3501, RFC 9051.
    Imap,
    /// RFC 1939.
    Pop3,
    /// RFC 8620, RFC 8621.
    Jmap,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Jmap => "jmap",
        })
    }
}

/// When TLS begins. There is no mail without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Encryption {
    /// With the connection (RFC 8314).
    Tls,
    /// By the command STARTTLS or STLS; a server without it is refused.
    StartTls,
}

/// What signs in. Never shown, never in an error.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Secret {
    /// A password.
    #[serde(with = "sealed")]
    Password(Zeroizing<String>),
    /// An OAuth 2.0 access token (XOAUTH2; `Authorization: Bearer` over JMAP).
    #[serde(with = "sealed")]
    Token(Zeroizing<String>),
}

/// A secret as it stands inside a sealed file, and nowhere else.
pub(crate) mod sealed {
    use serde::{Deserialize as _, Deserializer, Serializer};
    use zeroize::Zeroizing;

    pub(crate) fn serialize<S: Serializer>(secret: &Zeroizing<String>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
        String::deserialize(deserializer).map(Zeroizing::new)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// A mailbox and what is needed to read it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// What the user calls it.
    pub name: AccountName,
    /// How it is read.
    pub protocol: Protocol,
    /// Host name, or with JMAP the https URL of the session resource.
    pub server: String,
    /// Port; unused with JMAP.
    pub port: u16,
    /// When TLS begins.
    pub encryption: Encryption,
    /// Who signs in.
    pub user: String,
    /// With what.
    pub secret: Secret,
    /// The IMAP mailbox.
    pub mailbox: String,
    /// Addresses that are the user's: a bill that is sent to none of them is not the user's.
    pub addresses: Vec<Address>,
    /// Domains of forwarders whose ARC seal the user trusts.
    pub forwarders: Vec<String>,
    /// A certificate authority to trust beside those of the system, as a PEM file.
    pub authority: Option<PathBuf>,
    /// How its access token is renewed, if it has one that ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<Renewal>,
}

impl Account {
    /// Checks the settings of a new account: what will be sent to a server, and whether one can be asked at all.
    ///
    /// # Errors
    /// [`AccountError`].
    pub fn check(&self) -> Result<(), AccountError> {
        self.check_sent()?;
        for (what, text) in [("user", &self.user), ("mailbox's name", &self.mailbox)] {
            if text.is_empty() {
                return Err(AccountError::Empty(what));
            }
        }
        if let Some(domain) = self.forwarders.iter().find(|domain| ascii_domain(domain).is_none()) {
            return Err(AccountError::Forwarder(domain.chars().take(80).collect()));
        }
        self.check_server()?;
        self.authority.as_deref().map_or(Ok(()), |path| crate::source::certificates(path).map(drop))
    }

    /// Checks what will be sent to a server, and that it goes to one that may have it. The rest of what
    /// [`Account::check`] refuses may stand in an account that an earlier version stored, and harms nobody.
    pub(crate) fn check_sent(&self) -> Result<(), AccountError> {
        let (Secret::Password(secret) | Secret::Token(secret)) = &self.secret;
        for (what, text) in [("user", &self.user), ("password", &**secret), ("mailbox's name", &self.mailbox)] {
            if text.contains(char::is_control) {
                return Err(AccountError::Control(what));
            }
        }
        if self.addresses.is_empty() {
            return Err(AccountError::NoAddress);
        }
        if let Some(renewal) = &self.renewal
            && crate::source::session_url(&renewal.endpoint).is_none()
        {
            return Err(AccountError::Server(renewal.endpoint.chars().take(80).collect()));
        }
        let host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        let is_server = match self.protocol {
            Protocol::Jmap => crate::source::session_url(&self.server).is_some(),
            Protocol::Imap | Protocol::Pop3 => !self.server.is_empty() && self.server.chars().all(host),
        };
        if is_server { Ok(()) } else { Err(AccountError::Server(self.server.chars().take(80).collect())) }
    }

    fn check_server(&self) -> Result<(), AccountError> {
        let shown = || self.server.chars().take(80).collect();
        let is_host = |text: &str| ServerName::try_from(text.trim_matches(['[', ']'])).is_ok();
        let is_port = |text: &str| text.parse::<u16>().is_ok();
        let is_server = match self.protocol {
            Protocol::Jmap => crate::source::session_url(&self.server).is_some(),
            Protocol::Imap | Protocol::Pop3 => is_host(&self.server),
        };
        match self.server.rsplit_once(':') {
            _ if is_server && self.port == 0 => Err(AccountError::Port),
            _ if is_server => Ok(()),
            Some((host, port)) if self.protocol != Protocol::Jmap && is_host(host) && is_port(port) => {
                Err(AccountError::ServerWithPort(shown()))
            }
            _ => Err(AccountError::Server(shown())),
        }
    }

    /// Stores the account, sealed. One of the same name is replaced.
    ///
    /// # Errors
    /// [`FolderError`].
    ///
    /// # Panics
    /// Never: an account is serialisable.
    pub fn store(&self, folder: &SealedFolder) -> Result<(), FolderError> {
        // Room for all of it at once: what grows leaves copies behind that nobody wipes.
        let mut length = Length(0);
        serde_json::to_writer(&mut length, self).expect("an account serialises");
        let mut plain = Zeroizing::new(Vec::with_capacity(length.0));
        serde_json::to_writer(&mut *plain, self).expect("an account serialises");
        folder.write(KIND, self.name.as_str(), &plain)
    }

    /// Loads an account.
    ///
    /// # Errors
    /// [`crate::MailError`] if there is none, or it cannot be read.
    pub fn load(folder: &SealedFolder, name: &AccountName) -> Result<Self, crate::MailError> {
        let plain = folder.read(KIND, name.as_str())?.ok_or_else(|| AccountError::Unknown(name.clone()))?;
        Ok(serde_json::from_slice(&plain).map_err(|_| AccountError::Unreadable(name.clone()))?)
    }

    /// Loads an account that no other process works on until the lock is dropped.
    ///
    /// # Errors
    /// As [`Account::load`].
    pub fn load_locked(folder: &SealedFolder, name: &AccountName) -> Result<(Self, FolderLock), crate::MailError> {
        let lock = folder.lock_account(name)?;
        // Whoever waited finds what others have changed meanwhile.
        match Self::load(folder, name) {
            Err(crate::MailError::Account(error @ AccountError::Unknown(_))) => {
                lock.remove()?;
                Err(error.into())
            }
            loaded => Ok((loaded?, lock)),
        }
    }

    /// The names of all accounts, sorted.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn names(folder: &SealedFolder) -> Result<Vec<AccountName>, FolderError> {
        Ok(folder.names(KIND)?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Removes the account, also one that cannot be read. Records of its bills stay.
    ///
    /// # Errors
    /// [`crate::MailError`] if there is none, or it cannot be removed.
    pub fn remove(folder: &SealedFolder, name: &AccountName) -> Result<(), crate::MailError> {
        let lock = folder.lock_account(name)?;
        let was_there = Self::names(folder)?.contains(name);
        folder.remove(KIND, name.as_str())?;
        lock.remove()?;
        if was_there { Ok(()) } else { Err(AccountError::Unknown(name.clone()).into()) }
    }

    /// What tells the mailbox from others, whatever the account is called: a cursor says nothing about another one.
    pub(crate) fn mailbox_digest(&self) -> Digest {
        let server = self.server.to_ascii_lowercase();
        Digest::of(format!("{}\0{server}\0{}\0{}", self.protocol, self.user, self.mailbox).as_bytes())
    }

    pub(crate) fn endpoint(&self) -> String {
        match self.protocol {
            Protocol::Jmap => self.server.clone(),
            Protocol::Imap | Protocol::Pop3 => format!("{}:{}", self.server, self.port),
        }
    }
}

/// Counts what is written.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
