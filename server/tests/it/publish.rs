//! Publishing, and the thieves who try it.

use crate::stage::{
    SMUGGLER, Shop, Stage, catalogue, claim, order, picture, picture_manifest, seal, seal_with, stub, upload,
};
use crate::terminal::{Draft, Terminal, rng};
use crate::world::World;
use portcullis_protocol::age::{Identity, Recipient};
use portcullis_protocol::sealed::Sealed;
use portcullis_protocol::wire::{
    AdoptionRequest, CatalogueEntry, Done, Problem, PublishAnswer, PublisherAnswer, RestoreRequest, SearchAnswer,
    VouchRequest, WithdrawRequest,
};
use portcullis_protocol::{
    AdoptedVersions, Adoption, Digest, Manifest, PublisherClaim, PublisherName, Reason, SecretKey, SignedManifest,
    Unverified, Verified, Vouch,
};
use portcullis_server::store::{NewResource, PublishOutcome, RestoreOutcome, WithdrawOutcome};
use reqwest::{Method, StatusCode};

#[tokio::test]
async fn a_resource_is_countersigned_listed_and_served() {
    let stage = Stage::open().await;
    let (mut terminal, key) = stage.publisher("lumen").await;
    let file = picture(&terminal, &key, "lumen", "1.0.0");
    let answer: PublishAnswer = terminal.get_yes(&upload(&file)).await;
    let digest = Sealed::open(file.clone()).expect("sealed").digest();
    assert_eq!(answer.resource, digest, "publishing leaves the digest alone");

    let entry = catalogue(&terminal, "/v1/catalogue/lumen/alpine-lake").await;
    assert_eq!(entry.versions[0].digest, digest);
    assert_eq!(entry.publisher_key, *key.public());
    let url = format!("{}/v1/files/{digest}", stage.origin);
    let served = terminal.http.get(url).send().await.expect("answers").bytes().await.expect("body").to_vec();
    assert_eq!(served.len() as u64, entry.versions[0].size);
    let served = Sealed::open(served).expect("still sealed");
    served.verify_blocks().expect("whole");
    assert_eq!(served.digest(), digest);
    let [counter] = served.signed().countersignatures() else { panic!("one countersignature") };
    assert_eq!(counter.iss, stage.origin);
    assert!(terminal.keys.signing_key(counter.key.thumbprint(), counter.iat).is_some(), "by a current key");

    // The same file again changes nothing; the same version with another content is refused.
    let again: PublishAnswer = terminal.get_yes(&upload(&file)).await;
    assert_eq!(again.resource, digest);
    let other = picture(&terminal, &key, "lumen", "1.0.0");
    assert_eq!(terminal.send(&upload(&other)).await.status, StatusCode::CONFLICT);
    stage.stop().await;
}

#[tokio::test]
async fn the_kind_of_what_merchants_sell_is_nobody_elses() {
    let stage = Stage::open().await;
    let (mut terminal, key) = stage.publisher("lumen").await;
    for (kind, expected) in [
        ("code", StatusCode::UNPROCESSABLE_ENTITY),
        ("Code", StatusCode::UNPROCESSABLE_ENTITY),
        ("codes", StatusCode::OK),
    ] {
        let manifest = Manifest { kind: kind.into(), ..picture_manifest(&terminal, &key, "lumen", "1.0.0") };
        let file = seal(&terminal, &key, manifest);
        let answer = terminal.send(&upload(&file)).await;
        assert_eq!(answer.status, expected, "{kind}");
    }
    stage.stop().await;
}

#[tokio::test]
async fn versions_only_grow() {
    let stage = Stage::open().await;
    let (mut terminal, key) = stage.publisher("lumen").await;
    for (version, expected) in [
        ("1.0.0", StatusCode::OK),
        ("1.1.0", StatusCode::OK),
        ("1.0.5", StatusCode::CONFLICT),
        ("2.0.0", StatusCode::OK),
    ] {
        let file = picture(&terminal, &key, "lumen", version);
        assert_eq!(terminal.send(&upload(&file)).await.status, expected, "{version}");
    }
    let entry = catalogue(&terminal, "/v1/catalogue/lumen/alpine-lake").await;
    let versions: Vec<String> = entry.versions.iter().map(|version| version.version.to_string()).collect();
    assert_eq!(versions, ["2.0.0", "1.1.0", "1.0.0"], "newest first");
    stage.stop().await;
}

