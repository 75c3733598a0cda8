//! The theme as TextMate has it: a property list, read by bat, Sublime Text and others.

use std::fmt::Write as _;

use crate::TITLE;
use crate::bindings::exports::hearth::pine_and_ember::theme::Error;
use crate::palette::Palette;

/// The page: names of the format, and of the palette.
const PAGE: [(&str, &str); 8] = [
    ("background", "background"),
    ("foreground", "foreground"),
    ("caret", "cursor"),
    ("lineHighlight", "line"),
    ("selection", "selection"),
    ("gutterForeground", "gutter"),
    ("invisibles", "invisible"),
    ("findHighlight", "ember"),
];

/// What code consists of: a name, scopes, a colour, a style.
const RULES: [(&str, &str, &str, &str); 18] = [
    ("Comment", "comment, punctuation.definition.comment", "comment", "italic"),
    ("String", "string", "green", ""),
    ("Escape in a string", "constant.character.escape, string.regexp", "bright-yellow", ""),
    ("Number", "constant.numeric", "orange", ""),
    ("Constant", "constant.language, constant.other, support.constant", "orange", ""),
    ("Keyword", "keyword, storage.modifier", "red", ""),
    ("Operator", "keyword.operator", "bright-red", ""),
    ("Declaration", "storage.type", "red", "italic"),
    ("Function", "entity.name.function, support.function, variable.function", "blue", ""),
    ("Macro", "support.macro, entity.name.macro", "bright-blue", ""),
    ("Type", "entity.name.type, entity.name.class, support.type, support.class", "yellow", ""),
    ("Parameter", "variable.parameter", "bright-cyan", "italic"),
    ("Variable of the language", "variable.language", "magenta", "italic"),
    ("Tag", "entity.name.tag", "red", ""),
    ("Attribute", "entity.other.attribute-name", "yellow", ""),
    ("Heading", "markup.heading, entity.name.section", "orange", "bold"),
    ("Link", "markup.underline.link, string.other.link", "cyan", "underline"),
    ("Invalid", "invalid", "bright-white", "bold"),
];

/// Writes the file.
pub(crate) fn theme(palette: &Palette) -> Result<String, Error> {
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\">\n<dict>\n",
    );
    let _ = writeln!(out, "<key>name</key><string>{TITLE}</string>");
    out += "<key>settings</key>\n<array>\n<dict><key>settings</key><dict>\n";
    for (key, name) in PAGE {
        let _ = writeln!(out, "<key>{key}</key><string>{}</string>", palette.get(name)?);
    }
    out += "</dict></dict>\n";
    for (title, scopes, name, style) in RULES {
        let _ = write!(out, "<dict><key>name</key><string>{title}</string><key>scope</key><string>{scopes}</string>");
        let _ = write!(out, "<key>settings</key><dict><key>foreground</key><string>{}</string>", palette.get(name)?);
        if !style.is_empty() {
            let _ = write!(out, "<key>fontStyle</key><string>{style}</string>");
        }
        out += "</dict></dict>\n";
    }
    Ok(out + "</array>\n</dict>\n</plist>\n")
}
