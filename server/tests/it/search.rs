//! What people look for is found, what it costs is bounded.

use crate::codes::{Shop, new_merchant};
use crate::database::Place;
use crate::world::World;
use futures::future::join_all;
use portcullis_server::store::{
    MerchantDecision, PublishOutcome, Resources as _, SearchPage, SearchQuery, Sqlite, SqliteOptions, WithdrawOutcome,
    work,
};
use rusqlite::Connection;

/// Something on sale: its name, kind, title and description.
type Piece<'a> = (&'a str, &'a str, &'a str, &'a str);

async fn publish(world: &World, (name, kind, title, description): Piece<'_>) {
    let (mut new, _) = world.new_resource(name, "1.0.0");
    (new.manifest.kind, new.manifest.title, new.manifest.description) = (kind.into(), title.into(), description.into());
    assert_eq!(world.core.store.publish(new).await, Ok(PublishOutcome::Published));
}

async fn page(world: &World, text: &str, kind: Option<&str>, page: u32) -> SearchPage {
    let query = SearchQuery { text: text.into(), kind: kind.map(str::to_owned), page, per_page: 20 };
    world.core.store.search(query).await.expect("found")
}

/// The names of what is found.
async fn names(world: &World, text: &str) -> Vec<String> {
    page(world, text, None, 0).await.listings.iter().map(|listing| listing.name.to_string()).collect()
}

#[tokio::test]
async fn what_people_type_finds_what_they_mean() {
    let world = World::new().await;
    for piece in [
        ("aurora", "picture", "Über dem Gletscher", "Ein Morgen"),
        ("gory", "picture", "Горы на рассвете", "Снимок Ёлки"),
        ("evening-song", "music", "Evening song", "Seventy seconds"),
        ("sunset", "picture", "日没と美しい湖", ""),
        ("odyssey", "video", "Ὀδυσσεύς", "İstanbul, Łódź"),
        ("dusk", "theme", "Night colours", "for the editor"),
        ("night-train", "video", "Dusk at the station", "A film"),
    ] {
        publish(&world, piece).await;
    }
    for (text, found) in [
        ("über", "aurora"),
        ("UBER", "aurora"),
        ("ueber", "aurora"),
        ("gletcher", "aurora"),
        ("горы", "gory"),
        ("РАССВЕТЕ", "gory"),
        ("елки", "gory"),
        ("music", "evening-song"),
        ("msuic", "evening-song"),
        ("evning sond", "evening-song"),
        ("湖", "sunset"),
        ("日没", "sunset"),
        ("οδυσσευς", "odyssey"),
        ("istanbul lodz", "odyssey"),
        ("ISTANBUL", "odyssey"),
        ("ni tr", "night-train"),
    ] {
        assert_eq!(names(&world, text).await, [found], "{text}");
    }
    assert_eq!(names(&world, "dusk").await, ["dusk", "night-train"], "a name that is what was typed comes first");
    assert_eq!(names(&world, "lumen/dusk").await[0], "dusk");
    assert_eq!(names(&world, "lumen").await.len(), 8, "a publisher finds everything of his, the newest first");
    assert_eq!(names(&world, "lumen resize").await.len(), 8, "operations count");
    for missed in ["desert", "alpine desert", "湖 desert", "%", "' OR 1=1", "xyzzy"] {
        assert!(names(&world, missed).await.is_empty(), "{missed}");
    }
    let kinds = page(&world, "lumen", Some("video"), 0).await;
    assert_eq!(kinds.listings.len(), 2);
    assert!(page(&world, "music", Some("video"), 0).await.listings.is_empty());
}

#[tokio::test]
async fn what_is_not_on_sale_is_not_found_and_what_is_again_is_again() {
    let world = World::new().await;
    publish(&world, ("dusk", "theme", "Night colours", "")).await;
    let (newer, _) = world.new_resource("dusk", "2.0.0");
    let newer_digest = newer.digest;
    assert_eq!(world.core.store.publish(newer).await, Ok(PublishOutcome::Published));
    assert!(names(&world, "colours").await.is_empty(), "the newest version has another title");
    let store = &world.core.store;
    let withdrawn = store.withdraw(&world.owner, &newer_digest, String::new()).await;
    assert_eq!(withdrawn, Ok(WithdrawOutcome::Withdrawn));
    assert_eq!(names(&world, "colours").await, ["dusk"], "the one before is shown again");
    let shown = page(&world, "colours", None, 0).await.listings.remove(0);
    assert_eq!(shown.versions.iter().map(|version| version.version.to_string()).collect::<Vec<_>>(), ["1.0.0"]);

    assert!(store.set_suspended(&world.owner, true).await.expect("suspended"));
    for text in ["colours", "", "lumen"] {
        assert!(names(&world, text).await.is_empty(), "{text}");
    }
    let (third, _) = world.new_resource("dusk", "3.0.0");
    assert_eq!(store.publish(third).await, Ok(PublishOutcome::Published));
    assert!(names(&world, "dusk").await.is_empty(), "nor what is published meanwhile");
    assert!(store.set_suspended(&world.owner, false).await.expect("restored"));
    assert_eq!(names(&world, "").await, ["dusk", "alpine-lake"], "everything, the newest first");

    let first = world.resource;
    store.withdraw(&world.owner, &first, String::new()).await.expect("withdrawn");
    assert_eq!(names(&world, "").await, ["dusk"]);
    let left = "SELECT count(*) FROM trigrams WHERE listing NOT IN (SELECT number FROM catalogue WHERE sold = 1)";
    assert_eq!(world.database().number(left, &[]), 0, "nothing of it stays in the index");
}

