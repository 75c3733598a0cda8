//! Attacks on what the server tells others: webhooks into its own network, events of somebody else.

use super::shop::Shop;
use super::{Arena, Outcome, Trial, attacks};
use crate::Inbox;
use anyhow::{Context as _, Result, anyhow};
use portcullis_fixtures::Draft;
use portcullis_protocol::wire::EventsAnswer;
use portcullis_protocol::{EpochId, paths};
use std::time::{Duration, Instant};

attacks! {
    "webhook-into-the-servers-own-network" => webhook_into_the_servers_own_network,
    "events-of-another-terminal" => events_of_another_terminal,
}

/// What the server says to an address that it does not connect to.
const PRIVATE: &str = "private or reserved network";

/// Registers endpoints that lead into the network that the server stands in: an address in every spelling, a name that
/// resolves to one when the message is sent, a redirect, a proxy from the environment.
async fn webhook_into_the_servers_own_network(arena: &mut Arena) -> Result<Outcome> {
    let mut shop = Shop::open(&arena.fresh_path()).await?;
    let (inside, post, proxy) = (Inbox::open().await?, Inbox::open().await?, Inbox::open().await?);
    let mut trial = Trial::new();
    let port = inside.port();
    for host in [
        "127.0.0.1",
        "2130706433",
        "017700000001",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "0177.0.0.01",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[fe80::1]",
        "169.254.169.254",
        "10.0.0.1",
    ] {
        let added = shop.server.operator(&["webhook", "add", &format!("https://{host}:{port}/")]);
        trial.attack(&format!("the address {host}"), PRIVATE, added);
    }
    for (url, expected) in [
        (format!("http://merchant.example:{port}/"), "must begin with https://"),
        ("https://[fe80::1%25eth0]/".to_owned(), "not a URL"),
        ("file:///etc/passwd".to_owned(), "must begin with https://"),
    ] {
        trial.attack(&url, expected, shop.server.operator(&["webhook", "add", &url]));
    }
    // A name is checked when the connection is made, whatever it resolved to before.
    let rebound = shop.server.operator(&["webhook", "add", &format!("https://localhost:{port}/")])?;
    let rebound = rebound["endpoint"].as_str().context("an endpoint")?.to_owned();
    let mut customer = shop.customer().await?;
    shop.buy(&mut customer, "print").await?;
    tried(&shop, &rebound).await?;
    trial.attack_fails("a name that resolves to this machine", "not connected to", inside.connections() == 0);
    shop.server.operator(&["webhook", "remove", &rebound])?;

    // The network is listed from here on, and the environment names a proxy.
    let networks = toml::Value::Array(vec!["127.0.0.0/8".into()]);
    shop.server.configure("webhooks", "networks", networks)?;
    let way = format!("http://127.0.0.1:{}", proxy.port());
    let names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    shop.restart(&names.map(|name| (name, way.as_str())))?;
    post.redirect_to(&format!("http://127.0.0.1:{port}/"));
    shop.server.operator(&["webhook", "add", &format!("http://127.0.0.1:{}/", post.port())])?;
    shop.buy(&mut customer, "print").await?;
    post.wait_for(1).await?;
    trial.control("listed, the address is reached", post.posted().len() == 1);
    // Nothing happens after the answer: what would follow the redirect would be there with it.
    tokio::time::sleep(Duration::from_millis(300)).await;
    trial.attack_fails("a redirect", "not followed", inside.connections() == 0);
    trial.attack_fails("a proxy of the environment", "not used", proxy.connections() == 0);
    let follower = reqwest::Client::builder().no_proxy().build()?;
    let followed = follower.post(format!("http://127.0.0.1:{}/", post.port())).body("{}").send().await?;
    trial.control("a client that follows lands inside", followed.status() == 204 && inside.posted().len() == 1);
    let believing = reqwest::Client::builder().proxy(reqwest::Proxy::all(&way)?).build()?;
    believing.post("http://merchant.example/").body("{}").send().await?;
    trial.control("a client that believes the environment reaches the proxy", proxy.connections() == 1);
    Ok(trial.finish())
}

