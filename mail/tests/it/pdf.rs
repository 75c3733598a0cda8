//! Documents: what they say is read, and what they do to their reader costs nobody anything.

use crate::signer::{Names, sign};
use crate::stage::{USER, fetcher, mail, registry, run};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_mail::fuzzing::TARGETS;
use portcullis_mail::{BillRecord, Fetcher, Level, Refusal};
use serde_json::json;
use std::fs;
use std::sync::LazyLock;
use std::time::{Duration, Instant};
#[cfg(target_os = "linux")]
use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
};

/// A document of these objects, the first of which is its catalogue. `trailer` goes into the trailer.
fn pdf(objects: &[Vec<u8>], trailer: &str) -> Vec<u8> {
    let mut document = b"%PDF-1.7\n".to_vec();
    let mut places = Vec::new();
    for (at, object) in objects.iter().enumerate() {
        places.push(document.len());
        document.extend(format!("{} 0 obj\n", at + 1).bytes());
        document.extend(object);
        document.extend(b"\nendobj\n");
    }
    let start = document.len();
    document.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).bytes());
    for place in places {
        document.extend(format!("{place:010} 00000 n \n").bytes());
    }
    let size = objects.len() + 1;
    document.extend(format!("trailer\n<< /Size {size} /Root 1 0 R {trailer} >>\nstartxref\n{start}\n%%EOF\n").bytes());
    document
}

fn stream(dictionary: &str, bytes: &[u8]) -> Vec<u8> {
    let mut object = format!("<< {dictionary} /Length {} >>\nstream\n", bytes.len()).into_bytes();
    object.extend(bytes);
    object.extend(b"\nendstream");
    object
}

fn object(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

const FONT: &str = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>";
const PAGE: &str = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R \
                    /Resources << /Font << /F1 5 0 R >> >> >>";
const WORDS: &str = "BT /F1 12 Tf 72 720 Td (Your invoice) Tj 0 -20 Td (Amount due: EUR 42.50) Tj \
                     0 -20 Td (Due date: 15 December 2026) Tj ET";

/// One page with these words; `catalog` goes into the catalogue, `more` are objects from number 6 on.
fn page(words: &[u8], dictionary: &str, catalog: &str, more: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut objects = vec![
        object(&format!("<< /Type /Catalog /Pages 2 0 R {catalog} >>")),
        object("<< /Type /Pages /Kids [3 0 R] /Count 1 >>"),
        object(PAGE),
        stream(dictionary, words),
        object(FONT),
    ];
    objects.extend_from_slice(more);
    objects
}

fn honest() -> Vec<u8> {
    pdf(&page(WORDS.as_bytes(), "", "", &[]), "")
}

const CII: &str = "<?xml version='1.0' encoding='UTF-8'?><rsm:CrossIndustryInvoice \
  xmlns:rsm='urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100' \
  xmlns:ram='urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100' \
  xmlns:udt='urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100'>\
  <rsm:ExchangedDocument><ram:TypeCode>380</ram:TypeCode></rsm:ExchangedDocument><rsm:SupplyChainTradeTransaction>\
  <ram:ApplicableHeaderTradeSettlement><ram:InvoiceCurrencyCode>EUR</ram:InvoiceCurrencyCode>\
  <ram:SpecifiedTradePaymentTerms><ram:DueDateDateTime><udt:DateTimeString format='102'>20261215</udt:DateTimeString>\
  </ram:DueDateDateTime></ram:SpecifiedTradePaymentTerms><ram:SpecifiedTradeSettlementHeaderMonetarySummation>\
  <ram:DuePayableAmount>77.00</ram:DuePayableAmount></ram:SpecifiedTradeSettlementHeaderMonetarySummation>\
  </ram:ApplicableHeaderTradeSettlement></rsm:SupplyChainTradeTransaction></rsm:CrossIndustryInvoice>";

/// A document with an invoice inside, whose page says nothing of an amount.
fn factur_x(xml: &str) -> Vec<u8> {
    let more = [
        object("<< /Type /Filespec /F (factur-x.xml) /UF (factur-x.xml) /EF << /F 7 0 R >> >>"),
        stream("/Type /EmbeddedFile /Subtype /text#2Fxml", xml.as_bytes()),
    ];
    let names = "/Names << /EmbeddedFiles << /Names [(factur-x.xml) 6 0 R] >> >>";
    pdf(&page(b"BT /F1 12 Tf 72 720 Td (See the invoice inside) Tj ET", "", names, &more), "")
}

/// A mail that leaves everything to its document.
fn with_document(text: &str, document: &[u8]) -> String {
    let encoded = STANDARD.encode(document);
    let lines: Vec<&str> =
        encoded.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    let body = format!(
        "--b\nContent-Type: text/plain\n\n{text}\n--b\nContent-Type: application/pdf; name=\"invoice.pdf\"\n\
         Content-Disposition: attachment; filename=\"invoice.pdf\"\nContent-Transfer-Encoding: base64\n\n{}\n--b--",
        lines.join("\n")
    );
    mail("power.example", USER, "Your invoice", &body.replace('\n', "\r\n"))
        .replace("text/plain; charset=utf-8", "multipart/mixed; boundary=b")
        .replace("\r\r\n", "\r\n")
}

const ATTACHED: &str = "Dear customer,\nyour invoice is attached.";

fn signed<'d>(documents: impl Iterator<Item = (&'d str, &'d Vec<u8>)>) -> (Vec<Vec<u8>>, Names) {
    let request = |(text, document): (&str, &Vec<u8>)| {
        let raw = with_document(text, document);
        json!({"raw": raw, "domain": "power.example", "selector": "k1"})
    };
    sign(&documents.map(request).collect::<Vec<_>>())
}

