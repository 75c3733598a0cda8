//! Mail whose signature holds for one program and which another reads differently: never verified. The control is the
//! mail as it was signed, or as honest servers change it.

use crate::signer::{Names, sign};
use crate::stage::{BILL, USER, fetcher, mail, registry, run};
use portcullis_mail::{BillRecord, Doubt, Level};
use serde_json::json;

const POWER: &str = "power.example";

fn signed(raw: &str) -> (String, Names) {
    let (mut mails, names) = sign(&[json!({"raw": raw, "domain": POWER, "selector": "k1"})]);
    (latin1(&mails.remove(0)), names)
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(c as u32).expect("a byte")).collect()
}

async fn judged(names: Names, mails: &[String]) -> Vec<BillRecord> {
    let mails = mails.iter().map(|mail| bytes(mail)).collect();
    run(&fetcher(names, registry(&[POWER])), mails).await.0
}

/// The mail with `from` replaced once by `to`.
fn with(mail: &str, from: &str, to: &str) -> String {
    assert!(mail.contains(from), "{from:?}");
    mail.replacen(from, to, 1)
}

fn assert_not_verified(records: &[BillRecord], what: &str) {
    for record in records {
        assert_eq!(record.level, Level::Unverified, "{what:?}: {record:?}");
        assert!(record.doubts.contains(&Doubt::Form), "{what:?}: {record:?}");
    }
}

#[tokio::test]
async fn nothing_is_put_before_a_signed_body() {
    let (genuine, names) = signed(&mail(POWER, USER, "Invoice", BILL));
    let control = judged(names.clone(), std::slice::from_ref(&genuine)).await;
    assert_eq!(control[0].level, Level::Verified, "the control: {control:?}");
    let forged = "Your invoice\nCustomer number: 4711 0815\nAmount due: EUR 999.00";
    let folded: String = forged.lines().map(|line| format!(" {line}\r\n")).collect();
    for (inserted, what) in [
        (format!("\r\n:\r\n \r\n{folded}\r\n"), "a header without a name"),
        (format!("\r\n\x0c\n{}\n\r\n", forged.replace("Your", "X:")), "a form feed that is a line"),
        (format!("\r\n \r\n:\r\n{folded}\r\n"), "a blank continuation"),
        ("\r\ngarbage\r\n".into(), "a line without a colon in the place of the empty one"),
        (format!("\r\nX : y\r\n{}\r\n\r\n", "X\0: y"), "a zero in a name"),
        ("\r\n\rX: y\r\n\r\n".into(), "a lone CR before a name"),
    ] {
        let attack = with(&genuine, "\r\n\r\n", &inserted);
        assert_not_verified(&judged(names.clone(), &[attack]).await, what);
    }
}

#[tokio::test]
async fn a_signed_recipient_is_not_split_into_the_user_and_a_rest() {
    let to = |to: &str| mail(POWER, USER, "Invoice", BILL).replace("<kim@user.example>", to);
    for (address, split) in [
        ("kim@user.example.evil.test", "kim@user.example\r\n \x0c.evil.test"),
        ("xkim@user.example", "x\r\n \x0ckim@user.example"),
        ("kim@user.example.evil.test", "kim@user.example\r.evil.test"),
    ] {
        let (genuine, names) = signed(&to(address));
        let attack = with(&genuine, &format!("To: {address}"), &format!("To: {split}"));
        let records = judged(names, &[genuine, attack]).await;
        assert!(records[0].doubts.contains(&Doubt::NotToUser), "somebody else's: {:?}", records[0]);
        assert_not_verified(&records[1..], split);
    }
    let (genuine, names) = signed(&to("Kim <kim@user.example>"));
    let folded = with(&genuine, "To: Kim <kim", "To: Kim\r\n\t <kim");
    assert_eq!(judged(names, &[folded]).await[0].level, Level::Verified, "the control");
}

#[tokio::test]
async fn one_bill_stays_one_whatever_is_put_into_its_gaps() {
    let (genuine, names) = signed(&mail(POWER, USER, "Your invoice", BILL));
    let again = [
        with(&genuine, "Subject: Your invoice", "Subject: Your\x0c invoice"),
        with(&genuine, "Subject: Your invoice", "Subject: Your inv\x0coice"),
        with(&genuine, "Customer number", "Customer\r number"),
    ];
    let mails: Vec<String> = std::iter::once(genuine).chain(again).collect();
    let records = judged(names, &mails).await;
    assert_eq!(records[0].level, Level::Verified, "the control");
    assert_not_verified(&records[1..], "gaps");
}

#[tokio::test]
async fn a_number_is_not_split_by_what_is_not_hashed() {
    let bill = BILL.replace("42.50", "142.50");
    let (genuine, names) = signed(&mail(POWER, USER, "Invoice", &bill));
    let attack = with(&genuine, "142.50", "1\r42.50");
    let bare = with(&genuine, "Amount due", "\nAmount due").replace("\r\n\nAmount", "\nAmount");
    assert_not_verified(&judged(names, &[attack, bare]).await, "a lone CR, a lone LF");

    let quoted = mail(POWER, USER, "Invoice", &bill.replace("142.50", "1=\n42.50"))
        .replace("MIME-Version", "Content-Transfer-Encoding: quoted-printable\r\nMIME-Version");
    let (genuine, names) = signed(&quoted);
    let attack = with(&genuine, "1=\r\n", "1= \r\n");
    let records = judged(names, &[genuine, attack]).await;
    assert_eq!(
        (records[0].level, records[0].amount.map(|a| a.to_string())),
        (Level::Verified, Some("142.50 EUR".into()))
    );
    assert_not_verified(&records[1..], "a soft line break with a space");
}

/// A signature that allows other white space hides a blank behind an empty line.
#[tokio::test]
async fn no_paragraph_of_a_part_becomes_its_header() {
    let parts = "--m\nContent-Type: text/plain\n\nAll of this was paid already. Nothing is due.\n\nYour invoice\nAmount \
                 due: EUR 42.50\nDue date: 15 December 2026\n--m--";
    let raw = mail(POWER, USER, "Invoice", parts).replace("text/plain; charset=utf-8", "multipart/mixed; boundary=m");
    let (genuine, names) = signed(&raw);
    let attack = with(&genuine, "text/plain\r\n\r\n", "text/plain\r\n \r\n");
    for record in judged(names, &[attack]).await {
        assert_eq!(record.level, Level::Unverified, "{record:?}");
    }
}

#[tokio::test]
async fn mail_as_honest_servers_hand_it_out_is_verified() {
    let long = format!("{BILL}\n{}\n\x0c\nThank you, K\u{e4}the\t \n", "x".repeat(5_000));
    let raw = mail(POWER, USER, "Invoice f\u{fc}r Kim", &long)
        .replace("Date:", "X-Empty:\r\nX-Folded:\r\n\tone\r\n  two\r\nReceived: from a (b [::1])\r\n\tby c\r\nDate:");
    let (genuine, names) = signed(&raw);
    let stored = judged(names.clone(), &[genuine.replace("\r\n", "\n")]).await;
    let records = judged(names, &[genuine]).await;
    assert_eq!((records[0].level, stored[0].level), (Level::Verified, Level::Verified), "{records:?} {stored:?}");
}
