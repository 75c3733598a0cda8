//! A real server with something to sell, its publisher and its customers.

use super::cheater::Cheater;
use super::meddler::Meddler;
use super::specimen::{describe, seal};
use crate::{Browser, Server};
use anyhow::{Context as _, Result, ensure};
use portcullis_fixtures::{Draft, now, rng};
use portcullis_host::{Client, ClientOptions, Retry};
use portcullis_protocol::age::Recipient;
use portcullis_protocol::encoding::BoundedOctets;
use portcullis_protocol::wire::{
    AuthorisationRequest, CatalogueEntry, OfferTerms, OffersAnswer, OffersRequest, OrderAnswer, OrderRequest,
    OrderState, PaymentMethod, PublishAnswer, PublisherRequest, TopUpRequest,
};
use portcullis_protocol::{
    Digest, Money, Offer, Origin, PublisherClaim, Rights, SecretKey, ServerEntry, Unverified, Verified,
};
use reqwest::Method;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use toml::{Table, Value};

/// What one order of `print` buys.
pub(super) const USES: u32 = 5;
/// What one unit of `print` costs from the prepaid balance.
pub(super) const PER_UNIT: &str = "0.10 EUR";
const PASSWORD: &str = "correct horse battery staple 8817";

/// What a thief would like to find: every secret that was seen in a run, with what it is.
#[derive(Clone, Default)]
pub(super) struct Loot(Arc<Mutex<Vec<Secret>>>);

/// What it is, and the secret.
pub(super) type Secret = (String, Vec<u8>);

impl Loot {
    pub(super) fn add(&self, what: &str, secret: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((what.to_owned(), secret.to_vec()));
    }

    pub(super) fn all(&self) -> Vec<Secret> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How the server runs now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Running {
    /// Without faults, with its clock right.
    Ordinarily,
    /// Otherwise, or not at all.
    Otherwise,
}

/// The shop.
pub(super) struct Shop {
    pub(super) server: Server,
    pub(super) origin: Origin,
    pub(super) publisher: Cheater,
    pub(super) key: SecretKey,
    pub(super) file: Vec<u8>,
    pub(super) resource: Digest,
    pub(super) offers: Vec<Verified<Offer>>,
    pub(super) loot: Loot,
    folder: PathBuf,
    people: u32,
    running: Running,
}

impl Shop {
    /// Starts a server in `folder`, publishes a resource and prices it.
    pub(super) async fn open(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let mut server = Server::init(&folder.join("server"))?;
        unbound(&folder.join("server/server.toml"))?;
        server.start(&[])?;
        let origin: Origin = server.origin().parse()?;
        let loot = Loot::default();
        let publisher = Cheater::new(&origin, loot.clone()).await?;
        let mut shop = Self {
            server,
            origin,
            publisher,
            key: SecretKey::generate(&mut rng()),
            file: Vec::new(),
            resource: Digest::of(b""),
            offers: Vec::new(),
            loot,
            folder: folder.to_owned(),
            people: 0,
            running: Running::Ordinarily,
        };
        (shop.publisher, shop.key) = shop.publisher("lumen").await?;
        shop.file = shop.seal("lumen", &shop.key, "1.0.0")?;
        shop.resource = shop.publish(&shop.file.clone()).await?;
        shop.price("1.99 EUR").await?;
        Ok(shop)
    }

    /// Seals the resource for this shop.
    pub(super) fn seal(&self, publisher: &str, key: &SecretKey, version: &str) -> Result<Vec<u8>> {
        let server = ServerEntry { origin: self.origin.clone(), root: self.publisher.root.thumbprint() };
        let recipient: Recipient = self.publisher.keys.recipient.parse()?;
        Ok(seal(describe(publisher, key, version, server)?, key, &recipient))
    }

    /// Publishes a file of the shop's own publisher.
    pub(super) async fn publish(&mut self, file: &[u8]) -> Result<Digest> {
        let answer: PublishAnswer = self.publisher.ask(&Draft::upload(file)).await?;
        Ok(answer.resource)
    }

