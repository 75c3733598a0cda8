//! What it takes to be verified, and each way to fail it. Every attack stands beside the control that is verified.

use crate::signer::{Names, sign};
use crate::stage::{BILL, Shelf, USER, fetcher, mail, records, registry, run};
use portcullis_mail::limits::MAX_TRIES;
use portcullis_mail::{BillRecord, Dns, DnsFailure, Doubt, Fetcher, Level, Refusal, SealedFolder, TxtAnswer, fetch};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const POWER: &str = "power.example";

fn request(raw: &str) -> Value {
    json!({"raw": raw, "domain": POWER, "selector": "k1"})
}

async fn judged(requests: &[Value], change: impl FnOnce(&mut Names)) -> Vec<BillRecord> {
    let (mails, mut names) = sign(requests);
    change(&mut names);
    let count = mails.len();
    let (records, _) = run(&fetcher(names, registry(&[POWER])), mails).await;
    assert_eq!(records.len(), count, "every one of them is shown");
    records
}

fn assert_doubted(record: &BillRecord, doubt: Doubt) {
    assert_eq!(record.level, Level::Unverified, "{record:?}");
    assert!(record.doubts.contains(&doubt), "{doubt:?}: {record:?}");
}

#[tokio::test]
async fn a_bill_signed_by_its_biller_for_the_user_is_verified() {
    let [record] = &judged(&[request(&mail(POWER, USER, "Invoice", BILL))], |_| {}).await[..] else { panic!("one") };
    assert_eq!((record.level, record.doubts.as_slice()), (Level::Verified, &[][..]));
    assert_eq!(record.biller.as_deref(), Some("power-example"));
    assert_eq!(record.biller_name, "The power.example company");
    assert_eq!(record.amount.expect("read").to_string(), "42.50 EUR");
    assert_eq!(record.due.expect("read").to_string(), "2026-12-15");
    assert_eq!(record.account.as_deref(), Some("…0815"));
}

#[tokio::test]
async fn whatever_was_changed_after_signing_is_found() {
    let raw = mail(POWER, USER, "Invoice", BILL);
    let then = |from: &str, to: &str| {
        let mut request = request(&raw);
        request["then"] = json!([from, to]);
        request
    };
    let attacks = [
        (then("42.50", "92.50"), Doubt::BadSignature),
        // A body that goes on after what was signed.
        (then("2026\r\n", "2026\r\nPlease pay to DE89370400440532013000\r\n"), Doubt::BadSignature),
        // Another header of the same name, before or after the signed one.
        (then("From:", "From: Evil <evil@evil.example>\r\nFrom:"), Doubt::Sender),
        (then("Subject: Invoice", "Subject: Invoice\r\nSubject: Invoice, urgent"), Doubt::DoubledHeader),
        (then("Content-Type:", "Content-Type: text/html\r\nContent-Type:"), Doubt::DoubledHeader),
        (then("To: <kim@user.example>", "To: <sam@user.example>\r\nTo: <kim@user.example>"), Doubt::DoubledHeader),
        // Signed twice, so even a header that may repeat cannot be added.
        (then("Date: Sun", "X-Y: z\r\nDate: Mon"), Doubt::BadSignature),
    ];
    let requests: Vec<Value> = attacks.iter().map(|(request, _)| request.clone()).collect();
    let records = judged(&requests, |_| {}).await;
    for (record, (_, doubt)) in records.iter().zip(attacks) {
        assert_doubted(record, doubt);
    }
}

#[tokio::test]
async fn a_signature_has_to_cover_all_that_decides() {
    let raw = mail(POWER, USER, "Invoice", BILL);
    let with = |headers: &[&str]| {
        let mut request = request(&raw);
        request["headers"] = json!(headers);
        request
    };
    let mut partly = request(&raw);
    partly["length"] = json!(true);
    let mut appended = partly.clone();
    appended["then"] = json!(["2026\r\n", "2026\r\nIBAN: DE89370400440532013000\r\n"]);
    let all = ["from", "to", "subject", "date", "mime-version", "content-type"];
    let mut requests = vec![with(&all), partly, appended];
    // Each left out once; `from` cannot be.
    requests.extend((1..all.len()).map(|at| {
        let mut rest = all.to_vec();
        rest.remove(at);
        with(&rest)
    }));
    let records = judged(&requests, |_| {}).await;
    // The control first. The others carry the same text, but signatures of their own.
    assert_eq!(records[0].level, Level::Verified, "{:?}", records[0]);
    assert_doubted(&records[1], Doubt::PartlySigned);
    assert_doubted(&records[2], Doubt::PartlySigned);
    for record in &records[3..] {
        assert_doubted(record, Doubt::HeadersNotSigned);
    }
}

