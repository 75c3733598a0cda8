//! Attacks by what publishers write and draw: the store shows it to everybody, in its own origin.

use super::site::Site;
use super::surgery::{MANIFEST, Pieces, sign_as};
use super::{Arena, Outcome, Trial, attacks};
use crate::{Browser, POINT, Vendor, Ware};
use anyhow::{Context as _, Result};
use portcullis_protocol::encoding::base64url;
use portcullis_protocol::sealed::Sealed;
use portcullis_protocol::{Digest, Manifest};
use reqwest::StatusCode;
use serde_json::json;

attacks! {
    "markup-in-what-is-sold" => markup_in_what_is_sold,
    "words-of-a-resource-that-nobody-sees" => words_that_nobody_sees,
    "cover-that-runs" => cover_that_runs,
    "cover-that-is-a-bomb" => cover_that_is_a_bomb,
}

const ADA: &str = "ada@mail.example";

/// A store with a publisher in it.
struct Place {
    site: Site,
    vendor: Vendor,
}

impl Place {
    async fn open(arena: &mut Arena) -> Result<Self> {
        let site = Site::open(arena).await?;
        let vendor = Vendor::open(&site.server, &mut site.person("mallory@mail.example").await?, "mallory").await?;
        Ok(Self { site, vendor })
    }
}

/// Titles, descriptions, kinds and offers that are markup, on every page that shows them.
async fn markup_in_what_is_sold(arena: &mut Arena) -> Result<Outcome> {
    let mut place = Place::open(arena).await?;
    let mut trial = Trial::new();
    for (number, (what, text)) in [
        ("a script", "<script>ran=true;alert(1)</script>"),
        ("an image", "<img src=x onerror='ran=true;alert(1)'>"),
        ("an attribute", "\"><svg onload='ran=true;alert(1)'>"),
        ("the end of what it stands in", "</title></style></p><script>ran=true</script>"),
        ("a link that is a script", "<a href='javascript:ran=true'>look</a>"),
    ]
    .into_iter()
    .enumerate()
    {
        let (name, kind) = (format!("ware-{number}"), format!("k{number}<b>\"'"));
        let ware = Ware { name: &name, kind: &kind, title: text, description: text, view: text, ..Ware::default() };
        let (_, offer) = place.vendor.sell(&ware).await?;
        let resource = format!("/resources/mallory/{name}");
        let kind: String = url_encoded(&kind);
        let pages = [
            "/".to_owned(),
            format!("/search?kind={kind}"),
            resource,
            "/publishers/mallory".to_owned(),
            format!("/buy/{offer}"),
        ];
        let arguments = json!({"pages": pages, "text": text, "buying": format!("/buy/{offer}")});
        let seen = place.site.drive("wares", ADA, arguments).await?;
        for page in pages.iter().map(String::as_str).chain(["the order", "purchases"]) {
            let seen = &seen["pages"][page];
            let harmless = seen["ran"] == json!(false) && seen["shown"] == json!(true) && seen["elements"] == json!(0);
            trial.attack_fails(&format!("{what} on {page}"), "shown as text", harmless);
        }
        if !what.contains("link") {
            trial.control(&format!("{what} runs on a page that does not escape it"), seen["unescaped"] == json!(true));
        }
    }
    Ok(trial.finish())
}

fn url_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Characters that turn the direction of writing, or have no width, in everything that a buyer reads before buying.
async fn words_that_nobody_sees(arena: &mut Arena) -> Result<Outcome> {
    let mut place = Place::open(arena).await?;
    let mut trial = Trial::new();
    let file = place.vendor.seal(&Ware::default())?;
    let written = |change: &dyn Fn(&mut Manifest)| -> Result<Vec<u8>> {
        let mut manifest = Sealed::open(file.clone())?.manifest().clone();
        change(&mut manifest);
        let mut pieces = Pieces::of(&file)?;
        *pieces.data(MANIFEST)? = sign_as(&manifest, place.vendor.key())?;
        Ok(pieces.file())
    };
    let mut files = Vec::new();
    for (what, mark) in [
        ("that turns the line around", '\u{202e}'),
        ("that turns a piece around", '\u{2067}'),
        ("of no width", '\u{200b}'),
        ("that joins nothing", '\u{2060}'),
        ("that is a tag", '\u{e0041}'),
    ] {
        let text = format!("A lake{mark} for 00.1 EUR");
        files
            .push((format!("a title with a character {what}"), written(&|manifest| manifest.title.clone_from(&text))?));
        let described = written(&|manifest| manifest.description.clone_from(&text))?;
        files.push((format!("a description with a character {what}"), described));
        files.push((
            format!("a kind with a character {what}"),
            written(&|manifest| manifest.kind = format!("pic{mark}"))?,
        ));
        let operation = written(&|manifest| manifest.operations[0].title.clone_from(&text))?;
        files.push((format!("an operation with a character {what}"), operation));
    }
    let honest = written(&|manifest| {
        manifest.title = "אגם אלפיני".into();
        manifest.description = "بحيرة جبلية\nClear water.".into();
    })?;
    for (what, file) in files {
        trial.attack(&what, "control, direction or invisible character", place.vendor.upload(&file).await);
    }
    for name in ["lum\u{200b}en", "\u{202e}nemul", "lumen\u{430}", "Lumen", "<b>lumen"] {
        let what = format!("a publisher called {}", name.escape_default());
        trial.attack(&what, "the claim is not accepted: ", place.vendor.claim(name).await);
    }
    trial.control("another name, claimed with the same tool, is taken", place.vendor.claim("lumen").await.is_ok());
    trial
        .control("Hebrew and Arabic, signed with the same tool, are taken", place.vendor.upload(&honest).await.is_ok());
    Ok(trial.finish())
}

