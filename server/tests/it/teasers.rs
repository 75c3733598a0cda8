//! An offer holds for an operation in every version. So what is free in one may not open what is sold in another.

use crate::database::Place;
use crate::world::{World, origin, reason};
use portcullis_protocol::wire::OfferTerms;
use portcullis_protocol::{Digest, OperationEntry, PartEntry, Reason, ResourceName, Rights};
use portcullis_server::billing::offers;
use portcullis_server::store::{NewResource, OffersOutcome, OpenedPart, PublishOutcome, RestoreOutcome};
use portcullis_server::{Core, ServiceError};

/// Operations, and the parts that each opens.
type Operations<'a> = &'a [(&'a str, &'a [&'a str])];

/// A version whose operations open these parts; those that begin with `open-` are public.
fn version(world: &World, name: &str, version: &str, operations: Operations<'_>) -> NewResource {
    let (mut resource, _) = world.new_resource(name, version);
    let (manifest, parts) = (&mut resource.manifest, &mut resource.parts);
    let (entry, part) = (manifest.parts[0].clone(), parts[0].clone());
    manifest.parts.clear();
    parts.clear();
    for name in operations.iter().flat_map(|(_, opened)| opened.iter()) {
        let name: portcullis_protocol::PartName = name.parse().expect("a name");
        if manifest.parts.iter().any(|known| known.name == name) {
            continue;
        }
        let commitment = portcullis_protocol::encoding::Octets(portcullis_server::crypto::secrets::random());
        let public = name.as_str().starts_with("open-");
        parts.push(portcullis_server::store::NewPart { name: name.clone(), commitment, ..part.clone() });
        manifest.parts.push(PartEntry { name, commitment, public, ..entry.clone() });
    }
    manifest.operations = operations
        .iter()
        .map(|(name, opened)| OperationEntry {
            name: name.parse().expect("a name"),
            title: (*name).into(),
            exports: Vec::new(),
            parts: opened.iter().map(|part| part.parse().expect("a name")).collect(),
        })
        .collect();
    resource.digest = Digest::of(&serde_json::to_vec(manifest).expect("json"));
    resource
}

async fn publish(world: &World, resource: &NewResource) -> PublishOutcome {
    world.core.store.publish(resource.clone()).await.expect("answered")
}

async fn price(core: &Core, world: &World, name: &str, list: &[(&str, Rights, &str)]) -> Result<(), String> {
    let (publisher, name): (_, ResourceName) = ("lumen".parse().expect("a name"), name.parse().expect("a name"));
    let terms = list.iter().map(|(operation, rights, price)| OfferTerms {
        id: None,
        operation: operation.parse().expect("a name"),
        title: (*operation).into(),
        rights: *rights,
        price: price.parse().expect("a price"),
    });
    match offers::replace(core, &world.owner, &publisher, &name, terms.collect()).await {
        Ok(_) => Ok(()),
        Err(ServiceError::Unacceptable(why)) => Err(why.into_owned()),
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_teaser_of_a_later_version_opens_no_part_of_an_earlier_one() {
    let world = World::new().await;
    let first = version(&world, "ink", "1.0.0", &[("drain", &["ink"])]);
    assert_eq!(publish(&world, &first).await, PublishOutcome::Published);
    price(&world.core, &world, "ink", &[("drain", Rights::Perpetual {}, "5.00 EUR")]).await.expect("sold");
    let second = version(&world, "ink", "2.0.0", &[("drain", &["open-drop"]), ("pour", &["ink"])]);
    assert_eq!(publish(&world, &second).await, PublishOutcome::Published);

    let sold = ("pour", Rights::Perpetual {}, "5.00 EUR");
    for (rights, price_of_it) in
        [(Rights::Free {}, "0.00 EUR"), (Rights::Perpetual {}, "0.00 EUR"), (Rights::Uses { count: 1 }, "0.00 EUR")]
    {
        let refused = price(&world.core, &world, "ink", &[("drain", rights, price_of_it), sold]).await;
        let refused = refused.expect_err("it would open 1.0.0's ink");
        for word in ["`drain`", "`ink`", "1.0.0", "withdraw lumen/ink@1.0.0"] {
            assert!(refused.contains(word), "{refused}");
        }
    }
    let machine = world.machine("ada@example.org").await;
    let mut request = world.ask("drain", 1);
    request.resource = first.digest;
    assert_eq!(reason(world.authorise(&machine, &request).await), Reason::PaymentRequired);

    // With that version withdrawn, or under another name, the teaser is free.
    world.core.store.withdraw(&world.owner, &first.digest, String::new()).await.expect("withdrawn");
    price(&world.core, &world, "ink", &[("drain", Rights::Free {}, "0.00 EUR"), sold]).await.expect("a teaser");
    let restored = world.core.store.restore(Some(&world.owner), &first.digest).await.expect("answered");
    assert!(
        matches!(restored, RestoreOutcome::OpensPart(opened) if opened.part.as_str() == "ink"),
        "it stays withdrawn"
    );
    request.resource = second.digest;
    world.authorise(&machine, &request).await.expect("free");
    request.operation = "pour".parse().expect("a name");
    assert_eq!(reason(world.authorise(&machine, &request).await), Reason::PaymentRequired);
    price(&world.core, &world, "ink", &[("drain", Rights::Perpetual {}, "5.00 EUR"), sold]).await.expect("sold");
    let restored = world.core.store.restore(Some(&world.owner), &first.digest).await;
    assert_eq!(restored, Ok(RestoreOutcome::Restored), "the control");
}

#[tokio::test]
async fn a_version_in_which_a_free_operation_opens_what_is_sold_is_not_published() {
    let world = World::new().await;
    let free: Operations<'_> = &[("taste", &["open-drop"]), ("pour", &["ink"])];
    assert_eq!(publish(&world, &version(&world, "ink", "1.0.0", free)).await, PublishOutcome::Published);
    let list = [("taste", Rights::Free {}, "0.00 EUR"), ("pour", Rights::Perpetual {}, "5.00 EUR")];
    price(&world.core, &world, "ink", &list).await.expect("a teaser and what it is for");

    let opened = |part: &str| {
        PublishOutcome::OpensPart(OpenedPart {
            operation: "taste".parse().expect("a name"),
            part: part.parse().expect("a name"),
            version: "2.0.0".parse().expect("a version"),
        })
    };
    // It opens more, it takes over the name of what is sold, it opens what is public no more.
    let refused: [(Operations<'_>, &str); 3] = [
        (&[("taste", &["open-drop", "ink"]), ("pour", &["ink"])], "ink"),
        (&[("taste", &["ink"]), ("savour", &["open-drop"])], "ink"),
        (&[("taste", &["drop"]), ("pour", &["ink"])], "drop"),
    ];
    for (operations, part) in refused {
        assert_eq!(publish(&world, &version(&world, "ink", "2.0.0", operations)).await, opened(part));
    }
    assert_eq!(publish(&world, &version(&world, "ink", "2.0.0", free)).await, PublishOutcome::Published, "the control");
}

/// One process publishes what another makes free, at once: never both.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn publishing_and_pricing_at_once_do_not_slip_past_each_other() {
    let world = World::new().await;
    let second = world.second().await;
    for round in 0..12 {
        let name = format!("ink-{round}");
        let open: Operations<'_> = &[("taste", &["open-drop"])];
        assert_eq!(publish(&world, &version(&world, &name, "1.0.0", open)).await, PublishOutcome::Published);
        let next = version(&world, &name, "2.0.0", &[("taste", &["ink"])]);
        let list = [("taste", Rights::Free {}, "0.00 EUR")];
        let (published, priced) = tokio::join!(publish(&world, &next), price(&second, &world, &name, &list));
        match (published, priced) {
            (PublishOutcome::Published, Err(_)) | (PublishOutcome::OpensPart(_), Ok(())) => {}
            both => panic!("{both:?}"),
        }
    }
}

/// An older version that is still sold has operations that the newest has no more: they can still be priced.
#[tokio::test]
async fn an_operation_of_an_older_version_can_be_priced_while_that_is_sold() {
    let world = World::new().await;
    let first = version(&world, "ink", "1.0.0", &[("drain", &["ink"])]);
    assert_eq!(publish(&world, &first).await, PublishOutcome::Published);
    assert_eq!(
        publish(&world, &version(&world, "ink", "2.0.0", &[("pour", &["ink"])])).await,
        PublishOutcome::Published
    );
    let list = [("drain", Rights::Perpetual {}, "5.00 EUR"), ("pour", Rights::Perpetual {}, "6.00 EUR")];
    price(&world.core, &world, "ink", &list).await.expect("both are sold");
    world.core.store.withdraw(&world.owner, &first.digest, String::new()).await.expect("withdrawn");
    let (publisher, name) = ("lumen".parse().expect("a name"), "ink".parse().expect("a name"));
    let offers = world.core.store.offers(&publisher, &name).await.expect("read");
    assert_eq!(offers.len(), 1, "what nobody can be granted is not on sale");
    let refused = price(&world.core, &world, "ink", &list).await.expect_err("no version on sale has it");
    assert!(refused.contains("`drain`"), "{refused}");
    let outcome = world.core.store.replace_offers(&origin(), &world.owner, &publisher, &name, Vec::new()).await;
    assert!(matches!(outcome, Ok(OffersOutcome::Replaced(offers)) if offers.is_empty()));
}

/// What the catalogue says of it, for `inspect`.
#[tokio::test]
async fn the_catalogue_says_what_opens_the_parts_of_every_version() {
    let world = World::new().await;
    let first = version(&world, "ink", "1.0.0", &[("drain", &["ink"])]);
    let second = version(&world, "ink", "2.0.0", &[("drain", &["open-drop"]), ("pour", &["ink"]), ("all", &["ink"])]);
    for resource in [&first, &second] {
        assert_eq!(publish(&world, resource).await, PublishOutcome::Published);
    }
    let (publisher, name) = ("lumen".parse().expect("a name"), "ink".parse().expect("a name"));
    let openings = async || {
        let openings = world.core.store.openings(&publisher, &name).await.expect("read");
        let words = |opening: &portcullis_protocol::wire::PartOpening| {
            let operations: Vec<&str> = opening.operations.iter().map(|operation| operation.as_str()).collect();
            format!("{}: {}", opening.part, operations.join(" "))
        };
        openings.iter().map(|(digest, opens)| (*digest, opens.iter().map(words).collect())).collect::<Vec<_>>()
    };
    let says = |digest: Digest, words: &str| (digest, vec![words.to_owned()]);
    assert_eq!(openings().await, [says(second.digest, "ink: all pour"), says(first.digest, "ink: drain")]);
    world.core.store.withdraw(&world.owner, &first.digest, String::new()).await.expect("withdrawn");
    assert_eq!(openings().await, [says(second.digest, "ink: all pour")]);
}

/// A migration from before there was a second kind of database.
mod sqlite {
    use super::*;

    /// Parts that were published before the store knew which are public: their manifests say it.
    #[tokio::test]
    async fn what_was_published_before_is_known_by_its_manifest() {
        let world = World::new().await;
        let Place::File(path) = world.database() else { panic!("a migration of SQLite") };
        let db = rusqlite::Connection::open(path).expect("the file");
        let public = || {
            let mut rows = db.prepare("SELECT name FROM parts WHERE public ORDER BY name").expect("prepared");
            let names = rows.query_map([], |row| row.get::<_, String>(0)).expect("read");
            names.collect::<Result<Vec<_>, _>>().expect("names")
        };
        assert_eq!(public(), ["low"]);
        db.execute("UPDATE parts SET public = 0", []).expect("as before");
        let migration = include_str!("../../src/store/sqlite/money.sql");
        let (_, update) = migration.split_once("UPDATE parts").expect("the migration says it");
        let (update, _) = update.split_once(';').expect("a statement");
        db.execute(&format!("UPDATE parts{update}"), []).expect("migrated");
        assert_eq!(public(), ["low"]);
    }
}
