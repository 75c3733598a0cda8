//! Bodies that cost more than their bytes suggest, bodies that could never run, and parts that are claimed without
//! their key. Each is tried at the three doors: where it is sealed, where it is published, and where it is run.

use super::shop::Shop;
use super::specimen::run;
use super::surgery::{MANIFEST, Pieces, sign_as};
use super::{Arena, Outcome, Trial, attacks};
use anyhow::{Context as _, Result, anyhow};
use portcullis_fixtures::{Bench, Draft, Fixture, Heavy, description, now, operation, part, rng};
use portcullis_protocol::age::{FileKey, Header, Recipient};
use portcullis_protocol::census;
use portcullis_protocol::seal::{Description, Sealer};
use portcullis_protocol::sealed::{BindingOf, Package, Sealed, binding};
use portcullis_protocol::wire::VouchRequest;
use portcullis_protocol::{
    Manifest, PublisherClaim, PublisherEntry, ResourceLimits, SecretKey, ServerEntry, Verified, Vouch,
};
use std::io::Cursor;

attacks! {
    "body-of-too-many-functions" => body_of_too_many_functions,
    "body-of-too-many-modules" => body_of_too_many_modules,
    "body-of-too-many-types" => body_of_too_many_types,
    "type-written-out-without-end" => type_written_out_without_end,
    "function-of-too-many-paths" => function_of_too_many_paths,
    "sold-but-never-runnable" => sold_but_never_runnable,
    "part-claimed-without-its-key" => part_claimed_without_its_key,
    "publisher-key-claimed-without-holding-it" => publisher_key_claimed_without_holding_it,
}

/// Publishing a body may take so much memory of the server beyond what it had, in MiB.
const MOST_MIB: u64 = 400;

/// 400,000 empty functions: 2.8 MB of which a compiler makes gigabytes.
async fn body_of_too_many_functions(arena: &mut Arena) -> Result<Outcome> {
    heavy(arena, "functions", &[(Heavy::Functions, 400_000)], (Heavy::Functions, 500)).await
}

/// Modules that nobody instantiates are compiled all the same.
async fn body_of_too_many_modules(arena: &mut Arena) -> Result<Outcome> {
    heavy(arena, "functions", &[(Heavy::Modules, 600_000)], (Heavy::Modules, 2_000)).await
}

/// 60,000 records of ten fields; 20,000 signatures of functions.
async fn body_of_too_many_types(arena: &mut Arena) -> Result<Outcome> {
    let over = [(Heavy::Types, 60_000), (Heavy::Signatures, 20_000)];
    heavy(arena, "", &over, (Heavy::Types, 200)).await
}

/// Twenty lines of types, each made of the one before twice: a million when they are written out, at every function.
async fn type_written_out_without_end(arena: &mut Arena) -> Result<Outcome> {
    let over = [(Heavy::Lifts, 2_000), (Heavy::Components, 24)];
    heavy(arena, "steps of linking", &over, (Heavy::Lifts, 3)).await
}

/// Variables that are live over as many branches: a compiler follows each along all of them.
async fn function_of_too_many_paths(arena: &mut Arena) -> Result<Outcome> {
    heavy(arena, "paths of values", &[(Heavy::Flow, 15_000)], (Heavy::Flow, 100)).await
}

/// Tries heavy bodies at the three doors, and a light one of the same kind.
async fn heavy(
    arena: &mut Arena,
    bound: &str,
    over: &[(Heavy, usize)],
    (light, few): (Heavy, usize),
) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let name = format!("weight-{}", over.first().map_or(0, |(_, n)| n % 9_973));
    let (mut publisher, key) = shop.publisher(&name).await?;
    let honest = light.body(few);
    let mut trial = Trial::new();
    for (kind, n) in over {
        let body = kind.body(*n);
        trial.note(format!("{} {n}: {} bytes", kind.name(), body.len()));
        trial.control("nothing but the number is against it", census::validate(&body).is_ok());
        let sealed = Sealer::new(described(&name, &key, shop)?).code(part("main"), false, &body).check();
        trial.attack("sealing it", bound, sealed.map(|_| ()).map_err(named));
        let forged = Fixture::single(&honest, &["add"]).with_body(&body);
        trial.attack("running what another tool sealed", bound, run(&forged, &forged.file).await.map_err(named));
        let before = shop.server.peak_memory()?;
        let forged = forge(described(&name, &key, shop)?, shop, &key, &honest, &body, |_| ())?;
        trial.attack("publishing it", bound, published(&mut publisher, &forged).await.map_err(named));
        let took = shop.server.peak_memory()?.saturating_sub(before) / 1024;
        trial.note(format!("the store took {took} MiB"));
        trial.attack_fails("taking the store's memory", "bounded", took < MOST_MIB);
    }
    let own = Fixture::single(&honest, &["add"]);
    let view = Bench::of(&own, |builder| builder).resource.authorize("view").await?;
    let sum = view.call_typed::<(u32, u32), (u32,)>("add", (2, 3)).await;
    trial.control("with few of them it runs", sum.is_ok_and(|(sum,)| sum == 5));
    let few = forge(described(&name, &key, shop)?, shop, &key, &honest, &honest, |_| ())?;
    trial.control("and is published", published(&mut publisher, &few).await.is_ok());
    Ok(trial.finish())
}

