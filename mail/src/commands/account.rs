//! `portcullis-mail account`.

use super::say;
use anyhow::{Context as _, Result, ensure};
use clap::{Args, Subcommand, ValueEnum};
use portcullis_mail::{Account, AccountName, Address, Encryption, Protocol, Renewal, SealedFolder, Secret};
use std::io::{self, IsTerminal as _, Read as _};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// The longest password or token.
const MAX_SECRET: u64 = 16 * 1024;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Add a mailbox, or replace one of the same name. The password is asked for, or read from standard input
    Add(Box<Add>),
    /// List the mailboxes
    List,
    /// Forget a mailbox and its password. Bills that were found stay
    Remove {
        /// Its name
        name: AccountName,
    },
}

#[derive(Args)]
pub(crate) struct Add {
    /// What to call it
    name: AccountName,
    /// How it is read
    #[arg(long, value_enum, default_value = "imap")]
    protocol: ProtocolArgument,
    /// The server's host name; with JMAP the https address of its session resource
    #[arg(long)]
    server: String,
    /// The port, if it is not the usual one; with JMAP it stands in the address
    #[arg(long, value_parser = port)]
    port: Option<u16>,
    /// Begin TLS by STARTTLS or STLS, as older servers want it
    #[arg(long)]
    starttls: bool,
    /// Who signs in
    #[arg(long)]
    user: String,
    /// What is read from standard input is an OAuth access token, not a password
    #[arg(long)]
    token: bool,
    /// The provider's token endpoint: what is read from standard input is then an OAuth refresh token, which brings
    /// access tokens from there
    #[arg(long, value_name = "URL", requires = "client_id", conflicts_with = "token")]
    token_endpoint: Option<String>,
    /// Whom the provider knows this program as, for its token endpoint
    #[arg(long, requires = "token_endpoint")]
    client_id: Option<String>,
    /// A file with what the provider gave with that name, if anything
    #[arg(long, value_name = "FILE", requires = "token_endpoint")]
    client_secret: Option<PathBuf>,
    /// The IMAP mailbox, if it is not INBOX
    #[arg(long)]
    mailbox: Option<String>,
    /// An address that bills are sent to; repeat it for each
    #[arg(long = "address", required = true)]
    addresses: Vec<Address>,
    /// A domain that forwards your mail and seals it (ARC), if you trust it; repeat it for each
    #[arg(long = "forwarder")]
    forwarders: Vec<String>,
    /// A certificate authority to trust beside those of the system, as a PEM file
    #[arg(long)]
    authority: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ProtocolArgument {
    Imap,
    Pop3,
    Jmap,
}

impl Verb {
    pub(crate) fn run(self, folder: &SealedFolder) -> Result<()> {
        match self {
            Self::Add(add) => add.run(folder),
            Self::List => {
                let names = Account::names(folder)?;
                if names.is_empty() {
                    eprintln!(
                        "No mailboxes. To add one: portcullis-mail account add NAME --server HOST --user USER --address ADDRESS"
                    );
                }
                for name in names {
                    let account = Account::load(folder, &name)?;
                    let addresses: Vec<&str> = account.addresses.iter().map(Address::as_str).collect();
                    say(&format!("{name}\t{}\t{}\t{}", account.protocol, account.server, addresses.join(", ")))?;
                }
                Ok(())
            }
            Self::Remove { name } => {
                Account::remove(folder, &name)?;
                say(&format!("forgot {name}"))
            }
        }
    }
}

impl Add {
    fn run(self, folder: &SealedFolder) -> Result<()> {
        let encryption = if self.starttls { Encryption::StartTls } else { Encryption::Tls };
        let (protocol, usual) = match (self.protocol, encryption) {
            (ProtocolArgument::Imap, Encryption::Tls) => (Protocol::Imap, 993),
            (ProtocolArgument::Imap, _) => (Protocol::Imap, 143),
            (ProtocolArgument::Pop3, Encryption::Tls) => (Protocol::Pop3, 995),
            (ProtocolArgument::Pop3, _) => (Protocol::Pop3, 110),
            (ProtocolArgument::Jmap, _) => (Protocol::Jmap, 443),
        };
        if protocol == Protocol::Jmap {
            ensure!(self.port.is_none(), "with JMAP the port stands in the address: leave --port out");
            ensure!(!self.starttls, "JMAP begins with TLS: leave --starttls out");
        }
        if protocol != Protocol::Imap {
            ensure!(self.mailbox.is_none(), "only IMAP has mailboxes to choose from: leave --mailbox out");
        }
        let authority = self.authority.map(std::path::absolute).transpose().context("the certificate's path")?;
        let client_secret = match &self.client_secret {
            Some(file) => {
                let text =
                    std::fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
                Zeroizing::new(Zeroizing::new(text).trim().to_owned())
            }
            None => Zeroizing::default(),
        };
        let renewal = match (self.token_endpoint, self.client_id) {
            (Some(endpoint), Some(client)) => {
                Some(Renewal { endpoint, client, client_secret, refresh_token: Zeroizing::default(), expires: 0 })
            }
            _ => None,
        };
        let mut account = Account {
            name: self.name,
            protocol,
            server: self.server,
            port: self.port.unwrap_or(usual),
            encryption,
            user: self.user,
            secret: Secret::Token(Zeroizing::default()),
            mailbox: self.mailbox.unwrap_or_else(|| "INBOX".to_owned()),
            addresses: self.addresses,
            forwarders: self.forwarders,
            authority,
            renewal,
        };
        // Nobody types a password for what cannot work.
        account.check()?;
        let secret = secret()?;
        match &mut account.renewal {
            Some(renewal) => renewal.refresh_token = secret,
            None if self.token => account.secret = Secret::Token(secret),
            None => account.secret = Secret::Password(secret),
        }
        account.check()?;
        let name = &account.name;
        let _lock = folder.lock_account(name)?;
        let done = if Account::names(folder)?.contains(name) { "replaced the settings of" } else { "added" };
        account.store(folder)?;
        say(&format!("{done} {name}. Next: portcullis-mail fetch {name}"))
    }
}

fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| "write a number from 1 to 65535, or leave it out for the usual port".to_owned())
}

/// Asked for at a terminal, else the first line of standard input.
fn secret() -> Result<Zeroizing<String>> {
    let secret = if io::stdin().is_terminal() {
        Zeroizing::new(rpassword::prompt_password("Password: ").context("cannot read the password")?)
    } else {
        let mut all = Zeroizing::new(String::new());
        io::stdin().take(MAX_SECRET).read_to_string(&mut all).context("cannot read the password")?;
        Zeroizing::new(all.lines().next().unwrap_or_default().to_owned())
    };
    ensure!(!secret.is_empty(), "the password is empty. Type it, or pipe it in");
    Ok(secret)
}
