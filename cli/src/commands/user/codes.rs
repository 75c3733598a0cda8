//! `portcullis codes`: the electronic codes that the account has bought.

use base64ct::{Base64, Encoding as _};
use clap::Args;
use portcullis_host::{ClientError, CodeOrder, Collected, Storefront};
use portcullis_protocol::codes::{CodeState, Codes, ReportedState};
use portcullis_protocol::{OrderId, Origin, Reason};
use serde::Serialize;
use std::collections::HashSet;
use std::time::Duration;

use crate::context::{Context, ServerOption};
use crate::failure::{Failure, Outcome};
use crate::payment::identifier;
use crate::screen::output::{Report, Screen};
use crate::screen::table::Table;

/// How often an order is asked about that its merchant has not delivered.
const LOOK: Duration = Duration::from_millis(500);
/// How often it is looked for the code of an order that has just got its key, without `--watch`: for ten seconds.
const LOOKS_AT_ONCE: u32 = 20;

/// List the codes you bought and fetch those that have come, or show those of one order
#[derive(Debug, Args)]
#[command(name = "codes")]
pub(crate) struct ShowCodes {
    /// The order whose codes are shown, one a line
    #[arg(value_parser = |text: &str| identifier::read::<OrderId>(text, "portcullis codes"))]
    order: Option<OrderId>,
    /// Wait until every order has its codes, or has failed
    #[arg(long, conflicts_with = "order")]
    watch: bool,
    /// Put the codes on the terminal's clipboard (OSC 52) instead of on the screen
    #[arg(long, requires = "order")]
    copy: bool,
    /// Show them once: remove them from this terminal when they were shown
    #[arg(long, requires = "order")]
    once: bool,
    /// Have the order delivered to this terminal, if the one that has it is lost and you say so on the order's page
    #[arg(long, requires = "order", conflicts_with_all = ["copy", "once"])]
    claim: bool,
    /// Believe the merchant's new key: these are its words, and the merchant itself told you
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    codes: Vec<String>,
}

#[derive(Serialize)]
struct Claimed {
    order: String,
    generation: u32,
}

impl From<&CodeOrder> for CodeLine {
    fn from(order: &CodeOrder) -> Self {
        let next = match order.state.known() {
            _ if order.is_here => format!("portcullis codes {}", order.id),
            _ if order.key_wanted => "this terminal: make its key, `portcullis codes`".to_owned(),
            Some(state) => {
                let next = state.next_of(order.sealed, order.generation);
                next.map_or_else(String::new, |(who, what)| format!("{who}: {what}"))
            }
            None => "update Portcullis".to_owned(),
        };
        Self {
            order: order.id.to_string(),
            state: order.state.to_string(),
            merchant: order.merchant.to_string(),
            product: order.product.as_ref().map(|product| product.title.to_string()),
            quantity: order.quantity.get(),
            amount: order.amount.to_string(),
            here: order.is_here,
            next,
        }
    }
}

impl ShowCodes {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let client = context.client()?;
        let server = self.store.origin(&client)?;
        if let (Some(order), Some(told)) = (&self.order, &self.accept_key) {
            context.wait(async { Ok(client.store(&server).accept_merchant_key_of(order, told).await?) })?;
        }
        match self.order {
            Some(order) if self.claim => {
                self.meet(context, &client.store(&server), &order)?;
                let claimed = context.wait(async { Ok(client.store(&server).take_over_codes(&order).await?) });
                let generation = claimed.map_err(|failure| elsewhere(failure, &server, &order))?.get();
                context.screen.report(&Claimed { order: order.to_string(), generation });
            }
            Some(order) => {
                let store = client.store(&server);
                if store.stored_codes(&order)?.is_none() {
                    self.meet(context, &store, &order)?;
                }
                let codes = context.wait(async { codes_of(&store, &order).await })?;
                show(context.screen, &order, &codes, self.copy)?;
                if self.once {
                    store.forget_codes(&order)?;
                }
            }
            None => {
                let watch = self.watch;
                let listed = context.wait(async { list(&client.store(&server), watch).await })?;
                context.screen.report(&listed);
            }
        }
        Ok(())
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

/// What is new at a merchant that nothing was bought from.
const ACQUAINT: &str = "Compare that with the words that the merchant itself shows, then:";

impl ShowCodes {
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
        Ok(store.accept_merchant(&merchant)?)
    }
}

