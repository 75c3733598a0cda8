//! Attacks on the pages, in a real browser: what another site, another page or another person at it can do.

use super::accounts::{OWNER, PASSWORD};
use super::cheater::Cheater;
use super::shop::Loot;
use super::site::Site;
use super::{Arena, Outcome, Trial, attacks};
use crate::Browser;
use anyhow::{Context as _, Result};
use serde_json::{Value, json};

attacks! {
    "page-framed-by-another-site" => page_framed_by_another_site,
    "form-posted-from-another-site" => form_posted_from_another_site,
    "signed-out-by-another-site" => signed_out_by_another_site,
    "markup-in-a-terminals-name" => markup_in_a_terminals_name,
    "redirected-elsewhere-after-sign-in" => redirected_elsewhere_after_sign_in,
    "account-read-with-the-back-button" => account_read_with_the_back_button,
}

/// A store with its owner's account.
struct Place {
    site: Site,
}

impl Place {
    async fn open(arena: &mut Arena) -> Result<Self> {
        let site = Site::open(arena).await?;
        site.person(OWNER).await?;
        Ok(Self { site })
    }

    /// A terminal that asks to be signed in, and the code that it shows.
    async fn asks(&self, label: &str) -> Result<(Cheater, portcullis_protocol::wire::DeviceAuthorisation)> {
        let mut terminal = Cheater::new(&self.site.server.origin().parse()?, Loot::default()).await?;
        let code = terminal.device_code(label).await?;
        Ok((terminal, code))
    }

    async fn drive(&self, script: &str, more: Value) -> Result<Value> {
        self.site.drive(script, OWNER, more).await
    }
}

fn is(value: &Value, text: &str) -> bool {
    value.as_str() == Some(text)
}

/// Lays the approval of a terminal under something that people click on.
async fn page_framed_by_another_site(arena: &mut Arena) -> Result<Outcome> {
    let place = Place::open(arena).await?;
    let (_, code) = place.asks("the attacker's").await?;
    let device = format!("/device?code={}", code.user_code);
    let framed = json!({"device": device, "account": "/account", "sign-in": "/sign-in", "missing": "/nothing-here"});
    let shown = place.drive("framed", json!({"framed": framed})).await?;
    let mut trial = Trial::new();
    for what in ["device", "account", "sign-in", "missing"] {
        trial.attack_fails(&format!("/{what} in a frame"), "not shown in a frame", shown[what] == json!(false));
    }
    trial.control("the same page without its headers is shown in a frame", shown["copy"] == json!(true));
    Ok(trial.finish())
}

/// Sends the owner's forms from elsewhere, with a form token of the attacker's.
async fn form_posted_from_another_site(arena: &mut Arena) -> Result<Outcome> {
    let place = Place::open(arena).await?;
    let foreign = json!({"email": "mallory@mail.example", "password": PASSWORD});
    let mut attacker = Browser::new(place.site.server.origin())?;
    attacker.sign_up("mallory@mail.example", PASSWORD).await?;
    let page = attacker.page("/account").await?;
    let csrf = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let foreign = json!({"email": foreign["email"], "password": foreign["password"], "csrf": csrf.context("a form")?});
    let ((mut lure, code), (mut own, own_code)) = (place.asks("the attacker's").await?, place.asks("her own").await?);
    let arguments = json!({"foreign": foreign, "pending": code.user_code, "own": own_code.user_code});
    let seen = place.drive("forged", arguments).await?;
    let mut trial = Trial::new();
    let landed = seen["landed"].as_object().context("what was tried")?;
    for (what, title) in landed.iter().filter(|(what, _)| what.starts_with('/')) {
        // From another site no cookie comes along, so that it is a stranger's form or a stranger's visit. From another
        // port it does: there the form's token and its origin refuse it.
        let refused = is(title, "Not accepted") || (is(title, "Sign in") && what.ends_with("another site"));
        trial.attack_fails(what, "not accepted", refused);
    }
    trial.attack("approving the attacker's terminal", "authorization_pending", lure.poll(&code.device_code).await);
    let account = seen["account"].as_str().unwrap_or_default();
    trial.attack_fails("exchanging the account, or its address", "still the owner's", account.contains(OWNER));
    trial.control("each of them arrived", landed.len() == 12);
    trial.control("the page's own form approves", is(&seen["approved"], "Approved"));
    trial.control("and the terminal is signed in", own.poll(&own_code.device_code).await.is_ok());
    Ok(trial.finish())
}

