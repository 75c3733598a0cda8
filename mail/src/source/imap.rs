//! IMAP, read-only: EXAMINE and BODY.PEEK change no flag (RFC 3501 sections 6.3.2 and 6.4.5).
//!
//! ```text
//!   greeting ─▶ (STARTTLS) ─▶ CAPABILITY ─▶ AUTHENTICATE ─▶ EXAMINE ─▶ UID FETCH n:* sizes ─▶ UID FETCH n,m bodies …
//!                                                             └─ HIGHESTMODSEQ or UIDNEXT as before: nothing to do
//! ```

use crate::account::{Account, Encryption, Secret};
use crate::error::MailError;
use crate::limits::{MAX_BRACKETS, MAX_MAIL, MAX_MAILBOX, MAX_RESPONSES};
use crate::source::connection::{Connection, Plain};
use crate::source::{Changes, Cursor, Fetched, MailId, Source, xoauth2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imap_proto::types::{AttributeValue, Capability, MailboxDatum, Response, ResponseCode, Status};
use std::collections::HashMap;
use zeroize::Zeroizing;

/// Literals that are no mail: none of the answers asked for has one.
const NO_LITERAL: usize = 4 * 1024;

pub(super) struct Imap {
    connection: Connection,
    tag: u32,
    capabilities: Capabilities,
    mailbox: Mailbox,
    /// A server says this at any time; it ends the run.
    replaced: bool,
}

#[derive(Default)]
struct Capabilities {
    plain: bool,
    xoauth2: bool,
    initial_response: bool,
    login_disabled: bool,
    condstore: bool,
}

/// What EXAMINE says.
#[derive(Default, Clone, Copy)]
struct Mailbox {
    exists: u32,
    uid_validity: Option<u32>,
    uid_next: Option<u32>,
    highest_modseq: Option<u64>,
}

impl Imap {
    pub(super) async fn connect(account: &Account) -> Result<Self, MailError> {
        let plain = Plain::connect(account).await?;
        let (connection, greeted) = match account.encryption {
            Encryption::Tls => (plain.secure().await?, false),
            Encryption::StartTls => {
                // PREAUTH in the clear would leave STARTTLS out: whoever says it is not believed.
                let greeted = |line: &[u8]| line.to_ascii_uppercase().starts_with(b"* OK");
                let agreed = |line: &[u8]| {
                    let line = line.to_ascii_uppercase();
                    line.strip_prefix(b"P0 ").map(|answer| answer.starts_with(b"OK"))
                };
                (plain.upgrade(greeted, b"P0 STARTTLS\r\n", agreed).await?, true)
            }
        };
        let mut imap = Self {
            connection,
            tag: 0,
            capabilities: Capabilities::default(),
            mailbox: Mailbox::default(),
            replaced: false,
        };
        if !greeted {
            imap.greeting().await?;
        }
        imap.sign_in(account).await?;
        imap.examine(account).await?;
        Ok(imap)
    }

    async fn greeting(&mut self) -> Result<(), MailError> {
        let bytes = self.response(NO_LITERAL).await?;
        match parse(&bytes) {
            Some(Response::Data { status: Status::Ok, .. }) => Ok(()),
            _ => Err(self.connection.broke("its greeting is not that of a server that lets us sign in")),
        }
    }

    async fn sign_in(&mut self, account: &Account) -> Result<(), MailError> {
        let mut found = Capabilities::default();
        self.command("CAPABILITY", NO_LITERAL, &mut |response| note_capabilities(&mut found, response)).await?;
        self.capabilities = found;
        let server = self.connection.server().to_owned();
        let refused = || MailError::SignIn { server };
        let (mechanism, message) = match &account.secret {
            Secret::Token(token) if self.capabilities.xoauth2 => ("XOAUTH2", xoauth2(&account.user, token)),
            Secret::Password(password) if self.capabilities.plain => {
                ("PLAIN", Zeroizing::new(format!("\0{}\0{}", account.user, &**password)))
            }
            Secret::Password(password) if !self.capabilities.login_disabled => {
                let login = Zeroizing::new(format!("LOGIN {} {}", &*quoted(&account.user), &*quoted(password)));
                return self.command(&login, NO_LITERAL, &mut |_| {}).await?.then_some(()).ok_or_else(refused);
            }
            _ => return Err(refused()),
        };
        let message = Zeroizing::new(STANDARD.encode(message.as_bytes()));
        if self.capabilities.initial_response {
            let command = Zeroizing::new(format!("AUTHENTICATE {mechanism} {}", &*message));
            return self.authenticated(&command, b"\r\n").await;
        }
        let message = Zeroizing::new(format!("{}\r\n", &*message));
        self.authenticated(&format!("AUTHENTICATE {mechanism}"), message.as_bytes()).await
    }

    /// Sends the command, and `reply` when the server asks to go on: the message. To what it asks further, such as the
    /// details of an error, the answer is an empty line.
    async fn authenticated(&mut self, command: &str, reply: &[u8]) -> Result<(), MailError> {
        let tag = self.send(command).await?;
        let mut reply = reply;
        for _ in 0..MAX_RESPONSES {
            let bytes = self.response(NO_LITERAL).await?;
            if bytes.starts_with(b"+") {
                self.connection.send(reply).await?;
                reply = b"\r\n";
            } else if let Some(ok) = done(&bytes, &tag) {
                return if ok {
                    Ok(())
                } else {
                    Err(MailError::SignIn { server: self.connection.server().to_owned() })
                };
            }
        }
        Err(self.connection.broke("it does not end its answer"))
    }

    async fn examine(&mut self, account: &Account) -> Result<(), MailError> {
        let mut mailbox = Mailbox::default();
        // After the sign-in a server may offer more than before.
        let mut found = Capabilities::default();
        self.command("CAPABILITY", NO_LITERAL, &mut |response| note_capabilities(&mut found, response)).await?;
        self.capabilities.condstore = found.condstore;
        let condstore = if found.condstore { " (CONDSTORE)" } else { "" };
        let command = format!("EXAMINE {}{condstore}", &*quoted(&account.mailbox));
        let opened = self
            .command(&command, NO_LITERAL, &mut |response| match response {
                Response::MailboxData(MailboxDatum::Exists(count)) => mailbox.exists = *count,
                Response::Data { code: Some(code), .. } | Response::Done { code: Some(code), .. } => match code {
                    ResponseCode::UidValidity(value) => mailbox.uid_validity = Some(*value),
                    ResponseCode::UidNext(value) => mailbox.uid_next = Some(*value),
                    ResponseCode::HighestModSeq(value) => mailbox.highest_modseq = Some(*value),
                    _ => {}
                },
                _ => {}
            })
            .await?;
        if !opened {
            return Err(MailError::Mailbox {
                server: self.connection.server().to_owned(),
                mailbox: account.mailbox.clone(),
            });
        }
        self.mailbox = mailbox;
        Ok(())
    }

    /// Sends a command and hands over every response until its end; returns whether it succeeded.
    async fn command(
        &mut self,
        command: &str,
        literals: usize,
        each: &mut (dyn FnMut(&Response<'_>) + Send),
    ) -> Result<bool, MailError> {
        let tag = self.send(command).await?;
        let most = MAX_RESPONSES + self.mailbox.exists.min(MAX_MAILBOX as u32) as usize;
        for _ in 0..most {
            let bytes = self.response(literals).await?;
            let ended = done(&bytes, &tag);
            // Untagged responses that are not known are somebody's extension, and nothing that was asked for.
            if let Some(response) = parse(&bytes) {
                if let Response::Data { code: Some(ResponseCode::UidValidity(now)), .. } = &response {
                    self.replaced |= self.mailbox.uid_validity.is_some_and(|before| before != *now);
                }
                if let Response::Data { status: Status::Bye, .. } = &response {
                    return Err(self.connection.broke("it said goodbye"));
                }
                each(&response);
            }
            if let Some(ok) = ended {
                return if self.replaced { Err(MailError::Replaced) } else { Ok(ok) };
            }
        }
        Err(self.connection.broke("it does not end its answer"))
    }

    /// The mails of these UIDs, as far as they are there; whether the server said that it sent all.
    async fn bodies(&mut self, uids: &[u32], found: &mut HashMap<u32, Vec<u8>>) -> Result<bool, MailError> {
        let list: Vec<String> = uids.iter().map(u32::to_string).collect();
        let mut left = MAX_MAIL;
        let mut is_too_much = false;
        let command = format!("UID FETCH {} (UID BODY.PEEK[])", list.join(","));
        let ok = self
            .command(&command, MAX_MAIL, &mut |response| {
                let Response::Fetch(_, attributes) = response else { return };
                let uid =
                    attributes.iter().find_map(|a| if let AttributeValue::Uid(uid) = a { Some(*uid) } else { None });
                let Some(uid) = uid.filter(|uid| uids.contains(uid)) else { return };
                for attribute in attributes {
                    if let AttributeValue::BodySection { section: None, data: Some(data), .. } = attribute {
                        match left.checked_sub(data.len()) {
                            Some(rest) => {
                                left = rest;
                                found.insert(uid, data.to_vec());
                            }
                            None => is_too_much = true,
                        }
                    }
                }
            })
            .await?;
        if is_too_much {
            // The sizes that it listed were those of other mails.
            return Err(self.connection.broke("it sends more at once than was asked for, or than a mail may have"));
        }
        Ok(ok)
    }

    async fn send(&mut self, command: &str) -> Result<String, MailError> {
        self.tag += 1;
        let tag = format!("P{}", self.tag);
        let line = Zeroizing::new(format!("{tag} {command}\r\n"));
        self.connection.send(line.as_bytes()).await?;
        Ok(tag)
    }

    /// One response, its literals included, which have at most `literals` bytes together.
    async fn response(&mut self, literals: usize) -> Result<Vec<u8>, MailError> {
        let mut bytes = Vec::new();
        let mut left = literals;
        let mut lines = crate::limits::MAX_PROTOCOL_LINE;
        let mut brackets = 0;
        loop {
            let line = self.connection.line().await?;
            brackets =
                nested(&line, brackets).ok_or_else(|| self.connection.broke("an answer is nested too deeply"))?;
            lines = lines.checked_sub(line.len()).ok_or_else(|| self.connection.broke("a response is too long"))?;
            bytes.extend_from_slice(&line);
            bytes.extend_from_slice(b"\r\n");
            let Some(length) = literal(&line) else { return Ok(bytes) };
            let length = length.filter(|length| *length <= left).ok_or_else(|| {
                self.connection.broke("it sends more at once than was asked for, or than a mail may have")
            })?;
            left -= length;
            self.connection.exactly(length, &mut bytes).await?;
        }
    }
}

#[async_trait::async_trait]
impl Source for Imap {
    async fn changes(&mut self, cursor: Option<&Cursor>) -> Result<Changes, MailError> {
        let Mailbox { exists, uid_validity, uid_next, highest_modseq } = self.mailbox;
        let uid_validity = uid_validity.ok_or_else(|| self.connection.broke("the mailbox has no UIDVALIDITY"))?;
        let before = match cursor {
            Some(Cursor::Imap { uid_validity: of, next_uid, highest_modseq }) if *of == uid_validity => {
                Some((*next_uid, *highest_modseq))
            }
            _ => None,
        };
        let fresh = before.is_none();
        let (first, modseq) = before.unwrap_or((1, None));
        let unchanged = exists == 0
            || uid_next.is_some_and(|next| next <= first)
            || (uid_next.is_none() && modseq.is_some() && modseq == highest_modseq);
        let mut new = Vec::new();
        let mut next_uid = first;
        if !unchanged {
            let mut uids: Vec<(u32, u32)> = Vec::new();
            let command = format!("UID FETCH {first}:* (UID RFC822.SIZE)");
            let listed = self
                .command(&command, NO_LITERAL, &mut |response| {
                    if let Response::Fetch(_, attributes) = response {
                        let uid = attributes
                            .iter()
                            .find_map(|a| if let AttributeValue::Uid(u) = a { Some(*u) } else { None });
                        let size = attributes
                            .iter()
                            .find_map(|a| if let AttributeValue::Rfc822Size(s) = a { Some(*s) } else { None });
                        // `n:*` names the last mail even if its UID is below n, and flags of others may be announced.
                        if let (Some(uid), Some(size)) = (uid, size)
                            && uid >= first
                        {
                            uids.push((uid, size));
                        }
                    }
                })
                .await?;
            if !listed {
                return Err(self.connection.broke("it does not list the mails"));
            }
            uids.sort_unstable();
            uids.dedup_by_key(|(uid, _)| *uid);
            next_uid = uids.last().map_or(first, |(uid, _)| uid.saturating_add(1));
            new = uids.into_iter().map(|(uid, size)| MailId { id: uid.to_string(), size: size.into() }).collect();
        }
        // Of what has been listed: a mail that arrives between EXAMINE and the list is above it the next time.
        Ok(Changes { fresh, new, cursor: Cursor::Imap { uid_validity, next_uid, highest_modseq } })
    }

    async fn fetch(&mut self, mails: &[MailId], arrived: &mut Vec<Fetched>) -> Result<(), MailError> {
        let mut wanted: Vec<(u32, bool)> = Vec::new();
        for mail in mails {
            let uid = mail.id.parse().map_err(|_| self.connection.broke("a UID is not a number"))?;
            wanted.push((uid, mail.size > MAX_MAIL as u64));
        }
        let uids: Vec<u32> = wanted.iter().filter(|(_, too_long)| !too_long).map(|(uid, _)| *uid).collect();
        let mut found = HashMap::new();
        let mut asked = if uids.is_empty() { Ok(true) } else { self.bodies(&uids, &mut found).await };
        // A server may say NO if one of them was removed meanwhile (RFC 2180), and need not send the others then.
        if matches!(asked, Ok(false)) && uids.len() > 1 {
            for uid in uids.iter().filter(|uid| !found.contains_key(*uid)).copied().collect::<Vec<_>>() {
                asked = self.bodies(&[uid], &mut found).await;
                if asked.is_err() {
                    break;
                }
            }
        }
        if matches!(asked, Err(MailError::Replaced)) {
            // Nobody knows of which mailbox they are.
            found.clear();
        }
        for (uid, too_long) in wanted {
            arrived.push(match (found.remove(&uid), too_long, &asked) {
                (Some(raw), ..) => Fetched::Whole(raw),
                (None, true, _) => Fetched::TooLong,
                (None, false, Ok(_)) => Fetched::Gone,
                // It may still be there.
                (None, false, Err(_)) => break,
            });
        }
        asked.map(|_| ())
    }

    fn received(&self) -> u64 {
        self.connection.received()
    }
}

fn note_capabilities(found: &mut Capabilities, response: &Response<'_>) {
    let (Response::Capabilities(list)
    | Response::Data { code: Some(ResponseCode::Capabilities(list)), .. }
    | Response::Done { code: Some(ResponseCode::Capabilities(list)), .. }) = response
    else {
        return;
    };
    for capability in list {
        match capability {
            Capability::Auth(name) => {
                found.plain |= name.eq_ignore_ascii_case("PLAIN");
                found.xoauth2 |= name.eq_ignore_ascii_case("XOAUTH2");
            }
            Capability::Atom(name) => {
                found.initial_response |= name.eq_ignore_ascii_case("SASL-IR");
                found.login_disabled |= name.eq_ignore_ascii_case("LOGINDISABLED");
                found.condstore |= name.eq_ignore_ascii_case("CONDSTORE") || name.eq_ignore_ascii_case("QRESYNC");
            }
            _ => {}
        }
    }
}

/// The response, if it is one and nothing follows it.
fn parse(bytes: &[u8]) -> Option<Response<'_>> {
    imap_proto::parser::parse_response(bytes).ok().filter(|(rest, _)| rest.is_empty()).map(|(_, response)| response)
}

/// Whether the command of this tag has ended, and well.
fn done(bytes: &[u8], tag: &str) -> Option<bool> {
    let rest = bytes.strip_prefix(tag.as_bytes())?.strip_prefix(b" ")?;
    Some(rest.get(..2).is_some_and(|status| status.eq_ignore_ascii_case(b"OK")))
}

/// How many brackets are open after a line, outside quotes, if never more are than answers have: the parser calls
/// itself for each.
fn nested(line: &[u8], open: usize) -> Option<usize> {
    let (mut open, mut is_quoted, mut is_escaped) = (open, false, false);
    for byte in line {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_quoted,
            b'"' => is_quoted = !is_quoted,
            b'(' if !is_quoted => open += 1,
            b')' if !is_quoted => open = open.saturating_sub(1),
            _ => {}
        }
        if open > MAX_BRACKETS {
            return None;
        }
    }
    // A quote that does not end is none.
    if is_quoted && line.iter().filter(|byte| **byte == b'(').count() > MAX_BRACKETS { None } else { Some(open) }
}

/// What is made of a response that ends here.
pub(super) fn fuzz(bytes: &[u8]) {
    if bytes.split(|byte| *byte == b'\n').try_fold(0, |open, line| nested(line, open)).is_none() {
        return;
    }
    let _ = (literal(bytes), done(bytes, "P1"));
    if let Some(response) = parse(bytes) {
        note_capabilities(&mut Capabilities::default(), &response);
    }
}

/// The length of the literal that the line announces: `None` if none, `Some(None)` if it is not a number that fits.
fn literal(line: &[u8]) -> Option<Option<usize>> {
    let inner = line.strip_suffix(b"}")?;
    let open = inner.iter().rposition(|byte| *byte == b'{')?;
    let digits = inner.get(open + 1..)?;
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()))
}

