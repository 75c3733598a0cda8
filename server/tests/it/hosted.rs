//! A payment page somewhere else: the buyer is sent there, and only its signed word counts.

use crate::stage::Stage;
use crate::terminal::{Draft, now};
use base64ct::{Base64, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use portcullis_protocol::wire::{OrderAnswer, OrderRequest, OrderState, PaymentMethod, PaymentStepKind};
use portcullis_server::billing::orders;
use portcullis_server::store::OrderPhase;
use sha2::Sha256;

const SECRET: &[u8] = b"twenty-four bytes or more of it";

fn hook(body: &str, id: &str, at: u64, secret: &[u8]) -> (String, String) {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length is a key");
    mac.update(format!("{id}.{at}.{body}").as_bytes());
    (at.to_string(), format!("v1,{}", Base64::encode_string(&mac.finalize().into_bytes())))
}

#[tokio::test]
async fn a_buyer_is_sent_to_the_page_and_its_signed_webhook_settles() {
    let stage = Stage::with(|config| {
        let secret = format!("whsec_{}", Base64::encode_string(SECRET));
        let page = "https://pay.example/checkout?shop=7".to_owned();
        let settings = [("page".to_owned(), page.into()), ("secret".to_owned(), secret.into())];
        config.payment.set("hosted", toml::Table::from_iter::<[(String, toml::Value); 2]>(settings));
    })
    .await;
    let shop = stage.shop().await;
    let mut customer = stage.customer("ada@example.org").await;
    let payment = PaymentMethod { provider: "hosted".into(), token: "page".into() };
    let request = OrderRequest { offer: shop.offer("view").digest(), payment, again: false };
    let draft = Draft::post("/v1/orders", &request);
    let opened: OrderAnswer = customer.get_yes(&draft).await;
    let step = opened.next.clone().expect("a page to go to");
    assert_eq!((opened.state, step.kind), (OrderState::Pending, PaymentStepKind::Redirect));
    let url = url::Url::parse(&step.url).expect("an address");
    let of = |name: &str| url.query_pairs().find(|(known, _)| known == name).expect("given").1.into_owned();
    assert_eq!((url.host_str(), of("shop"), of("order")), (Some("pay.example"), "7".into(), opened.order.to_string()));
    assert_eq!((of("amount"), of("currency")), ("199".into(), "EUR".into()));
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).expect("any length is a key");
    mac.update([of("order"), of("amount"), of("currency"), of("return")].join("\n").as_bytes());
    let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(of("signature"), signature, "the page knows whose order it is, and how much it costs");

    let send = async |body: String, (at, signature): (String, String)| {
        let url = format!("{}/webhooks/hosted", stage.origin);
        let request = customer.http.post(url).header("webhook-id", "msg_1").header("webhook-timestamp", at);
        request.header("webhook-signature", signature).body(body).send().await.expect("answers").status().as_u16()
    };
    let event = |kind: &str, amount: &str| {
        let amount = amount.parse::<portcullis_protocol::Money>().expect("an amount");
        let data = serde_json::json!({"order": opened.order, "amount": amount});
        serde_json::json!({"type": kind, "data": data}).to_string()
    };
    let paid = event("payment.settled", "1.99 EUR");
    let phase = async || stage.running.app().core.store.order(&opened.order).await.expect("read").expect("there").phase;
    // Attacks: unsigned, by another secret, for another body, of yesterday, of another amount.
    let own = |body: &str, at: u64| hook(body, "msg_1", at, SECRET);
    assert_eq!(send(paid.clone(), (now().to_string(), String::new())).await, 400);
    assert_eq!(send(paid.clone(), hook(&paid, "msg_1", now(), b"another secret, of any length")).await, 400);
    assert_eq!(send(paid.clone(), own(&event("payment.declined", "1.99 EUR"), now())).await, 400);
    assert_eq!(send(paid.clone(), own(&paid, now() - 86_400)).await, 400);
    let short = event("payment.settled", "0.01 EUR");
    assert_eq!(send(short.clone(), own(&short, now())).await, 204, "heard, and without effect");
    assert_eq!(phase().await, OrderPhase::Pending);
    // The control, said twice.
    for _ in 0..2 {
        assert_eq!(send(paid.clone(), own(&paid, now())).await, 204);
        assert_eq!(phase().await, OrderPhase::Paid);
    }
    // It pays back by hand, and says so.
    orders::refund(&stage.running.app().core, &opened.order).await.expect("taken on");
    assert_eq!(phase().await, OrderPhase::Refunding);
    let back = event("payment.refunded", "1.99 EUR");
    assert_eq!(send(back.clone(), own(&back, now())).await, 204);
    assert_eq!(phase().await, OrderPhase::Refunded);
    let found: OrderAnswer = customer.get_yes(&Draft::get(format!("/v1/orders/{}", opened.order))).await;
    assert_eq!(found.state, OrderState::Refunded);
    stage.stop().await;
}

