//! The theme as Alacritty has it: TOML, to be imported by `alacritty.toml`.

use std::fmt::Write as _;

use crate::bindings::exports::hearth::pine_and_ember::theme::Error;
use crate::palette::Palette;

const ANSI: [&str; 8] = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

/// Writes the file.
pub(crate) fn colours(palette: &Palette) -> Result<String, Error> {
    let mut out = String::from("# Pine and Ember: import = [\"pine-and-ember.toml\"] in alacritty.toml.\n");
    let mut section = |name: &str, entries: &[(&str, String)]| -> Result<(), Error> {
        let _ = writeln!(out, "\n[colors.{name}]");
        for (key, colour) in entries {
            let _ = writeln!(out, "{key} = \"{}\"", palette.get(colour)?);
        }
        Ok(())
    };
    let entry = |key, colour: &str| (key, colour.to_owned());
    section("primary", &[entry("background", "background"), entry("foreground", "foreground")])?;
    section("cursor", &[entry("text", "background"), entry("cursor", "cursor")])?;
    section("selection", &[entry("text", "foreground"), entry("background", "selection")])?;
    section("normal", &ANSI.map(|name| entry(name, name)))?;
    section("bright", &ANSI.map(|name| entry(name, &format!("bright-{name}"))))?;
    Ok(out)
}