/// A quoted string. Control characters were refused with the account's settings.
fn quoted(text: &str) -> Zeroizing<String> {
    let mut quoted = Zeroizing::new(String::with_capacity(2 * text.len() + 2));
    quoted.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_not_nested_deeper_than_the_parser_can_follow() {
        assert_eq!(nested(b"* 1 FETCH (UID 1 BODY[] {12}", 0), Some(1));
        assert_eq!(nested(b")", 1), Some(0));
        assert_eq!(nested(br#"* OK "((((" \"#, 0), Some(0));
        let many = |with: &str| nested(format!("* 1 FETCH ({with}{}", "(".repeat(64_000)).as_bytes(), 0);
        assert_eq!((many("BODYSTRUCTURE "), many("BODYSTRUCTURE \""), many("x \\\"")), (None, None, None));
    }

    #[test]
    fn literals_are_found_at_the_end_of_a_line_only() {
        assert_eq!(literal(b"* 1 FETCH (BODY[] {12}"), Some(Some(12)));
        assert_eq!(literal(b"* 1 FETCH (BODY[] {99999999999999999999999}"), Some(None));
        for none in [&b"* OK {12} more"[..], b"* OK {}", b"* OK {a}", b"* OK 12}", b"", b"}", b"{-1}"] {
            assert_eq!(literal(none), None);
        }
        assert_eq!(&*quoted(r#"a"b\c"#), r#""a\"b\\c""#);
        assert_eq!(
            (done(b"P1 OK x", "P1"), done(b"P1 NO x", "P1"), done(b"P10 OK", "P1")),
            (Some(true), Some(false), None)
        );
    }
}
