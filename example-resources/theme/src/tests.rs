//! The resource against the SDK's double: no server, the real palette. Real programs load it in the project's own
//! tests.

use portcullis_guest::testing::{Double, Event, Installed};
use portcullis_guest::{Money, Offer, Refusal};

use crate::bindings::exports::hearth::pine_and_ember::theme::{Error, Guest};
use crate::palette::{Colour, Palette};
use crate::{Theme, shown};

const SWATCH: &[u8] = include_bytes!("../assets/swatch.toml");
const THEME: &[u8] = include_bytes!("../assets/theme.toml");

fn resource() -> Double {
    Double::new()
        .part("swatch", SWATCH)
        .part("theme", THEME)
        .operation("preview", &["swatch"])
        .operation("apply", &["theme"])
}

fn unpaid() -> Refusal {
    Refusal::PaymentRequired(vec![Offer {
        id: "o1".into(),
        title: "The theme, for good".into(),
        price: Money::new(249, "EUR"),
        model: "perpetual".into(),
        quantity: None,
    }])
}

fn opened(double: &Installed) -> Vec<String> {
    double
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Opened { part, .. } => Some(part),
            _ => None,
        })
        .collect()
}

fn text(bytes: Result<Vec<u8>, Error>) -> String {
    String::from_utf8(bytes.unwrap()).unwrap()
}

#[test]
fn the_swatch_needs_no_more_than_its_own_part() {
    let double = resource().refuse("apply", unpaid()).enter("preview").install();
    let svg = text(Theme::preview());
    let ansi = shown().unwrap();
    for (name, colour) in Palette::parse(SWATCH).unwrap().iter() {
        assert!(svg.contains(name) && svg.contains(&format!("fill=\"{colour}\"")), "{name}");
        let Colour([red, green, blue]) = colour;
        assert!(ansi.contains(name) && ansi.contains(&format!("\x1b[48;2;{red};{green};{blue}m")), "{name}");
    }
    assert_eq!(opened(&double), ["swatch", "swatch"]);
}

#[test]
fn the_swatch_shows_the_theme_that_is_sold_and_a_fifth_of_it() {
    let (swatch, theme) = (Palette::parse(SWATCH).unwrap(), Palette::parse(THEME).unwrap());
    for (name, colour) in swatch.iter() {
        assert_eq!(theme.get(name).unwrap(), colour, "{name}");
    }
    assert_eq!(theme.iter().len(), Theme::info().colours as usize);
    assert!(swatch.iter().len() * 5 <= theme.iter().len());
}

#[test]
fn bought_the_theme_has_every_colour_in_some_format() {
    let double = resource().enter("apply").install();
    let files = text(Theme::text_mate()) + &text(Theme::vim()) + &text(Theme::alacritty());
    for (name, colour) in Palette::parse(THEME).unwrap().iter() {
        assert!(files.contains(&colour.to_string()), "{name}");
    }
    assert_eq!(double.drawn("apply"), 0, "the host drew before the call");
}

#[test]
fn under_the_grant_of_the_preview_a_format_runs_its_own_cycle() {
    let double = resource().refuse("apply", unpaid()).enter("preview").install();
    for refused in [Theme::text_mate(), Theme::vim(), Theme::alacritty()] {
        assert!(matches!(refused, Err(Error::Refused(refusal)) if refusal == unpaid()));
    }
    assert_eq!(opened(&double), [""; 0]);

    double.allow("apply");
    assert!(text(Theme::vim()).contains("colors_name"));
    assert_eq!(double.drawn("apply"), 1);
}

#[test]
fn letters_can_be_read_on_their_ground() {
    // WCAG 2.2, success criterion 1.4.3: 4.5 for text; 3 for comments, which stand back on purpose.
    let theme = Palette::parse(THEME).unwrap();
    let luminance = |name: &str| {
        let Colour(channels) = theme.get(name).unwrap();
        let [red, green, blue] = channels.map(|value| {
            let value = f64::from(value) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    };
    let contrast = |name: &str| (luminance(name) + 0.05) / (luminance("background") + 0.05);
    for name in ["foreground", "red", "green", "yellow", "blue", "magenta", "cyan", "orange", "white"] {
        assert!(contrast(name) >= 4.5, "{name}: {}", contrast(name));
    }
    assert!(contrast("comment") >= 3.0, "{}", contrast("comment"));
}

#[test]
fn the_nearest_of_256_colours_is_found() {
    for (rgb, index) in
        [([0, 0, 0], 16), ([255, 255, 255], 231), ([255, 0, 0], 196), ([95, 135, 175], 67), ([8; 3], 232)]
    {
        assert_eq!(Colour(rgb).of_256(), index, "{rgb:?}");
    }
}

#[test]
fn a_part_that_is_no_palette_gives_no_theme() {
    let parts: [&[u8]; 5] = [b"\xff", b"background", b"background = \"#12345\"", b"background = \"#12345g\"", SWATCH];
    for part in parts {
        let _double = Double::new().part("theme", part).operation("apply", &["theme"]).enter("apply").install();
        for format in [Theme::text_mate(), Theme::vim(), Theme::alacritty()] {
            assert!(matches!(format, Err(Error::Unreadable(_))), "{}", String::from_utf8_lossy(part));
        }
    }
    let _double = resource().damaged("theme").enter("apply").install();
    assert!(matches!(Theme::vim(), Err(Error::Unreadable(_))));
}