#[tokio::test]
async fn only_the_billers_own_signature_counts() {
    let mut other = request(&mail(POWER, USER, "Invoice", BILL));
    other["domain"] = json!("evil.example");
    // Looks alike: a Cyrillic letter, which is another domain in its ASCII form, signed by its owner.
    let twin = "xn--pwer-55d.example";
    let mut homograph = request(&mail(twin, USER, "Invoice", BILL).replace("Billing <", "The power.example company <"));
    homograph["domain"] = json!(twin);
    let unsigned = json!({"raw": mail(POWER, USER, "Invoice", BILL)});
    let below = mail("mail.power.example", USER, "Invoice", BILL);
    let two = mail(POWER, USER, "Invoice", BILL).replace("From: Billing <", "From: a@power.example, Billing <");
    let records = judged(&[request(&below), other, homograph, unsigned, request(&two)], |_| {}).await;
    assert_eq!(records[0].level, Level::Verified, "the control: a subdomain of the biller's");
    assert_doubted(&records[1], Doubt::NotAligned);
    assert_eq!(records[1].biller, None);
    assert_doubted(&records[2], Doubt::UnknownBiller);
    assert_eq!(records[2].biller_name, twin, "never what the mail calls itself");
    assert_doubted(&records[3], Doubt::NotSigned);
    assert_doubted(&records[4], Doubt::Sender);
}

#[tokio::test]
async fn a_bill_of_somebody_else_is_not_the_users() {
    let theirs = request(&mail(POWER, "sam@other.example", "Invoice", BILL));
    let bcc = mail(POWER, "undisclosed@power.example", "Invoice", BILL)
        .replace("Message-ID:", "Bcc: kim@user.example\r\nMessage-ID:");
    let listed = mail(POWER, "sam@other.example>, <KIM@USER.example", "Invoice", BILL);
    let records = judged(&[theirs, request(&bcc), request(&listed)], |_| {}).await;
    assert_doubted(&records[0], Doubt::NotToUser);
    assert_doubted(&records[1], Doubt::NotToUser);
    assert_eq!(records[2].level, Level::Verified, "the control: {:?}", records[2]);
}

#[tokio::test]
async fn the_same_signed_mail_counts_once() {
    let (mails, names) = sign(&[request(&mail(POWER, USER, "Invoice", BILL))]);
    let mut again = b"Received: from elsewhere\r\n".to_vec();
    again.extend_from_slice(&mails[0]);
    let (records, _) = run(&fetcher(names, registry(&[POWER])), vec![mails[0].clone(), mails[0].clone(), again]).await;
    assert_eq!(records.len(), 2, "byte for byte the same is the same bill");
    assert_eq!(records[0].level, Level::Verified);
    assert_doubted(&records[1], Doubt::Replayed);
}

#[tokio::test]
async fn a_key_has_to_be_there_and_vouched_for() {
    let requests = [request(&mail(POWER, USER, "Invoice", BILL))];
    let name = format!("k1._domainkey.{POWER}");
    let withdrawn = judged(&requests, |names| {
        names.records.insert(name.clone(), "v=DKIM1; p=".into());
    });
    assert_doubted(&withdrawn.await[0], Doubt::NoKey);
    let absent = judged(&requests, |names| names.records.clear());
    assert_doubted(&absent.await[0], Doubt::NoKey);
    let untrusted = judged(&requests, |names| names.trusted = false).await;
    assert_eq!((untrusted[0].level, untrusted[0].doubts.as_slice()), (Level::Vouched, &[Doubt::KeyNotTrusted][..]));
}

