//! `portcullis merchant`: what a merchant of electronic codes does at a store.

use clap::{Args, Subcommand};
use portcullis_host::{Client, Clock as _, MerchantDesk, SystemClock};
use portcullis_protocol::codes::TimeToDeliver;
use portcullis_protocol::text::counted;
use portcullis_protocol::wire::MerchantOrder;
use portcullis_protocol::{MerchantName, Money, Origin, Product, ProductName, SecretKey, Title, WebhookUrl};
use serde::Serialize;
use std::path::PathBuf;

use crate::context::{Context, ServerOption};
use crate::doctor::Diagnosis;
use crate::endpoint::{self, Endpoint};
use crate::failure::{Failure, Outcome};
use crate::project::publisher_key::{self, Whose};
use crate::screen::hint;
use crate::screen::output::{KeyName, Lines, Report, style};
use crate::screen::table::Table;

/// Sell electronic codes through a store: make a key, register, sell a product, see what is open
#[derive(Debug, Args)]
pub(crate) struct SellCodes {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Make a merchant's key, which signs all that the merchant says. Never overwrites one
    Keygen(Keygen),
    /// Claim a name, and have the endpoint show that it is the merchant's
    Register(Register),
    /// Sell a product, or change what it costs
    Sell(Sell),
    /// List the orders that are not final, and how the merchant stands
    Orders(Orders),
    /// Try the merchant's key, address and server as the store would, and say how to mend what is wrong
    #[command(after_help = "Exit code 3 if something is wrong, 0 if there are warnings alone.")]
    Check(Check),
}

#[derive(Debug, Args)]
struct Keygen {
    /// Where to write it
    #[arg(short, long, value_name = "FILE", default_value = "merchant.jwk")]
    output: PathBuf,
}

#[derive(Debug, Args)]
struct KeyOption {
    /// The merchant's key, as `portcullis merchant keygen` wrote it
    #[arg(long, value_name = "FILE", default_value = "merchant.jwk")]
    key: PathBuf,
    #[command(flatten)]
    store: ServerOption,
}

#[derive(Debug, Args)]
struct Register {
    /// The merchant's name
    name: MerchantName,
    /// What buyers read
    #[arg(long)]
    title: Title,
    /// Where the store tells the merchant of orders
    #[arg(long, value_name = "URL")]
    webhook: WebhookUrl,
    #[command(flatten)]
    key: KeyOption,
}

#[derive(Debug, Args)]
struct Sell {
    /// The product's name
    product: ProductName,
    /// What buyers read
    #[arg(long)]
    title: Title,
    /// What one code costs, as in 20.00EUR
    #[arg(long)]
    price: Money,
    /// Seconds from payment to code, 10 to 86400
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    deadline: u32,
    #[command(flatten)]
    key: KeyOption,
}

#[derive(Debug, Args)]
struct Orders {
    #[command(flatten)]
    key: KeyOption,
}

#[derive(Debug, Args)]
struct Check {
    #[command(flatten)]
    key: KeyOption,
}

#[derive(Serialize)]
struct Made {
    file: PathBuf,
    #[serde(flatten)]
    key: KeyName,
}

#[derive(Serialize)]
struct Registered {
    server: String,
    merchant: MerchantName,
    state: String,
}

#[derive(Serialize)]
struct Sold {
    server: String,
    product: ProductName,
    digest: String,
    price: String,
    /// How the merchant stands: only one that is `approved` sells.
    merchant_state: String,
}

#[derive(Serialize)]
struct Open {
    server: String,
    merchant: MerchantName,
    state: String,
    /// Of the last hour: how many orders were decided, and how many got their code in time.
    decided: u32,
    in_time: u32,
    orders: Vec<MerchantOrder>,
}

impl SellCodes {
    /// Does it. Returns the exit code.
    pub(crate) fn run(self, context: &Context) -> Outcome<u8> {
        match self.task {
            Task::Keygen(Keygen { output }) => {
                let key = publisher_key::create(&output)?.public().thumbprint().into();
                context.screen.report(&Made { file: output, key });
                Ok(())
            }
            Task::Register(task) => task.run(context),
            Task::Sell(task) => task.run(context),
            Task::Orders(task) => task.run(context),
            Task::Check(task) => return task.run(context),
        }?;
        Ok(0)
    }
}

/// A merchant's key at a store.
struct Desk {
    client: Client,
    server: Origin,
    key: SecretKey,
    desk: MerchantDesk,
}

impl KeyOption {
    fn desk(&self, context: &Context) -> Outcome<Desk> {
        let key = publisher_key::read(&self.key, Whose::Merchant)?;
        let client = context.client()?;
        let server = self.store.origin(&client)?;
        let desk = client.merchant_desk(&server, &key);
        Ok(Desk { client, server, key, desk })
    }
}

