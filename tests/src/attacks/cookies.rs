//! Attacks on what a browser keeps: a session that was planted, kept or read, a message that was forged, a page that a
//! cache keeps for somebody else.

use super::accounts::{OWNER, PASSWORD};
use super::site::Site;
use super::{Arena, Outcome, Trial, attacks};
use crate::{Browser, Server, chromium};
use anyhow::{Context as _, Result};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, SET_COOKIE};
use serde_json::json;
use std::collections::BTreeMap;

attacks! {
    "session-planted-before-sign-in" => session_planted_before_sign_in,
    "cookie-kept-after-sign-out" => cookie_kept_after_sign_out,
    "cookie-read-by-a-script" => cookie_read_by_a_script,
    "message-put-into-the-stores-mouth" => message_put_into_the_stores_mouth,
    "private-page-kept-by-a-cache" => private_page_kept_by_a_cache,
}

const MALLORY: &str = "mallory@mail.example";

async fn place(arena: &mut Arena) -> Result<Server> {
    let site = Site::open(arena).await?;
    site.person(OWNER).await?;
    Ok(site.server)
}

/// The cookie that is the session: the one without a word of what it is for.
fn session(browser: &Browser) -> Result<(String, String)> {
    let words = ["-form", "-known", "-flash"];
    let mut cookies = browser.cookies().iter();
    let found = cookies.find(|(name, _)| !words.iter().any(|word| name.ends_with(word)));
    found.map(|(name, value)| (name.clone(), value.clone())).context("no session")
}

async fn is_signed_in(browser: &mut Browser, name: &str) -> Result<bool> {
    Ok(browser.page("/account").await?.contains(name))
}

/// Puts a session that the attacker knows into the owner's browser, and waits for her to sign in to it (CWE-384).
async fn session_planted_before_sign_in(arena: &mut Arena) -> Result<Outcome> {
    let server = place(arena).await?;
    let mut mallory = Browser::new(server.origin())?;
    mallory.sign_up(MALLORY, PASSWORD).await?;
    let (name, own) = session(&mallory)?;
    let mut trial = Trial::new();
    for (what, value) in [
        ("a number of the attacker's choice", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned()),
        ("the attacker's own session", own.clone()),
    ] {
        let mut victim = Browser::new(server.origin())?;
        victim.plant(&name, &value);
        victim.sign_in(OWNER, PASSWORD).await?;
        trial.control(&format!("with {what} planted, the owner signs in"), is_signed_in(&mut victim, OWNER).await?);
        let mut thief = Browser::new(server.origin())?;
        thief.plant(&name, &value);
        trial.attack_fails(what, "not signed in", !is_signed_in(&mut thief, OWNER).await?);
        trial.attack_fails(&format!("{what}, kept by the browser"), "another number", session(&victim)?.1 != value);
    }
    // The number of forms is no secret of anybody who is signed in: it serves strangers alone.
    let mut lure = Browser::new(server.origin())?;
    lure.page("/sign-in").await?;
    let planted = lure.cookies().clone();
    let mut victim = Browser::new(server.origin())?;
    planted.iter().for_each(|(name, value)| victim.plant(name, value));
    victim.sign_in(OWNER, PASSWORD).await?;
    let foreign = lure.page("/sign-in").await?;
    let page = foreign.replace("action=\"/sign-in\"", "action=\"/account/sign-out-everywhere\"");
    let sent = victim.send("/account/sign-out-everywhere", &page, &[]).await;
    trial.attack("a form made with a planted number of forms", "403 Forbidden", sent);
    trial.control("the owner's own form is taken", victim.submit("/account", "/sign-out", &[]).await.is_ok());
    Ok(trial.finish())
}

/// A copy of a browser's cookies, used once its owner has signed out (CWE-613).
async fn cookie_kept_after_sign_out(arena: &mut Arena) -> Result<Outcome> {
    let server = place(arena).await?;
    let mut trial = Trial::new();
    for (what, page, action) in
        [("sign-out", "/account", "/sign-out"), ("sign-out everywhere", "/account", "/account/sign-out-everywhere")]
    {
        let mut owner = Browser::new(server.origin())?;
        owner.sign_in(OWNER, PASSWORD).await?;
        let mut copy = owner.clone();
        trial.control(&format!("before the {what} the copy serves"), is_signed_in(&mut copy, OWNER).await?);
        let form = copy.page("/account").await?;
        owner.submit(page, action, &[]).await?;
        trial.attack_fails(
            &format!("a page, after the {what}"),
            "asked to sign in",
            !is_signed_in(&mut copy, OWNER).await?,
        );
        let mut copy_of_form = copy.clone();
        let sent = copy_of_form.send("/account/sign-out-everywhere", &form, &[]).await?;
        let to = sent.headers().get("location").and_then(|to| to.to_str().ok()).unwrap_or_default();
        trial.attack_fails(&format!("a form, after the {what}"), "asked to sign in", to.starts_with("/sign-in"));
    }
    Ok(trial.finish())
}

