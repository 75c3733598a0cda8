//! `portcullis pay`: pay what a merchant asks, or order what it sells, and wait for the code.

use clap::Args;
use portcullis_host::{Client, ClientError, Collected, Merchant, Order, Standing, Storefront};
use portcullis_protocol::codes::{CodeState, Quantity};
use portcullis_protocol::wire::{OrderState, PaymentStep};
use portcullis_protocol::{Digest, MerchantName, Money, Origin, PaymentRequest, Product, ProductName, Span, Verified};
use serde::Serialize;
use std::str::FromStr;
use std::time::{Duration, Instant};

use super::codes::{may_answer_later, not_yet};
use crate::context::{Context, ServerOption, origin};
use crate::failure::{Failure, Outcome};
use crate::payment::{self, Again, Payment};
use crate::screen::hint;
use crate::screen::output::{Lines, Report, style};

/// How often the order is asked about while the merchant delivers.
const LOOK: Duration = Duration::from_millis(250);
/// How long is waited for the code by itself. A merchant may take longer; then `portcullis codes` fetches it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Pay a merchant's request, or order one of its products, and get the code
#[derive(Debug, Args)]
pub(crate) struct Pay {
    /// The address that the merchant gave you, or MERCHANT/PRODUCT
    #[arg(value_name = "ADDRESS|MERCHANT/PRODUCT")]
    what: Asked,
    /// How many codes; a request says it itself
    #[arg(long, value_name = "N", default_value_t = 1)]
    quantity: u32,
    /// Agree to the merchant and the price without being asked
    #[arg(long)]
    yes: bool,
    /// Order although the same is on order
    #[arg(long)]
    again: bool,
    /// Believe this key of the merchant, be it new, and no other: its words, as the merchant itself told you
    #[arg(long, value_name = "WORDS")]
    accept_key: Option<String>,
    /// Do not wait for the code: `portcullis codes` fetches it later
    #[arg(long)]
    no_wait: bool,
    /// How to pay; the provider `sandbox` moves no money, and a store that lacks a provider names those that it has
    #[arg(long, value_name = "PROVIDER:TOKEN", default_value = "sandbox:ok")]
    payment: Payment,
    #[command(flatten)]
    store: ServerOption,
}

/// What is to be paid.
#[derive(Debug, Clone)]
enum Asked {
    Request(Origin, Digest),
    Product(MerchantName, ProductName),
}

impl FromStr for Asked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "write the address that the merchant gave you, https://STORE/pay/…, or MERCHANT/PRODUCT";
        if let Some((store, digest)) = text.trim_end_matches('/').split_once("/pay/") {
            let digest = digest.parse().map_err(|_| form.to_owned())?;
            return Ok(Self::Request(origin(store)?, digest));
        }
        let (merchant, product) = text.split_once('/').ok_or(form)?;
        let merchant = merchant.parse().map_err(|error| format!("{error}"))?;
        Ok(Self::Product(merchant, product.parse().map_err(|error| format!("{error}"))?))
    }
}

#[derive(Serialize)]
struct Paid {
    server: String,
    order: String,
    state: OrderState,
    merchant: String,
    product: String,
    amount: String,
    /// It was on order before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    joined: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    codes: Vec<String>,
    /// Why the codes have not come, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// What has to be done before the provider decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<PaymentStep>,
}

/// What was found, and is agreed to.
struct Wanted {
    merchant: Merchant,
    product: Verified<Product>,
    quantity: Quantity,
    amount: Money,
    request: Option<Verified<PaymentRequest>>,
}

