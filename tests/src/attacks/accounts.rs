//! Attacks on people: their passwords, what is signed in to their accounts, and who they seem to be.

use super::cheater::Cheater;
use super::shop::Loot;
use super::{Arena, Outcome, Trial, attacks};
use crate::{Browser, Server};
use anyhow::{Context as _, Result, anyhow};
use portcullis_fixtures::Draft;
use portcullis_protocol::wire::{AccountAnswer, SessionsAnswer};
use std::path::Path;

attacks! {
    "device-sign-in-never-enrolled-survives-revocation" => device_sign_in_never_enrolled_survives_revocation,
    "sign-out-everywhere-outlived" => sign_out_everywhere_outlived,
    "stolen-cookie-takes-the-account" => stolen_cookie_takes_the_account,
    "tries-kept-from-an-old-password" => tries_kept_from_an_old_password,
    "forwarded-address-invented" => forwarded_address_invented,
    "owner-locked-out-by-strangers" => owner_locked_out_by_strangers,
    "look-alike-account" => look_alike_account,
}

pub(super) const OWNER: &str = "ada@mail.example";
pub(super) const PASSWORD: &str = "correct horse battery staple 8817";
/// Wrong passwords that one address may try.
const TRIES: i64 = 3;
const LIMITED: &str = "429 Too Many Requests";
const REFUSED: &str = "422 Unprocessable Entity";

/// A store of its own, whose clock is ahead by so many seconds.
fn start(server: &mut Server, ahead: u64) -> Result<()> {
    server.kill()?;
    server.start(&[("PORTCULLIS_CLOCK_SHIFT", &ahead.to_string())])
}

fn store(folder: &Path) -> Result<Server> {
    let server = Server::init(folder)?;
    server.configure("limits", "poll_seconds", 0)?;
    Ok(server)
}

async fn signed_in(server: &Server, browser: &mut Browser) -> Result<Cheater> {
    let mut cheater = Cheater::new(&server.origin().parse()?, Loot::default()).await?;
    cheater.sign_in(browser).await?;
    Ok(cheater)
}

/// What a terminal gets of its account, or the reason why it gets nothing.
async fn account(terminal: &mut Cheater) -> Result<AccountAnswer> {
    // The nonce may be older than the server.
    terminal.nonce = None;
    terminal.ask(&Draft::get("/v1/account")).await
}

/// A terminal that has its user approve it, fetches its tokens, and enrols only once every terminal was revoked.
async fn device_sign_in_never_enrolled_survives_revocation(arena: &mut Arena) -> Result<Outcome> {
    let mut server = store(&arena.fresh_path())?;
    start(&mut server, 0)?;
    let mut browser = Browser::new(server.origin())?;
    browser.sign_up(OWNER, PASSWORD).await?;
    let mut own = signed_in(&server, &mut browser).await?;
    own.enrol().await?;
    let (mut late, mut ended, mut quick) = (
        signed_in(&server, &mut browser).await?,
        signed_in(&server, &mut browser).await?,
        signed_in(&server, &mut browser).await?,
    );
    let mut trial = Trial::new();
    let words = |terminal: &Cheater| terminal.key.public().thumbprint().words();
    let page = browser.page("/account").await?;
    let listed = [&late, &ended, &quick].iter().all(|terminal| page.contains(&words(terminal)));
    trial.attack_fails("waiting unseen", "listed to its owner", listed);

    let sessions: SessionsAnswer = own.ask(&Draft::get("/v1/account/sessions")).await?;
    let key = ended.key.public().thumbprint();
    let session = sessions.sessions.iter().find(|session| session.key == key).context("it is listed")?.session;
    let draft = Draft::raw(reqwest::Method::DELETE, format!("/v1/account/sessions/{session}"), Vec::new());
    own.done(&draft).await?;
    trial.attack("enrolling after its owner ended it", "not-signed-in", ended.enrol().await);
    trial.control("beside it, one that enrols at once is a terminal", quick.enrol().await.is_ok());

    for terminal in account(&mut own).await?.terminals {
        browser.submit("/account", "/account/revoke", &[("id", &terminal.terminal.to_string())]).await?;
    }
    // Made before the clock goes on: it has seen the server's keys.
    let mut again = Cheater::new(&server.origin().parse()?, Loot::default()).await?;
    start(&mut server, 601)?;
    late.nonce = None;
    trial.attack("enrolling when every terminal is revoked", "not-signed-in", late.enrol().await);
    let refresh = late.refresh.clone().context("a refresh token")?;
    trial.attack("renewing its tokens", "invalid_grant", late.renew(&refresh).await);
    trial.attack("the revoked terminal goes on", "terminal-revoked", account(&mut own).await);
    // It is some time since the password was typed: an approval takes it again.
    browser.sign_in(OWNER, PASSWORD).await?;
    again.sign_in(&mut browser).await?;
    trial.control("a new sign-in of the owner enrols", again.enrol().await.is_ok());
    Ok(trial.finish())
}

