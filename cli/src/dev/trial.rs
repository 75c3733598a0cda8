//! A resource at its user's, tried while its author watches: whatever would cost a buyer something and serve him
//! nothing is a failure.

use portcullis_host::{
    Authorised, Client, Command, Error, Function, Gatekeeper as _, Input, Output, OutputBuffer, Resource, Terms, Val,
    refusal_in, to_text,
};
use portcullis_protocol::text::{counted, lasting};
use portcullis_protocol::{Offer, OperationEntry, OperationName, Reason, Verified};

use super::story::Story;
use super::watch::{self, Met, Watch};
use crate::failure::{Failure, Outcome};
use crate::payment::{self, Payment};
use crate::screen::output::{OfferLine, size, style};

/// What is tried of an operation.
pub(crate) enum Work {
    Call {
        function: Function,
        values: Vec<Val>,
        made_up: bool,
    },
    Command {
        args: Vec<String>,
    },
    /// Only the cycle.
    Nothing,
}

/// How it went, if it came to its end.
struct Done {
    shown: String,
    /// The refusal that it answered with.
    refused: Option<Reason>,
    exit: i32,
}

/// A resource at its user's, while its author watches.
pub(crate) struct Trial<'t> {
    pub(crate) client: &'t Client,
    pub(crate) resource: &'t Resource,
    pub(crate) watch: &'t Watch,
}

impl Trial<'_> {
    /// Runs the cycle and then the work. What the resource asks for from inside, and nobody has bought yet, is bought,
    /// and the work is tried again. Whatever would cost a buyer something and serve him nothing is a failure.
    pub(crate) async fn attempt(&self, story: &mut Story<'_>, operation: &OperationEntry, work: &Work) -> Outcome {
        let manifest = self.resource.signed().manifest();
        let mut bought = Vec::new();
        loop {
            let authorised = cycle(story, self.client, self.resource, operation).await?;
            let outcome = work.run(&authorised, &self.watch.stderr()).await;
            let (said, met) = (self.watch.take_said(), self.watch.take_met());
            let dim = style::DIM;
            for line in said.lines() {
                story.context.screen.note(format_args!("    {dim}stderr{dim:#} {line}"));
            }
            if let Some(failure) = watch::unknown_name(&met, manifest) {
                return Err(failure);
            }
            // A resource may give up in its own way if it is refused.
            let failed = outcome.as_ref().map_or(true, |done| done.refused.is_some() || done.exit != 0);
            if let Some(offer) = met.iter().filter(|_| failed).find_map(|met| unpaid(met, &bought)) {
                payment::pay(&self.client.store(&offer.document().iss), &offer, &sandbox()?).await?;
                story.end("buy", format!("{}, which it requests from inside", OfferLine::of(&offer)));
                bought.push(offer.document().operation.clone());
                continue;
            }
            let done = outcome.map_err(|error| died(operation, &error, &said))?;
            if !matches!(work, Work::Nothing) {
                story.end("call", &done.shown);
            }
            return match done.refused {
                Some(reason) => Err(Failure::new(
                    format!(
                        "the operation `{}` was granted and is refused all the same, {reason}: {}",
                        operation.name, done.shown
                    ),
                    watch::advice(&met, &operation.name),
                )),
                None if done.exit != 0 => Err(Failure::new(
                    format!("the command of `{}` ends with exit code {}{}", operation.name, done.exit, heard(&said)),
                    "give it the arguments that it needs, `portcullis dev -- ARGS`, or correct it",
                )),
                None => Ok(()),
            };
        }
    }
}

/// An offer of what a resource asked for and was refused unpaid, unless it was bought already.
fn unpaid(met: &Met, bought: &[OperationName]) -> Option<Verified<Offer>> {
    let Met::Operation { refused, .. } = met else { return None };
    let mut offers = refused.offers.iter().filter(|_| refused.reason == Reason::PaymentRequired);
    let sold = |offer: &&Verified<Offer>| {
        let offer = offer.document();
        offer.rights.is_bought() && !bought.contains(&offer.operation)
    };
    offers.find(sold).cloned()
}

