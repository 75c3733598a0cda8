//! A whole server on a free port, with a publisher, a small resource and its price.

use crate::browser::Browser;
use crate::database::{self, Place};
use crate::terminal::{Draft, Terminal, fresh_key, now, rng};
use portcullis_protocol::age::Recipient;
use portcullis_protocol::encoding::{BoundedOctets, Octets};
use portcullis_protocol::paths;
use portcullis_protocol::sealed::Package;
use portcullis_protocol::wire::{
    AuthorisationRequest, CatalogueEntry, Done, OfferTerms, OffersAnswer, OffersRequest, OrderAnswer, OrderRequest,
    OrderState, PaymentMethod, PublishAnswer, PublisherRequest,
};
use portcullis_protocol::{
    Capabilities, Digest, Manifest, Offer, OperationEntry, Origin, PartEntry, PartKind, PublisherClaim, PublisherEntry,
    ResourceLimits, Rights, SecretKey, ServerEntry, Unverified, Verified,
};
use portcullis_server::crypto::keys;
use portcullis_server::crypto::secrets::Secrets;
use portcullis_server::ops::clock::Clock;
use portcullis_server::ops::config::{Config, Publishers, SignUp, WebhookSettings};
use portcullis_server::{MASTER_KEY, Parts, Running, open_store};
use reqwest::Method;
use std::io::Cursor;
use tempfile::TempDir;

pub(crate) const PASSWORD: &str = "a long enough password";
/// A component that asks for billing and exports `view`: body and stub at once.
const COMPONENT: &str = r#"(component
    (import "portcullis:gate/billing@0.1.0" (instance $billing (export "entry" (func (result u32)))))
    (alias export $billing "entry" (func $entry))
    (export "view" (func $entry)))"#;
/// The same, with an import that its stub does not have.
pub(crate) const SMUGGLER: &str = r#"(component
    (import "portcullis:gate/billing@0.1.0" (instance $billing (export "entry" (func (result u32)))))
    (import "wasi:random/random@0.2.0" (instance (export "get-random-u64" (func (result u64)))))
    (alias export $billing "entry" (func $entry))
    (export "view" (func $entry)))"#;
/// What the picture's full part holds, in the clear.
pub(crate) const FULL: &[u8] = b"the full picture";
/// What its preview holds.
pub(crate) const PREVIEW: &[u8] = b"a small picture";

/// A server under test. Dropped, its folder goes.
pub(crate) struct Stage {
    pub(crate) folder: TempDir,
    pub(crate) running: Running,
    pub(crate) origin: Origin,
    pub(crate) clock: Clock,
}

/// What the tests' servers allow: everything, quickly.
pub(crate) fn config(folder: &TempDir) -> Config {
    let mut config = Config {
        listen: "127.0.0.1:0".parse().expect("an address"),
        dir: folder.path().to_owned(),
        sign_up: SignUp::Open,
        publishers: Publishers::Open,
        ..Config::default()
    };
    config.payment.set("sandbox", true);
    let loopback = || vec!["127.0.0.0/8".parse().expect("a network")];
    config.webhooks = WebhookSettings { networks: loopback(), networks_of_others: loopback() };
    config.limits.poll_seconds = 0;
    config.limits.upload_bytes = 1024 * 1024;
    config
}

/// A server that is built from these parts, with a clock that tests shift.
pub(crate) async fn start(parts: Parts, config: impl FnOnce(&TempDir) -> Config) -> Stage {
    // Whatever any test is answered has to be declared.
    portcullis_fixtures::observe(crate::api::declared::check);
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::default();
    let parts = Parts { clock: clock.clone(), ..parts };
    let secrets = Secrets::create(&folder.path().join(MASTER_KEY)).expect("a master key");
    // Faults strike the server, not its making.
    let (made_with, database) = (Parts { clock: clock.clone(), ..Parts::default() }, database::choose(folder.path()));
    let store = open_store(folder.path(), database.as_ref(), true, &made_with).expect("a database");
    keys::init(&*store, &secrets).await.expect("keys");
    store.close().await.expect("closed");
    drop(store);
    let config = Config { database, ..config(&folder) };
    let running = Running::start_with(config, parts).await.expect("a server");
    let origin = running.app().origin().clone();
    Stage { folder, running, origin, clock }
}

impl Stage {
    pub(crate) async fn open() -> Self {
        Self::with(|_| {}).await
    }

