//! `portcullis run`: use a resource, and pay for it where that is needed.

use clap::Args;
use portcullis_host::{
    Authorised, Client, Command, Directory, Error, Gatekeeper as _, Input, Lent, MailProgram, Output, OutputBuffer,
    Pin, Resource, Runtime, Terms, Val, refusal_in, to_text,
};
use portcullis_protocol::text::counted;
use portcullis_protocol::{
    BadId, MailboxName, Manifest, Money, Offer, OperationName, Origin, Reason, SignedManifest, Verified, nearest,
};
use serde::Serialize;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::context::{Context, ServerOption};
use crate::failure::{Failure, Outcome};
use crate::payment::metered::Agreed;
use crate::payment::{self, Agreement, Payment, rights};
use crate::resource::destination::Destination;
use crate::resource::invocation::Invocation;
use crate::resource::standing::{self, AtStore, Standing};
use crate::resource::target::Target;
use crate::resource::{location, usage};
use crate::screen::consent::Terminal;
use crate::screen::hint;
use crate::screen::output::{Report, readable, size, style};
use crate::screen::progress::Steps;
use crate::screen::shell::quoted;

/// Run a resource: a command, or one of its functions. Unpaid, on a terminal, offers to buy it
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Lend a directory to the resource, if it asks for some
    #[arg(long, value_name = "HOST::GUEST", value_parser = directory)]
    dir: Vec<Directory>,
    /// Pass an environment variable, if it asks for some
    #[arg(long, value_name = "K=V", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Show it the time of day, if it asks for it
    #[arg(long)]
    wall_clock: bool,
    /// Lend it records of your bills, if it asks for them: of this mailbox, or of all. You are asked before it gets
    /// them
    #[arg(long, value_name = "MAILBOX", num_args = 0..=1, require_equals = true, default_missing_value = ALL_MAILBOXES)]
    bills: Vec<LentMailbox>,
    /// Agree beforehand that it is handed the bills lent with --bills
    #[arg(long, requires = "bills")]
    agree_bills: bool,
    /// Get the bills from `portcullis-mail serve --socket PATH`, instead of starting `portcullis-mail`
    #[arg(long, value_name = "PATH", requires = "bills")]
    mail_socket: Option<PathBuf>,
    /// Call an export, as in 'view()' or 'resize(@photo.png, 640, 480, lanczos3)'; values are WAVE, @FILE is a file's
    /// bytes
    #[arg(long, value_name = "CALL")]
    invoke: Option<Invocation>,
    /// Write the bytes that an export gives, or a command's standard output, into this file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Agree beforehand that the resource uses this operation from inside, on rights you hold
    #[arg(long, value_name = "OPERATION")]
    allow: Vec<OperationName>,
    /// Agree beforehand to what is sold by the unit, up to this much in all, as in 1.00EUR; beyond it nothing is drawn
    #[arg(long, value_name = "AMOUNT")]
    max_spend: Option<Money>,
    /// How to pay, if you agree to buy
    #[arg(long, value_name = "PROVIDER:TOKEN", default_value = "sandbox:ok")]
    payment: Payment,
    /// Install it first, if it is not; without this it is streamed from its store
    #[arg(long)]
    install: bool,
    #[command(flatten)]
    store: ServerOption,
    /// A resource, installed or in a store, or a sealed file
    #[arg(value_name = "NAME[@VERSION]|FILE")]
    resource: Target,
    /// Arguments of the command
    #[arg(last = true, value_name = "ARGS", conflicts_with = "invoke")]
    arguments: Vec<String>,
}

