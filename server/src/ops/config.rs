//! The configuration: flags before environment before file before defaults. An unknown key is an error that names it.

use crate::billing::currencies::Currencies;
use crate::billing::payment::PaymentSettings;
use crate::catalogue::objects::StorageSettings;
use crate::store::DatabaseAddress;
use ipnet::IpNet;
use portcullis_protocol::Origin;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use toml::{Table, Value};
use tracing_subscriber::EnvFilter;
use url::Url;

/// The name of the file in the server's directory.
pub const FILE_NAME: &str = "server.toml";
/// What every environment variable of the server begins with: `PORTCULLIS_SERVER_PAYMENT_SANDBOX=true`.
pub const ENV_PREFIX: &str = "PORTCULLIS_SERVER_";

/// The variable in which PostgreSQL's own programs look for a password that is not in an address.
const PASSWORD: &str = "PGPASSWORD";

/// What the rest of the variables of payment providers begins with: `PORTCULLIS_SERVER_PAYMENT_SANDBOX_PLAYS=decline`.
const PAYMENT: &str = "PAYMENT_";

/// The largest sealed file taken by default: 4 GiB, the most that one part can hold, and room for its neighbours.
const UPLOAD_BYTES: u64 = 4 * 1024 * 1024 * 1024;

/// What a log is made of, from nothing to everything.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The proxies that are trusted unless the operator lists others: those on the same machine.
pub(crate) const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];

/// Reads networks, and addresses as the networks of one.
fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let read = |text: &String| {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network
            .map_err(|_| D::Error::custom(format!("`{text}` is neither an address nor a network such as 10.0.0.0/8")))
    };
    texts.iter().map(read).collect()
}

/// Reads a number that is at least 1: with 0 nobody would be served, and a server that is to serve nobody is stopped.
fn from_one<'de, D: Deserializer<'de>, N: TryFrom<i64>>(deserializer: D) -> Result<N, D::Error> {
    at_least(1, deserializer)
}

/// Reads a number of something that may be switched off by 0.
fn from_zero<'de, D: Deserializer<'de>, N: TryFrom<i64>>(deserializer: D) -> Result<N, D::Error> {
    at_least(0, deserializer)
}

fn at_least<'de, D: Deserializer<'de>, N: TryFrom<i64>>(least: i64, deserializer: D) -> Result<N, D::Error> {
    let number = i64::deserialize(deserializer).map_err(|_| D::Error::custom("not a whole number"))?;
    if number < least {
        return Err(D::Error::custom(format!("{number} is too small: it is at least {least}")));
    }
    N::try_from(number).map_err(|_| D::Error::custom(format!("{number} is too large: it is at most {}", u32::MAX)))
}

/// Reads what is logged. A filter takes a word that is no level for a part of the program, of which it then logs
/// everything, and nothing of all the rest: so each part of it has to name its level.
fn level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    // As the filter splits it.
    let parts: Vec<&str> = text.split(',').filter(|part| !part.is_empty()).collect();
    let names_level = |part: &&str| {
        let level = part.rsplit_once('=').map_or(*part, |(_, level)| level).trim();
        // Their numbers are names of them, too.
        matches!(level, "0" | "1" | "2" | "3" | "4" | "5")
            || LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level))
    };
    if !parts.is_empty() && parts.iter().all(names_level) && EnvFilter::try_new(&text).is_ok() {
        return Ok(text);
    }
    Err(D::Error::custom(format!(
        "`{text}` is not a level: write error, warn, info or debug, or a filter whose parts each name a level, such as \
         info,hyper=warn"
    )))
}

/// An address to listen on.
pub(crate) fn socket_address(text: &str) -> Result<SocketAddr, String> {
    let example = match (text.parse::<IpAddr>(), text.trim_start_matches(':').parse::<u16>()) {
        (Ok(address), _) => SocketAddr::from((address, 8433)).to_string(),
        (_, Ok(port)) => format!("127.0.0.1:{port}"),
        _ => "127.0.0.1:8433".to_owned(),
    };
    text.parse().map_err(|_| format!("not an address and a port: write {example}, or [::1]:8433"))
}

/// Reads an address to listen on.
fn listening<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    socket_address(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// Reads an address to listen on of something that need not listen.
fn maybe_listening<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    listening(deserializer).map(Some)
}

