//! Who is handed records of bills, and who is not.

use super::{Arena, Outcome, Trial, attacks};
use anyhow::{Result, ensure};
use async_trait::async_trait;
use portcullis_fixtures::{Bench, Fixture, Rule, component, description, operation, part, rng};
use portcullis_host::{Answer, Bills, BillsError, Consent, DeclineAll, Error, HandOver, MailProgram, Prompt};
use portcullis_protocol::bills::{Bill, BillLevel, BillText, BillsPage};
use portcullis_protocol::seal::{Description, Sealer};
use portcullis_protocol::{Date, Digest, MailboxName, SecretKey};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

attacks! {
    "bills-without-asking" => without_asking,
    "bills-without-consent" => without_consent,
    "bills-of-another-mailbox" => another_mailbox,
    "mail-program-that-lies" => lying_program,
}

const READ: &str = "test:reader/api@1.0.0#read";
const WIT: &str = "package test:reader@1.0.0;
interface api { read: func(mailbox: string) -> u32; }
world reader { include portcullis:gate/bill-reader@0.1.0; export api; }
world modest { include portcullis:gate/protected@0.1.0; export api; }";
/// Reads a page of a mailbox: 1000 and the number of its bills, or the number of the error.
const READER: &str = r#"(module
    (import "portcullis:gate/billing@0.1.0" "entry" (func $entry (result i32)))
    (import "portcullis:gate/bills@0.1.0" "read" (func $read (param i32 i32 i32 i32 i32 i32 i32)))
    (memory (export "memory") 32)
    (global $free (mut i32) (i32.const 4096))
    (func (export "cabi_realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
        (global.set $free (i32.add (local.get $at) (local.get $size)))
        (local.get $at))
    (func (export "test:reader/api@1.0.0#read") (param $at i32) (param $length i32) (result i32)
        (drop (call $entry))
        (call $read (local.get $at) (local.get $length) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 100) (i32.const 64))
        (if (result i32) (i32.load8_u (i32.const 64))
            (then (i32.load8_u (i32.const 68)))
            (else (i32.add (i32.const 1000) (i32.load (i32.const 72)))))))"#;
/// The same surface without bills.
const MODEST: &str = r#"(module
    (import "portcullis:gate/billing@0.1.0" "entry" (func $entry (result i32)))
    (memory (export "memory") 1)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
    (func (export "test:reader/api@1.0.0#read") (param i32 i32) (result i32) (drop (call $entry)) (i32.const 7)))"#;

const NO_SUCH_MAILBOX: u32 = 0;
const UNAVAILABLE: u32 = 1;

fn describe(asks: bool) -> (Description, SecretKey) {
    let key = SecretKey::generate(&mut rng());
    let mut description = description(&key, vec![operation("view", &[READ], &["main"])]);
    description.capabilities.bills = asks;
    (description, key)
}

fn reader() -> Vec<u8> {
    component(READER, WIT, "reader")
}

/// A resource that reads bills, and asks for them.
fn asking() -> Fixture {
    let (description, key) = describe(true);
    Fixture::sealed(description, &reader(), key)
}

/// Two mailboxes, `home` and `work`, with two bills each.
struct Shelf;

#[async_trait]
impl Bills for Shelf {
    async fn mailboxes(&self) -> Result<Vec<MailboxName>, BillsError> {
        Ok(vec![named("home")])
    }

    async fn read(&self, _: &MailboxName, _: Option<&BillText>, at_most: u32) -> Result<BillsPage, BillsError> {
        Ok(page(at_most.min(2) as usize))
    }
}

fn named(name: &str) -> MailboxName {
    MailboxName::new(name).expect("a name")
}

