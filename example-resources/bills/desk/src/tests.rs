//! Against the double of the host: what is judged valid, what is not, and what comes out.

use crate::{Desk, NoBills, Scope};
use portcullis_guest::Money;
use portcullis_guest::gate::bills::{Bill, Date, Level, Period, Remark};
use portcullis_guest::testing::{Double, Installed};

const TODAY: Date = Date { year: 2026, month: 11, day: 29 };

const fn day(year: u16, month: u8, day: u8) -> Date {
    Date { year, month, day }
}

fn bill(name: &str, units: i64, due: Date) -> Bill {
    Bill {
        biller: Some(name.to_lowercase()),
        biller_name: name.into(),
        account: Some("…0815".into()),
        amount: Some(Money::new(units, "EUR")),
        due: Some(due),
        period: None,
        level: Level::Verified,
        doubts: Vec::new(),
        unread: None,
        evidence: format!("{name}-{units}-{}-{}", due.month, due.day),
    }
}

fn with(mailboxes: &[(&str, Vec<Bill>)]) -> Installed {
    let double = Double::new().today(TODAY);
    mailboxes.iter().fold(double, |double, (name, bills)| double.mailbox(name, bills.clone())).install()
}

fn list(bills: Vec<Bill>) -> String {
    let _double = with(&[("home", bills)]);
    Desk::open(Scope::First).expect("bills").list()
}

#[test]
fn a_bill_is_valid_if_nothing_is_held_against_it() {
    let said = list(vec![bill("Power", 4250, day(2026, 12, 15))]);
    assert_eq!(said, "valid             42.50 EUR  Power, account …0815, due 2026-12-15\n1 valid, 0 not valid\n");
}

#[test]
fn each_reason_is_said() {
    let good = || bill("Power", 4250, day(2026, 12, 15));
    let doubt = Remark { code: "not-signed".into(), text: "it is not signed".into() };
    let period = |first, last| Some(Period { first, last });
    for (changed, reason) in [
        (Bill { level: Level::Unverified, doubts: vec![doubt.clone()], ..good() }, "it is not signed"),
        (Bill { level: Level::Unverified, ..good() }, "nothing proves that it comes from the biller"),
        (Bill { level: Level::Vouched, ..good() }, "it is vouched for, not proven: ask the biller before you pay"),
        (Bill { biller: None, ..good() }, "its sender is not a biller that is known"),
        (Bill { amount: None, unread: Some(doubt), ..good() }, "it is not signed"),
        (Bill { amount: None, ..good() }, "its amount is not known"),
        (Bill { due: Some(day(2028, 1, 4)), ..good() }, "it is due on 2028-01-04, too far ahead"),
        (Bill { period: period(day(2026, 10, 31), day(2026, 10, 1)), ..good() }, "the days that it is for cannot be"),
        (Bill { period: period(day(2020, 1, 1), day(2026, 1, 1)), ..good() }, "the days that it is for cannot be"),
        (
            Bill { period: period(day(2028, 1, 4), day(2028, 2, 3)), ..good() },
            "it is for days from 2028-01-04 on, too far ahead",
        ),
        (
            Bill { due: Some(day(2025, 1, 1)), period: period(day(2026, 10, 1), day(2026, 10, 31)), ..good() },
            "it is due long before the days that it is for",
        ),
    ] {
        let said = list(vec![changed]);
        assert!(said.starts_with("NOT VALID") && said.contains(&format!("           {reason}\n")), "{reason}:\n{said}");
        assert!(said.ends_with("0 valid, 1 not valid\n"), "{said}");
    }
}

#[test]
fn a_bill_counts_once_and_a_forged_one_puts_none_out() {
    let real = bill("Power", 4250, day(2026, 12, 15));
    let forged = Bill { level: Level::Unverified, evidence: "forged".into(), ..real.clone() };
    let reminder = Bill { evidence: "reminder".into(), ..real.clone() };
    let _double = with(&[("home", vec![forged, real.clone()]), ("work", vec![real.clone(), reminder])]);
    let first = Desk::open(Scope::First).expect("bills");
    assert!(first.list().ends_with("1 valid, 1 not valid\n"), "{}", first.list());
    let all = Desk::open(Scope::All).expect("bills");
    assert!(all.list().contains("the same mail came to `home` as well; it counts once"), "{}", all.list());
    assert!(all.list().contains("the same bill came before, to `home`; it counts once"));
    assert_eq!(all.totals(), "2026-12         42.50 EUR\n                42.50 EUR  Power\n");
}

#[test]
fn a_flat_fee_counts_each_month() {
    let fee = |at: u8| Bill { due: None, evidence: at.to_string(), ..bill("Phone", 999, day(2026, 12, 15)) };
    let _double = with(&[("home", vec![fee(1), fee(2), fee(3)])]);
    let desk = Desk::open(Scope::First).expect("bills");
    assert!(desk.list().ends_with("3 valid, 0 not valid\n"), "{}", desk.list());
    assert_eq!(desk.list().matches("a bill like it came before, to `home`; neither says for when\n").count(), 2);
    assert_eq!(desk.totals(), "undated         29.97 EUR\n                29.97 EUR  Phone\n");
}