/// What `run` has to say to a program, or where there was nothing to run.
#[derive(Serialize)]
#[serde(untagged)]
enum Ran {
    Function {
        resource: String,
        operation: String,
        export: String,
        grant: String,
        /// WAVE.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        results: Vec<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        output: Option<PathBuf>,
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        uses_left: Option<u32>,
        /// What the resource wrote to standard error.
        #[serde(skip_serializing_if = "String::is_empty")]
        stderr: String,
    },
    Command {
        resource: String,
        operation: String,
        exit: i32,
        stdout: String,
        stderr: String,
        /// The file that has its standard output.
        #[serde(skip_serializing_if = "Option::is_none")]
        output: Option<PathBuf>,
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
    },
}

impl Run {
    /// Gives the exit code: a command's own.
    pub(crate) fn run(self, context: &Context) -> Outcome<u8> {
        let client = context.client()?;
        let agreed = Agreed::up_to(self.max_spend);
        let stderr = OutputBuffer::default();
        let mut runtime = client
            .runtime()
            .consent(Terminal::new(context.screen, &self.allow, agreed.clone()).hand_over_bills(self.agree_bills))
            .progress(Steps::new(context.screen))
            .lend(self.lent())
            .stderr(if context.screen.is_json() { Output::Buffer(stderr.clone()) } else { Output::Stderr });
        if !self.bills.is_empty() {
            runtime = runtime.bills(self.mail_program()?);
        }
        if let Some(cap) = self.max_spend {
            runtime = runtime.spending_cap(cap);
        }
        let runtime = runtime.build()?;
        context.wait(async {
            let source = location::source(context, &client, &self.resource, self.store.named(), self.install).await?;
            let resource = runtime.load(source).map_err(|error| location::not_loaded(&self.resource, error))?;
            if let Target::File(_) = &self.resource {
                location::judge(&client, resource.signed()).await?;
            }
            let (run, client, runtime) = (&self, &client, &runtime);
            let ran = Session { run, context, client, runtime, resource, agreed, stderr: stderr.clone() }.run().await;
            client.settle(SETTLE).await;
            let said = String::from_utf8_lossy(&stderr.take()).into_owned();
            if !said.is_empty() {
                // It failed, so that its JSON has no place for it.
                context.screen.warn(format_args!("the resource wrote to standard error:\n{}", said.trim_end()));
            }
            ran
        })
    }

    /// Whether the operations agreed to are operations of the resource: one that is misspelt would be asked for later.
    fn check_allowed(&self, resource: &Resource) -> Outcome {
        let operations = &resource.signed().manifest().operations;
        let Some(unknown) = self.allow.iter().find(|name| !operations.iter().any(|known| known.name == **name)) else {
            return Ok(());
        };
        let known: Vec<&str> = operations.iter().map(|operation| operation.name.as_str()).collect();
        let fix = match nearest(unknown.as_str(), known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it has: {}", known.join(", ")),
        };
        Err(Failure::usage(format!("the resource has no operation `{unknown}` to allow"), fix))
    }

    /// Says where what is lent and what the resource asks for differ.
    fn tell_lent(&self, context: &Context, resource: &Resource) {
        let asks = resource.signed().manifest().capabilities;
        for (asked, lent, what, option) in [
            (asks.directories, !self.dir.is_empty(), "directories", "--dir HOST::GUEST"),
            (asks.environment, !self.env.is_empty(), "environment variables", "--env NAME=VALUE"),
            (asks.wall_clock, self.wall_clock, "the time of day", "--wall-clock"),
            // Without them it is not run at all.
            (asks.bills, asks.bills || !self.bills.is_empty(), "bills", "--bills"),
        ] {
            match (asked, lent) {
                (true, false) => {
                    let dim = style::DIM;
                    context.screen.note(format_args!("{dim}it asks for {what}, and gets none without {option}{dim:#}"));
                }
                (false, true) => {
                    context
                        .screen
                        .warn(format_args!("the resource does not ask for {what}, so {option} has no effect"));
                }
                _ => {}
            }
        }
    }

    fn lent(&self) -> Lent {
        let mut lent = Lent::default();
        lent.wall_clock = self.wall_clock;
        lent.environment.clone_from(&self.env);
        lent.directories.clone_from(&self.dir);
        lent
    }