#[tokio::test]
async fn pages_neither_repeat_nor_pass_over_while_others_publish() {
    let world = World::new().await;
    for number in 0..50 {
        publish(&world, (&format!("piece-{number}"), "music", "A piece", "")).await;
    }
    let (mut seen, mut at, mut turned) = (Vec::new(), 0, 0);
    loop {
        let read = page(&world, "", Some("music"), at).await;
        seen.extend(read.listings.iter().map(|listing| listing.name.to_string()));
        publish(&world, (&format!("newer-{turned}"), "music", "Another", "")).await;
        turned += 1;
        match read.next {
            Some(next) => at = next,
            None => break,
        }
    }
    let expected: Vec<String> = (0..50).rev().map(|number| format!("piece-{number}")).collect();
    assert_eq!((seen, turned), (expected, 3));
    let (first, second) = (page(&world, "piece", None, 0).await, page(&world, "piece", None, 1).await);
    assert!(first.listings.iter().all(|one| second.listings.iter().all(|other| one.name != other.name)));
    assert_eq!((first.next, second.listings.len()), (Some(1), 20));
}

/// The names of the products that are found.
async fn products(world: &World, text: &str, kind: Option<&str>) -> Vec<String> {
    let found = page(world, text, kind, 0).await.products;
    found.iter().map(|found| format!("{} {}", found.revision.product.name, found.revision.product.price)).collect()
}

#[tokio::test]
async fn what_merchants_sell_is_found_beside_resources() {
    let world = World::new().await;
    publish(&world, ("game-of-life", "software", "A game", "")).await;
    let (core, store) = (&world.core, &world.core.store);
    let mut shop = Shop::new(core, "games").await;
    let found = page(&world, "game", None, 0).await;
    assert_eq!((found.listings.len(), found.products.len()), (1, 1));
    let place = found.products[0].place;
    assert!(place <= 1 && found.products[0].merchant.title.as_str() == "A shop", "{place}");
    assert_eq!(products(&world, "games", None).await, ["game-key 20.00 EUR"], "by the merchant's name");
    assert_eq!(products(&world, "game", Some("code")).await, ["game-key 20.00 EUR"]);
    assert!(products(&world, "game", Some("software")).await.is_empty());
    assert!(page(&world, "game", Some("code"), 0).await.listings.is_empty());
    assert!(store.kinds(10).await.expect("kinds").contains(&"code".to_owned()));

    // Another price is another revision, and the same line of the catalogue.
    core.clock.advance(1);
    shop.product = shop.sell(core, "game-key", "25.00 EUR", 600).await;
    assert_eq!(products(&world, "", None).await, ["game-key 25.00 EUR"]);
    let name = shop.merchant.name.clone();
    for (decision, found) in [(MerchantDecision::Suspend, 0), (MerchantDecision::Restore, 1)] {
        store.decide_merchant(&name, decision).await.expect("decided").expect("a merchant");
        assert_eq!(products(&world, "game", None).await.len(), found, "{decision:?}");
        assert_eq!(products(&world, "", Some("code")).await.len(), found, "{decision:?}");
    }
    // Nor is what the merchant of a suspended account sells.
    shop.sell(core, "level-pack", "5.00 EUR", 600).await;
    assert!(store.set_suspended(&shop.merchant.owner, true).await.expect("suspended"));
    for text in ["", "game", "level"] {
        assert!(products(&world, text, None).await.is_empty(), "{text}");
    }
    assert!(store.set_suspended(&shop.merchant.owner, false).await.expect("restored"));
    assert_eq!(products(&world, "", None).await, ["level-pack 5.00 EUR", "game-key 25.00 EUR"], "the newest first");
    // A merchant whose endpoint has to be proved again sells nothing meanwhile.
    let moved = new_merchant(core, "games", &shop.key, shop.merchant.owner, "https://elsewhere.example/hook");
    let webhook = moved.webhook.clone();
    store.claim_merchant(moved).await.expect("claimed");
    assert!(products(&world, "", None).await.is_empty());
    assert!(store.prove_merchant(&shop.merchant.id, &webhook).await.expect("proven"));
    assert_eq!(products(&world, "", None).await.len(), 2);

    for product in ["game-key", "level-pack"] {
        assert!(store.end_product(&shop.merchant.id, &product.parse().expect("a name")).await.expect("ended"));
    }
    assert!(products(&world, "", None).await.is_empty());
    let left = "SELECT count(*) FROM trigrams WHERE listing NOT IN (SELECT number FROM catalogue WHERE sold = 1)";
    assert_eq!(world.database().number(left, &[]), 0, "nothing of it stays in the index");
    shop.sell(core, "game-key", "1.00 EUR", 600).await;
    assert_eq!(products(&world, "game", None).await, ["game-key 1.00 EUR"], "and is sold again");
}

