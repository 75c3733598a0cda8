//! Attacks on what reaches an engine: bodies without keys, stubs in the bodies' place, and packages that a terminal
//! should take for others.

use super::shop::price_list;
use super::specimen::{MARK_OF_THE_ASSET, describe, full, generous, plaintext, run, seal};
use super::surgery::{MANIFEST, Pieces, sign_as};
use super::{Arena, Outcome, Trial, attacks};
use crate::plain::Plain;
use anyhow::{Context as _, Result, anyhow};
use futures::StreamExt as _;
use portcullis_fixtures::{
    Draft, GUEST_WAT, GUEST_WIT, PLAINTEXT, api, component, guest, holds, honest, now, part, plugged, rng,
};
use portcullis_host::{Client, Downloaded, InstallSource, Runtime, TransportError, Val};
use portcullis_protocol::age::Recipient;
use portcullis_protocol::sealed::{Sealed, countersign};
use portcullis_protocol::wire::PublishAnswer;
use portcullis_protocol::{Manifest, SecretKey, ServerEntry};
use serde_json::json;
use std::fs;
use std::net::TcpListener;

attacks! {
    "body-extracted-and-run-in-a-plain-engine" => body_extracted_and_run_in_a_plain_engine,
    "patched-out-stub-check" => patched_out_stub_check,
    "always-yes-billing-import" => always_yes_billing_import,
    "billing-import-plugged-with-a-stub" => billing_import_plugged_with_a_stub,
    "import-smuggled-into-the-body" => import_smuggled_into_the_body,
    "version-downgrade" => version_downgrade,
    "mirror-that-serves-a-stream-other-bytes" => mirror_that_serves_a_stream_other_bytes,
    "package-naming-its-own-server" => package_naming_its_own_server,
    "part-lifted-into-another-publishers-free-resource" => part_lifted_into_another_publishers_free_resource,
    "title-that-turns-a-price-around" => title_that_turns_a_price_around,
    "preview-grant-used-for-the-paid-export" => preview_grant_used_for_the_paid_export,
}

/// `add(2, 3)`.
fn add(plain: &mut Plain) -> Result<u32> {
    match plain.call(&api("add"), &[Val::U32(2), Val::U32(3)])? {
        Val::U32(sum) => Ok(sum),
        other => Err(anyhow!("not a number: {other:?}")),
    }
}

/// `entry()`: asks billing for the grant it runs under. Whether it was given one.
fn entry(plain: &mut Plain) -> Result<bool> {
    let given = plain.call(&api("entry"), &[])?;
    Ok(matches!(given, Val::Tuple(values) if values.first() == Some(&Val::U32("view".len() as u32))))
}

/// Takes the body out of the file, as anybody can, and gives it to wasmtime.
async fn body_extracted_and_run_in_a_plain_engine(arena: &mut Arena) -> Result<Outcome> {
    let specimen = arena.specimen()?;
    let mut part_as_it_lies = Vec::new();
    Sealed::open(specimen.file.clone())?.extract(&part("main"), &mut part_as_it_lies)?;
    let mut trial = Trial::new();
    let run = Plain::instantiate(&part_as_it_lies).and_then(|mut plain| add(&mut plain));
    trial.attack("the extracted body", "magic header not detected", run);
    let clear = holds(&specimen.file, PLAINTEXT) || holds(&specimen.file, MARK_OF_THE_ASSET);
    trial.attack_fails("looking for plaintext in the file", "ciphertext", !clear);
    let decrypted = plaintext(specimen)?;
    trial.control("with the key, the body runs in the same engine", add(&mut Plain::instantiate(&decrypted)?)? == 5);
    trial.control("and its mark is found", holds(&decrypted, PLAINTEXT));
    Ok(trial.finish())
}