/// A bill whose key cannot be looked up is looked at again by later runs, and judged without it at last.
#[tokio::test]
async fn a_bill_waits_for_its_key() {
    let (mails, names) = sign(&[request(&mail(POWER, USER, "Invoice", BILL))]);
    let mut down = names.clone();
    down.down = true;
    let home = tempfile::tempdir().expect("a folder");
    let run = async |names: &Names, folder: &SealedFolder| {
        let fetcher = fetcher(names.clone(), registry(&[POWER]));
        let summary = fetch(&fetcher, folder, &mut Shelf(mails.clone())).await.expect("a run");
        (summary.postponed, summary.bills)
    };
    let folder = SealedFolder::open(home.path().join("a")).expect("open");
    assert_eq!(run(&down, &folder).await, (1, 0));
    assert!(records(&folder).is_empty());
    assert_eq!(run(&names, &folder).await, (0, 1));
    assert_eq!(records(&folder)[0].level, Level::Verified, "{:?}", records(&folder));

    let folder = SealedFolder::open(home.path().join("b")).expect("open");
    for _ in 1..MAX_TRIES {
        assert_eq!(run(&down, &folder).await, (1, 0));
    }
    assert_eq!(run(&down, &folder).await, (0, 1));
    assert_doubted(&records(&folder)[0], Doubt::KeyUnavailable);
}

#[tokio::test]
async fn an_unregistered_biller_is_vouched_for_by_its_domains_policy_only() {
    let shop = "shop.example";
    let mut from_shop = request(&mail(shop, USER, "Invoice", BILL));
    from_shop["domain"] = json!(shop);
    for (policy, level) in [
        (Some("v=DMARC1; p=reject"), Level::Vouched),
        (Some("v=DMARC1; p=quarantine"), Level::Vouched),
        (Some("v=DMARC1; p=none"), Level::Unverified),
        (None, Level::Unverified),
    ] {
        let records = judged(std::slice::from_ref(&from_shop), |names| {
            names.records.extend(policy.map(|policy| (format!("_dmarc.{shop}"), policy.to_owned())));
        });
        let records = records.await;
        assert_eq!(records[0].level, level, "{policy:?}: {:?}", records[0]);
        assert_eq!((records[0].biller.as_deref(), records[0].biller_name.as_str()), (None, shop));
    }
}

#[tokio::test]
async fn a_forwarder_vouches_only_if_the_user_trusts_it_and_it_saw_the_signature() {
    let raw = mail(POWER, USER, "Invoice", BILL);
    let sealed = |domain: &str, results: &str| {
        let mut request = request(&raw);
        // As a mailing list changes a subject: the biller's own signature breaks.
        request["then"] = json!(["Subject: Invoice", "Subject: [list] Invoice"]);
        request["seal"] = json!({"domain": domain, "selector": "s", "results": results});
        request
    };
    let pass = "dkim=pass header.d=power.example";
    let records = judged(
        &[
            sealed("forward.example", pass),
            sealed("evil.example", pass),
            sealed("forward.example", "dkim=fail header.d=power.example"),
            sealed("forward.example", "dkim=pass header.d=evil.example"),
        ],
        |_| {},
    )
    .await;
    assert_eq!(records[0].level, Level::Vouched, "{:?}", records[0]);
    assert!(records[0].doubts.contains(&Doubt::Forwarded));
    for record in &records[1..] {
        assert_doubted(record, Doubt::BadSignature);
        assert_eq!(record.biller, None);
    }
}

#[tokio::test]
async fn another_account_to_pay_to_is_shown_and_not_verified() {
    let with = |iban: &str, id: u8| {
        let raw = mail(POWER, USER, "Invoice", &format!("{BILL}\nIBAN: {iban}"));
        request(&raw.replace("<1@", &format!("<{id}@")).replace("07:00:00", &format!("07:00:0{id}")))
    };
    let (first, other) = ("DE89 3704 0044 0532 0130 00", "GB82 WEST 1234 5698 7654 32");
    let records = judged(&[with(first, 1), with(first, 2), with(other, 3)], |_| {}).await;
    assert_eq!((records[0].level, records[1].level), (Level::Verified, Level::Verified), "the control");
    assert_doubted(&records[2], Doubt::IbanChanged);

    // What the registry says counts from the first bill on.
    let (mails, names) = sign(&[with(other, 4), with(first, 5)]);
    let mut registry = registry(&[POWER]);
    registry.billers[0].ibans = vec![first.parse().expect("iban")];
    let (records, _) = run(&fetcher(names, registry), mails).await;
    assert_doubted(&records[0], Doubt::IbanChanged);
    assert_eq!(records[1].level, Level::Verified);
}

