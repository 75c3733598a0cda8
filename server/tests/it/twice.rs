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

    // The first time, and once more.
    for (arguments, first, again) in [
        (&["order", "settle", &pending, "paid"][..], ": paid", ": paid already; nothing was changed"),
        (&["order", "refund", &bought], ": refunded", ": refunded already; nothing was changed"),
        (&["merchant", "suspend", "games"], "Suspended. Nothing of", "suspended already, so nothing was changed"),
        (&["merchant", "restore", "games"], "Restored.", "is not suspended, so nothing was changed"),
        (&["account", "suspend", "ada@example.org"], "Suspended.", "suspended already, so nothing was changed"),
        (&["account", "restore", "ada@example.org"], "Restored.", "is not suspended, so nothing was changed"),
        (&["withdraw", &resource], "Withdrew", "Withdrew"),
        (&["restore", &resource], "Restored", "is not withdrawn, so nothing was changed"),
    ] {
        let said = operator(&stage, arguments).expect("done");
        assert!(said.contains(first) && !said.contains("nothing was changed"), "{arguments:?}: {said}");
        let said = operator(&stage, arguments).expect("done already");
        assert!(said.contains(again), "{arguments:?}: {said}");
    }
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