/// Puts a component that does not trap in the stub's place.
async fn patched_out_stub_check(arena: &mut Arena) -> Result<Outcome> {
    let specimen = arena.specimen()?;
    let patched = |stub: Vec<u8>| -> Result<Vec<u8>> {
        let mut pieces = Pieces::of(&specimen.file)?;
        pieces.stub = stub;
        Ok(pieces.file())
    };
    let stub = Pieces::of(&specimen.file)?.stub;
    let mut trial = Trial::new();
    let mut decoy = guest();
    trial.attack("a stub that works", "the stub is not the one", run(specimen, &patched(decoy.clone())?).await);
    let mut nearly = stub.clone();
    // `unreachable` becomes `nop` wherever it stands as the only instruction of a function.
    for at in 0..nearly.len().saturating_sub(3) {
        if nearly[at..at + 4] == [3, 0, 0, 0x0b] {
            nearly[at + 2] = 1;
        }
    }
    let changed = nearly != stub;
    trial.attack("the stub's traps taken out", "the stub is not the one", run(specimen, &patched(nearly)?).await);
    trial.control("the traps were found and taken out", changed);
    let works = add(&mut Plain::instantiate(&decoy)?)? == 5;
    decoy.clear();
    trial.control("the other stub by itself works in a plain engine", works);
    trial.control(
        "with its own stub, put in with the same tool, it runs",
        run(specimen, &patched(stub)?).await.ok() == Some(5),
    );
    Ok(trial.finish())
}

/// Runs the resource in an engine whose billing says yes to everything.
async fn always_yes_billing_import(arena: &mut Arena) -> Result<Outcome> {
    let specimen = arena.specimen()?;
    let mut trial = Trial::new();
    // Our own sections are custom sections: any engine takes the sealed file for its stub.
    let stub = Pieces::of(&specimen.file)?.stub;
    for (what, bytes) in [("the sealed file", &specimen.file), ("its stub", &stub)] {
        let mut plain = Plain::instantiate(bytes).context("the sealed file is a valid component")?;
        trial.attack(&format!("{what}: add"), "unreachable", add(&mut plain));
        let mut plain = Plain::instantiate(bytes)?;
        trial.attack(&format!("{what}: ask for the grant"), "unreachable", entry(&mut plain));
    }
    let decrypted = plaintext(specimen)?;
    trial.control("with the key, the body believes the same billing", entry(&mut Plain::instantiate(&decrypted)?)?);
    Ok(trial.finish())
}

/// Composes the body with something that answers in the billing server's place.
async fn billing_import_plugged_with_a_stub(arena: &mut Arena) -> Result<Outcome> {
    let specimen = arena.specimen()?;
    let plugged = plugged();
    let mut trial = Trial::new();
    let sealed = specimen.with_body(&plugged);
    trial.attack(
        "a body with billing inside",
        "imports no function of `portcullis:gate/billing`",
        run(&sealed, &sealed.file).await,
    );
    trial.control("the plugged body itself is a working component", add(&mut Plain::instantiate(&plugged)?)? == 5);
    let own = specimen.with_body(&guest());
    trial.control("the honest body, sealed with the same tool, runs", run(&own, &own.file).await.ok() == Some(5));
    Ok(trial.finish())
}

/// Seals a body that imports more than the stub and the manifest show.
async fn import_smuggled_into_the_body(arena: &mut Arena) -> Result<Outcome> {
    let specimen = arena.specimen()?;
    let mut trial = Trial::new();
    let import = "(import \"$root\" \"extra\" (func $extra (result i32)))";
    let wit = format!("{GUEST_WIT}\nworld more {{ include guest; import extra: func() -> u32; }}");
    let wat = GUEST_WAT.replacen("(module", &format!("(module {import}"), 1);
    let smuggled = specimen.with_body(&component(&wat, &wit, "more"));
    trial.attack(
        "a function of the host",
        "neither the stub nor the manifest has it",
        run(&smuggled, &smuggled.file).await,
    );
    let own = specimen.with_body(&guest());
    trial.control("the honest body, sealed with the same tool, runs", run(&own, &own.file).await.ok() == Some(5));
    Ok(trial.finish())
}