    /// A server whose configuration differs.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        start(Parts::default(), |folder| {
            let mut config = config(folder);
            change(&mut config);
            config
        })
        .await
    }

    /// Another process of the same server: another store on the same database, listening elsewhere under the same
    /// origin.
    pub(crate) async fn second(&self) -> Running {
        let database = match self.database() {
            Place::File(_) => None,
            Place::Address(address) => Some(address.parse().expect("an address")),
        };
        let config = Config { origin: Some(self.origin.clone()), database, ..config(&self.folder) };
        let parts = Parts { clock: self.clock.clone(), ..Parts::default() };
        Running::start_with(config, parts).await.expect("a second process")
    }

    pub(crate) fn database(&self) -> Place {
        Place::of(self.folder.path(), portcullis_server::DATABASE)
    }

    pub(crate) async fn stop(self) {
        self.running.stop().await.expect("stops");
    }

    /// A browser whose user has just made an account.
    pub(crate) async fn person(&self, email: &str) -> Browser {
        let mut browser = Browser::new(&self.origin);
        let page = browser.sign_up(email, PASSWORD).await;
        assert_eq!(page.status, 303, "{}", page.text);
        browser
    }

    /// A terminal that `browser`'s user has signed in and enrolled.
    pub(crate) async fn terminal_of(&self, browser: &mut Browser) -> Terminal {
        let mut terminal = self.signed_in(browser).await;
        terminal.enrol("a terminal").await;
        terminal
    }

    /// A terminal that `browser`'s user has signed in, and that has not enrolled.
    pub(crate) async fn signed_in(&self, browser: &mut Browser) -> Terminal {
        let mut terminal = Terminal::new(&self.origin).await;
        let code = terminal.device_code("a terminal").await;
        let page = browser.decide(&code.user_code, "approve").await;
        assert_eq!(page.status, 200, "{}", page.text);
        terminal.poll(&code.device_code).await.expect("tokens");
        terminal
    }

    /// An account with an enrolled terminal.
    pub(crate) async fn customer(&self, email: &str) -> Terminal {
        let mut browser = self.person(email).await;
        self.terminal_of(&mut browser).await
    }

    /// An account that owns the publisher `lumen`, with its terminal and its key.
    pub(crate) async fn publisher(&self, name: &str) -> (Terminal, SecretKey) {
        let mut terminal = self.customer(&format!("{name}@example.org")).await;
        let key = SecretKey::generate(&mut rng());
        let Done {} = terminal.get_yes(&claim(&self.origin, name, &key)).await;
        (terminal, key)
    }

    /// A shop: the publisher `lumen`, its picture published and priced.
    pub(crate) async fn shop(&self) -> Shop {
        let (mut terminal, key) = self.publisher("lumen").await;
        let file = picture(&terminal, &key, "lumen", "1.0.0");
        let published: PublishAnswer = terminal.get_yes(&upload(&file)).await;
        let offers = vec![
            terms("preview", Rights::Free {}, "0.00 EUR"),
            terms("view", Rights::Perpetual {}, "1.99 EUR"),
            terms("print", Rights::Uses { count: 3 }, "5.00 EUR"),
        ];
        let mut shop = Shop { terminal, key, file, resource: published.resource, offers: Vec::new() };
        shop.reprice(offers).await;
        shop
    }
}

/// Something to buy.
pub(crate) struct Shop {
    pub(crate) terminal: Terminal,
    pub(crate) key: SecretKey,
    pub(crate) file: Vec<u8>,
    pub(crate) resource: Digest,
    pub(crate) offers: Vec<Verified<Offer>>,
}

impl Shop {
    pub(crate) fn offer(&self, operation: &str) -> &Verified<Offer> {
        self.offers.iter().find(|offer| offer.document().operation.as_str() == operation).expect("an offer")
    }

    pub(crate) fn request(&self, operation: &str) -> AuthorisationRequest {
        AuthorisationRequest {
            resource: self.resource,
            operation: operation.parse().expect("an operation"),
            quantity: 1,
            offer: None,
            nonce: BoundedOctets::default(),
        }
    }

    /// Sells under these offers and no others from now on.
    pub(crate) async fn reprice(&mut self, offers: Vec<OfferTerms>) {
        let path = paths::fill(paths::OFFERS, &[&"lumen", &"alpine-lake"]);
        let OffersAnswer { offers } =
            self.terminal.get_yes(&Draft::json(Method::PUT, path, &OffersRequest { offers })).await;
        self.offers = offers.iter().map(|offer| read_offer(&self.terminal, offer)).collect();
    }

    /// Buys an operation.
    pub(crate) async fn buy(&self, customer: &mut Terminal, operation: &str) -> OrderAnswer {
        let order: OrderAnswer = customer.get_yes(&order(self.offer(operation).digest(), "ok")).await;
        assert_eq!(order.state, OrderState::Paid);
        order
    }
}

pub(crate) fn order(offer: Digest, token: &str) -> Draft {
    let payment = PaymentMethod { provider: "sandbox".into(), token: token.into() };
    Draft::post(paths::ORDERS, &OrderRequest { offer, payment, again: false })
}

