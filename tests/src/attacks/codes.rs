//! Attacks on billing status codes and grants: used twice, elsewhere, by others, or for ever.

use super::cheater::verification;
use super::{Arena, Outcome, Trial, attacks};
use anyhow::{Context as _, Result};
use portcullis_fixtures::Draft;
use portcullis_protocol::encoding::BoundedOctets;
use portcullis_protocol::wire::{Acknowledgement, VerificationAnswer};
use portcullis_protocol::{Digest, GrantId};

attacks! {
    "code-redeemed-twice" => code_redeemed_twice,
    "code-used-for-something-else" => code_used_for_something_else,
    "stolen-code-without-the-terminal-key" => stolen_code_without_the_terminal_key,
    "grant-taken-acknowledgement-suppressed" => grant_taken_acknowledgement_suppressed,
    "hold-then-disconnect" => hold_then_disconnect,
}

/// Verifies a code again, as if it were new.
async fn code_redeemed_twice(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let mut cheater = shop.buyer("print").await?;
    let request = shop.request("print");
    let code = cheater.authorise(&request).await?;
    let draft = verification(&request, &code);
    let first: VerificationAnswer = cheater.ask(&draft).await?;
    let mut trial = Trial::new();
    trial.attack("with a new Idempotency-Key", "status-code-spent", cheater.verify(&request, &code).await);
    let repeated: VerificationAnswer = cheater.ask(&draft).await?;
    let same = repeated.grant == first.grant;
    trial.attack_fails("with the same one", "the same grant again", same && cheater.remaining("print").await? == 4);
    let another = cheater.cycle(&request).await;
    trial.control("a new code gives another grant", another.is_ok_and(|another| another.grant != first.grant));
    trial.control("and is debited", cheater.remaining("print").await? == 3);
    Ok(trial.finish())
}

/// Has one thing judged payable and takes another.
async fn code_used_for_something_else(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let mut browser = shop.person().await?;
    let mut cheater = shop.terminal_of(&mut browser).await?;
    shop.buy(&mut cheater, "print").await?;
    let mut neighbour = shop.terminal_of(&mut browser).await?;
    let mut stranger = shop.buyer("print").await?;
    let request = shop.request("print");
    let code = cheater.authorise(&request).await?;
    let mut trial = Trial::new();
    let changed = |change: &dyn Fn(&mut portcullis_protocol::wire::AuthorisationRequest)| {
        let mut request = request.clone();
        change(&mut request);
        request
    };
    let view = "view".parse()?;
    let nonce = BoundedOctets::new(b"other".to_vec())?;
    let offer = shop.offer("print")?.digest();
    for (what, other) in [
        ("another resource", changed(&|request| request.resource = Digest::of(b"another"))),
        ("another operation", changed(&|request| request.operation = Clone::clone(&view))),
        ("another quantity", changed(&|request| request.quantity = 5)),
        ("another offer", changed(&|request| request.offer = Some(offer))),
        ("another nonce", changed(&|request| request.nonce = nonce.clone())),
    ] {
        trial.attack(what, "binding-mismatch", cheater.verify(&other, &code).await);
    }
    trial.attack("another terminal of the account", "status-code-unknown", neighbour.verify(&request, &code).await);
    trial.attack("another account", "status-code-unknown", stranger.verify(&request, &code).await);
    trial.control(
        "for what it was issued for, the same code still serves",
        cheater.verify(&request, &code).await.is_ok(),
    );
    trial.control("and nobody else was debited", stranger.remaining("print").await? == 5);
    Ok(trial.finish())
}