    /// Who has the bills that are lent.
    fn mail_program(&self) -> Outcome<MailProgram> {
        let program = match &self.mail_socket {
            #[cfg(unix)]
            Some(socket) => MailProgram::listening_at(socket),
            #[cfg(not(unix))]
            Some(_) => {
                return Err(Failure::usage("--mail-socket is for Unix", "leave it out: `portcullis-mail` is started"));
            }
            None => MailProgram::start(mail_command()),
        };
        // One `--bills` without a name lends all of them.
        let named = self.bills.iter().map(|lent| lent.0.clone()).collect::<Option<Vec<MailboxName>>>();
        Ok(program.only(named.unwrap_or_default()))
    }

    /// Whether what the function returns can be delivered.
    fn check_result(&self, context: &Context, resource: &Resource, export: &str) -> Outcome {
        let gives_bytes = resource.function(export)?.gives_bytes();
        // A program gets one JSON value on standard output; bytes would spoil it.
        if gives_bytes && self.output.is_none() && context.screen.is_json() {
            return Err(Failure::usage("with --json, bytes need a file", "name it: -o FILE"));
        }
        let nowhere = self.output.is_none() && std::io::stdout().is_terminal();
        if gives_bytes && nowhere {
            return Err(Failure::usage(
                format!("`{export}` returns bytes, which a terminal cannot show"),
                "name a file: -o FILE",
            ));
        }
        if !gives_bytes && self.output.is_some() {
            return Err(Failure::usage(format!("`{export}` returns no bytes to write to a file"), "leave out -o"));
        }
        Ok(())
    }
}

/// One run: the resource, and everything that it is run with.
struct Session<'r> {
    run: &'r Run,
    context: &'r Context,
    client: &'r Client,
    runtime: &'r Runtime,
    resource: Resource,
    /// What the user has agreed to spend.
    agreed: Agreed,
    /// What the resource writes to standard error, if a program reads the outcome.
    stderr: OutputBuffer,
}