/// Everything that is signed in tries to go on after its owner signed out everywhere.
async fn sign_out_everywhere_outlived(arena: &mut Arena) -> Result<Outcome> {
    let mut server = store(&arena.fresh_path())?;
    start(&mut server, 0)?;
    let mut browser = Browser::new(server.origin())?;
    browser.sign_up(OWNER, PASSWORD).await?;
    let mut terminal = signed_in(&server, &mut browser).await?;
    terminal.enrol().await?;
    let mut waiting = signed_in(&server, &mut browser).await?;
    let mut thief = Browser::new(server.origin())?;
    thief.sign_in(OWNER, PASSWORD).await?;
    let mut code_holder = Cheater::new(&server.origin().parse()?, Loot::default()).await?;
    let code = code_holder.device_code("later").await?;
    thief.approve(&code.user_code, &code_holder.key.public().thumbprint().words()).await?;
    let (page, stolen) = (thief.page("/account").await, account(&mut terminal).await);
    let mut trial = Trial::new();
    trial.control("before, each of them serves", page.is_ok_and(|page| page.contains(OWNER)) && stolen.is_ok());

    browser.submit("/account", "/account/sign-out-everywhere", &[]).await?;
    trial.attack("an access token", "not-signed-in", account(&mut terminal).await);
    let refresh = terminal.refresh.clone().context("a refresh token")?;
    trial.attack("a refresh token", "invalid_grant", terminal.renew(&refresh).await);
    trial.attack("a sign-in that is to be enrolled", "not-signed-in", waiting.enrol().await);
    trial.attack("a code that was approved", "access_denied", code_holder.poll(&code.device_code).await);
    let page = thief.page("/account").await?;
    trial.attack_fails("another browser", "asked to sign in", !page.contains(OWNER) && page.contains("Sign in"));
    browser.sign_in(OWNER, PASSWORD).await?;
    trial.control("its owner signs in again", browser.page("/account").await?.contains(OWNER));
    Ok(trial.finish())
}

/// Somebody with the cookie of an owner's browser, and without the password.
async fn stolen_cookie_takes_the_account(arena: &mut Arena) -> Result<Outcome> {
    let mut server = store(&arena.fresh_path())?;
    server.configure("limits", "sign_in_attempts", TRIES)?;
    start(&mut server, 0)?;
    let mut owner = Browser::new(server.origin())?;
    owner.sign_up(OWNER, PASSWORD).await?;
    let mut thief = owner.clone();
    let mut trial = Trial::new();
    let password = |current: &'static str| [("current-password", current), ("new-password", "the thief's own choice")];
    let email = |current: &'static str| [("new-email", "mallory@mail.example"), ("password-for-email", current)];
    let sent = thief.submit("/account", "/account/password", &password("a guess")).await;
    trial.attack("another password, with a guess", REFUSED, sent);
    let sent = thief.submit("/account", "/account/email", &email("another guess")).await;
    trial.attack("another address, with a guess", REFUSED, sent);
    let sent = thief.submit("/account", "/account/email", &email("")).await;
    trial.attack("another address, with nothing", REFUSED, sent);
    let sent = thief.submit("/account", "/account/password", &password(PASSWORD)).await;
    trial.attack("one guess too many, though it is right", LIMITED, sent);

    let mut owner = Browser::new(server.origin())?;
    owner.sign_in(OWNER, PASSWORD).await?;
    let mut second = owner.clone();
    trial.control("a copy of the cookie is as good as it", second.page("/account").await?.contains(OWNER));
    let changed = owner.submit("/account", "/account/password", &password(PASSWORD)).await;
    trial.control("the owner changes it, with the password", changed.is_ok());
    for (what, thief) in [("the cookie", &mut thief), ("a copy of the one that it was changed with", &mut second)] {
        let page = thief.page("/account").await?;
        trial.attack_fails(&format!("{what}, after that"), "asked to sign in", !page.contains(OWNER));
    }
    trial.control("and goes on where he is", owner.page("/account").await?.contains(OWNER));
    Ok(trial.finish())
}

