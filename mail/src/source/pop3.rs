//! POP3, without DELE and RETR, and without QUIT: only QUIT makes a server delete anything (RFC 1939 section 6).
//!
//! ```text
//!   greeting ─▶ (STLS) ─▶ USER, PASS ─▶ CAPA ─▶ STAT, UIDL n ─▶ UIDL, LIST ─▶ TOP n …
//!                                                └─ count, bytes and last id as before: nothing to do
//! ```

use crate::account::{Account, Encryption, Secret};
use crate::error::MailError;
use crate::limits::{MAX_MAIL, MAX_MAILBOX};
use crate::source::connection::{Connection, Plain};
use crate::source::{Changes, Cursor, Fetched, MailId, Source, xoauth2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_protocol::Digest;
use std::collections::{BTreeSet, HashMap};
use zeroize::Zeroizing;

/// More lines than a mail that is read can have: every one takes a byte or two.
const ALL_LINES: usize = MAX_MAIL;

/// Capabilities of a server. Real ones have below twenty.
const MAX_CAPABILITIES: usize = 256;

pub(super) struct Pop3 {
    connection: Connection,
    /// The numbers of this session, by unique id; listed when they are first needed.
    numbers: Option<HashMap<String, usize>>,
    /// Whether it has answered TOP: then a mail that it refuses is damaged or gone, and others are not.
    has_top: bool,
    /// Whether commands may be sent before the answers to earlier ones have arrived (RFC 2449 section 6.6).
    is_pipelining: bool,
}

impl Pop3 {
    pub(super) async fn connect(account: &Account) -> Result<Self, MailError> {
        let plain = Plain::connect(account).await?;
        let connection = match account.encryption {
            Encryption::Tls => {
                let mut connection = plain.secure().await?;
                if !connection.line().await?.starts_with(b"+OK") {
                    return Err(connection.broke("its greeting is not that of a server that lets us sign in"));
                }
                connection
            }
            Encryption::StartTls => {
                let agreed = |line: &[u8]| Some(line.starts_with(b"+OK"));
                plain.upgrade(|line| line.starts_with(b"+OK"), b"STLS\r\n", agreed).await?
            }
        };
        let mut pop3 = Self { connection, numbers: None, has_top: false, is_pipelining: false };
        pop3.sign_in(account).await?;
        pop3.is_pipelining = pop3.capabilities().await?.iter().any(|name| name == "PIPELINING");
        Ok(pop3)
    }

    async fn sign_in(&mut self, account: &Account) -> Result<(), MailError> {
        let accepted = match &account.secret {
            Secret::Password(password) => {
                let password = Zeroizing::new(format!("PASS {}", &**password));
                self.command(&format!("USER {}", account.user)).await?.is_some()
                    && self.command(&password).await?.is_some()
            }
            Secret::Token(token) => {
                let message = Zeroizing::new(STANDARD.encode(xoauth2(&account.user, token).as_bytes()));
                let command = Zeroizing::new(format!("AUTH XOAUTH2 {}", &*message));
                self.command(&command).await?.is_some()
            }
        };
        if accepted { Ok(()) } else { Err(MailError::SignIn { server: self.connection.server().to_owned() }) }
    }

    /// What the server says that it can do; nothing if it has no such command.
    async fn capabilities(&mut self) -> Result<Vec<String>, MailError> {
        if self.command("CAPA").await?.is_none() {
            return Ok(Vec::new());
        }
        let mut all = Vec::new();
        loop {
            let line = self.connection.line().await?;
            if line == b"." {
                return Ok(all);
            }
            if all.len() >= MAX_CAPABILITIES {
                return Err(self.connection.broke("its list does not end"));
            }
            all.push(String::from_utf8_lossy(&line).trim().to_ascii_uppercase());
        }
    }

    /// The text after `+OK`, or `None` for `-ERR`.
    async fn command(&mut self, command: &str) -> Result<Option<String>, MailError> {
        let line = Zeroizing::new(format!("{command}\r\n"));
        self.connection.send(line.as_bytes()).await?;
        let answer = self.connection.line().await?;
        match answer.strip_prefix(b"+OK") {
            Some(text) => Ok(Some(String::from_utf8_lossy(text).trim().to_owned())),
            None => Ok(None),
        }
    }

    /// Lines `number value` until the dot.
    async fn list(&mut self, command: &str) -> Result<Vec<(usize, String)>, MailError> {
        if self.command(command).await?.is_none() {
            return Err(self.connection.broke("it does not list the mails; a server without UIDL cannot be read"));
        }
        let mut all = Vec::new();
        loop {
            let line = self.connection.line().await?;
            if line == b"." {
                return Ok(all);
            }
            if all.len() >= MAX_MAILBOX {
                return Err(self.connection.broke("its list does not end"));
            }
            all.push(
                entry(&String::from_utf8_lossy(&line)).ok_or_else(|| self.connection.broke("its list is not one"))?,
            );
        }
    }

    async fn numbers(&mut self) -> Result<&HashMap<String, usize>, MailError> {
        if self.numbers.is_none() {
            let listed = self.list("UIDL").await?;
            self.numbers = Some(listed.into_iter().map(|(number, id)| (id, number)).collect());
        }
        Ok(self.numbers.get_or_insert_default())
    }
}

#[async_trait::async_trait]
impl Source for Pop3 {
    async fn changes(&mut self, cursor: Option<&Cursor>) -> Result<Changes, MailError> {
        let status = self.command("STAT").await?.unwrap_or_default();
        let (count, size) = entry(&status)
            .and_then(|(count, size)| Some((count, size.parse::<u64>().ok()?)))
            .unwrap_or((usize::MAX, 0));
        if count > MAX_MAILBOX {
            return Err(self.connection.broke("it does not say how many mails there are"));
        }
        let last = match count {
            0 => None,
            _ => self.command(&format!("UIDL {count}")).await?.and_then(|answer| entry(&answer)).map(|(_, id)| id),
        };
        let before = match cursor {
            Some(Cursor::Pop3 { count, size, last, seen }) => Some((*count, *size, last, seen)),
            _ => None,
        };
        if let Some((of_count, of_size, of_last, seen)) = before
            && (of_count, of_size, of_last) == (count, size, &last)
        {
            let cursor = Cursor::Pop3 { count, size, last, seen: seen.clone() };
            return Ok(Changes { fresh: false, new: Vec::new(), cursor });
        }
        let sizes: HashMap<usize, u64> = match count {
            0 => HashMap::new(),
            _ => self.list("LIST").await?.into_iter().filter_map(|(at, size)| Some((at, size.parse().ok()?))).collect(),
        };
        let mut listed: Vec<(usize, String)> = match count {
            0 => Vec::new(),
            _ => self.numbers().await?.iter().map(|(id, number)| (*number, id.clone())).collect(),
        };
        listed.sort_unstable();
        let known = before.map(|(_, _, _, seen)| seen);
        let seen: BTreeSet<Digest> = listed.iter().map(|(_, id)| Digest::of(id.as_bytes())).collect();
        let new = listed
            .into_iter()
            .filter(|(_, id)| !known.is_some_and(|known| known.contains(&Digest::of(id.as_bytes()))))
            .map(|(number, id)| MailId { id, size: sizes.get(&number).copied().unwrap_or_default() })
            .collect();
        Ok(Changes { fresh: before.is_none(), new, cursor: Cursor::Pop3 { count, size, last, seen } })
    }

    async fn fetch(&mut self, mails: &[MailId], arrived: &mut Vec<Fetched>) -> Result<(), MailError> {
        let numbers = self.numbers().await?;
        let numbers: Vec<Option<usize>> = mails.iter().map(|mail| numbers.get(&mail.id).copied()).collect();
        let is_wanted = |mail: &MailId| mail.size <= MAX_MAIL as u64;
        // Not RETR: servers note that a mail was retrieved, and dovecot marks it as read even if nobody says QUIT.
        let command = |number: usize| format!("TOP {number} {ALL_LINES}\r\n");
        if self.is_pipelining {
            let wanted =
                mails.iter().zip(&numbers).filter(|(mail, _)| is_wanted(mail)).filter_map(|(_, number)| *number);
            let commands: String = wanted.map(command).collect();
            self.connection.send(commands.as_bytes()).await?;
        }
        let mut left = MAX_MAIL;
        for (mail, number) in mails.iter().zip(numbers) {
            arrived.push(match number {
                _ if !is_wanted(mail) => Fetched::TooLong,
                None => Fetched::Gone,
                Some(number) => {
                    if !self.is_pipelining {
                        self.connection.send(command(number).as_bytes()).await?;
                    }
                    match self.mail(left).await? {
                        Some(whole) => {
                            left -= whole.len();
                            Fetched::Whole(whole)
                        }
                        None => Fetched::Gone,
                    }
                }
            });
        }
        Ok(())
    }

    fn received(&self) -> u64 {
        self.connection.received()
    }
}

impl Pop3 {
    /// The answer to a TOP, of at most `most` bytes; `None` if it does not hand out this mail.
    async fn mail(&mut self, most: usize) -> Result<Option<Vec<u8>>, MailError> {
        if !self.connection.line().await?.starts_with(b"+OK") {
            if self.has_top {
                return Ok(None);
            }
            return Err(self.connection.broke("it has no TOP, and RETR would mark mails as read"));
        }
        self.has_top = true;
        let mut whole = Vec::new();
        loop {
            let line = self.connection.line().await?;
            if line == b"." {
                return Ok(Some(whole));
            }
            let line = line.strip_prefix(b".").unwrap_or(&line);
            if whole.len() + line.len() + 2 > most {
                return Err(self.connection.broke("it sends more than was asked for, or than a mail may have"));
            }
            whole.extend_from_slice(line);
            whole.extend_from_slice(b"\r\n");
        }
    }
}

pub(super) fn fuzz(bytes: &[u8]) {
    drop(entry(&String::from_utf8_lossy(bytes)));
}

/// `1 whqtswO00WBw418f9t5JxYwZ`.
fn entry(line: &str) -> Option<(usize, String)> {
    let mut words = line.split_ascii_whitespace();
    let number = words.next()?.parse().ok()?;
    let value = words.next()?;
    (value.len() <= 256).then(|| (number, value.to_owned()))
}
