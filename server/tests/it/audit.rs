//! The audit log: what is changed for an operator is told, and what was told cannot be changed without notice. Each
//! exploit is tried on the database or on the export, and beside it stands what lets it through.

use crate::command::{command, free_address, json, refused, run, run_with, serve};
use crate::database::Of;
use crate::stage::{Stage, claim};
use crate::terminal::rng;
use crate::world::{World, account, open_core, origin};
use futures::future::join_all;
use portcullis_faulty::Faults;
use portcullis_protocol::wire::Done;
use portcullis_protocol::{AccountId, AuditHead, Digest, SecretKey, Verified};
use portcullis_server::Core;
use portcullis_server::audit::verify::{Fingerprint, VerifyError, verify};
use portcullis_server::audit::{
    Act, AuditError, AuditFault, AuditRow, Chain, HeadRecord, Heads, check, export, sign_head,
};
use portcullis_server::crypto::keys::{self, Rotation};
use portcullis_server::ops::clock::Timestamp;
use portcullis_server::ops::config::Publishers;
use serde_json::{Value, json as value};
use std::path::{Path, PathBuf};

/// An account is suspended and restored in turn, so many times: a row each.
async fn acts(core: &Core, account: &AccountId, times: usize) {
    for time in 0..times {
        let suspended = core.store.account(account).await.expect("read").expect("an account").suspended.is_none();
        let action = if suspended { "account suspend" } else { "account restore" };
        let act = Act::of_user(core, action, account).with("time", time);
        act.scope(core.store.set_suspended(account, suspended)).await.expect("done");
    }
}

/// A head as it is kept: a line.
async fn kept_head(core: &Core) -> String {
    text(&[serde_json::to_value(sign_head(core).await.expect("a head")).expect("JSON")])
}

async fn exported(core: &Core) -> String {
    let mut out = Vec::new();
    export(core, &mut out).await.expect("exported");
    String::from_utf8(out).expect("text")
}

/// Files that are verified.
struct Desk {
    folder: tempfile::TempDir,
    root: Fingerprint,
}

