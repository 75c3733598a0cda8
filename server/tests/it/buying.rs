//! Buying and running over HTTP, from the refusal to the keys, as a terminal does it.

use crate::stage::{FULL, PREVIEW, Shop, Stage, order, terms};
use crate::terminal::{Draft, Terminal, now};
use portcullis_protocol::age::FileKey;
use portcullis_protocol::cycle::{self, Request};
use portcullis_protocol::sealed::Sealed;
use portcullis_protocol::wire::{
    Acknowledgement, AuthorisationAnswer, AuthorisationRequest, BalancesAnswer, Done, EntitlementsAnswer, OrderAnswer,
    OrderState, PaymentMethod, ReceiptsAnswer, TopUpRequest, TopUpsAnswer, VerificationAnswer, VerificationRequest,
};
use portcullis_protocol::{Grant, PartName, Reason, Receipt, Rights, TopUpReceipt, Unverified, Verified};
use reqwest::StatusCode;
use std::io::Read as _;

fn authorise(request: &AuthorisationRequest) -> Draft {
    Draft::post("/v1/authorizations", request)
}

/// The whole cycle. Returns the grant and the part keys.
async fn run(customer: &mut Terminal, shop: &Shop, operation: &str) -> (Verified<Grant>, Vec<(PartName, FileKey)>) {
    let asked = shop.request(operation);
    let sealed = Sealed::open(shop.file.clone()).expect("sealed");
    let parts = sealed.manifest().operation(&asked.operation).expect("an operation").parts.clone();
    let answer: AuthorisationAnswer = customer.get_yes(&authorise(&asked)).await;
    let authorised = Request::new(asked, parts).authorised(answer);
    let draft = Draft::post("/v1/verifications", &authorised.verification_body());
    let answer: VerificationAnswer = customer.get_yes(&draft).await;
    let terminal =
        cycle::Terminal { thumbprint: &customer.key.public().thumbprint(), origin: &customer.origin, now: now() };
    let granted = authorised.verified(answer, &customer.keys, &terminal).expect("for this request and terminal");
    granted.open_keys(&customer.release).expect("sealed to this terminal")
}

fn read_part(shop: &Shop, (name, key): &(PartName, FileKey)) -> Vec<u8> {
    let sealed = Sealed::open(shop.file.clone()).expect("sealed");
    let mut plain = Vec::new();
    sealed.part(name, key).expect("its key").read_to_end(&mut plain).expect("reads");
    plain
}

#[tokio::test]
async fn unpaid_is_refused_with_offers_and_paid_is_granted() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let mut customer = stage.customer("ada@example.org").await;

    let (_, keys) = run(&mut customer, &shop, "preview").await;
    assert_eq!(read_part(&shop, &keys[0]), PREVIEW, "free");

    let refused = customer.get_no(&authorise(&shop.request("view"))).await;
    assert_eq!(refused.reason, Reason::PaymentRequired);
    assert_eq!(refused.offers.len(), 1);
    let offered = crate::stage::read_offer(&customer, &refused.offers[0]);
    assert_eq!(offered.document().price.to_string(), "1.99 EUR");

    let bought: OrderAnswer = customer.get_yes(&order(offered.digest(), "ok")).await;
    assert_eq!(bought.state, OrderState::Paid);
    let receipt = Unverified::<Receipt>::parse(&bought.receipt.clone().expect("a receipt")).expect("a receipt");
    let key = customer.keys.signing_key(receipt.kid(), now()).expect("a current key").clone();
    assert_eq!(receipt.verify(&key).expect("signed").document().price.to_string(), "1.99 EUR");
    let found: OrderAnswer = customer.get_yes(&Draft::get(format!("/v1/orders/{}", bought.order))).await;
    assert_eq!(found.state, OrderState::Paid);

    let (grant, keys) = run(&mut customer, &shop, "view").await;
    assert_eq!(read_part(&shop, &keys[0]), FULL);
    let id = grant.document().jti;
    let again: VerificationAnswer = customer.get_yes(&Draft::get(format!("/v1/grants/{id}"))).await;
    assert_eq!(again.grant, grant.compact(), "delivered again");
    let ack = Draft::post(format!("/v1/grants/{id}/ack"), &Acknowledgement { grant: id });
    let Done {} = customer.get_yes(&ack).await;

    let ReceiptsAnswer { receipts, .. } = customer.get_yes(&Draft::get("/v1/account/receipts")).await;
    assert_eq!(receipts, [bought.receipt.expect("a receipt")]);
    stage.stop().await;
}

