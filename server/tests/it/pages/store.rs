//! The store: shelves, search, a resource's page, its publisher, covers.

use crate::browser::Browser;
use crate::stage::{FULL, Shop, Stage, picture_manifest, stub, terms, upload};
use crate::terminal::{Terminal, rng};
use portcullis_protocol::age::Recipient;
use portcullis_protocol::sealed::Package;
use portcullis_protocol::wire::{OffersAnswer, OffersRequest, PublishAnswer};
use portcullis_protocol::{Digest, Manifest, Rights, SecretKey, paths};
use reqwest::{Method, StatusCode};
use std::io::Cursor;

/// A GIF of one point.
const GIF: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

/// Publishes a resource whose public part is these bytes under this media type.
async fn publish(
    terminal: &mut Terminal,
    key: &SecretKey,
    mut manifest: Manifest,
    media: &str,
    cover: &[u8],
) -> Digest {
    manifest.parts[0].media_type = media.into();
    manifest.parts[0].size = cover.len() as u64;
    let body = stub();
    manifest.parts[2].size = body.len() as u64;
    let recipient: Recipient = terminal.keys.recipient.parse().expect("the server's recipient");
    let sources: Vec<Box<dyn std::io::Read>> =
        vec![Box::new(Cursor::new(cover.to_vec())), Box::new(FULL), Box::new(Cursor::new(body))];
    let package = Package { stub: &stub(), manifest, sources, recipients: std::slice::from_ref(&recipient) };
    let mut file = Cursor::new(Vec::new());
    package.write(&mut file, key, &mut rng()).expect("sealed");
    let published: PublishAnswer = terminal.get_yes(&upload(&file.into_inner())).await;
    published.resource
}

async fn price(terminal: &mut Terminal, name: &str) {
    let offers = vec![terms("preview", Rights::Free {}, "0.00 EUR"), terms("view", Rights::Perpetual {}, "1.99 EUR")];
    let path = paths::fill(paths::OFFERS, &[&"lumen", &name]);
    let draft = crate::terminal::Draft::json(Method::PUT, path, &OffersRequest { offers });
    let OffersAnswer { .. } = terminal.get_yes(&draft).await;
}

fn manifest(shop: &Shop, name: &str, version: &str) -> Manifest {
    let made = picture_manifest(&shop.terminal, &shop.key, "lumen", version);
    Manifest { name: name.parse().expect("a name"), title: format!("A picture called {name}"), ..made }
}

#[tokio::test]
async fn a_list_goes_on_page_by_page_and_shows_everything_once() {
    const MANY: usize = 26;
    let stage = Stage::open().await;
    let mut shop = stage.shop().await;
    let key = shop.key.clone();
    for number in 1..MANY {
        let manifest = manifest(&shop, &format!("picture-{number}"), "1.0.0");
        publish(&mut shop.terminal, &key, manifest, "image/gif", GIF).await;
        price(&mut shop.terminal, &format!("picture-{number}")).await;
    }
    let mut browser = Browser::new(&stage.origin);
    for first in ["/search", "/search?kind=picture", "/search?q=lumen", "/publishers/lumen"] {
        let (mut path, mut seen, mut pages) = (first.to_owned(), Vec::new(), 0);
        loop {
            let page = browser.get(&path).await;
            assert_eq!(page.status, StatusCode::OK, "{path}");
            pages += 1;
            let links = |begins: &str| -> Vec<String> {
                let parts = page.text.split(begins).skip(1);
                parts.filter_map(|rest| rest.split('"').next()).map(|link| link.replace("&amp;", "&")).collect()
            };
            seen.extend(links("<h3 dir=\"auto\"><a href=\""));
            let next = links("class=\"button plain\" href=\"").into_iter().rfind(|link| link.contains("page="));
            let Some(next) = next else { break };
            path = next;
        }
        seen.sort();
        let several = seen.len();
        seen.dedup();
        assert_eq!((pages, several, seen.len()), (2, MANY, MANY), "{first}");
    }
    // A link may say anything.
    for odd in ["page=4294967295", "page=-1", "page=x", "kind=%00", "q=%F0%9F%8C%8D&kind=%22%3E%3Cscript%3E", "q=%ff"] {
        let page = browser.get(&format!("/search?{odd}")).await;
        assert!(page.status == StatusCode::OK && !page.text.contains("\"><script>"), "{odd}");
    }
    let long = browser.get(&format!("/search?q={}", "wort+".repeat(400))).await;
    assert_eq!(long.status, StatusCode::OK);
    stage.stop().await;
}