impl Session<'_> {
    /// Runs what was asked for. Returns the exit code: a command's own.
    async fn run(&self) -> Outcome<u8> {
        let (context, resource) = (self.context, &self.resource);
        // Whatever can be known to be wrong is found before anything is asked of a server.
        let export = match (&self.run.invoke, resource.command()) {
            (Some(invocation), _) => resource.export(&invocation.function)?.to_owned(),
            (None, Some(run)) => run.to_owned(),
            (None, None) => return Err(how_to_call(resource, &self.run.resource)?),
        };
        let operation = resource.operation_of(&export)?.clone();
        let values = match &self.run.invoke {
            Some(invocation) => {
                self.run.check_result(context, resource, &export)?;
                Some(invocation.values(resource)?)
            }
            None => None,
        };
        self.run.check_allowed(resource)?;
        if self.run.invoke.is_none() {
            resource.check_command(&Command::inherit(self.run.arguments.clone()))?;
        }
        self.run.tell_lent(context, resource);
        tell_bounds(context, resource);
        // Before anything is paid for: a result that can be written nowhere is worth nothing.
        let output = self.run.output.as_deref().map(|path| Destination::open(path, OTHER_FILE)).transpose()?;
        if values.is_some() && output.as_ref().is_some_and(Destination::is_terminal) {
            return Err(Failure::usage("a terminal cannot show bytes", "name a file: -o FILE"));
        }
        let authorised = self.authorise(&operation).await?;
        if let Some(pays) = rights::pay(&authorised.grant().document().model) {
            let (dim, name, grants) = (style::DIM, self.name(), hint::typed("portcullis grants"));
            context.screen.note(format_args!("{dim}{pays}; `{grants} {name}` says until when{dim:#}"));
        }
        let ran = match values {
            Some(values) => self.call(&authorised, &export, &values, output).await,
            None => self.command(&authorised, output).await,
        };
        match ran {
            Ok(code) => Ok(code),
            Err(failure) => Err(self.advise(&operation, &[], failure).await),
        }
    }

    /// `publisher/name`.
    fn name(&self) -> String {
        let manifest = self.resource.signed().manifest();
        format!("{}/{}", manifest.publisher.name, manifest.name)
    }

    /// Runs the cycle; where it is not paid for and somebody is there, offers to buy it and runs it again.
    async fn authorise(&self, operation: &OperationName) -> Outcome<Authorised> {
        let (context, client, resource, agreed) = (self.context, self.client, &self.resource, &self.agreed);
        let refused = match resource.authorize_with(operation.as_str(), Terms::default()).await {
            Ok(authorised) => return Ok(authorised),
            Err(error) => Failure::from(error),
        };
        let can_be_bought = refused.reason().is_some_and(Reason::turns_on_payment);
        let can_agree = context.screen.can_ask() || agreed.cap().is_some();
        let offers = match refused.offers() {
            [] if can_be_bought => client.cycle().offers(resource.signed(), operation).await.unwrap_or_default(),
            offers => offers.to_vec(),
        };
        if !can_be_bought {
            return Err(self.advise(operation, &offers, refused).await);
        }
        let mut terms = Terms::default();
        let spent = |cost: Money| self.runtime.spent(cost.currency());
        match can_agree.then(|| payment::ask(context.screen, &offers, agreed, spent)).flatten() {
            None => {
                let open = self.open_order(operation).await;
                let failure = self.advise(operation, &offers, refused).await;
                return Err(match open {
                    Some(open) => failure.with_fix(format!("{open}; once it is paid, run this again")),
                    None => failure,
                });
            }
            Some(Agreement::PerUnit(offer)) => terms.offer = Some(offer),
            Some(Agreement::Buy(offer)) => {
                let store = client.store(&offer.document().iss);
                let order = payment::pay(&store, &offer, &self.run.payment).await?;
                let (good, price) = (style::GOOD, offer.document().price);
                context.screen.note(format_args!("{good}bought{good:#}: charged {price}, order {order}"));
            }
        }
        let authorised = resource.authorize_with(operation.as_str(), terms).await;
        match authorised {
            Ok(authorised) => Ok(authorised),
            Err(error) => Err(self.advise(operation, &offers, error.into()).await),
        }
    }

    /// What to do about an order for this operation that waits to be paid, if there is one.
    async fn open_order(&self, operation: &OperationName) -> Option<String> {
        let manifest = self.resource.signed().manifest();
        let pins = self.client.servers().ok()?;
        let sold_by = |pin: &&Pin| manifest.servers.iter().any(|server| server.origin == pin.origin);
        let store = self.client.store(&pins.iter().find(sold_by)?.origin);
        payment::open_order(&store, &manifest.publisher.name, &manifest.name, operation).await
    }

    /// The advice of the registry, with the name put in.
    async fn advise(&self, operation: &OperationName, offers: &[Verified<Offer>], refused: Failure) -> Failure {
        let (signed, name) = (self.resource.signed(), self.name());
        // What would help is sold on terms that only a later version can agree to.
        if offers.is_empty() && refused.is_for_unknown_terms() {
            return refused;
        }
        match refused.reason() {
            Some(Reason::ConfirmationRequired) if self.run.max_spend.is_some() => {
                refused.with_fix("agree to more: --max-spend AMOUNT")
            }
            Some(Reason::BalanceTooLow) => {
                refused.with_fix("pay money in: `portcullis top-up 5.00EUR`, then run it again")
            }
            // Without offers, what the registry says of the reason says more.
            Some(reason)
                if reason.turns_on_payment() && !(reason == Reason::EntitlementRevoked && offers.is_empty()) =>
            {
                refused.with_fix(payment::advice(&name, operation, offers))
            }
            Some(Reason::ResourceWithdrawn) => {
                let stores = AtStore::ask_all(self.client, signed).await;
                let Manifest { publisher, name, version, .. } = signed.manifest();
                // A store that still sells it is not the one that refused.
                let refusing = stores.iter().filter(|store| store.standing != Standing::Sold);
                let newest = refusing.filter_map(AtStore::newest).find(|newest| *newest != version);
                refused.with_fix(standing::instead(&publisher.name, name, newest))
            }
            Some(Reason::ServerUntrusted) => untrusted(self.client, signed, &self.run.resource, refused).await,
            // If a store has refused, its address stands there by now.
            Some(reason @ (Reason::NotSignedIn | Reason::TerminalUnknown)) if refused.fix() == reason.advice() => {
                let pins = self.client.servers().unwrap_or_default();
                let mut servers = signed.manifest().servers.iter();
                let trusted = servers.find(|server| {
                    pins.iter().any(|pin| pin.origin == server.origin && pin.root.thumbprint() == server.root)
                });
                match trusted {
                    Some(server) => refused.with_fix(format!("sign in: `portcullis login {}`", server.origin)),
                    None => refused,
                }
            }
            _ => refused,
        }
    }

    /// Calls the export and delivers what it returns.
    async fn call(
        &self,
        authorised: &Authorised,
        export: &str,
        values: &[Val],
        output: Option<Destination>,
    ) -> Outcome<u8> {
        let grant = authorised.grant().document().jti.to_string();
        let mut results = Vec::new();
        let mut bytes = None;
        if authorised.gives_bytes(export)? {
            match authorised.call_for_bytes(export, values).await? {
                Ok(given) => bytes = Some(given),
                Err(value) => return Err(said_no(value.as_ref())),
            }
        } else {
            results = authorised.call(export, values).await?;
            if let [Val::Result(Err(value))] = results.as_slice() {
                return Err(said_no(value.as_deref()));
            }
        }
        match (&bytes, output) {
            (Some(bytes), Some(output)) => {
                output.write(bytes)?;
            }
            (Some(bytes), None) => {
                let written = self.context.screen.bytes(bytes);
                let to = "write to standard output";
                written.map_err(|error| Failure::not_written(to, &error, "write into a file: -o FILE"))?;
                return Ok(0);
            }
            (None, _) => {}
        }
        let text = |value: &Val| to_text(value).unwrap_or_else(|| "(a handle)".to_owned());
        self.context.screen.report(&Ran::Function {
            resource: self.name(),
            operation: authorised.operation().to_string(),
            export: export.to_owned(),
            grant,
            results: results.iter().map(text).collect(),
            output: self.run.output.clone(),
            bytes: bytes.map(|bytes| bytes.len() as u64),
            uses_left: authorised.uses_left(),
            stderr: String::from_utf8_lossy(&self.stderr.take()).into_owned(),
        });
        Ok(0)
    }

    /// Runs the command, with its streams where they belong.
    async fn command(&self, authorised: &Authorised, output: Option<Destination>) -> Outcome<u8> {
        let context = self.context;
        let mut args = vec![self.resource.signed().manifest().name.to_string()];
        args.extend(self.run.arguments.iter().cloned());
        if let Some(output) = output {
            return self.command_into(authorised, args, output).await;
        }
        if !context.screen.is_json() {
            let exit = authorised.run(Command::inherit(args)).await?;
            if exit.output_cut {
                context.screen.warn(CUT);
            }
            return Ok(code(exit.code));
        }
        let (stdout, stderr) = (OutputBuffer::default(), OutputBuffer::default());
        let streams = (Output::Buffer(stdout.clone()), Output::Buffer(stderr.clone()));
        let exit = authorised.run(Command::new(args, Input::Inherit, streams.0, streams.1)).await?;
        let text = |buffer: &OutputBuffer| String::from_utf8_lossy(&buffer.take()).into_owned();
        context.screen.report(&Ran::Command {
            resource: self.name(),
            operation: authorised.operation().to_string(),
            exit: exit.code,
            stdout: text(&stdout),
            stderr: text(&stderr),
            output: None,
            bytes: None,
        });
        Ok(code(exit.code))
    }

    /// Standard output goes to the file as it comes, so that nothing of it is held in memory.
    async fn command_into(&self, authorised: &Authorised, args: Vec<String>, output: Destination) -> Outcome<u8> {
        let context = self.context;
        let file = Arc::new(output.file()?);
        let json = context.screen.is_json();
        let said = OutputBuffer::default();
        let stderr = if json { Output::Buffer(said.clone()) } else { Output::Stderr };
        let command = Command::new(args, Input::Inherit, Output::File(file), stderr);
        let exit = match authorised.run(command).await {
            Err(Error::Output(error)) => return Err(output.failure(&error)),
            exit => exit?,
        };
        if exit.output_cut {
            context.screen.warn(CUT);
        }
        let bytes = output.finish()?;
        context.screen.report(&Ran::Command {
            resource: self.name(),
            operation: authorised.operation().to_string(),
            exit: exit.code,
            stdout: String::new(),
            stderr: String::from_utf8_lossy(&said.take()).into_owned(),
            output: self.run.output.clone(),
            bytes,
        });
        Ok(code(exit.code))
    }
}