/// The manifest of a thief: his own name and key, everything else as it was.
fn stolen(manifest: &Manifest, thief: &SecretKey) -> Manifest {
    let mut manifest = manifest.clone();
    manifest.publisher.name = "thief".parse().expect("a name");
    manifest.publisher.jwk = thief.public().clone();
    manifest
}

/// A sealed file with another manifest over the same stub, blocks and parts.
fn with_manifest(file: &[u8], signed: &SignedManifest) -> Vec<u8> {
    let old = Sealed::open(file.to_vec()).expect("sealed").signed().to_bytes();
    let at = file.windows(old.len()).position(|window| window == old).expect("the manifest");
    let new = signed.to_bytes();
    // name length, name, manifest
    const NAME: &[u8] = b"portcullis:manifest";
    let body = 1 + NAME.len() + new.len();
    let head_at = at - NAME.len() - 1;
    let old_body = 1 + NAME.len() + old.len();
    let section_at = head_at - leb(old_body).len() - 1;
    let mut forged = file[..section_at].to_vec();
    forged.push(0);
    forged.extend(leb(body));
    forged.push(u8::try_from(NAME.len()).expect("short"));
    forged.extend_from_slice(NAME);
    forged.extend_from_slice(&new);
    forged.extend_from_slice(&file[at + old.len()..]);
    forged
}

fn leb(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = u8::try_from(value & 0x7f).expect("7 bits");
        value >>= 7;
        if value == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

#[tokio::test]
async fn a_part_lifted_into_a_thiefs_own_resource_is_not_opened() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let (mut thief, thief_key) = stage.publisher("thief").await;
    let original = Sealed::open(shop.file.clone()).expect("sealed");

    // The control: signed again by its own publisher, the rewritten file is well-formed and accepted.
    let own = SignedManifest::sign(original.manifest().clone(), &shop.key).expect("signed");
    let rewritten = with_manifest(&shop.file, &own);
    Sealed::open(rewritten).expect("the exploit's tool works");

    let forged = SignedManifest::sign(stolen(original.manifest(), &thief_key), &thief_key).expect("signed");
    let forged = with_manifest(&shop.file, &forged);
    Sealed::open(forged.clone()).expect("well-formed as far as anybody without the part keys can see");
    let answer = thief.send(&upload(&forged)).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.problem().expect("a problem").detail.contains("lifted"), "{}", answer.text());
    let url = format!("{}/v1/catalogue/thief/alpine-lake", stage.origin);
    assert_eq!(thief.http.get(url).send().await.expect("answers").status(), StatusCode::NOT_FOUND);
    stage.stop().await;
}

#[tokio::test]
async fn only_the_owner_of_a_name_publishes_under_it() {
    let stage = Stage::open().await;
    let (mut owner, key) = stage.publisher("lumen").await;
    let (mut other, other_key) = stage.publisher("another").await;
    let file = picture(&owner, &key, "lumen", "1.0.0");
    assert_eq!(other.send(&upload(&file)).await.status, StatusCode::FORBIDDEN, "another account");
    let with_other_key = picture(&owner, &other_key, "lumen", "1.0.0");
    assert_eq!(owner.send(&upload(&with_other_key)).await.status, StatusCode::FORBIDDEN, "another key");
    let unclaimed = picture(&owner, &key, "nobody", "1.0.0");
    assert_eq!(owner.send(&upload(&unclaimed)).await.status, StatusCode::FORBIDDEN, "a name that is nobody's");
    assert_eq!(other.send(&claim(&stage.origin, "lumen", &other_key)).await.status, StatusCode::CONFLICT);
    let files = std::fs::read_dir(stage.folder.path().join("files")).expect("files").count();
    let uploads = std::fs::read_dir(stage.folder.path().join("uploads")).expect("uploads").count();
    assert_eq!((files, uploads), (0, 0), "refused files leave nothing behind");
    assert_eq!(owner.send(&upload(&file)).await.status, StatusCode::OK, "the control");
    stage.stop().await;
}