/// Reads a part of a whole.
fn ratio<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let ratio = f64::deserialize(deserializer).ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| D::Error::custom("not a number from 0 to 1"))
}

/// Reads the address of something that speaks HTTP.
fn web_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let url = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.map(Some).ok_or_else(|| D::Error::custom(format!("`{text}` is not an address such as http://127.0.0.1:4318")))
}

/// What a server does, as its operator wrote it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The address to listen on. Plain HTTP: TLS is a reverse proxy's, except on loopback.
    #[serde(deserialize_with = "listening")]
    pub listen: SocketAddr,
    /// What terminals call the server. May be left out if `listen` is a loopback address.
    pub origin: Option<Origin>,
    /// Where keys, database and files are.
    pub dir: PathBuf,
    /// The PostgreSQL database; left out, the database is an SQLite file in `dir`.
    pub database: Option<DatabaseAddress>,
    /// Who may make an account.
    pub sign_up: SignUp,
    /// Who may claim a publisher name.
    pub publishers: Publishers,
    /// Whether requests come from a reverse proxy that says whom it speaks for, in `X-Forwarded-For` or `Forwarded`.
    pub behind_proxy: bool,
    /// The currencies in which publishers set prices and accounts pay in.
    pub currencies: Currencies,
    /// The addresses of such proxies. What any other peer says of its clients is not believed.
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// How orders are paid.
    pub payment: PaymentSettings,
    /// Where sealed files lie.
    pub storage: StorageSettings,
    /// Where webhooks may be sent.
    pub webhooks: WebhookSettings,
    /// Bounds.
    pub limits: Limits,
    /// What is logged.
    pub log: Log,
    /// What is counted.
    pub metrics: MetricsSettings,
    /// What is traced.
    pub traces: TracesSettings,
    /// Whether the clock counts as right though the database was in use later: `--accept-clock`, never in a file.
    #[serde(skip)]
    pub accept_clock: bool,
    /// The file that was read.
    #[serde(skip)]
    pub file: Option<PathBuf>,
}

/// Who may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignUp {
    /// Everyone.
    Open,
    /// Who has an invitation.
    Invite,
    /// Nobody; the operator adds accounts.
    Closed,
}

/// Who may claim a publisher name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Publishers {
    /// Every account.
    Open,
    /// Accounts of operators, and those that an operator approved.
    Approve,
}

/// Bounds on what one caller may take.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of a sealed file.
    #[serde(deserialize_with = "from_one")]
    pub upload_bytes: u64,
    /// Bytes of all sealed files that one account has published. They stay for those who bought them.
    #[serde(deserialize_with = "from_one")]
    pub account_bytes: u64,
    /// Uploads under way at once: each may fill the disk up to `upload_bytes`.
    #[serde(deserialize_with = "from_one")]
    pub uploads: usize,
    /// Uploads of one account under way at once.
    #[serde(deserialize_with = "from_one")]
    pub uploads_per_account: usize,
    /// Bytes per second that an upload has to bring: at most for a minute it may fall behind that.
    #[serde(deserialize_with = "from_one")]
    pub upload_rate: u64,
    /// Connections at once. Each may have a file open as well: the system has to allow twice as many open files.
    #[serde(deserialize_with = "from_one")]
    pub connections: usize,
    /// Connections of one address at once. Behind a proxy, to which all connections belong: requests of one client
    /// that are being answered.
    #[serde(deserialize_with = "from_one")]
    pub connections_per_address: usize,
    /// Requests per second from one address, on average.
    #[serde(deserialize_with = "from_one")]
    pub address_rate: u32,
    /// Requests from one address at once.
    #[serde(deserialize_with = "from_one")]
    pub address_burst: u32,
    /// Requests per second of one terminal, on average.
    #[serde(deserialize_with = "from_one")]
    pub terminal_rate: u32,
    /// Requests of one terminal at once.
    #[serde(deserialize_with = "from_one")]
    pub terminal_burst: u32,
    /// Requests per second of one merchant, on average.
    #[serde(deserialize_with = "from_one")]
    pub merchant_rate: u32,
    /// Requests of one merchant at once.
    #[serde(deserialize_with = "from_one")]
    pub merchant_burst: u32,
    /// Wrong passwords per account and address in ten minutes; the other limits on guessing follow from it.
    #[serde(deserialize_with = "from_one")]
    pub sign_in_attempts: u32,
    /// Device codes that one address may ask for in ten minutes.
    #[serde(deserialize_with = "from_one")]
    pub device_codes: u32,
    /// Terminals that one account may enrol within a day.
    #[serde(deserialize_with = "from_one")]
    pub terminals_per_day: u32,
    /// Redemption codes of one account that nobody has redeemed. Each is a row of the database. With 0 nobody makes
    /// any.
    #[serde(deserialize_with = "from_zero")]
    pub gift_codes: u64,
    /// Seconds a terminal waits between two polls while its user signs in (RFC 8628 section 3.2). With 0 it asks
    /// again at once, as tests do.
    #[serde(deserialize_with = "from_zero")]
    pub poll_seconds: u32,
    /// Seconds that one request with a small body may take.
    #[serde(deserialize_with = "from_one")]
    pub request_seconds: u64,
    /// Streams of events at once. Each has a connection, and four times a second it is checked whether its receiver may
    /// still follow. With 0 nobody has one, and events are asked for.
    #[serde(deserialize_with = "from_zero")]
    pub streams: usize,
}

