//! `portcullis dev`: the whole life of a resource in a minute, on this machine alone.
//!
//! ```text
//! build ─▶ store ─▶ sign in ─▶ seal ─▶ publish ─▶ install ─▶ for each operation:
//!                                            request ─▶ refused ─▶ buy ─▶ request ─▶ status code ─▶ verify ─▶ grant ─▶ call
//! ```

use clap::Args;
use portcullis_host::{Client, ClientOptions, HttpBillingServer, InstallSource, Resource, Runtime};
use portcullis_protocol::text::counted;
use portcullis_protocol::{OperationEntry, OperationName, Origin};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{build, publish, seal};
use crate::context::Context;
use crate::dev::browser::Browser;
use crate::dev::folder::Folder;
use crate::dev::sample;
use crate::dev::server::Server;
use crate::dev::story::{Step, Story};
use crate::dev::trial::{Trial, Work, sandbox};
use crate::dev::watch::Watch;
use crate::dev::wire::Watched;
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::payment::metered::Agreed;
use crate::project::Project;
use crate::project::{publisher_key, recipient};
use crate::resource::invocation::Invocation;
use crate::screen::consent::Terminal;
use crate::screen::hint;
use crate::screen::output::{Report, size, style};

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

impl Dev {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let project = Project::read(&self.project)?;
        let folder = Folder::new().or_fail("make a temporary folder", "free some space, or set TMPDIR")?;
        let http = HttpBillingServer::new().or_fail("start an HTTP client", "check the system's certificates")?;
        let wire = Arc::new(Watched::new(http));
        // All of it is the throw-away store's: keys, sales and records alike. The user's own home hears nothing of it.
        let home = folder.path().join("home");
        let context = &Context::new(context.screen, Some(home.clone()));
        let mut story = Story::new(context, Arc::clone(&wire));
        if !self.no_build {
            let built = build::build(context, &project)?;
            story.end("build", built.summary());
        }
        // What the project asks for; of a real store its operator decides.
        let currencies = project.offers.iter().map(|offer| offer.price.currency()).collect();
        let server = Server::start(&folder.path().join("server"), &currencies)?;
        story.end("store", format!("a throw-away billing server at {}", server.origin));
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
            project.offers.iter().any(|offer| offer.operation == *name && offer.rights.is_paid_per_unit())
        };
        let names = project.operations.iter().map(|operation| &operation.name);
        let operations: Vec<_> = names.filter(|name| !metered(name)).cloned().collect();
        let watch = Arc::new(Watch::default());
        let runtime = Runtime::builder()
            .gatekeeper(client.cycle())
            .consent(Terminal::new(story.context.screen, &operations, agreed))
            .progress(Arc::clone(&watch))
            .stderr(watch.stderr())
            .build()?;
        let resource = runtime.load(installed.path.as_path())?;
        let trial = Trial { client, resource: &resource, watch: &watch };
        for (operation, work) in self.works(story, &resource)? {
            trial.attempt(story, &operation, &work).await?;
        }
        Ok(())
    }

    /// What is tried: the calls that were asked for, else one of each export of each operation.
    fn works(&self, story: &mut Story<'_>, resource: &Resource) -> Outcome<Vec<(OperationEntry, Work)>> {
        let manifest = resource.signed().manifest();
        if self.invoke.is_empty() {
            let mut works = Vec::new();
            for operation in manifest.operations.iter().filter(|operation| !operation.exports.is_empty()) {
                let own = self.own_works(story, resource, operation)?;
                works.extend(own.into_iter().map(|work| (operation.clone(), work)));
            }
            return Ok(works);
        }
        let work = |invocation: &Invocation| {
            let function = resource.function(&invocation.function)?;
            let operation = manifest.operation_of(&function.export).ok_or_else(|| {
                Failure::usage(
                    format!("`{}` belongs to no operation", function.export),
                    "map it to one in portcullis.toml",
                )
            })?;
            let values = invocation.values(resource)?;
            Ok((operation.clone(), Work::Call { function: function.clone(), values, made_up: false }))
        };
        self.invoke.iter().map(work).collect()
    }

    /// The command of an operation, or a call of each export that takes plain values.
    fn own_works(&self, story: &mut Story<'_>, resource: &Resource, operation: &OperationEntry) -> Outcome<Vec<Work>> {
        let mut works = Vec::new();
        for export in operation.exports.iter().map(|export| export.as_str()) {
            if resource.command() == Some(export) {
                let mut args = vec!["command".to_owned()];
                args.extend(if self.arguments.is_empty() { vec!["1994".to_owned()] } else { self.arguments.clone() });
                works.push(Work::Command { args });
                continue;
            }
            let function = resource.function(export)?;
            let values = function.ty.params.iter().map(|(_, ty)| sample::value(ty)).collect::<Option<Vec<_>>>();
            match values {
                Some(values) => works.push(Work::Call { function: function.clone(), values, made_up: true }),
                None => {
                    let name = function.name();
                    story.end("call", format!("`{name}` cannot be called with made-up values; use --invoke"));
                }
            }
        }
        if works.is_empty() {
            works.push(Work::Nothing);
        }
        Ok(works)
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
    let stores = recipient::stores(story.context.screen, &|| Ok(client.clone()), &[arg], &[]).await?;
    let file = folder.join("resource.sealed.wasm");
    // As `portcullis seal` does it: what it would refuse does not work here either.
    let sealed = seal::seal(story.context, project, &key, &stores, false, &file)?;
    story.end("seal", format!("{}, digest {}", size(sealed.bytes), sealed.digest));

    let opened = crate::resource::location::open(&file)?;
    let publication = publish::Publication {
        server: origin,
        file: &file,
        signed: opened.signed(),
        key: || Ok(key.clone()),
        terms: Some(project.offers.clone()),
        replace: true,
    };
    let published = publish::publish(story.context, client, publication).await?;
    story.end("publish", format!("countersigned; {}", counted(published.offers.len(), "offer")));
    Ok(())
}

/// Units of what is sold by the unit that the trial pays in for.
const UNITS: u32 = 1000;

/// Pays in for what is sold by the unit; agrees to as much.
async fn pay_in(story: &mut Story<'_>, client: &Client, origin: &Origin, project: &Project) -> Outcome<Agreed> {
    let mut prices = project.offers.iter().filter(|offer| offer.rights.is_paid_per_unit()).map(|offer| offer.price);
    let Some(amount) = prices.next().map(|price| price.checked_mul(UNITS).unwrap_or(price)) else {
        return Ok(Agreed::default());
    };
    story.begin();
    client.store(origin).top_up(amount, sandbox()?.method()).await?;
    story.end("top-up", format!("{amount} paid in"));
    Ok(Agreed::up_to(Some(amount)))
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

impl Report for Tried {
    fn text(&self) -> String {
        let good = style::GOOD;
        format!(
            "{good}{} works{good:#}: built, sold, refused unpaid, bought and run. The store is gone again.\n\nNext: {}\n",
            self.resource,
            hint::typed("portcullis keygen, portcullis login https://STORE, portcullis seal, portcullis publish")
        )
    }
}
