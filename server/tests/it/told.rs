//! Every command of an operator is tried: those that change something are told in the audit log, by what they are, and
//! those that only read are not. A command that is in neither list fails the test.

use crate::codes;
use crate::command::{command, json};
use crate::stage::{Stage, order};
use crate::terminal::{Draft, rng};
use portcullis_protocol::wire::OrderAnswer;
use portcullis_protocol::{ReleaseSecretKey, paths};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Commands that read.
const READS: &[&str] = &[
    "account list",
    "account sessions",
    "check",
    "codes list",
    "find",
    "invitation list",
    "ledger",
    "merchant list",
    "order list",
    "publisher list",
    "reconcile",
    "resource list",
    "terminal list",
    "webhook list",
    "webhook messages",
];

/// Commands that change something, and what they are called in the log.
const TOLD: &[(&str, &str)] = &[
    ("account add", "account add"),
    ("account password", "account password"),
    ("account restore", "account restore"),
    ("account sign-out", "account sign-out"),
    ("account suspend", "account suspend"),
    ("codes dispute", "code dispute"),
    ("codes keep", "code keep"),
    ("codes reverse", "code reverse"),
    ("export-identity", "export identity"),
    ("invitation revoke", "invitation revoke"),
    ("invite", "invite"),
    ("merchant approve", "merchant approve"),
    ("merchant rekey", "merchant rekey"),
    ("merchant restore", "merchant restore"),
    ("merchant suspend", "merchant suspend"),
    ("new-epoch", "new epoch"),
    ("order play", "order play"),
    ("order refund", "order refund"),
    ("order settle", "order settle"),
    ("publisher approve", "publisher approve"),
    ("restore", "resource restore"),
    ("rotate-key", "signing key add"),
    ("terminal revoke", "terminal revoke"),
    ("webhook add", "webhook add"),
    ("webhook enable", "webhook enable"),
    ("webhook remove", "webhook remove"),
    ("webhook replay", "webhook replay"),
    ("webhook rotate", "webhook rotate"),
    ("withdraw", "resource withdraw"),
];

/// The commands below one, as its help lists them.
fn commands(folder: &Path, of: &str, found: &mut BTreeSet<String>) {
    let help = command(folder).arg("operator").args(of.split_whitespace()).arg("--help").output().expect("runs");
    let help = String::from_utf8(help.stdout).expect("text");
    let Some((_, list)) = help.split_once("\nCommands:\n") else {
        assert!(found.insert(of.to_owned()), "{of} twice");
        return;
    };
    let list = list.split("\n\n").next().unwrap_or(list);
    // A line of a command begins two characters in, and what is said of it goes on further in.
    let names = list.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    for name in names.filter(|name| !name.is_empty() && *name != "help") {
        commands(folder, format!("{of} {name}").trim(), found);
    }
}

/// An operator at the machine of a running server.
struct Desk<'a> {
    stage: &'a Stage,
    tried: BTreeMap<String, Option<String>>,
}

impl Desk<'_> {
    async fn rows(&self) -> u64 {
        self.stage.running.app().core.store.audit_end().await.expect("read").number
    }

    /// Runs a command with arguments: what it wrote into the log is kept.
    async fn does(&mut self, what: &str, arguments: &[&str]) -> Value {
        let before = self.rows().await;
        let mut command = command(self.stage.folder.path());
        command.args(["operator", "--dir", ".", "--json"]).args(what.split(' ')).args(arguments);
        command.env("PORTCULLIS_SERVER_ORIGIN", self.stage.origin.as_str());
        command.env("PORTCULLIS_SERVER_PAYMENT_SANDBOX", "true");
        let answer = json(&command.output().expect("runs"));
        let rows = self.stage.running.app().core.store.audit_rows(before, 10).await.expect("rows");
        let actions: Vec<String> = rows.into_iter().map(|sealed| sealed.row.action).collect();
        assert!(actions.len() <= 1, "{what}: {actions:?}");
        self.tried.insert(what.to_owned(), actions.into_iter().next());
        answer
    }
}