/// Says where the resource asks for more than it may have here. It may do with less.
fn tell_bounds(context: &Context, resource: &Resource) {
    let (asked, given) = (resource.signed().manifest().limits, resource.inspect().limits);
    for (what, asked, given) in [
        ("of memory", asked.memory, given.memory),
        ("of results", asked.result, given.result),
        ("of output", asked.output, given.output),
    ] {
        if let Some(asked) = asked.filter(|asked| *asked > given) {
            context.screen.warn(format_args!("it asks for {} {what}, and gets {} here", size(asked), size(given)));
        }
    }
    if let Some(asked) = asked.run_max.filter(|asked| *asked > given.run_max) {
        context.screen.warn(format_args!("it asks for {asked} s a call, and gets {} s here", given.run_max));
    }
}

/// How long the end of a run waits for the store to hear that the grant arrived. What is left is said at the next
/// start.
const SETTLE: Duration = Duration::from_secs(1);

const OTHER_FILE: &str = "choose another file: -o FILE";

/// What to do with a resource that no trusted store sells. It is not always to sign in.
async fn untrusted(client: &Client, signed: &SignedManifest, target: &Target, refused: Failure) -> Failure {
    let pins = client.servers().unwrap_or_default();
    let named = &signed.manifest().servers;
    let countersigned = |origin: &Origin| signed.countersignatures().iter().any(|by| by.iss == *origin);
    let pinned = named
        .iter()
        .filter(|server| pins.iter().any(|pin| pin.origin == server.origin && pin.root.thumbprint() == server.root));
    let pinned: Vec<&Origin> = pinned.map(|server| &server.origin).collect();
    if let [origin, ..] = pinned.as_slice()
        && !pinned.iter().any(|origin| countersigned(origin))
    {
        if let Some((what, fix)) = standing::published(signed, &AtStore::ask_all(client, signed).await) {
            return Failure::refusal(Reason::ServerUntrusted, what).in_detail().with_fix(fix);
        }
        return refused.with_fix(format!(
            "{origin} has not countersigned it, so it does not sell it. Yours? Publish it: `portcullis publish {}`; or \
             try it without a store: `portcullis dev`. Somebody else's? Get it from the store: `portcullis install NAME`",
            quoted(target)
        ));
    }
    match named.iter().find(|server| countersigned(&server.origin)) {
        Some(server) if pinned.is_empty() => {
            refused.with_fix(format!("sign in to a store that sells it: `portcullis login {}`", server.origin))
        }
        None if pinned.is_empty() => refused.with_fix(
            "no store has countersigned it. Yours? Sign in where you sell and publish it: `portcullis login URL`, \
             `portcullis publish FILE`; or try it without a store: `portcullis dev`",
        ),
        _ => refused,
    }
}

