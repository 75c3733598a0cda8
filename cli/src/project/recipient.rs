//! For whom a resource is sealed: stores, each known by a pinned root key.
//!
//! A store to which a resource is sealed can open it. So nothing is sealed for one that is known by its address alone:
//! its root is pinned by a sign-in, named in `portcullis.toml`, or in a file that the publisher was given.

use portcullis_host::{BillingServer as _, Client, Clock as _, Exchange, HttpBillingServer, SystemClock};
use portcullis_protocol::age::Recipient;
use portcullis_protocol::paths;
use portcullis_protocol::{KeyDocument, Origin, ServerEntry, Thumbprint, Unverified, WellKnown};
use std::path::PathBuf;
use std::str::FromStr;

use crate::failure::{Failure, OrFail as _, Outcome, chain};
use crate::project::ServerWish;
use crate::screen::output::Screen;

/// `--server`: an address, or the file that `https://store/.well-known/portcullis` gives.
#[derive(Debug, Clone)]
pub(crate) enum ServerArg {
    /// An address.
    Origin(Origin),
    /// A well-known document.
    File(PathBuf),
}

impl FromStr for ServerArg {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            return crate::context::origin(text).map(Self::Origin);
        }
        let path = PathBuf::from(text);
        if path.exists() || text.ends_with(".json") {
            return Ok(Self::File(path));
        }
        crate::context::origin(text).map(Self::Origin)
    }
}

/// A store to seal for.
#[derive(Debug)]
pub(crate) struct Store {
    /// How the manifest names it.
    pub(crate) entry: ServerEntry,
    /// Its age recipient.
    pub(crate) recipient: Recipient,
}

/// The stores to seal for: those asked for, else those of the project, else the one where the user is signed in. For a
/// store that is known by a file no terminal is needed, and `client` is not called.
pub(crate) async fn stores(
    screen: Screen,
    client: &dyn Fn() -> Outcome<Client>,
    asked: &[ServerArg],
    wishes: &[ServerWish],
) -> Outcome<Vec<Store>> {
    let mut stores: Vec<Store> = Vec::new();
    if asked.is_empty() && wishes.is_empty() {
        let client = &client()?;
        let origin = client.default_server().map_err(|error| {
            Failure::from(error)
                .with_fix("say for which store: --server URL, or sign in to it first: `portcullis login URL`")
        })?;
        return Ok(vec![pinned(client, &origin).await?]);
    }
    if asked.is_empty() {
        for wish in wishes {
            stores.push(by_origin(&client()?, &wish.origin, wish.root).await?);
        }
    }
    for server in asked {
        let store = match server {
            ServerArg::Origin(origin) => {
                let root = wishes.iter().find(|wish| wish.origin == *origin).and_then(|wish| wish.root);
                by_origin(&client()?, origin, root).await?
            }
            ServerArg::File(path) => {
                let text = std::fs::read(path).or_fail(
                    format_args!("read `{}`", path.display()),
                    format_args!("name the file that the store publishes at {}", paths::WELL_KNOWN),
                )?;
                let store = read(&text, None, None, now())?;
                let words = store.entry.root.words();
                screen.note(format_args!("sealing for {}, whose fingerprint is {words}", store.entry.origin));
                store
            }
        };
        stores.push(store);
    }
    stores.sort_by(|a, b| a.entry.origin.cmp(&b.entry.origin));
    if let Some(pair) = stores.windows(2).find(|pair| pair[0].entry.origin == pair[1].entry.origin) {
        return Err(Failure::usage(format!("{} is named twice", pair[0].entry.origin), "name each store once"));
    }
    Ok(stores)
}

async fn by_origin(client: &Client, origin: &Origin, root: Option<Thumbprint>) -> Outcome<Store> {
    let pin = client.servers()?.into_iter().find(|pin| pin.origin == *origin);
    match (pin, root) {
        (Some(pin), Some(root)) if pin.root.thumbprint() != root => Err(Failure::new(
            format!("portcullis.toml names another root key for {origin} than the one you trusted ({})", pin.words()),
            "correct `root` in portcullis.toml, after asking the store for its fingerprint",
        )),
        (Some(_), _) => pinned(client, origin).await,
        (None, Some(root)) => {
            let server = HttpBillingServer::new().or_fail("start an HTTP client", "check the system's certificates")?;
            let exchange = Exchange::get(origin.clone(), paths::WELL_KNOWN.into());
            let answer = server
                .exchange(exchange)
                .await
                .or_fail(format_args!("reach {origin}"), "check the address and the connection")?;
            read(&answer.body, Some(origin), Some(root), now())
        }
        (None, None) => Err(Failure::new(
            format!("{origin} is not trusted, and a store can open what is sealed for it"),
            format!(
                "sign in to it: `portcullis login {origin}`; or put `root = \"…\"` under its [[server]] in portcullis.toml"
            ),
        )),
    }
}

async fn pinned(client: &Client, origin: &Origin) -> Outcome<Store> {
    let (recipient, root) = client.publishing(origin).recipient().await?;
    Ok(Store { entry: ServerEntry { origin: origin.clone(), root }, recipient: age_recipient(&recipient)? })
}

fn read(text: &[u8], origin: Option<&Origin>, root: Option<Thumbprint>, now: u64) -> Outcome<Store> {
    let bad = |what: &dyn std::fmt::Display| {
        Failure::new(
            format!("this is not the well-known document of a store: {what}"),
            format_args!("fetch https://STORE{} again", paths::WELL_KNOWN),
        )
    };
    let known: WellKnown = serde_json::from_slice(text).map_err(|error| bad(&error))?;
    if root.is_some_and(|root| root != known.root.thumbprint()) {
        return Err(bad(&format_args!("its root key is {}, not the one expected", known.root.thumbprint().words())));
    }
    // Whose origin it is stands in the document; it is the root that has to be right.
    let claimed = Unverified::<KeyDocument>::parse(&known.keys).and_then(|keys| keys.verify(&known.root));
    let claimed = claimed.map_err(|error| bad(&chain(&error)))?;
    let origin = origin.unwrap_or(&claimed.document().iss);
    let keys = KeyDocument::verify(&known.keys, &known.root, origin, now, 0).map_err(|error| bad(&chain(&error)))?;
    let recipient = age_recipient(&keys.document().recipient)?;
    Ok(Store { entry: ServerEntry { origin: origin.clone(), root: known.root.thumbprint() }, recipient })
}

fn age_recipient(text: &str) -> Outcome<Recipient> {
    text.parse::<Recipient>().or_fail("read the store's age recipient", "tell the store that its key document is wrong")
}

/// The machine's time: of a store that is known by a file alone nobody has heard another.
fn now() -> u64 {
    SystemClock.now()
}
