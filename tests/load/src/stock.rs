//! What a server has before load is put on it: a publisher, a resource with its prices, and customers who have bought
//! it. Everything is made by the server's own code, in its own transactions.

use crate::plan::{Customer, Plan};
use anyhow::{Context as _, Result, bail, ensure};
use futures::StreamExt as _;
use futures::stream;
use portcullis_fixtures::random;
use portcullis_protocol::age::FileKey;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::wire::{OfferTerms, OrderRequest, OrderState, PaymentMethod};
use portcullis_protocol::{
    AccountId, Capabilities, Digest, Enrolment, IdempotencyKey, Manifest, Offer, OperationEntry, PartEntry, PartKind,
    PartName, PublisherEntry, PublisherName, ReleaseSecretKey, ResourceLimits, ResourceName, Rights, SecretKey,
    ServerEntry, TerminalId, Verified, paths,
};
use portcullis_server::Core;
use portcullis_server::billing::{offers, orders};
use portcullis_server::crypto::secrets::{TokenRole, new_token, rng};
use portcullis_server::ops::clock::Timestamp;
use portcullis_server::store::{
    Buyer, ClaimOutcome, DecideOutcome, Decision, EnrolOutcome, Holder, Idempotency, NewAccount, NewDevice, NewPart,
    NewResource, NewTerminal, NewTokens, NewWebSession, PollOutcome, PublishOutcome, Publisher, PublisherId, SessionId,
    SignUp,
};

/// As long as a hash, and nobody's.
const PASSWORD: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm90IGEgc2FsdCBhdCBhbGw$bm90IGEgaGFzaCBvZiBhbnl0aGluZyBhdCBhbGwgaGVyZQ";
/// How long tokens last: longer than any measuring.
const LIFE: u64 = 7 * 24 * 3600;
/// Customers that are made at once: so many share a commit.
const AT_ONCE: usize = 64;

pub(crate) const PUBLISHER: &str = "bench";
pub(crate) const RESOURCE: &str = "measured";
pub(crate) const BOUGHT: &str = "view";
pub(crate) const UNPAID: &str = "print";
/// The parts that are released.
const PARTS: [(&str, PartKind, &str); 2] =
    [("full", PartKind::Asset, "image/png"), ("body", PartKind::Code, "application/wasm")];

/// Sixteen bytes that name the customer of a number, in place of what would be drawn at random: they begin with a time,
/// as those do. `kind` tells one kind of identifier from another.
pub(crate) const fn numbered(kind: u8, number: u32) -> [u8; 16] {
    let [a, b, c, d] = number.to_be_bytes();
    [0x01, 0x90, 0, 0, 0, 0, 0x70, kind, 0x80, 0, 0, 0, a, b, c, d]
}

/// The account of a customer.
pub(crate) const fn account_of(number: u32) -> AccountId {
    AccountId::from_bytes(numbered(1, number))
}

/// The terminal of a customer.
pub(crate) const fn terminal_of(number: u32) -> TerminalId {
    TerminalId::from_bytes(numbered(2, number))
}

/// Makes goods and customers.
pub(crate) async fn fill(core: &Core, customers: u32) -> Result<Plan> {
    let owner = AccountId::generate(core.clock.now().id_millis(), &mut rng());
    account(core, owner, "publisher@example.org").await?;
    let key = SecretKey::generate(&mut rng());
    let publisher = Publisher {
        id: PublisherId(Octets(random())),
        name: name(PUBLISHER)?,
        key: key.public().clone(),
        owner,
        created: Timestamp::from_millis(0),
    };
    ensure!(core.store.claim_publisher(publisher).await? == ClaimOutcome::Claimed, "the name is taken");
    let (resource, keys) = resource(core, owner, &key)?;
    let digest = resource.digest;
    ensure!(core.store.publish(resource).await? == PublishOutcome::Published, "not published");
    let terms = |operation: &str| -> Result<OfferTerms> {
        Ok(OfferTerms {
            id: None,
            operation: operation.parse().ok().context("a name")?,
            title: format!("To {operation} it"),
            rights: Rights::Perpetual {},
            price: "1.00 EUR".parse().ok().context("a price")?,
        })
    };
    let list = vec![terms(BOUGHT)?, terms(UNPAID)?];
    let (publisher, name): (PublisherName, ResourceName) = (name(PUBLISHER)?, RESOURCE.parse().ok().context("a name")?);
    let offers = offers::replace(core, &owner, &publisher, &name, list).await?;
    let is_bought = |offer: &&Verified<Offer>| offer.document().operation.as_str() == BOUGHT;
    let offer = offers.iter().find(is_bought).context("an offer")?.digest();
    let making = stream::iter(0..customers).map(|number| customer(core, number, offer)).buffered(AT_ONCE);
    let customers: Vec<Result<Customer>> = making.collect().await;
    Ok(Plan {
        origin: core.origin.clone(),
        root: core.keys.root().clone(),
        resource: digest,
        bought: BOUGHT.parse().ok().context("a name")?,
        unpaid: UNPAID.parse().ok().context("a name")?,
        parts: keys.iter().map(|(part, key)| (part.to_string(), Octets(*key.expose()))).collect(),
        customers: customers.into_iter().collect::<Result<_>>()?,
    })
}

fn name(text: &str) -> Result<PublisherName> {
    text.parse().ok().context("a name")
}