impl Desk {
    fn of(core: &Core) -> Self {
        let root = core.keys.root().thumbprint().words().parse().expect("words");
        Self { folder: tempfile::tempdir().expect("a folder"), root }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    /// How many rows a log has that is as it was written.
    fn verify(&self, log: &str, kept: &[&str]) -> Result<u64, VerifyError> {
        let kept: Vec<PathBuf> =
            kept.iter().enumerate().map(|(index, text)| self.file(&format!("head{index}"), text)).collect();
        verify(&self.file("log", log), &kept, &self.root).map(|report| report.rows)
    }

    fn refused(&self, log: &str, kept: &[&str]) -> String {
        self.verify(log, kept).expect_err("refused").to_string()
    }
}

fn lines(log: &str) -> Vec<Value> {
    log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn text(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// What anybody can do: the rows with their digests computed anew, the head as it was.
fn recomputed(mut lines: Vec<Value>, start: Digest) -> Vec<Value> {
    let mut before = start;
    for line in lines.iter_mut().filter(|line| line.get("number").is_some()) {
        let text = |name: &str| line[name].as_str().expect("text").to_owned();
        let row = AuditRow {
            number: line["number"].as_u64().expect("a number"),
            at: Timestamp::from_millis(line["at"].as_i64().expect("a time")),
            who: text("who"),
            action: text("action"),
            subject: text("subject"),
            detail: serde_json::from_value(line["detail"].clone()).expect("detail"),
            digest: before,
        };
        let digest = row.digest_after(&before);
        (line["before"], line["digest"]) = (value!(before), value!(digest));
        before = digest;
    }
    lines
}

#[tokio::test]
async fn what_is_changed_is_told_in_the_same_transaction_and_nothing_else_is() {
    let world = World::new().await;
    let core = &world.core;
    let ada = account(core, "ada@example.org").await;
    let rows = async || core.store.audit_rows(0, 100).await.expect("rows");
    assert!(rows().await.is_empty(), "nobody was an operator so far");

    acts(core, &ada, 1).await;
    let [first] = &rows().await[..] else { panic!("one row") };
    assert_eq!((first.row.number, first.row.action.as_str()), (1, "account suspend"));
    assert_eq!((first.row.subject.clone(), first.row.detail["time"].as_str()), (ada.to_string(), "0"));
    assert!(!first.row.who.is_empty());

    // What changes nothing is no row, nor is what fails.
    let act = Act::of_user(core, "invitation revoke", "none");
    let nothing = act.scope(core.store.revoke_invitation(portcullis_protocol::encoding::Octets([0; 16]))).await;
    assert_eq!(nothing, Ok(false));
    world.faults.arm("account.change.before-commit", false);
    let act = Act::of_user(core, "account restore", ada);
    assert!(act.scope(core.store.set_suspended(&ada, false)).await.is_err());
    assert_eq!(rows().await.len(), 1);
    assert!(core.store.account(&ada).await.expect("read").expect("ada").suspended.is_some(), "nor was it done");

    // An act of several transactions is one row, and a later one that changes something else is another.
    let act = Act::of_user(core, "account restore", ada);
    let both = async {
        core.store.set_suspended(&ada, false).await.expect("restored");
        core.store.set_suspended(&ada, true).await.expect("suspended");
    };
    act.scope(both).await;
    Act::of_user(core, "backup", "elsewhere").scope(async {}).await;
    core.store.record_act(Act::of_user(core, "backup", "elsewhere")).await.expect("told");
    let actions: Vec<String> = rows().await.into_iter().map(|sealed| sealed.row.action).collect();
    assert_eq!(actions, ["account suspend", "account restore", "backup"]);
    assert_eq!(check(core).await.expect("whole"), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_never_fork_the_chain() {
    let world = World::new().await;
    let second = world.second().await;
    let mut accounts = Vec::new();
    for index in 0..8 {
        accounts.push(account(&world.core, &format!("ada{index}@example.org")).await);
    }
    let cores = [&world.core, &second];
    join_all(accounts.iter().enumerate().map(|(index, account)| acts(cores[index % 2], account, 6))).await;
    assert_eq!(check(&world.core).await.expect("one chain"), 48);
    assert_eq!(check(&second).await.expect("one chain"), 48);
}

#[tokio::test]
async fn an_export_that_was_changed_is_refused_and_the_first_bad_row_is_named() {
    let world = World::new().await;
    let core = &world.core;
    let ada = account(core, "ada@example.org").await;
    acts(core, &ada, 4).await;
    let early = kept_head(core).await;
    let short = exported(core).await;
    acts(core, &ada, 4).await;
    let log = exported(core).await;
    let desk = Desk::of(core);
    assert_eq!(desk.verify(&log, &[]).expect("the control"), 8);
    assert_eq!(desk.verify(&log, &[&early, &short]).expect("with kept heads"), 8);
    assert!(!log.contains("ada@example.org"), "no names");
    let all = lines(&log);
    let start = Chain::beginning(&origin(), &core.keys.root().thumbprint()).digest;

    let changed = |index: usize, member: &str, new: Value| {
        let mut lines = all.clone();
        lines[index][member] = new;
        lines
    };
    let without = |from: usize, to: usize| [&all[..from], &all[to..]].concat();
    let mut reordered = all.clone();
    reordered.swap(3, 4);
    let mut late = all.clone();
    late.push(all[0].clone());
    let mut added = all.clone();
    let mut more = all[7].clone();
    (more["number"], more["subject"]) = (value!(9), value!("somebody else"));
    added.insert(8, more);
    let added = recomputed(added, start);
    for (what, forged, words) in [
        ("a row is added that follows", added, "row 9 and those after it are not covered by the head"),
        ("a row is changed", changed(2, "action", value!("account restore")), "row 3 is not as it was written"),
        ("and its digest", recomputed(changed(2, "who", value!("bob")), start), "row 8 is not the row that the head"),
        ("a digest alone", changed(4, "digest", value!(start)), "row 5 is not as it was written"),
        ("a row that names another before it", changed(4, "before", value!(start)), "row 5 does not follow"),
        ("rows change places", reordered, "row 5 stands where row 4 belongs"),
        ("a row is taken out", without(2, 3), "row 4 stands where row 3 belongs"),
        ("the last rows are cut off", without(6, 8), "the log ends with row 6, but the head"),
        ("all rows are", without(0, 8), "the log ends with row 0"),
        ("the end with the head", all[..6].to_vec(), "does not end with a signed head"),
        ("a row comes after the head", late, "rows after the head"),
    ] {
        let said = desk.verify(&text(&forged), &[]).expect_err(what).to_string();
        assert!(said.contains(words), "{what}: {said}");
    }

    // Its rows are followed all the same, and it is said how far a head vouches for them.
    let headless = text(&all[..6]);
    let said = desk.refused(&headless, &[]);
    assert!(said.contains("No head vouches for any of its rows") && said.contains("--head FILE"), "{said}");
    let said = desk.refused(&headless, &[&early]);
    assert!(said.contains("up to row 6, and heads that were kept vouch for those up to row 4"), "{said}");

    // Cut off and signed before: that is an older export. What was signed since tells.
    let late_head = text(&[all[8].clone()]);
    assert_eq!(desk.verify(&short, &[]).expect("the control: it was true then"), 4);
    assert!(desk.refused(&short, &[&late_head]).contains("the log ends with row 4, but the head"));
    // What the thief has: a log of his own up to the older head, with the server's own later rows.
    let rewritten = recomputed(changed(1, "subject", value!("somebody else")), start);
    let said = desk.refused(&text(&rewritten), &[&early]);
    assert!(said.contains("row 4 is not the row that the head"), "the earliest head that tells is named: {said}");

    // The server's own log has the head alone: the export brings the key that signed it.
    let logged = |line: &Value| {
        let head = serde_json::from_str::<Value>(&text(std::slice::from_ref(line))).expect("JSON")["head"].clone();
        text(&[value!({"message": "serving"}), value!({"message": "a head was signed", "head": head})])
    };
    assert_eq!(desk.verify(&log, &[&logged(&lines(&early)[0])]).expect("the control"), 8);
    assert!(desk.refused(&text(&rewritten), &[&logged(&lines(&early)[0])]).contains("row 4 is not the row"));
    assert!(desk.refused(&short, &[&logged(&all[8])]).contains("the log ends with row 4"));

    // Another server's rows, root, or head.
    let other = World::new().await;
    let bob = account(&other.core, "bob@example.org").await;
    acts(&other.core, &bob, 8).await;
    let foreign = exported(&other.core).await;
    assert!(desk.refused(&foreign, &[]).contains("another server's"));
    assert_eq!(Desk::of(&other.core).verify(&foreign, &[]).expect("the control"), 8);
    let mut spliced = lines(&foreign);
    spliced[8] = all[8].clone();
    assert!(desk.refused(&text(&spliced), &[]).contains("row 1 does not begin the log of https://store.example"));
    let mut half = all.clone();
    half[4..8].clone_from_slice(&lines(&foreign)[4..8]);
    assert!(desk.refused(&text(&half), &[]).contains("row 5 does not follow"));
    let mut head = all.clone();
    head[8]["head"] = lines(&foreign)[8]["head"].clone();
    assert!(desk.refused(&text(&head), &[]).contains("none of the server's"));
    assert!(desk.refused(&log, &[&text(&lines(&foreign)[8..])]).contains("another"));
    assert!(matches!(desk.verify(&log, &[&text(&all[..2])]), Err(VerifyError::NoHeads(_))));
    assert!(desk.refused("not json\n", &[]).contains("line 1"));
    let said = desk.refused(&log, &[&logged(&lines(&foreign)[8])]);
    assert!(said.contains("none of the server's"), "{said}");
    // Nor is there anything in a line that is not covered.
    let twice = log.replacen("{\"time\":\"0\"}", "{\"time\":\"1\",\"time\":\"0\"}", 1);
    assert!(twice != log && desk.refused(&twice, &[]).contains("line 1"));
    let more = log.replacen("{\"number\":1,", "{\"number\":1,\"note\":\"paid\",", 1);
    assert!(more != log && desk.refused(&more, &[]).contains("line 1"));
    // Nor a row in the line of the head, or after it: whoever reads the file would see nine.
    let mut smuggled = all.clone();
    for (member, told) in all[7].as_object().expect("a row") {
        smuggled[8][member] = told.clone();
    }
    let said = desk.refused(&text(&smuggled), &[&early]);
    assert!(said.contains("line 9: it is neither a row nor a head"), "{said}");
    let two = [&all[..], &all[8..]].concat();
    assert!(desk.refused(&text(&two), &[]).contains("line 10: there is a second head"));
    assert!(matches!(desk.verify(&log, &["\n"]), Err(VerifyError::NoHeads(_))));
    // The server's log as systemd keeps it: with lines that are none of the log, however long. An export has none.
    let others = format!("Started Portcullis.\nthread 'main' panicked at x:\n{}\n", "x".repeat(600_000));
    let shared = format!("{others}{{\"level\":\"INFO\"}}\n{}{others}", text(&all[all.len() - 1..]));
    desk.verify(&log, &[&shared]).expect("its heads are read");
    assert!(matches!(desk.verify(&log, &[&others]), Err(VerifyError::NoHeads(_))));
    assert!(matches!(desk.verify(&shared, &[]), Err(VerifyError::Line { .. })));
}

#[tokio::test]
async fn a_thief_with_the_database_and_without_the_master_key_is_found() {
    let world = World::new().await;
    let core = &world.core;
    let place = world.database();
    let ada = account(core, "ada@example.org").await;
    acts(core, &ada, 6).await;
    let kept = kept_head(core).await;
    acts(core, &ada, 2).await;
    let desk = Desk::of(core);
    let broken = async || match check(core).await {
        Err(AuditError::Broken(fault)) => fault,
        other => panic!("{other:?}"),
    };

    // A row is changed.
    place.change("UPDATE audit SET action = 'account restore' WHERE number = 3", &[]);
    assert_eq!(broken().await, AuditFault::Changed { number: 3 });
    let mut out = Vec::new();
    let said = export(core, &mut out).await.expect_err("refused").to_string();
    assert!(said.contains("row 3 is not as it was written") && said.contains("No head is signed"), "{said}");
    let log = String::from_utf8(out).expect("text");
    assert_eq!(log.lines().count(), 8, "what is there is exported all the same, without a head");
    assert!(desk.refused(&log, &[&kept]).contains("row 3"));
    place.change("UPDATE audit SET action = 'account suspend' WHERE number = 3", &[]);
    assert_eq!(check(core).await.expect("the control"), 8);

    // Rows and digests are computed anew: they have no seals.
    let rows = core.store.audit_rows(0, 100).await.expect("rows");
    let mut chain = Chain::beginning(&origin(), &core.keys.root().thumbprint());
    for sealed in &rows {
        let mut row = sealed.row.clone();
        row.who = "nobody".into();
        row.digest = row.digest_after(&chain.digest);
        chain.follow(&row).expect("a chain like any other");
        let number = i64::try_from(row.number).expect("few");
        place.change(
            "UPDATE audit SET who = 'nobody', digest = ?1 WHERE number = ?2",
            &[Of::Blob(row.digest.as_bytes()), Of::Int(number)],
        );
    }
    assert_eq!(broken().await, AuditFault::Forged { number: 1 });
    // Nor does it help to delete the heads: the server signs nothing over it.
    place.change("DELETE FROM audit_heads", &[]);
    assert!(matches!(sign_head(core).await, Err(AuditError::Broken(AuditFault::Forged { number: 1 }))));
    for sealed in &rows {
        let (who, digest) = (sealed.row.who.as_str(), sealed.row.digest.as_bytes());
        let number = i64::try_from(sealed.row.number).expect("few");
        place.change(
            "UPDATE audit SET who = ?1, digest = ?2 WHERE number = ?3",
            &[Of::Text(who), Of::Blob(digest), Of::Int(number)],
        );
    }
    let head: HeadRecord = serde_json::from_str(kept.trim()).expect("a head");
    let signer = core.keys.signing_key(core.clock.now()).expect("a key").public().thumbprint();
    assert!(core.store.keep_audit_head(6, head.head, signer).await.expect("kept"));
    assert_eq!(check(core).await.expect("the control"), 8);

    // The last rows are deleted: the head in the database tells, as long as it is there.
    place.change("DELETE FROM audit WHERE number > 5", &[]);
    assert!(matches!(broken().await, AuditFault::CutOff { last: 5, number: 6, .. }));
    assert!(matches!(sign_head(core).await, Err(AuditError::Broken(AuditFault::CutOff { .. }))));
    // Without it nothing in the database tells: what was kept elsewhere does.
    place.change("DELETE FROM audit_heads", &[]);
    let log = exported(core).await;
    assert_eq!(desk.verify(&log, &[]).expect("the control: this is why heads are kept elsewhere"), 5);
    let said = desk.refused(&log, &[&kept]);
    assert!(said.contains("the log ends with row 5, but the head") && said.contains("row 6"), "{said}");
    // Nor can the log grow over the gap.
    acts(core, &ada, 3).await;
    let log = exported(core).await;
    assert_eq!(desk.verify(&log, &[]).expect("the control"), 8);
    assert!(desk.refused(&log, &[&kept]).contains("row 6 is not the row that the head"));
}

/// What a head covers may have been changed after it was signed: the server signs none over that, neither when asked
/// nor by the hour.
#[tokio::test]
async fn no_head_is_signed_over_a_row_that_was_changed_under_the_last_one() {
    let world = World::new().await;
    let core = &world.core;
    let place = world.database();
    let broken = async || match sign_head(core).await {
        Err(AuditError::Broken(fault)) => fault,
        other => panic!("{other:?}"),
    };
    // A head over no row is none: the number before it would be none either.
    let none = sign_head(core).await.expect("a head of an empty log");
    place.change("INSERT INTO audit_heads (number, compact) VALUES (0, ?1)", &[Of::Text(&none.head)]);
    assert_eq!(broken().await, AuditFault::ForeignHead { number: 0 });
    place.change("DELETE FROM audit_heads", &[]);

    let ada = account(core, "ada@example.org").await;
    acts(core, &ada, 4).await;
    let HeadRecord { head: genuine, .. } = sign_head(core).await.expect("the control");
    let rows = core.store.audit_rows(0, 10).await.expect("rows");
    place.change("UPDATE audit SET who = 'nobody' WHERE number = 4", &[]);
    assert_eq!(broken().await, AuditFault::Changed { number: 4 });
    // Also once it has grown.
    acts(core, &ada, 1).await;
    assert_eq!(broken().await, AuditFault::Changed { number: 4 });
    place.change("DELETE FROM audit WHERE number = 5", &[]);
    place.change("UPDATE audit SET who = ?1 WHERE number = 4", &[Of::Text(&rows[3].row.who)]);
    place.change("UPDATE audit SET number = 9 WHERE number = 3", &[]);
    assert!(matches!(broken().await, AuditFault::NotNext { found: 4, expected: 3 }));
    place.change("UPDATE audit SET number = 3 WHERE number = 9", &[]);

    // Who has the database, and a signing key that was stolen and has ended: a chain of his own, and a head of his.
    let thief = core.keys.signing_key(core.clock.now()).expect("a key");
    let early = core.clock.now().seconds();
    core.clock.advance(10);
    keys::rotate_signing_key(&*core.store, &core.secrets, Rotation::Stolen).await.expect("rotated");
    core.keys.refresh(&*core.store, &core.secrets).await.expect("refreshed");
    core.clock.advance(60);
    let mut chain = Chain::beginning(&origin(), &core.keys.root().thumbprint());
    for sealed in &rows {
        let mut row = sealed.row.clone();
        row.who = "nobody".into();
        row.digest = row.digest_after(&chain.digest);
        chain.follow(&row).expect("a chain like any other");
        let number = i64::try_from(row.number).expect("few");
        let values = [Of::Blob(row.digest.as_bytes()), Of::Int(number)];
        place.change("UPDATE audit SET who = 'nobody', digest = ?1 WHERE number = ?2", &values);
    }
    for (iat, fault) in
        [(early, AuditFault::Forged { number: 4 }), (core.clock.now().seconds(), AuditFault::ForeignHead { number: 4 })]
    {
        let forged = AuditHead { iss: origin(), number: 4, digest: chain.digest, iat };
        let forged = Verified::sign(forged, &thief);
        place.change("UPDATE audit_heads SET compact = ?1", &[Of::Text(forged.compact())]);
        assert_eq!(broken().await, fault);
        acts(core, &ada, 2).await;
        assert_eq!(broken().await, fault, "nor once it has grown");
        core.clock.advance(3601);
        assert!(Heads::default().renew(core).await.is_err(), "nor by the hour");
        place.change("DELETE FROM audit WHERE number > 4", &[]);
    }

    // The control: as it was, it goes on.
    for sealed in &rows {
        let number = i64::try_from(sealed.row.number).expect("few");
        let (who, digest) = (sealed.row.who.as_str(), sealed.row.digest.as_bytes());
        let values = [Of::Text(who), Of::Blob(digest), Of::Int(number)];
        place.change("UPDATE audit SET who = ?1, digest = ?2 WHERE number = ?3", &values);
    }
    place.change("UPDATE audit_heads SET compact = ?1", &[Of::Text(&genuine)]);
    acts(core, &ada, 1).await;
    sign_head(core).await.expect("signed");
    assert_eq!(check(core).await.expect("whole"), 5);
}

/// An order that is `refunding` changes no more when its provider is asked again, and money may move all the same.
#[tokio::test]
async fn a_refund_is_told_before_the_provider_is_asked() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let mut customer = stage.customer("ada@example.org").await;
    let order = shop.buy(&mut customer, "view").await.order.to_string();
    let place = stage.database();
    let refund = || {
        let mut command = command(stage.folder.path());
        command.args(["operator", "--dir", "."]).args(["order", "refund", &order]);
        command.env("PORTCULLIS_SERVER_ORIGIN", stage.origin.as_str()).output().expect("runs")
    };
    place.change("UPDATE orders SET state = 3, provider = 'gone'", &[]);
    assert!(refused(&refund()).contains("provider is not configured"));
    let rows = stage.running.app().core.store.audit_rows(0, 10).await.expect("rows");
    let [told] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((told.row.action.as_str(), &told.row.subject), ("order refund", &order));
    is_whole(&stage.running.app().core, 1).await;
    stage.stop().await;
}

#[tokio::test]
async fn another_servers_log_is_not_this_servers() {
    let world = World::new().await;
    let other = World::new().await;
    for world in [&world, &other] {
        let ada = account(&world.core, "ada@example.org").await;
        acts(&world.core, &ada, 3).await;
    }
    world.database().change("DELETE FROM audit", &[]);
    for sealed in other.core.store.audit_rows(0, 100).await.expect("rows") {
        let row = sealed.row;
        let detail = serde_json::to_string(&row.detail).expect("JSON");
        world.database().change(
            "INSERT INTO audit (number, at, who, action, subject, detail, digest, seal)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            &[
                Of::Int(i64::try_from(row.number).expect("few")),
                Of::Int(row.at.millis()),
                Of::Text(&row.who),
                Of::Text(&row.action),
                Of::Text(&row.subject),
                Of::Text(&detail),
                Of::Blob(row.digest.as_bytes()),
                Of::Blob(&sealed.seal),
            ],
        );
    }
    assert_eq!(check(&other.core).await.expect("the control"), 3);
    let found = check(&world.core).await;
    assert!(matches!(found, Err(AuditError::Broken(AuditFault::Changed { number: 1 }))), "{found:?}");
    assert!(matches!(sign_head(&world.core).await, Err(AuditError::Broken(_))));
}

#[tokio::test]
async fn heads_are_made_by_the_hour_and_keys_that_ended_sign_none() {
    let world = World::new().await;
    let core = &world.core;
    let ada = account(core, "ada@example.org").await;
    // Each look is one of another process, which has not looked a moment ago.
    let look = async || Heads::default().renew(core).await.expect("looked").is_some();
    assert!(!look().await, "an empty log needs none");
    acts(core, &ada, 2).await;
    assert!(look().await, "the first");
    acts(core, &ada, 1).await;
    assert!(!look().await, "not again within the hour");
    core.clock.advance(3601);
    assert!(look().await);
    core.clock.advance(3601);
    assert!(!look().await, "nothing was added");
    let kept = core.store.audit_heads(0, 10).await.expect("heads");
    assert_eq!(kept.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [2, 3]);
    let mut heads = Heads::default();
    heads.renew(core).await.expect("looked");
    acts(core, &ada, 1).await;
    core.clock.advance(3601);
    assert!(heads.renew(core).await.expect("looked").is_none(), "a process looks once a minute");

    // What the old key signed stays true under the key document of the new one.
    let desk = Desk::of(core);
    let old = kept_head(core).await;
    let thief = core.keys.signing_key(core.clock.now()).expect("a key");
    let old_keys = core.keys.document(core.clock.now());
    core.clock.advance(1);
    let rotated = Act::of_user(core, "signing key add", "");
    rotated.scope(keys::rotate_signing_key(&*core.store, &core.secrets, Rotation::Stolen)).await.expect("rotated");
    core.keys.refresh(&*core.store, &core.secrets).await.expect("refreshed");
    let log = exported(core).await;
    assert_eq!(desk.verify(&log, &[&old]).expect("old and new"), 5);
    let last = lines(&log);
    let added = last.iter().find(|line| line["action"] == "signing key add").expect("told");
    let newest = core.keys.signing_key(core.clock.now()).expect("a key");
    assert_eq!(added["subject"], newest.public().thumbprint().to_string());

    // The stolen key signs what came after its end, under a key document from before: the newer one tells.
    core.clock.advance(60);
    let chain = Chain { number: 5, digest: serde_json::from_value(last[4]["digest"].clone()).expect("a digest") };
    let forged =
        AuditHead { iss: origin(), number: chain.number, digest: chain.digest, iat: core.clock.now().seconds() };
    let forged = HeadRecord {
        head: Verified::sign(forged, &thief).compact().to_owned(),
        keys: old_keys,
        root: core.keys.root().clone(),
    };
    let forged = text(&[serde_json::to_value(forged).expect("JSON")]);
    let said = desk.refused(&log, &[&forged]);
    assert!(said.contains("did not sign any more"), "{said}");
}

/// An export or a cron's head is under way while an operator ends the key: a head of the old key broke the log for good.
#[tokio::test]
async fn a_head_that_is_signed_while_its_key_is_ended_is_of_the_next_one() {
    let world = World::new().await;
    let core = &world.core;
    let ada = account(core, "ada@example.org").await;
    acts(core, &ada, 2).await;
    // A process that has the keys of before.
    let late = world.second().await;
    let old = late.keys.signing_key(late.clock.now()).expect("a key");
    let rotated = Act::of_user(core, "signing key add", "");
    rotated.scope(keys::rotate_signing_key(&*core.store, &core.secrets, Rotation::Stolen)).await.expect("rotated");
    core.clock.advance(2);
    let digest = core.store.audit_rows(1, 1).await.expect("rows")[0].row.digest;
    let head = |iat: u64| {
        let head = AuditHead { iss: origin(), number: 2, digest, iat };
        Verified::sign(head, &old).compact().to_owned()
    };
    let signed = head(late.clock.now().seconds());
    let kept = late.store.keep_audit_head(2, signed, old.public().thumbprint()).await.expect("looked");
    assert!(!kept, "its key has ended by the database's time");
    sign_head(&late).await.expect("signed by the new one");
    core.keys.refresh(&*core.store, &core.secrets).await.expect("refreshed");
    assert_eq!(check(core).await.expect("the log is as it was written"), 3);
    let (desk, log) = (Desk::of(core), exported(core).await);
    assert_eq!(desk.verify(&log, &[]).expect("so is its export"), 3);

    // Within the second of its end a key may have signed, here as there; later it has not.
    let record = |iat: u64| {
        let keys = core.keys.document(core.clock.now());
        let record = HeadRecord { head: head(iat), keys, root: core.keys.root().clone() };
        text(&[serde_json::to_value(record).expect("JSON")])
    };
    let ended = core.store.signing_keys().await.expect("keys").1[0].expires.seconds();
    assert_eq!(desk.verify(&log, &[&record(ended)]).expect("honest"), 3);
    assert!(desk.refused(&log, &[&record(ended + 1)]).contains("did not sign any more"));
}

/// An account that is an operator's does by the interface for programs what others need an approval for.
#[tokio::test]
async fn what_an_operators_account_does_is_told() {
    let stage = Stage::with(|config| config.publishers = Publishers::Approve).await;
    let mut operator = stage.customer("ops@example.org").await;
    stage.database().change("UPDATE accounts SET operator = 1", &[]);
    let mut other = stage.customer("ada@example.org").await;
    let core = &stage.running.app().core;
    let key = SecretKey::generate(&mut rng());
    let refused = other.send(&claim(&stage.origin, "umbra", &key)).await;
    assert_eq!(refused.status, reqwest::StatusCode::FORBIDDEN);
    assert!(core.store.audit_rows(0, 10).await.expect("rows").is_empty(), "others are nobody's operators");
    let Done {} = operator.get_yes(&claim(&stage.origin, "lumen", &key)).await;
    let rows = core.store.audit_rows(0, 10).await.expect("rows");
    let [told] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((told.row.action.as_str(), told.row.subject.as_str()), ("publisher claim", "lumen"));
    assert!(told.row.who.starts_with("account "), "{}", told.row.who);
    stage.stop().await;
}

/// Every line of a log but the head, as action and subject.
fn told(log: &str) -> Vec<(String, String)> {
    let of = |line: &Value, name: &str| line[name].as_str().map(str::to_owned);
    lines(log).iter().filter_map(|line| Some((of(line, "action")?, of(line, "subject")?))).collect()
}

#[tokio::test]
async fn a_restored_server_goes_on_with_the_log_of_its_backup() {
    let world = World::new().await;
    let core = &world.core;
    let ada = account(core, "ada@example.org").await;
    acts(core, &ada, 3).await;
    // As a server that was restored from a backup of then has it: the same rows, and the rows since gone.
    let before = kept_head(core).await;
    acts(core, &ada, 2).await;
    let lost = kept_head(core).await;
    world.database().change("DELETE FROM audit WHERE number > 3", &[]);
    world.database().change("DELETE FROM audit_heads WHERE number > 3", &[]);
    let act = Act::of_user(core, "server restore", "a backup");
    act.scope(core.store.set_suspended(&ada, false)).await.expect("restored");
    acts(core, &ada, 2).await;
    let desk = Desk::of(core);
    let log = exported(core).await;
    assert_eq!(desk.verify(&log, &[&before]).expect("the head of before the backup"), 6);
    let said = desk.refused(&log, &[&lost]);
    assert!(
        said.contains("row 5 is not the row") && said.contains("Row 4 says that the server was made of a"),
        "{said}"
    );
}

#[tokio::test]
async fn a_backup_has_the_log_and_its_restoration_is_told() {
    let stage = Stage::open().await;
    let ada = account(&stage.running.app().core, "ada@example.org").await;
    acts(&stage.running.app().core, &ada, 2).await;
    let elsewhere = tempfile::tempdir().expect("a folder");
    let saved = elsewhere.path().join("saved");
    let backup = portcullis_server::ops::backup::Backup::take(stage.running.app(), &saved, true).await.expect("taken");
    let master = stage.folder.path().join(portcullis_server::MASTER_KEY);
    let new = elsewhere.path().join("new");
    backup.restore(&saved, &master, &new, true).await.expect("restored");
    let origin = stage.origin.to_string();
    stage.stop().await;

    let mut exporting = command(elsewhere.path());
    exporting.args(["audit", "export", "--dir", "new"]).env("PORTCULLIS_SERVER_ORIGIN", &origin);
    let log = exporting.output().expect("runs");
    assert!(log.status.success(), "{}", String::from_utf8_lossy(&log.stderr));
    let log = String::from_utf8(log.stdout).expect("text");
    let told = told(&log);
    let actions: Vec<&str> = told.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(actions, ["account suspend", "account restore", "server restore"]);
    std::fs::write(elsewhere.path().join("log"), log).expect("written");
    let root = lines(&std::fs::read_to_string(elsewhere.path().join("log")).expect("read"))[3]["root"].clone();
    let root: portcullis_protocol::PublicKey = serde_json::from_value(root).expect("a key");
    let words = root.thumbprint().words();
    let verified = json(&run(elsewhere.path(), &["audit", "verify", "log", "--root", &words, "--json"]));
    assert_eq!((&verified["rows"], &verified["heads"]), (&value!(3), &value!(1)));
}

/// Every command of an operator that changes something is told, by what it was, and by no secret.
#[tokio::test]
async fn every_command_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    let made = json(&run(dir, &["init", "--dir", "store", "--json", "--listen", &free_address()]));
    let operator =
        |arguments: &[&str]| json(&run(dir, &[&["operator", "--dir", "store", "--json"], arguments].concat()));
    let added = operator(&["account", "add", "ada@example.org"]);
    let ada = added["account"].as_str().expect("an identifier").to_owned();
    let changed = operator(&["account", "password", "ada@example.org"]);
    operator(&["account", "list"]);
    operator(&["account", "suspend", "ada@example.org"]);
    operator(&["account", "restore", "ada@example.org"]);
    let invited = operator(&["invite", "--operator", "--days", "3"]);
    let listed = operator(&["invitation", "list"]);
    let invitation = listed["invitations"][0]["invitation"].as_str().expect("an identifier").to_owned();
    operator(&["invitation", "revoke", &invitation]);
    operator(&["publisher", "approve", "ada@example.org"]);
    let rotated = operator(&["rotate-key", "--starts-in", "60"]);
    operator(&["export-identity", "-o", "identity.txt"]);
    json(&run(dir, &["backup", "--dir", "store", "--to", "saved", "--json"]));
    let checked = operator(&["check"]);

    // The invitation of `init` makes an operator's account: that is told, too, and other accounts are not.
    let served = serve(dir);
    let path = made["invitation"].as_str().and_then(|url| url.split_once("/invite/")).expect("a URL").1.to_owned();
    let mut browser = crate::browser::Browser::new(&served.origin);
    let path = format!("/invite/{path}");
    let csrf = browser.get(&path).await.csrf();
    let fields = [("csrf", csrf.as_str()), ("email", "eve@example.org"), ("password", crate::stage::PASSWORD)];
    assert_eq!(browser.post(&path, &fields).await.status, 303);
    drop(served);

    let exported = run(dir, &["audit", "export", "--dir", "store", "-o", "audit.jsonl"]);
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    let log = std::fs::read_to_string(dir.join("audit.jsonl")).expect("written");
    let told = told(&log);
    let actions: Vec<&str> = told.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(
        actions,
        [
            "server init",
            "account add",
            "account password",
            "account suspend",
            "account restore",
            "invite",
            "invitation revoke",
            "publisher approve",
            "signing key add",
            "export identity",
            "backup",
            "account add",
        ]
    );
    assert_eq!((told[1].1.as_str(), told[3].1.as_str(), told[7].1.as_str()), (&*ada, &*ada, &*ada));
    assert_eq!(told[8].1, rotated["key"].as_str().expect("a key"));
    assert_eq!(told[5].1.len(), 22, "an identifier: the token cannot be had from it");
    assert_eq!(checked["audit_rows"], 11);
    let secrets = [&added["password"], &changed["password"], &invited["invitation"], &made["invitation"]];
    for secret in secrets.map(|secret| secret.as_str().expect("a text")) {
        let secret = secret.rsplit('/').next().expect("a token");
        assert!(secret.len() > 20 && !log.contains(secret), "{secret}");
    }
    assert!(!log.contains("example.org"), "no names of people");

    // As an operator verifies it on another machine.
    let words = made["words"].as_str().expect("words");
    let head = run(dir, &["audit", "head", "--dir", "store", "-o", "head"]);
    assert!(head.status.success(), "{}", String::from_utf8_lossy(&head.stderr));
    let verified = json(&run(dir, &["audit", "verify", "audit.jsonl", "--root", words, "--head", "head", "--json"]));
    assert_eq!((&verified["rows"], &verified["heads"]), (&value!(12), &value!(2)));
    let other = refused(&run(dir, &["audit", "verify", "audit.jsonl", "--root", &"able ".repeat(8)]));
    assert!(other.contains("another server's"), "{other}");
    // A pipe can be read once: that is said, and not that the log was cut off.
    let piped = refused(&run_with(dir, &["audit", "verify", "/dev/stdin", "--root", words], &log));
    assert!(piped.contains("a pipe can be read once only"), "{piped}");
    assert!(refused(&run(dir, &["audit", "verify", "audit.jsonl", "--root", "store.example"])).contains("eight words"));
    assert!(refused(&run(dir, &["audit", "verify", "audit.jsonl"])).contains("--root"));
    let cut: String = log.lines().take(5).map(|line| format!("{line}\n")).collect();
    std::fs::write(dir.join("cut"), cut).expect("written");
    let said = refused(&run(dir, &["audit", "verify", "cut", "--root", words, "--head", "head"]));
    assert!(said.contains("the log ends with row 5"), "{said}");
    assert!(refused(&run(dir, &["audit", "export", "--dir", "store", "-o", "audit.jsonl"])).contains("exists already"));
    // `-` is standard output, as everywhere; a folder that was mistyped is not made.
    for task in ["export", "head"] {
        let shown = run(dir, &["audit", task, "--dir", "store", "--output", "-"]);
        let text = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.status.success() && text.contains("\"head\":"), "{task}: {text}");
        let said = refused(&run(dir, &["audit", task, "--dir", "store", "-o", "sfae/log"]));
        assert!(said.contains("there is no folder sfae: make it first"), "{task}: {said}");
    }
    for (file, why) in [("-", "name a file"), ("sfae/identity", "there is no folder sfae")] {
        let said = refused(&run(dir, &["operator", "--dir", "store", "export-identity", "-o", file]));
        assert!(said.contains(why), "{file}: {said}");
    }
    assert!(!dir.join("-").exists() && !dir.join("sfae").exists());
}

/// A copy of a database has the log, whole.
pub(crate) async fn is_whole(core: &Core, rows: u64) {
    assert_eq!(check(core).await.expect("whole"), rows);
}

/// Adds a row, for tests of what becomes of it.
pub(crate) async fn act(core: &Core) {
    let somebody = account(core, "somebody@example.org").await;
    acts(core, &somebody, 1).await;
    sign_head(core).await.expect("a head");
}

/// The same server opened again: what was sealed by one process is known to the next.
#[tokio::test]
async fn a_later_process_knows_the_seals() {
    let world = World::new().await;
    act(&world.core).await;
    world.core.store.close().await.expect("closed");
    let core = open_core(Path::new(world.folder.path()), world.core.clock.clone(), Faults::default()).await;
    is_whole(&core, 1).await;
}
