//! The free preview: a few colours side by side.

use std::fmt::Write as _;

use crate::TITLE;
use crate::palette::{Colour, Palette};

/// Pixels of one field.
const FIELD: usize = 96;

/// As a picture.
pub(crate) fn svg(palette: &Palette) -> String {
    let (width, height) = (FIELD * palette.iter().len(), FIELD + 32);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"monospace\" font-size=\"12\">\n<title>{TITLE}</title>\n"
    );
    let (back, front) = ends(palette);
    let _ = writeln!(out, "<rect width=\"{width}\" height=\"{height}\" fill=\"{back}\"/>");
    for (at, (name, colour)) in palette.iter().enumerate() {
        let x = at * FIELD;
        let _ = writeln!(out, "<rect x=\"{x}\" width=\"{FIELD}\" height=\"{FIELD}\" fill=\"{colour}\"/>");
        let _ = writeln!(out, "<text x=\"{}\" y=\"{}\" fill=\"{front}\">{name}</text>", x + 8, FIELD + 20);
    }
    out + "</svg>\n"
}

/// For a terminal of 24-bit colours (ISO 8613-6, 38;2 and 48;2).
pub(crate) fn ansi(palette: &Palette) -> String {
    let (back, front) = ends(palette);
    let ground = |colour: Colour| code(48, colour);
    let mut out = String::new();
    for line in 0..3 {
        for (name, colour) in palette.iter() {
            let text = if line == 1 { format!(" {colour} ") } else { " ".repeat(9) };
            let letters = if name == "background" { front } else { back };
            out += &format!("{}{}{text:^13}\x1b[0m", ground(colour), code(38, letters));
        }
        out.push('\n');
    }
    for (name, _) in palette.iter() {
        out += &format!("{}{}{name:^13}\x1b[0m", ground(back), code(38, front));
    }
    out + "\n"
}

fn code(kind: u8, Colour([red, green, blue]): Colour) -> String {
    format!("\x1b[{kind};2;{red};{green};{blue}m")
}

/// What is written on, and what with: names that every palette has, or the ends of it.
fn ends(palette: &Palette) -> (Colour, Colour) {
    let or = |name, other| palette.get(name).unwrap_or(Colour(other));
    (or("background", [0; 3]), or("foreground", [255; 3]))
}
