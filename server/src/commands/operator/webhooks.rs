//! Endpoints of webhooks: the store's own are added here; those of others are listed, rotated and replayed.

use super::super::RandomId;
use super::{Report, missing, moment};
use crate::App;
use crate::audit::Act;
use crate::crypto::secrets::random;
use crate::notices::outbound::WebhookUrl;
use crate::notices::webhooks::keys;
use crate::store::{Endpoint, EndpointId, EndpointState, NewEndpoint, PAGE, Receiver, Replayed, every};
use anyhow::{Context as _, bail, ensure};
use clap::Subcommand;
use futures::TryStreamExt as _;
use portcullis_protocol::encoding::Octets;
use serde_json::{Value, json};
use std::fmt::Write as _;

#[derive(Debug, Subcommand)]
pub(super) enum WebhookTask {
    /// Lists endpoints.
    List,
    /// Adds an endpoint of the store's own, which is told of every order. Shows the secret that signs for it: once.
    Add {
        /// Where messages are posted.
        #[arg(value_name = "URL")]
        url: String,
    },
    /// Adds keys to an endpoint. They are published at once, sign from a day later on, and those before them sign
    /// beside them for two days more. Shows the new secret: once.
    Rotate {
        /// The endpoint.
        endpoint: RandomId,
    },
    /// Lists the messages of an endpoint, oldest first, at most 500: go on with `--after`.
    Messages {
        /// The endpoint.
        endpoint: RandomId,
        /// Only those after this one.
        #[arg(long, default_value_t = 0)]
        after: i64,
    },
    /// Delivers messages of an endpoint again, at most 500 at a time, whatever became of them.
    Replay {
        /// The endpoint.
        endpoint: RandomId,
        /// From this one on.
        #[arg(long)]
        from: i64,
    },
    /// Enables an endpoint that answered 410. What it missed is delivered by `replay`.
    Enable {
        /// The endpoint.
        endpoint: RandomId,
    },
    /// Sends nothing to an endpoint any more.
    Remove {
        /// The endpoint.
        endpoint: RandomId,
    },
}

impl WebhookTask {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<Report> {
        match self {
            Self::List => list(app).await,
            Self::Add { url } => add(app, &url).await,
            Self::Rotate { endpoint } => rotate(app, EndpointId(endpoint.0)).await,
            Self::Messages { endpoint, after } => messages(app, EndpointId(endpoint.0), after).await,
            Self::Replay { endpoint, from } => replay(app, EndpointId(endpoint.0), from).await,
            Self::Enable { endpoint } => set(app, EndpointId(endpoint.0), EndpointState::Active, "enabled").await,
            Self::Remove { endpoint } => set(app, EndpointId(endpoint.0), EndpointState::Removed, "removed").await,
        }
    }
}

fn owner(receiver: &Receiver) -> String {
    match receiver {
        Receiver::Store => "store".into(),
        Receiver::Terminal(id) => format!("terminal {id}"),
        Receiver::Merchant(id) => format!("merchant {id}"),
        Receiver::Backend(id) => format!("backend {id}"),
    }
}

fn described(endpoint: &Endpoint) -> Value {
    let state = if endpoint.state == EndpointState::Active { "active" } else { "disabled" };
    json!({"endpoint": endpoint.id.0, "owner": owner(&endpoint.owner), "url": endpoint.url, "state": state})
}

async fn list(app: &App) -> anyhow::Result<Report> {
    let (mut text, mut json) = (String::new(), Vec::new());
    let list = |last: Option<Endpoint>| app.core.store.endpoints(last.map(|endpoint| endpoint.id), PAGE);
    let mut endpoints = every(list);
    while let Some(endpoint) = endpoints.try_next().await? {
        let row = described(&endpoint);
        let state = row["state"].as_str().unwrap_or_default();
        writeln!(text, "{}  {:8}  {}  {}", endpoint.id.0, state, owner(&endpoint.owner), endpoint.url)?;
        json.push(row);
    }
    if json.is_empty() {
        text.push_str("No endpoints. `operator webhook add URL` adds one.");
    }
    Ok(Report { text, json: json.into() })
}

