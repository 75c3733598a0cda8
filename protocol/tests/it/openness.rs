//! What may grow and what may not: requests, envelopes and the cycle are closed, every other answer is open.

use crate::fixtures::{NOW, key};
use portcullis_protocol::cycle::{Disbelief, Reply, read_reply};
use portcullis_protocol::wire::{
    AccountAnswer, Acknowledged, AuthorisationAnswer, BalancesAnswer, BatchesAnswer, CatalogueEntry, Done,
    EntitlementInfo, EntitlementsAnswer, EventsAnswer, OffersAnswer, OrderAnswer, OrderRequest, OrderState,
    PublishAnswer, PublishedAnswer, PublisherAnswer, ReceiptsAnswer, RefundsAnswer, SearchAnswer, SessionsAnswer,
    TerminalAnswer, TopUpsAnswer, UnpaidOrdersAnswer, VerificationAnswer, WebhookKeysAnswer,
};
use portcullis_protocol::{Answer, Digest, Document, JwsError, Listed, Reason, RefusalAnswer, Verified, WellKnown};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// Whether a body is still read when a later version has added a member to it. Without the member it is.
fn grows<B: DeserializeOwned>(mut body: Value) -> bool {
    serde_json::from_value::<B>(body.clone()).unwrap_or_else(|error| panic!("{body}: {error}"));
    body["colour"] = json!("blue");
    serde_json::from_value::<B>(body).is_ok()
}

#[test]
fn answers_grow_but_for_those_of_the_cycle() {
    let (digest, thumbprint) = (Digest::of(b""), key(1).public().thumbprint());
    let terminal =
        json!({"terminal": ID, "label": "desk", "key": thumbprint, "enrolled": 1, "revoked": false, "current": true});
    let jwk = serde_json::to_value(key(1).public()).expect("json");
    let listing = json!({"publisher": "lumen", "publisher_key": jwk, "name": "lake", "kind": "picture", "title": "",
        "description": "", "versions": [], "offers": [], "vouches": []});
    let answers = [
        ("the store's document", grows::<WellKnown>(json!({"root": jwk, "keys": "", "api": "https://s.example/v1"}))),
        ("terminal", grows::<TerminalAnswer>(json!({"terminal": ID, "account": "ada"}))),
        ("order", grows::<OrderAnswer>(json!({"order": ID, "state": "paid", "receipt": null}))),
        (
            "publish",
            grows::<PublishAnswer>(
                json!({"resource": digest, "publisher": "lumen", "name": "lake", "version": "1.0.0"}),
            ),
        ),
        ("offers", grows::<OffersAnswer>(json!({"offers": []}))),
        ("account", grows::<AccountAnswer>(json!({"account": "ada", "terminals": [terminal], "publishers": []}))),
        ("sessions", grows::<SessionsAnswer>(json!({"sessions": [], "browsers": 0}))),
        ("entitlements", grows::<EntitlementsAnswer>(json!({"entitlements": [], "next": null}))),
        ("receipts", grows::<ReceiptsAnswer>(json!({"receipts": [], "next": null}))),
        ("events", grows::<EventsAnswer>(json!({"epoch": ID, "events": [], "last": 0}))),
        ("keys of webhooks", grows::<WebhookKeysAnswer>(json!({"signed": ""}))),
        ("refunds", grows::<RefundsAnswer>(json!({"refunds": [], "next": null}))),
        ("top-ups", grows::<TopUpsAnswer>(json!({"receipts": [], "next": null}))),
        ("balances", grows::<BalancesAnswer>(json!({"balances": []}))),
        ("done", grows::<Done>(json!({}))),
        ("publisher", grows::<PublisherAnswer>(json!({"name": "lumen", "publisher_key": jwk, "vouches": []}))),
        ("unpaid orders", grows::<UnpaidOrdersAnswer>(json!({"orders": [unpaid(json!({"kind": "top-up"}))]}))),
        ("published", grows::<PublishedAnswer>(json!({"resources": [], "next": null}))),
        ("search", grows::<SearchAnswer>(json!({"results": [listing], "next": null}))),
        ("catalogue", grows::<CatalogueEntry>(listing)),
    ];
    for (what, grows) in answers {
        assert!(grows, "{what}");
    }

    let code = format!("{}{}", "A".repeat(63), "A");
    let keys = json!({"suite": 1, "enc": "A".repeat(43), "keys": []});
    let cycle = [
        ("authorisation", grows::<AuthorisationAnswer>(json!({"code": code, "expires": 1}))),
        ("verification", grows::<VerificationAnswer>(json!({"grant": "", "grant_nonce": ID, "keys": keys}))),
        ("acknowledgement", grows::<Acknowledged>(json!({}))),
    ];
    for (what, grows) in cycle {
        assert!(!grows, "{what}");
    }
    let order = json!({"offer": digest, "payment": {"provider": "sandbox", "token": "ok"}});
    assert!(!grows::<OrderRequest>(order), "requests are closed");
}

