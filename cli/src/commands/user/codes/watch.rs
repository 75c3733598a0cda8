//! Orders of codes while they move: what has come is fetched, and what the store tells of the others is shown.
//!
//! ```text
//! look at all ──▶ nothing more can come ──▶ the end
//!    ▲   │
//!    │   ▼
//!    │  an event ──▶ look at its order
//!    └── events are missing · nothing was heard for a minute · the store did not answer
//! ```

use portcullis_host::{Client, ClientError, CodeOrder, Collected, Events, Storefront, Told};
use portcullis_protocol::codes::CodeState;
use portcullis_protocol::{MerchantName, OrderId, Reason, TerminalId};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use super::next::next;
use super::unpaid_codes::UnpaidCodes;
use crate::failure::Outcome;
use crate::screen::hint;
use crate::screen::output::{Screen, style};

/// After how long without an event everything is looked at once more: for what a store does not tell of.
const SILENCE: Duration = Duration::from_secs(60);
/// How long is waited before a store that did not answer is asked again; each request is repeated by itself before.
const PAUSE: Duration = Duration::from_secs(2);
/// How long a store may not answer: longer than it takes to start a server again or to move it.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// How long is waited, without `--watch`, for the code of an order that has just got its key: a merchant has answered
/// by then, if it does at once.
const AT_ONCE: Duration = Duration::from_secs(10);

/// Until when it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// What has come is fetched; keys that are wanted are made, and their codes waited for.
    Looked,
    /// Nothing more can come.
    AllHaveCome,
}

/// What was seen in the end.
#[derive(Default)]
pub(super) struct Seen {
    /// What is not paid yet, newest first.
    pub(super) unpaid: Vec<UnpaidCodes>,
    /// Why it cannot be told what is not paid.
    pub(super) unlisted: Option<String>,
    /// Newest first.
    pub(super) orders: Vec<CodeOrder>,
    /// What could not be fetched or got no key, and why.
    pub(super) problems: BTreeMap<OrderId, String>,
    /// The orders whose merchants are new at this terminal: its user compares their keys.
    pub(super) strangers: Vec<(MerchantName, OrderId)>,
}

/// A step that an order has taken, as a program reads it: one JSON value a line, on standard error.
#[derive(Serialize)]
struct Move<'a> {
    order: String,
    merchant: &'a str,
    state: &'a str,
    /// Whether the codes are on this terminal.
    here: bool,
}

struct Watch<'a> {
    store: &'a Storefront,
    screen: Screen,
    until: Until,
    seen: Seen,
    /// This terminal, once it was asked for.
    this: Option<TerminalId>,
    /// Asked for again and again, an order gets its key once.
    keyed: HashSet<OrderId>,
    /// Until when the codes of orders are waited for that have just got their key.
    at_once: Option<Instant>,
}

