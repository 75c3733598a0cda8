//! What the database is asked to do over and over is parsed and planned once.

use crate::codes::{Shop, order, signed_request, wanted};
use crate::world::World;
use portcullis_protocol::ReleaseSecretKey;
use portcullis_protocol::wire::CodeOrderRequest;
use portcullis_server::crypto::secrets::rng;
use portcullis_server::merchants::products;
use portcullis_server::store::work;

/// What only SQLite counts.
mod sqlite {
    use super::*;

    #[tokio::test]
    async fn a_cycle_parses_no_statement_that_was_parsed_before() {
        let world = World::new().await;
        let machine = world.machine("ada@example.org").await;
        world.buy(&machine, "view").await;
        for _ in 0..4 {
            world.buy(&machine, "resize").await;
        }
        // Each of the connections meets each statement, and values that differ.
        for operation in ["preview", "view", "resize"].repeat(8) {
            world.run(&machine, operation).await.expect("granted");
        }
        let before = work();
        for operation in ["preview", "view", "resize"].repeat(4) {
            world.run(&machine, operation).await.expect("granted");
        }
        let after = work();
        assert_eq!(after.prepared - before.prepared, 0, "a connection keeps its statements");
        assert_eq!(after.prepared_again - before.prepared_again, 0, "and does not plan them again for other values");
        assert!(after.steps > before.steps, "the control: they were counted");
    }

    /// What a call costs, in steps of the database's virtual machine.
    async fn steps(what: impl Future<Output = ()>) -> u64 {
        let before = work().steps;
        what.await;
        work().steps - before
    }

    #[tokio::test]
    async fn an_order_costs_no_more_for_those_that_were_opened_before_it() {
        let world = World::new().await;
        let machine = world.machine("ada@example.org").await;
        let buy = async || drop(world.buy(&machine, "resize").await);
        buy().await;
        let few = steps(buy()).await;
        world.database().run(
            "INSERT INTO orders (id, account, state, offer_digest, provider, created_at, changed_at, ends_at, place)
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
             SELECT randomblob(16), account, 2, offer_digest, provider, 0, 0, 86400000, 100 + n.i
             FROM orders, n WHERE place = 1",
        );
        let many = steps(buy()).await;
        assert!(many < few + 1000, "{few}, then {many}");
    }

    #[tokio::test]
    async fn a_sweep_costs_no_more_for_payment_requests_that_were_paid() {
        let world = World::new().await;
        let (shop, machine) = (Shop::new(&world.core, "games").await, world.machine("ada@example.org").await);
        let asked = signed_request(&world.core, &shop, "15.00 EUR");
        products::request(&world.core, &shop.merchant, asked.compact()).await.expect("taken");
        let key = ReleaseSecretKey::generate(&mut rng());
        let pay = CodeOrderRequest { request: Some(asked.digest()), ..wanted(shop.product, &key, "ok") };
        order(&world, &machine, pay).await.expect("paid");
        world.core.clock.advance(3 * 86_400);
        let sweep = async || {
            world.core.store.sweep().await.expect("swept");
        };
        sweep().await;
        let few = steps(sweep()).await;
        world.database().run(
            "CREATE TEMP TABLE copies AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
                 SELECT i, randomblob(16) AS id, randomblob(32) AS digest FROM n;
             INSERT INTO orders (id, account, state, amount, currency, provider, created_at, changed_at, place, codes)
                 SELECT c.id, o.account, 1, o.amount, o.currency, o.provider, 0, 0, 100 + c.i, 1
                 FROM orders o, copies c WHERE o.place = 1;
             INSERT INTO code_orders (id, merchant, product, quantity, request, spent, state, deadline, changed_at)
                 SELECT c.id, o.merchant, o.product, 1, c.digest, c.digest, 11, 0, 0 FROM code_orders o, copies c;
             INSERT INTO payment_requests (digest, merchant, product, request, compact, expires_at, spent)
                 SELECT c.digest, q.merchant, q.product, q.request, q.compact, 0, q.spent
                 FROM payment_requests q, copies c;",
        );
        let many = steps(sweep()).await;
        assert!(many < few + 1000, "{few}, then {many}");
    }
}