#[tokio::test]
async fn a_key_changes_only_where_the_one_in_use_vouches() {
    let stage = Stage::open().await;
    let (mut owner, key) = stage.publisher("lumen").await;
    let (mut thief, thief_key) = stage.publisher("another").await;
    let successor = SecretKey::generate(&mut rng());
    let iat = stage.clock.now().seconds();
    let held = |name: &str, key: &SecretKey| {
        let (name, origin) = (name.parse().expect("a name"), stage.origin.clone());
        let claim = PublisherClaim { name, jwk: key.public().clone(), origin, iat };
        Some(Verified::sign(claim, key).compact().to_owned())
    };
    let with = |name: &str, by: &SecretKey, key: &SecretKey, seq, claim| {
        let name = name.parse().expect("a name");
        let vouch = Vouch { name, jwk: key.public().clone(), seq, iat };
        let vouch = Verified::sign(vouch, by).compact().to_owned();
        Draft::post("/v1/publishers/lumen/vouches", &VouchRequest { vouch, claim })
    };
    let vouch = |name: &str, by: &SecretKey, key: &SecretKey, seq| with(name, by, key, seq, held(name, key));
    let good = vouch("lumen", &key, &successor, 1);
    assert_eq!(thief.send(&good).await.status, StatusCode::FORBIDDEN, "another account");
    for (draft, expected, why) in [
        (vouch("lumen", &thief_key, &thief_key, 1), StatusCode::UNPROCESSABLE_ENTITY, "a key that is not in use"),
        (vouch("another", &key, &successor, 1), StatusCode::UNPROCESSABLE_ENTITY, "another publisher"),
        (vouch("lumen", &key, &key, 1), StatusCode::UNPROCESSABLE_ENTITY, "the key in use"),
        (vouch("lumen", &key, &successor, 2), StatusCode::CONFLICT, "another number"),
        // Whoever vouched for another publisher's key would have the name that this publisher comes for.
        (with("lumen", &key, &successor, 1, None), StatusCode::UNPROCESSABLE_ENTITY, "a key that may not be held"),
        (with("lumen", &key, &successor, 1, held("lumen", &key)), StatusCode::UNPROCESSABLE_ENTITY, "another's claim"),
        (
            with("lumen", &key, &successor, 1, held("another", &successor)),
            StatusCode::UNPROCESSABLE_ENTITY,
            "another name",
        ),
    ] {
        assert_eq!(owner.send(&draft).await.status, expected, "{why}");
    }
    assert_eq!(owner.send(&upload(&picture(&owner, &successor, "lumen", "1.0.0"))).await.status, StatusCode::FORBIDDEN);

    let Done {} = owner.get_yes(&good).await;
    let Done {} = owner.get_yes(&good).await;
    let answer = owner.http.get(format!("{}/v1/publishers/lumen", stage.origin)).send().await.expect("answers");
    let known: PublisherAnswer = serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("a publisher");
    assert_eq!((known.publisher_key, known.vouches.len()), (successor.public().clone(), 1));
    assert_eq!(owner.send(&upload(&picture(&owner, &key, "lumen", "1.0.0"))).await.status, StatusCode::FORBIDDEN);
    assert_eq!(owner.send(&upload(&picture(&owner, &successor, "lumen", "1.0.0"))).await.status, StatusCode::OK);
    stage.stop().await;
}

/// A publisher that changes its key, with what it sold before.
struct Changing<'s> {
    stage: &'s Stage,
    shop: Shop,
    successor: SecretKey,
    /// How often the key was changed.
    changes: u64,
}

impl<'s> Changing<'s> {
    async fn of(stage: &'s Stage) -> Self {
        Self { stage, shop: stage.shop().await, successor: SecretKey::generate(&mut rng()), changes: 0 }
    }

    /// The successor's word for these versions of the picture.
    fn adoption(&self, versions: impl IntoIterator<Item = Digest>) -> Adoption {
        Adoption {
            publisher: "lumen".parse().expect("a name"),
            name: "alpine-lake".parse().expect("a name"),
            jwk: self.successor.public().clone(),
            versions: AdoptedVersions::new(versions).expect("few"),
            iat: self.stage.clock.now().seconds(),
        }
    }

