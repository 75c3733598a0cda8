//! The work: what waits for a server or an engine, each piece in a task of its own, several at once in one runtime.

use crate::dialogue::{Dialogue, offer_line};
use crate::input::Work;
use crate::model::{Event, Item, JobId};
use parking_lot::Mutex;
use portcullis_host::protocol::wire::{OrderState, PaymentMethod};
use portcullis_host::protocol::{Digest, Offer, OperationName, Origin, Reason, SignedManifest, Verified};
use portcullis_host::{
    Client, Error, Function, Gatekeeper as _, InstallSource, Installed, Progress, Resource, Runtime, Step, Val,
    refusal_in, to_text,
};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// What a piece of work comes to: a line for the user either way.
type Outcome = Result<String, String>;

/// Starts work. Cheap to clone; clones share everything.
#[derive(Clone)]
pub(crate) struct Desk {
    client: Client,
    runtime: Runtime,
    events: mpsc::UnboundedSender<Event>,
    dialogue: Dialogue,
    handle: Handle,
    /// Loaded once each, so that calls at the same time share one compiled body.
    loaded: Arc<Mutex<HashMap<Digest, Resource>>>,
}

impl Desk {
    pub(crate) fn new(client: Client, runtime: Runtime, events: mpsc::UnboundedSender<Event>, handle: Handle) -> Self {
        let dialogue = Dialogue::new(events.clone());
        Self { client, runtime, events, dialogue, handle, loaded: Arc::default() }
    }

    /// Starts a piece of work. Aborting it drops its future, which is safe anywhere.
    pub(crate) fn start(&self, job: JobId, work: Work) -> AbortHandle {
        let desk = self.clone();
        let task = self.handle.spawn(async move {
            let outcome = match work {
                Work::SignIn(url) => desk.sign_in(job, &url).await,
                Work::List => desk.list(job).await,
                Work::Install(name) => desk.install(job, &name).await,
                Work::Preview { name, to } => desk.preview(&name, to).await,
                Work::Buy { name, operation } => desk.buy(&name, &operation).await,
                Work::Run { name, function, arguments, to } => desk.run(&name, &function, &arguments, to).await,
            };
            let _ = desk.events.send(Event::Ended { job, outcome });
        });
        task.abort_handle()
    }

    fn note(&self, job: JobId, text: String) {
        let _ = self.events.send(Event::Note { job, text });
    }

    /// Trust is the user's to give: he compares the words with what the store publishes.
    async fn sign_in(&self, job: JobId, url: &str) -> Outcome {
        let origin: Origin = url.parse().map_err(text)?;
        let sign_in = self.client.sign_in(&origin, "shelf").await.map_err(text)?;
        if sign_in.is_new_server() {
            let words = sign_in.server_words();
            let trusted =
                self.dialogue.ask(format!("{origin} has the fingerprint {words}\nIs that the store's?")).await;
            if !trusted {
                return Err("the store is not trusted; nothing was kept".into());
            }
        }
        self.note(job, format!("code {} at {}", sign_in.user_code(), sign_in.url_with_code()));
        self.note(job, format!("approve it if the page shows {}", sign_in.terminal_words()));
        let done = sign_in.finish().await.map_err(text)?;
        Ok(format!("signed in to {} as {}", done.server, done.account))
    }

