//! `portcullis codes`: the electronic codes that the account has bought.

mod absence;
mod doubt;
mod next;
mod unpaid_codes;
mod watch;

use clap::Args;
use portcullis_host::{ClientError, CodeOrder, Collected, Storefront};
use portcullis_protocol::codes::{CodeState, Codes, ReportedState};
use portcullis_protocol::wire::PaymentStep;
use portcullis_protocol::{OrderId, Origin, Reason, TerminalId};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

pub(super) use self::absence::not_yet;
use self::unpaid_codes::UnpaidCodes;
pub(super) use self::watch::may_answer_later;
use self::watch::{Seen, Until};
use crate::context::{Context, ServerOption};
use crate::failure::{Failure, Outcome};
use crate::payment::identifier;
use crate::screen::hint;
use crate::screen::output::{Report, Screen};
use crate::screen::table::Table;

/// How often an order is asked about that its merchant has not delivered.
const LOOK: Duration = Duration::from_millis(500);
/// How often it is looked for the code of an order that has just got its key: for ten seconds.
const LOOKS_AT_ONCE: u32 = 20;

/// List the codes you bought and fetch those that have come, or show those of one order
#[derive(Debug, Args)]
#[command(name = "codes")]
pub(crate) struct ShowCodes {
    /// The order whose codes are shown, one a line
    #[arg(value_parser = |text: &str| identifier::read::<OrderId>(text, "portcullis codes"))]
    order: Option<OrderId>,
    /// Follow the orders, and fetch what arrives, until nothing more can come to this terminal
    #[arg(long, conflicts_with = "order")]
    watch: bool,
    /// Put the codes on the terminal's clipboard (OSC 52) instead of on the screen
    #[arg(long, requires = "order")]
    copy: bool,
    /// Show them once: remove them from this terminal when they were written
    #[arg(long, requires = "order", conflicts_with = "copy")]
    once: bool,
    /// Have the order delivered to this terminal, if the one that has it is lost and you say so on the order's page
    #[arg(long, requires = "order", conflicts_with_all = ["copy", "once"])]
    claim: bool,
    /// Believe this key of the merchant, be it new, and no other: its words, as the merchant itself told you
    #[arg(long, value_name = "WORDS", requires = "order")]
    accept_key: Option<String>,
    /// Take the key of a merchant that you have never bought from here, without being asked
    #[arg(long, requires = "order")]
    yes: bool,
    #[command(flatten)]
    store: ServerOption,
}

/// An order as it is listed.
#[derive(Debug, Serialize)]
pub(crate) struct CodeLine {
    order: String,
    state: String,
    merchant: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    product: Option<String>,
    quantity: u32,
    amount: String,
    /// Whether the codes are on this terminal.
    here: bool,
    /// The terminal of the account that it is delivered to.
    #[serde(skip_serializing_if = "Option::is_none")]
    terminal: Option<String>,
    /// Why the merchant declined it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// By when it has to be paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    /// The address at which it is paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pay: Option<PaymentStep>,
    /// What it is called by the store's word alone.
    #[serde(skip)]
    title: Option<String>,
    #[serde(skip)]
    next: String,
}

#[derive(Serialize)]
struct Listed {
    server: String,
    codes: Vec<CodeLine>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
}

/// The codes of one order.
#[derive(Serialize)]
struct Shown {
    order: String,
    /// Whether they were copied to the clipboard. Then they are not printed.
    copied: bool,
    /// Why they may be void.
    #[serde(skip_serializing_if = "Option::is_none")]
    doubt: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    codes: Vec<String>,
}

#[derive(Serialize)]
struct Claimed {
    order: String,
    generation: u32,
}

impl CodeLine {
    fn of(order: &CodeOrder, names: &BTreeMap<TerminalId, String>) -> Self {
        let elsewhere = order.terminal.and_then(|terminal| names.get(&terminal)).map(String::as_str);
        Self {
            order: order.id.to_string(),
            state: order.state.to_string(),
            merchant: order.merchant.to_string(),
            product: order.product.as_ref().map(|product| product.title.to_string()),
            quantity: order.quantity.get(),
            amount: order.amount.to_string(),
            here: order.is_here,
            terminal: order.terminal.map(|terminal| terminal.to_string()),
            reason: order.reason.clone(),
            until: None,
            pay: None,
            title: None,
            next: next::next(order, elsewhere),
        }
    }