/// Offers an old version, genuinely signed and countersigned, to a terminal that has a newer one.
async fn version_downgrade(arena: &mut Arena) -> Result<Outcome> {
    let path = arena.fresh_path();
    let shop = arena.shop().await?;
    let old = shop.publisher.fetch(&shop.resource).await?;
    fs::write(&path, &old)?;
    let newer = shop.seal("lumen", &shop.key, "1.1.0")?;
    let newer = shop.publish(&newer).await?;
    let (client, _, _) = shop.client().await?;
    let library = client.library();
    let moved = |_, _| ();
    let installed = library.install(&"lumen/alpine-lake".parse()?, &moved).await?;
    let mut trial = Trial::new();
    let source = InstallSource::File(path);
    trial.attack("a file of the version before", "is older", library.prepare(&source, false, &moved).await);
    // A terminal that has nothing yet is given the old version, and meanwhile installs the newer one.
    let (other, _, _) = shop.client().await?;
    let slow = other.library().prepare(&source, false, &moved).await?;
    other.library().install(&"lumen/alpine-lake".parse()?, &moved).await?;
    trial.attack("one that was fetched before the newer one was installed", "is older", slow.install().await);
    let older = shop.seal("lumen", &shop.key, "1.0.5")?;
    let published = shop.publisher.send(&Draft::upload(&older)).await?;
    let answer = if published.status.is_success() { Ok(()) } else { Err(anyhow!("{}", published.text())) };
    trial.attack("publishing below the newest version", "is not newer than", answer);
    trial.control("the newer one was installed", installed.digest == newer);
    let asked = library.prepare(&source, true, &moved).await.is_ok();
    trial.control("where the user asks for the old version, the same file is taken", asked);
    Ok(trial.finish())
}

/// A mirror, or somebody on the way to the store, changes what a terminal reads by range: in the index, in a part, or
/// by sending something else than was asked for. What is beyond a piece that is whole and verified is never read.
async fn mirror_that_serves_a_stream_other_bytes(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let source: InstallSource = "lumen/alpine-lake@1.0.0".parse()?;
    let size = shop.publisher.fetch(&shop.resource).await?.len() as u64;
    let mut trial = Trial::new();
    for (what, at, defence) in [
        ("the stub, changed", 12, "the sealed resource is not valid"),
        ("the last byte of the last part, changed", size - 1, "is damaged, moved or forged"),
    ] {
        let (client, meddler, _) = shop.client().await?;
        meddler.mirror(move |_, answer| with_a_byte_changed(answer, at));
        trial.attack(what, defence, stream(&client, &source).await);
        meddler.stop();
        trial.control("the honest store afterwards: nothing of it stayed", stream(&client, &source).await.is_ok());
    }
    let (client, meddler, _) = shop.client().await?;
    meddler.mirror(|_, answer| Downloaded { from: answer.from + 1, ..answer });
    trial.attack("another piece than was asked for", "another piece", stream(&client, &source).await);
    meddler.mirror(|_, answer| Downloaded { total: answer.total.map(|total| total + 1), ..answer });
    trial.attack("a file of another length", "another file", stream(&client, &source).await);
    meddler.stop();
    trial.control("the honest store", stream(&client, &source).await.is_ok());
    Ok(trial.finish())
}

/// Opens a resource at its store and reads all of it, as a run would bit by bit.
async fn stream(client: &Client, source: &InstallSource) -> Result<()> {
    let source = client.library().stream(source, true).await?.accept().await?;
    let resource = Runtime::builder().build()?.load(source)?;
    tokio::task::spawn_blocking(move || resource.verify()).await??;
    Ok(())
}

/// What a server sends, with the byte at `at` of the file changed.
fn with_a_byte_changed(answer: Downloaded, at: u64) -> Downloaded {
    let mut place = answer.from;
    let body = answer.body.map(move |chunk| -> Result<_, TransportError> {
        let mut chunk = chunk?.to_vec();
        if let Some(byte) = at.checked_sub(place).and_then(|at| chunk.get_mut(at as usize)) {
            *byte ^= 1;
        }
        place += chunk.len() as u64;
        Ok(chunk.into())
    });
    Downloaded { body: body.boxed(), ..answer }
}

