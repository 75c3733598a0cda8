//! `portcullis receipts`: what was bought, paid in and paid back.

use clap::Args;
use portcullis_protocol::text::counted;
use portcullis_protocol::wire::RefundInfo;
use portcullis_protocol::{CodeReceipt, Listed, OrderId, Receipt, TopUpReceipt, Verified};
use serde::Serialize;
use std::collections::BTreeMap;

use crate::context::{Context, ServerOption};
use crate::failure::Outcome;
use crate::payment::rights::Figures;
use crate::payment::unpaid_line::UnpaidLine;
use crate::screen::output::{Report, UnknownLine, date, style};

/// Show what you bought, paid in and got back, and what is not paid yet
#[derive(Debug, Args)]
pub(crate) struct Receipts {
    #[command(flatten)]
    store: ServerOption,
}

/// A receipt, for people and programs.
#[derive(Debug, Serialize)]
pub(crate) struct ReceiptLine {
    pub(crate) order: String,
    pub(crate) name: String,
    pub(crate) operation: String,
    #[serde(flatten)]
    figures: Figures,
    pub(crate) price: String,
    pub(crate) at: u64,
    /// The signed document, compact: anybody can verify it with the store's keys.
    pub(crate) document: String,
    #[serde(skip)]
    pub(crate) words: String,
}

impl From<&Verified<Receipt>> for ReceiptLine {
    fn from(verified: &Verified<Receipt>) -> Self {
        let receipt = verified.document();
        Self {
            order: receipt.order.to_string(),
            name: format!("{}/{}", receipt.publisher, receipt.name),
            operation: receipt.operation.to_string(),
            figures: receipt.rights.into(),
            price: receipt.price.to_string(),
            at: receipt.iat,
            document: verified.compact().to_owned(),
            words: receipt.rights.to_string(),
        }
    }
}

/// The receipt of a top-up, for people and programs.
#[derive(Debug, Serialize)]
pub(crate) struct TopUpLine {
    order: String,
    amount: String,
    at: u64,
    /// The signed document, compact.
    document: String,
}

impl From<&Verified<TopUpReceipt>> for TopUpLine {
    fn from(verified: &Verified<TopUpReceipt>) -> Self {
        let receipt = verified.document();
        Self {
            order: receipt.order.to_string(),
            amount: receipt.amount.to_string(),
            at: receipt.iat,
            document: verified.compact().to_owned(),
        }
    }
}

/// The receipt of electronic codes, for people and programs.
#[derive(Debug, Serialize)]
pub(crate) struct CodesLine {
    order: String,
    merchant: String,
    /// What was bought, if the store and this terminal know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    product: Option<String>,
    quantity: u32,
    amount: String,
    at: u64,
    /// The signed document, compact.
    document: String,
}

impl CodesLine {
    fn of(verified: &Verified<CodeReceipt>, products: &BTreeMap<OrderId, String>) -> Self {
        let receipt = verified.document();
        Self {
            order: receipt.order.to_string(),
            merchant: receipt.merchant.to_string(),
            product: products.get(&receipt.order).cloned(),
            quantity: receipt.quantity.get(),
            amount: receipt.amount.to_string(),
            at: receipt.iat,
            document: verified.compact().to_owned(),
        }
    }

    fn text(&self) -> String {
        let (strong, dim) = (style::STRONG, style::DIM);
        let product = self.product.as_ref().map_or_else(String::new, |product| format!("/{product}"));
        let codes = counted(self.quantity, "code");
        format!(
            "{}  {strong}{}{product}{strong:#}: {}, {codes}  {dim}order {}{dim:#}\n",
            date(self.at),
            self.merchant,
            self.amount,
            self.order
        )
    }
}

/// What was paid back, for people and programs.
#[derive(Debug, Serialize)]
pub(crate) struct RefundLine {
    order: String,
    amount: String,
    at: u64,
    /// Whether the payment provider has confirmed it.
    done: bool,
    /// What the store signed of it, once it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<String>,
}

impl From<&RefundInfo> for RefundLine {
    fn from(refund: &RefundInfo) -> Self {
        let RefundInfo { order, amount, at, done, document } = refund;
        Self { order: order.to_string(), amount: amount.to_string(), at: *at, done: *done, document: document.clone() }
    }
}