/// Where webhooks may be sent, besides public addresses.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookSettings {
    /// Networks in which the store's own endpoints are reached although they are not public, and without TLS, too.
    #[serde(deserialize_with = "networks")]
    pub networks: Vec<IpNet>,
    /// The same for endpoints of everybody else. Whoever has one may have requests sent to any machine and port there.
    #[serde(deserialize_with = "networks")]
    pub networks_of_others: Vec<IpNet>,
}

/// What is logged, to standard error.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, or a filter as of `tracing-subscriber`.
    #[serde(deserialize_with = "level")]
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// What is counted, and who may read it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsSettings {
    /// An address of its own for `/metrics`, `/healthz` and `/readyz`, which everybody may read who reaches it. Without
    /// one, nothing is told.
    #[serde(deserialize_with = "maybe_listening")]
    pub listen: Option<SocketAddr>,
}

/// What is traced, and where it is sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TracesSettings {
    /// An OpenTelemetry collector that takes OTLP over HTTP, `http://127.0.0.1:4318`. Without one, nothing is traced.
    #[serde(deserialize_with = "web_address")]
    pub endpoint: Option<Url>,
    /// Which part of the requests is traced, from 0 to 1.
    #[serde(deserialize_with = "ratio")]
    pub ratio: f64,
}

impl Default for TracesSettings {
    fn default() -> Self {
        Self { endpoint: None, ratio: 1.0 }
    }
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For people.
    Text,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8433)),
            origin: None,
            dir: PathBuf::from("portcullis-server"),
            database: None,
            sign_up: SignUp::Invite,
            publishers: Publishers::Approve,
            behind_proxy: false,
            currencies: Currencies::default(),
            trusted_proxies: LOOPBACK.iter().filter_map(|network| network.parse().ok()).collect(),
            payment: PaymentSettings::default(),
            storage: StorageSettings::default(),
            webhooks: WebhookSettings::default(),
            limits: Limits::default(),
            log: Log::default(),
            metrics: MetricsSettings::default(),
            traces: TracesSettings::default(),
            accept_clock: false,
            file: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            upload_bytes: UPLOAD_BYTES,
            // 256 GiB: sixty-four of the largest.
            account_bytes: 64 * UPLOAD_BYTES,
            uploads: 8,
            // A publisher's own machine, and what publishes for him elsewhere.
            uploads_per_account: 2,
            // A quarter of a megabit: over such a line 4 GiB take a day and a half.
            upload_rate: 32 * 1024,
            // With a file each they stay below the 1,024 that a process may open unless told otherwise.
            connections: 480,
            connections_per_address: 320,
            // A household behind one address, each terminal in the middle of a cycle.
            address_rate: 100,
            address_burst: 400,
            terminal_rate: 50,
            terminal_burst: 200,
            // An order takes two requests, and some are sent again: a hundred orders a second.
            merchant_rate: 400,
            merchant_burst: 1_600,
            sign_in_attempts: 10,
            // A household that sets up its machines.
            device_codes: 60,
            // Enough for a person, too few for the resale of one account.
            terminals_per_day: 20,
            // A campaign of a small publisher.
            gift_codes: 10_000,
            poll_seconds: 5,
            request_seconds: 30,
            // Half of the connections, so that streams leave room for requests.
            streams: 240,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Json }
    }
}