async fn records(documents: &[(&str, Vec<u8>)]) -> Vec<BillRecord> {
    let (mails, names) = signed(documents.iter().map(|(text, document)| (*text, document)));
    run(&fetcher(names, registry(&["power.example"])), mails).await.0
}

fn amount(record: &BillRecord) -> Option<String> {
    record.amount.map(|amount| amount.to_string())
}

#[tokio::test]
async fn what_a_document_says_is_read() {
    let two = factur_x(&CII.replace("77.00", "78.00"));
    let records = records(&[
        (ATTACHED, honest()),
        (ATTACHED, factur_x(CII)),
        // The mail says the same, then something else.
        ("Your invoice\nAmount due: EUR 42.50", honest()),
        ("Your invoice\nAmount due: EUR 52.50", honest()),
        (ATTACHED, two),
        (ATTACHED, factur_x(&CII.replace("<rsm:Exch", "<!DOCTYPE x><rsm:Exch"))),
    ])
    .await;
    let [printed, inside, both, differ, other, dtd] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((printed.level, amount(printed).as_deref()), (Level::Verified, Some("42.50 EUR")), "{printed:?}");
    assert_eq!(printed.due.expect("read").to_string(), "2026-12-15");
    assert_eq!((inside.level, amount(inside).as_deref()), (Level::Verified, Some("77.00 EUR")), "{inside:?}");
    assert_eq!(inside.due.expect("read").to_string(), "2026-12-15");
    assert_eq!(amount(both).as_deref(), Some("42.50 EUR"));
    assert_eq!((differ.level, differ.refusal), (Level::Unverified, Some(Refusal::SeveralBills)));
    assert_eq!(amount(other).as_deref(), Some("78.00 EUR"));
    assert_eq!(dtd.refusal, Some(Refusal::Malformed));
}

#[tokio::test]
async fn without_a_reader_the_amount_is_not_known() {
    let raw = with_document(ATTACHED, &honest());
    let (mails, names) = sign(&[json!({"raw": raw, "domain": "power.example", "selector": "k1"})]);
    let fetcher = Fetcher { pdf: None, ..fetcher(names, registry(&["power.example"])) };
    let (records, _) = run(&fetcher, mails).await;
    assert_eq!((records[0].level, records[0].refusal), (Level::Unverified, Some(Refusal::NoAmount)));
}

/// 900 MiB of zeros, packed a thousand times smaller; packed twice, a million times.
fn packed(twice: bool) -> Vec<u8> {
    // Packing them takes seconds.
    static ONCE: LazyLock<Vec<u8>> =
        LazyLock::new(|| miniz_oxide::deflate::compress_to_vec_zlib(&vec![0; 900 * 1024 * 1024], 1));
    if twice { miniz_oxide::deflate::compress_to_vec_zlib(&ONCE, 9) } else { ONCE.clone() }
}

/// Text that unpacks to 900 MiB: it takes memory.
fn unpacking() -> Vec<u8> {
    pdf(&page(&packed(false), "/Filter /FlateDecode", "", &[]), "")
}

