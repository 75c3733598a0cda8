//! Pictures that stand in the page itself: nothing is loaded. None of them says anything that words beside it do not.

use super::words::capital;
use maud::{Markup, PreEscaped, html};
use portcullis_protocol::Digest;

/// How many colours there are for what has no cover (`.tint0` and so on in the style).
const TINTS: u8 = 6;

const FRAME: &str = r#"viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true""#;

fn icon(size: u8, paths: &str) -> Markup {
    PreEscaped(format!(r#"<svg width="{size}" height="{size}" {FRAME}>{paths}</svg>"#))
}

/// The store's mark: a portcullis.
pub(in super::super) fn mark() -> Markup {
    icon(26, r#"<path d="M4 21V9a8 8 0 0 1 16 0v12M4 10h16M4 15h16M9 3v18M15 3v18" stroke-width="1.8"/>"#)
}

/// An empty box.
pub(in super::super) fn nothing() -> Markup {
    icon(44, r#"<path d="M3 8l3-5h12l3 5v11a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2zM3 8h6l1 3h4l1-3h6"/>"#)
}

/// What a kind of resource looks like.
pub(in super::super) fn kind(kind: &str, size: u8) -> Markup {
    icon(
        size,
        match kind {
            "software" => r#"<path d="M3 5h18v14H3zM7 10l3 2.5L7 15M12 15h5"/>"#,
            "picture" => r#"<path d="M3 4h18v16H3zM3 17l5-5 4 4 3.5-3.5L21 18"/><circle cx="15.5" cy="8.5" r="1.5"/>"#,
            "music" => {
                r#"<path d="M9 18V6l11-2v12"/><circle cx="6.5" cy="18" r="2.5"/><circle cx="17.5" cy="16" r="2.5"/>"#
            }
            "theme" => {
                r#"<path d="M12 3a9 9 0 1 0 0 18c1.7 0 2-1 2-1.8 0-1.6-1.2-1.7-1.2-2.8 0-1 .9-1.4 2-1.400H17a4 4 0 0 0 4-4c0-4.4-4-8-9-8z"/><circle cx="8" cy="10" r="1"/><circle cx="12.5" cy="7.5" r="1"/><circle cx="16.5" cy="10" r="1"/>"#
            }
            "video" => r#"<path d="M3 6h13v12H3zM16 11l5-3v8l-5-3"/>"#,
            "code" => {
                r#"<path d="M3 7h18v3.500a2 2 0 0 0 0 4V18H3v-3.500a2 2 0 0 0 0-4zM14 7v2M14 11.500v2M14 16v2"/>"#
            }
            _ => r#"<path d="M12 3l8 4.500v9L12 21l-8-4.500v-9zM4 7.500l8 4.5 8-4.500M12 12v9"/>"#,
        },
    )
}

/// What stands for something: its cover, over a colour of its own and the picture of its kind, which are seen until the
/// cover is there and where there is none.
pub(in super::super) fn cover(resource: &str, of_kind: &str, cover: Option<&Digest>, large: bool) -> Markup {
    let tint = Digest::of(resource.as_bytes()).as_bytes()[0] % TINTS;
    html! {
        div class={ "cover tint" (tint) (if large { " large" } else { "" }) } {
            (kind(of_kind, 64))
            @if let Some(digest) = cover { img src={ "/covers/" (digest) } alt="" loading=[(!large).then_some("lazy")]; }
        }
    }
}

/// The name of a kind, of one or of several: "Picture", "Pictures".
pub(in super::super) fn kind_name(kind: &str, many: bool) -> String {
    match (kind, many) {
        ("software" | "music", _) => capital(kind),
        ("picture" | "theme" | "video" | "code", true) => format!("{}s", capital(kind)),
        _ => capital(kind),
    }
}