/// Waits until a delivery to an endpoint was tried.
async fn tried(shop: &Shop, endpoint: &str) -> Result<()> {
    let begun = Instant::now();
    loop {
        let messages = shop.server.operator(&["webhook", "messages", endpoint])?;
        if messages[0]["tries"].as_u64() > Some(0) && messages[0]["state"] == "due" {
            return Ok(());
        }
        anyhow::ensure!(begun.elapsed() < Duration::from_secs(20), "nothing was tried: {messages}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Reads events with the cursor of another terminal, goes on after being shut out, and pretends to have read on.
async fn events_of_another_terminal(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let mut ada = shop.customer().await?;
    let mut browser = shop.person().await?;
    let (mut eve, mut other) = (shop.terminal_of(&mut browser).await?, shop.terminal_of(&mut browser).await?);
    let mut trial = Trial::new();
    shop.buy(&mut ada, "print").await?;
    let hers: EventsAnswer = ada.ask(&Draft::get(paths::EVENTS)).await?;
    trial.control("her own are read", hers.last == 1 && hers.events.len() == 1);
    let theft: EventsAnswer = eve.ask(&Draft::get(paths::fill(paths::EVENTS_AFTER, &[&hers.epoch, &0]))).await?;
    trial.attack_fails("pulling after her cursor", "nothing of hers", theft.events.is_empty() && theft.last == 0);
    let origin = shop.origin.to_string();
    let mut stream = eve.follow(&origin, hers.epoch, 0).await?;
    let first = stream.next().await?.context("a heartbeat")?;
    trial.attack_fails("following after her cursor", "nothing of hers", first.body.is_none() && first.seq == 0);
    // The cursor of events that this server never told, and of another epoch.
    let page: EventsAnswer = ada.ask(&Draft::get(paths::fill(paths::EVENTS_AFTER, &[&hers.epoch, &999]))).await?;
    trial.attack_fails("past the last event", "sent back to pull", page.gap && page.events.len() == 1);
    let foreign = EpochId::from_bytes([1; 16]);
    let mut astray = ada.follow(&origin, foreign, 0).await?;
    let word = astray.next().await?.context("a heartbeat")?;
    let ended = astray.next().await?.is_none();
    trial.attack_fails("an epoch of another server", "the stream ends", word.epoch == hers.epoch && ended);
    // Shut out in the middle of a stream, by the account's other terminal.
    shop.buy(&mut eve, "print").await?;
    trial.control("what is hers is pushed", stream.event().await?.seq == 1);
    let account: serde_json::Value = other.ask(&Draft::get(paths::ACCOUNT)).await?;
    let terminals = account["terminals"].as_array().context("terminals")?;
    let shut = terminals.iter().find(|terminal| terminal["current"] == false).context("the other one")?;
    let path = paths::fill(paths::TERMINAL, &[&shut["terminal"].as_str().context("an identifier")?]);
    other.done(&Draft::json(reqwest::Method::DELETE, path, &serde_json::json!({}))).await?;
    let begun = Instant::now();
    while stream.next().await?.is_some() {}
    let took = begun.elapsed();
    trial.note(format!("the stream ended {} ms after the revocation", took.as_millis()));
    // `events::a_stream_ends…` of the server holds it to a second; here the machine may be busy.
    trial.attack_fails("going on after a revocation", "the stream ends", took < Duration::from_secs(10));
    let again = eve.follow(&origin, theft.epoch, 0).await.map_err(|error| anyhow!("{error}"));
    trial.attack("following once more", "terminal-revoked", again);
    let mut stream = other.follow(&origin, theft.epoch, 0).await?;
    trial.control("the other terminal follows", stream.next().await?.is_some());
    Ok(trial.finish())
}
