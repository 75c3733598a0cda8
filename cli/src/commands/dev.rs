//! `portcullis dev`: the whole life of a resource in a minute, on this machine alone.
//!
//! ```text
//! build ─▶ store ─▶ sign in ─▶ seal ─▶ publish ─▶ install ─▶ for each operation:
//!                                            request ─▶ refused ─▶ buy ─▶ request ─▶ status code ─▶ verify ─▶ grant ─▶ call
//! ```

use clap::Args;
use portcullis_host::{
    Authorised, Client, ClientOptions, Command, HttpBillingServer, InstallSource, Output, OutputBuffer, Resource,
    Runtime, Terms, Val, to_text,
};
use portcullis_protocol::{OperationEntry, OperationName, Origin, Reason};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::{build, publish, seal};
use crate::consent::Terminal;
use crate::context::Context;
use crate::dev::browser::Browser;
use crate::dev::sample;
use crate::dev::server::Server;
use crate::dev::wire::{Arrow, Watched, micros};
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::invocation::{self, Invocation};
use crate::metered::Agreed;
use crate::output::{OfferLine, Report, size, style};
use crate::payment::{self, Payment};
use crate::project::Project;
use crate::{publisher_key, recipient};

/// Try a project end to end: build it, sell it on a throw-away store, buy it, run it, and show each step of the cycle
#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// The project: the folder with portcullis.toml
    #[arg(default_value = ".")]
    project: PathBuf,
    /// Make this call, instead of one of each operation with made-up arguments. May be repeated
    #[arg(long, value_name = "CALL")]
    invoke: Vec<Invocation>,
    /// Do not build first
    #[arg(long)]
    no_build: bool,
    /// Arguments, where it is a command
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<String>,
}

#[derive(Serialize)]
struct Tried {
    resource: String,
    steps: Vec<Step>,
}

#[derive(Debug, Serialize)]
struct Step {
    step: String,
    outcome: String,
    microseconds: u64,
    /// The exchanges with the server, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    wire: Vec<Arrow>,
}

/// Tells the story as it happens, and keeps it for `--json`.
struct Story<'c> {
    context: &'c Context,
    wire: Arc<Watched<HttpBillingServer>>,
    begun: Instant,
    steps: Vec<Step>,
}

impl Story<'_> {
    fn begin(&mut self) {
        self.wire.take();
        self.begun = Instant::now();
    }

    /// Ends a step: prints it and the exchanges that it took.
    fn end(&mut self, step: impl Into<String>, outcome: impl Into<String>) {
        let (good, strong, dim) = (style::GOOD, style::STRONG, style::DIM);
        let microseconds = micros(self.begun.elapsed());
        let step = Step { step: step.into(), outcome: outcome.into(), microseconds, wire: self.wire.take() };
        let screen = self.context.screen;
        let time = milliseconds(microseconds);
        screen.note(format_args!(
            "{good}✓{good:#} {strong}{:<11}{strong:#} {}  {dim}{time}{dim:#}",
            step.step, step.outcome
        ));
        for arrow in &step.wire {
            let time = milliseconds(arrow.microseconds);
            let (sent, received) = (size(arrow.sent), size(arrow.received));
            let means = meaning(arrow);
            screen.note(format_args!(
                "{dim}    {:<30} {sent:>10} → {} {received:>10}  {time:>9}  {means}{dim:#}",
                arrow.request, arrow.status
            ));
        }
        self.steps.push(step);
        self.begun = Instant::now();
    }
}

/// What an exchange is in the cycle.
fn meaning(arrow: &Arrow) -> &'static str {
    let path = arrow.request.split_once(' ').map_or("", |(_, path)| path);
    match (path, arrow.status) {
        (_, 401) => "the server's nonce",
        ("/v1/authorizations", 200) => "1 request → 2 authenticated: billing status code",
        ("/v1/authorizations", _) => "1 request → 2 refused, signed",
        ("/v1/verifications", 200) => "3 verify → signed grant and sealed keys",
        ("/v1/orders", 200) => "order → signed receipt",
        (path, 200) if path.starts_with("/v1/grants/") => "the keys arrived",
        _ => "",
    }
}

fn milliseconds(microseconds: u64) -> String {
    format!("{}.{} ms", microseconds / 1000, microseconds / 100 % 10)
}

