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

/// What a command says that refuses.
fn refused(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{}{said}", String::from_utf8_lossy(&output.stdout));
    said
}

#[test]
fn an_account_that_cannot_work_is_refused_before_its_password_is_asked_for() {
    let outside = tempfile::tempdir().expect("a folder");
    let home = outside.path().join("home");
    let at = |name: &str| outside.path().join(name).display().to_string();
    std::fs::write(at("text.pem"), "no certificate\n").expect("written");
    std::fs::write(at("half.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n").expect("written");
    std::fs::write(at("none.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").expect("written");
    let (text, half, none) = (at("text.pem"), at("half.pem"), at("none.pem"));
    let (absent, folder) = (at("absent.pem"), at(""));
    let jmap = "https://jmap.example/session";
    let add = |more: &[&str]| {
        let mut words = vec!["account", "add", "main", "--address", USER];
        for (option, usual) in [("--server", "imap.example"), ("--user", "kim")] {
            if !more.contains(&option) {
                words.extend([option, usual]);
            }
        }
        command(&home, &[&words, more].concat(), "")
    };
    for (arguments, expected) in [
        (
            &["--server", "127.0.0.1:1"][..],
            "`127.0.0.1:1` has a port in it. Write the host name alone, and the port as --port",
        ),
        (&["--server", "[::1]:993"], "has a port in it"),
        (&["--server", "imap example"], "is not a server"),
        (&["--server", ""], "is not a server"),
        (&["--port", "0"], "no server has the port 0"),
        (&["--port", "imaps"], "write a number from 1 to 65535"),
        (&["--port", "65536"], "write a number from 1 to 65535"),
        (&["--user", ""], "the user is empty"),
        (&["--mailbox", ""], "the mailbox's name is empty"),
        (&["--forwarder", "nobody"], "`nobody` is not the domain of a forwarder"),
        (&["--authority", &absent], "No such file"),
        (&["--authority", &folder], "Is a directory"),
        (&["--authority", &text], "there is none in it. Name a file in PEM form"),
        (&["--authority", &half], "it is damaged. Name a file in PEM form"),
        (&["--authority", &none], "what it calls a certificate is none"),
        (&["--protocol", "jmap", "--server", jmap, "--port", "8443"], "leave --port out"),
        (&["--protocol", "jmap", "--server", jmap, "--starttls"], "leave --starttls out"),
        (&["--protocol", "pop3", "--mailbox", "Bills"], "leave --mailbox out"),
        (&["--protocol", "jmap", "--server", "jmap.example:8443"], "or the https address of the JMAP session"),
        // The control: nothing is wrong, so the password is asked for, and there is none.
        (&["--server", "[::1]", "--port", "1993", "--forwarder", "Forward.example"], "the password is empty"),
        (&["--protocol", "jmap", "--server", jmap], "the password is empty"),
    ] {
        let said = refused(&add(arguments));
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    assert_eq!(ok(&command(&home, &["account", "list"], "")), "");
}

#[test]
fn a_mailbox_is_replaced_by_that_word_and_leaves_no_lock_behind() {
    let outside = tempfile::tempdir().expect("a folder");
    let home = outside.path().join("home");
    let add = |server: &str| {
        let add = ["account", "add", "main", "--server", server, "--user", "kim", "--address", USER];
        ok(&command(&home, &add, "secret\n"))
    };
    let none = command(&home, &["account", "list"], "");
    assert_eq!(ok(&none), "");
    let said = String::from_utf8_lossy(&none.stderr).into_owned();
    assert!(said.contains("No mailboxes") && said.contains("portcullis-mail account add"), "{said}");
    assert_eq!(add("one.example"), "added main. Next: portcullis-mail fetch main\n");
    assert_eq!(add("two.example"), "replaced the settings of main. Next: portcullis-mail fetch main\n");
    assert_eq!(ok(&command(&home, &["account", "list"], "")), format!("main\timap\ttwo.example\t{USER}\n"));

    for arguments in [&["account", "remove", "nosuch"][..], &["fetch", "nosuch"]] {
        assert!(refused(&command(&home, arguments, "")).contains("there is no account `nosuch`"), "{arguments:?}");
    }
    // One that cannot be read can be forgotten as well.
    std::fs::write(home.join("accounts").join("main"), "damaged").expect("written");
    assert_eq!(ok(&command(&home, &["account", "remove", "main"], "")), "forgot main\n");
    #[cfg(unix)]
    {
        let left = walk(&home);
        assert_eq!(left, [home.join("key")], "{left:?}");
    }
}

#[test]
fn a_registry_is_signed_by_a_key_that_was_made_for_it() {
    let outside = tempfile::tempdir().expect("a folder");
    let home = outside.path().join("home");
    let at = |name: &str| outside.path().join(name).display().to_string();
    std::fs::write(at("billers.toml"), "billers = []\n").expect("written");
    let sign = |key: &str| command(&home, &["registry", "sign", &at("billers.toml"), "--key", &at(key)], "");
    let public = ok(&command(&home, &["registry", "key", &at("key")], ""));
    let again = command(&home, &["registry", "key", &at("key")], "");
    assert_eq!(ok(&again), public, "its public half, as at first");
    assert!(String::from_utf8_lossy(&again.stderr).contains("was there already, and is kept"));
    ok(&sign("key"));

    // Any 32 bytes would do as a key, such as a store's `master.key`.
    let write = |name: &str, text: &str| {
        std::fs::write(at(name), text).expect("written");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(at(name), std::fs::Permissions::from_mode(0o600)).expect("a mode");
        }
    };
    write("master.key", &format!("{}\n", "A".repeat(43)));
    let key = std::fs::read_to_string(at("key")).expect("read");
    write("halves", &key.replace(public.trim(), &"A".repeat(43)));
    for other in ["master.key", "halves"] {
        let expected = "is not a key to sign registries with. Name the file that `portcullis-mail registry key` wrote";
        for said in [sign(other), command(&home, &["registry", "key", &at(other)], "")] {
            let said = refused(&said);
            assert!(said.contains(expected), "{other}: {said}");
            // As earlier versions wrote keys.
            assert_eq!(said.contains("make a new key in another one"), other == "master.key", "{said}");
        }
    }
    assert!(refused(&sign("absent")).contains("portcullis-mail registry key FILE"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(at("key"), std::fs::Permissions::from_mode(0o644)).expect("a mode");
        assert!(refused(&sign("key")).contains("chmod 600"));
    }

    std::fs::write(at("billers.jws"), "x").expect("written");
    for key in ["abc", "", &"A".repeat(43)] {
        let said = refused(&command(&home, &["registry", "use", &at("billers.jws"), "--key", key], ""));
        let expected =
            "error: `--key` takes a public key, and this is none. Write what `portcullis-mail registry key FILE`";
        assert!(said.starts_with(expected) && !said.contains("slice"), "{said}");
        assert!(key.is_empty() || !said.contains(key), "it may be a secret: {said}");
    }
}

#[test]
fn an_address_of_a_resolver_needs_no_port_and_a_limit_is_a_number() {
    let outside = tempfile::tempdir().expect("a folder");
    let fetch = |resolver: &str| command(outside.path(), &["fetch", "nosuch", "--resolver", resolver], "");
    for good in ["127.0.0.1", "127.0.0.1:5353", "::1", "[::1]", "[::1]:53"] {
        assert!(refused(&fetch(good)).contains("there is no account"), "{good}");
    }
    for bad in ["localhost", "127.0.0.1:0", "127.0.0.1:dns", ""] {
        let said = refused(&fetch(bad));
        assert!(said.contains("write its IP address, with the port if that is not 53"), "{bad}: {said}");
    }
    for bad in ["0", "-1", "many"] {
        let said = refused(&command(outside.path(), &["bills", "nosuch", &format!("--limit={bad}")], ""));
        assert!(said.contains("write a whole number from 1 on"), "{bad}: {said}");
    }
}

#[test]
fn a_folder_that_is_named_for_its_templates_has_some() {
    let outside = tempfile::tempdir().expect("a folder");
    let home = outside.path().join("home");
    let empty = outside.path().join("empty");
    std::fs::create_dir(&empty).expect("a folder");
    let lint = |folder: &Path| refused(&command(&home, &["lint", &folder.display().to_string()], ""));
    assert!(lint(Path::new("/no/such/folder")).contains("cannot read `/no/such/folder`"));
    assert!(lint(&empty).contains("there is no template in"));
    let add = ["account", "add", "main", "--server", "imap.example", "--user", "kim", "--address", USER];
    ok(&command(&home, &add, "secret\n"));
    let fetched = refused(&command(&home, &["fetch", "main", "--templates", &empty.display().to_string()], ""));
    assert!(fetched.contains("there is no template in"), "{fetched}");
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