/// Whoever enrols a terminal may claim a merchant's name. The words of what nobody approved must hide nothing: as many
/// rows as are looked up for a trigram, all newer and of greater weight, are not in the index at all.
#[tokio::test]
async fn a_merchant_that_nobody_approved_hides_nothing() {
    let world = World::new().await;
    let (core, store) = (&world.core, &world.core.store);
    let shop = Shop::new(core, "thief").await;
    let found = |page: &SearchPage| page.listings.iter().any(|listing| listing.name.as_str() == "alpine-lake");
    assert!(found(&page(&world, "alpine", None, 0).await), "the control");
    let rows = "SELECT count(*) FROM trigrams";
    let before = world.database().number(rows, &[]);
    for decision in [MerchantDecision::Suspend, MerchantDecision::Restore] {
        store.decide_merchant(&shop.merchant.name, decision).await.expect("decided").expect("a merchant");
    }
    assert_eq!(world.database().number(rows, &[]), before, "what leaves the index comes back to it");
    // Its endpoint is to be proven again: it may put things on sale, and sells none of them.
    let moved = new_merchant(core, "thief", &shop.key, shop.merchant.owner, "https://elsewhere.example/hook");
    store.claim_merchant(moved).await.expect("claimed");
    let bare = world.database().number(rows, &[]);
    for number in 0..600 {
        shop.sell(core, &format!("alpine-lake-{number}"), "1.00 EUR", 600).await;
    }
    assert_eq!(world.database().number(rows, &[]), bare, "nothing of it is in the index");
    let hidden = page(&world, "alpine lake", None, 0).await;
    assert!(found(&hidden) && hidden.products.is_empty());
}

/// Another seller lists a thousand things with the words of somebody's resource.
#[tokio::test]
async fn whoever_lists_a_thousand_things_of_a_name_hides_nobody() {
    let world = World::new().await;
    publish(&world, ("pine-and-ember", "theme", "Pine and Ember", "A dark theme")).await;
    let shop = Shop::new(&world.core, "games").await;
    shop.sell(&world.core, "pine-and-ember-lumen", "1.00 EUR", 600).await;
    let flood = |from: u32, to: u32| {
        let (from, to) = (from.to_string(), to.to_string());
        let numbers = format!("WITH RECURSIVE n (i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM n WHERE i < {to})");
        let first = "(SELECT number FROM catalogue WHERE name = 'pine-and-ember-lumen')";
        let database = world.database();
        database.run(&format!(
            "{numbers} INSERT INTO catalogue (number, name, kind, versions, texts, sold, cover, merchant, product)
             SELECT number + i, name || i, kind, versions, texts, sold, cover, merchant, product
             FROM catalogue, n WHERE number = {first}"
        ));
        database.run(&format!(
            "{numbers} INSERT INTO trigrams (trigram, weight, listing)
             SELECT trigram, weight, listing + i FROM trigrams, n WHERE listing = {first}"
        ));
    };
    let asked = ["pine and ember", "pine-and-ember", "lumen pine and ember", "pine", "ember theme", "dark pine"];
    for text in asked {
        assert!(names(&world, text).await.contains(&"pine-and-ember".to_owned()), "the control: {text}");
    }
    flood(1, 1_000);
    assert_eq!(products(&world, "pine ember lumen", Some("code")).await.len(), 20, "they are there");
    for text in asked {
        let found = names(&world, text).await;
        assert!(found.contains(&"pine-and-ember".to_owned()), "{text}: {found:?}");
    }
    assert_eq!(names(&world, "pine and ember").await[0], "pine-and-ember");
}

