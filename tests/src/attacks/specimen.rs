//! The resource that is attacked, and a runtime in which a gatekeeper grants it everything.

use anyhow::{Context as _, Result, anyhow};
use portcullis_fixtures::{Bench, Fixture, Rule, VIEW, api, description, guest, honest, operation, part, pixels, rng};
use portcullis_host::{Consent, DeclineAll, Error, Limits};
use portcullis_protocol::age::{FileKey, Recipient};
use portcullis_protocol::seal::{Description, Sealer};
use portcullis_protocol::sealed::Sealed;
use portcullis_protocol::{PartName, PublisherEntry, SecretKey, ServerEntry};
use std::collections::BTreeMap;
use std::io::Cursor;

/// With this the paid asset begins.
pub(super) const MARK_OF_THE_ASSET: &[u8] = b"PLAINTEXT-OF-THE-FULL-PART-6f0c1e";

/// The paid asset: 2.5 MiB, so that it has three blocks.
pub(super) fn full() -> Vec<u8> {
    let mut bytes = pixels();
    bytes[..MARK_OF_THE_ASSET.len()].copy_from_slice(MARK_OF_THE_ASSET);
    bytes
}

/// The resource: `view` and `print` cost something, `preview` does not.
pub(super) fn describe(publisher: &str, key: &SecretKey, version: &str, server: ServerEntry) -> Result<Description> {
    let (view, other) = (VIEW.map(api), api("other"));
    let view: Vec<&str> = view.iter().map(String::as_str).collect();
    Ok(Description {
        publisher: PublisherEntry { name: publisher.parse()?, jwk: key.public().clone() },
        name: "alpine-lake".parse()?,
        version: version.parse()?,
        kind: "picture".into(),
        title: "Alpine lake".into(),
        description: "A lake below a glacier.".into(),
        operations: vec![
            operation("view", &view, &["main", "full"]),
            operation("preview", &[&other], &["side"]),
            operation("print", &[], &["ink"]),
        ],
        servers: vec![server],
        ..description(key, Vec::new())
    })
}

/// What seals a resource of that description with this body.
fn sealer(description: Description, body: &[u8]) -> Sealer<'_> {
    let full = full();
    Sealer::new(description)
        .code(part("main"), false, body)
        .code(part("side"), true, body)
        .asset(part("full"), false, "image/x-raw", full.len() as u64, Cursor::new(full))
        .asset(part("ink"), false, "text/plain", 3, Cursor::new(b"ink"))
}

/// Seals the honest resource of that description.
pub(super) fn seal(description: Description, key: &SecretKey, recipient: &Recipient) -> Vec<u8> {
    portcullis_fixtures::seal(sealer(description, &guest()), key, recipient)
}

/// The resource, of a publisher of its own, with what opens it.
pub(super) fn specimen() -> Result<Fixture> {
    let key = SecretKey::generate(&mut rng());
    let server = ServerEntry { origin: "https://store.example".parse()?, root: key.public().thumbprint() };
    let description = describe("tester", &key, "1.0.0", server)?;
    Ok(Fixture::of(sealer(description, &guest()), key))
}

/// Loads a file into a runtime whose gatekeeper grants whatever it is asked for, with the keys it has: a billing server
/// without any defence.
pub(super) fn generous(
    file: &[u8],
    keys: &BTreeMap<PartName, FileKey>,
    limits: Limits,
    consent: impl Consent + 'static,
) -> Result<Bench, Error> {
    let bench = Bench::load(file, keys, |builder| builder.limits(limits).consent(consent))?;
    bench.signer.otherwise(Rule::Timed(300));
    Ok(bench)
}

/// Loads a file in the resource's place, authorises `view` with a gatekeeper that always grants, and does honest work.
pub(super) async fn run(specimen: &Fixture, file: &[u8]) -> Result<u32, Error> {
    let bench = generous(file, &specimen.keys, Limits::default(), DeclineAll)?;
    bench.resource.verify()?;
    honest(&bench.resource.authorize("view").await?).await
}

/// The paid body in the clear, as whoever holds its key has it.
pub(super) fn plaintext(specimen: &Fixture) -> Result<Vec<u8>> {
    let sealed = Sealed::open(specimen.file.clone())?;
    let key = specimen.keys.get(&part("main")).ok_or_else(|| anyhow!("no key of the body"))?;
    let body = sealed.read_code(&part("main"), key).context("the body opens with its key")?;
    Ok(body.to_vec())
}