pub(crate) fn claim(origin: &Origin, name: &str, key: &SecretKey) -> Draft {
    let claim = PublisherClaim {
        name: name.parse().expect("a name"),
        jwk: key.public().clone(),
        origin: origin.clone(),
        iat: now(),
    };
    Draft::post(paths::PUBLISHERS, &PublisherRequest { claim: Verified::sign(claim, key).compact().to_owned() })
}

pub(crate) fn upload(file: &[u8]) -> Draft {
    Draft {
        method: Method::PUT,
        body: file.to_vec(),
        content_type: "application/wasm",
        idempotency_key: Some(fresh_key()),
        ..Draft::get(paths::RESOURCES)
    }
}

pub(crate) fn terms(operation: &str, rights: Rights, price: &str) -> OfferTerms {
    OfferTerms {
        id: None,
        operation: operation.parse().expect("an operation"),
        title: format!("To {operation} it"),
        rights,
        price: price.parse().expect("a price"),
    }
}

pub(crate) fn read_offer(terminal: &Terminal, compact: &str) -> Verified<Offer> {
    let offer = Unverified::<Offer>::parse(compact).expect("an offer");
    let key = terminal.keys.signing_key(offer.kid(), now()).expect("a current key");
    offer.verify(key).expect("signed by the server")
}

/// A small sealed picture of three operations.
pub(crate) fn picture(terminal: &Terminal, key: &SecretKey, publisher: &str, version: &str) -> Vec<u8> {
    let manifest = picture_manifest(terminal, key, publisher, version);
    seal(terminal, key, manifest)
}

pub(crate) fn seal(terminal: &Terminal, key: &SecretKey, manifest: Manifest) -> Vec<u8> {
    let recipient: Recipient = terminal.keys.recipient.parse().expect("the server's recipient");
    seal_with(key, manifest, &stub(), &recipient)
}

/// The component that the tests sell.
pub(crate) fn stub() -> Vec<u8> {
    wat::parse_str(COMPONENT).expect("a component")
}

/// Seals with any code part, for any recipient.
pub(crate) fn seal_with(key: &SecretKey, mut manifest: Manifest, body: &[u8], recipient: &Recipient) -> Vec<u8> {
    manifest.parts[2].size = body.len() as u64;
    let sources: Vec<Box<dyn std::io::Read>> =
        vec![Box::new(PREVIEW), Box::new(FULL), Box::new(Cursor::new(body.to_vec()))];
    let package = Package { stub: &stub(), manifest, sources, recipients: std::slice::from_ref(recipient) };
    let mut file = Cursor::new(Vec::new());
    package.write(&mut file, key, &mut rng()).expect("sealed");
    file.into_inner()
}

pub(crate) fn picture_manifest(terminal: &Terminal, key: &SecretKey, publisher: &str, version: &str) -> Manifest {
    let part = |name: &str, kind, size: usize, public| PartEntry {
        name: name.parse().expect("a part"),
        kind,
        media_type: if kind == PartKind::Code { "application/wasm" } else { "image/png" }.into(),
        size: size as u64,
        commitment: Octets([0; 32]),
        binding: Octets([0; 32]),
        public,
    };
    let operation = |name: &str, exports: &[&str], parts: &[&str]| OperationEntry {
        name: name.parse().expect("an operation"),
        title: name.into(),
        exports: exports.iter().map(|export| export.parse().expect("an export")).collect(),
        parts: parts.iter().map(|part| part.parse().expect("a part")).collect(),
    };
    Manifest {
        v: 1,
        publisher: PublisherEntry { name: publisher.parse().expect("a publisher"), jwk: key.public().clone() },
        name: "alpine-lake".parse().expect("a name"),
        version: version.parse().expect("a version"),
        kind: "picture".into(),
        title: "Alpine lake".into(),
        description: "A lake below a glacier.".into(),
        stub_digest: Digest::of(&stub()),
        imports: vec!["portcullis:gate/billing@0.1.0#entry".into()],
        exports: vec!["view".into()],
        parts: vec![
            part("small", PartKind::Asset, PREVIEW.len(), true),
            part("full", PartKind::Asset, FULL.len(), false),
            part("body", PartKind::Code, stub().len(), false),
        ],
        operations: vec![
            operation("preview", &[], &["small"]),
            operation("view", &["view"], &["full", "body"]),
            operation("print", &[], &["full"]),
        ],
        limits: ResourceLimits::default(),
        capabilities: Capabilities::default(),
        advisory_metering: false,
        servers: vec![ServerEntry { origin: terminal.origin.clone(), root: terminal.root.thumbprint() }],
    }
}

/// The catalogue's entry, as everybody sees it.
pub(crate) async fn catalogue(terminal: &Terminal, path: &str) -> CatalogueEntry {
    let url = format!("{}{path}", terminal.origin);
    let answer = terminal.http.get(url).send().await.expect("answers");
    assert_eq!(answer.status(), 200);
    serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("an entry")
}
