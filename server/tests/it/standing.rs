//! Money is taken for what can be granted, from and for somebody in good standing, and for nothing else.

use crate::metered::{accepted, booked, metered, pay, purse, top_up};
use crate::world::{Machine, World, account, count, fresh, order_request, reason};
use portcullis_protocol::wire::{OrderAnswer, OrderState};
use portcullis_protocol::{PublisherName, Reason, Rights, SecretKey};
use portcullis_server::ServiceError;
use portcullis_server::billing::orders;
use portcullis_server::billing::payment::Decision;
use portcullis_server::crypto::secrets::rng;
use portcullis_server::store::{AccountPage, NewVouch, OrderPhase, PublishOutcome, SearchQuery, VouchOutcome};

async fn order(world: &World, machine: &Machine, operation: &str, token: &str) -> Result<OrderAnswer, ServiceError> {
    let digest = crate::intent::offer_in_force(world, operation);
    let request = order_request(digest, token);
    orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await
}

/// How many offers the catalogue shows, and how many resources a search finds.
async fn shown(world: &World) -> (usize, usize) {
    let (publisher, name) = ("lumen".parse().expect("a name"), "alpine-lake".parse().expect("a name"));
    let listing = world.core.store.listing(&publisher, &name).await.expect("read").expect("listed");
    let query = SearchQuery { text: String::new(), kind: None, page: 0, per_page: 20 };
    let found = world.core.store.search(query).await.expect("searched").listings;
    (listing.offers.len(), found.len())
}

#[tokio::test]
async fn nothing_is_sold_of_what_was_withdrawn_until_there_is_a_new_version() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    assert_eq!(shown(&world).await, (3, 1));
    world.core.store.withdraw(&world.owner, &world.resource, "recalled".into()).await.expect("withdrawn");
    assert_eq!(reason(order(&world, &machine, "view", "ok").await), Reason::ResourceWithdrawn);
    assert_eq!(shown(&world).await, (0, 0));
    assert_eq!(count(&world, "SELECT count(*) FROM orders"), 0);
    assert_eq!(count(&world, "SELECT count(*) FROM ledger"), 0);

    world.publish("alpine-lake", "1.1.0").await;
    assert_eq!(shown(&world).await, (3, 1), "the offers are there again");
    order(&world, &machine, "view", "ok").await.expect("sold");
}

#[tokio::test]
async fn nothing_is_sold_of_an_operation_that_no_version_on_sale_has() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let (mut resource, _) = world.new_resource("alpine-lake", "2.0.0");
    resource.manifest.operations.retain(|operation| operation.name.as_str() != "resize");
    resource.digest = portcullis_protocol::Digest::of(b"without resize");
    assert_eq!(world.core.store.publish(resource).await, Ok(PublishOutcome::Published));
    order(&world, &machine, "resize", "ok").await.expect("1.0.0 has it");
    world.core.store.withdraw(&world.owner, &world.resource, String::new()).await.expect("withdrawn");
    assert_eq!(reason(order(&world, &machine, "resize", "ok").await), Reason::OperationUnknown);
    order(&world, &machine, "view", "ok").await.expect("2.0.0 has that");
}

/// A publisher of thousands of resources changes its key: they are off sale at once, and everybody else is served while
/// they leave the index.
#[tokio::test]
async fn what_a_new_key_does_not_stand_for_leaves_the_index_some_at_a_time() {
    let mut world = World::new().await;
    for number in 0..60 {
        world.publish(&format!("lake-{number}"), "1.0.0").await;
    }
    assert_eq!(shown(&world).await, (3, 20));
    let indexed = |world: &World| count(world, "SELECT count(*) FROM trigrams");
    let (all, successor) = (indexed(&world), SecretKey::generate(&mut rng()));
    let name: PublisherName = "lumen".parse().expect("a name");
    let vouch = NewVouch {
        account: world.owner,
        name: name.clone(),
        by: world.publisher.public().clone(),
        key: successor.public().clone(),
        seq: 1,
        compact: "a vouch".into(),
    };
    assert!(matches!(world.core.store.vouch(vouch).await, Ok(VouchOutcome::Vouched)));
    assert_eq!((shown(&world).await, indexed(&world)), ((0, 0), all));
    // Nor is any of it on sale because its owner is in good standing again.
    for suspended in [true, false] {
        assert!(world.core.store.set_suspended(&world.owner, suspended).await.expect("set"));
    }
    assert_eq!(shown(&world).await, (0, 0));
    assert!(world.core.store.unlist(&name).await.expect("unlisted"), "there are more");
    let some = indexed(&world);
    assert!(0 < some && some < all, "{some} of {all}");
    assert!(!world.core.store.unlist(&name).await.expect("unlisted"));
    assert_eq!(indexed(&world), 0);
    // The control: what the new key signs is found.
    world.publisher = successor;
    world.publish("alpine-lake", "1.1.0").await;
    assert_eq!(shown(&world).await, (3, 1));
}