#[tokio::test]
async fn uses_are_counted_down_and_end() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let mut customer = stage.customer("ada@example.org").await;
    shop.buy(&mut customer, "print").await;
    for left in [2, 1, 0] {
        run(&mut customer, &shop, "print").await;
        let EntitlementsAnswer { entitlements, .. } = customer.get_yes(&Draft::get("/v1/account/entitlements")).await;
        assert_eq!(entitlements[0].remaining, Some(left));
    }
    let refused = customer.get_no(&authorise(&shop.request("print"))).await;
    assert_eq!(refused.reason, Reason::EntitlementExhausted);
    stage.stop().await;
}

/// Seventy receipts in one answer would be more than a terminal reads of a signed document.
#[tokio::test]
async fn a_customer_of_many_orders_still_reads_all_receipts() {
    const ORDERS: usize = 70;
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let mut customer = stage.customer("ada@example.org").await;
    for _ in 0..ORDERS {
        shop.buy(&mut customer, "print").await;
    }
    let (mut read, mut path) = (Vec::new(), "/v1/account/receipts".to_owned());
    loop {
        let ReceiptsAnswer { receipts, next } = customer.get_yes(&Draft::get(path)).await;
        assert!(!receipts.is_empty(), "an empty page");
        read.extend(receipts);
        let Some(next) = next else { break };
        path = format!("/v1/account/receipts/{next}");
    }
    let several = read.len();
    read.sort();
    read.dedup();
    assert_eq!((several, read.len()), (ORDERS, ORDERS), "each receipt once");
    let EntitlementsAnswer { entitlements, next } = customer.get_yes(&Draft::get("/v1/account/entitlements")).await;
    assert_eq!((entitlements.len(), next), (ORDERS, None));
    stage.stop().await;
}

#[tokio::test]
async fn declined_and_pending_orders_give_nothing() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let mut customer = stage.customer("ada@example.org").await;
    for (token, state) in [("decline", OrderState::Declined), ("pending", OrderState::Pending)] {
        let answer: OrderAnswer = customer.get_yes(&order(shop.offer("view").digest(), token)).await;
        assert_eq!(answer.state, state);
        assert_eq!(customer.get_no(&authorise(&shop.request("view"))).await.reason, Reason::PaymentRequired);
    }
    let mut other = stage.customer("bob@example.org").await;
    let theirs = shop.buy(&mut customer, "print").await;
    let peeked = other.send(&Draft::get(format!("/v1/orders/{}", theirs.order))).await;
    assert_eq!(peeked.status, StatusCode::NOT_FOUND, "somebody else's order");
    stage.stop().await;
}

#[tokio::test]
async fn every_reason_the_edge_can_reach_is_signed() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let mut customer = stage.customer("ada@example.org").await;
    let mut other = stage.customer("bob@example.org").await;

    let mut unknown = shop.request("view");
    unknown.resource = portcullis_protocol::Digest::of(b"nothing");
    assert_eq!(customer.get_no(&authorise(&unknown)).await.reason, Reason::ResourceUnknown);
    let no_such = shop.request("fly");
    assert_eq!(customer.get_no(&authorise(&no_such)).await.reason, Reason::OperationUnknown);

    let asked = shop.request("preview");
    let code: AuthorisationAnswer = customer.get_yes(&authorise(&asked)).await;
    let authorised = Request::new(asked.clone(), Vec::new()).authorised(code);
    let body = authorised.verification_body();
    let verify = || Draft::post("/v1/verifications", &body);
    assert_eq!(other.get_no(&verify()).await.reason, Reason::StatusCodeUnknown, "another terminal's code");
    let mut for_view = body.clone();
    for_view.request.operation = "view".parse().expect("an operation");
    let for_view = Draft::post("/v1/verifications", &for_view);
    let refused = customer.get_no(&for_view).await.reason;
    assert!(matches!(refused, Reason::BindingMismatch | Reason::StatusCodeUnknown), "{refused}");
    let _: VerificationAnswer = customer.get_yes(&verify()).await;
    assert_eq!(customer.get_no(&verify()).await.reason, Reason::StatusCodeSpent, "with another Idempotency-Key");

    let code: AuthorisationAnswer = customer.get_yes(&authorise(&asked)).await;
    let late = Request::new(asked, Vec::new()).authorised(code);
    stage.clock.advance(31);
    let late = Draft::post("/v1/verifications", &late.verification_body());
    assert_eq!(customer.get_no(&late).await.reason, Reason::StatusCodeExpired);
    stage.stop().await;
}