    fn put(&self, compact: &str) -> Draft {
        let body = AdoptionRequest { adoption: compact.to_owned() };
        Draft::json(Method::PUT, "/v1/catalogue/lumen/alpine-lake/adoption", &body)
    }

    fn adopt(&self, versions: impl IntoIterator<Item = Digest>) -> Draft {
        self.put(Verified::sign(self.adoption(versions), &self.successor).compact())
    }

    async fn change_key(&mut self) {
        self.changes += 1;
        let (name, iat) = ("lumen".parse::<PublisherName>().expect("a name"), self.stage.clock.now().seconds());
        let jwk = self.successor.public().clone();
        let vouch = Vouch { name: name.clone(), jwk: jwk.clone(), seq: self.changes, iat };
        let claim = PublisherClaim { name, jwk, origin: self.stage.origin.clone(), iat };
        let request = VouchRequest {
            vouch: Verified::sign(vouch, &self.shop.key).compact().to_owned(),
            claim: Some(Verified::sign(claim, &self.successor).compact().to_owned()),
        };
        let Done {} = self.shop.terminal.get_yes(&Draft::post("/v1/publishers/lumen/vouches", &request)).await;
    }

    /// The successor is the key in use, and another one comes after it.
    fn goes_on(&mut self) {
        self.shop.key = std::mem::replace(&mut self.successor, SecretKey::generate(&mut rng()));
    }

    /// Each version that is listed, and whether it is sold.
    async fn sold(&self) -> Vec<(Digest, bool)> {
        self.entry().await.versions.iter().map(|version| (version.digest, !version.withdrawn)).collect()
    }

    async fn entry(&self) -> CatalogueEntry {
        catalogue(&self.shop.terminal, "/v1/catalogue/lumen/alpine-lake").await
    }
}

/// Terminals that know the new key refuse what the old one signed, so that nobody is sold it: not by the interface, not
/// on a page. Who has rights keeps them.
#[tokio::test]
async fn what_the_key_in_use_does_not_stand_for_is_not_sold() {
    let stage = Stage::open().await;
    let mut changing = Changing::of(&stage).await;
    let mut owner = stage.customer("owner@example.org").await;
    changing.shop.buy(&mut owner, "view").await;
    let mut customer = stage.customer("customer@example.org").await;
    let mut browser = stage.person("browser@example.org").await;
    let offer = changing.shop.offer("view").digest();
    let page = format!("/buy/{offer}");
    // The control: before the key is changed, it is.
    assert!(browser.get(&page).await.text.contains("aria-label=\"Payment\""));
    changing.change_key().await;
    let refused = customer.get_no(&order(offer, "ok")).await;
    assert_eq!(refused.reason, Reason::ResourceWithdrawn, "{:?}", refused.detail);
    assert!(refused.detail.is_some_and(|detail| detail.contains("changed its key")));
    let entry = changing.entry().await;
    assert!(entry.offers.is_empty() && entry.adoption.is_none() && entry.versions[0].withdrawn);
    let shown = browser.get(&page).await.text;
    assert!(!shown.contains("aria-label=\"Payment\""), "{shown}");
    // Who has paid goes on.
    let granted = owner.send(&Draft::post("/v1/authorizations", &changing.shop.request("view"))).await;
    assert_eq!(granted.status, StatusCode::OK, "{}", granted.text());
    // Adopted, it is sold again.
    let resource = changing.shop.resource;
    let Done {} = {
        let draft = changing.adopt([resource]);
        changing.shop.terminal.get_yes(&draft).await
    };
    let entry = changing.entry().await;
    assert!(!entry.offers.is_empty() && entry.adoption.is_some() && !entry.versions[0].withdrawn);
    changing.shop.buy(&mut customer, "view").await;
    assert!(browser.get(&page).await.text.contains("aria-label=\"Payment\""));
    // What was adopted is withdrawn and not left out: terminals may know.
    let draft = changing.adopt([]);
    assert_eq!(changing.shop.terminal.send(&draft).await.status, StatusCode::CONFLICT);
    stage.stop().await;
}