    /// Sets the price list; `view` costs `price`.
    pub(super) async fn price(&mut self, price: &str) -> Result<()> {
        let terms = |operation: &str, rights, price: &str| -> Result<OfferTerms> {
            let (operation, price) = (operation.parse()?, price.parse()?);
            Ok(OfferTerms { id: None, operation, title: "To have it".into(), rights, price })
        };
        let offers = vec![
            terms("preview", Rights::Free {}, "0.00 EUR")?,
            terms("view", Rights::Perpetual {}, price)?,
            terms("print", Rights::Uses { count: USES }, "5.00 EUR")?,
            terms("print", Rights::Metered {}, PER_UNIT)?,
        ];
        let answer: OffersAnswer = self.publisher.ask(&price_list(&OffersRequest { offers })).await?;
        let keys = self.publisher.keys.clone();
        let read = |compact: &String| -> Result<Verified<Offer>> {
            let offer = Unverified::<Offer>::parse(compact)?;
            let key = keys.signing_key(offer.kid(), now()).context("an unknown signing key")?;
            Ok(offer.verify(key)?)
        };
        self.offers = answer.offers.iter().map(read).collect::<Result<_>>()?;
        Ok(())
    }

    /// What the catalogue says an operation costs.
    pub(super) async fn price_of(&self, operation: &str) -> Result<Money> {
        let url = format!("{}/v1/catalogue/lumen/alpine-lake", self.origin);
        let entry: CatalogueEntry = serde_json::from_slice(&self.publisher.http.get(url).send().await?.bytes().await?)?;
        for compact in &entry.offers {
            let offer = Unverified::<Offer>::parse(compact)?;
            let key = self.publisher.keys.signing_key(offer.kid(), now()).context("an unknown signing key")?;
            let offer = offer.verify(key)?.into_document();
            if offer.operation.as_str() == operation {
                return Ok(offer.price);
            }
        }
        anyhow::bail!("no offer for {operation}")
    }

    /// The signed offer that is ordered for an operation.
    pub(super) fn offer(&self, operation: &str) -> Result<&Verified<Offer>> {
        let mut offers = self.offers.iter().map(|offer| (offer, offer.document()));
        let bought =
            offers.find(|(_, terms)| terms.operation.as_str() == operation && !terms.rights.is_paid_per_unit());
        Ok(bought.context("no such offer")?.0)
    }

    /// The request for units of `print`, to be drawn from the prepaid balance.
    pub(super) fn units(&self, quantity: u32) -> Result<AuthorisationRequest> {
        let metered =
            self.offers.iter().find(|offer| offer.document().rights.is_paid_per_unit()).context("no such offer")?;
        Ok(AuthorisationRequest { quantity, offer: Some(metered.digest()), ..self.request("print") })
    }

    /// Pays into the prepaid balance.
    pub(super) async fn top_up(&self, customer: &mut Cheater, amount: &str) -> Result<OrderAnswer> {
        let payment = PaymentMethod { provider: "sandbox".into(), token: "ok".into() };
        let request = TopUpRequest { amount: amount.parse()?, payment, again: false };
        customer.order(&Draft::post("/v1/account/top-ups", &request)).await
    }

    /// The request for one of an operation.
    pub(super) fn request(&self, operation: &str) -> AuthorisationRequest {
        AuthorisationRequest {
            resource: self.resource,
            operation: operation.parse().expect("the attacks name operations well"),
            quantity: 1,
            offer: None,
            nonce: BoundedOctets::default(),
        }
    }

    /// Somebody with an account, signed in.
    pub(super) async fn person(&mut self) -> Result<Browser> {
        self.people += 1;
        let (email, password) = (format!("person{}@mail.example", self.people), format!("{PASSWORD}{}", self.people));
        self.loot.add("an e-mail address", email.as_bytes());
        self.loot.add("a password", password.as_bytes());
        let mut browser = Browser::new(self.origin.as_str())?;
        browser.sign_up(&email, &password).await?;
        Ok(browser)
    }

    /// A terminal of `browser`'s user that lies.
    pub(super) async fn terminal_of(&self, browser: &mut Browser) -> Result<Cheater> {
        let mut cheater = Cheater::new(&self.origin, self.loot.clone()).await?;
        cheater.sign_in(browser).await?;
        cheater.enrol().await?;
        Ok(cheater)
    }

    /// An account with one terminal that lies.
    pub(super) async fn customer(&mut self) -> Result<Cheater> {
        let mut browser = self.person().await?;
        self.terminal_of(&mut browser).await
    }

    /// As [`Shop::customer`], with an operation bought.
    pub(super) async fn buyer(&mut self, operation: &str) -> Result<Cheater> {
        let mut customer = self.customer().await?;
        self.buy(&mut customer, operation).await?;
        Ok(customer)
    }

    /// Buys.
    pub(super) async fn buy(&self, customer: &mut Cheater, operation: &str) -> Result<OrderAnswer> {
        let order = customer.order(&order(self.offer(operation)?.digest())).await?;
        ensure!(order.state == OrderState::Paid, "the order is not paid");
        Ok(order)
    }

