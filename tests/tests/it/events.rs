//! A program that follows a store's events with the host, while the server dies and comes back.

use anyhow::{Context as _, Result, ensure};
use portcullis_fixtures::{Draft, Terminal};
use portcullis_host::{Client, ClientOptions, Told};
use portcullis_protocol::{Origin, paths};
use portcullis_tests::{Browser, Server};
use serde_json::{Value, json};
use std::time::Duration;

const PASSWORD: &str = "correct horse battery staple";

async fn top_up(terminal: &mut Terminal) -> Result<String> {
    let body = json!({
        "amount": {"minor_units": 500, "currency": "EUR"}, "payment": {"provider": "sandbox", "token": "ok"},
        "again": true,
    });
    let answer: Value = terminal.ask(&Draft::post(paths::TOP_UPS, &body)).await?;
    Ok(answer["order"].as_str().context("an order")?.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_follows_its_stores_events_through_a_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = Server::fresh(&folder.path().join("server"))?;
    let origin: Origin = server.origin().parse()?;
    let mut browser = Browser::new(server.origin())?;
    browser.sign_up("ada@example.org", PASSWORD).await?;
    let client = Client::open(ClientOptions::new().state_dir(folder.path().join("home")))?;
    let sign_in = client.sign_in(&origin, "a program").await?;
    browser.approve(&sign_in.user_code(), &sign_in.terminal_words()).await?;
    sign_in.finish().await?;
    // Another terminal of the account buys.
    let mut terminal = Terminal::new(&origin).await?;
    let device = terminal.device_code("a terminal").await?;
    browser.approve(&device.user_code, &terminal.key.public().thumbprint().words()).await?;
    terminal.poll(&device.device_code).await?;
    terminal.enrol("a terminal").await?;

    let mut events = client.events(&origin, None)?;
    let mut kept = None;
    for round in 0..4 {
        let expected = top_up(&mut terminal).await?;
        let told = tokio::time::timeout(Duration::from_secs(30), events.next()).await.context("nothing was told")??;
        let Told::Event { cursor, kind, data, .. } = told else { anyhow::bail!("{told:?}") };
        assert_eq!((kind.as_str(), &data["order"], cursor.seq), ("order.paid", &expected.as_str().into(), round + 1));
        match round {
            0 => {
                // What is dropped while it waits loses nothing.
                let waiting = tokio::time::timeout(Duration::from_millis(200), events.next()).await;
                ensure!(waiting.is_err(), "{waiting:?}");
            }
            1 => {
                server.kill()?;
                server.start(&[])?;
            }
            // Another process goes on from what was kept.
            2 => events = client.events(&origin, Some(cursor.to_string().parse()?))?,
            _ => kept = Some(cursor),
        }
    }
    // A cursor that this server never gave: the program is told that something is missing, and then everything.
    let mut astray = kept.context("a cursor")?;
    astray.seq = 99;
    let mut events = client.events(&origin, Some(astray))?;
    ensure!(matches!(events.next().await?, Told::Missed(cursor) if cursor.seq == 0), "a gap");
    for seq in 1..=4 {
        ensure!(matches!(events.next().await?, Told::Event { cursor, .. } if cursor.seq == seq), "event {seq}");
    }
    // Shut out, it is told so.
    let account: Value = terminal.ask(&Draft::get(paths::ACCOUNT)).await?;
    let terminals = account["terminals"].as_array().context("terminals")?;
    let shut = terminals.iter().find(|terminal| terminal["current"] == false).context("the other one")?;
    let path = paths::fill(paths::TERMINAL, &[&shut["terminal"].as_str().context("an identifier")?]);
    let _: Value = terminal.ask(&Draft::json(reqwest::Method::DELETE, path, &json!({}))).await?;
    let no = tokio::time::timeout(Duration::from_secs(30), events.next()).await.context("no end")?;
    ensure!(no.is_err_and(|no| no.to_string().contains("revoked")), "shut out");
    Ok(())
}