    /// What is installed, joined with what every trusted store sells. A store that does not answer spoils nothing.
    async fn list(&self, job: JobId) -> Outcome {
        let mut items: BTreeMap<String, Item> = BTreeMap::new();
        for installed in self.client.library().list().map_err(text)? {
            let name = format!("{}/{}", installed.publisher, installed.name);
            let version = Some(installed.version.to_string());
            let item =
                Item { name: name.clone(), title: installed.title, installed: version, sold: None, offers: vec![] };
            items.insert(name, item);
        }
        for pin in self.client.servers().map_err(text)? {
            let store = self.client.store(&pin.origin);
            let mut page = None;
            loop {
                let found = match store.search("", None, page).await {
                    Ok(found) => found,
                    Err(error) => {
                        self.note(job, format!("{}: {error}", pin.origin));
                        break;
                    }
                };
                for listing in found.results {
                    let name = format!("{}/{}", listing.publisher, listing.name);
                    let title = listing.title.clone();
                    let item = items.entry(name.clone()).or_insert_with(|| Item {
                        name,
                        title,
                        installed: None,
                        sold: None,
                        offers: vec![],
                    });
                    item.sold = listing.newest().map(|version| version.version.to_string());
                    item.offers = listing.offers.iter().map(offer_line).collect();
                }
                page = found.next;
                if page.is_none() {
                    break;
                }
            }
        }
        let count = items.len();
        let _ = self.events.send(Event::Listed(items.into_values().collect()));
        Ok(format!("{count} on the shelf"))
    }

    async fn install(&self, job: JobId, name: &str) -> Outcome {
        let source: InstallSource = name.parse().map_err(text)?;
        let events = self.events.clone();
        let moved = move |have, total| {
            let _ = events.send(Event::Moved { job, have, total });
        };
        let candidate = self.client.library().prepare(&source, false, &moved).await.map_err(text)?;
        let words = candidate.manifest().manifest().publisher.jwk.thumbprint().words();
        let installed = candidate.install().await.map_err(text)?;
        Ok(format!("installed {}/{} {}, signed by {words}", installed.publisher, installed.name, installed.version))
    }

    /// Runs a function of an operation that is free: the one called `preview`, else one that takes nothing.
    async fn preview(&self, name: &str, to: Option<PathBuf>) -> Outcome {
        let (_, resource) = self.resource(name)?;
        let functions = resource.functions().map_err(text)?;
        let mut free = Vec::new();
        for entry in &resource.signed().manifest().operations {
            let offers = self.offers(&resource, &entry.name).await?;
            if offers.iter().any(|offer| offer.document().rights.is_given()) {
                free.push(entry.name.clone());
            }
        }
        let is_free = |function: &&Function| {
            function.takes_nothing() && function.operation.as_ref().is_some_and(|operation| free.contains(operation))
        };
        let named = functions.iter().filter(is_free).find(|function| function.name() == "preview");
        let function = named.or_else(|| functions.iter().find(is_free)).ok_or("nothing of it is free")?;
        self.call(&resource, function, &[], to).await
    }

    async fn offers(&self, resource: &Resource, operation: &OperationName) -> Result<Vec<Verified<Offer>>, String> {
        self.client.cycle().offers(resource.signed(), operation).await.map_err(text)
    }

    /// What the user agrees to is the very offer that he sees; if the store changes it meanwhile, it refuses.
    async fn buy(&self, name: &str, operation: &str) -> Outcome {
        let (installed, resource) = self.resource(name)?;
        let operation: OperationName = operation.parse().map_err(text)?;
        let offers = self.offers(&resource, &operation).await?;
        let offer = offers.iter().find(|offer| !offer.document().rights.is_given()).ok_or("nothing here is sold")?;
        if !self.dialogue.ask(format!("Buy {name}?\n{}", offer_line(offer))).await {
            return Err("not bought".into());
        }
        let payment = PaymentMethod { provider: "sandbox".into(), token: "ok".into() };
        let order = self.client.store(&installed.server).order(offer, payment).await.map_err(text)?;
        match order.state {
            OrderState::Paid => Ok(format!("paid {}", offer.document().price)),
            OrderState::Pending => Ok("ordered; the payment is under way".into()),
            OrderState::Other(state) => Ok(format!("ordered; the store says `{state}`: it does not count as paid")),
            state => Err(format!("nothing is owed: the order is {state:?}")),
        }
    }

    async fn run(&self, name: &str, function: &str, arguments: &[String], to: Option<PathBuf>) -> Outcome {
        let (_, resource) = self.resource(name)?;
        let function = resource.function(function).map_err(text)?;
        self.call(&resource, function, arguments, to).await
    }

