//! A resource that checks the documents of its grants itself, in the real host and in patched ones.
//!
//! The patched host has the body in the clear: that is what it means to patch one. It says yes to everything.

use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use portcullis_fixtures::{Bench, Fixture, Rule, description, op, operation, rng};
use portcullis_host::{Answer, Consent, Prompt, Val, refusal_in};
use portcullis_protocol::encoding::BoundedOctets;
use portcullis_protocol::{
    Digest, Grant, GrantId, GrantLimits, KeyDocument, Origin, PairwiseId, PublicKey, Reason, SecretKey, ServerKey,
    Verified,
};
use portcullis_tests::checkout;
use std::fs;
use wasmtime::component::{Component, Linker, Resource, ResourceType};
use wasmtime::{Engine, Store};
use wit_component::ComponentEncoder;

const API: &str = "test:checked/api@1.0.0";
const NOW: u64 = 1_800_000_000;

/// The root whose public key is compiled into the guest.
fn root() -> SecretKey {
    SecretKey::from_seed(&[7; 32])
}

fn origin() -> Origin {
    "https://store.example".parse().expect("an origin")
}

fn component() -> Result<Vec<u8>> {
    let module = fs::read(checkout::guest("checked")?)?;
    ComponentEncoder::default().module(&module)?.encode()
}

/// The key document of a server that signs with `key`.
fn key_document(key: &PublicKey) -> String {
    let document = KeyDocument {
        iss: origin(),
        version: 1,
        iat: NOW,
        exp: NOW + 3600,
        signing: vec![ServerKey { jwk: key.clone(), nbf: NOW - 3600, exp: NOW + 365 * 24 * 3600 }],
        recipient: "age1".into(),
    };
    Verified::sign(document, &root()).compact().to_owned()
}

/// A grant as a server writes it.
fn grant(operation: &str, nonce: &[u8], key: &SecretKey) -> Result<String> {
    let grant = Grant {
        iss: origin(),
        jti: GrantId::generate(NOW * 1000, &mut rng()),
        sub: PairwiseId::generate(NOW * 1000, &mut rng()),
        cnf: Digest::of(b"confirmation"),
        resource: Digest::of(b"a resource does not know its own digest"),
        publisher: "tester".parse()?,
        name: "checked".parse()?,
        version: "1.0.0".parse()?,
        operation: operation.parse()?,
        parts: vec![],
        model: "perpetual".into(),
        limits: GrantLimits::default(),
        nonce: BoundedOctets::new(nonce.to_vec())?,
        iat: NOW,
        exp: NOW + 30,
        run_max: 300,
    };
    Ok(Verified::sign(grant, key).compact().to_owned())
}

struct Code;
struct Handle;

/// What a host answers as the document of a grant, to a nonce.
type Shown = Box<dyn Fn(&[u8]) -> String + Send>;

/// What a patched host remembers: the nonce it was given, and how it makes documents.
struct Patched {
    nonce: Vec<u8>,
    document: Shown,
}

/// Runs a function of the body in a host that was patched to say yes, which shows these documents.
fn patched(
    function: &str,
    arguments: &[Val],
    document: impl Fn(&[u8]) -> String + Send + 'static,
) -> Result<Result<u32, Reason>> {
    let engine = Engine::default();
    let component = Component::new(&engine, component()?).map_err(failed)?;
    let mut linker = Linker::<Patched>::new(&engine);
    let mut link = || -> wasmtime::Result<()> {
        let mut billing = linker.instance("portcullis:gate/billing@0.1.0")?;
        billing.resource("status-code", ResourceType::host::<Code>(), |_, _| Ok(()))?;
        billing.resource("grant", ResourceType::host::<Handle>(), |_, _| Ok(()))?;
        billing.func_new("request", |mut store, _, arguments, results| {
            if let Some(Val::List(nonce)) = arguments.get(2) {
                let bytes = nonce.iter().filter_map(|value| if let Val::U8(byte) = value { Some(*byte) } else { None });
                store.data_mut().nonce = bytes.collect();
            }
            let code = Resource::<Code>::new_own(1).try_into_resource_any(&mut store)?;
            results[0] = Val::Result(Ok(Some(Box::new(Val::Resource(code)))));
            Ok(())
        })?;
        billing.func_new("[static]status-code.verify", |mut store, _, _, results| {
            let grant = Resource::<Handle>::new_own(1).try_into_resource_any(&mut store)?;
            results[0] = Val::Result(Ok(Some(Box::new(Val::Resource(grant)))));
            Ok(())
        })?;
        billing.func_wrap("entry", |_, (): ()| Ok((Resource::<Handle>::new_own(2),)))?;
        billing.func_wrap("[method]grant.operation", |_, _: (Resource<Handle>,)| Ok(("work".to_owned(),)))?;
        billing.func_wrap("[method]grant.expires", |_, _: (Resource<Handle>,)| Ok((NOW + 30,)))?;
        billing.func_wrap("[method]grant.document", |store, _: (Resource<Handle>,)| {
            let patched: &Patched = store.data();
            Ok(((patched.document)(&patched.nonce),))
        })?;
        // The host's randomness, too, is what the host says it is.
        let mut random = linker.instance("wasi:random/random@0.2.0")?;
        random.func_wrap("get-random-bytes", |_, (length,): (u64,)| Ok((vec![4_u8; length as usize],)))
    };
    link().map_err(failed)?;
    linker.define_unknown_imports_as_traps(&component).map_err(failed)?;
    let mut store = Store::new(&engine, Patched { nonce: Vec::new(), document: Box::new(document) });
    let instance = linker.instantiate(&mut store, &component).map_err(failed)?;
    let (_, interface) = instance.get_export(&mut store, None, API).context("the interface")?;
    let (_, function) = instance.get_export(&mut store, Some(&interface), function).context("the function")?;
    let function = instance.get_func(&mut store, function).context("a function")?;
    let mut results = [Val::Bool(false)];
    function.call(&mut store, arguments, &mut results).map_err(failed)?;
    outcome(&results)
}