#[tokio::test]
async fn no_command_is_left_out() {
    let stage = Stage::open().await;
    let folder = stage.folder.path().to_owned();
    let mut desk = Desk { stage: &stage, tried: BTreeMap::new() };
    let shop = stage.shop().await;
    let mut ada = stage.customer("ada@example.org").await;
    let (viewed, printed) = (shop.buy(&mut ada, "view").await.order, shop.buy(&mut ada, "print").await.order);
    let mut eve = stage.customer("eve@example.org").await;
    let pending: OrderAnswer = eve.get_yes(&order(shop.offer("view").digest(), "pending")).await;
    let resource = shop.resource.to_string();
    let (viewed, printed, pending) = (viewed.to_string(), printed.to_string(), pending.order.to_string());

    for (what, arguments) in [
        ("account list", &[][..]),
        ("account sessions", &["ada@example.org"]),
        ("check", &[]),
        ("find", &["ada@example.org"]),
        ("invitation list", &[]),
        ("codes list", &[]),
        ("ledger", &[]),
        ("merchant list", &[]),
        ("order list", &[]),
        ("publisher list", &[]),
        ("reconcile", &[]),
        ("resource list", &[]),
    ] {
        desk.does(what, arguments).await;
    }
    let terminals = desk.does("terminal list", &["ada@example.org"]).await;
    let terminal = terminals["terminals"][0]["terminal"].as_str().expect("an identifier").to_owned();

    desk.does("account add", &["bob@example.org"]).await;
    desk.does("account password", &["bob@example.org"]).await;
    desk.does("account suspend", &["bob@example.org"]).await;
    desk.does("account restore", &["bob@example.org"]).await;
    desk.does("publisher approve", &["bob@example.org"]).await;
    desk.does("invite", &[]).await;
    let invitations = desk.does("invitation list", &[]).await;
    let invitation = invitations["invitations"][0]["invitation"].as_str().expect("an identifier").to_owned();
    desk.does("invitation revoke", &[&invitation]).await;
    desk.does("order settle", &[&pending, "paid"]).await;
    desk.does("order play", &[&viewed, "disputed"]).await;
    let added = desk.does("webhook add", &["https://hooks.example/orders"]).await;
    let endpoint = added["endpoint"].as_str().expect("an identifier").to_owned();
    // What it is told of, so that there is something to replay.
    desk.does("order refund", &[&printed]).await;
    desk.does("withdraw", &[&resource, "--reason", "a look at it"]).await;
    desk.does("restore", &[&resource]).await;
    desk.does("webhook list", &[]).await;
    desk.does("webhook messages", &[&endpoint]).await;
    desk.does("webhook rotate", &[&endpoint]).await;
    desk.does("webhook enable", &[&endpoint]).await;
    desk.does("webhook replay", &[&endpoint, "--from", "0"]).await;
    desk.does("webhook remove", &[&endpoint]).await;
    let core = &stage.running.app().core;
    let games = codes::Shop::new(core, "games").await;
    let wanted = codes::wanted(games.product, &ReleaseSecretKey::generate(&mut rng()), "ok");
    let ordered: OrderAnswer = eve.get_yes(&Draft::post(paths::CODES, &wanted)).await;
    games.deliver(core, &ordered.order).await.expect("delivered");
    let ordered = ordered.order.to_string();
    for what in ["codes dispute", "codes keep", "codes dispute", "codes reverse"] {
        desk.does(what, &[&ordered]).await;
    }
    let next = portcullis_protocol::SecretKey::generate(&mut rng()).public().thumbprint().to_string();
    for what in ["merchant suspend", "merchant restore"] {
        desk.does(what, &["games"]).await;
    }
    desk.does("merchant rekey", &["games", &next]).await;
    // One that nobody has approved yet.
    let key = portcullis_protocol::SecretKey::generate(&mut rng());
    let toys = codes::new_merchant(core, "toys", &key, games.merchant.owner, "https://toys.example/hook");
    core.store.claim_merchant(toys).await.expect("claimed");
    desk.does("merchant approve", &["toys"]).await;
    desk.does("terminal revoke", &["ada@example.org", &terminal]).await;
    desk.does("account sign-out", &["ada@example.org"]).await;
    desk.does("new-epoch", &[]).await;
    desk.does("rotate-key", &[]).await;
    desk.does("export-identity", &["-o", "identity.txt"]).await;

    let told: BTreeMap<String, Option<String>> = TOLD
        .iter()
        .map(|(what, action)| ((*what).to_owned(), Some((*action).to_owned())))
        .chain(READS.iter().map(|what| ((*what).to_owned(), None)))
        .collect();
    assert_eq!(desk.tried, told);
    let mut there = BTreeSet::new();
    commands(&folder, "", &mut there);
    assert_eq!(there, told.into_keys().collect(), "each command is tried, as what it is");
    stage.stop().await;
}