fn page(bills: usize) -> BillsPage {
    let bill = |at: usize| Bill {
        biller: None,
        biller_name: BillText::cut("power.example"),
        account: None,
        amount: None,
        due: None,
        period: None,
        level: BillLevel::Unverified,
        doubts: Vec::new(),
        unread: None,
        evidence: Digest::of(&at.to_be_bytes()),
    };
    BillsPage {
        bills: (0..bills).map(bill).collect(),
        next: BillText::cut("1.1"),
        more: false,
        reset: false,
        today: Date::new(2026, 11, 29).expect("a day"),
    }
}

/// Says yes to handing bills over or no, and counts how often it was asked.
#[derive(Clone, Default)]
struct User {
    yes: bool,
    asked: Arc<AtomicU32>,
}

#[async_trait]
impl Consent for User {
    async fn ask(&self, prompt: &Prompt<'_>) -> Answer {
        prompt.decline()
    }

    async fn hand_over(&self, question: &HandOver<'_>) -> bool {
        assert_eq!(question.mailboxes, [named("home")]);
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.yes
    }
}

fn agreeing() -> User {
    User { yes: true, ..User::default() }
}

/// Loads it where bills are lent, and everything is granted.
fn lending(fixture: &Fixture, bills: impl Bills + 'static, user: impl Consent + 'static) -> Result<Bench, Error> {
    let bench = Bench::load(&fixture.file, &fixture.keys, |builder| builder.bills(bills).consent(user))?;
    bench.signer.rule("view", Rule::Timed(300));
    Ok(bench)
}

async fn read(bench: &Bench, mailbox: &str) -> Result<u32, Error> {
    let authorised = bench.resource.authorize("view").await?;
    authorised.call_typed::<(String,), (u32,)>(READ, (mailbox.to_owned(),)).await.map(|(read,)| read)
}

async fn without_asking(_: &mut Arena) -> Result<Outcome> {
    let mut trial = Trial::new();
    let body = reader();
    let (description, _) = describe(false);
    let sealed = Sealer::new(description).code(part("main"), false, &body).check().map(drop);
    trial.attack("sealing a resource that imports bills and does not ask", "if and only if", sealed);
    // Behind a stub and a manifest that know nothing of bills.
    let (description, key) = describe(false);
    let modest = Fixture::sealed(description, &component(MODEST, WIT, "modest"), key);
    let hidden = modest.with_body(&body);
    let bench = lending(&hidden, Shelf, agreeing())?;
    trial.attack("hiding the import behind an honest stub", "portcullis:gate/bills", read(&bench, "home").await);
    let user = agreeing();
    let bench = lending(&modest, Shelf, user.clone())?;
    let harmless = read(&bench, "home").await?;
    trial.control("the honest one runs, and nobody is asked", harmless == 7 && user.asked.load(Ordering::SeqCst) == 0);
    trial.control("one that asks reads", read(&lending(&asking(), Shelf, agreeing())?, "home").await? == 1002);
    Ok(trial.finish())
}

async fn without_consent(_: &mut Arena) -> Result<Outcome> {
    let mut trial = Trial::new();
    let fixture = asking();
    let bench = Bench::load(&fixture.file, &fixture.keys, |builder| builder.consent(agreeing()))?;
    bench.signer.rule("view", Rule::Timed(300));
    trial.attack("reading bills that the operator does not lend", "lent none", read(&bench, "home").await);
    let mut cycles = bench.requests();
    let user = User::default();
    let bench = lending(&fixture, Shelf, user.clone())?;
    trial.attack("reading bills that the user does not hand over", "not handed over", read(&bench, "home").await);
    trial.attack("asking again", "not handed over", read(&bench, "home").await);
    cycles += bench.requests();
    let bench = lending(&fixture, Shelf, DeclineAll)?;
    trial.attack("reading bills where nobody can be asked", "not handed over", read(&bench, "home").await);
    cycles += bench.requests();
    trial.attack_fails("being paid for it", "nothing was asked of a server", cycles == 0);
    let user = agreeing();
    let bench = lending(&fixture, Shelf, user.clone())?;
    let twice = (read(&bench, "home").await?, read(&bench, "home").await?);
    trial.control(
        "with a yes it reads, and he is asked once",
        twice == (1002, 1002) && user.asked.load(Ordering::SeqCst) == 1,
    );
    Ok(trial.finish())
}