/// Reads code and token on the way, but not the terminal's key.
async fn stolen_code_without_the_terminal_key(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let mut owner = shop.buyer("view").await?;
    let mut thief = shop.customer().await?;
    let request = shop.request("view");
    let code = owner.authorise(&request).await?;
    let mut trial = Trial::new();
    trial.attack("with his own key and token", "status-code-unknown", thief.verify(&request, &code).await);
    let own_token = thief.token.replace(owner.token.clone().context("a token")?);
    trial.attack("with his own key and the stolen token", "not-signed-in", thief.verify(&request, &code).await);
    thief.token = own_token;
    let answer = owner.verify(&request, &code).await?;
    trial.attack("opening the released keys with his key", "does not open", thief.open(&answer));
    let grant = owner.grant(&answer)?;
    let fetched: Result<VerificationAnswer> = thief.ask(&Draft::get(format!("/v1/grants/{}", grant.jti))).await;
    trial.attack("fetching the grant", "status-code-unknown", fetched);
    trial.control("the owner's key opens them", owner.open(&answer).is_ok());
    let again: Result<VerificationAnswer> = owner.ask(&Draft::get(format!("/v1/grants/{}", grant.jti))).await;
    trial.control("and the owner can fetch the grant", again.is_ok());
    Ok(trial.finish())
}

/// Takes the grant and says that it never came.
async fn grant_taken_acknowledgement_suppressed(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let mut cheater = shop.buyer("print").await?;
    let request = shop.request("print");
    let code = cheater.authorise(&request).await?;
    let draft = verification(&request, &code);
    let answer: VerificationAnswer = cheater.ask(&draft).await?;
    let grant = cheater.grant(&answer)?;
    let mut trial = Trial::new();
    shop.restart(&[("PORTCULLIS_CLOCK_SHIFT", "60")])?;
    // The sweeper has run at the start, and once more before this.
    let left = cheater.remaining("print").await?;
    trial.attack_fails("having the use credited after the code's end", "still debited", left == 4);
    let again: VerificationAnswer = cheater.ask(&Draft::get(format!("/v1/grants/{}", grant.jti))).await?;
    let same = again.grant == answer.grant;
    trial.attack_fails(
        "asking for it again for another grant",
        "the same grant",
        same && cheater.remaining("print").await? == 4,
    );
    shop.restart(&[("PORTCULLIS_CLOCK_SHIFT", "360")])?;
    let replacement: VerificationAnswer = cheater.ask(&draft).await?;
    let replaced = replacement.grant != answer.grant && cheater.remaining("print").await? == 4;
    trial.control("after its end, a terminal that never had it gets one in its place", replaced);
    shop.restart(&[("PORTCULLIS_CLOCK_SHIFT", "720")])?;
    let last: VerificationAnswer = cheater.ask(&draft).await?;
    trial.attack_fails("keeping silent for a third", "one replacement is the bound", last.grant == replacement.grant);
    let grant = cheater.grant(&replacement)?;
    let stranger: GrantId = "AAAAAAAAAAAAAAAAAAAAAA".parse()?;
    let unknown: Result<VerificationAnswer> = cheater.ask(&Draft::get(format!("/v1/grants/{stranger}"))).await;
    trial.attack("asking for one that was never given", "status-code-unknown", unknown);
    let acknowledgement = Draft::post(format!("/v1/grants/{}/ack", grant.jti), &Acknowledgement { grant: grant.jti });
    trial.control(
        "an honest terminal acknowledges it, and it costs the same",
        cheater.done(&acknowledgement).await.is_ok(),
    );
    trial.control("one use is gone", cheater.remaining("print").await? == 4);
    shop.restart(&[])?;
    Ok(trial.finish())
}

/// Holds all there is and goes away; comes back with the code when it has been released.
async fn hold_then_disconnect(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let mut cheater = shop.buyer("print").await?;
    let mut all = shop.request("print");
    all.quantity = super::shop::USES;
    let code = cheater.authorise(&all).await?;
    let mut trial = Trial::new();
    let held = cheater.authorise(&shop.request("print")).await;
    trial.attack("drawing what is held", "entitlement-exhausted", held);
    shop.restart(&[("PORTCULLIS_CLOCK_SHIFT", "35")])?;
    trial.attack("verifying 35 s later", "status-code-expired", cheater.verify(&all, &code).await);
    trial.control("what was held is there again", cheater.remaining("print").await? == u64::from(super::shop::USES));
    trial.control("and can be drawn", cheater.cycle(&all).await.is_ok());
    trial.control("once", cheater.remaining("print").await? == 0);
    shop.restart(&[])?;
    Ok(trial.finish())
}