impl Pay {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let client = context.client()?;
        let server = match &self.what {
            Asked::Request(server, _) => trusted(&client, server)?,
            Asked::Product(..) => self.store.origin(&client)?,
        };
        let store = client.store(&server);
        let wanted = context.wait(async { self.find(&store).await })?;
        self.agree(context, &server, &wanted)?;
        let report = context.wait(async {
            let Wanted { merchant, product, quantity, amount, request } = &wanted;
            let method = self.payment.method();
            let ordered = store.order_codes(merchant, product, *quantity, request.as_ref(), method, self.again).await;
            let order = match ordered {
                Ok(order) => order,
                Err(error) => return Err(payment::refused(&store, error).await),
            };
            match order.state {
                OrderState::Declined => return Err(Payment::declined()),
                OrderState::Refunded => return Err(Payment::goes_back()),
                OrderState::Paid | OrderState::Pending | OrderState::Other(_) => {}
            }
            let (codes, problem) = match order.paid() {
                Some(_) if !self.no_wait => fetch(&store, &order).await?,
                _ => (Vec::new(), None),
            };
            Ok(Paid {
                server: server.to_string(),
                order: order.id.to_string(),
                state: order.state,
                merchant: merchant.name.to_string(),
                product: product.document().title.to_string(),
                amount: amount.to_string(),
                joined: order.joined,
                codes,
                problem,
                next: order.next,
            })
        })?;
        context.screen.report(&report);
        Ok(())
    }

    async fn find(&self, store: &Storefront) -> Outcome<Wanted> {
        match &self.what {
            Asked::Request(_, digest) => {
                let mut asked = store.payment_request(digest, None).await;
                if let Some(told) = &self.accept_key {
                    let merchant = match asked {
                        Ok(asked) => asked.merchant.name,
                        Err(ClientError::MerchantChanged { merchant, .. }) => merchant,
                        Err(error) => return Err(error.into()),
                    };
                    store.accept_merchant_key(&merchant, told).await.map_err(unknown)?;
                    asked = store.payment_request(digest, None).await;
                }
                let asked = asked.map_err(unknown)?;
                let said = asked.request.document();
                let (quantity, amount) = (said.quantity, said.amount);
                Ok(Wanted {
                    merchant: asked.merchant,
                    product: asked.product,
                    quantity,
                    amount,
                    request: Some(asked.request),
                })
            }
            Asked::Product(name, product) => {
                if let Some(told) = &self.accept_key {
                    store.accept_merchant_key(name, told).await.map_err(unknown)?;
                }
                let merchant = store.merchant(name).await.map_err(unknown)?;
                let found = merchant.products.iter().find(|sold| sold.document().name == *product).cloned();
                let product = found.ok_or_else(|| {
                    let names: Vec<_> = merchant.products.iter().map(|sold| sold.document().name.to_string()).collect();
                    if names.is_empty() {
                        let fix = "look for something like it: `portcullis search --kind code`";
                        return Failure::new(format!("{name} sells nothing at present"), fix);
                    }
                    Failure::new(format!("{name} does not sell `{product}`"), format!("it sells: {}", names.join(", ")))
                })?;
                let quantity =
                    Quantity::new(self.quantity).map_err(|error| Failure::usage(error, "choose another --quantity"))?;
                let amount = product.document().amount(quantity);
                let amount = amount.map_err(|_| {
                    let price = product.document().price;
                    Failure::usage(
                        format!("{quantity} × {price} is more than an order can cost"),
                        "order fewer at a time",
                    )
                })?;
                Ok(Wanted { merchant, product, quantity, amount, request: None })
            }
        }
    }

    /// Asks. Of a merchant that is new here its key is shown: it is pinned when the order goes out.
    fn agree(&self, context: &Context, server: &Origin, wanted: &Wanted) -> Outcome {
        if self.yes {
            return Ok(());
        }
        let (strong, said) = (style::STRONG, wanted.product.document());
        let new = match wanted.merchant.standing {
            Standing::New => {
                format!("\n  you buy from it for the first time; its key: {}", wanted.merchant.key.thumbprint().words())
            }
            _ => String::new(),
        };
        let many = if wanted.quantity.get() == 1 { String::new() } else { format!("{} × ", wanted.quantity) };
        let what = format!(
            "{strong}{many}{}{strong:#} of {} at {server}{new}\nArrives within {}, or you are paid back. Costs {}. Pay?",
            said.title,
            wanted.merchant.name,
            Span(said.deadline.get().into()),
            wanted.amount
        );
        if context.screen.ask(what) {
            return Ok(());
        }
        Err(Failure::new(
            format!("nothing was paid: {} was not confirmed", wanted.amount),
            "answer y on a terminal, or pass --yes",
        ))
    }
}

