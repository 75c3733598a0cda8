//! A terminal that signs in, enrols, and then sends whatever it likes; what secrets it sees it puts down.

use super::shop::Loot;
use crate::Browser;
use anyhow::{Context as _, Result, ensure};
use portcullis_fixtures::{Draft, Terminal, now};
use portcullis_protocol::wire::{
    AuthorisationAnswer, AuthorisationRequest, Done, EntitlementsAnswer, OrderAnswer, TerminalAnswer,
    VerificationAnswer, VerificationRequest,
};
use portcullis_protocol::{Digest, Grant, Origin, Unverified};
use std::ops::{Deref, DerefMut};

/// A terminal, signed in or not. Cloned, it is two that share keys and tokens.
#[derive(Clone)]
pub(super) struct Cheater {
    terminal: Terminal,
    loot: Loot,
}

impl Deref for Cheater {
    type Target = Terminal;

    fn deref(&self) -> &Terminal {
        &self.terminal
    }
}

impl DerefMut for Cheater {
    fn deref_mut(&mut self) -> &mut Terminal {
        &mut self.terminal
    }
}

/// Step 3 as a request.
pub(super) fn verification(request: &AuthorisationRequest, answer: &AuthorisationAnswer) -> Draft {
    let body = VerificationRequest { code: answer.code.clone(), request: request.clone() };
    Draft::post("/v1/verifications", &body)
}

impl Cheater {
    /// A new terminal, with fresh keys, that believes the root it is shown.
    pub(super) async fn new(origin: &Origin, loot: Loot) -> Result<Self> {
        Ok(Self { terminal: Terminal::new(origin).await?, loot })
    }

    /// Signs in with `browser` approving; does not enrol.
    pub(super) async fn sign_in(&mut self, browser: &mut Browser) -> Result<()> {
        let device = self.device_code("a terminal").await?;
        browser.approve(&device.user_code, &self.key.public().thumbprint().words()).await?;
        let tokens = self.poll(&device.device_code).await?;
        self.loot.add("an access token", tokens.access_token.as_bytes());
        self.loot.add("a refresh token", tokens.refresh_token.as_bytes());
        self.loot.add("a device code", device.device_code.as_bytes());
        Ok(())
    }

    /// Enrols.
    pub(super) async fn enrol(&mut self) -> Result<TerminalAnswer> {
        self.terminal.enrol("a terminal").await
    }

    /// Steps 1 and 2.
    pub(super) async fn authorise(&mut self, request: &AuthorisationRequest) -> Result<AuthorisationAnswer> {
        let answer: AuthorisationAnswer = self.ask(&Draft::post("/v1/authorizations", request)).await?;
        self.loot.add("a billing status code", answer.code.expose().as_bytes());
        Ok(answer)
    }

    /// Step 3.
    pub(super) async fn verify(
        &mut self,
        request: &AuthorisationRequest,
        answer: &AuthorisationAnswer,
    ) -> Result<VerificationAnswer> {
        self.ask(&verification(request, answer)).await
    }

    /// The whole cycle: what a terminal that pays gets.
    pub(super) async fn cycle(&mut self, request: &AuthorisationRequest) -> Result<VerificationAnswer> {
        let code = self.authorise(request).await?;
        self.verify(request, &code).await
    }

    /// Buys an offer.
    pub(super) async fn order(&mut self, draft: &Draft) -> Result<OrderAnswer> {
        self.ask(draft).await
    }

    /// How many uses of an operation the account has left, over all that it bought.
    pub(super) async fn remaining(&mut self, operation: &str) -> Result<u64> {
        let answer: EntitlementsAnswer = self.ask(&Draft::get("/v1/account/entitlements")).await?;
        let counted = answer.entitlements.iter().filter(|held| held.operation.as_str() == operation && !held.revoked);
        Ok(counted.filter_map(|held| held.remaining).sum())
    }

    /// Reads a grant as this terminal would believe it.
    pub(super) fn grant(&self, answer: &VerificationAnswer) -> Result<Grant> {
        let grant = Unverified::<Grant>::parse(&answer.grant)?;
        let key = self.keys.signing_key(grant.kid(), now()).context("an unknown signing key")?;
        Ok(grant.verify(key)?.into_document())
    }

    /// Opens the keys of a grant.
    pub(super) fn open(&self, answer: &VerificationAnswer) -> Result<Vec<(String, portcullis_protocol::age::FileKey)>> {
        let opened = portcullis_protocol::release::open(&self.release, &answer.grant, &answer.keys)?;
        let opened: Vec<_> = opened.into_iter().map(|(name, key)| (name.to_string(), key)).collect();
        for (name, key) in &opened {
            self.loot.add(&format!("the file key of {name}"), key.expose());
        }
        ensure!(!opened.is_empty(), "no keys were released");
        Ok(opened)
    }

    /// Fetches a published file.
    pub(super) async fn fetch(&self, digest: &Digest) -> Result<Vec<u8>> {
        let response = self.http.get(format!("{}/v1/files/{digest}", self.origin)).send().await?;
        ensure!(response.status().is_success(), "the file is not served: {}", response.status());
        Ok(response.bytes().await?.to_vec())
    }

    /// Has something done.
    pub(super) async fn done(&mut self, draft: &Draft) -> Result<()> {
        let Done {} = self.ask(draft).await?;
        Ok(())
    }
}