impl Register {
    fn run(self, context: &Context) -> Outcome {
        let Desk { server, desk, .. } = self.key.desk(context)?;
        let report = context.wait(async {
            desk.claim(&self.name, &self.title, &self.webhook).await?;
            let state = desk.prove().await.map_err(|error| {
                Failure::from(error).with_fix(
                    "the name is claimed. Have the endpoint answer the challenge as docs/protocol.md section 15 says, then run it again",
                )
            })?;
            Ok(Registered { server: server.to_string(), merchant: self.name.clone(), state })
        })?;
        context.screen.report(&report);
        Ok(())
    }
}

impl Sell {
    fn run(self, context: &Context) -> Outcome {
        let deadline =
            TimeToDeliver::new(self.deadline).map_err(|error| Failure::usage(error, "choose another --deadline"))?;
        let Desk { server, desk, .. } = self.key.desk(context)?;
        let report = context.wait(async {
            let status = endpoint::status(&desk).await?;
            let merchant_state = status.state;
            let product = Product {
                merchant: status.merchant,
                aud: server.clone(),
                name: self.product.clone(),
                title: self.title.clone(),
                description: "".parse().map_err(|error| Failure::usage(error, "report this"))?,
                price: self.price,
                deadline,
                iat: SystemClock.now(),
            };
            let digest = desk.sell(product).await?.to_string();
            let (server, product, price) = (server.to_string(), self.product.clone(), self.price.to_string());
            Ok(Sold { server, product, digest, price, merchant_state })
        })?;
        context.screen.report(&report);
        Ok(())
    }
}

impl Orders {
    fn run(self, context: &Context) -> Outcome {
        let Desk { server, desk, .. } = self.key.desk(context)?;
        let report = context.wait(async {
            let status = endpoint::status(&desk).await?;
            let orders = desk.open_orders().await?.into_iter().collect();
            let (server, merchant, state) = (server.to_string(), status.merchant, status.state);
            Ok(Open { server, merchant, state, decided: status.orders, in_time: status.in_time, orders })
        })?;
        context.screen.report(&report);
        Ok(())
    }
}

impl Check {
    fn run(self, context: &Context) -> Outcome<u8> {
        let Desk { client, server, key, desk } = self.key.desk(context)?;
        let endpoint = Endpoint { client: &client, server: &server, desk: &desk, key: &key };
        let diagnosis = Diagnosis::of(context.wait(async { Ok(endpoint.examine().await) })?);
        context.screen.report(&diagnosis);
        Ok(diagnosis.exit_code())
    }
}

impl Report for Made {
    fn text(&self) -> String {
        let good = style::GOOD;
        let mut lines = Lines::default();
        lines.add("words", &self.key.words).add("thumbprint", &self.key.thumbprint);
        format!("{good}made{good:#} {}\n{lines}", self.file.display())
    }
}

impl Report for Registered {
    fn text(&self) -> String {
        let good = style::GOOD;
        let next = match self.state.as_str() {
            "proven" => "\nThe store's operator has to approve it before it sells.\n",
            _ => "",
        };
        format!("{good}registered{good:#} {} at {}: {}\n{next}", self.merchant, self.server, self.state)
    }
}

impl Report for Sold {
    fn text(&self) -> String {
        let good = style::GOOD;
        let mut lines = Lines::default();
        lines.add("price", &self.price).add("revision", &self.digest).add("store", &self.server);
        format!("{good}listed{good:#} {}\n{lines}", self.product)
    }

    fn notes(&self) -> String {
        let next = match self.merchant_state.as_str() {
            "approved" => return String::new(),
            "claimed" => "have its endpoint answer the challenge: `portcullis merchant register`",
            "proven" => "the store's operator has to approve it",
            _ => "ask the store's operator",
        };
        let (warn, state) = (style::WARN, &self.merchant_state);
        format!("{warn}note{warn:#}: nobody can buy it yet: the merchant is {state}; {}\n", hint::typed(next))
    }
}

impl Report for Open {
    fn text(&self) -> String {
        let mut table = Table::new(&["order", "state", "codes", "paid", "next"]).with_whole(&[0, 4]);
        for order in &self.orders {
            let next = order.state.known().and_then(|state| state.next_of(order.sealed, order.generation));
            let next = next.map_or_else(String::new, |(who, what)| format!("{who}: {what}"));
            table.row([
                order.order.to_string(),
                order.state.to_string(),
                order.quantity.to_string(),
                order.amount.to_string(),
                next,
            ]);
        }
        table.to_string()
    }

    fn notes(&self) -> String {
        let nothing = if self.orders.is_empty() { "no order is open\n" } else { "" };
        let (merchant, state, in_time) = (&self.merchant, &self.state, self.in_time);
        format!(
            "{nothing}{merchant}: {state}, {in_time} of {} of the last hour in time\n",
            counted(self.decided, "order")
        )
    }
}