    /// request → authenticate → verify, then the call. Whatever a resource does ends here, as a line.
    async fn call(
        &self,
        resource: &Resource,
        function: &Function,
        arguments: &[String],
        to: Option<PathBuf>,
    ) -> Outcome {
        let (name, export) = (function.name(), function.export.as_str());
        let operation = function.operation.as_ref().ok_or_else(|| format!("`{name}` belongs to no operation"))?;
        // What does not fit costs nothing.
        let values = resource.read_arguments(export, arguments).map_err(text)?;
        let authorised = resource.authorize(operation.as_str()).await.map_err(refusal)?;
        if function.gives_bytes() {
            let bytes = authorised.call_for_bytes(export, &values).await.map_err(refusal)?;
            let bytes = bytes.map_err(|error| said_no(error.as_ref()))?;
            return match to {
                Some(file) => {
                    let length = bytes.len();
                    tokio::fs::write(&file, bytes).await.map_err(text)?;
                    Ok(format!("`{name}` gave {length} bytes"))
                }
                None => Ok(format!("`{name}` gave {} bytes; keep them with > FILE", bytes.len())),
            };
        }
        let results = authorised.call(export, &values).await.map_err(refusal)?;
        if let [Val::Result(Err(error))] = results.as_slice() {
            return Err(said_no(error.as_deref()));
        }
        let results: Vec<String> = results.iter().filter_map(to_text).collect();
        Ok(format!("`{name}` gave ({})", results.join(", ")))
    }

    fn resource(&self, name: &str) -> Result<(Installed, Resource), String> {
        let installed = self.client.library().find(name).map_err(text)?;
        let mut loaded = self.loaded.lock();
        if let Some(resource) = loaded.get(&installed.digest) {
            return Ok((installed, resource.clone()));
        }
        let resource = self.runtime.load(&installed.path).map_err(text)?;
        loaded.insert(installed.digest, resource.clone());
        Ok((installed, resource))
    }
}

/// Carries the steps of getting resources ready to the user's thread.
pub(crate) struct Steps {
    events: mpsc::UnboundedSender<Event>,
}

impl Steps {
    pub(crate) const fn new(events: mpsc::UnboundedSender<Event>) -> Self {
        Self { events }
    }
}

impl Progress for Steps {
    fn step(&self, resource: &SignedManifest, step: Step<'_>) {
        let text = match step {
            Step::Requesting(operation) => format!("asking the billing server for `{operation}`"),
            Step::Verifying(operation) => format!("`{operation}` is payable; verifying"),
            Step::Opening(part) => format!("decrypting `{part}`"),
            Step::Compiling(part) => format!("compiling `{part}`"),
            Step::Ready(operation) => format!("`{operation}` is ready"),
            // Later versions may tell more.
            _ => return,
        };
        let manifest = resource.manifest();
        let resource = format!("{}/{}", manifest.publisher.name, manifest.name);
        let _ = self.events.send(Event::Step { resource, text });
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// A refusal says what to do now, and what it would cost.
fn refusal(error: Error) -> String {
    let Error::Refused(refused) = error else { return error.to_string() };
    let offers: Vec<String> = refused.offers.iter().map(offer_line).collect();
    let offers = if offers.is_empty() { String::new() } else { format!(" [{}]", offers.join("; ")) };
    format!("{}: {refused}{offers}; {}", refused.reason, refused.reason.advice())
}

/// The resource's own error, which may be a refusal that it met inside.
fn said_no(error: Option<&Val>) -> String {
    match error.and_then(refusal_in) {
        Some(Reason::PaymentRequired) => "payment-required, says the resource; buy it first".into(),
        Some(reason) => format!("{reason}, says the resource; {}", reason.advice()),
        None => format!("the resource says {}", error.and_then(to_text).unwrap_or_else(|| "no".into())),
    }
}
