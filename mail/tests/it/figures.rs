//! The figures of `docs/bill-mail.md`: `cargo xtask bench --only mail` writes them there.

use crate::corpus::{Group, count as count_generated};
use crate::dovecot::Dovecot;
use crate::held_out::{MEASURED, Tally};
use crate::invoices::{agreement, documents_read};
use crate::ordinary;
use crate::rules::agreement as rule_agreement;
use crate::signer::{names, python_with};
use crate::stage::{fetcher, registry};
use crate::strangers::count as count_strangers;
use portcullis_mail::{Account, Encryption, Fetcher, Protocol, SealedFolder, Summary, connect, fetch};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const BEGIN: &str = "<!-- figures: written by `cargo xtask bench --only mail` -->\n";
const END: &str = "<!-- end of figures -->\n";
/// What a mailbox of some years holds.
const MAILS: usize = 38_000;
/// One mail in so many is a bill.
const BILLS: usize = 20;

/// Mails of 4 KB, some of them bills.
fn mailbox() -> impl Iterator<Item = (Vec<u8>, &'static str)> {
    (0..MAILS).map(|at| {
        let body = if at % BILLS == 0 {
            format!("Your invoice\r\nAmount due: EUR {at}.50\r\nDue date: 15 December 2026\r\n")
        } else {
            format!("Hello, this is mail {at}.\r\n")
        };
        let filler = "We hope that you are well, and send you our news of this week.\r\n".repeat(60);
        let head = format!(
            "From: a@b.example\r\nTo: kim@user.example\r\nSubject: News {at}\r\nMessage-ID: <{at}@b.example>\r\n\
             Date: Sun, 29 Nov 2026 07:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        );
        (format!("{head}{body}\r\n{filler}").into_bytes(), "")
    })
}

/// A first run of the command over a mailbox: seconds, and KiB of memory at the most.
fn first_run(dovecot: &Dovecot, home: &Path) -> (f64, u64) {
    let account = dovecot.account(Protocol::Imap, Encryption::Tls);
    let command = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis-mail"));
        command.arg("--home").arg(home).args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let (port, authority) = (account.port.to_string(), account.authority.expect("ours").display().to_string());
    let add = ["account", "add", "main", "--server", "localhost", "--port", &port, "--user", "kim"];
    let add = [&add[..], &["--address", "kim@user.example", "--authority", &authority]].concat();
    let mut adding = command(&add).stdin(Stdio::piped()).spawn().expect("starts");
    std::io::Write::write_all(&mut adding.stdin.take().expect("piped"), b"secret\n").expect("written");
    assert!(adding.wait().expect("ends").success());
    let begun = Instant::now();
    // Nobody answers there, and nothing is asked: these bills are not signed.
    let mut fetching = command(&["fetch", "main", "--resolver", "127.0.0.1:9"]).spawn().expect("starts");
    let status = PathBuf::from(format!("/proc/{}/status", fetching.id()));
    let mut peak = 0;
    loop {
        if let Some(ended) = fetching.try_wait().expect("ours") {
            assert!(ended.success(), "a run");
            return (begun.elapsed().as_secs_f64(), peak);
        }
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        peak = peak.max(line.trim().trim_end_matches(" kB").parse().unwrap_or(0));
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A second run over it.
async fn second_run(dovecot: &Dovecot, home: &Path) -> Summary {
    let folder = SealedFolder::open(home).expect("open");
    let account = Account { name: "main".parse().expect("name"), ..dovecot.account(Protocol::Imap, Encryption::Tls) };
    let mut source = connect(&account).await.expect("connects");
    let fetcher = Fetcher { account: Arc::new(account), ..fetcher(names(&serde_json::json!({})), registry(&[])) };
    fetch(&fetcher, &folder, &mut *source).await.expect("a run")
}

#[tokio::test]
#[ignore = "slow: cargo xtask test --all"]
async fn the_figures_of_the_page() {
    let mut page =
        String::from("| bills | verified, with the right amount | verified, and wrong |\n| --- | --- | --- |\n");
    let generated = count_generated().await;
    for (group, name) in [
        (Group::Tuned, "made for the test, in layouts that the words were chosen for"),
        (Group::HeldOut, "made for the test, in layouts that were set aside"),
    ] {
        let [all, right] = generated[group as usize];
        page += &format!("| {name} | {right} of {all} | 0 |\n");
    }
    for ((source, readable), count) in count_strangers().await {
        let readable = if readable { "" } else { "; of these a person could not tell the total" };
        page += &format!("| {}{readable} | {} of {} | {} |\n", source.name(), count.right, count.all, count.wrong);
    }
    // Only what was measured before: each look at what is read of them makes them less of a secret.
    for (name, measured) in [("ordinary mail, held out", ordinary::MEASURED), ("held out", MEASURED)] {
        let Tally { bills, right, wrong, others, taken } = measured;
        page += &format!("| {name}, nobody looked at it | {right} of {bills} | {wrong} |\n");
        page += &format!("| {name}, no bills | none of {others} can be right | {taken} |\n");
    }
    page += "\n| published invoices | read as another reader reads them |\n| --- | --- |\n";
    for (syntax, (agreed, all)) in agreement().await {
        if syntax != "other" {
            page += &format!("| {} | {agreed} of {all} |\n", syntax.to_uppercase());
        }
    }
    let (read, all) = documents_read().await;
    page += &format!("| PDF, Factur-X among them | {read} of {all}, none wrong |\n");
    let (verdicts, agreed, syntax) = rule_agreement();
    page += &format!(
        "\n| rules of EN 16931 | verdicts of the committee's tests that are ours |\n| --- | --- |\n\
         | all but those of the syntax | {agreed} of {verdicts} |\n| of the syntax of UBL alone, not applied | {syntax} |\n"
    );

    let dovecot = Dovecot::start(mailbox());
    let home = tempfile::tempdir().expect("a folder");
    let flags = dovecot.flags();
    let (seconds, kib) = first_run(&dovecot, &home.path().join("mail"));
    let again = second_run(&dovecot, &home.path().join("mail")).await;
    assert!(again.read == 0 && again.received <= 64 * 1024, "{again:?}");
    assert!(dovecot.flags() == flags, "nothing is marked");
    let account = dovecot.account(Protocol::Imap, Encryption::Tls);
    let authority = account.authority.expect("ours");
    let port = account.port.to_string();
    let script = python_with("first_run.py", &[Path::new(&port), &authority], "");
    assert_eq!((script["mails"].as_u64(), script["bills"].as_u64()), (Some(38_000), Some(1_900)), "{script}");
    let (theirs, their_kib) = (script["seconds"].as_f64().expect("seconds"), script["kib"].as_u64().expect("KiB"));
    page += &format!(
        "\n| first run over 38,000 mails of 4 KB, IMAP with TLS | mails a second | memory at the most |\n| --- | --- | --- |\n\
         | `portcullis-mail` | {:.0} | {} MiB |\n| a script on Python's standard library that checks no signature | {:.0} | {} MiB |\n",
        MAILS as f64 / seconds,
        kib / 1024,
        MAILS as f64 / theirs,
        their_kib / 1024,
    );
    page += &format!(
        "\n| the same mailbox, unchanged, read again | |\n| --- | --- |\n| mails transferred | {} |\n\
         | bytes received | {} |\n| flags changed | 0 |\n",
        again.read, again.received
    );
    println!("{page}");
    if std::env::var_os("PORTCULLIS_UPDATE").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/bill-mail.md");
        let text = fs::read_to_string(&path).expect("the page");
        let (before, rest) = text.split_once(BEGIN).expect("a place for figures");
        let (_, after) = rest.split_once(END).expect("its end");
        fs::write(&path, format!("{before}{BEGIN}{page}{END}{after}")).expect("written");
    }
}
