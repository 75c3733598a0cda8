//! Where a PostgreSQL database is, and how to be sure that it is the one.

use super::tls;
use portcullis_protocol::Digest;
use postgres::config::{Config, SslMode};
use serde::{Deserialize, Deserializer, de::Error as _};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use url::Url;

/// How long a connection may take to come about. Twice as long as a lost packet takes to be sent again.
const CONNECT: Duration = Duration::from_secs(5);
/// How long what was sent may go without an acknowledgement before the connection counts as lost.
const UNACKNOWLEDGED: Duration = Duration::from_secs(15);

/// What is wrong with the address of a database. Never holds a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It is no such address.
    #[error("a database address looks like postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full: {0}")]
    Shape(&'static str),
    /// A parameter that this server does not know. It may be the rest of a password, so it is not named.
    #[error(
        "after the `?` of a database address stand sslmode, sslrootcert and host, and nothing else; a `?` in a password \
         is written %3F"
    )]
    Unknown,
    /// TLS that does not check who answers.
    #[error(
        "sslmode={0} does not check who answers: use sslmode=verify-full (with sslrootcert=FILE if the certificate is \
         from an authority of your own), or sslmode=disable if nobody else can reach the connection"
    )]
    Unchecked(String),
    /// The certificates of the authority.
    #[error("sslrootcert: {path}: {cause}")]
    Certificates {
        /// The file.
        path: String,
        /// What is wrong with it.
        cause: String,
    },
}

/// The address of a PostgreSQL database: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with `sslmode`, `sslrootcert`,
/// and `host` for the folder of a Unix socket.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseAddress {
    host: String,
    port: u16,
    database: String,
    user: String,
    password: Option<String>,
    verified: bool,
    authority: Option<PathBuf>,
}

impl DatabaseAddress {
    /// How to connect.
    pub(super) fn config(&self) -> Config {
        let mut config = Config::new();
        config.host(&self.host).port(self.port).dbname(&self.database).user(&self.user);
        config.application_name("portcullis-server").connect_timeout(CONNECT).tcp_user_timeout(UNACKNOWLEDGED);
        config.ssl_mode(if self.verified { SslMode::Require } else { SslMode::Disable });
        if let Some(password) = &self.password {
            config.password(password);
        }
        config
    }

    /// With which TLS, if any.
    pub(super) fn tls(&self) -> Result<Option<tokio_postgres_rustls::MakeRustlsConnect>, AddressError> {
        self.verified.then(|| tls::verified(self.authority.as_deref())).transpose()
    }

    /// The same without the password, as a configuration file may have it.
    #[must_use]
    pub fn without_password(&self) -> Self {
        Self { password: None, ..self.clone() }
    }

    /// The same with a password, if it has none.
    #[must_use]
    pub fn or_password(mut self, password: Option<String>) -> Self {
        self.password = self.password.or(password);
        self
    }

    /// Tells this database from others in a test's name of files. Holds no secret.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        Digest::of(self.to_string().as_bytes()).to_string()
    }
}

impl FromStr for DatabaseAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        // What `url` says of a text could repeat a part of it.
        let url = Url::parse(text).map_err(|_| AddressError::Shape("it is not a URL"))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(AddressError::Shape("it begins with postgres://"));
        }
        if url.fragment().is_some() {
            return Err(AddressError::Shape("a `#` in a password is written %23"));
        }
        let mut host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let (mut mode, mut authority) = (None, None);
        for (name, value) in url.query_pairs() {
            match &*name {
                "sslmode" => mode = Some(value.into_owned()),
                "sslrootcert" => authority = Some(PathBuf::from(&*value)),
                "host" => host = value.into_owned(),
                _ => return Err(AddressError::Unknown),
            }
        }
        if host.is_empty() {
            return Err(AddressError::Shape("the host is missing"));
        }
        let database = decoded(url.path().trim_start_matches('/'));
        if database.is_empty() || database.contains('/') {
            return Err(AddressError::Shape("the name of the database is missing"));
        }
        let user = decoded(url.username());
        if user.is_empty() {
            return Err(AddressError::Shape("the user is missing"));
        }
        let verified = match mode.as_deref() {
            Some("verify-full") => true,
            Some("disable") => false,
            None => !stays_on_this_machine(&host),
            Some(other) => return Err(AddressError::Unchecked(other.to_owned())),
        };
        if host.starts_with('/') && verified {
            return Err(AddressError::Shape("a Unix socket has no TLS: leave sslmode out"));
        }
        let address = Self {
            host,
            port: url.port().unwrap_or(5432),
            database,
            user,
            password: url.password().map(decoded),
            verified,
            authority,
        };
        // What the connection will need is read now.
        address.tls()?;
        Ok(address)
    }
}