#[test]
fn totals_are_by_month_biller_and_currency_and_valid_bills_alone_count() {
    let yen = Bill { amount: Some(Money::new(1200, "JPY")), ..bill("Rail", 1, day(2026, 11, 1)) };
    let undated = Bill { due: None, evidence: "undated".into(), ..bill("Rail", 500, day(2026, 11, 2)) };
    let unverified = Bill { level: Level::Unverified, ..bill("Evil", 99_999, day(2026, 12, 1)) };
    let bills = vec![
        bill("Power", 4250, day(2026, 12, 15)),
        bill("Water", 1000, day(2026, 12, 20)),
        bill("Power", 4100, day(2026, 11, 15)),
        yen,
        undated,
        unverified,
    ];
    let _double = with(&[("home", bills)]);
    let desk = Desk::open(Scope::All).expect("bills");
    let expected = [
        "2026-11         41.00 EUR",
        "                41.00 EUR  Power",
        "2026-12         52.50 EUR",
        "                42.50 EUR  Power",
        "                10.00 EUR  Water",
        "undated          5.00 EUR",
        "                 5.00 EUR  Rail",
        "2026-11          1200 JPY",
        "                 1200 JPY  Rail",
    ];
    assert_eq!(desk.totals().lines().collect::<Vec<_>>(), expected);

    let plot = String::from_utf8(desk.plot()).expect("text");
    assert_eq!(plot.matches("<rect ").count(), 1 + 5 + 4, "a ground, a bar for each sum, the legends: {plot}");
    assert!(plot.contains("<title>2026-12 Power: 42.50 EUR</title>") && !plot.contains("Evil"));
}

#[test]
fn what_is_due_is_said_in_time_and_nothing_is_paid() {
    let bills = vec![
        bill("Power", 4250, day(2026, 11, 29)),
        bill("Water", 1000, day(2026, 11, 30)),
        bill("Rent", 90_000, day(2026, 12, 4)),
        bill("Late", 700, day(2026, 11, 19)),
        bill("Later", 800, day(2027, 1, 1)),
        Bill { level: Level::Unverified, ..bill("Evil", 1, day(2026, 11, 29)) },
    ];
    let _double = with(&[("home", bills)]);
    let said = Desk::open(Scope::First).expect("bills").due(7);
    let expected = [
        "        7.00 EUR  Late was due 10 days ago",
        "       42.50 EUR  Power is due today",
        "       10.00 EUR  Water is due tomorrow",
        "      900.00 EUR  Rent is due in 5 days",
        "Do not pay 1 that are not valid before you have asked the biller: see the list",
        "This program does not know what you have paid, and pays nothing.",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn other_programs_read_what_is_exported_and_no_spreadsheet_computes_with_it() {
    let formula = Bill { biller_name: "=cmd|' /C calc'!A0".into(), ..bill("Power", 4250, day(2026, 12, 15)) };
    let markup = Bill { biller_name: "<script>\"&'".into(), ..bill("Water", 100, day(2026, 12, 16)) };
    let _double = with(&[("home", vec![formula, markup])]);
    let desk = Desk::open(Scope::First).expect("bills");
    let table = desk.csv();
    let mut rows = csv::Reader::from_reader(table.as_slice());
    let rows: Vec<csv::StringRecord> = rows.records().map(|row| row.expect("a row")).collect();
    assert_eq!((&rows[0][4], &rows[0][6], &rows[0][7]), ("<script>\"&'", "1.00", "EUR"));
    assert_eq!(&rows[1][4], "'=cmd|' /C calc'!A0");
    let json: serde_json::Value = serde_json::from_slice(&desk.json()).expect("JSON");
    assert_eq!(json["today"], "2026-11-29");
    assert_eq!((&json["bills"][0]["minor_units"], &json["bills"][0]["valid"]), (&100.into(), &true.into()));
    let plot = String::from_utf8(desk.plot()).expect("text");
    assert!(!plot.contains("<script>") && plot.contains("&lt;script&gt;&quot;&amp;&#39;"));
}

#[test]
fn hundreds_of_bills_come_by_pages() {
    let many = (0..250).map(|at| bill(&format!("Biller {at}"), 100, day(2026, 12, 1))).collect();
    let _double = with(&[("home", many)]);
    assert!(Desk::open(Scope::First).expect("bills").list().ends_with("250 valid, 0 not valid\n"));
}

#[test]
fn without_a_mailbox_it_says_what_to_do() {
    let _double = with(&[]);
    assert_eq!(Desk::open(Scope::All).expect_err("nothing"), NoBills::NoMailbox);
}
