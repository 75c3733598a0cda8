//! The command, as a person uses it: a real mailbox, a registry, a name server; and what it prints.

use crate::dovecot::Dovecot;
use crate::signer::{Names, sign};
use crate::stage::{BILL, USER, mail};
use portcullis_mail::{Dns as _, Encryption, Protocol, Resolver};
use serde_json::{Value, json};
use std::io::Write as _;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn command(home: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis-mail"))
        .arg("--home")
        .arg(home)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("written");
    child.wait_with_output().expect("ends")
}

fn ok(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A name server for TXT records, on a port of this machine.
fn name_server(names: Names) -> u16 {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a port");
    let port = socket.local_addr().expect("address").port();
    std::thread::spawn(move || {
        let mut query = [0; 1500];
        while let Ok((count, from)) = socket.recv_from(&mut query) {
            if let Some(answer) = answer(&query[..count], &names) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    port
}

/// RFC 1035 section 4.1: the question again, and a TXT record or NXDOMAIN.
fn answer(query: &[u8], names: &Names) -> Option<Vec<u8>> {
    let (mut at, mut labels) = (12, Vec::new());
    while let Some(length) = query.get(at).copied().filter(|length| *length > 0) {
        labels.push(String::from_utf8_lossy(query.get(at + 1..=at + usize::from(length))?).to_lowercase());
        at += 1 + usize::from(length);
    }
    let question = query.get(12..at + 5)?;
    let record = names.records.get(&labels.join("."));
    let mut answer = query.get(..2)?.to_vec();
    answer.extend([0x81, if record.is_some() { 0x80 } else { 0x83 }, 0, 1, 0, u8::from(record.is_some()), 0, 0, 0, 0]);
    answer.extend(question);
    if let Some(record) = record {
        let strings: Vec<u8> = record
            .as_bytes()
            .chunks(255)
            .flat_map(|part| [&[u8::try_from(part.len()).expect("short")], part].concat())
            .collect();
        answer.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60]);
        answer.extend(u16::try_from(strings.len()).expect("short").to_be_bytes());
        answer.extend(strings);
    }
    Some(answer)
}

/// Whoever is on the way to a name server can answer in its place. The control is a resolver that the user trusts.
#[tokio::test]
async fn a_key_that_no_dnssec_proves_is_not_trusted() {
    let name = "k1._domainkey.power.example";
    let records = [(name.to_owned(), "v=DKIM1; p=forged".to_owned())].into();
    let server = ([127, 0, 0, 1], name_server(Names { records, trusted: true, down: false })).into();
    let trusted = Resolver::trusted(server).expect("a resolver").txt(name).await.expect("an answer");
    assert!(trusted.trusted);
    let proven = Resolver::validating(server).expect("a resolver").txt(name).await;
    assert!(!proven.as_ref().is_ok_and(|answer| answer.trusted), "{proven:?}");
}

#[test]
fn from_a_mailbox_to_printed_bills() {
    let invoice = "<Invoice xmlns=\"urn:oasis:names:specification:ubl:schema:xsd:Invoice-2\"><DueDate>2026-12-24</DueDate>\
                   <DocumentCurrencyCode>CHF</DocumentCurrencyCode><LegalMonetaryTotal><PayableAmount currencyID=\"CHF\">99.95\
                   </PayableAmount></LegalMonetaryTotal></Invoice>";
    let structured =
        mail("power.example", USER, "Invoice", invoice).replace("text/plain; charset=utf-8", "application/xml");
    let (mails, names) = sign(&[
        json!({"raw": mail("power.example", USER, "Invoice", BILL), "domain": "power.example", "selector": "k1"}),
        json!({"raw": structured, "domain": "power.example", "selector": "k1"}),
        json!({"raw": mail("power.example", USER, "Invoice", &BILL.replace("42.50", "66.00"))}),
        json!({"raw": mail("power.example", USER, "Lunch?", "Shall we meet at noon? It costs 12.00 EUR.")}),
    ]);
    let dovecot = Dovecot::start(mails.into_iter().map(|mail| (mail, "")));
    let account = dovecot.account(Protocol::Imap, Encryption::Tls);
    let resolver = format!("127.0.0.1:{}", name_server(names));

    let outside = tempfile::tempdir().expect("a folder");
    let at = |name: &str| outside.path().join(name).display().to_string();
    let home = outside.path().join("home");
    let list = "[[billers]]\nid = \"power\"\nname = \"Power & Light\"\ndomains = [\"power.example\"]\n";
    std::fs::write(at("billers.toml"), list).expect("written");
    let public = ok(&command(&home, &["registry", "key", &at("key")], ""));
    let registry = ok(&command(&home, &["registry", "sign", &at("billers.toml"), "--key", &at("key")], ""));
    std::fs::write(at("billers.jws"), &registry).expect("written");
    let used = command(&home, &["registry", "use", &at("billers.jws"), "--key", public.trim()], "");
    assert_eq!(ok(&used), "1 biller known\n");
    std::fs::write(at("forged.jws"), registry.replacen('.', ".e", 1)).expect("written");
    let forged = command(&home, &["registry", "use", &at("forged.jws"), "--key", public.trim()], "");
    let error = String::from_utf8_lossy(&forged.stderr).into_owned();
    assert!(!forged.status.success() && error.contains("Compare the key"), "{error}");

    let port = account.port.to_string();
    let authority = account.authority.expect("ours").display().to_string();
    let add = [
        "account",
        "add",
        "main",
        "--server",
        "localhost",
        "--port",
        &port,
        "--user",
        "kim",
        "--address",
        USER,
        "--authority",
        &authority,
    ];
    let added = ok(&command(&home, &add, "secret\n"));
    assert!(added.contains("portcullis-mail fetch main") && !added.contains("secret"), "{added}");
    for entry in walk(&home) {
        let bytes = std::fs::read(&entry).expect("read");
        assert!(!bytes.windows(6).any(|window| window == b"secret"), "the password lies in {}", entry.display());
    }

    let fetched = command(&home, &["fetch", "main", "--resolver", &resolver], "");
    let lines = ok(&fetched);
    let expected = [
        "verified           42.50 EUR  Power & Light, account …0815, due 2026-12-15",
        "verified           99.95 CHF  Power & Light, due 2026-12-24",
        "unverified         66.00 EUR  power.example, account …0815, due 2026-12-15",
        "            it is not signed",
    ];
    assert_eq!(lines.lines().collect::<Vec<_>>(), expected);
    assert!(!lines.contains("noon") && !lines.contains("12.00"), "other mail is nobody's business");
    assert_eq!(String::from_utf8_lossy(&fetched.stderr), "4 new mails read, 3 new bills, 0 mails not looked at\n");
    assert_eq!(ok(&command(&home, &["fetch", "main", "--resolver", &resolver], "")), "", "nothing new");

    let page: Value =
        serde_json::from_str(&ok(&command(&home, &["bills", "main", "--limit", "2", "--json"], ""))).expect("JSON");
    let next = page["next"].as_str().expect("a cursor");
    assert_eq!((page["changes"].as_array().map(Vec::len), &page["more"]), (Some(2), &json!(true)));
    assert_eq!(page["changes"][0]["record"]["amount"], json!({"minor_units": 4250, "currency": "EUR"}));
    let rest = ok(&command(&home, &["bills", "main", "--after", next], ""));
    assert!(rest.starts_with("unverified") && rest.lines().count() == 2, "{rest}");
    let gone = command(&home, &["bills", "other"], "");
    assert!(String::from_utf8_lossy(&gone.stderr).contains("there is no account `other`"));
}

/// The key of the folder goes to where a command finds it, and the accounts stay readable.
#[cfg(unix)]
#[test]
fn a_command_may_have_the_key_of_the_folder() {
    let outside = tempfile::tempdir().expect("a folder");
    let home = outside.path().join("home");
    let ring = outside.path().join("ring");
    let add = ["account", "add", "main", "--server", "imap.example", "--user", "kim", "--address", USER];
    ok(&command(&home, &add, "secret\n"));
    std::fs::write(&ring, ok(&command(&home, &["key"], ""))).expect("kept");
    let find = format!("cat '{}'", ring.display());
    let with_key = |arguments: &[&str]| command(&home, &[&["--key-command", find.as_str()], arguments].concat(), "");
    // Not before something else has it.
    let alone = command(&home, &["key", "--forget"], "");
    assert!(!alone.status.success() && home.join("key").exists(), "{alone:?}");
    assert_eq!(ok(&with_key(&["key", "--forget"])), "the key is no longer in the folder\n");
    assert!(!home.join("key").exists());
    assert_eq!(ok(&with_key(&["account", "list"])), format!("main\timap\timap.example\t{USER}\n"));
    let lost = command(&home, &["account", "list"], "");
    let error = String::from_utf8_lossy(&lost.stderr).into_owned();
    assert!(!lost.status.success() && error.contains("PORTCULLIS_MAIL_KEY_COMMAND"), "{error}");
    assert!(!home.join("key").exists(), "no new key is made");
}

/// A biller whose words nobody else uses, and who writes no currency: read by a template in the accounts' folder alone.
#[test]
fn a_template_beside_the_accounts_makes_its_biller_readable() {
    let own = "Your invoice\nShare before tax 35.29\nYour share 42.50\nCollected on 15 December 2026";
    let (mails, names) = sign(&[
        json!({"raw": mail("power.example", USER, "Invoice", own), "domain": "power.example", "selector": "k1"}),
        json!({"raw": mail("water.example", USER, "Invoice", own), "domain": "water.example", "selector": "k1"}),
    ]);
    let dovecot = Dovecot::start(mails.into_iter().map(|mail| (mail, "")));
    let account = dovecot.account(Protocol::Imap, Encryption::Tls);
    let (port, authority) = (account.port.to_string(), account.authority.expect("ours").display().to_string());
    let resolver = format!("127.0.0.1:{}", name_server(names));
    let outside = tempfile::tempdir().expect("a folder");
    let at = |name: &str| outside.path().join(name).display().to_string();
    let home = outside.path().join("home");
    let biller = |id: &str| format!("[[billers]]\nid = \"{id}\"\nname = \"{id}\"\ndomains = [\"{id}.example\"]\n");
    std::fs::write(at("billers.toml"), biller("power") + &biller("water")).expect("written");
    let public = ok(&command(&home, &["registry", "key", &at("key")], ""));
    let registry = ok(&command(&home, &["registry", "sign", &at("billers.toml"), "--key", &at("key")], ""));
    std::fs::write(at("billers.jws"), &registry).expect("written");
    ok(&command(&home, &["registry", "use", &at("billers.jws"), "--key", public.trim()], ""));
    let fetch = |name: &str| {
        let add = ["account", "add", name, "--server", "localhost", "--port", &port, "--user", "kim"];
        let add = [&add[..], &["--address", USER, "--authority", &authority]].concat();
        ok(&command(&home, &add, "secret\n"));
        command(&home, &["fetch", name, "--resolver", &resolver], "")
    };
    assert_eq!(ok(&fetch("before")), "", "nobody says that this is a bill's total");

    let templates = home.join("templates");
    assert!(ok(&command(&home, &["lint"], "")).contains(&templates.display().to_string()), "where they belong");
    std::fs::create_dir(&templates).expect("a folder");
    let good = "id = \"power\"\ndomains = [\"power.example\"]\nlanguage = \"en\"\ncurrency = \"EUR\"\n\
                total = [\"your share\"]\npart = [\"share before tax\"]\ndue = [\"collected on\"]\n";
    std::fs::write(templates.join("power.toml"), good.replace("your share", "Your share")).expect("written");
    let fault = "the label `Your share` in `total` must be in lower case";
    for said in [command(&home, &["lint"], ""), fetch("faulty")] {
        let error = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(!said.status.success() && error.contains(fault), "{error}");
    }
    std::fs::write(templates.join("power.toml"), good).expect("written");
    assert_eq!(ok(&command(&home, &["lint"], "")), "1 template, nothing wrong\n");
    // The other biller's mail says the same, and is nobody's template.
    assert_eq!(ok(&fetch("after")), "verified           42.50 EUR  power, due 2026-12-15\n");
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("folder").map(|entry| entry.expect("entry").path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