    /// An account that owns a publisher's name.
    pub(super) async fn publisher(&mut self, name: &str) -> Result<(Cheater, SecretKey)> {
        let (mut cheater, key) = (self.customer().await?, SecretKey::generate(&mut rng()));
        let claim =
            PublisherClaim { name: name.parse()?, jwk: key.public().clone(), origin: self.origin.clone(), iat: now() };
        let claim = PublisherRequest { claim: Verified::sign(claim, &key).compact().to_owned() };
        cheater.done(&Draft::post("/v1/publishers", &claim)).await?;
        Ok((cheater, key))
    }

    /// The real client, signed in to an account of its own, with somebody in between. Its home is beside it.
    pub(super) async fn client(&mut self) -> Result<(Client, Arc<Meddler>, PathBuf)> {
        let home = self.folder.join(format!("home-{}", self.people + 1));
        let meddler = Arc::new(Meddler::new()?);
        let mut retry = Retry::default();
        // Attacks that are answered with lies are not worth waiting for.
        (retry.attempts, retry.patient_attempts, retry.pause) = (2, 2, Duration::from_millis(10));
        retry.patience = Duration::from_millis(500);
        let options = ClientOptions::new()
            .state_dir(&home)
            .billing_server(Arc::clone(&meddler) as Arc<dyn portcullis_host::BillingServer>)
            .retry(retry);
        let client = Client::open(options)?;
        self.admit(&client).await?;
        Ok((client, meddler, home))
    }

    /// Somebody signs in here with a client that may know other shops, too.
    pub(super) async fn admit(&mut self, client: &Client) -> Result<()> {
        let mut browser = self.person().await?;
        let sign_in = client.sign_in(&self.origin, "a client").await?;
        browser.approve(&sign_in.user_code(), &sign_in.terminal_words()).await?;
        sign_in.finish().await?;
        Ok(())
    }

    /// Kills the server and starts it again with these environment variables.
    pub(super) fn restart(&mut self, environment: &[(&str, &str)]) -> Result<()> {
        self.running = Running::Otherwise;
        self.server.kill()?;
        self.server.start(environment)?;
        if environment.is_empty() {
            self.running = Running::Ordinarily;
        }
        Ok(())
    }

    /// Kills the server and starts it again, to be stopped by a signal at a fault point. What a server does when it
    /// starts is done by then: stopped in the middle of that, it would hold the database.
    pub(super) async fn restart_to_stop(&mut self, point: &str) -> Result<()> {
        self.restart(&[("PORTCULLIS_FAULT", &format!("{point}:stop"))])?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        Ok(())
    }

    /// Kills the server, and leaves it dead.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.running = Running::Otherwise;
        self.server.kill()
    }

    /// Undoes what an attack did to the server.
    pub(super) fn ensure_ordinary(&mut self) -> Result<()> {
        if self.running == Running::Otherwise { self.restart(&[]) } else { Ok(()) }
    }

    /// The folder of the shop and its clients.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The request that sets the price list.
pub(super) fn price_list(body: &impl serde::Serialize) -> Draft {
    Draft::json(Method::PUT, "/v1/catalogue/lumen/alpine-lake/offers", body)
}

/// The order for an offer.
pub(super) fn order(offer: Digest) -> Draft {
    let payment = PaymentMethod { provider: "sandbox".into(), token: "ok".into() };
    Draft::post("/v1/orders", &OrderRequest { offer, payment, again: false })
}

/// Takes the rate limits away: they bound load, and no attack here may be stopped by one.
fn unbound(file: &Path) -> Result<()> {
    let mut config: Table = toml::from_str(&fs::read_to_string(file)?)?;
    let limits = config.entry("limits").or_insert_with(|| Value::Table(Table::new()));
    let limits = limits.as_table_mut().context("`limits` is a table")?;
    for key in ["address_rate", "address_burst", "terminal_rate", "terminal_burst", "sign_in_attempts"] {
        limits.insert(key.into(), Value::Integer(1_000_000));
    }
    limits.insert("poll_seconds".into(), Value::Integer(0));
    // The most that is logged is what secrets are looked for in.
    let log = config.entry("log").or_insert_with(|| Value::Table(Table::new()));
    log.as_table_mut().context("`log` is a table")?.insert("level".into(), Value::String("debug".into()));
    fs::write(file, toml::to_string(&config)?)?;
    Ok(())
}