/// A refusal that names a count and a bound, or says that it does not.
fn named(error: impl std::fmt::Display) -> String {
    let text = error.to_string();
    let numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|digits| digits.len() > 1).count();
    if numbers >= 2 { text } else { format!("neither count nor bound: {}", text.to_uppercase()) }
}

/// Needs from the start what no host gives: it would be paid for, and could never be run.
async fn sold_but_never_runnable(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let (mut publisher, key) = shop.publisher("never").await?;
    let honest = Heavy::Instances.body(1);
    let mut trial = Trial::new();
    for (kind, n, most, bound) in [
        (Heavy::Instances, 150, 127, "core instances"),
        (Heavy::Memories, 34, 32, "linear memories"),
        (Heavy::Pages, 5_000, 4_096, "bytes of linear memory"),
        (Heavy::TableElements, 120_000, 100_000, "elements of one table"),
    ] {
        let body = kind.body(n);
        let sealed = Sealer::new(described("never", &key, shop)?).code(part("main"), false, &body).check();
        trial.attack(&format!("sealing {n} {bound}"), bound, sealed.map(|_| ()).map_err(named));
        let forged = forge(described("never", &key, shop)?, shop, &key, &honest, &body, |_| ())?;
        trial.attack(
            "publishing what another tool sealed",
            bound,
            published(&mut publisher, &forged).await.map_err(named),
        );
        let at_the_bound = Fixture::single(&kind.body(most), &["add"]);
        let view = Bench::of(&at_the_bound, |builder| builder).resource.authorize("view").await?;
        let sum = view.call_typed::<(u32, u32), (u32,)>("add", (2, 3)).await;
        trial.control(&format!("with {most} it is sealed and runs"), sum.is_ok_and(|(sum,)| sum == 5));
    }
    let asking = ResourceLimits { memory: Some(1 << 40), ..ResourceLimits::default() };
    let described_so = Description { limits: asking, ..described("never", &key, shop)? };
    let sealed = Sealer::new(described_so).code(part("main"), false, &honest).check();
    trial.attack("sealing for a terabyte", "hosts give", sealed.map(|_| ()).map_err(named));
    let forged = forge(described("never", &key, shop)?, shop, &key, &honest, &honest, |manifest| {
        manifest.limits = ResourceLimits { memory: Some(4_096), ..ResourceLimits::default() };
        manifest.limits.run_max = Some(0);
    })?;
    trial.attack("publishing for no time at all", "hosts give", published(&mut publisher, &forged).await);
    let honest = forge(described("never", &key, shop)?, shop, &key, &honest, &honest, |_| ())?;
    trial.control(
        "an honest body, written by the same tool, is published",
        published(&mut publisher, &honest).await.is_ok(),
    );
    Ok(trial.finish())
}

/// Takes another's ciphertext, wraps a key of his own for the store, and publishes it before its owner does.
async fn part_claimed_without_its_key(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let (mut thief, thief_key) = shop.publisher("claimant").await?;
    let (mut owner, owner_key) = shop.publisher("owner").await?;
    let recipient: Recipient = shop.publisher.keys.recipient.parse()?;
    // The owner sells elsewhere, where everybody can download it, and has not come here yet.
    let genuine = shop.seal("owner", &owner_key, "1.0.0")?;
    let mut trial = Trial::new();
    for stolen in ["full", "ink", "main"] {
        let file = claimed(&genuine, stolen, &thief_key, &recipient)?;
        trial.control("the claim is well-formed for all who have no key to it", Sealed::open(file.clone()).is_ok());
        let answer = published(&mut thief, &file).await;
        trial.attack(&format!("claiming `{stolen}` under a key of his own"), "does not open the part", answer);
    }
    trial.control("its owner publishes it afterwards", published(&mut owner, &genuine).await.is_ok());
    let own = shop.seal("claimant", &thief_key, "1.0.0")?;
    trial.control("and the thief what he made himself", published(&mut thief, &own).await.is_ok());
    Ok(trial.finish())
}