/// 2,000 pages, each with a description of its own, and all with the same packed content, which says nothing: they take
/// time.
fn slow() -> Vec<u8> {
    let drawn = 2_000;
    let kids: String = (0..drawn).map(|at| format!("{} 0 R ", at + 5)).collect();
    let content = miniz_oxide::deflate::compress_to_vec_zlib("q Q ".repeat(256 * 1024).as_bytes(), 9);
    let mut objects = vec![
        object("<< /Type /Catalog /Pages 2 0 R >>"),
        object(&format!("<< /Type /Pages /Kids [{kids}] /Count {drawn} >>")),
        stream("/Filter /FlateDecode", &content),
        object(FONT),
    ];
    objects.extend(std::iter::repeat_n(object(&PAGE.replace("4 0 R", "3 0 R").replace("5 0 R", "4 0 R")), drawn));
    pdf(&objects, "")
}

/// Each with what it is.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let flate = "/Filter /FlateDecode";
    let cycle = vec![
        object("<< /Type /Catalog /Pages 2 0 R >>"),
        object("<< /Type /Pages /Kids [2 0 R 2 0 R 2 0 R] /Count 1000000000 /Parent 2 0 R >>"),
    ];
    let form =
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R /Resources << /XObject << /X 6 0 R >> >> >>";
    let mut recursive = page(b"/X Do", "", "", &[]);
    recursive[2] = object(form);
    recursive.push(stream(
        "/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 6 0 R >> >>",
        b"/X Do /X Do",
    ));
    let pages = 200_000;
    let mut many = vec![
        object("<< /Type /Catalog /Pages 2 0 R >>"),
        object(&format!("<< /Type /Pages /Kids [{}] /Count {pages} >>", "3 0 R ".repeat(pages))),
        object(PAGE),
        stream("", "BT /F1 12 Tf 72 720 Td (Hello) Tj ET ".repeat(2_000).as_bytes()),
        object(FONT),
    ];
    let deep = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
    let loop_of_references = vec![object("2 0 R"), object("3 0 R"), object("2 0 R"), object("<< /Length 4 0 R >>")];
    let locked = pdf(
        &page(
            WORDS.as_bytes(),
            "",
            "",
            &[object(
                "<< /Filter /Standard /V 1 /R 2 /O (aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa) /U (aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa) /P -4 >>",
            )],
        ),
        "/Encrypt 6 0 R /ID [(aaaaaaaaaaaaaaaa) (aaaaaaaaaaaaaaaa)]",
    );
    let objects = stream(&format!("/Type /ObjStm /N 100000000 /First 100 {flate}"), &packed(false));
    let in_stream = page(b"", "", "", &[objects]);
    let embedded = {
        let more =
            [object("<< /Type /Filespec /F (factur-x.xml) /EF << /F 7 0 R >> >>"), stream(flate, &packed(false))];
        pdf(&page(b"", "", "/Names << /EmbeddedFiles << /Names [(factur-x.xml) 6 0 R] >> >>", &more), "")
    };
    let tree = {
        let more = [object("<< /Kids [6 0 R 6 0 R 6 0 R 6 0 R 6 0 R 6 0 R 6 0 R 6 0 R] >>")];
        pdf(&page(b"", "", "/Names << /EmbeddedFiles 6 0 R >>", &more), "")
    };
    many.push(object("null"));
    vec![
        ("text that unpacks to 900 MiB", unpacking()),
        ("text that is packed twice", pdf(&page(&packed(true), "/Filter [/FlateDecode /FlateDecode]", "", &[]), "")),
        ("objects in a stream that unpacks to 900 MiB", pdf(&in_stream, "")),
        ("an invoice inside that unpacks to 900 MiB", embedded),
        ("pages that contain themselves", pdf(&cycle, "")),
        ("a drawing that draws itself twice", pdf(&recursive, "")),
        ("200,000 pages", pdf(&many, "")),
        ("2,000 pages of a million signs", slow()),
        ("500,000 arrays inside each other", pdf(&page(b"", "", &format!("/X {deep}"), &[]), "")),
        ("references in a circle", pdf(&loop_of_references, "")),
        ("names in a tree that contains itself", tree),
        ("a password", locked),
        ("half a document", honest()[..200].to_vec()),
        ("no document", vec![0xff; 10_000]),
        ("nothing", Vec::new()),
    ]
}

/// Reads a document in this very process, as the reader does but without its bounds: `PORTCULLIS_DOCUMENT`, or an
/// honest one. [`the_bounds_of_the_reader_are_what_stops_a_bomb`] starts it in a process of its own.
#[test]
fn a_document_is_read_without_bounds() {
    let document =
        std::env::var_os("PORTCULLIS_DOCUMENT").map_or_else(honest, |path| fs::read(path).expect("a document"));
    let (_, parse) = TARGETS.iter().find(|(name, _)| *name == "pdf").expect("a target");
    parse(&document);
}