    fn unpaid(unpaid: &UnpaidCodes) -> Self {
        Self {
            order: unpaid.order.to_string(),
            state: UnpaidCodes::STATE.to_owned(),
            merchant: unpaid.merchant.to_string(),
            product: None,
            quantity: unpaid.quantity,
            amount: unpaid.amount.to_string(),
            here: false,
            terminal: unpaid.terminal.map(|terminal| terminal.to_string()),
            reason: None,
            until: Some(unpaid.until),
            pay: unpaid.step.clone(),
            title: Some(unpaid.title.to_string()),
            next: unpaid.next(),
        }
    }
}

impl ShowCodes {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let client = context.client()?;
        let store = client.store(&self.store.origin(&client)?);
        let Some(order) = self.order else {
            let until = if self.watch { Until::AllHaveCome } else { Until::Looked };
            let look = || context.wait(async { watch::follow(&client, &store, context.screen, until).await });
            let mut seen = look()?;
            if self.meet_all(context, &store, &seen) {
                seen = look()?;
            }
            context.screen.report(&context.wait(async { Ok(list(&store, seen).await) })?);
            return Ok(());
        };
        if let Some(told) = &self.accept_key {
            context.wait(async { Ok(store.accept_merchant_key_of(&order, told).await?) })?;
        }
        if self.claim {
            self.meet(context, &store, &order)?;
            let claimed = context.wait(async { Ok(store.take_over_codes(&order).await?) });
            let generation = claimed.map_err(|failure| elsewhere(failure, store.origin(), &order))?.get();
            context.screen.report(&Claimed { order: order.to_string(), generation });
            return Ok(());
        }
        // A merchant whose code goes to another terminal is none of this one's.
        let comes_here = || context.wait(async { comes_here(&store, &order).await });
        if store.stored_codes(&order)?.is_none() && comes_here()? {
            self.meet(context, &store, &order)?;
        }
        let codes = context.wait(async { codes_of(&store, &order).await })?;
        let doubt = context.wait(async { Ok(doubt::ask(&store, &order).await) })?;
        let shown = shown(context.screen, &order, &codes, self.copy, doubt)?;
        if self.once {
            // Nobody has another copy: they go when they were written, and not before.
            context.screen.deliver(&shown).map_err(|error| {
                context
                    .screen
                    .warn(format_args!("the codes of order {order} stay on this terminal: they were not written"));
                Failure::not_written("write to standard output", &error, "show them elsewhere, then run this again")
            })?;
            store.forget_codes(&order)?;
        } else {
            context.screen.report(&shown);
        }
        Ok(())
    }

    /// Asks about the merchants that are new here, if somebody sits there to be asked. Returns whether one was taken.
    fn meet_all(&self, context: &Context, store: &Storefront, seen: &Seen) -> bool {
        let mut asked = BTreeMap::new();
        for (merchant, order) in seen.strangers.iter().filter(|_| context.screen.can_ask()) {
            if !asked.contains_key(merchant) {
                asked.insert(merchant, self.meet(context, store, order).is_ok());
            }
        }
        asked.into_values().any(|taken| taken)
    }

    /// The key of a merchant that is new here is shown, and pinned if its user agrees.
    fn meet(&self, context: &Context, store: &Storefront, order: &OrderId) -> Outcome {
        let Some(merchant) = context.wait(async { Ok(store.new_merchant(order).await?) })? else { return Ok(()) };
        let what = format!(
            "Nothing was bought from {} at this terminal before. Its key, by the store's word:\n  {}\nIs that the merchant's?",
            merchant.name,
            merchant.key.thumbprint().words()
        );
        if !self.yes && !context.screen.ask(what) {
            let fix = "compare the words with those that the merchant itself shows, then answer y, or pass --yes";
            return Err(Failure::new(format!("the key of {} was not confirmed", merchant.name), fix));
        }
        context.wait(async { Ok(store.accept_merchant(&merchant).await?) })
    }
}

/// What to do if another terminal has the order, and this one is not the one that the account has preset.
fn elsewhere(failure: Failure, server: &Origin, order: &OrderId) -> Failure {
    if failure.reason() != Some(Reason::ConfirmationRequired) {
        return failure;
    }
    let fix = format!(
        "choose this terminal (its words: `portcullis terminals`) on {server}/account/orders/{order}, then run this again"
    );
    failure.in_detail().with_fix(fix)
}

/// Whether the code of an order comes to this terminal; if it is not paid yet, an error that says what to do.
async fn comes_here(store: &Storefront, order: &OrderId) -> Outcome<bool> {
    if let Some(found) = store.code_order(order).await? {
        return Ok(found.comes_here);
    }
    match UnpaidCodes::all(store).await?.into_iter().find(|unpaid| unpaid.order == *order) {
        Some(unpaid) => Err(Failure::new(format!("order {order} is not paid"), unpaid.next())),
        None => Ok(false),
    }
}