/// A package that brings its own billing server along: named in its manifest, countersigned by it, listening.
async fn package_naming_its_own_server(arena: &mut Arena) -> Result<Outcome> {
    let path = arena.fresh_path();
    let honest_path = arena.fresh_path();
    let shop = arena.shop().await?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let origin: portcullis_protocol::Origin = format!("http://{}", listener.local_addr()?).parse()?;
    let (thief, root) = (SecretKey::generate(&mut rng()), SecretKey::generate(&mut rng()));
    let server = ServerEntry { origin: origin.clone(), root: root.public().thumbprint() };
    let recipient: Recipient = shop.publisher.keys.recipient.parse()?;
    let file = seal(describe("lumen", &thief, "9.0.0", server)?, &thief, &recipient);
    let mut countersigned = Vec::new();
    countersign(&Sealed::open(file)?, origin.clone(), &root, now(), &mut countersigned)?;
    fs::write(&path, &countersigned)?;
    fs::write(&honest_path, shop.publisher.fetch(&shop.resource).await?)?;

    let (client, meddler, _) = shop.client().await?;
    let library = client.library();
    let moved = |_, _| ();
    let mut trial = Trial::new();
    let reason =
        |error: portcullis_host::ClientError| error.reason().map_or_else(|| error.to_string(), |r| r.to_string());
    let source = InstallSource::File(path);
    trial.attack("installing it", "server-untrusted", library.prepare(&source, false, &moved).await.map_err(reason));
    let runtime = Runtime::builder().gatekeeper(client.cycle()).clock(client.clock()).build()?;
    let refused = runtime.load(countersigned)?.authorize("view").await;
    let refused = refused.map_err(|error| error.reason().map_or_else(|| error.to_string(), |r| r.to_string()));
    trial.attack("running it", "server-untrusted", refused);
    let contacted = meddler.contacted().iter().any(|asked| asked == origin.as_str()) || listener.accept().is_ok();
    trial.attack_fails("being contacted at all", "never contacted", !contacted);
    let honest = library.prepare(&InstallSource::File(honest_path), false, &moved).await;
    trial.control("a file of the store that the user trusts is taken", honest.is_ok());
    trial
        .control("and its server was contacted", meddler.contacted().iter().any(|asked| asked == shop.origin.as_str()));
    Ok(trial.finish())
}

/// Lifts the paid parts into a resource of the thief's own and has the server, which holds a key to them, open them.
async fn part_lifted_into_another_publishers_free_resource(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let (mut thief, key) = shop.publisher("thief").await?;
    let original = Sealed::open(shop.file.clone())?;
    let rewritten = |manifest: &Manifest, key: &SecretKey| -> Result<Vec<u8>> {
        let mut pieces = Pieces::of(&shop.file)?;
        *pieces.data(MANIFEST)? = sign_as(manifest, key)?;
        Ok(pieces.file())
    };
    let mut stolen = original.manifest().clone();
    (stolen.publisher.name, stolen.publisher.jwk) = ("thief".parse()?, key.public().clone());
    let forged = rewritten(&stolen, &key)?;
    let well_formed = Sealed::open(forged.clone()).is_ok();
    let mut trial = Trial::new();
    let answer = thief.send(&Draft::upload(&forged)).await?;
    let answer = if answer.status.is_success() { Ok(()) } else { Err(anyhow!("{}", answer.text())) };
    trial.attack("publishing another's parts as his own", "lifted from elsewhere", answer);
    // The same, as if he were the publisher: the name is another account's.
    let same = rewritten(original.manifest(), &shop.key)?;
    let answer = thief.send(&Draft::upload(&same)).await?;
    let answer = if answer.status.is_success() { Ok(()) } else { Err(anyhow!("{}", answer.text())) };
    trial.attack("publishing under the publisher's name", "not this account's", answer);
    trial.control("the forgery is well-formed for all who have no key to it", well_formed);
    let published: Result<PublishAnswer> = shop.publisher.ask(&Draft::upload(&same)).await;
    trial.control("its own publisher may upload what the same tool wrote", published.is_ok());
    let own = shop.seal("thief", &key, "1.0.0")?;
    let published: Result<PublishAnswer> = thief.ask(&Draft::upload(&own)).await;
    trial.control("a resource of the thief's own making is published", published.is_ok());
    Ok(trial.finish())
}

