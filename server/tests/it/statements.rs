//! What the database is asked to do over and over is parsed and planned once.

use crate::world::World;
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
}