#[tokio::test]
async fn what_is_adopted_before_the_key_changes_is_sold_all_along() {
    let stage = Stage::open().await;
    let mut changing = Changing::of(&stage).await;
    let resource = changing.shop.resource;
    let left_out = picture(&changing.shop.terminal, &changing.shop.key, "lumen", "1.0.1");
    let PublishAnswer { resource: left_out, .. } = changing.shop.terminal.get_yes(&upload(&left_out)).await;
    let mut thief = stage.publisher("another").await.0;
    let unknown = Digest::of(b"nobody's");
    let signed = changing.adoption([resource]);
    let good = changing.put(Verified::sign(signed.clone(), &changing.successor).compact());
    let mut elsewhere = changing.adoption([resource]);
    elsewhere.name = "another-lake".parse().expect("a name");
    let elsewhere = Verified::sign(elsewhere, &changing.successor).compact().to_owned();
    let not_held = Verified::sign(changing.adoption([resource]), &changing.shop.key).compact().to_owned();
    assert_eq!(thief.send(&good).await.status, StatusCode::NOT_FOUND, "another account");
    for (draft, why) in [
        (changing.adopt([resource, unknown]), "a version that there is not"),
        (changing.put(&elsewhere), "of another resource"),
        (changing.put(&not_held), "signed by another key than it names"),
    ] {
        let status = changing.shop.terminal.send(&draft).await.status;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{why}");
    }
    let Done {} = changing.shop.terminal.get_yes(&good).await;
    let entry = changing.entry().await;
    assert!(entry.adoption.is_none(), "the key is not in use yet");
    assert!(entry.versions.iter().all(|version| !version.withdrawn));
    changing.change_key().await;
    assert_eq!(changing.sold().await, [(left_out, false), (resource, true)]);
    let entry = changing.entry().await;
    let adoption = Unverified::<Adoption>::parse(&entry.adoption.expect("adopted")).expect("an adoption");
    let adoption = adoption.verify(&entry.publisher_key).expect("by the key in use").into_document();
    assert_eq!(adoption, signed);
    let mut customer = stage.customer("customer@example.org").await;
    changing.shop.buy(&mut customer, "view").await;
    // The control: what the new key signs itself needs nothing.
    let next = picture(&changing.shop.terminal, &changing.successor, "lumen", "1.0.2");
    let PublishAnswer { resource: next, .. } = changing.shop.terminal.get_yes(&upload(&next)).await;
    assert!(changing.sold().await.contains(&(next, true)));
    stage.stop().await;
}

/// As many versions are sold as before, and they are others.
#[tokio::test]
async fn a_key_that_adopts_other_versions_sells_those() {
    let stage = Stage::open().await;
    let mut changing = Changing::of(&stage).await;
    let first = changing.shop.resource;
    let second = picture(&changing.shop.terminal, &changing.shop.key, "lumen", "1.0.1");
    let PublishAnswer { resource: second, .. } = changing.shop.terminal.get_yes(&upload(&second)).await;
    for (adopted, sold) in [(first, [(second, false), (first, true)]), (second, [(second, true), (first, false)])] {
        let draft = changing.adopt([adopted]);
        let Done {} = changing.shop.terminal.get_yes(&draft).await;
        changing.change_key().await;
        assert_eq!(changing.sold().await, sold, "after {} changes", changing.changes);
        let found = changing.shop.terminal.http.get(format!("{}/v1/search", stage.origin)).send().await;
        let found = found.expect("answers").bytes().await.expect("a body");
        let found: SearchAnswer = serde_json::from_slice(&found).expect("results");
        let listed: Vec<Digest> = found.results.known[0].versions.iter().map(|version| version.digest).collect();
        assert_eq!(listed, [adopted], "what the catalogue keeps of it");
        changing.goes_on();
    }
    stage.stop().await;
}