#[tokio::test]
async fn pages_of_resources_and_products_neither_repeat_nor_pass_over() {
    let world = World::new().await;
    let shop = Shop::new(&world.core, "games").await;
    let mut expected = vec!["alpine-lake".to_owned(), "game-key".to_owned()];
    for number in 0..24 {
        let (piece, product) = (format!("piece-{number}"), format!("pack-{number}"));
        publish(&world, (&piece, "music", "A piece", "")).await;
        shop.sell(&world.core, &product, "1.00 EUR", 600).await;
        expected.extend([piece, product]);
    }
    expected.reverse();
    let (mut seen, mut at, mut turned) = (Vec::new(), 0, 0);
    loop {
        let read = page(&world, "", None, at).await;
        let mut names: Vec<String> = read.listings.iter().map(|listing| listing.name.to_string()).collect();
        for found in &read.products {
            names.insert(found.place, found.revision.product.name.to_string());
        }
        seen.extend(names);
        shop.sell(&world.core, &format!("newer-{turned}"), "1.00 EUR", 600).await;
        turned += 1;
        match read.next {
            Some(next) => at = next,
            None => break,
        }
    }
    assert_eq!((seen, turned), (expected, 3));
}

/// What only SQLite can tell: the steps of a statement, and older databases.
mod sqlite {
    use super::*;

    /// Everything has the same words, so that every trigram is everywhere: the worst that can be searched for.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_search_costs_the_same_however_large_the_catalogue() {
        let world = World::new().await;
        let fill = async |from: usize, to: usize| {
            let names: Vec<String> = (from..to).map(|number| format!("picture-of-lake-{number}")).collect();
            let title = "Pictures of the lakes of the alps in the light of the morning";
            join_all(names.iter().map(|name| publish(&world, (name, "picture", title, "A lake")))).await;
        };
        let cost = async |text: &str, kind: Option<&str>| {
            let before = work().steps;
            let found = page(&world, text, kind, 0).await;
            (work().steps - before, found.listings.len())
        };
        let worst = [
            "picture of the lakes in the morning light",
            "p o t l a i m x",
            "picture lake-7",
            "pictures alps lumen view",
        ];
        fill(0, 700).await;
        let mut small = Vec::new();
        for text in worst {
            small.push(cost(text, None).await.0);
        }
        let browsed = cost("", Some("picture")).await;
        fill(700, 2_000).await;
        for (text, small) in worst.into_iter().zip(small) {
            let (large, _) = cost(text, None).await;
            assert!(large < small + small / 4 && large < 400_000, "{text}: {small} steps at 700, {large} at 2,000");
        }
        let (large, found) = cost("", Some("picture")).await;
        assert!(found == 20 && large < browsed.0 + browsed.0 / 4, "{browsed:?} {large}");
        // What is rare is found among all that is not.
        assert_eq!(names(&world, "picture of lake 1234").await[0], "picture-of-lake-1234");
        publish(&world, ("gentian", "picture", "A flower", "blue")).await;
        assert_eq!(names(&world, "gentain lumen").await, ["gentian"]);
    }

    /// A database from before there was an index is searched as any other.
    #[tokio::test]
    async fn an_older_database_is_found_in() {
        let world = World::new().await;
        publish(&world, ("dusk", "theme", "Night colours", "")).await;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("server.db");
        let old = Connection::open(&path).expect("a file");
        old.execute_batch(include_str!("../../src/store/sqlite/schema.sql")).expect("schema 1");
        old.execute_batch(include_str!("../../src/store/sqlite/metered.sql")).expect("schema 2");
        let Place::File(new) = world.database() else { panic!("a file") };
        old.execute("ATTACH ?1 AS new", [new.to_str().expect("a path")]).expect("attached");
        let accounts = "id, lookup, name, password, operator, created_at, suspended_at";
        let resources =
            "digest, publisher, name, version, kind, title, description, manifest, run_max, size, published_at,
                         withdrawn_at, withdrawn_reason";
        for (table, columns) in
            [("accounts", accounts), ("publishers", "id, name, key, owner, created_at"), ("resources", resources)]
        {
            old.execute_batch(&format!("INSERT INTO {table} ({columns}) SELECT {columns} FROM new.{table}"))
                .expect("copied");
        }
        old.execute_batch("PRAGMA user_version = 2").expect("set");
        drop(old);
        let store = Sqlite::open(SqliteOptions::new(&path)).expect("migrated");
        let query = SearchQuery { text: "color night".into(), kind: None, page: 0, per_page: 20 };
        let found = store.search(query).await.expect("found").listings;
        assert_eq!(found.iter().map(|listing| listing.name.as_str()).collect::<Vec<_>>(), ["dusk"]);
    }
}