#[tokio::test]
async fn only_a_picture_that_is_what_it_says_is_a_cover() {
    let stage = Stage::with(|config| config.limits.upload_bytes = 8 * 1024 * 1024).await;
    let mut shop = stage.shop().await;
    let key = shop.key.clone();
    let mut browser = Browser::new(&stage.origin);
    // The shop's own says `image/png` and is none.
    assert_eq!(browser.get(&format!("/covers/{}", shop.resource)).await.status, StatusCode::NOT_FOUND);
    let mut name = 0;
    let mut sold = async |shop: &mut Shop, media: &str, bytes: &[u8]| {
        name += 1;
        let manifest = manifest(shop, &format!("cover-{name}"), "1.0.0");
        publish(&mut shop.terminal, &key, manifest, media, bytes).await
    };
    let gif = sold(&mut shop, "image/gif", GIF).await;
    let cover = browser.get(&format!("/covers/{gif}")).await;
    assert_eq!(
        (cover.status, &cover.headers["content-type"]),
        (StatusCode::OK, &"image/gif".parse().expect("a value"))
    );
    assert_eq!(cover.headers["x-content-type-options"], "nosniff");
    let policy = cover.headers["content-security-policy"].to_str().expect("ASCII");
    assert!(policy.contains("default-src 'none'") && policy.contains("sandbox"), "{policy}");
    let page = browser.get("/resources/lumen/cover-1").await;
    assert!(page.text.contains(&format!("src=\"/covers/{gif}\"")), "{}", page.text);
    let policy = page.headers["content-security-policy"].to_str().expect("ASCII");
    assert!(policy.contains("img-src 'self';"), "{policy}");

    let html = b"<!doctype html><script>alert(1)</script>";
    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>";
    let mut bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bomb.extend([0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff, 8, 2, 0, 0, 0, 0, 0, 0, 0]);
    let large = [GIF, &vec![0; 2 * 1024 * 1024 + 1]].concat();
    for (what, media, bytes) in [
        ("HTML", "text/html", &html[..]),
        ("HTML that says it is a picture", "image/png", &html[..]),
        ("SVG", "image/svg+xml", &svg[..]),
        ("SVG that says it is a picture", "image/webp", &svg[..]),
        ("a picture of another type than it says", "image/jpeg", GIF),
        ("a bomb", "image/png", &bomb[..]),
        ("a picture of too many bytes", "image/gif", &large[..]),
        ("nothing", "image/gif", b""),
    ] {
        let digest = sold(&mut shop, media, bytes).await;
        let page = browser.get(&format!("/covers/{digest}")).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{what}");
    }
    assert_eq!(browser.get("/covers/nonsense").await.status, StatusCode::NOT_FOUND);
    stage.stop().await;
}

#[tokio::test]
async fn what_is_private_is_kept_nowhere_and_what_is_public_says_nothing_of_anybody() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let mut browser = stage.person("ada@example.org").await;
    let buying = format!("/buy/{}", shop.offer("view").digest());
    for path in
        ["/account", "/account/library", "/account/purchases", "/account/balance", &buying, "/device", "/search", "/"]
    {
        let page = browser.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert_eq!(page.headers["cache-control"], "no-store", "{path}");
        assert_eq!(page.headers["x-frame-options"], "DENY", "{path}");
        let policy = page.headers["content-security-policy"].to_str().expect("ASCII");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        let away = Browser::new(&stage.origin).get(path).await;
        assert!(!away.text.contains("ada@example.org"), "{path}");
    }
    assert_eq!(browser.get("/resources/lumen/nothing").await.status, StatusCode::NOT_FOUND);
    assert_eq!(browser.get("/resources/Lumen/alpine-lake").await.status, StatusCode::NOT_FOUND);
    assert_eq!(browser.get("/publishers/nobody").await.status, StatusCode::NOT_FOUND);
    stage.stop().await;
}