/// The codes of an order that is paid, once they have come, or why they have not. What keeps them from coming for the
/// time being is no failure of what was paid: whoever took it for one would pay again.
async fn fetch(store: &Storefront, order: &Order) -> Outcome<(Vec<String>, Option<String>)> {
    let begun = Instant::now();
    loop {
        let is_late = begun.elapsed() > PATIENCE;
        match look(store, order).await {
            Ok(Some(Collected::Here(codes))) => return Ok((codes.iter().map(ToOwned::to_owned).collect(), None)),
            Ok(Some(Collected::NotYet(state))) if !state.known().is_some_and(CodeState::waits_for_code) => {
                return Err(not_yet(store, &order.id, state).await);
            }
            Ok(Some(Collected::NotYet(state))) if is_late => {
                return Ok((Vec::new(), Some(format!("after a minute it is still {state}"))));
            }
            // One that was ordered in a browser before has its key now.
            Ok(Some(Collected::NotYet(_) | Collected::Keyed)) if !is_late => {}
            Ok(_) => return Ok((Vec::new(), None)),
            Err(error) if !is_late && may_answer_later(&error) => {}
            Err(error @ ClientError::CodeNotAsBought { .. }) => return Err(error.into()),
            Err(error) => return Ok((Vec::new(), Some(error.to_string()))),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Looks for the codes of an order once; none if they go to another terminal, from which it was ordered before.
async fn look(store: &Storefront, order: &Order) -> Result<Option<Collected>, ClientError> {
    if order.joined && store.code_order(&order.id).await?.is_some_and(|order| !order.comes_here) {
        return Ok(None);
    }
    store.collect_codes(&order.id).await.map(Some)
}

/// What to do if the store has no such merchant or request.
fn unknown(error: ClientError) -> Failure {
    let is_unknown = matches!(error, ClientError::NotFound(_));
    let failure = Failure::from(error);
    if !is_unknown {
        return failure;
    }
    failure.with_fix("check what you wrote; `portcullis search --kind code` shows what merchants sell")
}

/// A store that the user is signed in to: an address in a mail leads nowhere else.
fn trusted(client: &Client, server: &Origin) -> Outcome<Origin> {
    if client.servers()?.iter().any(|pin| pin.origin == *server) {
        return Ok(server.clone());
    }
    Err(Failure::new(
        format!("{server} is not a store that you have signed in to"),
        format!("if you trust it, sign in first: `portcullis login {server}`"),
    ))
}

impl Report for Paid {
    fn notes(&self) -> String {
        if !self.joined {
            return String::new();
        }
        let once = "perhaps from another terminal of yours. Its code goes where it was ordered";
        match self.state {
            OrderState::Paid => {
                format!("The same was on order already, {once}. Nothing was ordered twice; one more: --again\n")
            }
            // The text says the rest.
            _ => format!("It was ordered before, {once}.\n"),
        }
    }

    fn text(&self) -> String {
        let (good, strong, warn) = (style::GOOD, style::STRONG, style::WARN);
        let mut lines = Lines::default();
        lines
            .add("order", &self.order)
            .add("store", &self.server)
            .add("merchant", &self.merchant)
            .add(if self.state == OrderState::Paid { "paid" } else { "to pay" }, &self.amount);
        for code in &self.codes {
            lines.add("code", code);
        }
        match self.state {
            OrderState::Paid if self.codes.is_empty() => {
                let (product, order) = (&self.product, &self.order);
                let problem = self.problem.as_ref();
                let problem = problem.map_or_else(String::new, |why| format!("The code has not come: {why}\n"));
                format!(
                    "{good}paid{good:#} {strong}{product}{strong:#}\n{lines}\n{problem}\
                     Fetch the code: `{} {order}`\n",
                    hint::typed("portcullis codes")
                )
            }
            OrderState::Paid => format!("{good}paid{good:#} {strong}{}{strong:#}\n{lines}", self.product),
            state => format!(
                "{warn}{}{warn:#} {strong}{}{strong:#}: {}\n{lines}{}",
                Again::of(self.joined).headline(),
                self.product,
                payment::standing(state),
                payment::unpaid(&self.order, state, self.next.as_ref(), Again::of(self.joined))
            ),
        }
    }
}