#[test]
fn a_state_of_an_order_that_is_not_known_is_read_and_is_not_paid() {
    let read =
        |state: &str| serde_json::from_value::<OrderAnswer>(json!({"order": ID, "state": state, "receipt": null}));
    for (text, state) in [("pending", OrderState::Pending), ("paid", OrderState::Paid)] {
        assert_eq!(read(text).expect("a state").state, state);
    }
    let later = read("held-for-review").expect("a state of a later version").state;
    assert!(matches!(later, OrderState::Other(code) if code.code() == "held-for-review") && later != OrderState::Paid);
    assert_eq!(serde_json::to_value(later).expect("json"), json!("held-for-review"));
    for text in ["", "Paid", "paid ", "held for review", "paid\u{1b}[2J", &"x".repeat(33)] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn what_a_list_has_that_is_not_known_spoils_nothing_beside_it() {
    let held = |rights: Value| {
        json!({"publisher": "lumen", "name": "lake", "operation": "view", "rights": rights, "remaining": null,
            "revoked": false})
    };
    let list = json!([
        held(json!({"model": "season", "until": "autumn\u{1b}[2J"})),
        held(json!({"model": "perpetual"})),
        held(json!({"model": "perpetual", "until": "autumn"})),
        {"goods": "gift-card"},
        7
    ]);
    let listed: Listed<EntitlementInfo> = serde_json::from_value(list.clone()).expect("a list");
    assert_eq!((listed.len(), listed.unknown.len()), (1, 4));
    let unknown = &listed.unknown[0];
    assert_eq!(unknown.resource().as_deref(), Some("lumen/lake"));
    assert_eq!(unknown.text("operation").as_deref(), Some("view"));
    assert_eq!(unknown.model().as_deref(), Some("season"));
    assert_eq!(listed.unknown[2].resource(), None);
    assert_eq!(listed.unknown[3].text("name"), None);
    let again = serde_json::to_value(&listed).expect("json");
    assert_eq!(again.as_array().map(Vec::len), Some(5), "nothing of it is lost");
    serde_json::from_value::<Listed<EntitlementInfo>>(json!({})).expect_err("no list at all");
}

/// A document as a later version would sign it.
fn signed<D: Document>(document: &D, add: &str, value: Value) -> String {
    #[derive(Serialize, serde::Deserialize)]
    #[serde(transparent)]
    struct Later(Value);
    struct Typed<D>(Later, std::marker::PhantomData<D>);
    impl<D> Serialize for Typed<D> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.serialize(serializer)
        }
    }
    impl<'de, D> serde::Deserialize<'de> for Typed<D> {
        fn deserialize<R: serde::Deserializer<'de>>(deserializer: R) -> Result<Self, R::Error> {
            Later::deserialize(deserializer).map(|later| Self(later, std::marker::PhantomData))
        }
    }
    impl<D: Document> Document for Typed<D> {
        const TYP: &'static str = D::TYP;
    }
    let mut later = serde_json::to_value(document).expect("json");
    later[add] = value;
    Verified::sign(Typed::<D>(Later(later), std::marker::PhantomData), &key(1)).compact().to_owned()
}

