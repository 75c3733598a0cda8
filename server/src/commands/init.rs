//! `portcullis-server init`

use super::origin_of;
use crate::print;
use anyhow::{Context as _, bail};
use clap::Args;
use portcullis_protocol::Origin;
use portcullis_server::clock::Clock;
use portcullis_server::config::{Config, FILE_NAME};
use portcullis_server::faults::Faults;
use portcullis_server::keys::{self, Keys};
use portcullis_server::secrets::{Secrets, TokenRole, new_token};
use portcullis_server::store::NewInvitation;
use portcullis_server::{MASTER_KEY, open_store};
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// How long the first operator may take to follow the invitation: a week.
const INVITATION_LIFE: u64 = 7 * 24 * 3600;

#[derive(Debug, Args)]
pub(super) struct Init {
    /// The directory to make.
    #[arg(long, value_name = "DIR", default_value = "portcullis-server")]
    dir: PathBuf,
    /// What terminals will call the server, https://store.example. Left out, it listens on this machine only.
    #[arg(long, value_name = "URL")]
    origin: Option<Origin>,
    /// The address to listen on.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

impl Init {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let config = Config {
            dir: self.dir.clone(),
            origin: self.origin.clone(),
            listen: self.listen.unwrap_or(Config::default().listen),
            ..Config::default()
        };
        // Before anything is written: a public address needs a name.
        let origin = origin_of(&config)?;
        let master = self.dir.join(MASTER_KEY);
        if master.exists() {
            bail!("there is a server in {} already: `init` makes it once", self.dir.display());
        }
        make_private(&self.dir).with_context(|| format!("cannot make the directory {}", self.dir.display()))?;
        let secrets = Secrets::create(&master)?;
        let store = open_store(&self.dir, Clock::system(), Faults::from_env())?;
        keys::init(&*store, &secrets).await?;
        let keys = Keys::open(&*store, &secrets, origin.clone()).await?;
        let token = new_token();
        let invitation = NewInvitation {
            token: secrets.hash_token(TokenRole::Invitation, &token),
            operator: true,
            life: INVITATION_LIFE,
        };
        store.create_invitation(invitation).await?;
        store.close().await?;
        let file = self.dir.join(FILE_NAME);
        std::fs::write(&file, config_text(&config)).with_context(|| format!("cannot write {}", file.display()))?;

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

fn make_private(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// A configuration with a word on each key. On this machine alone, where nothing real is sold, everybody may do
/// everything in it; elsewhere nobody may before the operator says so.
fn config_text(config: &Config) -> String {
    let local = config.origin.is_none();
    let origin = match &config.origin {
        Some(origin) => format!("origin = \"{origin}\""),
        None => "# origin = \"https://store.example\"".to_owned(),
    };
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

# What terminals call it. It goes into everything that is signed, so it never changes. May be left out on loopback.
{origin}

# Whether a reverse proxy stands in front that appends the client's address to X-Forwarded-For. Only then is it read.
behind_proxy = false

# Who may make an account: \"open\", \"invite\" (portcullis-server operator invite) or \"closed\".
sign_up = \"{sign_up}\"

# Who may claim a publisher's name: \"open\" or \"approve\" (accounts of operators).
publishers = \"{publishers}\"

[payment]
# Offers the provider `sandbox`, which moves no money. For trying things out.
sandbox = {local}

[limits]
# Bytes of a sealed file, and uploads under way at once.
upload_bytes = {upload_bytes}
uploads = {uploads}
# Requests per second and at once, of one address and of one terminal.
address_rate = {address_rate}
address_burst = {address_burst}
terminal_rate = {terminal_rate}
terminal_burst = {terminal_burst}
# Sign-in attempts per account and per address in ten minutes.
sign_in_attempts = {sign_in_attempts}
# Device codes of one address in ten minutes, and terminals that an account may enrol within a day.
device_codes = {device_codes}
terminals_per_day = {terminals_per_day}
# Seconds between two polls of a terminal while its user signs in.
poll_seconds = {poll_seconds}
# Seconds that the body of an ordinary request may take to arrive.
request_seconds = {request_seconds}

[log]
# error, warn, info, debug; and \"json\" or \"text\". Logs go to standard error and hold no secrets.
level = \"info\"
format = \"{format}\"
",
        listen = config.listen,
        upload_bytes = config.limits.upload_bytes,
        uploads = config.limits.uploads,
        address_rate = config.limits.address_rate,
        address_burst = config.limits.address_burst,
        terminal_rate = config.limits.terminal_rate,
        terminal_burst = config.limits.terminal_burst,
        sign_in_attempts = config.limits.sign_in_attempts,
        device_codes = config.limits.device_codes,
        terminals_per_day = config.limits.terminals_per_day,
        poll_seconds = if local { 1 } else { config.limits.poll_seconds },
        request_seconds = config.limits.request_seconds,
        format = if local { "text" } else { "json" },
    )
}