/// What a process took.
#[cfg(target_os = "linux")]
#[derive(Debug, Clone, Copy, Default)]
struct Taken {
    /// Resident memory at the most, in MiB.
    mib: u64,
    /// Seconds of computing.
    seconds: f64,
}

/// Runs a process until it ends, or has taken more than `most`, and is then ended.
#[cfg(target_os = "linux")]
fn taken(mut process: Child, most: Taken) -> (Taken, Option<ExitStatus>) {
    let (mut taken, begun) = (Taken::default(), Instant::now());
    let folder = PathBuf::from(format!("/proc/{}", process.id()));
    loop {
        let ended = process.try_wait().expect("ours");
        let status = fs::read_to_string(folder.join("status")).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        taken.mib = taken.mib.max(peak.trim().trim_end_matches(" kB").parse().unwrap_or(0) / 1024);
        // Hundredths of a second, in the 14th and 15th field; the second one, a name in brackets, may have spaces.
        let stat = fs::read_to_string(folder.join("stat")).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
        taken.seconds = taken.seconds.max((ticks(11) + ticks(12)) / 100.0);
        if ended.is_some() {
            return (taken, ended);
        }
        if taken.mib > most.mib || taken.seconds > most.seconds {
            process.kill().expect("ours");
            process.wait().expect("ours");
            return (taken, None);
        }
        assert!(begun.elapsed() < Duration::from_secs(300), "it neither ends nor does anything: {taken:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Two documents, one that takes memory and one that takes time. Without the bounds of the reader they take more than
/// it may, with them they do not.
#[cfg(target_os = "linux")]
#[test]
fn the_bounds_of_the_reader_are_what_stops_a_bomb() {
    let most = Taken { mib: 512, seconds: 6.0 };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bomb.pdf");
    for (what, bomb, takes_too_much) in [
        ("memory", unpacking(), (|taken, most| taken.mib > most.mib) as fn(Taken, Taken) -> bool),
        ("time", slow(), |taken, most| taken.seconds > most.seconds),
    ] {
        fs::write(&path, bomb).expect("written");
        let mut unbounded = Command::new(std::env::current_exe().expect("this test"));
        unbounded.args(["--exact", "pdf::a_document_is_read_without_bounds"]).env("PORTCULLIS_DOCUMENT", &path);
        let unbounded = unbounded.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
        let (without, ended) = taken(unbounded, most);
        assert!(ended.is_none() && takes_too_much(without, most), "the control: no bounds, {what}: {without:?}");
        let mut bounded = Command::new(env!("CARGO_BIN_EXE_portcullis-mail"));
        bounded.arg("read-pdf").stdin(File::open(&path).expect("a bomb")).stdout(Stdio::null()).stderr(Stdio::null());
        bounded.env("MALLOC_ARENA_MAX", "1").env("RAYON_NUM_THREADS", "1");
        let (with, ended) = taken(bounded.spawn().expect("starts"), most);
        let ended = ended.unwrap_or_else(|| panic!("with its bounds it goes beyond them: {what}: {with:?}"));
        assert!(!ended.success(), "{what}: it says nothing of a bomb");
        println!("{what}: without bounds {without:?} and on, with them {with:?}");
    }
}

#[tokio::test]
async fn a_document_that_is_a_bomb_costs_its_reader_and_nobody_else() {
    let bombs = bombs();
    let good = honest();
    let documents = bombs.iter().map(|(_, bomb)| (ATTACHED, bomb)).chain([("Your invoice again", &good)]);
    let (mut mails, names) = signed(documents);
    let (good, fetcher) = (mails.pop().expect("the good one"), fetcher(names, registry(&["power.example"])));
    for ((what, bomb), mail) in bombs.iter().zip(mails) {
        let begun = Instant::now();
        // A document that can be read after it shows that the run goes on.
        let (found, _) = run(&fetcher, vec![mail, good.clone()]).await;
        let [shown, good] = found.as_slice() else { panic!("{what}: {found:?}") };
        assert_eq!((shown.level, amount(shown)), (Level::Unverified, None), "{what}: {shown:?}");
        let refusals = [Some(Refusal::UnreadablePdf), Some(Refusal::NoAmount), Some(Refusal::Malformed)];
        assert!(refusals.contains(&shown.refusal), "{what}: {shown:?}");
        assert_eq!((good.level, amount(good).as_deref()), (Level::Verified, Some("42.50 EUR")), "after {what}");
        // It may compute for five seconds, wait for a processor, and is ended after fifteen.
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}: {:?}", begun.elapsed());
        println!("{what}: {:?}, {} bytes, {:.1} s", shown.refusal, bomb.len(), begun.elapsed().as_secs_f32());
    }
}
