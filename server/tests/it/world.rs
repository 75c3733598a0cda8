//! A server's core on a real file, with something to sell and terminals to buy it. No HTTP.

use crate::database::{self, Place};
use portcullis_faulty::Faults;
use portcullis_protocol::age::FileKey;
use portcullis_protocol::cycle::{Request, Terminal as ClientTerminal};
use portcullis_protocol::encoding::{BoundedOctets, Octets};
use portcullis_protocol::proof::{ProofTarget, Proven, check, prove};
use portcullis_protocol::wire::{
    AuthorisationAnswer, AuthorisationRequest, OfferTerms, OrderAnswer, OrderRequest, PaymentMethod,
    VerificationAnswer, VerificationRequest,
};
use portcullis_protocol::{
    AccountId, Capabilities, Digest, Grant, IdempotencyKey, KeyDocument, Manifest, Offer, OfferId, OperationEntry,
    Origin, PartEntry, PartKind, PartName, PublisherEntry, Reason, ReleaseSecretKey, ResourceLimits, Rights, SecretKey,
    ServerEntry, TerminalId, Thumbprint, Verified,
};
use portcullis_server::billing::currencies::Currencies;
use portcullis_server::billing::payment::{Payments, Sandbox};
use portcullis_server::billing::{cycle, offers, orders};
use portcullis_server::crypto::keys::{self, Keys};
use portcullis_server::crypto::secrets::{Secrets, TokenRole, new_token, random, rng};
use portcullis_server::notices::outbound::{Networks, Outbound};
use portcullis_server::ops::clock::{Clock, Timestamp};
use portcullis_server::ops::faults::FaultPoints;
use portcullis_server::store::{
    AccountPage, ClaimOutcome, DecideOutcome, Decision, EnrolOutcome, Holder, Idempotency, NewAccount, NewDevice,
    NewPart, NewResource, NewTerminal, NewTokens, NewWebSession, PollOutcome, PublishOutcome, Publisher, PublisherId,
    SessionId, SignUp,
};
use portcullis_server::{Asker, Core, Objects, ServiceError, SignedIn, StorageSettings};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

pub(crate) const PASSWORD: &str = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$not-a-hash-of-anything";

/// The database's file, if it is one.
const FILE: &str = "server.db";

/// A server with one publisher, `lumen`, and one resource, `alpine-lake`.
pub(crate) struct World {
    pub(crate) folder: Arc<TempDir>,
    pub(crate) core: Core,
    pub(crate) faults: Faults,
    pub(crate) owner: AccountId,
    pub(crate) publisher: SecretKey,
    pub(crate) resource: Digest,
    pub(crate) file_keys: Vec<(PartName, FileKey)>,
}

/// A terminal that is signed in and enrolled.
pub(crate) struct Machine {
    pub(crate) key: SecretKey,
    pub(crate) release: ReleaseSecretKey,
    pub(crate) token: String,
    pub(crate) refresh: String,
    pub(crate) session: SessionId,
    pub(crate) account: AccountId,
    pub(crate) id: TerminalId,
    pub(crate) asker: Asker,
}

pub(crate) fn now_ms() -> u64 {
    Clock::default().now().id_millis()
}

/// A request's identity that was never used.
pub(crate) fn fresh(body: &impl serde::Serialize) -> Idempotency {
    let key = Octets(random::<16>()).to_string();
    keyed(&key, body)
}

/// A request's identity under a given key.
pub(crate) fn keyed(key: &str, body: &impl serde::Serialize) -> Idempotency {
    let body = serde_json::to_vec(body).expect("a body");
    let key = IdempotencyKey::new(key).expect("visible ASCII");
    Idempotency::of(key, "POST", "/v1/test", Digest::of(&body))
}

/// The reason of a refusal.
pub(crate) fn reason<T: std::fmt::Debug>(result: Result<T, ServiceError>) -> Reason {
    match result {
        Err(ServiceError::Refused(refusal)) => refusal.reason,
        other => panic!("not a refusal: {other:?}"),
    }
}