/// Why a configuration was not accepted. Says which key and what is allowed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {path} cannot be read: {source}. `portcullis-server init` writes one")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not the TOML it should be.
    #[error("the configuration {path} is not valid: {message}")]
    File {
        /// The file.
        path: PathBuf,
        /// Where and why.
        message: String,
    },
    /// An environment variable that names no key.
    #[error("the environment variable {0} names no key of the configuration. The keys are: {keys}", keys = env_names())]
    UnknownVariable(String),
    /// A value of the environment or of a flag.
    #[error("{name}: {message}")]
    Value {
        /// The variable or flag.
        name: String,
        /// Why.
        message: String,
    },
    /// A port that changes at every start is no name.
    #[error(
        "port 0 of {listen} is another one at every start, and the port is part of the server's name. Choose one, or set \
         `origin`; `serve --listen` may take port 0 where the origin is set"
    )]
    Port {
        /// The address.
        listen: SocketAddr,
    },
    /// Without an origin nobody can know the server again.
    #[error(
        "`origin` is missing: {listen} is not a loopback address, so terminals reach the server by another name, \
         over TLS. Set `origin = \"https://store.example\"`"
    )]
    Origin {
        /// The address.
        listen: SocketAddr,
    },
}

/// Every key, and of which kind it is in an environment variable.
const KEYS: &[(&[&str], Kind)] = &[
    (&["listen"], Kind::Text),
    (&["origin"], Kind::Text),
    (&["dir"], Kind::Text),
    (&["database"], Kind::Text),
    (&["sign_up"], Kind::Text),
    (&["publishers"], Kind::Text),
    (&["behind_proxy"], Kind::Bool),
    (&["currencies"], Kind::List),
    (&["trusted_proxies"], Kind::List),
    (&["limits", "upload_bytes"], Kind::Integer),
    (&["limits", "account_bytes"], Kind::Integer),
    (&["limits", "uploads"], Kind::Integer),
    (&["limits", "uploads_per_account"], Kind::Integer),
    (&["limits", "upload_rate"], Kind::Integer),
    (&["limits", "connections"], Kind::Integer),
    (&["limits", "connections_per_address"], Kind::Integer),
    (&["limits", "address_rate"], Kind::Integer),
    (&["limits", "address_burst"], Kind::Integer),
    (&["limits", "terminal_rate"], Kind::Integer),
    (&["limits", "terminal_burst"], Kind::Integer),
    (&["limits", "merchant_rate"], Kind::Integer),
    (&["limits", "merchant_burst"], Kind::Integer),
    (&["limits", "sign_in_attempts"], Kind::Integer),
    (&["limits", "device_codes"], Kind::Integer),
    (&["limits", "terminals_per_day"], Kind::Integer),
    (&["limits", "gift_codes"], Kind::Integer),
    (&["limits", "poll_seconds"], Kind::Integer),
    (&["limits", "request_seconds"], Kind::Integer),
    (&["limits", "streams"], Kind::Integer),
    (&["log", "level"], Kind::Text),
    (&["log", "format"], Kind::Text),
    (&["metrics", "listen"], Kind::Text),
    (&["traces", "endpoint"], Kind::Text),
    (&["traces", "ratio"], Kind::Number),
    (&["storage", "bucket"], Kind::Text),
    (&["storage", "region"], Kind::Text),
    (&["storage", "endpoint"], Kind::Text),
    (&["storage", "access_key_id"], Kind::Text),
    (&["storage", "secret_access_key"], Kind::Text),
    (&["webhooks", "networks"], Kind::List),
    (&["webhooks", "networks_of_others"], Kind::List),
];

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Integer,
    Number,
    Bool,
    /// `true`, `false`, or a text: of a payment provider.
    Setting,
    /// Texts, separated by commas.
    List,
}

/// What was said outside the file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--config`: the file; where absent, `server.toml` in the directory, if it is there.
    pub file: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<SocketAddr>,
    /// `--dir`.
    pub dir: Option<PathBuf>,
    /// `--database`.
    pub database: Option<DatabaseAddress>,
    /// `--accept-clock`.
    pub accept_clock: bool,
}