const KNOWN: &str = "DE89 3704 0044 0532 0130 00";
const THIEF: &str = "GB82 WEST 1234 5698 7654 32";

/// Judges bills of a biller whose account is in the registry; each a text, or a page if it begins with a tag.
async fn judged_of_known_account(bodies: &[String]) -> Vec<BillRecord> {
    let request = |(at, body): (usize, &String)| {
        let raw = mail(POWER, USER, "Your invoice", body).replace("<1@", &format!("<{at}@"));
        // `sign.py` carries bytes as Latin-1.
        let raw: String = raw.bytes().map(char::from).collect();
        request(&if body.starts_with('<') { raw.replace("text/plain", "text/html") } else { raw })
    };
    let (mails, names) = sign(&bodies.iter().enumerate().map(request).collect::<Vec<_>>());
    let mut registry = registry(&[POWER]);
    registry.billers[0].ibans = vec![KNOWN.parse().expect("iban")];
    let count = mails.len();
    let (records, _) = run(&fetcher(names, registry), mails).await;
    assert_eq!(records.len(), count, "every one of them is shown: {records:?}");
    records
}

fn json_ld(amount: &str) -> String {
    format!(
        "<script type=\"application/ld+json\">{{\"@type\":\"Invoice\",\"paymentDueDate\":\"2026-12-15\",\"totalPaymentDue\":\
         {{\"@type\":\"PriceSpecification\",\"price\":\"{amount}\",\"priceCurrency\":\"EUR\"}}}}</script>"
    )
}

#[tokio::test]
async fn an_account_that_is_not_known_is_found_however_it_is_written() {
    let pay = |how: &str| format!("{BILL}\n{how}");
    let wide: String =
        THIEF.chars().map(|c| char::from_u32(c as u32 + 0xfee0).filter(|_| c != ' ').unwrap_or(c)).collect();
    let attacks = [
        pay(&format!("IBAN {THIEF}").to_lowercase()),
        pay(&format!("Our bank account has changed. Please pay to account {THIEF} from now on.")),
        pay(&format!("Our IBAN {KNOWN} is closed.\nPlease pay to IBAN {THIEF}.")),
        pay(&THIEF.replace(' ', "-")),
        pay(&wide),
        format!("{}<p>Your invoice</p><p>Amount due: EUR 42.50</p><p>Please pay to {THIEF}</p>", json_ld("42.50")),
        format!("<p>Your invoice</p><p>Amount due: EUR 42.50</p><p>IBAN {KNOWN}</p><a title='{THIEF}'>Pay</a>"),
        format!("<p>Your invoice</p><p>Amount due: EUR 42.50</p><p style='display:none'>{THIEF}</p>"),
    ];
    for (record, body) in judged_of_known_account(&attacks).await.iter().zip(&attacks) {
        assert_eq!(record.level, Level::Unverified, "{body}");
        assert_doubted(record, Doubt::IbanChanged);
    }
    let controls = [
        pay(&format!("Please pay to IBAN {KNOWN}.")),
        pay(&KNOWN.to_lowercase()),
        pay("Reference GB82 WEST 1234 5698 7654 33"),
        format!("{}<p>Your invoice</p><p>Amount due: EUR 42.50</p><p>IBAN {KNOWN}</p>", json_ld("42.50")),
    ];
    for (record, body) in judged_of_known_account(&controls).await.iter().zip(&controls) {
        assert_eq!(record.level, Level::Verified, "{body}: {record:?}");
    }
}

