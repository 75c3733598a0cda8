//! JMAP over HTTPS (RFC 8620, RFC 8621): only `Email/query`, `Email/changes`, `Email/get` and downloads.
//!
//! ```text
//!   session ─▶ Email/changes since the state ─▶ Email/get blobId, size ─▶ download …
//!               └─ none, or cannotCalculateChanges: Email/get (the state), Email/query by pages
//! ```

use crate::account::{Account, Secret};
use crate::error::MailError;
use crate::limits::{
    CONNECT_TIMEOUT, HTTP_TIMEOUT, JMAP_BATCH, JMAP_DOWNLOADS, MAX_ID, MAX_JMAP_ANSWER, MAX_MAIL, MAX_MAILBOX,
    READ_TIMEOUT,
};
use crate::source::{Changes, Cursor, Fetched, MailId, Source};
use futures::{StreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use url::{Host, Url};

const CORE: &str = "urn:ietf:params:jmap:core";
const MAIL: &str = "urn:ietf:params:jmap:mail";

/// Bytes that a mail may have in any case, whatever the server listed.
const MIN_DOWNLOAD: usize = 64 * 1024;

/// Answers about changes in which nothing was created: of half a million mails that were moved or deleted.
const MAX_ROUNDS: usize = 1_000;

pub(super) struct Jmap {
    client: reqwest::Client,
    server: String,
    session_url: Url,
    user: String,
    secret: Secret,
    session: Option<Session>,
    received: AtomicU64,
}

struct Session {
    api: Url,
    download: String,
    account: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSession {
    api_url: String,
    download_url: String,
    primary_accounts: HashMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEmail {
    blob_id: String,
    #[serde(default)]
    size: u64,
}

/// The address of a session resource: https, or http to this machine.
pub(crate) fn session_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let here = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    let good = url.username().is_empty() && url.password().is_none();
    (good && (url.scheme() == "https" || (url.scheme() == "http" && here))).then_some(url)
}

/// A client that trusts the account's authority as well, and goes nowhere else than it is sent.
pub(crate) fn client(account: &Account, server: &str) -> Result<reqwest::ClientBuilder, MailError> {
    // A redirect would carry the credentials elsewhere.
    let mut builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).referer(false);
    if let Some(authority) = &account.authority {
        for certificate in super::certificates(authority)? {
            let certificate = reqwest::Certificate::from_der(&certificate)
                .map_err(|error| MailError::Untrusted { server: server.to_owned(), cause: error.to_string() })?;
            builder = builder.add_root_certificate(certificate);
        }
    }
    Ok(builder)
}

impl Jmap {
    pub(super) fn connect(account: &Account) -> Result<Self, MailError> {
        let server = account.server.clone();
        let unreachable = |cause: String| MailError::Unreachable { server: server.clone(), cause };
        let session_url = session_url(&server).ok_or_else(|| unreachable("not an https address".into()))?;
        let client =
            client(account, &server)?.connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT).timeout(HTTP_TIMEOUT);
        let client = client.build().map_err(|error| unreachable(error.to_string()))?;
        Ok(Self {
            client,
            session_url,
            user: account.user.clone(),
            secret: account.secret.clone(),
            session: None,
            received: AtomicU64::new(0),
            server,
        })
    }

    fn broke(&self, what: &'static str) -> MailError {
        MailError::protocol(&self.server, what)
    }

    /// The answer to a request, of at most `most` bytes; `None` if there is none of that name.
    async fn ask(&self, request: reqwest::RequestBuilder, most: usize) -> Result<Option<Vec<u8>>, MailError> {
        let request = match &self.secret {
            Secret::Password(password) => request.basic_auth(&self.user, Some(&**password)),
            Secret::Token(token) => request.bearer_auth(&**token),
        };
        let unreachable = |error| MailError::http(&self.server, error);
        let mut answer = request.send().await.map_err(unreachable)?;
        match answer.status().as_u16() {
            200 => {}
            401 | 403 => return Err(MailError::SignIn { server: self.server.clone() }),
            404 | 410 => return Ok(None),
            _ => return Err(self.broke("it answers with a status that is not success")),
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            self.received.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            if body.len() + chunk.len() > most {
                return Err(self.broke("it sends more at once than was asked for, or than a mail may have"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Some(body))
    }

    async fn session(&mut self) -> Result<&Session, MailError> {
        if self.session.is_none() {
            let body = self.ask(self.client.get(self.session_url.clone()), MAX_JMAP_ANSWER).await?;
            let raw: RawSession = body
                .and_then(|body| serde_json::from_slice(&body).ok())
                .ok_or_else(|| self.broke("its session resource cannot be read"))?;
            let account = raw.primary_accounts.get(MAIL).cloned();
            self.session = Some(Session {
                api: self.same_origin(&raw.api_url)?,
                download: raw.download_url,
                account: account.ok_or_else(|| self.broke("it has no mail for this user"))?,
            });
        }
        self.session.as_ref().ok_or_else(|| MailError::protocol(&self.server, "it has no session"))
    }

    /// Credentials go where the user said, and nowhere else.
    fn same_origin(&self, url: &str) -> Result<Url, MailError> {
        let joined = self.session_url.join(url).ok();
        joined
            .filter(|url| url.origin() == self.session_url.origin())
            .ok_or_else(|| self.broke("it sends us to another server"))
    }

    /// The arguments of the response to one method, or the type of its error.
    async fn method(&mut self, name: &str, mut arguments: Value) -> Result<Result<Value, String>, MailError> {
        let session = self.session().await?;
        let api = session.api.clone();
        arguments["accountId"] = json!(session.account);
        let body = json!({"using": [CORE, MAIL], "methodCalls": [[name, arguments, "0"]]});
        let answer = {
            let request = self.client.post(api).header("content-type", "application/json").body(body.to_string());
            self.ask(request, MAX_JMAP_ANSWER).await?.unwrap_or_default()
        };
        let mut answer: Value = serde_json::from_slice(&answer).map_err(|_| self.broke("an answer is not JSON"))?;
        let response = answer.pointer_mut("/methodResponses/0").map(Value::take).unwrap_or_default();
        match (response.get(0).and_then(Value::as_str), response.get(1)) {
            (Some("error"), Some(error)) => Ok(Err(error["type"].as_str().unwrap_or_default().to_owned())),
            (Some(of), Some(arguments)) if of == name => Ok(Ok(arguments.clone())),
            _ => Err(self.broke("it answers something else than was asked")),
        }
    }

    async fn expect(&mut self, name: &str, arguments: Value) -> Result<Value, MailError> {
        self.method(name, arguments).await?.map_err(|_| self.broke("it refuses to list the mails"))
    }

    /// Blob and size of mails, in the order asked for.
    async fn describe(&mut self, ids: &[String]) -> Result<Vec<MailId>, MailError> {
        let mut mails = Vec::new();
        for batch in ids.chunks(JMAP_BATCH) {
            let answer = self.expect("Email/get", json!({"ids": batch, "properties": ["blobId", "size"]})).await?;
            let list: Vec<RawEmail> =
                serde_json::from_value(answer["list"].clone()).map_err(|_| self.broke("its list is not one"))?;
            if list.len() > batch.len() || list.iter().any(|mail| mail.blob_id.len() > MAX_ID) {
                return Err(self.broke("its list has more than was asked for"));
            }
            mails.extend(list.into_iter().map(|mail| MailId { id: mail.blob_id, size: mail.size }));
        }
        Ok(mails)
    }

    /// What was created since, and the state then; `None` if the server no longer knows.
    async fn created(&mut self, since: &str) -> Result<Option<(Vec<String>, String)>, MailError> {
        let mut created = Vec::new();
        let mut state = since.to_owned();
        let mut rounds = 0;
        loop {
            rounds += 1;
            let asked = json!({"sinceState": state, "maxChanges": JMAP_BATCH});
            let answer = match self.method("Email/changes", asked).await? {
                Ok(answer) => answer,
                Err(error) if error == "cannotCalculateChanges" => return Ok(None),
                Err(_) => return Err(self.broke("it refuses to list the mails")),
            };
            let (ids, next) = (strings(&answer["created"]), answer["newState"].as_str().unwrap_or_default().to_owned());
            let more = answer["hasMoreChanges"].as_bool().unwrap_or_default();
            created.extend(ids);
            // A state that does not move would go on for ever.
            if next.is_empty()
                || (more && next == state)
                || created.len() > MAX_MAILBOX
                || rounds > created.len() + MAX_ROUNDS
            {
                return Err(self.broke("its list of changes does not end"));
            }
            state = next;
            if !more {
                return Ok(Some((created, state)));
            }
        }
    }

    /// Every mail, the oldest first, and the state before they were listed.
    async fn all(&mut self) -> Result<(Vec<String>, String), MailError> {
        let state = self.expect("Email/get", json!({"ids": [], "properties": ["blobId"]})).await?;
        let state = state["state"].as_str().filter(|state| !state.is_empty()).map(str::to_owned);
        let state = state.ok_or_else(|| self.broke("it has no state"))?;
        let mut all: Vec<String> = Vec::new();
        for _ in 0..MAX_MAILBOX {
            let mut asked = json!({"limit": JMAP_BATCH, "sort": [{"property": "receivedAt", "isAscending": true}]});
            // Behind the last one, wherever that is meanwhile: by its position a page would leave out a mail for each
            // that was deleted before it.
            if let Some(last) = all.last() {
                asked["anchor"] = json!(last);
                asked["anchorOffset"] = json!(1);
            }
            let ids = match self.method("Email/query", asked).await? {
                Ok(answer) => strings(&answer["ids"]),
                Err(error) if error == "anchorNotFound" && all.pop().is_some() => continue,
                Err(_) => return Err(self.broke("it refuses to list the mails")),
            };
            if ids.is_empty() {
                return Ok((all, state));
            }
            all.extend(ids);
            if all.len() > MAX_MAILBOX {
                break;
            }
        }
        Err(self.broke("its list does not end"))
    }
}

#[async_trait::async_trait]
impl Source for Jmap {
    async fn changes(&mut self, cursor: Option<&Cursor>) -> Result<Changes, MailError> {
        let since = match cursor {
            Some(Cursor::Jmap { state }) => self.created(state).await?,
            _ => None,
        };
        let fresh = since.is_none();
        let (ids, state) = match since {
            Some(since) => since,
            None => self.all().await?,
        };
        Ok(Changes { fresh, new: self.describe(&ids).await?, cursor: Cursor::Jmap { state } })
    }

    async fn fetch(&mut self, mails: &[MailId], arrived: &mut Vec<Fetched>) -> Result<(), MailError> {
        self.session().await?;
        let this = &*self;
        let downloads: Vec<_> = mails.iter().map(|mail| this.download(mail)).collect();
        let mut downloads = stream::iter(downloads).buffered(JMAP_DOWNLOADS);
        while let Some(downloaded) = downloads.next().await {
            arrived.push(downloaded?);
        }
        Ok(())
    }

    fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

impl Jmap {
    async fn download(&self, mail: &MailId) -> Result<Fetched, MailError> {
        if mail.size > MAX_MAIL as u64 {
            return Ok(Fetched::TooLong);
        }
        let session = self.session.as_ref().ok_or_else(|| self.broke("it has no session"))?;
        let encoded =
            |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
        let address = session
            .download
            .replace("{accountId}", &encoded(&session.account))
            .replace("{blobId}", &encoded(&mail.id))
            .replace("{type}", "message%2Frfc822")
            .replace("{name}", "mail.eml");
        let address = self.same_origin(&address)?;
        // RFC 8621 section 4.1.1: the size is that of the mail as it is downloaded. Several are at once, so that one of
        // which the server said too little may not be as long as any mail.
        let listed = usize::try_from(mail.size).unwrap_or(MAX_MAIL);
        let most = if listed == 0 { MAX_MAIL } else { listed.saturating_mul(2).clamp(MIN_DOWNLOAD, MAX_MAIL) };
        Ok(self.ask(self.client.get(address), most).await?.map_or(Fetched::Gone, Fetched::Whole))
    }
}

fn strings(list: &Value) -> Vec<String> {
    let short = |text: &&str| text.len() <= MAX_ID;
    list.as_array().into_iter().flatten().filter_map(Value::as_str).filter(short).map(str::to_owned).collect()
}
