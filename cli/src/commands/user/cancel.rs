//! `portcullis cancel`: give up an order that is not paid.

use clap::Args;
use portcullis_host::ClientError;
use portcullis_protocol::OrderId;
use portcullis_protocol::wire::OrderState;
use serde::Serialize;

use crate::context::{Context, ServerOption};
use crate::failure::{Failure, Outcome};
use crate::screen::output::{Lines, Report, style};

/// Give up an order that you have not paid
#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// The order
    #[arg(value_parser = order)]
    order: OrderId,
    #[command(flatten)]
    store: ServerOption,
}

fn order(text: &str) -> Result<OrderId, String> {
    text.parse().map_err(|error| format!("{error}; `portcullis receipts` lists the orders that are not paid"))
}

#[derive(Serialize)]
struct GivenUp {
    server: String,
    order: String,
    state: OrderState,
}

impl Cancel {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let client = context.client()?;
        let server = self.store.origin(&client)?;
        let order = context.wait(async {
            client.store(&server).give_up(self.order).await.map_err(|error| match error {
                ClientError::Rejected { status: 404, .. } => Failure::new(
                    format!("you have no order {} at {server}", self.order),
                    "`portcullis receipts` lists the orders that are not paid",
                ),
                error => error.into(),
            })
        })?;
        match order.state {
            OrderState::Declined => {
                context.screen.report(&GivenUp {
                    server: server.to_string(),
                    order: order.id.to_string(),
                    state: order.state,
                });
                Ok(())
            }
            OrderState::Refunded => Err(Failure::new(
                format!("order {} was paid, and the store pays it back or has done so", order.id),
                "see `portcullis receipts`",
            )),
            OrderState::Paid => Err(Failure::new(
                format!("order {} is paid, and stays so", order.id),
                "see `portcullis receipts`; to have it paid back, ask the store",
            )),
            OrderState::Pending | OrderState::Other(_) => Err(Failure::new(
                format!("order {} was not given up", order.id),
                "see what the store says about it, on its page",
            )),
        }
    }
}

impl Report for GivenUp {
    fn text(&self) -> String {
        let good = style::GOOD;
        let mut lines = Lines::default();
        lines.add("order", &self.order).add("store", &self.server);
        format!("{good}given up{good:#}: nothing is owed; what is paid for it now goes back\n{lines}")
    }
}