#[tokio::test]
async fn a_suspended_publisher_sells_nothing_and_takes_nothing_from_those_who_bought() {
    let world = metered("0.02 EUR").await;
    let (buyer, machine) = (world.machine("ada@example.org").await, world.machine("bob@example.org").await);
    world.buy(&buyer, "view").await;
    top_up(&world, &machine, "1.00 EUR").await;
    let draw = accepted(&world, 1).await;
    assert!(world.core.store.set_suspended(&world.owner, true).await.expect("suspended"));

    assert_eq!(reason(order(&world, &machine, "view", "ok").await), Reason::ResourceWithdrawn);
    assert_eq!(shown(&world).await, (0, 0));
    match world.authorise(&machine, &draw).await {
        Err(ServiceError::Refused(refusal)) => {
            assert_eq!((refusal.reason, refusal.offers.len()), (Reason::PaymentRequired, 0), "no unit is drawn");
        }
        other => panic!("{other:?}"),
    }
    world.run(&buyer, "view").await.expect("what was bought runs");
    assert_eq!(purse(&world.core, &machine).await, (100, 0));

    assert!(world.core.store.set_suspended(&world.owner, false).await.expect("restored"));
    world.authorise(&machine, &draw).await.expect("the same offer again");
    order(&world, &machine, "view", "ok").await.expect("sold");
}

/// The asker was looked up before: the transaction looks again.
#[tokio::test]
async fn who_was_shut_out_meanwhile_orders_nothing() {
    let world = World::new().await;
    let (one, two) = (world.machine("ada@example.org").await, world.machine("bob@example.org").await);
    assert!(world.core.store.set_suspended(&one.account, true).await.expect("suspended"));
    assert!(world.core.store.revoke_terminal(&two.account, &two.id).await.expect("revoked"));
    for (machine, expected) in [(&one, Reason::AccountSuspended), (&two, Reason::TerminalRevoked)] {
        assert_eq!(reason(order(&world, machine, "view", "ok").await), expected);
        let request = pay("5.00 EUR", "ok");
        let refused = orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await;
        assert_eq!(reason(refused), expected);
    }
    assert_eq!(count(&world, "SELECT count(*) FROM orders"), 0);
}

/// Whatever happened while an order was pending: what is paid for nothing stands in `reconcile` and goes back.
#[tokio::test]
async fn what_is_paid_when_nothing_can_be_given_any_more_goes_back() {
    let world = World::new().await;
    let owner = world.owner;
    let machines = [
        world.machine("ada@example.org").await,
        world.machine("bob@example.org").await,
        world.machine("eve@example.org").await,
    ];
    let suspend = async |account, suspended| {
        world.core.store.set_suspended(account, suspended).await.expect("suspended or restored");
    };
    for (case, machine) in machines.iter().enumerate() {
        let pending = order(&world, machine, "view", "pending").await.expect("pending").order;
        match case {
            0 => suspend(&owner, true).await,
            1 => suspend(&machine.account, true).await,
            _ => {
                world.core.store.withdraw(&owner, &world.resource, String::new()).await.expect("withdrawn");
            }
        }
        let decided = orders::decide(&world.core, &pending, Decision::Settled).await.expect("decided");
        assert_eq!((decided.state, &decided.receipt), (OrderState::Refunded, &None), "case {case}");
        suspend(&owner, false).await;
        suspend(&machine.account, false).await;
        let held = world.core.store.entitlements(&machine.account, AccountPage::new(0, 10)).await.expect("read");
        assert!(held.rows.is_empty());
        let open = orders::open(&world.core).await.expect("listed");
        assert_eq!(
            open.iter().map(|order| (order.id, order.phase)).collect::<Vec<_>>(),
            [(pending, OrderPhase::Refunding)]
        );
        let books = async || {
            let balances = world.core.store.balances().await.expect("balances");
            ["provider:sandbox", "refunds", "publisher:lumen"].map(|account| booked(&balances, account))
        };
        assert_eq!(books().await, [-499, 499, 0]);
        // What the provider says again changes nothing.
        orders::decide(&world.core, &pending, Decision::Settled).await.expect("heard");
        orders::refund(&world.core, &pending).await.expect("paid back");
        assert_eq!(books().await, [0, 0, 0]);
    }
    assert!(orders::open(&world.core).await.expect("listed").is_empty());
}

#[tokio::test]
async fn a_top_up_that_is_paid_when_its_account_is_suspended_goes_back() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let request = pay("5.00 EUR", "pending");
    let pending = orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await.expect("pending").order;
    world.core.store.set_suspended(&machine.account, true).await.expect("suspended");
    let decided = orders::decide(&world.core, &pending, Decision::Settled).await.expect("decided");
    assert_eq!(decided.state, OrderState::Refunded);
    assert_eq!(purse(&world.core, &machine).await, (0, 0));
    orders::refund(&world.core, &pending).await.expect("paid back");
    let balances = world.core.store.balances().await.expect("balances");
    assert_eq!(["provider:sandbox", "refunds"].map(|account| booked(&balances, account)), [0, 0]);
}

/// What another store signed is not this one's to sell, whatever is in the database.
#[tokio::test]
async fn an_offer_of_another_store_is_not_ordered() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let stranger = account(&world.core, "stranger@example.org").await;
    assert_ne!(stranger, world.owner);
    let elsewhere = "https://elsewhere.example".parse().expect("an origin");
    let (publisher, name) = ("lumen".parse().expect("a name"), "alpine-lake".parse().expect("a name"));
    let offer = portcullis_server::store::NewOffer {
        id: portcullis_protocol::OfferId::from_bytes([7; 16]),
        revises: false,
        operation: "view".parse().expect("a name"),
        title: "view".into(),
        rights: Rights::Perpetual {},
        price: "0.01 EUR".parse().expect("a price"),
    };
    world.core.store.replace_offers(&elsewhere, &world.owner, &publisher, &name, vec![offer]).await.expect("replaced");
    assert_eq!(reason(order(&world, &machine, "view", "ok").await), Reason::PaymentRequired);
    assert_eq!(count(&world, "SELECT count(*) FROM orders"), 0);
}