impl Dev {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let project = Project::read(&self.project)?;
        let folder = tempfile::tempdir().or_fail("make a temporary folder", "free some space, or set TMPDIR")?;
        let http = HttpBillingServer::new().or_fail("start an HTTP client", "check the system's certificates")?;
        let wire = Arc::new(Watched::new(http));
        let mut story = Story { context, wire: Arc::clone(&wire), begun: Instant::now(), steps: Vec::new() };
        if !self.no_build {
            let built = build::build(context, &project)?;
            story.end("build", built.summary());
        }
        let server = Server::start(&folder.path().join("server"))?;
        story.end("store", format!("a throw-away billing server at {}", server.origin));
        let home = folder.path().join("home");
        let client = Client::open(ClientOptions::new().state_dir(&home).billing_server(wire))?;
        context.wait(async {
            sign_in(&mut story, &client, &server.origin).await?;
            sell(&mut story, &client, &server.origin, &project, &home, folder.path()).await?;
            self.use_it(&mut story, &client, &server.origin, &project).await
        })?;
        let resource = format!("{}/{} {}", project.publisher, project.name, project.version);
        context.screen.report(&Tried { resource, steps: story.steps });
        Ok(())
    }

    /// What a user does.
    async fn use_it(&self, story: &mut Story<'_>, client: &Client, origin: &Origin, project: &Project) -> Outcome {
        let source = InstallSource::Store {
            server: Some(origin.clone()),
            publisher: project.publisher.clone(),
            name: project.name.clone(),
            version: Some(project.version.clone()),
        };
        let installed = client.library().install(&source, &|_, _| ()).await?;
        story.end("install", "fetched; every signature and every byte verified");
        let agreed = pay_in(story, client, origin, project).await?;
        // What is sold by the unit is agreed to with its offer, the rest on rights that are held.
        let metered = |name: &OperationName| {
            project.offers.iter().any(|offer| offer.operation == *name && offer.rights.is_metered())
        };
        let names = project.operations.iter().map(|operation| &operation.name);
        let operations: Vec<_> = names.filter(|name| !metered(name)).cloned().collect();
        let runtime = Runtime::builder()
            .gatekeeper(client.cycle())
            .clock(client.clock())
            .consent(Terminal::new(story.context.screen, &operations, agreed))
            .build()?;
        let resource = runtime.load(installed.path.as_path())?;
        if self.invoke.is_empty() {
            for operation in project.operations.iter().filter(|operation| !operation.exports.is_empty()) {
                let authorised = cycle(story, client, &resource, operation).await?;
                self.call(story, &authorised, operation).await?;
            }
            return Ok(());
        }
        for invocation in &self.invoke {
            let manifest = resource.signed().manifest();
            let export = invocation.export(manifest)?.to_owned();
            let Some(operation) = manifest.operation_of(&export).cloned() else {
                return Err(Failure::usage(
                    format!("`{export}` belongs to no operation"),
                    "map it to one in portcullis.toml",
                ));
            };
            let arguments = invocation.clone().load()?;
            let authorised = cycle(story, client, &resource, &operation).await?;
            let values = invocation::values(&authorised, &export, arguments)?;
            call(story, &authorised, &export, &values).await?;
        }
        Ok(())
    }

    /// One call of an operation: its command, or its first export that takes plain values.
    async fn call(&self, story: &mut Story<'_>, authorised: &Authorised, operation: &OperationEntry) -> Outcome {
        for export in operation.exports.iter().map(|export| export.as_str()) {
            if super::run::is_command(export) {
                return self.command(story, authorised).await;
            }
            let parameters = authorised.parameters(export)?;
            if let Some(values) = parameters.iter().map(|(_, ty)| sample::value(ty)).collect::<Option<Vec<_>>>() {
                return call(story, authorised, export, &values).await;
            }
        }
        story.end("call", format!("no export of `{}` can be called with made-up values; use --invoke", operation.name));
        Ok(())
    }

    async fn command(&self, story: &mut Story<'_>, authorised: &Authorised) -> Outcome {
        let (stdout, stderr) = (OutputBuffer::default(), OutputBuffer::default());
        let mut args = vec!["command".to_owned()];
        args.extend(if self.arguments.is_empty() { vec!["1994".to_owned()] } else { self.arguments.clone() });
        let shown = args[1..].join(" ");
        let command = Command::new(
            args,
            portcullis_host::Input::Empty,
            Output::Buffer(stdout.clone()),
            Output::Buffer(stderr.clone()),
        );
        let exit = authorised.run(command).await?;
        let text = |buffer: &OutputBuffer| String::from_utf8_lossy(&buffer.take()).trim().to_owned();
        story.end(
            "call",
            format!("wasi:cli/run {shown} → exit {}: {}{}", exit.code, short(&text(&stdout)), short(&text(&stderr))),
        );
        Ok(())
    }
}

/// What a publisher does.
async fn sell(
    story: &mut Story<'_>,
    client: &Client,
    origin: &Origin,
    project: &Project,
    home: &Path,
    folder: &Path,
) -> Outcome {
    story.begin();
    let key = publisher_key::create(&home.join(publisher_key::FILE))?;
    let arg = recipient::ServerArg::Origin(origin.clone());
    let stores = recipient::stores(story.context.screen, client, &[arg], &[]).await?;
    let file = folder.join("resource.sealed.wasm");
    // In a trial the publisher need not decide yet what the count of uses rests on.
    let sealed = seal::seal(story.context, project, &key, &stores, true, &file)?;
    story.end("seal", format!("{}, digest {}", size(sealed.bytes), sealed.digest));

    let opened = crate::resource_at::open(&file)?;
    let terms = Some(project.offers.clone());
    let published =
        publish::publish(story.context, client, origin, &file, opened.signed(), || Ok(key.clone()), terms, true)
            .await?;
    story.end("publish", format!("countersigned; {} offers", published.offers.len()));
    Ok(())
}

