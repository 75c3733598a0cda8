//! What one account can make long: no answer grows beyond what a terminal reads.

use crate::codes::new_merchant;
use crate::database::Of;
use crate::stage::{Stage, picture, picture_manifest, upload};
use crate::terminal::{Draft, Terminal, rng};
use crate::world::{World, account, new_terminal, now_ms};
use portcullis_protocol::encoding::{BoundedOctets, Octets};
use portcullis_protocol::limits::{
    MAX_DESCRIPTION, MAX_MERCHANTS, MAX_NAME, MAX_PUBLISHERS, MAX_RESOURCES, MAX_TITLE, MAX_VERSIONS, MAX_VOUCHES,
};
use portcullis_protocol::wire::{
    AccountAnswer, AuthorisationRequest, CatalogueEntry, OfferTerms, OffersAnswer, OffersRequest, PublishedAnswer,
    PublisherAnswer, SearchAnswer, VouchRequest,
};
use portcullis_protocol::{
    AccountId, Digest, OfferId, OperationName, PublisherClaim, PublisherName, Reason, ReleaseSecretKey, ResourceName,
    Rights, SecretKey, TerminalId, Verified, Version, Vouch,
};
use portcullis_server::Core;
use portcullis_server::crypto::secrets::random;
use portcullis_server::store::{
    ClaimOutcome, EnrolOutcome, MerchantOutcome, NewOffer, NewResource, NewTerminal, OffersOutcome, PublishOutcome,
    Publisher, PublisherId, Store,
};
use reqwest::{Method, StatusCode};
use std::sync::Arc;

/// Of an unsigned answer a terminal reads 2 MiB: `portcullis_host::MAX_ANSWER`.
const MOST: usize = 2 * 1024 * 1024;

/// A text that JSON makes twice as long.
fn quotes(length: usize) -> String {
    "\"".repeat(length)
}

/// A name of full length.
fn long(name: &str) -> String {
    format!("{name}-{}", "x".repeat(MAX_NAME - name.len() - 1))
}

/// A publisher who does his worst.
struct Glutton {
    stage: Stage,
    terminal: Terminal,
    key: SecretKey,
    name: PublisherName,
    account: AccountId,
}