pub(crate) fn origin() -> Origin {
    Origin::new("https://store.example").expect("an origin")
}

pub(crate) async fn open_core(folder: &Path, clock: Clock, faults: Faults) -> Core {
    let store = Place::of(folder, FILE).open(clock.clone(), faults.points()).expect("a store");
    let secrets = Secrets::open(&folder.join("master.key")).expect("secrets");
    let keys = Keys::open(&*store, &secrets, origin()).await.expect("keys");
    let payments = faults.around(&Payments::none().with(Sandbox::default()));
    let faults = faults.points();
    let (keys, currencies) = (Arc::new(keys), Currencies::default());
    let metrics = Arc::default();
    let loopback = || Networks::new(vec!["127.0.0.0/8".parse().expect("a network")]);
    let outbound = Outbound::new(loopback(), loopback());
    let objects = Arc::new(Objects::open(folder, &StorageSettings::default()).expect("a folder"));
    Core {
        store,
        objects,
        keys,
        secrets,
        origin: origin(),
        payments,
        currencies,
        gift_codes: 10_000,
        clock,
        faults,
        outbound,
        metrics,
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a folder"));
        let secrets = Secrets::create(&folder.path().join("master.key")).expect("secrets");
        database::choose(folder.path());
        let store = Place::of(folder.path(), FILE).open(Clock::default(), FaultPoints::none()).expect("a store");
        keys::init(&*store, &secrets).await.expect("keys");
        store.close().await.expect("closed");
        let faults = Faults::default();
        let core = open_core(folder.path(), Clock::default(), faults.clone()).await;
        let owner = account(&core, "publisher@example.org").await;
        let publisher = SecretKey::generate(&mut rng());
        let mut world =
            Self { folder, core, faults, owner, publisher, resource: Digest::of(b""), file_keys: Vec::new() };
        world.claim("lumen").await;
        let (digest, keys) = world.publish("alpine-lake", "1.0.0").await;
        (world.resource, world.file_keys) = (digest, keys);
        world
            .price(&[
                ("preview", Rights::Free {}, "0.00 EUR"),
                ("view", Rights::Perpetual {}, "4.99 EUR"),
                ("resize", Rights::Uses { count: 10 }, "1.00 EUR"),
            ])
            .await;
        world
    }

    /// The same server in another process: another store on the same file, the same clock.
    pub(crate) async fn second(&self) -> Core {
        open_core(self.folder.path(), self.core.clock.clone(), Faults::default()).await
    }

    pub(crate) fn database(&self) -> Place {
        Place::of(self.folder.path(), FILE)
    }

    pub(crate) async fn claim(&self, name: &str) -> ClaimOutcome {
        self.claim_as(name, self.owner, &self.publisher).await
    }

    pub(crate) async fn claim_as(&self, name: &str, owner: AccountId, key: &SecretKey) -> ClaimOutcome {
        let publisher = Publisher {
            id: PublisherId(Octets(random())),
            name: name.parse().expect("a name"),
            key: key.public().clone(),
            owner,
            created: Timestamp::from_millis(0),
        };
        self.core.store.claim_publisher(publisher).await.expect("a claim")
    }

    pub(crate) fn new_resource(&self, name: &str, version: &str) -> (NewResource, Vec<(PartName, FileKey)>) {
        let part = |name: &str| PartEntry {
            name: name.parse().expect("a name"),
            kind: PartKind::Code,
            media_type: "application/wasm".into(),
            size: 100,
            commitment: Octets(random()),
            binding: Octets(random()),
            public: name == "low",
        };
        let operation = |name: &str, export: &str, part: &str| OperationEntry {
            name: name.parse().expect("a name"),
            title: name.into(),
            exports: vec![export.parse().expect("an export")],
            parts: vec![part.parse().expect("a name")],
        };
        let manifest = Manifest {
            v: 1,
            publisher: PublisherEntry { name: "lumen".parse().expect("a name"), jwk: self.publisher.public().clone() },
            name: name.parse().expect("a name"),
            version: version.parse().expect("a version"),
            kind: "picture".into(),
            title: "Alpine lake".into(),
            description: "A lake in the morning".into(),
            stub_digest: Digest::of(b"stub"),
            imports: vec!["portcullis:gate/billing@0.1.0#entry".into()],
            exports: vec!["preview".into(), "resize".into(), "view".into()],
            parts: vec![part("full"), part("low")],
            operations: vec![
                operation("preview", "preview", "low"),
                operation("view", "view", "full"),
                operation("resize", "resize", "full"),
            ],
            limits: ResourceLimits { run_max: Some(60), ..ResourceLimits::default() },
            capabilities: Capabilities::default(),
            advisory_metering: true,
            servers: vec![ServerEntry { origin: origin(), root: self.core.keys.root().thumbprint() }],
        };
        manifest.check().expect("a manifest");
        let digest = Digest::of(&serde_json::to_vec(&manifest).expect("json"));
        let keys: Vec<_> =
            manifest.parts.iter().map(|part| (part.name.clone(), FileKey::generate(&mut rng()))).collect();
        let parts = manifest.parts.iter().zip(&keys);
        let parts = parts
            .map(|(part, (name, key))| NewPart {
                name: name.clone(),
                commitment: part.commitment,
                key: self.core.secrets.wrap_file_key(&digest, name, key),
            })
            .collect();
        (NewResource { digest, account: self.owner, manifest, size: 1000, account_bytes: u64::MAX, parts }, keys)
    }

    pub(crate) async fn publish(&self, name: &str, version: &str) -> (Digest, Vec<(PartName, FileKey)>) {
        let (resource, keys) = self.new_resource(name, version);
        let digest = resource.digest;
        let outcome = self.core.store.publish(resource).await.expect("published");
        assert_eq!(outcome, PublishOutcome::Published);
        (digest, keys)
    }

    pub(crate) async fn price(&self, list: &[(&str, Rights, &str)]) -> Vec<Verified<Offer>> {
        let terms = list.iter().map(|(operation, rights, price)| OfferTerms {
            id: None,
            operation: operation.parse().expect("a name"),
            title: (*operation).into(),
            rights: *rights,
            price: price.parse().expect("a price"),
        });
        self.reprice(terms.collect()).await
    }

    pub(crate) async fn reprice(&self, terms: Vec<OfferTerms>) -> Vec<Verified<Offer>> {
        let (publisher, name) = ("lumen".parse().expect("a name"), "alpine-lake".parse().expect("a name"));
        offers::replace(&self.core, &self.owner, &publisher, &name, terms).await.expect("a price list")
    }

    /// The offer for an operation in force, and its digest.
    pub(crate) async fn offer(&self, operation: &str) -> (OfferId, Digest) {
        let (publisher, name) = ("lumen".parse().expect("a name"), "alpine-lake".parse().expect("a name"));
        let offers = self.core.store.offers(&publisher, &name).await.expect("offers");
        let found = offers.iter().find(|revision| revision.offer.operation.as_str() == operation).expect("an offer");
        (found.offer.id, found.digest)
    }

    pub(crate) async fn machine(&self, name: &str) -> Machine {
        let account = account(&self.core, name).await;
        self.machine_of(account).await
    }

    /// A terminal of an account, by way of a device code.
    pub(crate) async fn machine_of(&self, account: AccountId) -> Machine {
        let (key, release) = (SecretKey::generate(&mut rng()), ReleaseSecretKey::generate(&mut rng()));
        let (tokens, token, refresh) = tokens(&self.core);
        let session = sign_in(&self.core, account, &key.public().thumbprint(), tokens).await;
        let terminal = terminal_in(account, session, &key, &release);
        let id = match self.core.store.enrol(terminal).await.expect("enrolled") {
            EnrolOutcome::Enrolled(id) => id,
            other => panic!("{other:?}"),
        };
        let asker = signed_in(&self.core, &key, &token).await.expect("signed in").asker().expect("enrolled");
        Machine { key, release, token, refresh, session, account, id, asker }
    }

    pub(crate) fn ask(&self, operation: &str, quantity: u32) -> AuthorisationRequest {
        AuthorisationRequest {
            resource: self.resource,
            operation: operation.parse().expect("a name"),
            quantity,
            offer: None,
            nonce: BoundedOctets::new(b"nonce".to_vec()).expect("short"),
        }
    }

    pub(crate) async fn buy(&self, machine: &Machine, operation: &str) -> OrderAnswer {
        let request = order_request(self.offer(operation).await.1, "ok");
        orders::order(&self.core, &machine.asker, &request, &fresh(&request)).await.expect("bought")
    }

    pub(crate) async fn authorise(
        &self,
        machine: &Machine,
        request: &AuthorisationRequest,
    ) -> Result<AuthorisationAnswer, ServiceError> {
        cycle::authorise(&self.core, &machine.asker, request, &fresh(request)).await
    }

    pub(crate) async fn verify(
        &self,
        machine: &Machine,
        request: &AuthorisationRequest,
        answer: &AuthorisationAnswer,
    ) -> Result<VerificationAnswer, ServiceError> {
        let request = VerificationRequest { code: answer.code.clone(), request: request.clone() };
        cycle::verify(&self.core, &machine.asker, &request, &fresh(&request)).await
    }

    /// The whole cycle, and what the terminal makes of it.
    pub(crate) async fn run(&self, machine: &Machine, operation: &str) -> Result<Opened, ServiceError> {
        let request = self.ask(operation, 1);
        let code = self.authorise(machine, &request).await?;
        let answer = self.verify(machine, &request, &code).await?;
        Ok(self.open(machine, request, &code, answer))
    }

    /// What a terminal makes of the answers, by the protocol's own states.
    pub(crate) fn open(
        &self,
        machine: &Machine,
        request: AuthorisationRequest,
        code: &AuthorisationAnswer,
        answer: VerificationAnswer,
    ) -> Opened {
        let now = self.core.clock.now();
        let root = self.core.keys.root();
        let keys = KeyDocument::verify(&self.core.keys.document(now), root, &origin(), now.seconds(), 0);
        let keys = keys.expect("a key document");
        let thumbprint = machine.key.public().thumbprint();
        let terminal = ClientTerminal { thumbprint: &thumbprint, origin: &origin(), now: now.seconds() };
        let part = if request.operation.as_str() == "preview" { "low" } else { "full" };
        let request = Request::new(request, vec![part.parse().expect("a name")]);
        let granted = request.authorised(code.clone()).verified(answer, keys.document(), &terminal).expect("a grant");
        let (grant, keys) = granted.open_keys(&machine.release).expect("keys");
        Opened { grant, keys }
    }

    /// Units of an entitlement that are neither drawn nor held.
    pub(crate) async fn remaining(&self, machine: &Machine, operation: &str) -> u64 {
        let entitlements =
            self.core.store.entitlements(&machine.account, AccountPage::new(0, 1000)).await.expect("entitlements").rows;
        let of_operation = entitlements.iter().filter(|e| e.operation.as_str() == operation && e.revoked.is_none());
        of_operation.filter_map(|entitlement| entitlement.remaining()).sum()
    }
}

