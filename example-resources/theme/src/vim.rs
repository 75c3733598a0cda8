//! The theme as a colour scheme of Vim and Neovim, for terminals of 24-bit and of 256 colours.

use std::fmt::Write as _;

use crate::bindings::exports::hearth::pine_and_ember::theme::Error;
use crate::palette::Palette;

/// Highlight groups: the letters' colour, the ground's, a style. `-` is none.
const GROUPS: [(&str, &str, &str, &str); 36] = [
    ("Normal", "foreground", "background", "NONE"),
    ("Cursor", "background", "cursor", "NONE"),
    ("CursorLine", "-", "line", "NONE"),
    ("CursorColumn", "-", "line", "NONE"),
    ("ColorColumn", "-", "line", "NONE"),
    ("LineNr", "gutter", "-", "NONE"),
    ("CursorLineNr", "cursor", "line", "bold"),
    ("SignColumn", "gutter", "-", "NONE"),
    ("Visual", "-", "selection", "NONE"),
    ("Search", "background", "yellow", "NONE"),
    ("IncSearch", "background", "ember", "bold"),
    ("MatchParen", "cursor", "selection", "bold"),
    ("NonText", "invisible", "-", "NONE"),
    ("SpecialKey", "invisible", "-", "NONE"),
    ("Folded", "comment", "line", "italic"),
    ("Pmenu", "foreground", "line", "NONE"),
    ("PmenuSel", "bright-white", "selection", "bold"),
    ("StatusLine", "foreground", "selection", "NONE"),
    ("StatusLineNC", "comment", "line", "NONE"),
    ("VertSplit", "selection", "-", "NONE"),
    ("Title", "orange", "-", "bold"),
    ("Directory", "blue", "-", "NONE"),
    ("ErrorMsg", "bright-white", "ember", "NONE"),
    ("WarningMsg", "bright-red", "-", "NONE"),
    ("DiffAdd", "bright-green", "line", "NONE"),
    ("DiffDelete", "red", "line", "NONE"),
    ("DiffChange", "yellow", "line", "NONE"),
    ("Comment", "comment", "-", "italic"),
    ("Constant", "orange", "-", "NONE"),
    ("String", "green", "-", "NONE"),
    ("Identifier", "bright-cyan", "-", "NONE"),
    ("Function", "blue", "-", "NONE"),
    ("Statement", "red", "-", "NONE"),
    ("PreProc", "magenta", "-", "NONE"),
    ("Type", "yellow", "-", "NONE"),
    ("Special", "bright-yellow", "-", "NONE"),
];

/// The sixteen colours of a terminal inside the editor, in their order.
const TERMINAL: [&str; 16] = [
    "black",
    "red",
    "green",
    "yellow",
    "blue",
    "magenta",
    "cyan",
    "white",
    "bright-black",
    "bright-red",
    "bright-green",
    "bright-yellow",
    "bright-blue",
    "bright-magenta",
    "bright-cyan",
    "bright-white",
];

/// Writes the file, which is called `pine-and-ember.vim`.
pub(crate) fn scheme(palette: &Palette) -> Result<String, Error> {
    let mut out = String::from(
        "\" Pine and Ember, a dark theme.\n\
         set background=dark\nhighlight clear\nif exists('syntax_on') | syntax reset | endif\n\
         let g:colors_name = 'pine-and-ember'\n",
    );
    for (group, letters, ground, style) in GROUPS {
        let _ = write!(out, "highlight {group}");
        for (kind, name) in [("fg", letters), ("bg", ground)] {
            let (of_256, exact) = match name {
                "-" => ("NONE".to_owned(), "NONE".to_owned()),
                name => {
                    let colour = palette.get(name)?;
                    (colour.of_256().to_string(), colour.to_string())
                }
            };
            let _ = write!(out, " cterm{kind}={of_256} gui{kind}={exact}");
        }
        let _ = writeln!(out, " cterm={style} gui={style}");
    }
    let colours = TERMINAL.iter().map(|name| palette.get(name)).collect::<Result<Vec<_>, _>>()?;
    let list: Vec<String> = colours.iter().map(|colour| format!("'{colour}'")).collect();
    let _ = writeln!(out, "let g:terminal_ansi_colors = [{}]", list.join(", "));
    for (index, colour) in colours.iter().enumerate() {
        let _ = writeln!(out, "let g:terminal_color_{index} = '{colour}'");
    }
    Ok(out)
}
