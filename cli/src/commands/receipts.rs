//! `portcullis receipts`: what was bought.

use clap::Args;
use portcullis_protocol::{Receipt, Verified};
use serde::Serialize;

use crate::context::{Context, Store};
use crate::failure::Outcome;
use crate::output::{Report, date, style};

/// Show what you bought: signed receipts
#[derive(Debug, Args)]
pub(crate) struct Receipts {
    #[command(flatten)]
    store: Store,
}

/// A receipt, for people and programs.
#[derive(Debug, Serialize)]
pub(crate) struct ReceiptLine {
    pub(crate) order: String,
    pub(crate) name: String,
    pub(crate) operation: String,
    pub(crate) model: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u64>,
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
            model: receipt.rights.model(),
            count: receipt.rights.quantity(),
            price: receipt.price.to_string(),
            at: receipt.iat,
            document: verified.compact().to_owned(),
            words: receipt.rights.to_string(),
        }
    }
}

#[derive(Serialize)]
struct Bought {
    server: String,
    receipts: Vec<ReceiptLine>,
}

impl Receipts {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let client = context.client()?;
        let server = self.store.origin(&client)?;
        let receipts = context.wait(async { Ok(client.store(&server).receipts().await?) })?;
        let receipts = receipts.iter().map(ReceiptLine::from).collect();
        context.screen.report(&Bought { server: server.to_string(), receipts });
        Ok(())
    }
}

impl Report for Bought {
    fn text(&self) -> String {
        let (strong, dim) = (style::STRONG, style::DIM);
        if self.receipts.is_empty() {
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
        self.receipts.iter().map(line).collect()
    }
}