/// Tries a wrong password, as somebody new.
async fn guess(server: &Server, email: &str, header: Option<(&'static str, String)>) -> Result<()> {
    let mut guesser = Browser::new(server.origin())?;
    if let Some((name, value)) = header {
        guesser = guesser.with_header(name, value);
    }
    let refused = guesser.sign_in(email, "a wrong password").await.err().context("a wrong password signs in")?;
    // A wrong password is a try that went through; what is limited was none.
    if refused.to_string().contains(REFUSED) { Ok(()) } else { Err(refused) }
}

/// Guesses from one address, each time under an invented one.
async fn forwarded_address_invented(arena: &mut Arena) -> Result<Outcome> {
    type Invented = (&'static str, &'static str, fn(i64) -> String);
    const INVENTED: [Invented; 6] = [
        ("X-Forwarded-For of one's own", "x-forwarded-for", |n| format!("203.0.113.{n}")),
        ("Forwarded of one's own", "forwarded", |n| format!("for=203.0.113.{n}")),
        ("entries before the proxy's", "x-forwarded-for", |n| format!("203.0.113.{n}, 198.51.100.7")),
        ("another port each time", "x-forwarded-for", |n| format!("198.51.100.7:{}", 4000 + n)),
        ("another address of one network", "x-forwarded-for", |n| format!("[2001:db8::{n:x}]:4711")),
        ("elements before the proxy's", "forwarded", |n| format!("for=203.0.113.{n}, for=\"198.51.100.7:80\"")),
    ];
    let mut trial = Trial::new();
    for (index, (what, name, value)) in INVENTED.into_iter().enumerate() {
        let mut server = store(&arena.fresh_path())?;
        server.configure("limits", "sign_in_attempts", TRIES)?;
        server.configure("", "behind_proxy", true)?;
        // The first two come straight from a peer that is no proxy, the others by way of one.
        let trusted = if index < 2 { "192.0.2.0/24" } else { "127.0.0.0/8" };
        server.configure("", "trusted_proxies", vec![trusted])?;
        start(&mut server, 0)?;
        Browser::new(server.origin())?.sign_up(OWNER, PASSWORD).await?;
        for number in 0..TRIES {
            guess(&server, OWNER, Some((name, value(number)))).await.context("within the limit")?;
        }
        trial.attack(what, LIMITED, guess(&server, OWNER, Some((name, value(TRIES)))).await);
        if index == 2 {
            let neighbour = guess(&server, OWNER, Some((name, "198.51.100.8".to_owned()))).await;
            trial.control("behind the proxy, another client has tries of its own", neighbour.is_ok());
        }
    }
    Ok(trial.finish())
}

/// Who knows the password signs in with browser after browser, each of which is known then and has tries of its own,
/// and keeps them until it is changed.
async fn tries_kept_from_an_old_password(arena: &mut Arena) -> Result<Outcome> {
    let mut server = store(&arena.fresh_path())?;
    server.configure("limits", "sign_in_attempts", TRIES)?;
    start(&mut server, 0)?;
    let mut owner = Browser::new(server.origin())?;
    owner.sign_up(OWNER, PASSWORD).await?;
    let mut kept = Vec::new();
    for _ in 0..3 {
        let mut browser = Browser::new(server.origin())?;
        browser.sign_in(OWNER, PASSWORD).await?;
        browser.submit("/", "/sign-out", &[]).await?;
        kept.push(browser);
    }
    let mut trial = Trial::new();
    // The address has no tries left.
    while guess(&server, OWNER, None).await.is_ok() {}
    if let Some(first) = kept.first_mut() {
        let known = first.sign_in(OWNER, "a guess").await.err().is_some_and(|no| no.to_string().contains(REFUSED));
        trial.control("before it is changed, each has tries of its own", known);
    }
    let new = "another one of the owner's";
    let form = [("current-password", PASSWORD), ("new-password", new)];
    owner.submit("/account", "/account/password", &form).await?;
    for browser in &mut kept {
        trial.attack("a guess, with a browser of before", LIMITED, browser.sign_in(OWNER, "a guess").await);
    }
    owner.submit("/", "/sign-out", &[]).await?;
    trial.control("the owner's browser has its tries", owner.sign_in(OWNER, new).await.is_ok());
    Ok(trial.finish())
}

/// Strangers try wrong passwords to keep the owner, and everybody else, out.
async fn owner_locked_out_by_strangers(arena: &mut Arena) -> Result<Outcome> {
    let mut server = store(&arena.fresh_path())?;
    server.configure("limits", "sign_in_attempts", TRIES)?;
    server.configure("", "behind_proxy", true)?;
    start(&mut server, 0)?;
    let at = |address: &str| Some(("x-forwarded-for", address.to_owned()));
    let browser =
        |address: &str| Ok::<_, anyhow::Error>(Browser::new(server.origin())?.with_header("x-forwarded-for", address));
    let (home, stranger) = ("198.51.100.7", "203.0.113.250");
    let mut known = browser(home)?;
    known.sign_up(OWNER, PASSWORD).await?;
    let mut trial = Trial::new();
    for number in 0..40 {
        guess(&server, OWNER, at(&format!("203.0.113.{number}"))).await.context("each has some tries")?;
    }
    let limited = async {
        for _ in 0..=TRIES {
            guess(&server, OWNER, at(stranger)).await?;
        }
        Ok::<_, anyhow::Error>(())
    };
    trial.control("a stranger himself is stopped", limited.await.is_err_and(|no| no.to_string().contains(LIMITED)));

    let fresh = browser("192.0.2.1")?.sign_in(OWNER, PASSWORD).await;
    trial.attack_fails("a new browser of the owner, at another address", "not locked out", fresh.is_ok());
    // Somebody in the same house: the address has no tries left.
    while guess(&server, OWNER, at(home)).await.is_ok() {}
    let other = browser(home)?.sign_in(OWNER, PASSWORD).await;
    trial.control("at that address nobody else has tries left", other.is_err());
    known.submit("/", "/sign-out", &[]).await?;
    let again = known.sign_in(OWNER, PASSWORD).await;
    trial.attack_fails("the owner's browser, at that address", "not locked out", again.is_ok());
    for number in 0..40 {
        let _ = guess(&server, &format!("nobody{number}@mail.example"), at(stranger)).await;
    }
    let sign_up = browser(stranger)?.sign_up("eve@mail.example", PASSWORD).await;
    trial.attack_fails("sign-up, where somebody guesses", "not locked out", sign_up.is_ok());
    Ok(trial.finish())
}

/// Accounts whose names look like the owner's.
async fn look_alike_account(arena: &mut Arena) -> Result<Outcome> {
    let mut server = store(&arena.fresh_path())?;
    start(&mut server, 0)?;
    let (accented, spelled) = ("jos\u{e9}@b\u{fc}cher.example", "jose\u{301}@bu\u{308}cher.example");
    for name in [OWNER, accented] {
        Browser::new(server.origin())?.sign_up(name, PASSWORD).await?;
    }
    let mut trial = Trial::new();
    for (what, name) in [
        ("the same, spelled otherwise", spelled),
        ("in capitals", "JOS\u{c9}@B\u{dc}CHER.EXAMPLE"),
        ("with its domain in ASCII", "jos\u{e9}@xn--bcher-kva.example"),
        ("in wide letters", "\u{ff41}\u{ff44}\u{ff41}@mail.example"),
        ("with another full stop", "ada@mail\u{3002}example"),
        ("with a space of no width", "ada\u{200b}@mail.example"),
        ("with a soft hyphen", "a\u{ad}da@mail.example"),
        ("with the direction turned", "\u{202e}ada@mail.example"),
        ("with a tag that nobody sees", "ada\u{e0061}@mail.example"),
        ("with a Cyrillic letter", "\u{430}da@mail.example"),
        ("with Cyrillic letters alone", "\u{430}\u{501}\u{430}@mail.example"),
    ] {
        let made = Browser::new(server.origin())?.sign_up(name, PASSWORD).await;
        trial.attack(what, REFUSED, made);
    }
    let mut honest = Vec::new();
    for name in ["jose@b\u{fc}cher.example", "\u{430}\u{43d}\u{43d}\u{430}@mail.example", "ada.l@mail.example"] {
        honest.push(Browser::new(server.origin())?.sign_up(name, PASSWORD).await.map_err(|no| anyhow!("{name}: {no}")));
    }
    trial.control("names that only resemble it are taken", honest.iter().all(Result::is_ok));
    let same = Browser::new(server.origin())?.sign_in(spelled, PASSWORD).await;
    trial.control("the owner signs in however it is spelled", same.is_ok());
    Ok(trial.finish())
}
