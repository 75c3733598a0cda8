//! An operator does once more what was done, or what is not possible any more: it is said that nothing was changed.

use crate::codes;
use crate::finding::operator;
use crate::stage::{Stage, order};
use portcullis_protocol::wire::OrderAnswer;

#[tokio::test]
async fn what_changes_nothing_says_so() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let mut ada = stage.customer("ada@example.org").await;
    let bought = shop.buy(&mut ada, "view").await.order.to_string();
    let pending: OrderAnswer = ada.get_yes(&order(shop.offer("print").digest(), "pending")).await;
    let (pending, resource) = (pending.order.to_string(), shop.resource.to_string());
    codes::Shop::new(&stage.running.app().core, "games").await;

    // A dispute of an order that is not paid yet changes no state, and is kept.
    for event in ["disputed", "dispute-won"] {
        let played = operator(&stage, &["order", "play", &pending, event]).expect(event);
        assert_eq!(played.trim(), format!("{pending}: pending, and the event is noted"), "{event}");
    }
    let rows = async || stage.running.app().core.store.audit_end().await.expect("read").number;
    // The first time, and once more.
    for (arguments, first, again) in [
        (&["order", "settle", &pending, "paid"][..], ": paid", ": paid already; nothing was changed"),
        (&["order", "refund", &bought], ": refunded", ": refunded already; nothing was changed"),
        (&["merchant", "suspend", "games"], "Suspended. Nothing of", "suspended already, so nothing was changed"),
        (&["merchant", "restore", "games"], "Restored.", "is not suspended, so nothing was changed"),
        (&["account", "suspend", "ada@example.org"], "Suspended.", "suspended already, so nothing was changed"),
        (&["account", "restore", "ada@example.org"], "Restored.", "is not suspended, so nothing was changed"),
    ] {
        let said = operator(&stage, arguments).expect("done");
        assert!(said.contains(first) && !said.contains("nothing was changed"), "{arguments:?}: {said}");
        let told = rows().await;
        let said = operator(&stage, arguments).expect("done already");
        assert!(said.contains(again), "{arguments:?}: {said}");
        if matches!(arguments[0], "account" | "merchant") {
            assert_eq!(rows().await, told, "{arguments:?}: nothing was done, so nothing is told of it");
        }
    }
    operator(&stage, &["withdraw", &resource]).expect("withdrawn");
    for expected in ["Restored", "is not withdrawn, so nothing was changed"] {
        let said = operator(&stage, &["restore", &resource]).expect("restored");
        assert!(said.contains(expected), "{said}");
    }
    // A merchant counts as suspended while its account is, and is not suspended itself by that.
    operator(&stage, &["account", "suspend", "games@example.org"]).expect("suspended");
    for (task, expected) in [
        ("restore", "is not suspended itself, so nothing was changed"),
        ("suspend", "Suspended. Nothing of"),
        ("restore", "Restored, but its account is suspended"),
    ] {
        let said = operator(&stage, &["merchant", task, "games"]).expect(task);
        assert!(said.contains(expected), "{task}: {said}");
    }
    operator(&stage, &["account", "restore", "games@example.org"]).expect("restored");
    let said = operator(&stage, &["merchant", "approve", "games"]).expect("done already");
    assert!(said.contains("`games` was approved before, so nothing was changed. It stands as: approved"), "{said}");
    for verdict in ["paid", "declined"] {
        let said = operator(&stage, &["order", "settle", &bought, verdict]).expect_err("it is refunded");
        assert!(
            said.contains("is refunded, so nothing was settled") && said.contains("reconcile"),
            "{verdict}: {said}"
        );
    }

    // Events go by both their names: their own, and those under which `hosted` reports them.
    for (event, said) in [
        ("dispute.opened", "disputed"),
        ("disputed", "disputed, as before"),
        ("dispute.won", "paid"),
        ("dispute.lost", "charged back"),
    ] {
        let played = operator(&stage, &["order", "play", &pending, event]).expect(event);
        assert_eq!(played.trim(), format!("{pending}: {said}"), "{event}");
    }
    stage.stop().await;
}