#[test]
fn the_envelopes_are_closed_and_a_refusal_has_one_open_member() {
    let (keys, req) = (crate::fixtures::key_document(&key(1)), Digest::of(b"proof"));
    let answer = Answer { req, iat: NOW, body: Done {} };
    let grown = signed(&answer, "body", json!({"colour": "blue"}));
    assert!(matches!(read_reply::<Done>(&grown, &keys, &req, NOW), Ok(Reply::Yes { .. })));
    let grown = signed(&answer, "colour", json!("blue"));
    let unread =
        |reply: Result<Reply<Done>, Disbelief>| matches!(reply, Err(Disbelief::Signature(JwsError::Payload { .. })));
    assert!(unread(read_reply(&grown, &keys, &req, NOW)));

    let refusal = RefusalAnswer {
        req,
        iat: NOW,
        reason: Reason::SeatsTaken,
        detail: None,
        offers: Vec::new(),
        retry_after: None,
        more: portcullis_protocol::More::new(),
    };
    assert!(unread(read_reply(&signed(&refusal, "colour", json!("blue")), &keys, &req, NOW)));
    let grown = signed(&refusal, "more", json!({"queue": {"place": 3}}));
    let Ok(Reply::No(no)) = read_reply::<Done>(&grown, &keys, &req, NOW) else { panic!("a no") };
    assert_eq!((no.reason, &no.more["queue"]["place"]), (Reason::SeatsTaken, &json!(3)));
    let grown = signed(&refusal, "reason", json!("gift-card-needed"));
    let Ok(Reply::No(no)) = read_reply::<Done>(&grown, &keys, &req, NOW) else { panic!("a no") };
    assert_eq!(no.reason.code(), "gift-card-needed");
    assert!(unread(read_reply(&signed(&refusal, "reason", json!("gift card")), &keys, &req, NOW)));
    // A reason that only a terminal can have is not believed, whatever else a server may send.
    let offline = signed(&refusal, "reason", json!("offline"));
    assert!(matches!(read_reply::<Done>(&offline, &keys, &req, NOW), Err(Disbelief::Reason)));
}

fn unpaid(goods: Value) -> Value {
    let amount = json!({"minor_units": 500, "currency": "EUR"});
    json!({"order": ID, "goods": goods, "amount": amount, "at": 1, "until": 2})
}

/// An order for what this version does not know is one that it does not know, and keeps nobody from the others.
#[test]
fn unpaid_orders_of_each_kind_are_read_and_others_are_named() {
    let rights = json!({"kind": "rights", "publisher": "lumen", "name": "lake", "operation": "view", "title": "All"});
    let codes = json!({"kind": "codes", "merchant": "games", "title": "Key", "quantity": 2, "terminal": ID, "more": 1});
    let shouting =
        json!({"kind": "rights", "publisher": "lumen", "name": "lake", "operation": "view", "title": "\u{202e}"});
    let all = [rights, json!({"kind": "top-up", "more": 1}), codes, json!({"kind": "shares"}), shouting];
    let orders: Vec<Value> = all.into_iter().map(unpaid).collect();
    let answer: UnpaidOrdersAnswer = serde_json::from_value(json!({"orders": orders})).expect("an answer");
    assert_eq!((answer.orders.known.len(), answer.orders.unknown.len()), (3, 2));
    let back = serde_json::to_value(&answer).expect("JSON");
    assert_eq!(serde_json::from_value::<UnpaidOrdersAnswer>(back).expect("the same").orders, answer.orders);
}

/// Codes that give rights of another model can be listed and ended.
#[test]
fn a_batch_of_rights_that_are_not_known_is_a_batch() {
    let batch = |rights: Value| {
        json!({"batch": ID, "offer": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "operation": "view", "rights": rights,
               "count": 1, "redeemed": 0, "void": 0, "note": "", "made": 1})
    };
    let batches = [batch(json!({"model": "perpetual"})), batch(json!({"model": "shares", "of": 3}))];
    let answer: BatchesAnswer = serde_json::from_value(json!({"batches": batches, "next": null})).expect("an answer");
    let known: Vec<bool> = answer.batches.iter().map(|batch| batch.rights.is_some()).collect();
    assert_eq!(known, [true, false]);
}