#[tokio::test]
async fn money_is_paid_in_drawn_by_the_unit_and_shown() {
    let stage = Stage::open().await;
    let mut shop = stage.shop().await;
    shop.reprice(vec![terms("print", Rights::Metered {}, "0.50 EUR")]).await;
    let mut customer = stage.customer("ada@example.org").await;
    let mut asked = shop.request("print");
    asked.offer = Some(shop.offer("print").digest());
    let refused = customer.get_no(&authorise(&asked)).await;
    assert_eq!(refused.reason, Reason::BalanceTooLow, "nothing was paid in");

    let top_up = |amount: &str| {
        let payment = PaymentMethod { provider: "sandbox".into(), token: "ok".into() };
        Draft::post(
            "/v1/account/top-ups",
            &TopUpRequest { amount: amount.parse().expect("an amount"), payment, again: false },
        )
    };
    let draft = top_up("1.20 EUR");
    let paid: OrderAnswer = customer.get_yes(&draft).await;
    assert_eq!(paid.state, OrderState::Paid);
    let again: OrderAnswer = customer.get_yes(&draft).await;
    assert_eq!(again.order, paid.order, "asked again under the same key, paid once");
    let receipt = Unverified::<TopUpReceipt>::parse(&paid.receipt.clone().expect("a receipt")).expect("a receipt");
    let key = customer.keys.signing_key(receipt.kid(), now()).expect("a current key").clone();
    assert_eq!(receipt.verify(&key).expect("signed").document().amount.to_string(), "1.20 EUR");
    assert_eq!(customer.get_no(&top_up("0.00 EUR")).await.reason, Reason::PaymentRequired, "of nothing, and signed");

    for left in ["0.70 EUR", "0.20 EUR"] {
        let answer: AuthorisationAnswer = customer.get_yes(&authorise(&asked)).await;
        let held: BalancesAnswer = customer.get_yes(&Draft::get("/v1/account/balances")).await;
        assert_eq!(held.balances[0].held.to_string(), "0.50 EUR");
        let request = VerificationRequest { code: answer.code, request: asked.clone() };
        let _: VerificationAnswer = customer.get_yes(&Draft::post("/v1/verifications", &request)).await;
        let BalancesAnswer { balances } = customer.get_yes(&Draft::get("/v1/account/balances")).await;
        assert_eq!((balances[0].amount.to_string(), balances[0].held.is_zero()), (left.to_owned(), true));
    }
    let refused = customer.get_no(&authorise(&asked)).await;
    assert_eq!(refused.reason, Reason::BalanceTooLow, "0.20 EUR pays for none");
    let list: TopUpsAnswer = customer.get_yes(&Draft::get("/v1/account/top-ups")).await;
    assert_eq!((list.receipts, list.next), (vec![paid.receipt.expect("a receipt")], None));
    // Nobody else sees any of it.
    let mut other = stage.customer("bob@example.org").await;
    let BalancesAnswer { balances } = other.get_yes(&Draft::get("/v1/account/balances")).await;
    let list: TopUpsAnswer = other.get_yes(&Draft::get("/v1/account/top-ups/0")).await;
    assert!(balances.is_empty() && list.receipts.is_empty());
    stage.stop().await;
}