impl Config {
    /// Reads flags, environment and file, in this order of precedence.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(
        flags: &Overrides,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut from_environment = Table::new();
        let (mut config_variable, mut password) = (None, None);
        for (name, value) in environment {
            // What other programs have there need not be text.
            let Some(name) = name.to_str().filter(|name| *name == PASSWORD || name.starts_with(ENV_PREFIX)) else {
                continue;
            };
            let key = name.strip_prefix(ENV_PREFIX);
            if key == Some("CONFIG") {
                config_variable = Some(PathBuf::from(value));
                continue;
            }
            let value = value.into_string().map_err(|_| not_text(name))?;
            match key {
                Some(key) => overlay_variable(&mut from_environment, name, key, &value)?,
                None => password = Some(value),
            }
        }
        let dir_of_flags = flags.dir.clone();
        let dir_of_environment = from_environment.get("dir").and_then(Value::as_str).map(PathBuf::from);
        let named = flags.file.clone().or(config_variable);
        let guessed =
            dir_of_flags.clone().or(dir_of_environment).unwrap_or_else(|| Self::default().dir).join(FILE_NAME);
        let file = named.or_else(|| Some(guessed).filter(|guessed| guessed.is_file()));
        let mut table = file.as_deref().map(read).transpose()?.unwrap_or_default();
        merge(&mut table, from_environment);
        let mut config: Self = Value::Table(table).try_into().map_err(|e: toml::de::Error| ConfigError::Value {
            name: "configuration".into(),
            message: e.message().into(),
        })?;
        if let Some(listen) = flags.listen {
            config.listen = listen;
        }
        if let Some(dir) = dir_of_flags {
            config.dir = dir;
        }
        let database = flags.database.clone().or(config.database);
        config.database = database.map(|database| database.or_password(password));
        config.accept_clock = flags.accept_clock;
        config.file = file;
        config.payment.providers().map_err(ConfigError::setting)?;
        config.storage.check().map_err(ConfigError::setting)?;
        if config.origin.is_none() && !config.listen.ip().is_loopback() {
            return Err(ConfigError::Origin { listen: config.listen });
        }
        Ok(config)
    }

    /// What terminals call the server, once it is known where it listens.
    ///
    /// # Errors
    /// [`ConfigError::Origin`] if none is configured and the address is not a loopback one.
    pub fn origin_at(&self, listening: SocketAddr) -> Result<Origin, ConfigError> {
        match &self.origin {
            Some(origin) => Ok(origin.clone()),
            None if listening.ip().is_loopback() && listening.port() == 0 => {
                Err(ConfigError::Port { listen: listening })
            }
            None if listening.ip().is_loopback() => {
                let port = if listening.port() == 80 { String::new() } else { format!(":{}", listening.port()) };
                let host =
                    if listening.is_ipv6() { format!("[{}]", listening.ip()) } else { listening.ip().to_string() };
                Origin::new(format!("http://{host}{port}")).map_err(|_| ConfigError::Origin { listen: listening })
            }
            None => Err(ConfigError::Origin { listen: listening }),
        }
    }
}

impl ConfigError {
    /// A setting that is known to be wrong only beside others.
    pub(crate) fn setting(message: String) -> Self {
        Self::Value { name: "configuration".into(), message }
    }
}

fn env_name(path: &[&str]) -> String {
    format!("{ENV_PREFIX}{}", path.join("_").to_uppercase())
}

fn env_names() -> String {
    let names = KEYS.iter().map(|(path, _)| env_name(path));
    names.chain([format!("{ENV_PREFIX}{PAYMENT}PROVIDER[_KEY]")]).collect::<Vec<_>>().join(", ")
}

/// The path of a key that a variable names, and its kind.
fn path_of(key: &str) -> Option<(Vec<String>, Kind)> {
    // What a provider's settings are is known to the provider alone.
    if let Some(setting) = key.strip_prefix(PAYMENT) {
        let segments = setting.splitn(2, '_').map(str::to_lowercase);
        return Some((std::iter::once("payment".to_owned()).chain(segments).collect(), Kind::Setting));
    }
    let known = KEYS.iter().find(|(path, _)| path.join("_").to_uppercase() == key);
    known.map(|(path, kind)| (path.iter().map(|segment| (*segment).to_owned()).collect(), *kind))
}