#[derive(Serialize)]
struct Bought {
    server: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unpaid: Vec<UnpaidLine>,
    receipts: Vec<ReceiptLine>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    top_ups: Vec<TopUpLine>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    codes: Vec<CodesLine>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refunds: Vec<RefundLine>,
    /// What this version does not know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<UnknownLine>,
}

impl Receipts {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let client = context.client()?;
        let server = self.store.origin(&client)?;
        let (unpaid, receipts, top_ups, codes, products, refunds) = context.wait(async {
            let store = client.store(&server);
            let codes = store.code_receipts().await?;
            // A receipt names its product by the digest.
            let products = if codes.is_empty() { Vec::new() } else { store.code_orders().await?.known };
            let (receipts, top_ups, refunds) =
                (store.receipts().await?, store.top_ups().await?, store.refunds().await?);
            // What is extra keeps nobody from his receipts. Last, so that nothing is said twice.
            let unpaid = store.unpaid_orders().await.unwrap_or_else(|error| {
                context.screen.note(format_args!("what is not paid cannot be listed: {error}"));
                Listed::default()
            });
            Ok((unpaid, receipts, top_ups, codes, products, refunds))
        })?;
        let names =
            products.into_iter().filter_map(|order| Some((order.id, order.product?.name.to_string()))).collect();
        let unknown = [&unpaid.unknown, &receipts.unknown, &top_ups.unknown, &codes.unknown, &refunds.unknown]
            .into_iter()
            .flatten();
        let unknown = unknown.map(UnknownLine::of).collect();
        let unpaid = unpaid.into_iter().map(UnpaidLine::from).collect();
        let receipts = receipts.iter().map(ReceiptLine::from).collect();
        let top_ups = top_ups.iter().map(TopUpLine::from).collect();
        let codes = codes.iter().map(|receipt| CodesLine::of(receipt, &names)).collect();
        let refunds = refunds.iter().map(RefundLine::from).collect();
        let server = server.to_string();
        context.screen.report(&Bought { server, unpaid, receipts, top_ups, codes, refunds, unknown });
        Ok(())
    }
}

impl Report for Bought {
    fn text(&self) -> String {
        let (strong, dim) = (style::STRONG, style::DIM);
        let none_paid =
            self.unpaid.is_empty() && self.receipts.is_empty() && self.top_ups.is_empty() && self.codes.is_empty();
        if none_paid && self.refunds.is_empty() && self.unknown.is_empty() {
            return format!("nothing was bought at {}\n", self.server);
        }
        let line = |one: &ReceiptLine| {
            format!(
                "{}  {strong}{}{strong:#} {}: {}, {}  {dim}order {}{dim:#}\n",
                date(one.at),
                one.name,
                one.operation,
                one.price,
                one.words,
                one.order
            )
        };
        let paid_in = |one: &TopUpLine| {
            format!("{}  {strong}paid in{strong:#}: {}  {dim}order {}{dim:#}\n", date(one.at), one.amount, one.order)
        };
        let mut lines: Vec<(u64, String)> = self.receipts.iter().map(|one| (one.at, line(one))).collect();
        lines.extend(self.top_ups.iter().map(|one| (one.at, paid_in(one))));
        lines.extend(self.codes.iter().map(|one| (one.at, one.text())));
        let paid_back = |one: &RefundLine| {
            let what = if one.done { "paid back" } else { "being paid back" };
            format!("{}  {strong}{what}{strong:#}: {}  {dim}order {}{dim:#}\n", date(one.at), one.amount, one.order)
        };
        lines.extend(self.refunds.iter().map(|one| (one.at, paid_back(one))));
        // Newest first; the sort is stable.
        lines.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let unknown = self.unknown.iter().map(|one| {
            let name = one.name.as_deref().unwrap_or("something");
            format!("{strong}{name}{strong:#} {one}\n")
        });
        // What somebody still has to do stands first.
        let unpaid = self.unpaid.iter().map(UnpaidLine::text);
        unpaid.chain(lines.into_iter().map(|(_, line)| line)).chain(unknown).collect()
    }
}