async fn add(app: &App, url: &str) -> anyhow::Result<Report> {
    let url = WebhookUrl::parse(url, app.core.outbound.of(&Receiver::Store).networks())
        .context("the address of an endpoint")?;
    let id = EndpointId(Octets(random()));
    let (sealed, open) = keys::new(&app.core.secrets, &id);
    let new = NewEndpoint { id, owner: Receiver::Store, url: url.as_str().to_owned(), keys: sealed };
    let act = Act::of_user(&app.core, "webhook add", id.0).with("host", url.shown_host());
    ensure!(
        act.scope(app.core.store.add_endpoint(new)).await?,
        "the store has as many endpoints as it may: remove one first"
    );
    let (secret, public) = (open.shared(), open.public());
    let text = format!(
        "{}\n  url     {}\n  secret  {}\n  key     {public}\nGive the secret to the program that receives; it is not shown \
         again.",
        id.0,
        url.as_str(),
        *secret,
    );
    Ok(Report { text, json: json!({"endpoint": id.0, "url": url.as_str(), "secret": *secret, "key": public}) })
}

async fn rotate(app: &App, id: EndpointId) -> anyhow::Result<Report> {
    let (sealed, open) = keys::new(&app.core.secrets, &id);
    let act = Act::of_user(&app.core, "webhook rotate", id.0);
    let Some(from) = act.scope(app.core.store.rotate_endpoint_keys(&id, sealed)).await? else {
        match app.core.store.endpoint(&id).await? {
            Some(endpoint) if endpoint.state != EndpointState::Removed => {
                bail!("new keys wait for their day already: `operator webhook rotate` again once they sign")
            }
            _ => return Err(missing("endpoint", id.0, "webhook list")),
        }
    };
    let (secret, public) = (open.shared(), open.public());
    let text = format!(
        "{}\n  secret  {}\n  key     {public}\n  signs   from {}\nUntil two days after that the keys before sign beside it.",
        id.0,
        *secret,
        moment(from),
    );
    Ok(Report { text, json: json!({"endpoint": id.0, "secret": *secret, "key": public, "from": from.seconds()}) })
}

async fn messages(app: &App, id: EndpointId, after: i64) -> anyhow::Result<Report> {
    let messages = app.core.store.messages(&id, after, PAGE).await?;
    let mut text = String::new();
    for message in &messages {
        let answer = message.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
        let (seq, state, created) = (message.seq, message.state.word(), moment(message.created));
        writeln!(text, "{seq:6}  {state:7}  {answer:>3}  {created}  {}  {}", message.kind, message.id)?;
    }
    let json = messages.iter().map(|message| {
        json!({
            "seq": message.seq, "id": message.id.0, "type": message.kind, "state": message.state.word(),
            "tries": message.tries, "status": message.status, "created": message.created.seconds(),
        })
    });
    match messages.last() {
        None => text.push_str("No messages."),
        Some(last) if messages.len() >= PAGE as usize => {
            write!(text, "There may be more: `operator webhook messages {} --after {}`.", id.0, last.seq)?;
        }
        Some(_) => {}
    }
    Ok(Report { json: json.collect::<Vec<_>>().into(), text })
}

async fn replay(app: &App, id: EndpointId, from: i64) -> anyhow::Result<Report> {
    let act = Act::of_user(&app.core, "webhook replay", id.0).with("from", from);
    let Replayed { count, next } = act.scope(app.core.store.replay(&id, from, PAGE)).await?;
    let mut text = match count {
        0 => "No message is delivered again: is the endpoint enabled, and are there messages from there on?".to_owned(),
        1 => "1 message is delivered again.".to_owned(),
        count => format!("{count} messages are delivered again."),
    };
    if let Some(next) = next {
        write!(text, " There may be more: `operator webhook replay {} --from {next}`.", id.0)?;
    }
    Ok(Report { text, json: json!({"endpoint": id.0, "replayed": count, "next": next}) })
}

async fn set(app: &App, id: EndpointId, state: EndpointState, word: &str) -> anyhow::Result<Report> {
    let action = if state == EndpointState::Active { "webhook enable" } else { "webhook remove" };
    let act = Act::of_user(&app.core, action, id.0);
    if !act.scope(app.core.store.set_endpoint(&id, state)).await? {
        return Err(missing("endpoint", id.0, "webhook list"));
    }
    Ok(Report { text: format!("{}: {word}", id.0), json: json!({"endpoint": id.0, "state": word}) })
}

/// Everybody who follows events pulls anew.
pub(super) async fn new_epoch(app: &App) -> anyhow::Result<Report> {
    let act = Act::of_user(&app.core, "new epoch", "");
    let epoch = act.scope(app.core.store.begin_epoch()).await?;
    Ok(Report { text: format!("{epoch}: whoever follows events pulls what there is."), json: json!({"epoch": epoch}) })
}