/// An account with an enrolled terminal that has bought the operation.
async fn customer(core: &Core, number: u32, offer: Digest) -> Result<Customer> {
    let id = account_of(number);
    account(core, id, &format!("customer-{number}@example.org")).await?;
    let (key, release) = (SecretKey::generate(&mut rng()), ReleaseSecretKey::generate(&mut rng()));
    let (access, refresh) = (new_token(), new_token());
    let tokens = NewTokens {
        access: core.secrets.hash_token(TokenRole::Access, &access),
        access_life: LIFE,
        refresh: core.secrets.hash_token(TokenRole::Refresh, &refresh),
        refresh_life: LIFE,
    };
    let session = sign_in(core, id, &key, tokens).await?;
    let statement = Enrolment {
        jwk: key.public().clone(),
        x25519: Octets(*release.public().as_bytes()),
        origin: core.origin.clone(),
        root: core.keys.root().thumbprint(),
        label: "a terminal".into(),
        iat: core.clock.now().seconds(),
    };
    let terminal = NewTerminal {
        id: terminal_of(number),
        account: id,
        session,
        key: key.public().clone(),
        release: release.public(),
        label: "a terminal".into(),
        statement: Verified::sign(statement, &key).compact().to_owned(),
        most_per_day: 1,
    };
    let EnrolOutcome::Enrolled(terminal) = core.store.enrol(terminal).await? else { bail!("not enrolled") };
    let payment = PaymentMethod { provider: "sandbox".into(), token: "ok".into() };
    let request = OrderRequest { offer, payment, again: false };
    let body = Digest::of(&serde_json::to_vec(&request)?);
    let once = IdempotencyKey::new(Octets(random::<16>()).to_string())?;
    let once = Idempotency::of(once, "POST", paths::ORDERS, body);
    let order = orders::order(core, Buyer::Terminal { account: id, terminal }, &request, &once).await?;
    ensure!(order.state == OrderState::Paid, "an order is {:?}", order.state);
    Ok(Customer { seed: Octets(*key.to_seed()), release: Octets(*release.to_bytes()), token: access.to_string() })
}

async fn account(core: &Core, id: AccountId, name: &str) -> Result<()> {
    let account = NewAccount {
        id,
        lookup: core.secrets.lookup_name(name),
        other_lookups: Vec::new(),
        name: core.secrets.seal_name(&id, name),
        password: PASSWORD.into(),
        operator: false,
        invitation: None,
    };
    ensure!(core.store.create_account(account).await? == SignUp::Made, "no account was made");
    Ok(())
}

/// By way of a device code, as everybody.
async fn sign_in(core: &Core, account: AccountId, key: &SecretKey, tokens: NewTokens) -> Result<SessionId> {
    let hash = |role| core.secrets.hash_token(role, &new_token());
    let (device, user, browser) = (hash(TokenRole::Device), hash(TokenRole::User), hash(TokenRole::Web));
    let thumbprint = key.public().thumbprint();
    let code = NewDevice { device, user, key: thumbprint, label: "a terminal".into(), life: 600, interval: 0 };
    ensure!(core.store.create_device(code).await?, "no device code");
    let web = NewWebSession { token: browser, account, password: PASSWORD.into(), life: 600 };
    ensure!(core.store.create_web_session(web).await?, "no browser session");
    let decided = core.store.decide_device(&user, Decision::Approve(Holder { account, browser })).await?;
    ensure!(decided == DecideOutcome::Decided, "not approved");
    match core.store.poll_device(&device, &thumbprint, SessionId(Octets(random())), tokens).await? {
        PollOutcome::Session { session, .. } => Ok(session),
        other => bail!("not signed in: {other:?}"),
    }
}

/// A resource of two operations, each of which releases both parts. Its file is nowhere: nobody asks for it.
fn resource(core: &Core, account: AccountId, key: &SecretKey) -> Result<(NewResource, Vec<(PartName, FileKey)>)> {
    let part = |(name, kind, media_type): (&str, PartKind, &str)| -> Result<PartEntry> {
        Ok(PartEntry {
            name: name.parse().ok().context("a part")?,
            kind,
            media_type: media_type.into(),
            size: 100,
            commitment: Octets(random()),
            binding: Octets(random()),
            public: false,
        })
    };
    let parts: Vec<PartEntry> = PARTS.into_iter().map(part).collect::<Result<_>>()?;
    let operation = |name: &str| -> Result<OperationEntry> {
        Ok(OperationEntry {
            name: name.parse().ok().context("an operation")?,
            title: name.into(),
            exports: vec![name.parse().ok().context("an export")?],
            parts: parts.iter().map(|part| part.name.clone()).collect(),
        })
    };
    let manifest = Manifest {
        v: 1,
        publisher: PublisherEntry { name: name(PUBLISHER)?, jwk: key.public().clone() },
        name: RESOURCE.parse().ok().context("a name")?,
        version: "1.0.0".parse().ok().context("a version")?,
        kind: "software".into(),
        title: "What is measured".into(),
        description: "Released over and over.".into(),
        stub_digest: Digest::of(b"stub"),
        imports: vec!["portcullis:gate/billing@0.1.0#entry".into()],
        exports: vec![UNPAID.into(), BOUGHT.into()],
        operations: vec![operation(BOUGHT)?, operation(UNPAID)?],
        parts,
        limits: ResourceLimits::default(),
        capabilities: Capabilities::default(),
        advisory_metering: true,
        servers: vec![ServerEntry { origin: core.origin.clone(), root: core.keys.root().thumbprint() }],
    };
    manifest.check()?;
    let digest = Digest::of(&serde_json::to_vec(&manifest)?);
    let names = manifest.parts.iter().map(|part| part.name.clone());
    let keys: Vec<(PartName, FileKey)> = names.map(|name| (name, FileKey::generate(&mut rng()))).collect();
    let parts = manifest.parts.iter().zip(&keys).map(|(part, (name, key))| NewPart {
        name: name.clone(),
        commitment: part.commitment,
        key: core.secrets.wrap_file_key(&digest, name, key),
    });
    Ok((NewResource { digest, account, parts: parts.collect(), manifest, size: 1000, account_bytes: u64::MAX }, keys))
}