impl Glutton {
    async fn new() -> Self {
        let stage = Stage::open().await;
        let name = long("glutton");
        let (terminal, key) = stage.publisher(&name).await;
        let name: PublisherName = name.parse().expect("a name");
        let account = stage.running.app().core.store.publisher(&name).await.expect("read").expect("known").owner;
        Self { stage, terminal, key, name, account }
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.stage.running.app().core.store)
    }

    /// The answer to a vouch for another key, which is in use from then on where it is taken.
    async fn change_key(&mut self, seq: u64) -> (StatusCode, String) {
        let successor = SecretKey::generate(&mut rng());
        let iat = self.stage.clock.now().seconds();
        let vouch = Vouch { name: self.name.clone(), jwk: successor.public().clone(), seq, iat };
        let claim = PublisherClaim {
            name: self.name.clone(),
            jwk: successor.public().clone(),
            origin: self.stage.origin.clone(),
            iat,
        };
        let vouch = VouchRequest {
            vouch: Verified::sign(vouch, &self.key).compact().to_owned(),
            claim: Some(Verified::sign(claim, &successor).compact().to_owned()),
        };
        let answer = self.terminal.send(&Draft::post(format!("/v1/publishers/{}/vouches", self.name), &vouch)).await;
        if answer.status == StatusCode::OK {
            self.key = successor;
        }
        (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// Publishes a version with the longest texts there are.
    async fn publish(&self, name: &str, version: &str) -> Digest {
        let mut manifest = picture_manifest(&self.terminal, &self.key, self.name.as_str(), version);
        manifest.name = name.parse().expect("a name");
        manifest.title = quotes(MAX_TITLE);
        manifest.description = quotes(MAX_DESCRIPTION);
        manifest.operations[1].name = operation();
        let digest = Digest::of(&random::<32>());
        let new = NewResource {
            digest,
            account: self.account,
            manifest,
            size: u64::from(u32::MAX),
            account_bytes: u64::MAX,
            parts: Vec::new(),
        };
        assert_eq!(self.store().publish(new).await.expect("stored"), PublishOutcome::Published);
        digest
    }

    fn prices(&self, name: &str, count: usize) -> Draft {
        let terms = |_| OfferTerms {
            id: None,
            operation: operation(),
            title: quotes(MAX_TITLE),
            rights: Rights::Uses { count: u32::MAX },
            price: "9999999999.99 EUR".parse().expect("a price"),
        };
        let offers = OffersRequest { offers: (0..count).map(terms).collect() };
        Draft::json(Method::PUT, format!("/v1/catalogue/{}/{name}/offers", self.name), &offers)
    }

    /// The longest price list that is taken, and how many offers it has.
    async fn longest_prices(&mut self, name: &str) -> usize {
        for count in (1..=64).rev() {
            let draft = self.prices(name, count);
            let answer = self.terminal.send(&draft).await;
            if answer.status == StatusCode::OK {
                // Read as a terminal reads it.
                let OffersAnswer { offers } = self.terminal.get_yes(&draft).await;
                assert_eq!(offers.len(), count);
                return count;
            }
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        }
        panic!("no price list is taken");
    }
}

fn operation() -> OperationName {
    long("view").parse().expect("a name")
}

fn request(resource: Digest) -> Draft {
    let request = AuthorisationRequest {
        resource,
        operation: operation(),
        quantity: 1,
        offer: None,
        nonce: BoundedOctets::default(),
    };
    Draft::post("/v1/authorizations", &request)
}

/// One publisher with as many vouches as can be, a page of resources with every text, version and price of full length:
/// everybody can still search the store.
#[tokio::test]
async fn one_publisher_does_not_end_the_search_for_all() {
    let mut glutton = Glutton::new().await;
    for seq in 1..=MAX_VOUCHES as u64 {
        assert_eq!(glutton.change_key(seq).await.0, StatusCode::OK, "{seq}");
    }
    let (status, said) = glutton.change_key(MAX_VOUCHES as u64 + 1).await;
    assert!(status == StatusCode::CONFLICT && said.contains("64 times"), "{status}: {said}");

    let mut count = 0;
    for number in 0..20 {
        let name = long(&format!("r{number}"));
        glutton.publish(&name, "1.0.0").await;
        for pre in 0..10 {
            glutton.publish(&name, &format!("2.0.0-{}.{pre}", "x".repeat(110))).await;
        }
        if number == 0 {
            count = glutton.longest_prices(&name).await;
        } else {
            assert_eq!(glutton.terminal.send(&glutton.prices(&name, count)).await.status, StatusCode::OK);
        }
    }
    let get = async |path: String| {
        let answer =
            glutton.terminal.http.get(format!("{}{path}", glutton.stage.origin)).send().await.expect("answers");
        assert_eq!(answer.status(), StatusCode::OK);
        let body = answer.bytes().await.expect("a body");
        assert!(body.len() <= MOST, "{} bytes", body.len());
        body
    };
    let found: SearchAnswer = serde_json::from_slice(&get("/v1/search".into()).await).expect("results");
    assert_eq!(found.results.len(), 20);
    for hit in &found.results {
        assert_eq!((hit.offers.len(), hit.vouches.len(), hit.versions.len()), (count, 0, 8));
        assert!(hit.versions.is_sorted_by(|newer, older| newer.version.is_newer_than(&older.version)));
        assert_eq!(hit.versions[7].version, Version::new(1, 0, 0), "the one to install");
    }
    // Whoever installs one gets everything.
    let path = format!("/v1/catalogue/{}/{}", glutton.name, found.results[0].name);
    let entry: CatalogueEntry = serde_json::from_slice(&get(path).await).expect("an entry");
    assert_eq!((entry.versions.len(), entry.vouches.len()), (11, MAX_VOUCHES));
    let known: PublisherAnswer =
        serde_json::from_slice(&get(format!("/v1/publishers/{}", glutton.name)).await).expect("a publisher");
    assert_eq!((&known.publisher_key, known.vouches.len()), (glutton.key.public(), MAX_VOUCHES));
    glutton.stage.stop().await;
}

/// A publisher of many resources reads the names of all of them, and nobody else of what is not on sale.
#[tokio::test]
async fn what_was_published_is_listed_whole_and_for_the_publisher_alone() {
    let mut glutton = Glutton::new().await;
    glutton.publish("first", "1.0.0").await;
    let copies = "INSERT INTO catalogue (publisher, name, newest, kind, versions, texts, sold, cover)
         SELECT publisher, ?1, newest, kind, '[]', texts, 0, cover FROM catalogue WHERE name = 'first'";
    let names: Vec<String> = (0..650).map(|number| format!("{}-{number:03}", "n".repeat(MAX_NAME - 4))).collect();
    for name in &names {
        glutton.stage.database().change(copies, &[Of::Text(name)]);
    }
    let path = format!("/v1/publishers/{}/resources", glutton.name);
    let (mut listed, mut next) = (Vec::new(), Some(0));
    while let Some(page) = next {
        let path = if page == 0 { path.clone() } else { format!("{path}/{page}") };
        let answer: PublishedAnswer = glutton.terminal.get_yes(&Draft::get(&path)).await;
        listed.extend(answer.resources.known.iter().map(ToString::to_string));
        next = answer.next;
    }
    assert_eq!(listed[0], "first");
    assert_eq!(listed[1..], names);
    let mut other = glutton.stage.publisher("another").await.0;
    for path in [path.clone(), format!("{path}/1"), "/v1/publishers/there-is-none/resources".to_owned()] {
        assert_eq!(other.send(&Draft::get(&path)).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let public = format!("{}/v1/publishers/{}", glutton.stage.origin, glutton.name);
    let public = other.http.get(public).send().await.expect("answers").text().await.expect("a text");
    assert!(public.contains("vouches") && !public.contains("first"), "{public}");
    glutton.stage.stop().await;
}

/// Every entry lists every version: there are not endlessly many.
#[tokio::test]
async fn a_resource_has_so_many_versions() {
    let mut glutton = Glutton::new().await;
    let upload_of = |glutton: &Glutton, version: &str| {
        upload(&picture(&glutton.terminal, &glutton.key, glutton.name.as_str(), version))
    };
    let first = upload_of(&glutton, "1.0.0");
    assert_eq!(glutton.terminal.send(&first).await.status, StatusCode::OK);

    let copies = "INSERT INTO resources
             (digest, publisher, name, version, kind, title, description, manifest, run_max, size, published_at)
         SELECT ?1, publisher, name, ?2, kind, title, description, manifest, run_max, size, published_at
         FROM resources WHERE version = '1.0.0'";
    for number in 1..MAX_VERSIONS - 1 {
        let digest = portcullis_server::crypto::secrets::random::<32>();
        glutton.stage.database().change(copies, &[Of::Blob(&digest), Of::Text(&format!("1.{number}.0"))]);
    }
    let last = upload_of(&glutton, "2.0.0");
    assert_eq!(glutton.terminal.send(&last).await.status, StatusCode::OK, "the last one");
    let further = upload_of(&glutton, "2.0.1");
    let refused = glutton.terminal.send(&further).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(String::from_utf8_lossy(&refused.body).contains("another name"));
    assert_eq!(glutton.terminal.send(&last).await.status, StatusCode::OK, "again, and it is there already");
    glutton.stage.stop().await;
}

/// The longest price list for one operation: its refusal is read. One from before there was a bound is cut.
#[tokio::test]
async fn a_refusal_with_every_offer_is_read() {
    let mut glutton = Glutton::new().await;
    let name = long("picture");
    let resource = glutton.publish(&name, "1.0.0").await;
    let mut customer = glutton.stage.customer("ada@example.org").await;
    let count = glutton.longest_prices(&name).await;
    assert!(count >= 20, "{count}");
    let refused = customer.get_no(&request(resource)).await;
    assert_eq!((refused.reason, refused.offers.len()), (Reason::PaymentRequired, count));

    let old = (0..64).map(|_| NewOffer {
        id: OfferId::generate(now_ms(), &mut rng()),
        revises: false,
        operation: operation(),
        title: quotes(MAX_TITLE),
        rights: Rights::Perpetual {},
        price: "1.00 EUR".parse().expect("a price"),
    });
    let (origin, resource_name): (_, ResourceName) = (&glutton.stage.origin, name.parse().expect("a name"));
    let store = glutton.store();
    let outcome = store.replace_offers(origin, &glutton.account, &glutton.name, &resource_name, old.collect()).await;
    assert!(matches!(outcome, Ok(OffersOutcome::Replaced(offers)) if offers.len() == 64));
    let refused = customer.get_no(&request(resource)).await;
    assert!(refused.offers.len() >= 20 && refused.offers.len() < 64, "{}", refused.offers.len());
    glutton.stage.stop().await;
}

/// Each offer of a price list is kept for good, for those who have bought by it.
#[tokio::test]
async fn an_account_changes_prices_at_a_bounded_rate() {
    let mut glutton = Glutton::new().await;
    glutton.publish("first", "1.0.0").await;
    let prices = |glutton: &Glutton| glutton.prices("first", 2);
    let first = prices(&glutton);
    assert_eq!(glutton.terminal.send(&first).await.status, StatusCode::OK);
    let mut held = false;
    // What comes back meanwhile, on a busy machine, is used up again.
    for _ in 0..50 {
        while glutton.stage.running.app().gates.offers.take(glutton.account).is_ok() {}
        let again = prices(&glutton);
        let status = glutton.terminal.send(&again).await.status;
        held = status == StatusCode::TOO_MANY_REQUESTS;
        assert!(held || status == StatusCode::OK, "{status}");
        if held {
            break;
        }
    }
    assert!(held, "it is never held back");
    // The control: of another account nothing is held back.
    let mut other = glutton.stage.publisher("another").await.0;
    assert_eq!(other.send(&prices(&glutton)).await.status, StatusCode::NOT_FOUND, "and it is told what is wrong");
    glutton.stage.stop().await;
}

/// Three hundred terminals and as many publishers as one account may have, with labels and names of full length: its owner
/// still reads his account, and finds in it the terminal he sits at and the newest ones.
#[tokio::test]
async fn an_account_of_many_terminals_is_read() {
    let mut glutton = Glutton::new().await;
    let store = glutton.store();
    let core = glutton.stage.running.app().core.clone();
    let mut terminals: Vec<TerminalId> = Vec::new();
    for number in 0..300_u64 {
        let (key, release) = (SecretKey::generate(&mut rng()), ReleaseSecretKey::generate(&mut rng()));
        let id = TerminalId::generate(now_ms() + 1000 + number, &mut rng());
        let new = new_terminal(&core, glutton.account, &key, &release).await;
        let new = NewTerminal { id, label: quotes(MAX_TITLE), ..new };
        assert!(matches!(store.enrol(new).await, Ok(EnrolOutcome::Enrolled(_))));
        terminals.push(id);
    }
    for id in &terminals[290..] {
        assert!(store.revoke_terminal(&glutton.account, id).await.expect("revoked"));
    }
    // One name is claimed already.
    for number in 1..=MAX_PUBLISHERS {
        let publisher = Publisher {
            id: PublisherId(Octets(random())),
            name: long(&format!("p{number}")).parse().expect("a name"),
            key: SecretKey::generate(&mut rng()).public().clone(),
            owner: glutton.account,
            created: glutton.stage.clock.now(),
        };
        let expected = if number < MAX_PUBLISHERS { ClaimOutcome::Claimed } else { ClaimOutcome::TooMany };
        assert_eq!(store.claim_publisher(publisher).await.expect("answered"), expected, "{number}");
    }
    let account: AccountAnswer = glutton.terminal.get_yes(&Draft::get("/v1/account")).await;
    let listed: Vec<_> = account.terminals.iter().map(|terminal| terminal.terminal).collect();
    assert!(account.terminals[0].current, "the oldest of all");
    assert!(listed.len() > 50, "{}", listed.len());
    let newest: Vec<_> = terminals[..290].iter().rev().take(listed.len() - 1).copied().collect();
    assert_eq!(listed[1..], newest, "and those that were revoked come last");
    assert_eq!(account.publishers.len() as u64, MAX_PUBLISHERS);

    // The control: an account of few sees all, the revoked one last.
    let mut browser = glutton.stage.person("ada@example.org").await;
    let mut ada = Vec::new();
    for _ in 0..3 {
        ada.push(glutton.stage.terminal_of(&mut browser).await);
    }
    let before: AccountAnswer = ada[0].get_yes(&Draft::get("/v1/account")).await;
    let newest = before.terminals[1].terminal;
    let draft = Draft {
        method: Method::DELETE,
        idempotency_key: Some(crate::terminal::fresh_key()),
        ..Draft::get(format!("/v1/account/terminals/{newest}"))
    };
    let portcullis_protocol::wire::Done {} = ada[0].get_yes(&draft).await;
    let after: AccountAnswer = ada[0].get_yes(&Draft::get("/v1/account")).await;
    let seen: Vec<_> = after.terminals.iter().map(|terminal| (terminal.current, terminal.revoked)).collect();
    assert_eq!(seen, [(true, false), (false, false), (false, true)]);
    assert_eq!(after.terminals[2].terminal, newest);
    glutton.stage.stop().await;
}

/// Names are taken from everybody else: one account has some, whatever number of processes it asks at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_account_has_so_many_names_and_no_more() {
    let world = World::new().await;
    let second = world.second().await;
    let (squatter, other) =
        (account(&world.core, "squatter@example.org").await, account(&world.core, "other@example.org").await);
    let key = || SecretKey::generate(&mut rng());
    for number in 1..MAX_PUBLISHERS {
        let claimed = world.claim_as(&format!("taken-{number}"), squatter, &key()).await;
        assert_eq!(claimed, ClaimOutcome::Claimed, "{number}");
    }
    let publisher = |name: &str| Publisher {
        id: PublisherId(Octets(random())),
        name: name.parse().expect("a name"),
        key: key().public().clone(),
        owner: squatter,
        created: world.core.clock.now(),
    };
    let (one, two) = tokio::join!(
        world.core.store.claim_publisher(publisher("one")),
        second.store.claim_publisher(publisher("two"))
    );
    let mut both = [one.expect("answered"), two.expect("answered")];
    both.sort_by_key(|outcome| *outcome == ClaimOutcome::TooMany);
    assert_eq!(both, [ClaimOutcome::Claimed, ClaimOutcome::TooMany]);
    assert_eq!(world.claim_as("one-more", other, &key()).await, ClaimOutcome::Claimed, "the control");

    let merchant = async |core: &Core, name: &str, owner| {
        let new = new_merchant(core, name, &key(), owner, "https://shop.example/hook");
        core.store.claim_merchant(new).await.expect("answered")
    };
    for number in 1..MAX_MERCHANTS {
        let claimed = merchant(&world.core, &format!("taken-{number}"), squatter).await;
        assert!(matches!(claimed, MerchantOutcome::Claimed(_)), "{number}: {claimed:?}");
    }
    let (one, two) = tokio::join!(merchant(&world.core, "one", squatter), merchant(&second, "two", squatter));
    let claimed = [one, two].iter().filter(|outcome| matches!(outcome, MerchantOutcome::Claimed(_))).count();
    assert_eq!(claimed, 1);
    assert!(matches!(merchant(&world.core, "three", squatter).await, MerchantOutcome::TooMany));
    assert!(matches!(merchant(&world.core, "three", other).await, MerchantOutcome::Claimed(_)), "the control");

    // One resource there is, and as if there were all but one of the others.
    world.database().run(&format!(
        "INSERT INTO catalogue (publisher, name, newest, kind, versions, texts, sold)
         SELECT c.publisher, 'taken-' || n.i, c.newest, c.kind, '[]', c.texts, 0 FROM catalogue c,
             (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT i FROM n) n
         WHERE c.name = 'alpine-lake'",
        MAX_RESOURCES - 2
    ));
    let (one, two) = (world.new_resource("one", "1.0.0").0, world.new_resource("two", "1.0.0").0);
    let (one, two) = tokio::join!(world.core.store.publish(one), second.store.publish(two));
    let mut both = [one.expect("answered"), two.expect("answered")];
    both.sort_by_key(|outcome| *outcome == PublishOutcome::TooManyResources);
    assert_eq!(both, [PublishOutcome::Published, PublishOutcome::TooManyResources]);
    world.publish("alpine-lake", "1.0.1").await;
}
