//! `portcullis-server init`

use super::{DatabaseFlag, origin_of};
use crate::audit::{Act, AuditKey, os_user};
use crate::crypto::keys::{self, Keys};
use crate::crypto::secrets::{Secrets, TokenRole, new_token};
use crate::ops::config::{Config, FILE_NAME, socket_address};
use crate::ops::parts::Parts;
use crate::print;
use crate::store::{DatabaseAddress, NewInvitation, Store};
use crate::{DATABASE, MASTER_KEY, bind, open_store, remains};
use anyhow::{Context as _, bail};
use clap::Args;
use portcullis_folders::{is_exposed, private_file};
use portcullis_protocol::Origin;
use serde_json::json;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How long the first operator may take to follow the invitation: a week.
const INVITATION_LIFE: u64 = 7 * 24 * 3600;

/// The folder in which a server is made before it appears.
const MAKING: &str = ".init";

#[derive(Debug, Args)]
pub(super) struct Init {
    /// The directory to make.
    #[arg(long, value_name = "DIR", default_value = "portcullis-server")]
    dir: PathBuf,
    /// What terminals will call the server, https://store.example. Left out, it listens on this machine only.
    #[arg(long, value_name = "URL")]
    origin: Option<Origin>,
    /// The address to listen on.
    #[arg(long, value_name = "ADDR", value_parser = socket_address)]
    listen: Option<SocketAddr>,
    /// A new, empty PostgreSQL database for it, postgres://USER@HOST/DATABASE [default: an SQLite file in the
    /// directory]. The password is better kept in PGPASSWORD: everybody on a machine sees its command lines.
    #[arg(long, value_name = "URL", env = super::DATABASE_VARIABLE, hide_env_values = true)]
    database: Option<DatabaseFlag>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

impl Init {
    pub(super) async fn run(self, parts: &Parts) -> anyhow::Result<()> {
        let database = self.database.as_ref().map(DatabaseFlag::address).transpose().context("--database")?;
        let config = Config {
            dir: self.dir.clone(),
            origin: self.origin.clone(),
            listen: self.listen.unwrap_or(Config::default().listen),
            database: database.clone(),
            ..Config::default()
        };
        // Before anything is written: a public address needs a name.
        let origin = origin_of(&config)?;
        if let Some(remains) = remains(&self.dir)? {
            bail!(
                "there is a server in {dir} already, or what is left of one: {}. `init` makes a server once. Restore what is \
                 missing from the backup; for a new server choose a new directory",
                remains.display(),
                dir = self.dir.display()
            );
        }
        let is_new = !self.dir.exists();
        make_private(&self.dir)?;
        // A server appears whole: what a killed `init` leaves is no server, and in nobody's way.
        let making = self.dir.join(MAKING);
        if making.exists() {
            std::fs::remove_dir_all(&making).with_context(|| format!("cannot remove {}", making.display()))?;
        }
        make_private(&making)?;
        let secrets = Secrets::create(&making.join(MASTER_KEY))?;
        let password = std::env::var("PGPASSWORD").ok();
        let database = database.map(|database| database.or_password(password));
        let store = match opened(&making, database.as_ref(), parts).await {
            Ok(store) => store,
            Err(error) => {
                // Nothing was made yet that the key opens.
                std::fs::remove_dir_all(&making).ok();
                if is_new {
                    std::fs::remove_dir(&self.dir).ok();
                }
                return Err(error);
            }
        };
        keys::init(&*store, &secrets).await?;
        bind(&*store, &secrets, &origin, (&self.dir, database.as_ref())).await?;
        let keys = Keys::open(&*store, &secrets, origin.clone()).await?;
        let token = new_token();
        let invitation = NewInvitation {
            token: secrets.hash_token(TokenRole::Invitation, &token),
            operator: true,
            life: INVITATION_LIFE,
        };
        let act = Act::new(AuditKey::new(&origin, &keys, &secrets), os_user(), "server init", &origin);
        let act = act.with("operator's invitation", invitation.id());
        act.scope(store.create_invitation(invitation)).await?;
        store.close().await?;
        // The last connection writes what it has into the database's one file.
        drop(store);
        let (file, master) = (self.dir.join(FILE_NAME), self.dir.join(MASTER_KEY));
        // Passwords may be written into it later.
        let written = private_file().write(true).create_new(true).open(making.join(FILE_NAME));
        let written = written.and_then(|mut file| file.write_all(config_text(&config).as_bytes()));
        written.with_context(|| format!("cannot write {}", making.display()))?;
        for name in [FILE_NAME, DATABASE, MASTER_KEY] {
            if name == DATABASE && database.is_some() {
                continue;
            }
            std::fs::rename(making.join(name), self.dir.join(name))
                .with_context(|| format!("cannot write {}", self.dir.join(name).display()))?;
        }
        std::fs::remove_dir_all(&making).with_context(|| format!("cannot remove {}", making.display()))?;

        let (words, invitation) = (keys.root().thumbprint().words(), format!("{origin}/invite/{}", *token));
        if self.json {
            let made = json!({
                "dir": self.dir, "config": file, "origin": origin, "root": keys.root().thumbprint(),
                "words": words, "invitation": invitation, "recipient": keys.recipient().to_string(),
            });
            print::json(&made)
        } else {
            let (dir, master) = (self.dir.display(), master.display());
            print::text(&format!(
                "Made a billing server in {dir}.\n\n\
                 Terminals know it by these words:\n\n    {words}\n\n\
                 Back up {master} apart from the database: without it nothing opens.\n\n\
                 Now start it:\n\n    portcullis-server serve --dir {dir}\n\n\
                 then open this once, within a week, to make the operator's account:\n\n    {invitation}"
            ))
        }
    }
}

/// A database without a server in it: a new file in a folder, or the one at an address.
async fn opened(folder: &Path, database: Option<&DatabaseAddress>, parts: &Parts) -> anyhow::Result<Arc<dyn Store>> {
    let store = open_store(folder, database, true, parts)?;
    if let Some(database) = database
        && store.identity().await?.is_some()
    {
        store.close().await?;
        bail!("there is a server in {database} already: give the new one a new database");
    }
    Ok(store)
}

/// Makes a directory that only its owner enters. An existing one is made so only if nothing is in it: what others keep
/// there is not taken from them.
fn make_private(dir: &Path) -> anyhow::Result<()> {
    if is_exposed(dir) && std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!(
            "other users can look into {dir}, and there are other things in it: choose a new directory, or \
             `chmod 700 {dir}`",
            dir = dir.display()
        );
    }
    let made = portcullis_folders::make_private(dir).map_err(|unprotected| unprotected.cause);
    made.with_context(|| format!("cannot make the directory {}, which only its owner enters", dir.display()))
}