/// A script in a page of the store, and a server beside it under the same domain, look for the session.
async fn cookie_read_by_a_script(arena: &mut Arena) -> Result<Outcome> {
    let server = place(arena).await?;
    let arguments = json!({"origin": server.origin(), "email": OWNER, "password": PASSWORD});
    let seen = chromium::drive("cookies", &arguments).await?;
    let mut trial = Trial::new();
    trial.attack_fails("a script in a page of the store", "sees no cookie", seen["store"] == json!(""));
    let kept = seen["kept"].as_array().context("cookies")?;
    for cookie in kept {
        let name = cookie["name"].as_str().unwrap_or_default();
        let guarded =
            cookie["httpOnly"] == json!(true) && cookie["sameSite"] == json!("Lax") && cookie["path"] == json!("/");
        trial.attack_fails(&format!("`{name}` for scripts and for other sites' forms"), "neither", guarded);
    }
    trial.control("the browser keeps a session and what it is known by", kept.len() >= 2);
    trial.control("a cookie without the mark is read by a script", seen["unmarked"] == json!("seen=yes"));

    // Behind TLS: only over TLS, and of this very host.
    let (mut behind_tls, listening) = Server::init_behind_proxy(&arena.fresh_path(), "https://store.example")?;
    behind_tls.configure("", "sign_up", "open")?;
    behind_tls.start(&[])?;
    let mut browser = Browser::new(behind_tls.origin())?.at(&listening);
    browser.submit("/sign-up", "/sign-up", &[("email", OWNER), ("password", PASSWORD)]).await?;
    let (_, headers, _) = Browser::new("https://store.example")?.at(&listening).look("/sign-in").await?;
    trial.attack_fails(
        "a cookie sent without TLS",
        "only over TLS",
        cookies(&headers).all(|cookie| cookie.contains("; Secure")),
    );
    let of_host = browser.cookies().keys().all(|name| name.starts_with("__Host-"));
    trial.attack_fails("a cookie set by another host of the domain", "a name of this host", of_host);
    trial.control("there are such cookies", browser.cookies().len() >= 2 && cookies(&headers).count() == 1);
    Ok(trial.finish())
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers.get_all(SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok())
}

/// Has the store tell somebody that her password was changed: by a link, and with a cookie of another session.
async fn message_put_into_the_stores_mouth(arena: &mut Arena) -> Result<Outcome> {
    const SAID: &str = "Your password is changed";
    const CHANGED: &str = "another correct horse battery";
    let server = place(arena).await?;
    let mut mallory = Browser::new(server.origin())?;
    mallory.sign_up(MALLORY, PASSWORD).await?;
    let form = [("current-password", PASSWORD), ("new-password", CHANGED)];
    mallory.submit("/account", "/account/password", &form).await?;
    let flash = mallory.cookies().iter().find(|(name, _)| name.ends_with("-flash"));
    let (name, message) = flash.map(|(name, value)| (name.clone(), value.clone())).context("a message")?;
    let mut trial = Trial::new();
    let mut owner = Browser::new(server.origin())?;
    owner.sign_in(OWNER, PASSWORD).await?;
    owner.plant(&name, &message);
    trial.attack_fails("a message of another session", "says nothing", !owner.page("/account").await?.contains(SAID));
    let mut cut = message.clone();
    cut.pop();
    for (what, value) in [("one that was cut off", cut.as_str()), ("a word", "password"), ("a number", "3")] {
        owner.plant(&name, value);
        trial.attack_fails(what, "says nothing", !owner.page("/account").await?.contains(SAID));
    }
    for link in ["/account?done=password", "/account?flash=3", "/account?message=Your+password+is+changed"] {
        trial.attack_fails(link, "says nothing", !owner.page(link).await?.contains(SAID));
    }
    let mut stranger = Browser::new(server.origin())?;
    stranger.plant(&name, &message);
    trial.attack_fails("a message to a stranger", "says nothing", !stranger.page("/").await?.contains(SAID));
    trial.control("its own session is told", mallory.page("/account").await?.contains(SAID));
    trial.control("once", !mallory.page("/account").await?.contains(SAID));
    Ok(trial.finish())
}

/// A cache between people and the store, as RFC 9111 allows one, and one that heeds nothing.
struct Cache {
    heeds: bool,
    kept: BTreeMap<String, String>,
}

impl Cache {
    async fn get(&mut self, browser: &mut Browser, path: &str) -> Result<String> {
        if let Some(kept) = self.kept.get(path) {
            return Ok(kept.clone());
        }
        let (status, headers, text) = browser.look(path).await?;
        let control = headers.get("cache-control").and_then(|value| value.to_str().ok()).unwrap_or_default();
        // What says nothing may be kept by its age, whatever the status is, if that is cacheable.
        let forbidden = ["no-store", "no-cache", "private"].iter().any(|word| control.contains(word));
        let cacheable = matches!(status, StatusCode::OK | StatusCode::NOT_FOUND | StatusCode::PERMANENT_REDIRECT);
        if !(self.heeds && forbidden) && cacheable {
            self.kept.insert(path.to_owned(), text.clone());
        }
        Ok(text)
    }
}

/// Reads another customer's pages out of a cache that both come through.
async fn private_page_kept_by_a_cache(arena: &mut Arena) -> Result<Outcome> {
    let server = place(arena).await?;
    let mut owner = Browser::new(server.origin())?;
    owner.sign_in(OWNER, PASSWORD).await?;
    let form = [("amount", "5.00"), ("currency", "EUR"), ("means", "sandbox:ok")];
    let order = owner.submit("/account/balance", "/account/balance", &form).await?;
    let order = order.headers().get("location").and_then(|to| to.to_str().ok()).context("an order")?.to_owned();
    let mut mallory = Browser::new(server.origin())?;
    mallory.sign_up(MALLORY, PASSWORD).await?;
    let mut trial = Trial::new();
    let private = ["/account", "/account/library", "/account/purchases", "/account/balance", &order, "/device", "/"];
    for (heeds, what) in [(true, "a cache"), (false, "a cache that heeds nothing")] {
        let mut cache = Cache { heeds, kept: BTreeMap::new() };
        for path in private {
            let hers = cache.get(&mut owner, path).await?;
            let read = cache.kept.contains_key(path) && cache.get(&mut mallory, path).await? == hers;
            if heeds {
                trial.attack_fails(&format!("{path} by way of {what}"), "not kept", !read);
            } else {
                trial.control(&format!("{path} by way of {what}"), read);
            }
        }
    }
    Ok(trial.finish())
}