fn overlay_variable(table: &mut Table, name: &str, key: &str, value: &str) -> Result<(), ConfigError> {
    let (path, kind) = path_of(key).ok_or_else(|| ConfigError::UnknownVariable(name.to_owned()))?;
    let wrong = |message: &str| ConfigError::Value { name: name.to_owned(), message: message.to_owned() };
    let value = match kind {
        Kind::Text => Value::String(value.to_owned()),
        Kind::Integer => Value::Integer(value.parse().map_err(|_| wrong("not a whole number"))?),
        Kind::Number => Value::Float(value.parse().map_err(|_| wrong("not a number"))?),
        Kind::Bool => Value::Boolean(value.parse().map_err(|_| wrong("neither `true` nor `false`"))?),
        Kind::Setting => value.parse().map_or_else(|_| Value::String(value.to_owned()), Value::Boolean),
        Kind::List => {
            let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
        }
    };
    let (last, parents) = path.split_last().ok_or_else(|| ConfigError::UnknownVariable(name.to_owned()))?;
    let mut inner = &mut *table;
    for parent in parents {
        let entry = inner.entry(parent.clone()).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(next) = entry else { return Err(wrong("not a key")) };
        inner = next;
    }
    inner.insert(last.clone(), value);
    // Each variable is tried by itself, so that the error names it.
    let alone: Result<Config, _> = Value::Table(table.clone()).try_into();
    alone.map(|_| ()).map_err(|e: toml::de::Error| wrong(e.message()))
}

fn not_text(variable: &str) -> ConfigError {
    ConfigError::Value { name: variable.to_owned(), message: "it is not text in UTF-8".into() }
}

fn read(path: &Path) -> Result<Table, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let invalid = |e: toml::de::Error| ConfigError::File { path: path.to_owned(), message: located(&text, &e) };
    // Read as what it is first: such an error knows its line.
    toml::from_str::<Config>(&text).map_err(invalid)?;
    toml::from_str(&text).map_err(invalid)
}

/// Where an error is: the line and the key that it begins with, and never its value, which may be a secret.
fn located(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let Some(before) = before else { return error.message().to_owned() };
    let number = before.matches('\n').count();
    let key = text.lines().nth(number).and_then(|line| line.split_once('=')).map(|(key, _)| key.trim());
    let is_key = |key: &&str| key.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    match key.filter(is_key) {
        Some(key) => format!("line {}, `{key}`: {}", number + 1, error.message()),
        None => format!("line {}: {}", number + 1, error.message()),
    }
}