const CUT: &str = "the command wrote more than it may; the rest was lost";

/// A process has 8 bits for its exit code.
fn code(exit: i32) -> u8 {
    u8::try_from(exit & 0xff).unwrap_or(1)
}

/// The resource answered with an error of its own. Where that is a refusal, it counts as one.
fn said_no(value: Option<&Val>) -> Failure {
    let text = value.and_then(to_text).unwrap_or_default();
    match value.and_then(refusal_in) {
        Some(reason) => Failure::refusal(reason, format!("the resource answers err({text})")),
        None => Failure::new(
            format!("the resource answers err({text})"),
            "it is the resource's own answer: see what it asks for",
        ),
    }
}

/// There is no command to run: says what can be called instead.
fn how_to_call(resource: &Resource, target: &Target) -> Outcome<Failure> {
    let manifest = resource.signed().manifest();
    let mut lines = String::new();
    let mut example = None;
    for operation in &manifest.operations {
        for export in &operation.exports {
            let function = resource.function(export.as_str())?;
            lines += &format!("\n  {}: {}  ({})", function.name(), readable(&function.signature), operation.name);
            example.get_or_insert_with(|| {
                usage::invoke(function.name(), function.takes_nothing(), function.gives_bytes(), target)
            });
        }
    }
    let name = format!("{}/{}", manifest.publisher.name, manifest.name);
    Ok(Failure::usage(
        format!("{name} is not a command. Call one of its functions:{lines}"),
        example.unwrap_or_else(|| "it has no function that can be called".into()),
    ))
}