#[tokio::test]
async fn a_form_for_programs_says_what_the_reader_is_told() {
    let page = |amount: &str, words: &str| format!("{}<p>Your invoice</p><p>{words}</p>", json_ld(amount));
    let attacks = [
        page("1.00", "Amount due: EUR 984.20"),
        page("1.00", "Please pay 984.20 euros"),
        page("1.00", "Amount due: EUR 984.20</p><p>Amount due: EUR 985.20"),
        page("984.20", "Amount due: EUR 984.20</p><p>Due date: 1 May 2027"),
    ];
    for (record, body) in judged_of_known_account(&attacks).await.iter().zip(&attacks) {
        let shown = (record.level, record.refusal, record.amount);
        assert_eq!(shown, (Level::Unverified, Some(Refusal::SeveralBills), None), "{body}");
    }
    let controls = [
        page("984.20", "Amount due: EUR 984.20"),
        page("984.20", "It is attached."),
        page("984.20", "Work EUR 900.00</p><p>All in all EUR 984.20</p><p>Due date: 15 December 2026"),
    ];
    for (record, body) in judged_of_known_account(&controls).await.iter().zip(&controls) {
        assert_eq!(record.level, Level::Verified, "{body}: {record:?}");
    }
}

#[tokio::test]
async fn what_some_programs_hide_does_not_say_something_else() {
    let page = |head: &str, hidden: &str| {
        format!(
            "<html><head>{head}</head><body><p>Your invoice</p>{hidden}<p>Please pay 984.20 euros</p></body></html>"
        )
    };
    let low = "Amount due: EUR 9.20";
    let attacks = [
        page("", &format!("<p style='display:none'>{low}</p>")),
        page("", &format!("<p style='DISPLAY :\tnone !important'>{low}</p>")),
        page("", &format!("<p style='display/**/:none'>{low}</p>")),
        page("", &format!("<p style='d\\69splay:none'>{low}</p>")),
        page("<style>.h{display:none}</style>", &format!("<p class=h>{low}</p>")),
        page("<style>@media all{.h{display:none}}</style>", &format!("<p class=h>{low}</p>")),
        page("", &format!("<p style='opacity:0'>{low}</p>")),
        page("", &format!("<p style='font-size:0'>{low}</p>")),
        page("", &format!("<p style='color:#fff'>{low}</p>")),
        page("", &format!("<p style='position:absolute;left:-9999px'>{low}</p>")),
        page("", &format!("<p hidden>{low}</p>")),
        page("", &format!("<template><p>{low}</p></template>")),
        page("", &format!("<noscript><p>{low}</p></noscript>")),
        page("", &format!("<textarea style='width:0'>{low}</textarea>")),
        page("", &format!("<div style='max-height:0;overflow:hidden'>{low}</div>")),
        "<style>.h:before{content:'98'}</style><p>Your invoice</p><p>Amount due: EUR <span class=h></span>9.20</p>"
            .into(),
    ];
    for (record, body) in judged_of_known_account(&attacks).await.iter().zip(&attacks) {
        let shown = (record.level, record.refusal, record.amount);
        assert_eq!(shown, (Level::Unverified, Some(Refusal::AmbiguousAmount), None), "{body}");
    }
    let controls = [
        page("", ""),
        // The line that mail programs show before a mail is opened.
        page("", "<p style='display:none'>Your invoice: 984.20 euros</p>"),
        page("<style>.m{display:none} a:before{content:'\\bb'}</style>", "<p class=m>Amount due: EUR 984.20</p>"),
        page("", "<p style='color:#fff;background:#00f'>Amount due: EUR 984.20</p>"),
    ];
    for (record, body) in judged_of_known_account(&controls).await.iter().zip(&controls) {
        assert_eq!(record.level, Level::Verified, "{body}: {record:?}");
        assert_eq!(record.amount.expect("read").to_string(), "984.20 EUR", "{body}");
    }
}