/// Bytes that are a document or a script and say that they are a picture.
async fn cover_that_runs(arena: &mut Arena) -> Result<Outcome> {
    let mut place = Place::open(arena).await?;
    let html = b"<!doctype html><script>globalThis.ran = true; document.title = 'ran'</script>".to_vec();
    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>globalThis.ran = true</script></svg>".to_vec();
    // Their heads are those of a GIF of 2570 by 2570 points.
    let script = b"GIF89a\n\n\n\n=1;globalThis.ran = true;//".to_vec();
    let document = b"GIF89a\n\n\n\n<script>globalThis.ran = true</script>".to_vec();
    let kinds = [
        ("HTML", "image/png", html, "text/html"),
        ("SVG", "image/svg+xml", svg.clone(), "image/svg+xml"),
        ("SVG as another picture", "image/webp", svg, "image/svg+xml"),
        ("a GIF that is a script", "image/gif", script, "text/javascript"),
        ("a GIF that is a document", "image/gif", document, "text/html"),
    ];
    let mut covers = Vec::new();
    for (number, (what, media, bytes, harmful)) in kinds.iter().enumerate() {
        let name = format!("ware-{number}");
        let (digest, _) = place.vendor.sell(&Ware { name: &name, cover: (media, bytes), ..Ware::default() }).await?;
        covers.push(json!({
            "what": what, "path": format!("/covers/{digest}"), "bytes": base64url(bytes), "harmful": harmful,
        }));
    }
    let seen = place.site.drive("covers", ADA, json!({"covers": covers})).await?;
    let mut trial = Trial::new();
    for (what, _, _, _) in &kinds {
        for way in ["opened", "as a script", "in a frame", "as an object"] {
            trial.attack_fails(&format!("{what}, {way}"), "does not run", seen["covers"][what][way] == json!(false));
        }
        let control = format!("{what} runs if it is served as what it is");
        trial.control(&control, seen["copies"][what] == json!(true));
    }
    Ok(trial.finish())
}

/// A picture of little bytes that takes gigabytes to unpack, and one of too many bytes.
async fn cover_that_is_a_bomb(arena: &mut Arena) -> Result<Outcome> {
    let mut place = Place::open(arena).await?;
    let png = |width: u32, height: u32| -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes.extend([8, 6, 0, 0, 0, 0, 0, 0, 0]);
        bytes
    };
    let gif = [&b"GIF89a\xff\xff\xff\xff"[..], &POINT[10..]].concat();
    // Its screen is a point. The picture on it is not, and browsers take a screen of that size.
    let mut first_frame = POINT.to_vec();
    let descriptor = POINT.windows(2).position(|bytes| bytes == b",\0").context("a picture")?;
    first_frame[descriptor + 5..descriptor + 9].copy_from_slice(&[0, 0x40, 0, 0x40]);
    let large = [POINT, &vec![0; 2 * 1024 * 1024]].concat();
    let mut trial = Trial::new();
    let mut browser = Browser::new(place.site.server.origin())?;
    for (number, (what, media, bytes)) in [
        ("a PNG of 3.6 gigapixels", "image/png", png(60_000, 60_000)),
        ("a PNG of two thousand million by one", "image/png", png(2_000_000_000, 1)),
        ("a GIF of 4.3 gigapixels", "image/gif", gif),
        ("a GIF whose first picture is larger than its screen", "image/gif", first_frame),
        ("a JPEG with a fill byte before its frame", "image/jpeg", filled_jpeg()),
        ("more than 2 MiB", "image/gif", large),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("ware-{number}");
        let (digest, _) = place.vendor.sell(&Ware { name: &name, cover: (media, &bytes), ..Ware::default() }).await?;
        let (status, ..) = browser.look(&cover(&digest)).await?;
        trial.attack_fails(what, "404 Not Found", status == StatusCode::NOT_FOUND);
    }
    let (digest, _) = place.vendor.sell(&Ware { name: "honest", ..Ware::default() }).await?;
    let (status, headers, _) = browser.look(&cover(&digest)).await?;
    let media = headers.get("content-type").context("a media type")?;
    trial.control("a picture of a point is shown", status == StatusCode::OK && media == "image/gif");
    Ok(trial.finish())
}

/// A progressive JPEG of 16384 by 16384 points, for whoever skips fill bytes, as browsers do. Who does not takes the
/// frame's marker for a length, and finds one of 16 by 16 in a comment.
fn filled_jpeg() -> Vec<u8> {
    let mut bytes = vec![0xff, 0xd8, 0xff, 0xff, 0xc2, 0, 17, 8, 0x40, 0, 0x40, 0];
    bytes.extend([3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0]);
    bytes.extend([0xff, 0xfe, 0xff, 0xff]);
    // Where it goes on to read: past what it takes for a segment of 0xc200 bytes.
    bytes.resize(4 + 0xc200, b' ');
    bytes.extend([0xff, 0xc0, 0, 17, 8, 0, 16, 0, 16, 3]);
    bytes.resize(22 + 2 + 0xffff, b' ');
    bytes.extend([0xff, 0xda, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, 0, 0, 0, 0, 0xff, 0xd9]);
    bytes
}

fn cover(resource: &Digest) -> String {
    format!("/covers/{resource}")
}
