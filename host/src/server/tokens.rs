//! The sign-in as the terminal keeps it: an access token, and the refresh token that renews it.

use crate::ports::gatekeeper::Refused;
use crate::ports::transport::{AccessToken, Body, Method};
use crate::server::prover::{Prover, Request};
use crate::server::retry::Retry;
use crate::server::trust::offline;
use crate::state::clock::Clock as _;
use crate::state::folder::StateDir;
use crate::state::key_store::{KeyName, KeyStore, KeyStoreError};
use bytes::Bytes;
use portcullis_protocol::paths;
use portcullis_protocol::wire::{OAuthError, TokenAnswer};
use portcullis_protocol::{Origin, Reason};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::Mutex;
use zeroize::{Zeroize, Zeroizing};

/// A token that ends within so many seconds is renewed before it is used.
const MARGIN: u64 = 20;

/// The tokens of one sign-in. Wiped when dropped.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    access: String,
    refresh: String,
    /// Unix seconds.
    expires: u64,
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.access.zeroize();
        self.refresh.zeroize();
    }
}

/// The sign-in of a terminal at its server.
#[derive(Clone)]
pub(crate) struct Tokens {
    keys: Arc<dyn KeyStore>,
    state: Arc<StateDir>,
    prover: Prover,
    /// The access token in use and when it ends.
    current: Arc<Mutex<Option<(AccessToken, u64)>>>,
}

impl Tokens {
    pub(crate) fn new(keys: Arc<dyn KeyStore>, state: Arc<StateDir>, prover: Prover) -> Self {
        Self { keys, state, prover, current: Arc::default() }
    }

    /// Whether somebody is signed in at a server, as far as the terminal knows.
    pub(crate) fn exist(keys: &dyn KeyStore, origin: &Origin) -> Result<bool, KeyStoreError> {
        Ok(keys.load(&KeyName::sign_in(origin))?.is_some())
    }

    /// An access token that is good for a while.
    pub(crate) async fn access(&self) -> Result<AccessToken, Refused> {
        let mut current = self.current.lock().await;
        if current.is_none() {
            let stored = self.load()?.ok_or_else(|| self.nobody("nobody is signed in"))?;
            *current = Some((AccessToken::new(stored.access.clone()), stored.expires));
        }
        match &*current {
            Some((token, expires)) if self.prover.clock().now().saturating_add(MARGIN) < *expires => Ok(token.clone()),
            Some((token, _)) => {
                let stale = token.clone();
                drop(current);
                self.renew(&stale).await
            }
            None => Err(self.nobody("nobody is signed in")),
        }
    }

    /// A token newer than `stale`. A renewal replaces the refresh token, so whoever asks first renews for all, in this
    /// process and in others, and nobody who loses interest meanwhile can cut it off.
    pub(crate) async fn renew(&self, stale: &AccessToken) -> Result<AccessToken, Refused> {
        let (tokens, stale) = (self.clone(), stale.clone());
        let renewed = tokio::spawn(async move {
            let mut current = tokens.current.lock().await;
            let _lock = tokens.state.lock_of(tokens.prover.origin()).await?;
            let stored = tokens.load()?.ok_or_else(|| tokens.nobody("nobody is signed in"))?;
            let stored = if stored.access == stale.expose() { tokens.exchange(&stored).await? } else { stored };
            let token = AccessToken::new(stored.access.clone());
            *current = Some((token.clone(), stored.expires));
            Ok(token)
        });
        renewed.await.map_err(|_| offline("the program is ending"))?
    }

    async fn exchange(&self, stored: &Stored) -> Result<Stored, Refused> {
        let body = form(&[("grant_type", "refresh_token"), ("refresh_token", &stored.refresh)]);
        let heard = self.prover.send(&oauth(paths::TOKEN, body), None).await;
        let answer = heard?.answer;
        if answer.status == 200 {
            let answer = serde_json::from_slice(&answer.body).map_err(|_| offline("the new token is damaged"))?;
            return self.keep(answer).map_err(Into::into);
        }
        match serde_json::from_slice::<OAuthError>(&answer.body) {
            // The sign-in is kept: this answer is not signed, and a stranger could have sent it.
            Ok(error) if error.error == "invalid_grant" => Err(self.nobody("the sign-in has ended")),
            _ => Err(offline(format!("the token was not renewed (status {})", answer.status))),
        }
    }

    /// Stores what the server gave.
    pub(crate) async fn accept(&self, answer: TokenAnswer) -> Result<(), Refused> {
        let mut current = self.current.lock().await;
        let _lock = self.state.lock_of(self.prover.origin()).await?;
        let stored = self.keep(answer)?;
        *current = Some((AccessToken::new(stored.access.clone()), stored.expires));
        Ok(())
    }

    fn keep(&self, answer: TokenAnswer) -> Result<Stored, KeyStoreError> {
        let expires = self.prover.clock().now().saturating_add(u64::from(answer.expires_in));
        let stored = Stored { access: answer.access_token, refresh: answer.refresh_token, expires };
        let name = KeyName::sign_in(self.prover.origin());
        let bytes = Zeroizing::new(serde_json::to_vec(&stored).map_err(|_| KeyStoreError::damaged(&name))?);
        self.keys.store(&name, &bytes)?;
        Ok(stored)
    }

    /// Ends the sign-in here, and at the server if it can be reached. Whether the server heard of it.
    pub(crate) async fn revoke(&self, retry: &Retry) -> Result<bool, Refused> {
        let body = {
            let mut current = self.current.lock().await;
            let _lock = self.state.lock_of(self.prover.origin()).await?;
            let Some(stored) = self.load()? else { return Ok(true) };
            self.keys.remove(&KeyName::sign_in(self.prover.origin()))?;
            *current = None;
            form(&[("token", &stored.refresh)])
        };
        // It is gone from here however long the server takes.
        let heard = self.prover.ask_authorization_server(&oauth(paths::REVOKE, body), retry).await;
        Ok(heard.is_ok_and(|answer| answer.status == 200))
    }

    /// Removes the tokens for a server with which there is no session any more. The server does not hear of it.
    pub(crate) async fn forget(keys: &dyn KeyStore, state: &Arc<StateDir>, origin: &Origin) -> Result<(), Refused> {
        let _lock = state.lock_of(origin).await?;
        Ok(keys.remove(&KeyName::sign_in(origin))?)
    }

    fn load(&self) -> Result<Option<Stored>, KeyStoreError> {
        let name = KeyName::sign_in(self.prover.origin());
        let Some(bytes) = self.keys.load(&name)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|_| KeyStoreError::damaged(&name))
    }

    fn nobody(&self, what: &str) -> Refused {
        Refused::nobody(what, self.prover.origin())
    }
}

/// A request to the authorization server.
pub(crate) fn oauth(path: &str, body: Bytes) -> Request {
    let body = Body::Text("application/x-www-form-urlencoded", body);
    Request { method: Method::Post, path: path.to_owned(), idempotency_key: None, body }
}

/// `application/x-www-form-urlencoded`.
pub(crate) fn form(fields: &[(&str, &str)]) -> Bytes {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into()
}

/// A secret that cannot be used is as if there were none: nothing is sent without it. One that the disk does not take
/// or give is the disk's matter.
impl From<KeyStoreError> for Refused {
    fn from(error: KeyStoreError) -> Self {
        match error.into_state() {
            Ok(state) => state.into(),
            Err(error) => Self::because(Reason::NotSignedIn, error.to_string()),
        }
    }
}