/// Fetches what has come; with `watch`, until nothing more can.
async fn list(store: &Storefront, watch: bool) -> Outcome<Listed> {
    // A merchant has answered by then, if it does at once.
    let mut patience = 0_u32;
    // Asked for again and again, an order gets its key once.
    let mut keyed = HashSet::new();
    loop {
        let (mut problems, mut waits) = (Vec::new(), false);
        let orders = store.code_orders().await?;
        for order in orders.iter().filter(|order| !order.is_here) {
            match order.state.known() {
                Some(CodeState::CodeReceived | CodeState::Delivered) => match store.collect_codes(&order.id).await {
                    Ok(Collected::NotYet(_)) => waits |= order.sealed != Some(order.generation),
                    Ok(_) => {}
                    // It is on another terminal, and stays in the list.
                    Err(ClientError::NotFound(_)) => {}
                    Err(error @ ClientError::CodeNotAsBought { .. }) => problems.push(error.to_string()),
                    Err(error) => return Err(error.into()),
                },
                Some(_) if order.key_wanted && keyed.insert(order.id) => match store.collect_codes(&order.id).await {
                    Ok(_) => (waits, patience) = (true, LOOKS_AT_ONCE),
                    Err(error @ ClientError::MerchantNew { .. }) => {
                        problems.push(format!("{error}. {ACQUAINT} portcullis codes {}", order.id));
                    }
                    Err(error) => problems.push(format!("order {} got no key of this terminal: {error}", order.id)),
                },
                // What waits for a key waits for a person.
                Some(state) => waits |= state.waits_for_code() && !order.key_wanted,
                None => {}
            }
        }
        if waits && (watch || patience > 0) {
            patience = patience.saturating_sub(1);
            tokio::time::sleep(LOOK).await;
            continue;
        }
        let codes = store.code_orders().await?.iter().map(CodeLine::from).collect();
        return Ok(Listed { server: store.origin().to_string(), codes, problems });
    }
}

/// The codes of an order: those that are here, or what has come for it.
async fn codes_of(store: &Storefront, order: &OrderId) -> Outcome<Codes> {
    if let Some(codes) = store.stored_codes(order)? {
        return Ok(codes);
    }
    // One that was bought in a browser has its key by the first look.
    let mut looks = 0;
    loop {
        match store.collect_codes(order).await? {
            Collected::Here(codes) => return Ok(codes),
            Collected::Keyed if looks == 0 => looks = LOOKS_AT_ONCE,
            Collected::Keyed => return Err(not_yet(order, ReportedState::Known(CodeState::Paid))),
            Collected::NotYet(state) if looks <= 1 => return Err(not_yet(order, state)),
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

/// There is no code, and why.
pub(crate) fn not_yet(order: &OrderId, state: ReportedState) -> Failure {
    let fix = match state.known().and_then(CodeState::next) {
        Some((_, next)) => format!("wait for it: `portcullis codes --watch`. What is next: {next}"),
        None => "see `portcullis receipts`; what was paid for a code that never came goes back by itself".to_owned(),
    };
    Failure::new(format!("there is no code of order {order} for this terminal: it is {state}"), fix)
}

/// Shows codes, or puts them on the clipboard of the terminal.
fn show(screen: Screen, order: &OrderId, codes: &Codes, copy: bool) -> Outcome {
    let texts: Vec<String> = codes.iter().map(ToOwned::to_owned).collect();
    if copy {
        let encoded = Base64::encode_string(texts.join("\n").as_bytes());
        screen.tell(format_args!("\u{1b}]52;c;{encoded}\u{7}"));
    }
    let codes = if copy { Vec::new() } else { texts };
    screen.report(&Shown { order: order.to_string(), copied: copy, codes });
    Ok(())
}

impl Report for Listed {
    fn text(&self) -> String {
        let mut table = Table::new(&["order", "state", "merchant", "product", "paid", "next"]).with_whole(&[0, 5]);
        for line in &self.codes {
            let product = line.product.clone().unwrap_or_else(|| "-".into());
            let product = if line.quantity == 1 { product } else { format!("{} × {product}", line.quantity) };
            let CodeLine { order, state, merchant, amount, next, .. } = line;
            table.row([order.clone(), state.clone(), merchant.clone(), product, amount.clone(), next.clone()]);
        }
        table.to_string()
    }

    fn notes(&self) -> String {
        let mut notes: String = self.problems.iter().map(|problem| format!("{problem}\n")).collect();
        if self.codes.is_empty() {
            notes.push_str("you have bought no codes; `portcullis pay ADDRESS` pays a merchant's request\n");
        }
        notes
    }
}

impl Report for Shown {
    fn text(&self) -> String {
        self.codes.iter().map(|code| format!("{code}\n")).collect()
    }

    fn notes(&self) -> String {
        if self.copied { "copied to the clipboard\n".to_owned() } else { String::new() }
    }
}

impl Report for Claimed {
    fn text(&self) -> String {
        match self.generation {
            1 => format!("order {} is delivered to this terminal\n", self.order),
            _ => format!(
                "order {} is delivered to this terminal; its merchant seals the code once more: `portcullis codes --watch`\n",
                self.order
            ),
        }
    }
}