/// A mail that is signed twice, as billers do, is one mail with either of its signatures.
#[tokio::test]
async fn a_bill_that_is_signed_twice_is_verified_once() {
    let (mut mails, first) = sign(&[request(&mail(POWER, USER, "Invoice", BILL))]);
    let once = String::from_utf8(mails.remove(0)).expect("ASCII");
    let (mut mails, second) = sign(&[json!({"raw": once, "domain": POWER, "selector": "k2"})]);
    let both = String::from_utf8(mails.remove(0)).expect("ASCII");
    let names = Names { records: first.records.into_iter().chain(second.records).collect(), ..second };
    let other = both.strip_suffix(once.split_once("From: ").expect("a header").1).expect("the same mail");
    let (of_second, _) = other.split_at(other.rfind("DKIM-Signature").expect("the first signature"));
    let alone = format!("{of_second}From: {}", once.split_once("From: ").expect("a header").1);
    // White space that servers may change.
    let spaced = once.replace("Amount due: EUR", "Amount due:  EUR").replace("Subject: Invoice", "Subject:  Invoice");
    let mails = [both, once, alone, spaced].map(String::into_bytes).to_vec();
    let (records, _) = run(&fetcher(names, registry(&[POWER])), mails).await;
    assert_eq!((records.len(), records[0].level), (4, Level::Verified), "the control");
    for record in &records[1..] {
        assert_doubted(record, Doubt::Replayed);
    }
}

/// Who passes a mail on takes away what says how its body is read, or says of the whole that it is an attachment.
#[tokio::test]
async fn how_a_body_is_read_is_fixed_by_the_signature() {
    let few = |raw: &str| {
        let mut request = request(raw);
        request["headers"] = json!(["from", "to", "subject", "date"]);
        request
    };
    let quoted = mail(POWER, USER, "Invoice", &BILL.replace("42.50", "1=\n42.50"))
        .replace("MIME-Version", "Content-Transfer-Encoding: quoted-printable\r\nMIME-Version");
    let page = mail(POWER, USER, "Invoice", "<p>Your invoice</p><p hidden>Amount due: EUR 42.50</p>")
        .replace("text/plain", "text/html");
    let plain = mail(POWER, USER, "Invoice", BILL);
    let (mails, names) = sign(&[few(&quoted), few(&page), few(&plain), request(&page), request(&plain)]);
    let names_of_form = ["MIME-Version:", "Content-Type:", "Content-Transfer-Encoding:"];
    let without = |mail: &[u8]| {
        let mail = String::from_utf8(mail.to_vec()).expect("ASCII");
        let lines =
            mail.split_inclusive("\r\n").filter(|line| !names_of_form.iter().any(|name| line.starts_with(name)));
        lines.collect::<String>().into_bytes()
    };
    let attached = |mail: &[u8]| {
        let added = b"Content-Disposition: attachment; filename=\"x.html\"\r\n";
        [&added[..], mail].concat()
    };
    let alone = async |mail: &[u8]| run(&fetcher(names.clone(), registry(&[POWER])), vec![without(mail)]).await.0;
    for attack in &mails[..2] {
        for record in alone(attack).await {
            assert_doubted(&record, Doubt::HeadersNotSigned);
        }
    }
    let control = alone(&mails[2]).await;
    assert_eq!(control[0].level, Level::Verified, "read the same without them: {control:?}");

    let honest = run(&fetcher(names.clone(), registry(&[POWER])), mails[3..].to_vec()).await.0;
    let moved =
        run(&fetcher(names, registry(&[POWER])), mails[3..].iter().map(|mail| attached(mail)).collect()).await.0;
    let said = |records: &[BillRecord]| records.iter().map(|r| (r.level, r.amount, r.refusal)).collect::<Vec<_>>();
    assert_eq!(said(&honest), said(&moved), "nobody signs how the whole is to be shown");
    assert_eq!(honest.last().expect("a bill").level, Level::Verified, "the control");
}

