//! Whose tries are counted: a proxy is believed if it is a trusted one, and nobody else.

use crate::browser::Browser;
use crate::stage::{PASSWORD, Stage};
use reqwest::StatusCode;

const OWNER: &str = "ada@example.org";

async fn behind(trusted: &[&str]) -> Stage {
    let trusted = trusted.iter().map(|network| network.parse().expect("a network")).collect();
    Stage::with(|config| {
        config.behind_proxy = true;
        config.trusted_proxies = trusted;
        config.limits.sign_in_attempts = 3;
    })
    .await
}

/// Tries wrong passwords until it is told to wait, each time from another address. Returns how many were tried.
async fn guesses(stage: &Stage, name: &'static str, address: impl Fn(usize) -> String) -> usize {
    for number in 0..20 {
        let mut guesser = Browser::new(&stage.origin);
        guesser.through_proxy(name, &address(number));
        if guesser.sign_in(OWNER, "a wrong password").await.status == StatusCode::TOO_MANY_REQUESTS {
            return number;
        }
    }
    20
}

#[tokio::test]
async fn a_peer_that_is_no_proxy_invents_addresses_for_nothing() {
    let stage = behind(&["192.0.2.0/24"]).await;
    stage.person(OWNER).await;
    assert_eq!(guesses(&stage, "x-forwarded-for", |n| format!("203.0.113.{n}")).await, 3);
    stage.stop().await;
    let stage = behind(&["192.0.2.0/24"]).await;
    stage.person(OWNER).await;
    assert_eq!(guesses(&stage, "forwarded", |n| format!("for=203.0.113.{n}")).await, 3);
    stage.stop().await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_only_what_the_proxy_wrote_counts() {
    for (name, of) in [
        ("x-forwarded-for", (|n| format!("203.0.113.{n}, 198.51.100.7")) as fn(usize) -> String),
        ("x-forwarded-for", |n| format!("198.51.100.7:{}", 1000 + n)),
        ("x-forwarded-for", |n| format!("2001:db8:1:2::{n:x}")),
        ("x-forwarded-for", |n| format!("[2001:db8:1:2:{n:x}::1]:4711")),
        ("x-forwarded-for", |n| if n % 2 == 0 { "::ffff:198.51.100.7".into() } else { "198.51.100.7".into() }),
        ("forwarded", |n| format!("for=203.0.113.{n}, for=\"198.51.100.7:{}\";proto=https", 1000 + n)),
        ("forwarded", |n| format!("for=\"[2001:db8:1:2::{n:x}]\"")),
    ] {
        let stage = behind(&["127.0.0.0/8"]).await;
        stage.person(OWNER).await;
        assert_eq!(guesses(&stage, name, of).await, 3, "{name}: {}", of(1));
        stage.stop().await;
    }
}

/// Who is counted as the proxy takes nothing from it: the store stays in rotation.
#[tokio::test]
async fn what_a_proxy_asks_by_itself_is_answered_however_many_are_counted_as_the_proxy() {
    let stage = Stage::with(|config| {
        config.behind_proxy = true;
        config.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
        (config.limits.address_burst, config.limits.address_rate) = (5, 1);
    })
    .await;
    let (mut proxy, mut unnamed) = (Browser::new(&stage.origin), Browser::new(&stage.origin));
    unnamed.through_proxy("x-forwarded-for", "203.0.113.9, unknown");
    let mut refused = 0;
    for _ in 0..50 {
        let status = unnamed.get("/readyz").await.status;
        refused += usize::from(status == StatusCode::TOO_MANY_REQUESTS);
        for probe in ["/healthz", "/readyz"] {
            assert_eq!(proxy.get(probe).await.status, StatusCode::OK, "{probe} after {refused} that were refused");
        }
    }
    assert!(refused > 20, "{refused}");
    // The control: nothing else is answered for the proxy's sake, nor for whoever says that he is one.
    proxy.get("/sign-in").await;
    assert_eq!(proxy.get("/sign-in").await.status, StatusCode::TOO_MANY_REQUESTS);
    stage.stop().await;
}

#[tokio::test]
async fn strangers_lock_out_neither_owners_nor_sign_up() {
    let stage = behind(&["127.0.0.0/8"]).await;
    let at = |address: &str| {
        let mut browser = Browser::new(&stage.origin);
        browser.through_proxy("x-forwarded-for", address);
        browser
    };
    let mut owner = at("198.51.100.7");
    owner.sign_up(OWNER, PASSWORD).await;
    // More strangers than an account has tries from all addresses together.
    for number in 0..40 {
        at(&format!("203.0.113.{number}")).sign_in(OWNER, "a wrong password").await;
    }
    let mut stranger = at("203.0.113.200");
    let mut tries = 0;
    while stranger.sign_in(OWNER, "a wrong password").await.status != StatusCode::TOO_MANY_REQUESTS {
        tries += 1;
        assert!(tries < 10);
    }
    assert!((1..=3).contains(&tries), "an address has some tries and no more: {tries}");
    let mut new_browser = at("192.0.2.1");
    assert_eq!(new_browser.sign_in(OWNER, PASSWORD).await.status, StatusCode::SEE_OTHER, "the owner, from a new place");
    owner.sign_out().await;
    assert_eq!(owner.sign_in(OWNER, PASSWORD).await.status, StatusCode::SEE_OTHER, "and from his own");
    // Who guesses at an address keeps nobody at that address from signing up, and nobody elsewhere from anything.
    for number in 0..20 {
        stranger.sign_in(&format!("nobody{number}@example.org"), "a wrong password").await;
    }
    assert_eq!(stranger.sign_in("eve@example.org", PASSWORD).await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(at("203.0.113.200").sign_up("eve@example.org", PASSWORD).await.status, StatusCode::SEE_OTHER);
    stage.stop().await;
}
