//! Access tokens end after an hour or so. A refresh token brings the next one (RFC 6749 section 6).

use crate::account::{Account, Secret, sealed};
use crate::error::MailError;
use crate::limits::{CONNECT_TIMEOUT, MAX_TOKEN_ANSWER, READ_TIMEOUT};
use crate::sealed_folder::SealedFolder;
use crate::source::{Source, connect, session_url};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// Seconds before its end at which a token is renewed: a run may take that long to sign in.
const EARLY: u64 = 60;
/// Seconds that a token is taken to live if the server does not say.
const DEFAULT_LIFE: u64 = 300;

/// Where and with what an account's access token is renewed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renewal {
    /// The token endpoint: https.
    pub endpoint: String,
    /// Whom the provider knows this program as.
    pub client: String,
    /// What proves it, if the provider gave one to an installed program.
    #[serde(with = "sealed")]
    pub client_secret: Zeroizing<String>,
    /// The refresh token.
    #[serde(with = "sealed")]
    pub refresh_token: Zeroizing<String>,
    /// When the access token ends, in seconds since 1970; 0 if there is none yet.
    pub expires: u64,
}

impl fmt::Debug for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewal").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// What a token endpoint answers (RFC 6749 section 5.1).
#[derive(Deserialize)]
struct Tokens {
    access_token: String,
    expires_in: Option<u64>,
    refresh_token: Option<String>,
}

/// Connects and signs in. A token that has ended, or that the server refuses, is renewed once; the account with the new
/// one is stored.
///
/// # Errors
/// [`MailError`].
pub async fn sign_in(account: Account, folder: &SealedFolder) -> Result<(Account, Box<dyn Source>), MailError> {
    let mut account = account;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let is_due = account.renewal.as_ref().is_some_and(|renewal| renewal.expires <= now + EARLY);
    if is_due {
        renew(&mut account, now).await?;
        account.store(folder)?;
    }
    match connect(&account).await {
        Err(MailError::SignIn { .. }) if account.renewal.is_some() && !is_due => {
            renew(&mut account, now).await?;
            account.store(folder)?;
            let source = connect(&account).await?;
            Ok((account, source))
        }
        connected => connected.map(|source| (account, source)),
    }
}

async fn renew(account: &mut Account, now: u64) -> Result<(), MailError> {
    let Some(renewal) = &account.renewal else { return Ok(()) };
    let endpoint = renewal.endpoint.clone();
    let refused = || MailError::Renewal { server: endpoint.clone() };
    // https, or http to this machine, as for JMAP.
    let url = session_url(&endpoint).ok_or_else(refused)?;
    let client = crate::source::client(account, &endpoint)?.connect_timeout(CONNECT_TIMEOUT).timeout(READ_TIMEOUT);
    let client = client.build().map_err(|_| refused())?;
    // Each byte takes three at the most; what grows leaves copies behind that nobody wipes.
    let length = renewal.refresh_token.len() + renewal.client.len() + renewal.client_secret.len();
    let mut form = url::form_urlencoded::Serializer::new(String::with_capacity(3 * length + 128));
    form.append_pair("grant_type", "refresh_token");
    form.append_pair("refresh_token", &renewal.refresh_token).append_pair("client_id", &renewal.client);
    if !renewal.client_secret.is_empty() {
        form.append_pair("client_secret", &renewal.client_secret);
    }
    let request = client.post(url).header("Content-Type", "application/x-www-form-urlencoded").body(form.finish());
    let unreachable = |error| MailError::http(&endpoint, error);
    let mut answer = request.send().await.map_err(unreachable)?;
    if answer.status().as_u16() != 200 {
        return Err(refused());
    }
    let mut body = Zeroizing::new(Vec::new());
    while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > MAX_TOKEN_ANSWER {
            return Err(refused());
        }
        body.extend_from_slice(&chunk);
    }
    let tokens: Tokens = serde_json::from_slice(&body).map_err(|_| refused())?;
    account.secret = Secret::Token(Zeroizing::new(tokens.access_token));
    if let Some(renewal) = &mut account.renewal {
        renewal.expires = now.saturating_add(tokens.expires_in.unwrap_or(DEFAULT_LIFE));
        if let Some(next) = tokens.refresh_token {
            renewal.refresh_token = Zeroizing::new(next);
        }
    }
    // Not checked here: what the provider has given instead of the last refresh token is stored first.
    Ok(())
}