#[tokio::test]
async fn what_is_not_sealed_for_this_server_is_refused() {
    let stage = Stage::open().await;
    let (mut terminal, key) = stage.publisher("lumen").await;
    let good = picture(&terminal, &key, "lumen", "1.0.0");

    assert_eq!(terminal.send(&upload(b"not a resource")).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let mut damaged = good.clone();
    *damaged.last_mut().expect("a byte") ^= 1;
    assert_eq!(terminal.send(&upload(&damaged)).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let mut trailing = good.clone();
    trailing.push(0);
    assert_eq!(terminal.send(&upload(&trailing)).await.status, StatusCode::UNPROCESSABLE_ENTITY);

    let mut elsewhere = picture_manifest(&terminal, &key, "lumen", "1.0.0");
    elsewhere.servers[0].root = key.public().thumbprint();
    let elsewhere = seal(&terminal, &key, elsewhere);
    assert_eq!(terminal.send(&upload(&elsewhere)).await.status, StatusCode::UNPROCESSABLE_ENTITY);

    let recipient: Recipient = Identity::generate(&mut rng()).recipient().to_string().parse().expect("a recipient");
    let manifest = picture_manifest(&terminal, &key, "lumen", "1.0.0");
    let unreadable = seal_with(&key, manifest.clone(), &stub(), &recipient);
    let answer = terminal.send(&upload(&unreadable)).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "the server cannot open it");

    let recipient: Recipient = terminal.keys.recipient.parse().expect("the server's recipient");
    let smuggler = wat::parse_str(SMUGGLER).expect("a component");
    let smuggled = seal_with(&key, manifest.clone(), &smuggler, &recipient);
    let answer = terminal.send(&upload(&smuggled)).await;
    assert!(answer.problem().expect("a problem").detail.contains("wasi:random"), "{}", answer.text());
    let mut other_surface = manifest;
    other_surface.exports = vec!["paint".into(), "view".into()];
    let other_surface = seal_with(&key, other_surface, &stub(), &recipient);
    assert_eq!(terminal.send(&upload(&other_surface)).await.status, StatusCode::UNPROCESSABLE_ENTITY);

    assert_eq!(terminal.send(&upload(&good)).await.status, StatusCode::OK, "the control");
    stage.stop().await;
}

#[tokio::test]
async fn an_upload_other_than_the_one_proven_is_refused() {
    let stage = Stage::open().await;
    let (mut terminal, key) = stage.publisher("lumen").await;
    let good = upload(&picture(&terminal, &key, "lumen", "1.0.0"));
    let altered = Draft { body: picture(&terminal, &key, "lumen", "6.6.6"), ..good.clone() };
    let _ = terminal.send(&Draft::get("/v1/account")).await;
    let proof = terminal.prove(&good, terminal.nonce.as_deref());
    assert_eq!(terminal.send_with(&altered, &proof).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(terminal.send_with(&good, &proof).await.status, StatusCode::OK, "the control");
    let naked = terminal.http.put(format!("{}/v1/resources", stage.origin)).body(good.body.clone()).send().await;
    assert!(naked.is_err() || naked.is_ok_and(|answer| answer.status() == StatusCode::UNAUTHORIZED));
    stage.stop().await;
}

#[tokio::test]
async fn a_withdrawn_resource_is_refused_from_then_on() {
    let stage = Stage::open().await;
    let mut shop = stage.shop().await;
    let mut customer = stage.customer("ada@example.org").await;
    let request = shop.request("preview");
    let ask = |request| Draft::post("/v1/authorizations", request);
    let _: portcullis_protocol::wire::AuthorisationAnswer = customer.get_yes(&ask(&request)).await;

    let withdraw = |reason: &str| {
        let path = format!("/v1/resources/{}/withdraw", shop.resource);
        Draft::post(path, &WithdrawRequest { reason: reason.into() })
    };
    assert_eq!(customer.send(&withdraw("envy")).await.status, StatusCode::FORBIDDEN, "only its publisher");
    let draft = withdraw("a mistake in it");
    let Done {} = shop.terminal.get_yes(&draft).await;
    assert_eq!(customer.get_no(&ask(&request)).await.reason, Reason::ResourceWithdrawn);
    let entry = catalogue(&shop.terminal, "/v1/catalogue/lumen/alpine-lake").await;
    assert!(entry.versions[0].withdrawn);

    // Taken back by its publisher, and by nobody else.
    let restore = Draft::post(format!("/v1/resources/{}/restore", shop.resource), &RestoreRequest {});
    assert_eq!(customer.send(&restore).await.status, StatusCode::FORBIDDEN, "only its publisher");
    let Done {} = shop.terminal.get_yes(&restore).await;
    let _: portcullis_protocol::wire::AuthorisationAnswer = customer.get_yes(&ask(&request)).await;
    assert!(!catalogue(&shop.terminal, "/v1/catalogue/lumen/alpine-lake").await.versions[0].withdrawn);

    // What the operator took down is the operator's to restore, also where the publisher withdraws it once more.
    let store = &stage.running.app().core.store;
    let taken = store.take_down(&shop.resource, "a court says so".into()).await.expect("a database");
    assert_eq!(taken, WithdrawOutcome::Withdrawn);
    let again =
        Draft::post(format!("/v1/resources/{}/withdraw", shop.resource), &WithdrawRequest { reason: "".into() });
    let Done {} = shop.terminal.get_yes(&again).await;
    let restore = Draft::post(format!("/v1/resources/{}/restore", shop.resource), &RestoreRequest {});
    assert_eq!(shop.terminal.send(&restore).await.status, StatusCode::FORBIDDEN);
    assert_eq!(customer.get_no(&ask(&request)).await.reason, Reason::ResourceWithdrawn);
    assert_eq!(store.restore(None, &shop.resource).await, Ok(RestoreOutcome::Restored));
    let _: portcullis_protocol::wire::AuthorisationAnswer = customer.get_yes(&ask(&request)).await;
    stage.stop().await;
}

#[tokio::test]
async fn a_store_that_approves_publishers_takes_operators_only() {
    let stage = Stage::with(|config| config.publishers = portcullis_server::ops::config::Publishers::Approve).await;
    let mut terminal: Terminal = stage.customer("ada@example.org").await;
    let key = SecretKey::generate(&mut rng());
    assert_eq!(terminal.send(&claim(&stage.origin, "lumen", &key)).await.status, StatusCode::FORBIDDEN);
    stage.stop().await;
}

#[tokio::test]
async fn an_account_publishes_so_many_bytes_and_no_more() {
    let stage = Stage::with(|config| config.limits.account_bytes = 20_000).await;
    let (mut terminal, key) = stage.publisher("lumen").await;
    let mut refused = None;
    for version in 0..20 {
        let file = picture(&terminal, &key, "lumen", &format!("1.{version}.0"));
        let answer = terminal.send(&upload(&file)).await;
        if answer.status != StatusCode::OK {
            refused = Some(answer);
            break;
        }
    }
    let answer = refused.expect("twenty files have more than 20,000 bytes");
    assert_eq!(answer.status, StatusCode::CONFLICT);
    let problem: Problem = answer.problem().expect("a problem");
    assert!(problem.detail.contains("`limits.account_bytes`"), "{}", problem.detail);
    // What was refused takes no room, and what another account publishes has its own.
    let files = std::fs::read_dir(stage.folder.path().join("files")).expect("the folder").flatten();
    let stored: u64 = files.map(|file| file.metadata().expect("there").len()).sum();
    assert!((1..=20_000).contains(&stored), "{stored}");
    let (mut other, its_key) = stage.publisher("marble").await;
    let again = picture(&other, &its_key, "marble", "1.0.0");
    assert_eq!(other.send(&upload(&again)).await.status, StatusCode::OK);
    stage.stop().await;
}

/// Two at once see the same sum before either is published: the transaction looks again.
#[tokio::test]
async fn files_that_are_published_at_once_are_added_up() {
    let world = World::new().await;
    let sized = |version: &str| {
        let (new, _) = world.new_resource("night-train", version);
        NewResource { size: 1000, account_bytes: 2500, ..new }
    };
    let (first, second) = (sized("1.0.0"), sized("1.1.0"));
    let store = &world.core.store;
    // The world has one of a thousand bytes.
    for new in [&first, &second] {
        assert_eq!(store.may_publish(new).await, Ok(None));
    }
    assert_eq!(store.publish(first).await, Ok(PublishOutcome::Published));
    assert_eq!(store.may_publish(&second).await, Ok(Some(PublishOutcome::TooManyBytes(3000))));
    assert_eq!(store.publish(second).await, Ok(PublishOutcome::TooManyBytes(3000)));
}
