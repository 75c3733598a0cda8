//! Attacks on redemption codes: redeemed by many at once, guessed, resold after the money went back.

use super::cheater::Cheater;
use super::shop::Shop;
use super::{Arena, Outcome, Trial, attacks};
use crate::seller::{Seller, buy, fetch, platform, wanted};
use anyhow::{Context as _, Result};
use futures::future::join_all;
use portcullis_fixtures::{Answered, Draft, random, rng};
use portcullis_protocol::ReleaseSecretKey;
use portcullis_protocol::codes::RedemptionCode;
use portcullis_protocol::paths;
use portcullis_protocol::wire::{GiftsAnswer, GiftsRequest, RedemptionAnswer, RedemptionRequest};

attacks! {
    "redemption-code-redeemed-by-many-at-once" => redemption_code_redeemed_by_many_at_once,
    "redemption-codes-guessed" => redemption_codes_guessed,
    "code-resold-after-a-charge-back" => code_resold_after_a_charge_back,
}

/// Accounts that redeem one code, and how often each of them does at each process.
const ACCOUNTS: usize = 6;
const TIMES: usize = 8;

/// A redemption code for what one order of `print` gives.
pub(super) async fn gift(shop: &mut Shop) -> Result<String> {
    let made = gifts(shop, 1).await?;
    Ok(made.codes.first().context("a code")?.code.clone())
}

async fn gifts(shop: &mut Shop, count: u32) -> Result<GiftsAnswer> {
    let offer = shop.offer("print")?.digest();
    let path = paths::fill(paths::GIFTS, &[&"lumen", &"alpine-lake"]);
    let body = GiftsRequest { offer, count, note: "press".into(), expires: None };
    shop.publisher.ask(&Draft::post(path, &body)).await
}

fn redemption(code: &str) -> Draft {
    Draft::post(paths::REDEMPTIONS, &RedemptionRequest { code: code.to_owned() })
}

async fn redeem(customer: &mut Cheater, code: &str) -> Result<RedemptionAnswer> {
    customer.ask(&redemption(code)).await
}

/// A code in its form that nobody made.
fn made_up() -> String {
    RedemptionCode::from_bytes(random()).text().to_string()
}

/// Several accounts redeem one code, each many times, at two processes.
async fn redemption_code_redeemed_by_many_at_once(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let code = gift(shop).await?;
    let twin = shop.server.start_twin()?;
    let mut accounts = Vec::new();
    for _ in 0..ACCOUNTS {
        let mut account = shop.customer().await?;
        // A nonce of the server, so that what follows is one request each.
        account.send(&Draft::get(paths::ACCOUNT)).await?;
        accounts.push(account);
    }
    let origin = shop.origin.to_string();
    let tries = accounts.iter().flat_map(|account| {
        let places = [origin.as_str(), twin.as_str()];
        (0..TIMES).flat_map(move |_| places).map(|place| {
            let (account, draft) = (account.clone(), redemption(&code));
            async move {
                let proof = account.prove(&draft, account.nonce.as_deref());
                account.send_to(place, &draft, &proof).await
            }
        })
    });
    let answers: Vec<Answered> = join_all(tries).await.into_iter().collect::<Result<_>>()?;
    let yes = answers.iter().filter(|answer| answer.status.is_success()).count();
    let spent = answers.iter().filter(|answer| answer.text().contains("code-spent")).count();
    let mut holders = 0;
    let mut uses = 0;
    for account in &mut accounts {
        let left = account.remaining("print").await?;
        holders += usize::from(left > 0);
        uses += left;
    }
    let mut trial = Trial::new();
    let tried = answers.len();
    trial.note(format!("{tried} requests of {ACCOUNTS} accounts: {yes} times yes, {spent} times code-spent"));
    trial.attack_fails("having it twice", "one entitlement", holders == 1 && uses == u64::from(super::shop::USES));
    // Whoever has it is answered as before, and everybody else that it is spent.
    trial.attack_fails("another account's share", "code-spent", (1..=2 * TIMES).contains(&yes) && yes + spent == tried);
    let second = gift(shop).await?;
    let mut late = shop.customer().await?;
    trial.control("another code is another entitlement", redeem(&mut late, &second).await.is_ok());
    trial.control("with its uses", late.remaining("print").await? == u64::from(super::shop::USES));
    shop.restart(&[])?;
    Ok(trial.finish())
}