async fn another_mailbox(_: &mut Arena) -> Result<Outcome> {
    let mut trial = Trial::new();
    // The source would answer for any name.
    let bench = lending(&asking(), Shelf, agreeing())?;
    for name in ["work", "", "../home", "HOME", "home "] {
        let held = read(&bench, name).await? == NO_SUCH_MAILBOX;
        trial.attack_fails(&format!("reading `{name}`"), "the user agreed to `home` alone", held);
    }
    trial.control("the one that he agreed to is read", read(&bench, "home").await? == 1002);
    Ok(trial.finish())
}

/// Answers every request with the same bytes, on a socket.
fn saying(folder: &std::path::Path, name: &str, mailboxes: &str, answer: Vec<u8>) -> Result<MailProgram> {
    let path = folder.join(name);
    let listener = std::os::unix::net::UnixListener::bind(&path)?;
    let mailboxes = mailboxes.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(mut stream), mut line) = (stream, String::new()) else { return };
            let Ok(reading) = stream.try_clone() else { return };
            let mut requests = std::io::BufReader::new(reading);
            while std::io::BufRead::read_line(&mut requests, &mut line).is_ok_and(|count| count > 0) {
                let said = if line.contains("\"mailboxes\"") { mailboxes.as_bytes() } else { &answer };
                if stream.write_all(said).is_err() {
                    break;
                }
                line.clear();
            }
        }
    });
    Ok(MailProgram::listening_at(path))
}

async fn lying_program(_: &mut Arena) -> Result<Outcome> {
    const HOME: &str = "{\"mailboxes\":[\"home\"]}\n";
    let mut trial = Trial::new();
    let (fixture, folder) = (asking(), tempfile::tempdir()?);
    let answer = |bills: usize| -> Result<Vec<u8>> {
        let mut line = serde_json::to_vec(&serde_json::json!({ "page": page(bills) }))?;
        line.push(b'\n');
        Ok(line)
    };
    let honest = answer(2)?;
    let text = String::from_utf8(honest.clone())?;
    ensure!(text.contains("power.example"), "the honest answer names a biller");
    let endless = std::iter::repeat_n(b'x', 4 << 20).collect();
    let lies: [(&str, Vec<u8>); 6] = [
        ("a page of 10,000 bills", answer(10_000)?),
        ("101 bills", answer(101)?),
        ("a line without end", endless),
        ("a name that turns the text around", text.replace("power.example", "\\u202eelpmaxe.rewop").into_bytes()),
        ("a day that no calendar has", text.replace("2026-11-29", "2026-02-30").into_bytes()),
        ("names in place of bills", HOME.as_bytes().to_vec()),
    ];
    for (at, (what, answer)) in lies.into_iter().enumerate() {
        let program = saying(folder.path(), &at.to_string(), HOME, answer)?;
        let read = read(&lending(&fixture, program, agreeing())?, "home").await?;
        trial.attack_fails(what, "no more is taken than a page may be", read == UNAVAILABLE);
    }
    for (at, names) in
        ["{\"mailboxes\":[\"../home\"]}\n", "{\"mailboxes\":[\"\\u202e\"]}\n", "[]\n", "\n"].iter().enumerate()
    {
        let program = saying(folder.path(), &format!("names{at}"), names, honest.clone())?;
        let read = read(&lending(&fixture, program, agreeing())?, "home").await;
        trial.attack(&format!("names that are none: {}", names.trim()), "cannot hand out bills", read);
    }
    let program = saying(folder.path(), "honest", HOME, honest)?;
    trial.control("an honest one is read", read(&lending(&fixture, program, agreeing())?, "home").await? == 1002);
    Ok(trial.finish())
}