/// Lists what was seen.
async fn list(store: &Storefront, seen: Seen) -> Listed {
    let Seen { unpaid, unlisted, orders, problems, .. } = seen;
    let names = terminal_names(store, &orders).await;
    let codes = orders.iter().map(|order| CodeLine::of(order, &names));
    // What its buyer still has to do stands first.
    let codes = unpaid.iter().map(CodeLine::unpaid).chain(codes).collect();
    let problems = unlisted.into_iter().chain(problems.into_values()).collect();
    Listed { server: store.origin().to_string(), codes, problems }
}

/// What the account's terminals are called, if one of the orders goes to another one than this. If that cannot be
/// learned, what else is said of the orders stands.
async fn terminal_names(store: &Storefront, orders: &[CodeOrder]) -> BTreeMap<TerminalId, String> {
    if !orders.iter().any(absence::is_elsewhere) {
        return BTreeMap::new();
    }
    let Ok(account) = store.account().await else { return BTreeMap::new() };
    account.terminals.known.into_iter().map(|terminal| (terminal.terminal, terminal.label)).collect()
}

/// The codes of an order: those that are here, or what has come for it.
async fn codes_of(store: &Storefront, order: &OrderId) -> Outcome<Codes> {
    if let Some(codes) = store.stored_codes(order)? {
        return Ok(codes);
    }
    // One that was bought in a browser has its key by the first look.
    let mut looks = 0;
    loop {
        let collected = store.collect_codes(order).await.map_err(|error| {
            let is_missing = matches!(error, ClientError::NotFound(_));
            let failure = Failure::from(error);
            if is_missing { failure.with_fix("see how the order stands: `portcullis codes`") } else { failure }
        });
        match collected? {
            Collected::Here(codes) => return Ok(codes),
            Collected::Keyed if looks == 0 => looks = LOOKS_AT_ONCE,
            Collected::Keyed => return Err(not_yet(store, order, ReportedState::Known(CodeState::Paid)).await),
            Collected::NotYet(state) if looks <= 1 => return Err(not_yet(store, order, state).await),
            Collected::NotYet(_) => {
                looks -= 1;
                tokio::time::sleep(LOOK).await;
            }
            _ => {
                let why = format!("there is no code of order {order}");
                return Err(Failure::new(why, "update Portcullis, then look again"));
            }
        }
    }
}

/// Codes to be shown, unless they were put on the clipboard of the terminal.
fn shown(screen: Screen, order: &OrderId, codes: &Codes, copy: bool, doubt: Option<&'static str>) -> Outcome<Shown> {
    let texts: Vec<String> = codes.iter().map(ToOwned::to_owned).collect();
    if copy && !screen.copy(&texts.join("\n")) {
        return Err(Failure::usage("there is no terminal whose clipboard could have the codes", "leave --copy out"));
    }
    let codes = if copy { Vec::new() } else { texts };
    Ok(Shown { order: order.to_string(), copied: copy, doubt, codes })
}

impl Report for Listed {
    fn text(&self) -> String {
        let mut table = Table::new(&["order", "state", "merchant", "product", "amount", "next"]).with_whole(&[0, 5]);
        for line in &self.codes {
            let product = line.product.clone().or_else(|| line.title.clone()).unwrap_or_else(|| "-".into());
            let product = if line.quantity == 1 { product } else { format!("{} × {product}", line.quantity) };
            let CodeLine { order, state, merchant, amount, next, .. } = line;
            table.row([order.clone(), state.clone(), merchant.clone(), product, amount.clone(), next.clone()]);
        }
        table.to_string()
    }

    fn notes(&self) -> String {
        let mut notes = String::new();
        notes.extend(self.problems.iter().map(|problem| format!("{problem}\n")));
        if self.codes.is_empty() {
            notes += &hint::typed("you have bought no codes; `portcullis pay ADDRESS` pays a merchant's request\n");
        }
        notes
    }
}

impl Report for Shown {
    fn text(&self) -> String {
        self.codes.iter().map(|code| format!("{code}\n")).collect()
    }

    fn notes(&self) -> String {
        let mut notes = String::new();
        if self.copied {
            notes.push_str("sent to the clipboard; not every terminal takes it\n");
        }
        if let Some(doubt) = self.doubt {
            let _ = writeln!(notes, "the code of order {}: {doubt}", self.order);
        }
        notes
    }
}

impl Report for Claimed {
    fn text(&self) -> String {
        match self.generation {
            1 => format!("order {} is delivered to this terminal\n", self.order),
            _ => format!(
                "order {} is delivered to this terminal; its merchant seals the code once more: `{} --watch`\n",
                self.order,
                hint::typed("portcullis codes")
            ),
        }
    }
}