/// Units of what is sold by the unit that the trial pays in for.
const UNITS: u32 = 1000;

/// Pays in for what is sold by the unit; agrees to as much.
async fn pay_in(story: &mut Story<'_>, client: &Client, origin: &Origin, project: &Project) -> Outcome<Agreed> {
    let mut prices = project.offers.iter().filter(|offer| offer.rights.is_metered()).map(|offer| offer.price);
    let Some(amount) = prices.next().map(|price| price.checked_mul(UNITS).unwrap_or(price)) else {
        return Ok(Agreed::default());
    };
    story.begin();
    client.store(origin).top_up(amount, sandbox()?.method()).await?;
    story.end("top-up", format!("{amount} paid in"));
    Ok(Agreed::up_to(Some(amount)))
}

fn sandbox() -> Outcome<Payment> {
    "sandbox:ok".parse().map_err(|error| Failure::usage(error, "tell the authors"))
}

/// Makes an account in a browser's place, and signs the terminal in.
async fn sign_in(story: &mut Story<'_>, client: &Client, origin: &Origin) -> Outcome {
    let mut browser = Browser::new(origin.clone())?;
    browser.sign_up("dev@example.com", "only for a minute").await?;
    let sign_in = client.sign_in(origin, "dev").await?;
    browser.approve(&sign_in.user_code(), &sign_in.terminal_words()).await?;
    let done = sign_in.finish().await?;
    story.end("sign in", format!("as {}; store {}", done.account, done.server_words));
    Ok(())
}

/// The cycle for one operation; where it is refused unpaid, buys it and runs the cycle again.
async fn cycle(
    story: &mut Story<'_>,
    client: &Client,
    resource: &Resource,
    operation: &OperationEntry,
) -> Outcome<Authorised> {
    let (name, bad, dim) = (&operation.name, style::BAD, style::DIM);
    story.context.screen.note(format_args!("{dim}  operation `{name}`: {}{dim:#}", operation.title));
    story.begin();
    let failure = match resource.authorize_with(name.as_str(), Terms::default()).await {
        Ok(authorised) => {
            story.end("cycle", granted(&authorised));
            return Ok(authorised);
        }
        Err(error) => Failure::from(error),
    };
    if failure.reason() != Some(Reason::PaymentRequired) {
        return Err(failure);
    }
    let offer = failure.offers().iter().find(|offer| !offer.document().rights.is_free()).cloned();
    let Some(offer) = offer else {
        return Err(failure.with_fix(format!("add an [[offer]] for `{name}` to portcullis.toml")));
    };
    story.end("cycle", format!("{bad}refused{bad:#}: payment-required, with a signed offer"));
    let mut terms = Terms::default();
    if offer.document().rights.is_metered() {
        terms.offer = Some(offer.digest());
    } else {
        payment::pay(&client.store(&offer.document().iss), &offer, &sandbox()?).await?;
        story.end("buy", OfferLine::of(&offer).to_string());
    }
    let authorised = resource.authorize_with(name.as_str(), terms).await?;
    story.end("cycle", granted(&authorised));
    Ok(authorised)
}

/// What a grant says: the end of the cycle.
fn granted(authorised: &Authorised) -> String {
    let grant = authorised.grant();
    let document = grant.document();
    let parts: Vec<&str> = document.parts.iter().map(|part| part.as_str()).collect();
    let uses = document.limits.uses.map_or_else(String::new, |uses| format!(", {uses} calls"));
    let seconds = document.exp.saturating_sub(document.iat);
    format!(
        "request → status code → verify → grant ({}{uses}, {seconds} s, keys of {})",
        document.model,
        parts.join(", ")
    )
}

async fn call(story: &mut Story<'_>, authorised: &Authorised, export: &str, values: &[Val]) -> Outcome {
    let results = if authorised.gives_bytes(export)? {
        match authorised.call_for_bytes(export, values).await? {
            Ok(bytes) => vec![format!("{} of bytes", size(bytes.len() as u64))],
            Err(value) => vec![format!("err({})", value.as_ref().and_then(to_text).unwrap_or_default())],
        }
    } else {
        let results = authorised.call(export, values).await?;
        results.iter().filter_map(to_text).map(|text| short(&text)).collect()
    };
    let function = export.rsplit_once('#').map_or(export, |(_, function)| function);
    let arguments: Vec<String> = values.iter().filter_map(to_text).map(|text| short(&text)).collect();
    story.end("call", format!("{function}({}) → {}", arguments.join(", "), results.join(", ")));
    Ok(())
}

/// The beginning of a text: a result may be a whole picture.
fn short(text: &str) -> String {
    const MOST: usize = 72;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}… ({})", &text[..end], size(text.len() as u64)),
        None => text.to_owned(),
    }
}

impl Report for Tried {
    fn text(&self) -> String {
        let good = style::GOOD;
        format!(
            "{good}{} works{good:#}: built, sold, refused unpaid, bought and run. The store is gone again.\n\nNext: portcullis keygen, portcullis login https://STORE, portcullis seal, portcullis publish\n",
            self.resource
        )
    }
}