/// The resource did not come to its end, after it was paid for.
fn died(operation: &OperationEntry, error: &Error, said: &str) -> Failure {
    let fix = match error {
        Error::Trap(_) if said.is_empty() => {
            "correct it in the sources; a panic says more where the bindings are made by `portcullis_guest::generate!`"
        }
        Error::Limit(_) => "let it do less, or ask for more in [limits] of portcullis.toml",
        _ => "correct it in the sources",
    };
    Failure::new(format!("the operation `{}` was granted and fails: {error}{}", operation.name, heard(said)), fix)
}

/// What a resource said last, as it stands in a failure.
fn heard(said: &str) -> String {
    let lines: Vec<&str> = said.lines().rev().take(20).collect();
    lines.iter().rev().map(|line| format!("\n  {line}")).collect()
}

impl Work {
    async fn run(&self, authorised: &Authorised, stderr: &Output) -> Result<Done, Error> {
        match self {
            Self::Call { function, values, made_up } => call(authorised, function, values, *made_up).await,
            Self::Command { args } => {
                let stdout = OutputBuffer::default();
                let output = Output::Buffer(stdout.clone());
                let command = Command::new(args.clone(), Input::Empty, output, stderr.clone());
                let exit = authorised.run(command).await?.code;
                let text = String::from_utf8_lossy(&stdout.take()).trim().to_owned();
                let shown = format!("wasi:cli/run {} → exit {exit}: {}", args[1..].join(" "), short(&text));
                Ok(Done { shown, refused: None, exit })
            }
            Self::Nothing => Ok(Done { shown: String::new(), refused: None, exit: 0 }),
        }
    }
}

/// Pays without money.
pub(crate) fn sandbox() -> Outcome<Payment> {
    "sandbox:ok".parse().map_err(|error| Failure::usage(error, "tell the authors"))
}

/// The cycle for one operation; if it is refused unpaid, buys it and runs the cycle again.
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
    // A second call may find the uses of the first purchase used up.
    let offers = match failure.reason() {
        Some(Reason::PaymentRequired) => failure.offers().to_vec(),
        Some(reason) if reason.turns_on_payment() => client.cycle().offers(resource.signed(), name).await?,
        _ => return Err(failure),
    };
    let offer = offers.iter().find(|offer| !offer.document().rights.is_given()).cloned();
    let Some(offer) = offer else {
        return Err(failure.with_fix(format!("add an [[offer]] for `{name}` to portcullis.toml")));
    };
    let reason = failure.reason().map_or_else(String::new, |reason| reason.to_string());
    story.end("cycle", format!("{bad}refused{bad:#}: {reason}, with a signed offer"));
    let mut terms = Terms::default();
    if offer.document().rights.is_paid_per_unit() {
        terms.offer = Some(offer.clone());
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
    let uses = document.limits.uses.map_or_else(String::new, |uses| format!(", {}", counted(uses, "call")));
    let time = lasting(document.exp.saturating_sub(document.iat));
    format!("request → status code → verify → grant ({}{uses}, {time}, keys of {})", document.model, parts.join(", "))
}

async fn call(authorised: &Authorised, function: &Function, values: &[Val], made_up: bool) -> Result<Done, Error> {
    let (results, error) = if function.gives_bytes() {
        match authorised.call_for_bytes(&function.export, values).await? {
            Ok(bytes) => (size(bytes.len() as u64), None),
            Err(value) => (format!("err({})", value.as_ref().and_then(to_text).unwrap_or_default()), value),
        }
    } else {
        let results = authorised.call(&function.export, values).await?;
        let texts: Vec<String> = results.iter().filter_map(to_text).map(|text| short(&text)).collect();
        let error = match results.into_iter().next() {
            Some(Val::Result(Err(value))) => value.map(|value| *value),
            _ => None,
        };
        (texts.join(", "), error)
    };
    let arguments: Vec<String> = values.iter().filter_map(to_text).map(|text| short(&text)).collect();
    let own = if made_up && error.is_some() { "  (its own answer to a made-up value: try --invoke)" } else { "" };
    let shown = format!("{}({}) → {results}{own}", function.name(), arguments.join(", "));
    Ok(Done { shown, refused: error.as_ref().and_then(refusal_in), exit: 0 })
}

/// The beginning of a text: a result may be a whole picture.
fn short(text: &str) -> String {
    const MOST: usize = 72;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}… ({})", &text[..end], size(text.len() as u64)),
        None => text.to_owned(),
    }
}