/// What never leaves this machine can be read by nobody on the way.
fn stays_on_this_machine(host: &str) -> bool {
    host == "localhost" || host.starts_with('/') || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Without percent-encoding.
fn decoded(text: &str) -> String {
    let pair = format!("={}", text.replace('+', "%2B"));
    let decoded = url::form_urlencoded::parse(pair.as_bytes()).next();
    decoded.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// Without the password.
impl fmt::Display for DatabaseAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = |text: &str| -> String {
            let bytes = url::form_urlencoded::byte_serialize(text.as_bytes());
            bytes.collect::<String>().replace('+', "%20")
        };
        let (user, database) = (encoded(&self.user), encoded(&self.database));
        match self.host.as_str() {
            socket if socket.starts_with('/') => {
                return write!(f, "postgres://{user}@localhost:{}/{database}?host={}", self.port, encoded(socket));
            }
            v6 if v6.contains(':') => write!(f, "postgres://{user}@[{v6}]:{}/{database}", self.port)?,
            host => write!(f, "postgres://{user}@{host}:{}/{database}", self.port)?,
        }
        f.write_str(if self.verified { "?sslmode=verify-full" } else { "?sslmode=disable" })?;
        match &self.authority {
            Some(authority) => write!(f, "&sslrootcert={}", encoded(&authority.to_string_lossy())),
            None => Ok(()),
        }
    }
}

/// Without the password.
impl fmt::Debug for DatabaseAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseAddress({self})")
    }
}

impl<'de> Deserialize<'de> for DatabaseAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{AddressError, DatabaseAddress};

    fn address(text: &str) -> DatabaseAddress {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn tls_is_checked_wherever_somebody_could_read_along() {
        for (text, verified) in [
            ("postgres://shop@db.example/portcullis", true),
            ("postgres://shop@10.0.0.7:6432/portcullis", true),
            ("postgres://shop@127.0.0.1/portcullis", false),
            ("postgres://shop@[::1]/portcullis", false),
            ("postgres://shop@localhost/portcullis", false),
            ("postgres://shop@localhost/portcullis?host=/run/postgresql", false),
            ("postgres://shop@127.0.0.1/portcullis?sslmode=verify-full", true),
            ("postgres://shop@db.example/portcullis?sslmode=disable", false),
        ] {
            assert_eq!(address(text).verified, verified, "{text}");
        }
        for mode in ["require", "prefer", "allow", "verify-ca", "no"] {
            let refused = format!("postgres://shop@db.example/portcullis?sslmode={mode}").parse::<DatabaseAddress>();
            assert_eq!(refused, Err(AddressError::Unchecked(mode.into())));
        }
    }

    #[test]
    fn no_password_is_shown() {
        let secret = address("postgres://shop:p%40ss%2Fword+1@db.example:6000/portcullis");
        assert_eq!(secret.password.as_deref(), Some("p@ss/word+1"));
        for shown in [secret.to_string(), format!("{secret:?}"), format!("{:?}", secret.without_password().password)] {
            assert!(!shown.contains("p@ss") && !shown.contains("p%40ss"), "{shown}");
        }
        assert_eq!(address(&secret.to_string()), secret.without_password());
        let errors = [
            "mysql://shop:p4ss@db/x",
            "postgres://shop:p4ss@db",
            "postgres://shop:p4ss@db:x/y",
            "postgres://shop:12?p4ss@db/x",
            "postgres://shop:12?p4ss=1&host=@db/x",
            "postgres://shop:12#p4ss@db/x",
            "p4ss",
        ];
        for text in errors {
            let error = text.parse::<DatabaseAddress>().expect_err(text).to_string();
            assert!(!error.contains("p4ss"), "{error}");
        }
    }
}