/// Writes into titles what moves the cursor or turns the direction of writing: the price beside it reads otherwise.
async fn title_that_turns_a_price_around(arena: &mut Arena) -> Result<Outcome> {
    let specimen = arena.specimen()?;
    let retitled = |title: &str, operation: &str| -> Result<Vec<u8>> {
        let mut manifest = Sealed::open(specimen.file.clone())?.manifest().clone();
        (manifest.title, manifest.operations[0].title) = (title.into(), operation.into());
        let mut pieces = Pieces::of(&specimen.file)?;
        *pieces.data(MANIFEST)? = sign_as(&manifest, &specimen.publisher)?;
        Ok(pieces.file())
    };
    let mut trial = Trial::new();
    let mark = "control, direction or invisible character";
    for (what, text) in [
        ("clears the screen", "\u{1b}[2J\u{1b}[H"),
        ("turns the line around", "\u{202e}"),
        ("hides what turns it", "\u{2067}\u{2069}"),
        ("begins a new line", "\u{2028}"),
    ] {
        let title = format!("Lake {text}");
        trial.attack(&format!("a resource's that {what}"), mark, run(specimen, &retitled(&title, "View")?).await);
        let file = retitled("Lake", &title)?;
        trial.attack(&format!("an operation's that {what}"), mark, run(specimen, &file).await);
    }
    let honest = retitled("אגם אלפיני — Alpine lake", "لعرض")?;
    let runs = run(specimen, &honest).await.ok() == Some(5);
    trial.control("titles in Hebrew and Arabic, signed with the same tool, run", runs);
    let shop = arena.shop().await?;
    let terms = |title: &str| json!({"offers": [{"operation": "view", "title": title, "rights": {"model": "perpetual"}, "price": {"minor_units": 199, "currency": "EUR"}}]});
    for text in ["\u{1b}[2J", "\u{202e}"] {
        let answer = shop.publisher.send(&price_list(&terms(&format!("Lake {text}")))).await?;
        let answer = if answer.status.is_success() { Ok(()) } else { Err(anyhow!("{}", answer.text())) };
        trial.attack("an offer's", mark, answer);
    }
    let honest = shop.publisher.send(&price_list(&terms("אגם אלפיני"))).await?;
    trial.control("an offer in Hebrew is taken", honest.status.is_success());
    // The price list is a whole: the others are put back.
    shop.price("1.99 EUR").await?;
    Ok(trial.finish())
}

/// Asks for the free operation and uses its grant for what costs something: through the runtime, and with the keys
/// alone as a patched runtime would.
async fn preview_grant_used_for_the_paid_export(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let file = shop.publisher.fetch(&shop.resource).await?;
    let (client, _, _) = shop.client().await?;
    let runtime = Runtime::builder().gatekeeper(client.cycle()).clock(client.clock()).build()?;
    let resource = runtime.load(file.clone())?;
    let preview = resource.authorize("preview").await?;
    let mut trial = Trial::new();
    trial.attack("the paid export under the free grant", "belongs to operation `view`", honest(&preview).await);
    let free: Result<(u32,), _> = preview.call_typed(&api("other"), ()).await;

    let mut cheater = shop.customer().await?;
    let answer = cheater.cycle(&shop.request("preview")).await?;
    let keys = cheater.open(&answer)?;
    let sealed = Sealed::open(file.clone())?;
    let names: Vec<&str> = keys.iter().map(|(name, _)| name.as_str()).collect();
    trial.attack_fails("being given the key of a paid part", "not released", names == ["side"]);
    let (_, key) = keys.first().context("a key")?;
    for paid in ["main", "full", "ink"] {
        trial.attack(&format!("the free key on `{paid}`"), "part `", sealed.check_key(&part(paid), key));
    }
    let refused = cheater.authorise(&shop.request("view")).await;
    trial.attack("asking for the paid operation", "payment-required", refused);
    trial.control("the free export runs under the free grant", free.is_ok_and(|(seven,)| seven == 7));
    trial.control("the free key opens its part", sealed.read_code(&part("side"), key).is_ok());

    shop.buy(&mut cheater, "view").await?;
    let answer = cheater.cycle(&shop.request("view")).await?;
    let keys = cheater.open(&answer)?.into_iter().map(|(name, key)| (part(&name), key)).collect();
    let bench = generous(&file, &keys, portcullis_host::Limits::default(), portcullis_host::DeclineAll)?;
    let paid = honest(&bench.resource.authorize("view").await?).await;
    trial.control("once it is paid, the paid export runs with the released keys", paid.ok() == Some(5));
    let mut asset = sealed.part(&part("full"), keys.get(&part("full")).context("the key of the asset")?)?;
    let mut read = vec![0; MARK_OF_THE_ASSET.len()];
    asset.read_at(0, &mut read)?;
    trial.control("and the paid asset opens", read == full()[..read.len()]);
    Ok(trial.finish())
}