/// What a terminal holds after a cycle.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) grant: Verified<Grant>,
    pub(crate) keys: Vec<(PartName, FileKey)>,
}

pub(crate) fn order_request(offer: Digest, token: &str) -> OrderRequest {
    OrderRequest { offer, payment: PaymentMethod { provider: "sandbox".into(), token: token.into() }, again: false }
}

/// An account that is not made yet.
pub(crate) fn new_account(core: &Core, name: &str) -> NewAccount {
    let id = AccountId::generate(now_ms(), &mut rng());
    NewAccount {
        id,
        lookup: core.secrets.lookup_name(name),
        other_lookups: Vec::new(),
        name: core.secrets.seal_name(&id, name),
        password: PASSWORD.into(),
        operator: false,
        invitation: None,
    }
}

pub(crate) async fn account(core: &Core, name: &str) -> AccountId {
    let account = new_account(core, name);
    let id = account.id;
    assert_eq!(core.store.create_account(account).await.expect("made"), SignUp::Made);
    id
}

pub(crate) fn tokens(core: &Core) -> (NewTokens, String, String) {
    let (access, refresh) = (new_token(), new_token());
    let tokens = NewTokens {
        access: core.secrets.hash_token(TokenRole::Access, &access),
        access_life: 3600,
        refresh: core.secrets.hash_token(TokenRole::Refresh, &refresh),
        refresh_life: 86_400,
    };
    (tokens, access.to_string(), refresh.to_string())
}