fn outcome(results: &[Val]) -> Result<Result<u32, Reason>> {
    match results {
        [Val::Result(Ok(Some(value)))] => match **value {
            Val::U32(number) => Ok(Ok(number)),
            _ => anyhow::bail!("a number was expected"),
        },
        [Val::Result(Err(Some(error)))] => Ok(Err(refusal_in(error).context("a refusal was expected")?)),
        other => anyhow::bail!("unexpected: {other:?}"),
    }
}

fn failed(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}

#[test]
fn a_patched_host_is_found_out_by_a_guest_that_checks_and_by_no_other() -> Result<()> {
    let (server, own) = (SecretKey::generate(&mut rng()), SecretKey::generate(&mut rng()));
    let keys = [Val::String(key_document(server.public()))];
    let old = grant("work", b"an earlier request", &server)?;
    let other = grant("other", &[4; 16], &server)?;
    let forged = {
        let (genuine, foreign) = (grant("work", &[4; 16], &server)?, grant("work", &[4; 16], &own)?);
        let (input, signature) = (genuine.rsplit_once('.'), foreign.rsplit_once('.'));
        format!("{}.{}", input.context("a JWS")?.0, signature.context("a JWS")?.1)
    };
    let foreign = grant("work", &[4; 16], &own)?;
    for (what, document, expected) in [
        ("another nonce", old, Reason::BindingMismatch),
        ("another operation", other, Reason::BindingMismatch),
        ("another key", foreign, Reason::ServerUntrusted),
        ("a forged signature", forged, Reason::ServerUntrusted),
        ("no document", String::new(), Reason::ServerUntrusted),
    ] {
        let shown = document.clone();
        let checked = patched("work", &keys, move |_| shown.clone())?;
        ensure!(checked == Err(expected), "{what}: {checked:?}");
        let believed = patched("believe", &[], move |_| document.clone())?;
        ensure!(believed == Ok(7), "{what}: without the check the guest believes its host: {believed:?}");
    }
    // A key document that no root signed brings no keys.
    let stranger = Verified::sign(
        KeyDocument {
            iss: origin(),
            version: 1,
            iat: NOW,
            exp: NOW + 3600,
            signing: vec![ServerKey { jwk: own.public().clone(), nbf: NOW - 3600, exp: NOW + 3600 }],
            recipient: "age1".into(),
        },
        &own,
    );
    let keys_of_its_own = [Val::String(stranger.compact().to_owned())];
    let document = grant("work", &[4; 16], &own)?;
    let checked = patched("work", &keys_of_its_own, move |_| document.clone())?;
    ensure!(checked == Err(Reason::ServerUntrusted), "a key document of the host's own: {checked:?}");

    // The control: the server's document for this very request.
    let genuine = server.clone();
    let checked = patched("work", &keys, move |nonce| grant("work", nonce, &genuine).unwrap_or_default())?;
    ensure!(checked == Ok(42), "an honest document: {checked:?}");
    // And the limit that the documentation states: whoever plays a recorded run again, random bytes included, passes.
    let recorded = grant("work", &[4; 16], &server)?;
    let replayed = patched("work", &keys, move |_| recorded.clone())?;
    ensure!(replayed == Ok(42), "the nonce is only as good as the host's randomness: {replayed:?}");
    Ok(())
}

struct Agrees;

#[async_trait]
impl Consent for Agrees {
    async fn ask(&self, prompt: &Prompt<'_>) -> Answer {
        prompt.agree()
    }
}

#[tokio::test]
async fn in_the_real_host_the_honest_case_works_and_a_server_of_another_key_does_not() -> Result<()> {
    let exports = ["work", "believe"].map(|function| format!("{API}#{function}"));
    let exports: Vec<&str> = exports.iter().map(String::as_str).collect();
    let publisher = SecretKey::generate(&mut rng());
    let mut manifest = description(&publisher, vec![operation("work", &exports, &["main"])]);
    manifest.name = "checked".parse()?;
    let fixture = Fixture::sealed(manifest, &component()?, publisher);
    let bench = Bench::load(&fixture.file, &fixture.keys, |builder| builder.consent(Agrees))?;
    bench.signer.rule("work", Rule::Timed(30));
    let work = bench.resource.authorize(op("work").as_str()).await?;

    let keys = [Val::String(key_document(bench.signer.public_key()))];
    let checked = outcome(&work.call(exports[0], &keys).await?)?;
    ensure!(checked == Ok(42), "the honest case: {checked:?}");
    ensure!(bench.requests() == 2, "the check is a cycle of its own");

    let keys = [Val::String(key_document(SecretKey::generate(&mut rng()).public()))];
    let checked = outcome(&work.call(exports[0], &keys).await?)?;
    ensure!(checked == Err(Reason::ServerUntrusted), "another server's key: {checked:?}");
    ensure!(outcome(&work.call(exports[1], &[]).await?)? == Ok(7), "without a check it is believed");
    Ok(())
}