/// The genuine file as the thief's own, with one part under a random key, and bindings to match. The others are left to
/// the binding: they would be refused by it.
fn claimed(genuine: &[u8], stolen: &str, thief: &SecretKey, recipient: &Recipient) -> Result<Vec<u8>> {
    let sealed = Sealed::open(genuine.to_vec())?;
    let mut manifest = sealed.manifest().clone();
    (manifest.publisher.name, manifest.publisher.jwk) = ("claimant".parse()?, thief.public().clone());
    // What is stolen comes first, so that nothing else is refused before it.
    let at = manifest.parts.iter().position(|entry| entry.name.as_str() == stolen).context("the part")?;
    let entry = manifest.parts.remove(at);
    manifest.parts.insert(0, entry);
    let key = FileKey::generate(&mut rng());
    let header = Header::wrap(&key, std::slice::from_ref(recipient), &mut rng())?;
    let made = binding(&key, &BindingOf::part(&manifest, &manifest.parts[0]));
    manifest.parts[0].binding = made;
    let mut pieces = Pieces::of(genuine)?;
    let (payload, data) = pieces.payload(stolen)?;
    let mut wrapped = header.to_bytes();
    wrapped.extend_from_slice(&data[payload]);
    *data = wrapped;
    *pieces.data(MANIFEST)? = sign_as(&manifest, thief)?;
    let taken = |name: &str, pieces: &mut Pieces| -> Result<Vec<(String, Vec<u8>)>> {
        ["portcullis:blocks/", "portcullis:part/"]
            .iter()
            .map(|prefix| Ok((format!("{prefix}{name}"), pieces.data(&format!("{prefix}{name}"))?.clone())))
            .collect()
    };
    let mut sections = vec![(MANIFEST.to_owned(), pieces.data(MANIFEST)?.clone())];
    for entry in &manifest.parts {
        sections.extend(taken(entry.name.as_str(), &mut pieces)?);
    }
    Ok(Pieces { stub: pieces.stub, sections }.file())
}

/// Claims the name that a publisher has elsewhere, with a key of his own, then vouches for that publisher's key: its
/// genuine files would be his to publish and to price here.
async fn publisher_key_claimed_without_holding_it(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let (mut thief, thief_key) = shop.publisher("famous").await?;
    let famous = SecretKey::generate(&mut rng());
    let genuine = shop.seal("famous", &famous, "1.0.0")?;
    let claim = |key: &SecretKey, by: &SecretKey| -> Result<String> {
        let (name, origin) = ("famous".parse()?, shop.origin.clone());
        let claim = PublisherClaim { name, jwk: key.public().clone(), origin, iat: now() };
        Ok(Verified::sign(claim, by).compact().to_owned())
    };
    let vouch = |key: &SecretKey, claim: Option<String>| -> Result<Draft> {
        let vouch = Vouch { name: "famous".parse()?, jwk: key.public().clone(), seq: 1, iat: now() };
        let vouch = Verified::sign(vouch, &thief_key).compact().to_owned();
        Ok(Draft::post("/v1/publishers/famous/vouches", &VouchRequest { vouch, claim }))
    };
    let mut trial = Trial::new();
    for (what, claim, expected) in [
        ("without a claim by that key", None, "has to sign that it is held"),
        ("with a claim to his own key", Some(claim(&thief_key, &thief_key)?), "another name or key"),
        ("with a claim that he signed for it", Some(claim(&famous, &thief_key)?), "not accepted"),
    ] {
        let answer = thief.send(&vouch(&famous, claim)?).await?;
        let answer = if answer.status.is_success() { Ok(()) } else { Err(anyhow!("{}", answer.text())) };
        trial.attack(&format!("vouching for another's key {what}"), expected, answer);
    }
    trial.attack(
        "publishing that publisher's genuine file",
        "not this account's",
        published(&mut thief, &genuine).await,
    );
    let successor = SecretKey::generate(&mut rng());
    let held = claim(&successor, &successor)?;
    let answer = thief.send(&vouch(&successor, Some(held))?).await?;
    trial.control("a key that is held is taken", answer.status.is_success());
    Ok(trial.finish())
}

/// A resource of one operation for the shop.
fn described(publisher: &str, key: &SecretKey, shop: &Shop) -> Result<Description> {
    let server = ServerEntry { origin: shop.origin.clone(), root: shop.publisher.root.thumbprint() };
    Ok(Description {
        publisher: PublisherEntry { name: publisher.parse()?, jwk: key.public().clone() },
        servers: vec![server],
        ..description(key, vec![operation("view", &["add"], &["main"])])
    })
}

/// What a patched tool seals for the shop: the manifest and stub of an honest body over another one.
fn forge(
    description: Description,
    shop: &Shop,
    key: &SecretKey,
    honest: &[u8],
    body: &[u8],
    change: impl FnOnce(&mut Manifest),
) -> Result<Vec<u8>> {
    let recipient: Recipient = shop.publisher.keys.recipient.parse()?;
    let sealer = Sealer::new(description).code(part("main"), false, honest);
    let sealed = Sealed::open(portcullis_fixtures::seal(sealer, key, &recipient))?;
    let mut manifest = sealed.manifest().clone();
    manifest.parts[0].size = body.len() as u64;
    change(&mut manifest);
    let package = Package {
        stub: sealed.stub(),
        manifest,
        sources: vec![Box::new(Cursor::new(body.to_vec()))],
        recipients: std::slice::from_ref(&recipient),
    };
    let mut out = Cursor::new(Vec::new());
    package.write(&mut out, key, &mut rng())?;
    Ok(out.into_inner())
}

/// Publishes a file, or says why it was refused.
async fn published(publisher: &mut super::cheater::Cheater, file: &[u8]) -> Result<()> {
    let answer = publisher.send(&Draft::upload(file)).await?;
    if answer.status.is_success() { Ok(()) } else { Err(anyhow!("{}", answer.text())) }
}
