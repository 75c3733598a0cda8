//! One trusted store against another: what it says of the time, and whom it calls by a name.

use super::shop::Shop;
use super::{Arena, Outcome, Trial, attacks};
use anyhow::{Context as _, Result};
use portcullis_fixtures::now;
use portcullis_host::{Client, ClientError, ClientOptions, Clock, InstallSource, Retry, Runtime};
use portcullis_protocol::Origin;
use std::sync::Arc;

attacks! {
    "store-that-dates-its-answers-ahead" => store_that_dates_its_answers_ahead,
    "store-that-dates-its-answers-back" => store_that_dates_its_answers_back,
    "same-name-at-another-store" => same_name_at_another_store,
}

/// How far an honest store's clock, as the terminal shows it, may be from this machine's, in seconds: both are one
/// here.
const SAME: u64 = 60;

/// A machine whose clock is so many seconds ahead.
struct Ahead(i64);

impl Clock for Ahead {
    fn now(&self) -> u64 {
        now().saturating_add_signed(self.0)
    }
}

/// What shifts a server's clock in tests.
const SHIFT: &str = "PORTCULLIS_CLOCK_SHIFT";

fn reason(error: ClientError) -> String {
    error.reason().map_or_else(|| error.to_string(), |reason| reason.to_string())
}

async fn store_that_dates_its_answers_ahead(arena: &mut Arena) -> Result<Outcome> {
    misdated(arena, 0, 7_200).await
}

async fn store_that_dates_its_answers_back(arena: &mut Arena) -> Result<Outcome> {
    // Before its keys were made it could sign nothing: so it, and the terminal's machine, are ahead until then.
    misdated(arena, 7_200, 0).await
}

/// A store that the user trusts, and whose clock is `before` seconds ahead, as the terminal's machine is, dates its
/// answers ahead or back: ahead, to end what another store granted; back, so that it never ends.
async fn misdated(arena: &mut Arena, before: i64, after: i64) -> Result<Outcome> {
    let mut other = Shop::open(&arena.fresh_path()).await?;
    other.restart(&[(SHIFT, &before.to_string())])?;
    let home = arena.fresh_path();
    let shop = arena.shop().await?;
    let retry = Retry { attempts: 2, patient_attempts: 2, ..Retry::default() };
    let client = Client::open(ClientOptions::new().state_dir(home).clock(Arc::new(Ahead(before))).retry(retry))?;
    shop.admit(&client).await?;
    other.admit(&client).await?;
    let mut trial = Trial::new();
    trial.control(
        "both stores as they were",
        answers(&client, &shop.origin).await && answers(&client, &other.origin).await,
    );
    other.restart(&[(SHIFT, &after.to_string())])?;
    let dated = client.store(&other.origin).account().await.map_err(reason);
    trial.attack("an answer that is dated so", "clock-suspect", dated);
    let dated = client.store(&other.origin).account().await.map_err(reason);
    trial.attack("and another one that agrees with it", "clock-suspect", dated);
    let shown = client.server_clock(&shop.origin).now();
    trial.attack_fails("moving the other store's clock", "a clock of its own", shown.abs_diff(now()) < SAME);
    let shown = client.server_clock(&other.origin).now();
    let own = now().saturating_add_signed(before);
    trial.attack_fails("moving its own clock so far", "clock-suspect", shown.abs_diff(own) < SAME);
    trial.control("the other store's answers are believed", answers(&client, &shop.origin).await);
    let file = shop.publisher.fetch(&shop.resource).await?;
    let runtime = Runtime::builder().gatekeeper(client.cycle()).build()?;
    trial.control("and its grants are good", runtime.load(file)?.authorize("preview").await.is_ok());
    other.restart(&[(SHIFT, &before.to_string())])?;
    trial.control("with its clock right again, the store is believed at once", answers(&client, &other.origin).await);
    Ok(trial.finish())
}

async fn answers(client: &Client, origin: &Origin) -> bool {
    client.store(origin).account().await.is_ok()
}

/// Another publisher is admitted to another store under the name of one that the user knows or looks for.
async fn same_name_at_another_store(arena: &mut Arena) -> Result<Outcome> {
    let mut other = Shop::open(&arena.fresh_path()).await?;
    let shop = arena.shop().await?;
    let (client, _, _) = shop.client().await?;
    other.admit(&client).await?;
    let library = client.library();
    let unnamed: InstallSource = "lumen/alpine-lake".parse()?;
    let at = |origin: &Origin| -> Result<InstallSource> {
        match "lumen/alpine-lake@1.0.0".parse()? {
            InstallSource::Store { publisher, name, version, .. } => {
                Ok(InstallSource::Store { server: Some(origin.clone()), publisher, name, version })
            }
            _ => anyhow::bail!("a store"),
        }
    };
    let mut trial = Trial::new();
    let refusal = "is not the same at the stores";
    trial.attack("installing it by its name", refusal, library.install(&unnamed, &|_, _| ()).await);
    trial.attack("streaming it by its name", refusal, library.stream(&unnamed, false).await);
    let said = library.install(&unnamed, &|_, _| ()).await.err().context("refused")?.to_string();
    let keys = [shop.key.public().thumbprint().words(), other.key.public().thumbprint().words()];
    let names_both = [shop.origin.as_str(), other.origin.as_str(), &keys[0], &keys[1]];
    trial.control("the refusal names both stores and both keys", names_both.iter().all(|part| said.contains(*part)));
    let installed = library.install(&at(&other.origin)?, &|_, _| ()).await;
    trial.control("named by its store, it is installed", installed.is_ok());
    library.remove(&installed?).await?;
    other.kill()?;
    trial.attack("while the store that the user knows it from is down", refusal, library.stream(&unnamed, false).await);
    let named = library.stream(&at(&shop.origin)?, false).await;
    trial.control("named by its store, the other one is streamed", named.is_ok());
    Ok(trial.finish())
}