pub(crate) async fn sign_in(core: &Core, account: AccountId, key: &Thumbprint, tokens: NewTokens) -> SessionId {
    let device = core.secrets.hash_token(TokenRole::Device, &new_token());
    let user = core.secrets.hash_token(TokenRole::User, &new_token());
    let new = NewDevice { device, user, key: *key, label: "desk".into(), life: 600, interval: 0 };
    assert!(core.store.create_device(new).await.expect("a device code"));
    assert_eq!(core.store.decide_device(&user, approval(core, account).await).await, Ok(DecideOutcome::Decided));
    let session = SessionId(Octets(random()));
    match core.store.poll_device(&device, key, session, tokens).await.expect("polled") {
        PollOutcome::Session { session, .. } => session,
        other => panic!("{other:?}"),
    }
}

/// The account's owner, who has just signed a browser in.
pub(crate) async fn holder(core: &Core, account: AccountId) -> Holder {
    let browser = core.secrets.hash_token(TokenRole::Web, &new_token());
    let password = core.store.account(&account).await.expect("read").expect("an account").password;
    let session = NewWebSession { token: browser, account, password, life: 600 };
    assert!(core.store.create_web_session(session).await.expect("a browser session"));
    Holder { account, browser }
}

/// What he says to a terminal that asks.
pub(crate) async fn approval(core: &Core, account: AccountId) -> Decision {
    Decision::Approve(holder(core, account).await)
}