/// Guesses codes; and guesses them in order that their owner is locked out.
async fn redemption_codes_guessed(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let code = gift(shop).await?;
    let mut browser = shop.person().await?;
    let (mut thief, mut accomplice) = (shop.terminal_of(&mut browser).await?, shop.terminal_of(&mut browser).await?);
    let mut owner = shop.customer().await?;
    let mut trial = Trial::new();
    let mut slip = code.clone();
    let last = if slip.ends_with('0') { "1" } else { "0" };
    slip.replace_range(slip.len() - 1.., last);
    trial.attack("a code with one character changed", "422", redeem(&mut thief, &slip).await);
    for guess in 0..10 {
        trial.attack(&format!("guess {guess}"), "code-unknown", redeem(&mut thief, &made_up()).await);
    }
    trial.attack("the eleventh", "rate-limited", redeem(&mut thief, &made_up()).await);
    trial.attack("even the right one", "rate-limited", redeem(&mut thief, &code).await);
    trial.attack("at another terminal of the account", "rate-limited", redeem(&mut accomplice, &code).await);
    trial.control("its owner redeems it, whoever guessed", redeem(&mut owner, &code).await.is_ok());
    trial.attack("once it is redeemed", "code-spent", redeem(&mut shop.customer().await?, &code).await);
    Ok(trial.finish())
}

/// A buyer of a redemption code redeems it, or gives it away, and takes his money back.
async fn code_resold_after_a_charge_back(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let platform = platform(shop.server.dir(), &shop.origin).await?;
    let made = gifts(shop, 3).await?;
    let mut seller = Seller::of(&mut shop.publisher, &platform, "voucher-shop").await?;
    let key = ReleaseSecretKey::generate(&mut rng());
    let mut buyer = shop.customer().await?;
    let mut orders = Vec::new();
    for gift in made.codes.iter().take(2) {
        let order = buy(&mut buyer, &wanted(seller.product, &key)).await?;
        let verification = seller.verify(&platform, order).await?;
        let sealed = seller.seal(&verification, &[&gift.code], vec![gift.serial])?;
        seller.submit(&sealed).await?;
        fetch(&mut buyer, order).await?;
        orders.push(order);
    }
    let mut friend = shop.customer().await?;
    redeem(&mut friend, &made.codes[0].code).await?;
    let mut trial = Trial::new();
    let uses = u64::from(super::shop::USES);
    trial.control("redeemed, it gives its rights", friend.remaining("print").await? == uses);
    // A code that is sold is not sold again.
    let order = buy(&mut buyer, &wanted(seller.product, &key)).await?;
    let verification = seller.verify(&platform, order).await?;
    let twice = seller.seal(&verification, &[&made.codes[1].code], vec![made.codes[1].serial])?;
    trial.attack("selling it to a second buyer", "binding-mismatch", seller.submit(&twice).await);
    for order in &orders {
        shop.server.operator(&["order", "refund", &order.to_string()])?;
    }
    let left = friend.remaining("print").await?;
    trial.attack_fails("using what was redeemed", "the right has ended", left == 0);
    let mut late = shop.customer().await?;
    trial.attack("redeeming it afterwards", "code-void", redeem(&mut late, &made.codes[1].code).await);
    let again = seller.seal(&verification, &[&made.codes[1].code], vec![made.codes[1].serial])?;
    trial.attack("selling it once more", "binding-mismatch", seller.submit(&again).await);
    let honest = seller.seal(&verification, &[&made.codes[2].code], vec![made.codes[2].serial])?;
    trial.control("one that was not sold is sold", seller.submit(&honest).await.is_ok());
    trial.control("and gives its rights", redeem(&mut late, &made.codes[2].code).await.is_ok());
    Ok(trial.finish())
}