/// A configuration with a word on each key. On this machine alone, where nothing real is sold, everybody may do
/// everything in it; elsewhere nobody may before the operator says so.
fn config_text(config: &Config) -> String {
    let local = config.origin.is_none();
    let origin = match &config.origin {
        Some(origin) => format!("origin = \"{origin}\""),
        None => "# origin = \"https://store.example\"".to_owned(),
    };
    let database = match &config.database {
        Some(database) => format!("database = \"{}\"", database.without_password()),
        None => "# database = \"postgres://portcullis@db.example/portcullis?sslmode=verify-full\"".to_owned(),
    };
    // A server with a public name speaks plain HTTP behind a proxy that terminates TLS.
    let behind_proxy = config.origin.as_ref().is_some_and(|origin| !origin.is_plain_http());
    let trusted_proxies: Vec<String> = config.trusted_proxies.iter().map(|proxy| format!("\"{proxy}\"")).collect();
    let trusted_proxies = trusted_proxies.join(", ");
    let (sign_up, publishers) = if local { ("open", "open") } else { ("invite", "approve") };
    format!(
        "\
# The configuration of a Portcullis billing server.
#
# Flags go before environment variables (PORTCULLIS_SERVER_LISTEN, PORTCULLIS_SERVER_LIMITS_UPLOADS, …), and these before
# this file. An unknown key is an error.

# Where it listens, plain HTTP. In front of it, on any address but a loopback one, stands a reverse proxy that
# terminates TLS.
listen = \"{listen}\"

# What terminals call it. It goes into everything that is signed, so it never changes, and a changed one is refused. May
# be left out on loopback; then `listen` is part of it.
{origin}

# Whether a reverse proxy stands in front that appends the client's address to X-Forwarded-For or Forwarded, and from
# which addresses and networks it connects. What any other peer says in these headers is not believed.
behind_proxy = {behind_proxy}
trusted_proxies = [{trusted_proxies}]

# The PostgreSQL database. Left out, the database is an SQLite file beside this one. The password may stand in the address,
# as in postgres://USER:PASSWORD@HOST/DATABASE, or in the environment variable PGPASSWORD.
{database}

# Who may make an account: \"open\", \"invite\" (portcullis-server operator invite) or \"closed\".
sign_up = \"{sign_up}\"

# Who may claim a publisher's name: \"open\" or \"approve\" (portcullis-server operator publisher approve).
publishers = \"{publishers}\"

# The currencies in which publishers set prices and accounts pay in: active codes of ISO 4217. Left out, these:
# currencies = [{currencies}]

[payment]
# Offers the provider `sandbox`, which moves no money. For trying things out.
sandbox = {local}

[limits]
# Each is at least 1, but for those that say what 0 means.
# Bytes of a sealed file, and of all that one account has published; uploads under way at once, and of one account (one
# once half are taken); bytes per second that one has to bring.
upload_bytes = {upload_bytes}
account_bytes = {account_bytes}
uploads = {uploads}
uploads_per_account = {uploads_per_account}
upload_rate = {upload_rate}
# Connections at once, and of one address (behind a proxy: requests of one address at once). The system has to allow
# twice as many open files (LimitNOFILE, ulimit -n).
connections = {connections}
connections_per_address = {connections_per_address}
# Requests per second and at once, of one address and of one terminal.
address_rate = {address_rate}
address_burst = {address_burst}
terminal_rate = {terminal_rate}
terminal_burst = {terminal_burst}

# Requests of one merchant per second, and at once: an order takes two. They do not count for their address.
merchant_rate = {merchant_rate}
merchant_burst = {merchant_burst}
# Wrong passwords per account and address in ten minutes. A browser that has signed in before counts by itself.
sign_in_attempts = {sign_in_attempts}
# Device codes of one address in ten minutes, and terminals that an account may enrol within a day.
device_codes = {device_codes}
terminals_per_day = {terminals_per_day}
# Redemption codes of one account that nobody has redeemed. With 0 nobody makes any.
gift_codes = {gift_codes}
# Seconds between two polls of a terminal while its user signs in. With 0 it polls without a pause: for tests.
poll_seconds = {poll_seconds}
# Seconds that the body of an ordinary request may take to arrive.
request_seconds = {request_seconds}
# Streams of events at once. Each has a connection that stays open. With 0 there are none, and programs ask for events.
streams = {streams}

[log]
# error, warn, info, debug, or a filter such as info,hyper=warn; and \"json\" or \"text\". Logs go to standard error and
# hold no secrets.
level = \"info\"
format = \"{format}\"

[storage]
# Where sealed files lie, if not in the folder `files` beside this file: a bucket of a service that speaks S3.
# bucket = \"s3://NAME/PREFIX\"
# region = \"us-east-1\"
# endpoint = \"https://objects.example\"

[webhooks]
# Networks that the store's own webhooks may be sent to although they are not public, without TLS too.
# networks = [\"10.20.0.0/16\"]
# The same for endpoints of merchants and others, who then reach every machine there: to try things on one machine.
# networks_of_others = [\"127.0.0.0/8\"]

[traces]
# An OpenTelemetry collector that takes OTLP over HTTP, and which part of the requests is traced.
# endpoint = \"http://127.0.0.1:4318\"
# ratio = 1.0

[metrics]
# An address of its own for /metrics (OpenMetrics), /healthz and /readyz with reasons. Whoever reaches it reads them.
# listen = \"127.0.0.1:9464\"
",
        listen = config.listen,
        currencies = config.currencies.to_string().split(", ").map(|code| format!("\"{code}\"")).collect::<Vec<_>>().join(", "),
        upload_bytes = config.limits.upload_bytes,
        account_bytes = config.limits.account_bytes,
        uploads = config.limits.uploads,
        uploads_per_account = config.limits.uploads_per_account,
        upload_rate = config.limits.upload_rate,
        connections = config.limits.connections,
        connections_per_address = config.limits.connections_per_address,
        address_rate = config.limits.address_rate,
        address_burst = config.limits.address_burst,
        terminal_rate = config.limits.terminal_rate,
        terminal_burst = config.limits.terminal_burst,
        merchant_rate = config.limits.merchant_rate,
        merchant_burst = config.limits.merchant_burst,
        sign_in_attempts = config.limits.sign_in_attempts,
        device_codes = config.limits.device_codes,
        terminals_per_day = config.limits.terminals_per_day,
        gift_codes = config.limits.gift_codes,
        poll_seconds = if local { 1 } else { config.limits.poll_seconds },
        request_seconds = config.limits.request_seconds,
        streams = config.limits.streams,
        format = if local { "text" } else { "json" },
    )
}