/// What `--bills` without a name stands for: no mailbox is called so.
const ALL_MAILBOXES: &str = "*";

/// A mailbox whose bills are lent; none for all of them.
#[derive(Debug, Clone)]
struct LentMailbox(Option<MailboxName>);

impl std::str::FromStr for LentMailbox {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        (text != ALL_MAILBOXES).then(|| text.parse()).transpose().map(Self)
    }
}

/// `portcullis-mail` beside this program, else the one that PATH finds.
fn mail_command() -> PathBuf {
    let name = format!("portcullis-mail{}", std::env::consts::EXE_SUFFIX);
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(&name)));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| name.into())
}

fn directory(text: &str) -> Result<Directory, String> {
    let (host, guest) = text.split_once("::").unwrap_or((text, text));
    let host = PathBuf::from(host);
    if !host.is_dir() {
        return Err(format!("`{}` is not a directory", host.display()));
    }
    Ok(Directory { host, guest: guest.to_owned(), writable: true })
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) => Err("write NAME=VALUE".to_owned()),
        // As wasmtime has it: the variable is passed on.
        None => std::env::var(text)
            .map(|value| (text.to_owned(), value))
            .map_err(|_| format!("`{text}` is not set; write {text}=VALUE")),
    }
}

impl Report for Ran {
    fn text(&self) -> String {
        match self {
            Self::Function { output: Some(file), bytes: Some(bytes), uses_left, .. } => {
                let good = style::GOOD;
                let left = uses_left
                    .map_or_else(String::new, |left| format!(", {} left under this grant", counted(left, "call")));
                format!("{good}wrote{good:#} {} ({}{left})\n", file.display(), size(*bytes))
            }
            Self::Function { results, .. } => results.iter().map(|result| format!("{result}\n")).collect(),
            Self::Command { output: Some(file), bytes, .. } => {
                let good = style::GOOD;
                // What is written through is not counted.
                let bytes = bytes.map_or_else(String::new, |bytes| format!(" ({})", size(bytes)));
                format!("{good}wrote{good:#} {}{bytes}\n", file.display())
            }
            Self::Command { stdout, .. } => stdout.clone(),
        }
    }
}