/// Each signature counts by itself, and the biller's own before that of whoever sent it for him.
#[tokio::test]
async fn one_signature_does_not_stand_for_another() {
    let raw = mail(POWER, USER, "Invoice", BILL);
    let policy = |names: &mut Names| {
        names.records.insert(format!("_dmarc.{POWER}"), "v=DMARC1; p=reject".into());
    };
    let twice = |first: Value, second: &dyn Fn(&str) -> Value| {
        let (mut mails, of_first) = sign(&[first]);
        let once = String::from_utf8(mails.remove(0)).expect("ASCII");
        let (mails, of_second) = sign(&[second(&once)]);
        let mut names = Names { records: of_first.records.into_iter().chain(of_second.records).collect(), ..of_second };
        policy(&mut names);
        (mails, names)
    };
    let by = |domain: &str, raw: &str| json!({"raw": raw, "domain": domain, "selector": "k2"});
    // A service of the biller's that signs above it.
    let (mails, names) = twice(request(&raw), &|once| by("mail.esp.example", once));
    let (records, _) = run(&fetcher(names, registry(&[POWER])), mails).await;
    assert_eq!(records[0].level, Level::Verified, "{:?}", records[0]);

    // The biller signed sender and day alone; the rest is signed by somebody else.
    let mut few = request(&raw);
    few["headers"] = json!(["from", "date"]);
    let (mails, names) =
        twice(few, &|once| by("evil.example", &once.replace("Subject: Invoice", "Subject: Your invoice")));
    let (records, _) = run(&fetcher(names, registry(&[POWER])), mails).await;
    assert_eq!(records[0].level, Level::Unverified, "{:?}", records[0]);
    assert_eq!(records[0].biller, None);
}

#[tokio::test]
async fn a_forwarder_lifts_no_signature_that_says_too_little() {
    let raw = mail(POWER, USER, "Invoice", BILL);
    let seal = |request: &mut Value, results: &str| {
        request["seal"] = json!({"domain": "forward.example", "selector": "s", "results": results});
    };
    let pass = "dkim=pass header.d=power.example";
    let mut partly = request(&raw);
    partly["length"] = json!(true);
    partly["then"] = json!(["2026\r\n", "2026\r\nIBAN: DE89370400440532013000\r\n"]);
    let mut few = request(&raw);
    few["headers"] = json!(["from", "date"]);
    let mut quoted = json!({"raw": raw});
    seal(&mut partly, pass);
    seal(&mut few, pass);
    seal(&mut quoted, "spf=pass smtp.mailfrom=\"x; dkim=pass header.d=power.example \"@evil.example");
    let mut control = request(&raw);
    control["then"] = json!(["Subject: Invoice", "Subject: [list] Invoice"]);
    seal(&mut control, pass);
    let (mut mails, names) = sign(&[partly, few, quoted, control]);
    // The same mail once more, as servers pass it on.
    let again = [&b"X-Passed-On: yes\r\n"[..], &mails[3]].concat();
    mails.push(again);
    let (records, _) = run(&fetcher(names, registry(&[POWER])), mails).await;
    assert_doubted(&records[0], Doubt::PartlySigned);
    assert_doubted(&records[1], Doubt::HeadersNotSigned);
    assert_doubted(&records[2], Doubt::NotSigned);
    assert_eq!(records[3].level, Level::Vouched, "the control: {:?}", records[3]);
    assert_doubted(&records[4], Doubt::Replayed);
}

/// Whoever answers for a name learns that it was asked for: not of mail that only names it.
#[tokio::test]
async fn keys_are_looked_up_only_if_they_could_prove_something() {
    let asked = |request: Value| async move {
        let (mails, names) = sign(&[request]);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let dns = Arc::new(Noted(names.clone(), Arc::clone(&asked)));
        let fetcher = Fetcher { dns, ..fetcher(names, registry(&[POWER])) };
        run(&fetcher, mails).await;
        asked.lock().expect("noted").clone()
    };
    let raw = mail(POWER, USER, "Invoice", BILL);
    assert!(asked(request(&raw)).await.contains(&format!("k1._domainkey.{POWER}")), "the control");
    let mut other = request(&raw);
    other["domain"] = json!("evil.example");
    other["selector"] = json!("hash-of-kim");
    assert_eq!(asked(other).await, Vec::<String>::new(), "nobody's domain that the sender has");
    let mut changed = request(&raw);
    changed["then"] = json!(["42.50", "92.50"]);
    assert_eq!(asked(changed).await, Vec::<String>::new(), "another body");
}

struct Noted(Names, Arc<Mutex<Vec<String>>>);

#[async_trait::async_trait]
impl Dns for Noted {
    async fn txt(&self, name: &str) -> Result<TxtAnswer, DnsFailure> {
        self.1.lock().expect("noted").push(name.to_owned());
        self.0.txt(name).await
    }
}