/// An attack by the network alone: what was answered and not heard is delivered once more, after what followed it.
#[tokio::test]
async fn a_dispute_that_is_announced_again_after_it_was_won_bars_nothing() {
    let stage = Stage::with(|config| {
        let secret = format!("whsec_{}", Base64::encode_string(SECRET));
        let settings = [("page".to_owned(), "https://pay.example/".into()), ("secret".to_owned(), secret.into())];
        config.payment.set("hosted", toml::Table::from_iter::<[(String, toml::Value); 2]>(settings));
    })
    .await;
    let shop = stage.shop().await;
    let mut customer = stage.customer("ada@example.org").await;
    let payment = PaymentMethod { provider: "hosted".into(), token: "page".into() };
    let request = OrderRequest { offer: shop.offer("view").digest(), payment, again: false };
    let opened: OrderAnswer = customer.get_yes(&Draft::post("/v1/orders", &request)).await;
    // Each attempt is signed anew, under the identifier of its message.
    let tell = async |id: &str, kind: &str| {
        let data = serde_json::json!({"order": opened.order, "amount": {"minor_units": 199, "currency": "EUR"}});
        let body = serde_json::json!({"type": kind, "data": data}).to_string();
        let (at, signature) = hook(&body, id, now(), SECRET);
        let url = format!("{}/webhooks/hosted", stage.origin);
        let request = customer.http.post(url).header("webhook-id", id).header("webhook-timestamp", at);
        let answer = request.header("webhook-signature", signature).body(body).send().await.expect("answers");
        assert_eq!(answer.status().as_u16(), 204);
        stage.running.app().core.store.order(&opened.order).await.expect("read").expect("there").phase
    };
    assert_eq!(tell("msg_1", "payment.settled").await, OrderPhase::Paid);
    assert_eq!(tell("msg_2", "dispute.opened").await, OrderPhase::Disputed);
    assert_eq!(tell("msg_3", "dispute.won").await, OrderPhase::Paid);
    assert_eq!(tell("msg_2", "dispute.opened").await, OrderPhase::Paid, "heard before");
    // The control: another dispute, which is not won by what was said of the first one.
    assert_eq!(tell("msg_4", "dispute.opened").await, OrderPhase::Disputed);
    assert_eq!(tell("msg_3", "dispute.won").await, OrderPhase::Disputed, "heard before");
    assert_eq!(tell("msg_5", "dispute.lost").await, OrderPhase::ChargedBack);
    stage.stop().await;
}

#[test]
fn its_settings_are_checked() {
    for (page, secret) in [
        ("http://pay.example/", "whsec_dHdlbnR5LWZvdXIgYnl0ZXMgb3IgbW9yZQ=="),
        ("https://pay.example/", "whsec_c2hvcnQ="),
        ("https://pay.example/", "no secret"),
    ] {
        let mut settings = portcullis_server::billing::payment::PaymentSettings::default();
        let table = [("page".to_owned(), page.into()), ("secret".to_owned(), secret.into())];
        settings.set("hosted", toml::Table::from_iter::<[(String, toml::Value); 2]>(table));
        let refused = settings.providers().expect_err("refused");
        assert!(refused.contains("payment.hosted") && !refused.contains(secret), "{refused}");
        assert!(!format!("{settings:?}").contains(secret));
    }
}
