//! The terminal of the fixtures, where whatever is not expected ends the test.

use portcullis_fixtures::Answered;
use portcullis_protocol::cycle::Reply;
use portcullis_protocol::wire::{DeviceAuthorisation, TerminalAnswer, TokenAnswer};
use portcullis_protocol::{Origin, RefusalAnswer};
use serde::{Serialize, de::DeserializeOwned};
use std::ops::{Deref, DerefMut};

pub(crate) use portcullis_fixtures::{Draft, fresh_key, now, rng};

/// A terminal, signed in or not.
pub(crate) struct Terminal(portcullis_fixtures::Terminal);

impl Deref for Terminal {
    type Target = portcullis_fixtures::Terminal;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Terminal {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl Terminal {
    /// A new terminal, with fresh keys, that believes the root it is shown.
    pub(crate) async fn new(origin: &Origin) -> Self {
        Self(portcullis_fixtures::Terminal::new(origin).await.expect("a billing server"))
    }

    /// The same by way of a client that follows no redirect.
    pub(crate) async fn with(http: reqwest::Client, origin: &Origin) -> Self {
        Self(portcullis_fixtures::Terminal::with(http, origin).await.expect("a billing server"))
    }

    /// Sends a draft with the given proof, as it is.
    pub(crate) async fn send_with(&self, draft: &Draft, proof: &str) -> Answered {
        self.0.send_with(draft, proof).await.expect("the server answers")
    }

    /// Proves and sends, and repeats once with the server's nonce.
    pub(crate) async fn send(&mut self, draft: &Draft) -> Answered {
        self.0.send(draft).await.expect("the server answers")
    }

    /// Sends, and reads the signed answer.
    pub(crate) async fn ask<B: Serialize + DeserializeOwned>(&mut self, draft: &Draft) -> Reply<B> {
        self.send(draft).await.reply(&self.keys).expect("signed and believed")
    }

    /// Sends, and expects a yes.
    pub(crate) async fn get_yes<B: Serialize + DeserializeOwned>(&mut self, draft: &Draft) -> B {
        self.0.ask(draft).await.expect("a signed yes")
    }

    /// Sends, and expects a signed no.
    pub(crate) async fn get_no(&mut self, draft: &Draft) -> RefusalAnswer {
        match self.ask::<serde_json::Value>(draft).await {
            Reply::Yes { body, .. } => panic!("granted: {body:?}"),
            Reply::No(refusal) => *refusal,
        }
    }

    /// Asks for a device code.
    pub(crate) async fn device_code(&mut self, label: &str) -> DeviceAuthorisation {
        self.0.device_code(label).await.expect("a device code")
    }

    /// Asks once for the token of a device code.
    pub(crate) async fn poll(&mut self, device_code: &str) -> Result<TokenAnswer, String> {
        self.0.poll(device_code).await.map_err(|error| error.to_string())
    }

    /// Renews the tokens with `refresh`.
    pub(crate) async fn renew(&mut self, refresh: &str) -> Result<TokenAnswer, String> {
        self.0.renew(refresh).await.map_err(|error| error.to_string())
    }

    /// Enrols.
    pub(crate) async fn enrol(&mut self, label: &str) -> TerminalAnswer {
        self.0.enrol(label).await.expect("enrolled")
    }
}
