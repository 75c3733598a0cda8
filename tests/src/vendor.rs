//! A publisher that sells small resources, in whatever words and with whatever cover.

use crate::{Browser, Server};
use anyhow::{Context as _, Result, ensure};
use portcullis_fixtures::{Draft, Terminal, VIEW, api, description, guest, now, operation, part, rng, seal};
use portcullis_protocol::age::Recipient;
use portcullis_protocol::encoding::{base64url, from_base64url};
use portcullis_protocol::seal::{Description, Sealer};
use portcullis_protocol::wire::{Done, OfferTerms, OffersAnswer, OffersRequest, PublishAnswer, PublisherRequest};
use portcullis_protocol::{
    Digest, Offer, PublisherClaim, PublisherEntry, Rights, SecretKey, ServerEntry, Unverified, Verified, paths,
};
use reqwest::Method;
use std::io::Cursor;

/// A GIF of one point.
pub const POINT: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

/// A publisher with a terminal.
pub struct Vendor {
    terminal: Terminal,
    key: SecretKey,
    name: String,
}

/// What is sold: `preview` is free, `view` costs 1.99 EUR.
#[derive(Debug, Clone, Copy)]
pub struct Ware<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its kind.
    pub kind: &'a str,
    /// Its title.
    pub title: &'a str,
    /// What is said of it.
    pub description: &'a str,
    /// The title of `view`, and of the offer for it.
    pub view: &'a str,
    /// The media type of its cover, and its bytes.
    pub cover: (&'a str, &'a [u8]),
}

impl Default for Ware<'_> {
    fn default() -> Self {
        let (name, kind, title, view) = ("ware", "picture", "A ware", "To have it");
        Self { name, kind, title, description: "", view, cover: ("image/gif", POINT) }
    }
}

impl Vendor {
    /// The browser's user claims this name.
    ///
    /// # Errors
    /// If the server does not take it.
    pub async fn open(server: &Server, browser: &mut Browser, name: &str) -> Result<Self> {
        let mut terminal = Terminal::new(&server.origin().parse()?).await?;
        let code = terminal.device_code("a vendor's").await?;
        browser.approve(&code.user_code, &terminal.key.public().thumbprint().words()).await?;
        terminal.poll(&code.device_code).await?;
        terminal.enrol("a vendor's").await?;
        let key = SecretKey::generate(&mut rng());
        let (origin, jwk) = (terminal.origin.clone(), key.public().clone());
        let claim = PublisherClaim { name: name.parse()?, jwk, origin, iat: now() };
        let claim = PublisherRequest { claim: Verified::sign(claim, &key).compact().to_owned() };
        let Done {} = terminal.ask(&Draft::post(paths::PUBLISHERS, &claim)).await?;
        Ok(Self { terminal, key, name: name.to_owned() })
    }

    /// Puts something on sale. Returns the resource's digest and that of the offer for `view`.
    ///
    /// # Errors
    /// If the server does not take it: with what it says.
    pub async fn sell(&mut self, ware: &Ware<'_>) -> Result<(Digest, Digest)> {
        let file = self.seal(ware)?;
        let PublishAnswer { resource, .. } = self.terminal.ask(&Draft::upload(&file)).await?;
        let offer = self.price(ware, "1.99 EUR").await?;
        Ok((resource, offer))
    }

    /// Sets the price of `view`. Returns the digest of the offer.
    ///
    /// # Errors
    /// If the server does not take it.
    pub async fn price(&mut self, ware: &Ware<'_>, price: &str) -> Result<Digest> {
        let terms = |operation: &str, title: &str, rights, price: &str| -> Result<OfferTerms> {
            let (operation, price) = (operation.parse()?, price.parse()?);
            Ok(OfferTerms { id: None, operation, title: title.into(), rights, price })
        };
        let offers = vec![
            terms("preview", "A look", Rights::Free {}, "0.00 EUR")?,
            terms("view", ware.view, Rights::Perpetual {}, price)?,
        ];
        let path = paths::fill(paths::OFFERS, &[&self.name, &ware.name]);
        let draft = Draft::json(Method::PUT, path, &OffersRequest { offers });
        let OffersAnswer { offers } = self.terminal.ask(&draft).await?;
        for compact in &offers {
            let offer = Unverified::<Offer>::parse(compact)?;
            let key = self.terminal.keys.signing_key(offer.kid(), now()).context("an unknown signing key")?;
            let offer = offer.verify(key)?;
            if offer.document().operation.as_str() == "view" {
                return Ok(offer.digest());
            }
        }
        anyhow::bail!("no offer for `view`")
    }

    /// Seals something, as it is uploaded.
    ///
    /// # Errors
    /// If a name is none.
    pub fn seal(&self, ware: &Ware<'_>) -> Result<Vec<u8>> {
        let exports: Vec<String> = VIEW.map(api).into_iter().chain([api("other")]).collect();
        let exports: Vec<&str> = exports.iter().map(String::as_str).collect();
        let mut view = operation("view", &exports, &["main"]);
        view.title = ware.view.into();
        let server = ServerEntry { origin: self.terminal.origin.clone(), root: self.terminal.root.thumbprint() };
        let description = Description {
            publisher: PublisherEntry { name: self.name.parse()?, jwk: self.key.public().clone() },
            name: ware.name.parse()?,
            kind: ware.kind.into(),
            title: ware.title.into(),
            description: ware.description.into(),
            operations: vec![view, operation("preview", &[], &["cover"])],
            servers: vec![server],
            ..description(&self.key, Vec::new())
        };
        let (body, (media, cover)) = (guest(), ware.cover);
        let sealer = Sealer::new(description).code(part("main"), false, &body).asset(
            part("cover"),
            true,
            media,
            cover.len() as u64,
            Cursor::new(cover.to_vec()),
        );
        let recipient: Recipient = self.terminal.keys.recipient.parse()?;
        Ok(seal(sealer, &self.key, &recipient))
    }

    /// Uploads a file as it is.
    ///
    /// # Errors
    /// If the server does not take it: with what it says.
    pub async fn upload(&mut self, file: &[u8]) -> Result<Digest> {
        let PublishAnswer { resource, .. } = self.terminal.ask(&Draft::upload(file)).await?;
        Ok(resource)
    }

    /// Claims a further name, whatever it is: a claim for its own is signed anew with that name in it.
    ///
    /// # Errors
    /// If the server does not take it: with what it says.
    pub async fn claim(&mut self, name: &str) -> Result<()> {
        let (origin, jwk) = (self.terminal.origin.clone(), self.key.public().clone());
        let own = PublisherClaim { name: self.name.parse()?, jwk, origin, iat: now() };
        let own = Verified::sign(own, &self.key).compact().to_owned();
        let (protected, rest) = own.split_once('.').context("a compact document")?;
        let payload = rest.split('.').next().context("a payload")?;
        let payload = String::from_utf8(from_base64url(payload)?)?;
        let member = |name: &str| Ok::<_, anyhow::Error>(format!("\"name\":{}", serde_json::to_string(name)?));
        let changed = payload.replace(&member(&self.name)?, &member(name)?);
        ensure!(changed != payload, "the claim has no such member");
        let signed = format!("{protected}.{}", base64url(changed.as_bytes()));
        let claim = PublisherRequest { claim: format!("{signed}.{}", self.key.sign(signed.as_bytes())) };
        let Done {} = self.terminal.ask(&Draft::post(paths::PUBLISHERS, &claim)).await?;
        Ok(())
    }

    /// Its key.
    #[must_use]
    pub const fn key(&self) -> &SecretKey {
        &self.key
    }
}
