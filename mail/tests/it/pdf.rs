//! Documents: what they say is read, and what they do to their reader costs nobody anything.

use crate::signer::sign;
use crate::stage::{USER, fetcher, mail, registry, run};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_mail::{BillRecord, Fetcher, Level, Refusal};
use serde_json::json;
use std::time::{Duration, Instant};

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

async fn records(documents: &[(&str, Vec<u8>)]) -> Vec<BillRecord> {
    let requests: Vec<_> = documents
        .iter()
        .map(|(text, document)| json!({"raw": with_document(text, document), "domain": "power.example", "selector": "k1"}))
        .collect();
    let (mails, names) = sign(&requests);
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

/// Zeros, packed a thousand times smaller; packed twice, a million times.
fn packed(zeros: usize, twice: bool) -> Vec<u8> {
    let once = miniz_oxide::deflate::compress_to_vec_zlib(&vec![0; zeros], 9);
    if twice { miniz_oxide::deflate::compress_to_vec_zlib(&once, 9) } else { once }
}

/// Each with what it is.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    const MIB: usize = 1024 * 1024;
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
    let objects = stream(&format!("/Type /ObjStm /N 100000000 /First 100 {flate}"), &packed(900 * MIB, false));
    let in_stream = page(b"", "", "", &[objects]);
    let embedded = {
        let more = [
            object("<< /Type /Filespec /F (factur-x.xml) /EF << /F 7 0 R >> >>"),
            stream(flate, &packed(900 * MIB, false)),
        ];
        pdf(&page(b"", "", "/Names << /EmbeddedFiles << /Names [(factur-x.xml) 6 0 R] >> >>", &more), "")
    };
    let tree = {
        let more = [object("<< /Kids [6 0 R 6 0 R 6 0 R 6 0 R 6 0 R 6 0 R 6 0 R 6 0 R] >>")];
        pdf(&page(b"", "", "/Names << /EmbeddedFiles 6 0 R >>", &more), "")
    };
    many.push(object("null"));
    vec![
        ("text that unpacks to 900 MiB", pdf(&page(&packed(900 * MIB, false), flate, "", &[]), "")),
        (
            "text that is packed twice",
            pdf(&page(&packed(900 * MIB, true), "/Filter [/FlateDecode /FlateDecode]", "", &[]), ""),
        ),
        ("objects in a stream that unpacks to 900 MiB", pdf(&in_stream, "")),
        ("an invoice inside that unpacks to 900 MiB", embedded),
        ("pages that contain themselves", pdf(&cycle, "")),
        ("a drawing that draws itself twice", pdf(&recursive, "")),
        ("200,000 pages", pdf(&many, "")),
        ("500,000 arrays inside each other", pdf(&page(b"", "", &format!("/X {deep}"), &[]), "")),
        ("references in a circle", pdf(&loop_of_references, "")),
        ("names in a tree that contains itself", tree),
        ("a password", locked),
        ("half a document", honest()[..200].to_vec()),
        ("no document", vec![0xff; 10_000]),
        ("nothing", Vec::new()),
    ]
}

#[tokio::test]
async fn a_document_that_is_a_bomb_costs_its_reader_and_nobody_else() {
    let bombs = bombs();
    for (what, bomb) in &bombs {
        let begun = Instant::now();
        // A document that can be read after it shows that the run goes on.
        let found = records(&[(ATTACHED, bomb.clone()), ("Your invoice again", honest())]).await;
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
