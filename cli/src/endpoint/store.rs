//! What the store says of the merchant: how it stands, what it sells, and whether the store itself reaches the
//! endpoint.

use portcullis_host::MerchantDesk;
use portcullis_protocol::codes::{CodeState, Party};
use portcullis_protocol::wire::MerchantStatus;
use portcullis_protocol::{Product, Span, Unverified};

use super::Endpoint;
use crate::doctor::Finding;
use crate::failure::Failure;

/// A shorter time than this leaves no room for one message that gets lost: it is sent again after five minutes.
const SHORT: u32 = 360;

/// Whether the merchant may sell.
pub(super) fn standing(status: &MerchantStatus) -> Vec<Finding> {
    let known = Finding::ok("key", "known", format!("it is the key of `{}`", status.merchant));
    let state = match status.state.as_str() {
        "approved" => Finding::ok("merchant", "approved", "the store's operator has approved it"),
        "proven" => Finding::warning(
            "merchant",
            "approved",
            "it waits for the store's operator",
            format!("the operator runs `portcullis-server operator merchant approve {}`", status.merchant),
        ),
        state => Finding::wrong(
            "merchant",
            "approved",
            format!("it is {state}"),
            "have the endpoint answer the challenge: `portcullis merchant register`",
        ),
    };
    vec![known, state]
}

/// What everybody is shown: the key, and products that it has signed.
pub(super) async fn products(endpoint: &Endpoint<'_>, status: &MerchantStatus) -> Vec<Finding> {
    if status.state != "approved" {
        return Vec::new();
    }
    let entry = match endpoint.desk.entry(&status.merchant).await {
        Ok(Some(entry)) => entry,
        Ok(None) => {
            let mend = "try again in a moment; if it stays so, ask the store's operator";
            return vec![Finding::wrong("merchant", "shown", "the store does not show it to buyers", mend)];
        }
        Err(error) => return vec![Finding::failed("merchant", "shown", &Failure::from(error))],
    };
    let mut findings = Vec::new();
    findings.push(if entry.key == *endpoint.key.public() {
        Finding::ok("key", "shown", "buyers are shown the same key")
    } else {
        let mend = "do not sell: ask the store's operator why";
        Finding::wrong("key", "shown", "buyers are shown another key than yours", mend)
    });
    if entry.products.is_empty() {
        let mend = "sell one: `portcullis merchant sell NAME --title TEXT --price 20.00EUR`";
        findings.push(Finding::warning("product", "on-sale", "nothing is on sale", mend));
    }
    findings.extend(entry.products.iter().map(|compact| product(endpoint, status, compact)));
    findings
}

fn product(endpoint: &Endpoint<'_>, status: &MerchantStatus, compact: &str) -> Finding {
    let signed = Unverified::<Product>::parse(compact).and_then(|product| product.verify(endpoint.key.public()));
    let product = match signed {
        Ok(product) => product.into_document(),
        Err(error) => {
            let mend = "sign it anew: `portcullis merchant sell NAME …`; terminals do not sell what does not verify";
            return Finding::wrong("product", "signed", error, mend);
        }
    };
    let name = product.name.clone();
    if product.merchant != status.merchant || product.aud != *endpoint.server {
        let what = "it is signed for another merchant or store";
        return Finding::wrong("product", "signed", what, "sign it anew: `portcullis merchant sell NAME …`").of(name);
    }
    if product.deadline.get() < SHORT {
        let what = format!(
            "{}; {} s are short: a message that is lost is sent again after 300",
            product.price, product.deadline
        );
        let mend = format!("give yourself ten minutes: `portcullis merchant sell {name} --deadline 600 …`");
        return Finding::warning("product", "signed", what, mend).of(name);
    }
    Finding::ok("product", "signed", format!("{}, within {}", product.price, Span(product.deadline.get().into())))
        .of(name)
}

/// The store challenges the endpoint itself, from where it stands and with both signatures.
pub(super) async fn challenge(desk: &MerchantDesk) -> Finding {
    match desk.prove().await {
        Ok(_) => Finding::ok("store", "reaches", "the store reaches the endpoint, and takes its proof"),
        Err(error) => {
            let mend = "have the address lead to the merchant's server from the Internet; the store says what it met";
            Finding::failed("store", "reaches", &Failure::from(error).with_fix(mend))
        }
    }
}

/// What waits for the merchant, and how it did within the last hour.
pub(super) async fn orders(desk: &MerchantDesk, status: &MerchantStatus) -> Vec<Finding> {
    let health = format!("{} of {} orders of the last hour got their code in time", status.in_time, status.orders);
    let health = if status.in_time == status.orders {
        Finding::ok("orders", "in-time", health)
    } else {
        let mend = "look into the log of the merchant's server; a merchant that fails too often gets no orders";
        Finding::warning("orders", "in-time", health, mend)
    };
    let open = match desk.open_orders().await {
        Ok(open) => open,
        Err(error) => return vec![health, Finding::failed("orders", "open", &Failure::from(error))],
    };
    let waits =
        |state: Option<CodeState>| state.and_then(CodeState::next).is_some_and(|(who, _)| who == Party::Merchant);
    let waiting = open.iter().filter(|order| waits(order.state.known())).count();
    let open = if waiting == 0 {
        Finding::ok("orders", "open", "none waits for the merchant")
    } else {
        let mend = "see which: `portcullis merchant orders`";
        Finding::warning("orders", "open", format!("{waiting} wait for the merchant"), mend)
    };
    vec![health, open]
}
