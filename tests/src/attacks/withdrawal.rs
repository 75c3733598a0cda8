//! Attacks on what was taken out of sale.

use super::cheater::Cheater;
use super::{Arena, Outcome, Trial, attacks};
use anyhow::{Result, anyhow};
use portcullis_fixtures::Draft;
use portcullis_protocol::Digest;
use portcullis_protocol::wire::{PublishAnswer, RestoreRequest, WithdrawRequest};

attacks! {
    "taken-down-resource-restored-by-its-publisher" => taken_down_resource_restored_by_its_publisher,
}

async fn restore(terminal: &mut Cheater, resource: &Digest) -> Result<()> {
    let answer = terminal.send(&Draft::post(format!("/v1/resources/{resource}/restore"), &RestoreRequest {})).await?;
    if answer.status.is_success() { Ok(()) } else { Err(anyhow!("{}", answer.text())) }
}

async fn withdraw(terminal: &mut Cheater, resource: &Digest) -> Result<()> {
    let request = WithdrawRequest { reason: String::new() };
    terminal.done(&Draft::post(format!("/v1/resources/{resource}/withdraw"), &request)).await
}

/// The operator takes a resource down; its publisher puts it on sale again, also by way of a withdrawal of his own.
async fn taken_down_resource_restored_by_its_publisher(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let (mut publisher, key) = shop.publisher("rowan").await?;
    let mut other = shop.customer().await?;
    let file = shop.seal("rowan", &key, "1.0.0")?;
    let resource = publisher.ask::<PublishAnswer>(&Draft::upload(&file)).await?.resource;
    let mut trial = Trial::new();
    withdraw(&mut publisher, &resource).await?;
    trial.attack("another account's", "publishers have no such resource", restore(&mut other, &resource).await);
    trial.control("his own withdrawal a publisher takes back", restore(&mut publisher, &resource).await.is_ok());
    shop.server.operator(&["withdraw", &resource.to_string(), "--reason", "a court says so"])?;
    trial.attack("taken down", "took it down", restore(&mut publisher, &resource).await);
    withdraw(&mut publisher, &resource).await?;
    trial.attack("taken down and withdrawn", "took it down", restore(&mut publisher, &resource).await);
    let restored = shop.server.operator(&["restore", &resource.to_string()])?;
    trial.control("the operator restores it", restored["withdrawn"] == serde_json::json!(false));
    withdraw(&mut publisher, &resource).await?;
    trial.control("and then it is the publisher's again", restore(&mut publisher, &resource).await.is_ok());
    Ok(trial.finish())
}