fn merge(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(value)) => merge(inner, value),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
    }

    /// A file name or a prompt in Latin-1 ended every command, with a panic that showed its value.
    #[cfg(unix)]
    #[test]
    fn only_its_own_variables_have_to_be_text() {
        use std::os::unix::ffi::OsStringExt as _;
        let dir = tempfile::tempdir().expect("dir");
        let flags = Overrides { dir: Some(dir.path().into()), ..Overrides::default() };
        let bad = || OsString::from_vec(b"secret\xff".to_vec());
        let with = |name: OsString| Config::load(&flags, [(name, bad())]);
        with("PROMPT".into()).expect("another program's");
        with(bad()).expect("another program's");
        for own in ["PGPASSWORD", "PORTCULLIS_SERVER_SIGN_UP"] {
            let said = with(own.into()).expect_err("not text").to_string();
            assert!(said.contains(own) && !said.contains("secret"), "{said}");
        }
        let said = with("PORTCULLIS_SERVER_CONFIG".into()).expect_err("there is no such file").to_string();
        assert!(said.contains("secret"), "a path need not be text: {said}");
    }

    #[test]
    fn flags_go_before_environment_before_file() {
        let dir = tempfile::tempdir().expect("dir");
        let file = dir.path().join(FILE_NAME);
        std::fs::write(
            &file,
            "listen = \"127.0.0.1:1\"\nsign_up = \"open\"\n[limits]\nuploads = 2\npoll_seconds = 9\n",
        )
        .expect("file");
        let flags = Overrides { dir: Some(dir.path().into()), ..Overrides::default() };
        let config = Config::load(&flags, env(&[])).expect("file alone");
        assert_eq!((config.listen.port(), config.sign_up, config.limits.uploads), (1, SignUp::Open, 2));
        let variables = env(&[
            ("PORTCULLIS_SERVER_LISTEN", "127.0.0.1:2"),
            ("PORTCULLIS_SERVER_LIMITS_UPLOADS", "3"),
            ("PORTCULLIS_SERVER_PAYMENT_SANDBOX", "true"),
            ("HOME", "/"),
        ]);
        let config = Config::load(&flags, variables.clone()).expect("environment");
        assert_eq!((config.listen.port(), config.limits.uploads, config.limits.poll_seconds), (2, 3, 9));
        assert!(config.payment.providers().expect("providers").get("sandbox").is_some());
        let flags = Overrides { listen: "127.0.0.1:3".parse().ok(), ..flags };
        assert_eq!(Config::load(&flags, variables).expect("flags").listen.port(), 3);
    }

    #[test]
    fn unknown_keys_are_errors_that_name_them() {
        let dir = tempfile::tempdir().expect("dir");
        let file = dir.path().join("own.toml");
        std::fs::write(&file, "[limits]\nuplaods = 2\n").expect("file");
        let flags = Overrides { file: Some(file), ..Overrides::default() };
        let error = Config::load(&flags, env(&[])).expect_err("typing error").to_string();
        assert!(error.contains("uplaods"), "{error}");
        let flags = Overrides { dir: Some(dir.path().into()), ..Overrides::default() };
        let error =
            Config::load(&flags, env(&[("PORTCULLIS_SERVER_SINGUP", "open")])).expect_err("variable").to_string();
        assert!(error.contains("PORTCULLIS_SERVER_SINGUP") && error.contains("PORTCULLIS_SERVER_SIGN_UP"), "{error}");
        let error =
            Config::load(&flags, env(&[("PORTCULLIS_SERVER_SIGN_UP", "everyone")])).expect_err("value").to_string();
        assert!(error.contains("PORTCULLIS_SERVER_SIGN_UP") && error.contains("invite"), "{error}");
    }

    #[test]
    fn an_error_says_where_it_is_and_shows_no_value() {
        let dir = tempfile::tempdir().expect("dir");
        let file = dir.path().join("own.toml");
        let flags = Overrides { file: Some(file.clone()), ..Overrides::default() };
        for (text, place) in [
            ("listen = \"127.0.0.1:1\"\ndatabase = \"shop:s3cret@db/x\"\n", "line 2, `database`: "),
            ("database = \"postgres://shop:12?s3cret@db/x\"\n", "line 1, `database`: "),
            ("database = postgres://shop:s3cret@db/x\n", "line 1, `database`: "),
            ("[storage]\nsecret_access_key = s3cret\n", "line 2, `secret_access_key`: "),
            ("[storage]\nsecret_access_key = \"s3cret\n", "line 2, `secret_access_key`: "),
            ("[payment.hosted]\nsecret \"s3cret\"\n", "line 2: "),
        ] {
            std::fs::write(&file, text).expect("file");
            let error = Config::load(&flags, env(&[])).expect_err(text).to_string();
            assert!(error.contains(place) && !error.contains("s3cret"), "{text}: {error}");
        }
    }

    /// One mistyped word turned all logging off, and a 0 was taken for 1 here and for nothing there.
    #[test]
    fn what_would_log_or_serve_nothing_is_refused_with_its_key() {
        let dir = tempfile::tempdir().expect("dir");
        let file = dir.path().join("own.toml");
        let flags = Overrides { file: Some(file.clone()), ..Overrides::default() };
        let of = |text: &str| {
            std::fs::write(&file, text).expect("file");
            Config::load(&flags, env(&[]))
        };
        for wrong in
            ["loud", "", ",", "6", "info,loud", "info,hyper=6", "loud=very", "info,[request{id=1,x=2}]", "info warn"]
        {
            let said = of(&format!("[log]\nlevel = \"{wrong}\"\n")).expect_err(wrong).to_string();
            assert!(said.contains("`level`") && said.contains("error, warn, info or debug"), "{wrong}: {said}");
        }
        for right in
            ["warn", "DEBUG", "off", "3", "info,", "info,hyper=warn", "info,,hyper=3", "warn,[request{id=1}]=debug"]
        {
            assert_eq!(of(&format!("[log]\nlevel = \"{right}\"\n")).expect(right).log.level, right);
        }
        let limits = KEYS.iter().filter_map(|(path, _)| path.strip_prefix(&["limits"])?.first().copied());
        for key in limits {
            for number in [-1, 0] {
                let may_be = number == 0 && ["gift_codes", "poll_seconds", "streams"].contains(&key);
                match of(&format!("[limits]\n{key} = {number}\n")) {
                    Ok(_) => assert!(may_be, "{key} = {number}"),
                    Err(said) => {
                        let said = said.to_string();
                        assert!(!may_be && said.contains(&format!("`{key}`: {number} is too small")), "{said}");
                        assert!(!said.contains("usize") && !said.contains("u64"), "{said}");
                    }
                }
            }
        }
        let variable = env(&[("PORTCULLIS_SERVER_LIMITS_CONNECTIONS", "0")]);
        let said = Config::load(&Overrides::default(), variable).expect_err("none").to_string();
        assert!(said.contains("PORTCULLIS_SERVER_LIMITS_CONNECTIONS: 0 is too small"), "{said}");
        for (text, key) in [
            ("listen = \"0.0.0.0\"\n", "`listen`: not an address and a port: write 0.0.0.0:8433"),
            ("[metrics]\nlisten = \"::\"\n", "`listen`: not an address and a port: write [::]:8433"),
            ("[metrics]\nlisten = \"9464\"\n", "`listen`: not an address and a port: write 127.0.0.1:9464"),
            ("[limits]\nuploads = \"two\"\n", "`uploads`: not a whole number"),
            ("[traces]\nratio = 2\n", "`ratio`: not a number from 0 to 1"),
        ] {
            let said = of(text).expect_err(text).to_string();
            assert!(said.contains(key), "{said}");
        }
        let said = of("[limits]\naddress_rate = 5000000000\n").expect_err("more than fits").to_string();
        assert!(said.contains("at most 4294967295"), "{said}");
    }

    #[test]
    fn currencies_are_those_that_exist() {
        let flags = Overrides { dir: Some("/nonexistent".into()), ..Overrides::default() };
        let config = Config::load(&flags, env(&[("PORTCULLIS_SERVER_CURRENCIES", "EUR, CLF")])).expect("active ones");
        assert_eq!(config.currencies.to_string(), "CLF, EUR");
        for wrong in ["EUR,EUE", "", "eur"] {
            let error =
                Config::load(&flags, env(&[("PORTCULLIS_SERVER_CURRENCIES", wrong)])).expect_err(wrong).to_string();
            assert!(error.contains("PORTCULLIS_SERVER_CURRENCIES"), "{error}");
        }
    }

    #[test]
    fn trusted_proxies_are_addresses_and_networks() {
        let flags = Overrides { dir: Some("/nonexistent".into()), ..Overrides::default() };
        let of = |text: &str| Config::load(&flags, env(&[("PORTCULLIS_SERVER_TRUSTED_PROXIES", text)]));
        let networks = of("10.0.0.0/8, 192.0.2.1,2001:db8::/32").expect("networks").trusted_proxies;
        let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"]);
        assert!(of("").expect("none").trusted_proxies.is_empty());
        let error = of("proxy.example").expect_err("a name").to_string();
        assert!(error.contains("PORTCULLIS_SERVER_TRUSTED_PROXIES") && error.contains("10.0.0.0/8"), "{error}");
        assert_eq!(Config::default().trusted_proxies.len(), 2);
    }

    #[test]
    fn a_public_address_needs_an_origin() {
        let flags =
            Overrides { listen: "0.0.0.0:80".parse().ok(), dir: Some("/nonexistent".into()), ..Overrides::default() };
        assert!(matches!(Config::load(&flags, env(&[])), Err(ConfigError::Origin { .. })));
        let config =
            Config::load(&flags, env(&[("PORTCULLIS_SERVER_ORIGIN", "https://store.example")])).expect("origin");
        assert_eq!(config.origin_at(config.listen).expect("origin").as_str(), "https://store.example");
        let loopback = Config::default();
        assert_eq!(
            loopback.origin_at("127.0.0.1:1234".parse().expect("address")).expect("derived").as_str(),
            "http://127.0.0.1:1234"
        );
    }
}