/// Fetches what has come, and goes on until then.
pub(super) async fn follow(client: &Client, store: &Storefront, screen: Screen, until: Until) -> Outcome<Seen> {
    let mut watch =
        Watch { store, screen, until, seen: Seen::default(), this: None, keyed: HashSet::new(), at_once: None };
    let mut events: Option<Events> = None;
    // Which order is to be looked at; all of them without one.
    let mut next: Option<OrderId> = None;
    let mut unanswered: Option<Instant> = None;
    loop {
        let looked = match next.take() {
            Some(order) => watch.look_at(&order).await,
            None => watch.look_at_all().await,
        };
        match looked {
            Ok(()) => {
                if unanswered.take().is_some() {
                    screen.note("the store answers again");
                }
            }
            // A plain list is asked for again by its user.
            Err(error) if may_answer_later(&error) && events.is_some() => {
                let since = *unanswered.get_or_insert_with(|| {
                    screen.note(format_args!("the store does not answer; it is asked again: {error}"));
                    Instant::now()
                });
                if since.elapsed() > PATIENCE {
                    return Err(error.into());
                }
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        }
        let Some(most) = watch.patience() else { return Ok(watch.seen) };
        let Some(events) = &mut events else {
            let mut stream = client.events(store.origin(), None)?;
            stream.skip_to_now().await?;
            // What happened between the look and this is told by another look.
            events = Some(stream);
            continue;
        };
        next = match tokio::time::timeout(most, told(events)).await {
            Ok(told) => told?,
            Err(_) => None,
        };
    }
}

/// Waits for an event of an order. Returns which; none if all of them have to be looked at.
async fn told(events: &mut Events) -> Result<Option<OrderId>, ClientError> {
    loop {
        match events.next().await? {
            Told::Event { kind, data, .. } if kind.starts_with("order.") || kind.starts_with("code.") => {
                let order = data.get("order").and_then(|order| order.as_str()?.parse().ok());
                if order.is_some() {
                    return Ok(order);
                }
            }
            Told::Event { .. } => {}
            _ => return Ok(None),
        }
    }
}

/// Whether another attempt may go better, without anybody doing anything about it here.
pub(in crate::commands::user) fn may_answer_later(error: &ClientError) -> bool {
    match error {
        ClientError::Refused(refused) => matches!(refused.reason, Reason::Offline | Reason::RateLimited),
        ClientError::Rejected { status, .. } => *status == 408 || *status == 429,
        ClientError::OutcomeUnknown { .. } | ClientError::Transport(_) => true,
        _ => false,
    }
}

impl Watch<'_> {
    async fn look_at_all(&mut self) -> Result<(), ClientError> {
        // Before the others: one that is paid in between is found among them.
        self.look_at_unpaid().await;
        let orders = self.store.code_orders().await?.known;
        self.seen.unpaid.retain(|unpaid| orders.iter().all(|order| order.id != unpaid.order));
        let is_first = self.seen.orders.is_empty();
        let before = std::mem::replace(&mut self.seen.orders, orders);
        for at in 0..self.seen.orders.len() {
            let id = self.seen.orders[at].id;
            let before = before.iter().find(|order| order.id == id);
            self.seen_again(at, before.cloned(), is_first).await?;
        }
        Ok(())
    }

    /// What is extra keeps no code from being fetched: if it fails, it is said at the end.
    async fn look_at_unpaid(&mut self) {
        let unpaid = match UnpaidCodes::all(self.store).await {
            Ok(unpaid) => unpaid,
            Err(error) => {
                self.seen.unlisted = Some(format!("what is not paid cannot be listed: {error}"));
                return;
            }
        };
        self.seen.unlisted = None;
        if self.this.is_none()
            && unpaid.iter().any(|order| order.terminal.is_some())
            && let Ok(account) = self.store.account().await
        {
            let current = account.terminals.into_iter().find(|terminal| terminal.current);
            self.this = current.map(|terminal| terminal.terminal);
        }
        let before = std::mem::replace(&mut self.seen.unpaid, unpaid);
        for order in &self.seen.unpaid {
            if !before.contains(order) {
                let what = (&order.merchant, order.title.as_str());
                self.tell(&order.order, what, UnpaidCodes::STATE, false, &order.next());
            }
        }
    }

    async fn look_at(&mut self, id: &OrderId) -> Result<(), ClientError> {
        let Some(order) = self.store.code_order(id).await? else {
            // Not paid, or not any more to be paid; or of rights, or of a balance.
            self.look_at_unpaid().await;
            return Ok(());
        };
        self.seen.unpaid.retain(|unpaid| unpaid.order != *id);
        match self.seen.orders.iter().position(|seen| seen.id == *id) {
            Some(at) => {
                let before = std::mem::replace(&mut self.seen.orders[at], order);
                self.seen_again(at, Some(before), false).await
            }
            None => {
                self.seen.orders.insert(0, order);
                self.seen_again(0, None, false).await
            }
        }
    }

    /// Does what an order wants of this terminal, and says how it has moved.
    async fn seen_again(&mut self, at: usize, before: Option<CodeOrder>, is_first: bool) -> Result<(), ClientError> {
        let found = self.seen.orders[at].clone();
        let was = before.as_ref().map(|order| (order.state, order.is_here));
        // What is over when it is first seen has not moved.
        if was.is_none_or(|was| was != (found.state, found.is_here))
            && (!is_first || can_come(&found) || found.key_wanted)
        {
            self.show(&found);
        }
        if self.collect(&found).await? {
            let Some(order) = self.store.code_order(&found.id).await? else { return Ok(()) };
            if (order.state, order.is_here) != (found.state, found.is_here) {
                self.show(&order);
            }
            self.seen.orders[at] = order;
        }
        Ok(())
    }

    /// Fetches the codes of an order, or makes its key. Returns whether anything came of it.
    async fn collect(&mut self, order: &CodeOrder) -> Result<bool, ClientError> {
        let problem = match order.state.known() {
            // Those that are here as well: the store does not know it yet, since another command fetched them a moment
            // ago, or since its answer was lost.
            Some(CodeState::CodeReceived | CodeState::Delivered) => match self.store.collect_codes(&order.id).await {
                Ok(Collected::Here(_)) => {
                    self.seen.problems.remove(&order.id);
                    return Ok(true);
                }
                // It is on another terminal, and stays in the list.
                Ok(_) | Err(ClientError::NotFound(_)) => return Ok(false),
                Err(error) if may_answer_later(&error) => return Err(error),
                Err(error @ ClientError::CodeNotAsBought { .. }) => {
                    self.seen.problems.insert(order.id, error.to_string());
                    return Ok(true);
                }
                Err(error) => error,
            },
            Some(_) if order.key_wanted && !self.keyed.contains(&order.id) => {
                match self.store.collect_codes(&order.id).await {
                    Ok(_) => {
                        self.seen.problems.remove(&order.id);
                        self.at_once = Some(Instant::now() + AT_ONCE);
                        self.keyed.insert(order.id);
                        return Ok(true);
                    }
                    Err(error) if may_answer_later(&error) => return Err(error),
                    Err(error) => {
                        self.keyed.insert(order.id);
                        error
                    }
                }
            }
            _ => return Ok(false),
        };
        let text = match &problem {
            ClientError::MerchantNew { merchant, .. } => {
                self.seen.strangers.push((merchant.clone(), order.id));
                format!(
                    "{problem}. Compare that with the words that the merchant itself shows, then: {} {}",
                    hint::typed("portcullis codes"),
                    order.id
                )
            }
            _ => format!("order {}: {problem}", order.id),
        };
        self.seen.problems.insert(order.id, text);
        Ok(false)
    }

    /// How long the next event may take; nothing if there is none to be waited for.
    fn patience(&self) -> Option<Duration> {
        let waits = self.seen.orders.iter().any(|order| can_come(order) && !self.seen.problems.contains_key(&order.id));
        let is_to_be_paid =
            self.seen.unpaid.iter().any(|order| order.terminal.is_some() && order.terminal == self.this);
        if !waits && !is_to_be_paid {
            return None;
        }
        match self.until {
            Until::AllHaveCome => Some(SILENCE),
            Until::Looked => {
                let left = self.at_once?.checked_duration_since(Instant::now())?;
                Some(left.max(Duration::from_millis(1)))
            }
        }
    }

    fn show(&self, order: &CodeOrder) {
        let title = order.product.as_ref().map_or("a code", |product| product.title.as_str());
        self.tell(&order.id, (&order.merchant, title), &order.state.to_string(), order.is_here, &next(order, None));
    }

    /// Says where an order stands, if somebody follows it.
    fn tell(&self, id: &OrderId, (merchant, title): (&MerchantName, &str), state: &str, here: bool, next: &str) {
        if self.until == Until::Looked {
            return;
        }
        if self.screen.is_json() {
            let said = Move { order: id.to_string(), merchant: merchant.as_str(), state, here };
            self.screen.tell(format_args!("{}\n", serde_json::to_string(&said).unwrap_or_default()));
            return;
        }
        let (dim, strong) = (style::DIM, style::STRONG);
        let next = if next.is_empty() { String::new() } else { format!("  {dim}{next}{dim:#}") };
        self.screen.note(format_args!("{id}  {strong}{state}{strong:#}  {title} of {merchant}{next}"));
    }
}

/// Whether codes of an order can still come to this terminal without its user.
fn can_come(order: &CodeOrder) -> bool {
    let comes = order.comes_here && !order.is_here && !order.key_wanted;
    let Some(state) = order.state.known().filter(|_| comes) else { return false };
    state.waits_for_code() || state.may_be_sealed_again() && order.sealed != Some(order.generation)
}