/// Has the owner's cookie replaced, so that she is signed out or in as somebody else.
async fn signed_out_by_another_site(arena: &mut Arena) -> Result<Outcome> {
    let place = Place::open(arena).await?;
    let seen = place.drive("link", json!({})).await?;
    let mut trial = Trial::new();
    let titles = seen["titles"].as_object().context("what was tried")?;
    for (what, title) in titles {
        trial.attack_fails(&format!("a link from {what}"), "still signed in", is(title, "Your account"));
    }
    trial.control("all were tried", titles.len() == 4);
    trial.control("her own sign-out signs her out", is(&seen["after"], "Sign in"));
    Ok(trial.finish())
}

/// A terminal whose name is a script.
async fn markup_in_a_terminals_name(arena: &mut Arena) -> Result<Outcome> {
    let place = Place::open(arena).await?;
    let mut trial = Trial::new();
    for (what, label) in [
        ("a script", "<script>ran=true;alert(1)</script>"),
        ("an image", "<img src=x onerror='ran=true;alert(1)'>"),
        ("an attribute", "\"><svg onload='ran=true;alert(1)'>"),
    ] {
        let mut browser = Browser::new(place.site.server.origin())?;
        browser.sign_in(OWNER, PASSWORD).await?;
        // It stands on the page of the account too, until it ends.
        let mut waiting = Cheater::new(&place.site.server.origin().parse()?, Loot::default()).await?;
        let code = waiting.device_code(label).await?;
        browser.approve(&code.user_code, &waiting.key.public().thumbprint().words()).await?;
        waiting.poll(&code.device_code).await?;
        let (_, code) = place.asks(label).await?;
        let seen = place.drive("label", json!({"pending": code.user_code, "label": label})).await?;
        for page in ["device", "account"] {
            let harmless = seen[page]["ran"] == json!(false) && seen[page]["shown"] == json!(true);
            trial.attack_fails(&format!("{what} on /{page}"), "shown as text", harmless);
        }
        trial.control(
            &format!("{what} runs on a page that does not escape it"),
            seen["unescaped"]["ran"] == json!(true),
        );
    }
    Ok(trial.finish())
}

/// Links through the sign-in of the real store to a page that looks like it.
async fn redirected_elsewhere_after_sign_in(arena: &mut Arena) -> Result<Outcome> {
    let place = Place::open(arena).await?;
    let (_, code) = place.asks("her own").await?;
    let lures = [
        "/sign-in?to=ELSEWHERE",
        "/sign-in?to=//HOST",
        "/sign-in?code=ELSEWHERE",
        "/sign-in?to=/%5CHOST",
        "/sign-in?to=account%0d%0aLocation:%20ELSEWHERE",
        "/sign-in?code=BCDF-GHJK&to=ELSEWHERE",
        "/sign-in?next=ELSEWHERE",
        "/sign-in?return=ELSEWHERE",
        "/sign-in?return_to=//HOST",
        "/sign-in?to=buy.ELSEWHERE",
        "/sign-in?to=buy.//HOST",
        "/sign-in?to=order.//HOST",
        "/sign-in?to=resource.//HOST",
        "/sign-in?to=resource.lumen/..//..//HOST",
        "/sign-in?to=account&to=ELSEWHERE",
    ];
    let seen = place.drive("onward", json!({"pending": code.user_code, "lures": lures})).await?;
    let mut trial = Trial::new();
    for lure in lures {
        trial.attack_fails(lure, "stays at the store", is(&seen["arrived"][lure], place.site.server.origin()));
    }
    let honest = format!("{}/device?code={}", place.site.server.origin(), code.user_code);
    trial.control("the code of a terminal leads to its approval", is(&seen["honest"], &honest));
    Ok(trial.finish())
}

/// Somebody at the same browser, once its owner has signed out.
async fn account_read_with_the_back_button(arena: &mut Arena) -> Result<Outcome> {
    let place = Place::open(arena).await?;
    let seen = place.drive("back", json!({})).await?;
    let mut trial = Trial::new();
    let pages = seen["after"].as_array().context("what was seen")?;
    let read = pages.iter().filter_map(Value::as_str).any(|page| page.contains(OWNER));
    trial.attack_fails("going back through the pages", "nothing of the account is shown", !read && !pages.is_empty());
    trial.control("before, the back button shows it", seen["before"].as_str().is_some_and(|page| page.contains(OWNER)));
    Ok(trial.finish())
}
