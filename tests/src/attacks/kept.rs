//! Attacks on compiled code that a terminal keeps between runs: to the engine it is as good as the body itself.

use super::specimen::generous;
use super::{Arena, Outcome, Trial, attacks};
use anyhow::{Context as _, Result};
use portcullis_fixtures::{api, guest, honest, part, random};
use portcullis_host::{
    Client, DeclineAll, Error, InstallSource, Limits, Progress, Runtime, RuntimeBuilder, Step, engine_config,
};
use portcullis_protocol::SignedManifest;
use portcullis_protocol::age::FileKey;
use portcullis_protocol::wire::PaymentMethod;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

attacks! {
    "compiled-code-tampered-with" => compiled_code_tampered_with,
    "compiled-code-from-another-terminal" => compiled_code_from_another_terminal,
    "compiled-code-after-a-refund" => compiled_code_after_a_refund,
}

/// Counts what was compiled.
#[derive(Default)]
struct Compiled(AtomicU32);

impl Progress for Compiled {
    fn step(&self, _: &SignedManifest, step: Step<'_>) {
        if matches!(step, Step::Compiling(_)) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A start of the program: a runtime of its own. How often the engine compiled, and what `view` or `preview` then says.
async fn start(builder: RuntimeBuilder, file: &Path, operation: &str) -> Result<(u32, u32), Error> {
    let compiled = Arc::new(Compiled::default());
    let resource = builder.progress(Arc::clone(&compiled)).build()?.load(file)?;
    let authorised = resource.authorize(operation).await?;
    let said = match operation {
        "view" => honest(&authorised).await?,
        _ => authorised.call_typed::<(), (u32,)>(&api("other"), ()).await?.0,
    };
    Ok((compiled.0.load(Ordering::SeqCst), said))
}

/// The files of the compiled code in a terminal's home.
fn blobs(home: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(home.join("cache"))?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let named = |path: &PathBuf| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.'));
    Ok(entries.into_iter().filter(named).collect())
}

async fn installed(client: &Client) -> Result<PathBuf> {
    let source: InstallSource = "lumen/alpine-lake".parse()?;
    Ok(client.library().install(&source, &|_, _| ()).await?.path)
}

/// Compiled anew, and right: what was in the cache was not used.
const MADE_AGAIN: (u32, u32) = (1, 7);
/// Not compiled, and right.
const TAKEN_OVER: (u32, u32) = (0, 7);

/// Changes what lies in the cache, cuts it short, mixes it up, and puts native code in its place.
async fn compiled_code_tampered_with(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let (client, _, home) = shop.client().await?;
    let file = installed(&client).await?;
    let begin = || start(client.runtime(), &file, "preview");
    let mut trial = Trial::new();
    let first = begin().await?;
    trial.control("the first start compiles", first == MADE_AGAIN);
    let [blob] = &blobs(&home)?[..] else { anyhow::bail!("one piece of compiled code is kept") };
    let native = wasmtime::Engine::new(&engine_config(&Limits::default(), None))
        .and_then(|engine| engine.precompile_component(&guest()))
        .map_err(|error| anyhow::anyhow!("{error:#}"))?;
    for (what, change) in [
        ("a bit at the beginning", (|bytes: &mut Vec<u8>| bytes[0] ^= 1) as fn(&mut Vec<u8>)),
        ("a bit of the label", |bytes| bytes[40] ^= 1),
        ("a bit in the middle", |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }),
        ("the last bit", |bytes| *bytes.last_mut().expect("bytes") ^= 0x80),
        ("the end cut off", |bytes| bytes.truncate(bytes.len() - 16)),
        ("a byte more", |bytes| bytes.push(0)),
        ("nothing at all", Vec::clear),
    ] {
        let mut bytes = fs::read(blob)?;
        change(&mut bytes);
        fs::write(blob, bytes)?;
        trial.attack_fails(what, "made again", begin().await? == MADE_AGAIN);
    }
    let kept = fs::read(blob)?;
    fs::write(blob, &native)?;
    trial.attack_fails("native code in its place", "made again", begin().await? == MADE_AGAIN);
    fs::write(blob, &kept)?;
    trial.control("what this terminal sealed before is taken over", begin().await? == TAKEN_OVER);
    Ok(trial.finish())
}

/// Copies what another terminal compiled.
async fn compiled_code_from_another_terminal(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let (from, _, from_home) = shop.client().await?;
    let (to, _, to_home) = shop.client().await?;
    let (from_file, to_file) = (installed(&from).await?, installed(&to).await?);
    let mut trial = Trial::new();
    let made = start(from.runtime(), &from_file, "preview").await?;
    trial.control("the other terminal compiles", made == MADE_AGAIN);
    start(to.runtime(), &to_file, "preview").await?;
    let ([foreign], [own]) = (&blobs(&from_home)?[..], &blobs(&to_home)?[..]) else {
        anyhow::bail!("one piece of compiled code is kept by each")
    };
    let (kept, copied) = (fs::read(own)?, fs::read(foreign)?);
    fs::copy(foreign, to_home.join("cache").join(foreign.file_name().context("a name")?))?;
    fs::write(own, copied)?;
    let used = start(to.runtime(), &to_file, "preview").await?;
    trial.attack_fails("another terminal's, under its name and under one's own", "made again", used == MADE_AGAIN);
    fs::write(own, kept)?;
    let used = start(to.runtime(), &to_file, "preview").await?;
    trial.control("one's own is taken over", used == TAKEN_OVER);
    Ok(trial.finish())
}

/// Has the money back and runs what was compiled before: as it is, and with a runtime that says yes to everything.
async fn compiled_code_after_a_refund(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let (client, _, home) = shop.client().await?;
    let file = installed(&client).await?;
    let payment = || PaymentMethod { provider: "sandbox".into(), token: "ok".into() };
    let store = client.store(&shop.origin);
    let order = store.order(shop.offer("view")?, payment()).await?;
    let mut trial = Trial::new();
    trial.control("paid for, it compiles", start(client.runtime(), &file, "view").await? == (1, 5));
    trial.control("and is taken over", start(client.runtime(), &file, "view").await? == (0, 5));
    client.cycle().settle(std::time::Duration::from_secs(5)).await;
    shop.server.operator(&["order", "refund", &order.id.to_string()])?;
    let kept: Vec<(PathBuf, Vec<u8>)> =
        blobs(&home)?.into_iter().map(|path| fs::read(&path).map(|bytes| (path, bytes))).collect::<Result<_, _>>()?;
    let refused = start(client.runtime(), &file, "view").await;
    let refused = refused.map_err(|error| error.reason().map_or_else(|| error.to_string(), |r| r.to_string()));
    trial.attack("starting it", "entitlement-revoked", refused);
    // The key of the part came with each grant, and went with it. What is left is to guess it.
    let guessed: BTreeMap<_, _> =
        ["main", "full"].map(|name| (part(name), FileKey::from_bytes(random()))).into_iter().collect();
    let patched = generous(&fs::read(&file)?, &guessed, Limits::default(), DeclineAll)?;
    let builder = Runtime::builder().gatekeeper(Arc::clone(&patched.signer)).clock(patched.clock());
    let run = start(builder.cache(client.cache()), &file, "view").await;
    trial.attack("a runtime that grants itself everything", "part `main`", run);
    for (path, bytes) in kept {
        fs::write(path, bytes)?;
    }
    store.order(shop.offer("view")?, payment()).await?;
    trial.control("paid for again, it is taken over", start(client.runtime(), &file, "view").await? == (0, 5));
    Ok(trial.finish())
}
