//! Orders of electronic codes in every state, for their pages to be looked at.

use crate::seller::{Seller, buy_in_browser, fetch, make_key, platform, preset};
use crate::{Browser, Server};
use anyhow::{Context as _, Result};
use portcullis_fixtures::{Draft, Terminal};
use portcullis_protocol::wire::{CodeAckAnswer, CodeAckRequest, DeclineRequest, Done};
use portcullis_protocol::{OrderId, paths};
use reqwest::Method;
use serde_json::{Value, json};

/// What the orders' terminal is called; and one that is lost.
const TERMINAL: &str = "The machine in the workshop";
const LOST: &str = "The old machine";
/// As long as a title may be, without a space at which a line could break.
const LONG: &str = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaftsversammlungsprotokollsammelbandreihe";

/// Makes them for the account of this browser. Returns what the script `codes` is told: paths of pages.
///
/// # Errors
/// If the server does not take something.
pub async fn every_state(server: &Server, browser: &mut Browser, password: &str) -> Result<Value> {
    let platform = platform(server.dir(), &server.origin().parse()?).await?;
    let mut owner = Browser::new(server.origin())?;
    owner.sign_up("merchant@mail.example", password).await?;
    let mut owner = enrolled(server, &mut owner, "The shop").await?;
    let mut games = Seller::of(&mut owner, &platform, "games").await?;
    games.sell_as("atlas", LONG, LONG, "1000000.00 EUR").await?;
    let (open, own) = (games.ask_for("18.00 EUR").await?, games.ask_for("17.00 EUR").await?);

    let mut lost = enrolled(server, browser, LOST).await?;
    let mut terminal = enrolled(server, browser, TERMINAL).await?;
    let product = "/merchants/games/game-key";
    let account: Value = terminal.ask(&Draft::get(paths::ACCOUNT)).await?;
    let terminals = account["terminals"].as_array().context("terminals")?;
    let shut = terminals.iter().find(|terminal| terminal["label"] == LOST).context("the old machine")?;
    let shut = paths::fill(paths::TERMINAL, &[&shut["terminal"].as_str().context("an identifier")?]);
    let Done {} = terminal.ask(&Draft::json(Method::DELETE, shut, &json!({}))).await?;
    anyhow::ensure!(lost.ask::<Value>(&Draft::get(paths::ACCOUNT)).await.is_err(), "the old machine is not revoked");
    preset(browser, password, TERMINAL).await?;

    let waiting = buy_in_browser(browser, product).await?;
    let sealing = buy_in_browser(browser, product).await?;
    make_key(&mut terminal, sealing).await?;
    let mut received = async || -> Result<OrderId> {
        let order = buy_in_browser(browser, product).await?;
        make_key(&mut terminal, order).await?;
        games.deliver(&platform, order, "ALPINE-RACER-1").await?;
        Ok(order)
    };
    let (here, stored, disputed) = (received().await?, received().await?, received().await?);
    for (order, readable) in [(stored, true), (disputed, false)] {
        fetch(&mut terminal, order).await?;
        let accepted = platform.store.code_order(&order).await?.and_then(|order| order.accepted).context("a code")?;
        let ack = CodeAckRequest { generation: accepted.generation, ciphertext: accepted.digest, readable };
        let path = paths::fill(paths::CODE_ACK, &[&order]);
        let _: CodeAckAnswer = terminal.ask(&Draft::post(path, &ack)).await?;
    }
    let failed = buy_in_browser(browser, product).await?;
    make_key(&mut terminal, failed).await?;
    let decline = paths::fill(paths::DECLINE, &[&failed]);
    let _: Value = games.desk.ask(&Draft::post(decline, &DeclineRequest { reason: "sold out".into() })).await?;
    buy_in_browser(browser, &format!("/pay/{own}")).await?;
    let page = |order: OrderId| format!("/account/orders/{order}");
    Ok(json!({
        "merchant": "/merchants/games", "product": product, "long": "/merchants/games/atlas",
        "request": format!("/pay/{open}"), "own": format!("/pay/{own}"),
        "orders": {
            "that waits for its key": page(waiting), "that its merchant seals": page(sealing), "whose code is here": page(here),
            "whose code is stored": page(stored), "that is disputed": page(disputed), "that failed": page(failed),
        },
    }))
}

async fn enrolled(server: &Server, browser: &mut Browser, label: &str) -> Result<Terminal> {
    let mut terminal = Terminal::new(&server.origin().parse()?).await?;
    let code = terminal.device_code(label).await?;
    browser.approve(&code.user_code, &terminal.key.public().thumbprint().words()).await?;
    terminal.poll(&code.device_code).await?;
    terminal.enrol(label).await?;
    Ok(terminal)
}