/// A terminal to be enrolled, whose key has just signed in.
pub(crate) async fn new_terminal(
    core: &Core,
    account: AccountId,
    key: &SecretKey,
    release: &ReleaseSecretKey,
) -> NewTerminal {
    let (tokens, ..) = tokens(core);
    let session = sign_in(core, account, &key.public().thumbprint(), tokens).await;
    terminal_in(account, session, key, release)
}

/// A terminal to be enrolled in a session.
pub(crate) fn terminal_in(
    account: AccountId,
    session: SessionId,
    key: &SecretKey,
    release: &ReleaseSecretKey,
) -> NewTerminal {
    NewTerminal {
        id: TerminalId::generate(now_ms(), &mut rng()),
        account,
        session,
        key: key.public().clone(),
        release: release.public(),
        label: "desk".into(),
        statement: "a statement".into(),
        most_per_day: 1000,
    }
}

/// A real proof for a request, checked as the server checks it.
pub(crate) fn proven(core: &Core, key: &SecretKey, token: &str) -> Proven {
    let now = core.clock.now().seconds();
    let target = ProofTarget {
        method: "POST",
        url: "https://store.example/v1/authorizations",
        token: Some(token),
        body: Digest::of(b""),
        idempotency_key: None,
    };
    let nonce = core.keys.nonce_key().issue(&key.public().thumbprint(), now);
    let compact = prove(key, &target, Octets(random()), now, Some(&nonce));
    check(&compact, &target, core.keys.nonce_key(), now).expect("a proof")
}

pub(crate) async fn signed_in(core: &Core, key: &SecretKey, token: &str) -> Result<SignedIn, ServiceError> {
    SignedIn::authenticate(core, &proven(core, key, token), token).await
}

/// A number that the database holds.
pub(crate) fn count(world: &World, sql: &str) -> i64 {
    world.database().number(sql, &[])
}
