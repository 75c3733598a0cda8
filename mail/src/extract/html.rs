//! HTML as text, and the scripts in it that are data. Nothing is loaded, and nothing runs.

use crate::extract::table::Layout;
use crate::limits::{MAX_JSON_LD, MAX_JSON_LD_BLOCKS};

/// Elements that begin a new line for a reader.
const BLOCKS: [&str; 27] = [
    "p",
    "div",
    "br",
    "li",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "section",
    "ul",
    "ol",
    "hr",
    "dl",
    "dt",
    "dd",
    "article",
    "header",
    "footer",
    "main",
    "address",
    "center",
    "blockquote",
    "pre",
    "caption",
    "fieldset",
];
/// Elements that tables are made of.
const TABLES: [&str; 4] = ["table", "tr", "td", "th"];
/// Elements whose content nobody reads.
const UNREAD: [&str; 4] = ["script", "style", "head", "title"];

/// Bytes of a reference with its `&` and `;`: the longest that is known, and any number of Unicode, have fewer.
const MAX_REFERENCE: usize = 16;

/// What a person reads: a line for each block and each row of a table, cells separated by a tab.
pub(crate) fn visible(html: &str) -> String {
    let mut layout = Layout::default();
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        let (before, tag) = rest.split_at(open);
        push_text(layout.text(), before);
        if let Some(comment) = tag.strip_prefix("<!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let Some((inside, after)) = tag.get(1..).and_then(|tag| tag.split_once('>')) else {
            rest = "";
            break;
        };
        rest = after;
        let is_end = inside.starts_with('/');
        let name: String = inside.chars().skip_while(|c| *c == '/').take_while(char::is_ascii_alphanumeric).collect();
        let name = name.to_ascii_lowercase();
        if !is_end && UNREAD.contains(&name.as_str()) {
            rest = after_element(after, &name);
        } else if BLOCKS.contains(&name.as_str()) {
            layout.end_line();
        } else if TABLES.contains(&name.as_str()) {
            if is_end { layout.end(&name) } else { layout.start(&name) }
        }
    }
    push_text(layout.text(), rest);
    layout.into_text()
}

/// The JSON-LD blocks, each of bounded length.
pub(super) fn json_ld(html: &str) -> Vec<&str> {
    let mut blocks = Vec::new();
    let lower = html.to_ascii_lowercase();
    let mut at = 0;
    while blocks.len() < MAX_JSON_LD_BLOCKS
        && let Some(open) = lower.get(at..).and_then(|rest| rest.find("<script"))
    {
        at += open;
        let Some(inside) = lower.get(at..).and_then(|rest| rest.find('>')) else { break };
        let is_data = lower.get(at..at + inside).is_some_and(|tag| tag.contains("application/ld+json"));
        at += inside + 1;
        let end = lower.get(at..).and_then(|rest| rest.find("</script")).unwrap_or(lower.len() - at);
        // Lower case of ASCII leaves every offset where it is.
        if is_data && end <= MAX_JSON_LD {
            blocks.extend(html.get(at..at + end));
        }
        at += end;
    }
    blocks
}

/// What follows the end tag of `name`.
pub(super) fn after_element<'h>(html: &'h str, name: &str) -> &'h str {
    let end = format!("</{name}");
    let found = html.as_bytes().windows(end.len()).position(|window| window.eq_ignore_ascii_case(end.as_bytes()));
    let rest = found.and_then(|at| html.get(at..)).unwrap_or_default();
    rest.split_once('>').map_or("", |(_, after)| after)
}

/// Adds text, its references resolved and its white space as one space.
fn push_text(text: &mut String, html: &str) {
    let mut rest = html;
    while let Some(c) = rest.chars().next() {
        if c == '&'
            && let Some(end) = rest.bytes().take(MAX_REFERENCE).position(|byte| byte == b';')
            && let Some((name, after)) = rest.get(1..end).zip(rest.get(end + 1..))
            && let Some(resolved) = reference(name)
        {
            push_char(text, resolved);
            rest = after;
            continue;
        }
        push_char(text, c);
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
}

fn push_char(text: &mut String, c: char) {
    if !c.is_whitespace() {
        text.push(c);
    } else if !text.ends_with(char::is_whitespace) {
        text.push(' ');
    }
}

/// References that stand in bills: numeric ones, and names of Latin letters and currencies.
fn reference(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let hex = number.strip_prefix(['x', 'X']);
        let code = hex.map_or_else(|| number.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok());
        return code.and_then(char::from_u32);
    }
    Some(match name {
        "nbsp" | "ensp" | "emsp" | "thinsp" | "NonBreakingSpace" => ' ',
        "zwnj" | "zwj" | "shy" | "ZeroWidthSpace" => '\u{ad}',
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" | "rsquo" | "lsquo" => '\'',
        "euro" => '€',
        "pound" => '£',
        "yen" => '¥',
        "ndash" | "mdash" => '-',
        "deg" => '°',
        "dollar" => '$',
        "colon" => ':',
        "comma" => ',',
        "period" => '.',
        "num" => '#',
        "percnt" => '%',
        "hyphen" | "minus" => '-',
        "laquo" => '«',
        "raquo" => '»',
        "middot" => '·',
        "bull" => '•',
        "auml" => 'ä',
        "ouml" => 'ö',
        "uuml" => 'ü',
        "Auml" => 'Ä',
        "Ouml" => 'Ö',
        "Uuml" => 'Ü',
        "szlig" => 'ß',
        "eacute" => 'é',
        "Eacute" => 'É',
        "egrave" => 'è',
        "ecirc" => 'ê',
        "Ecirc" => 'Ê',
        "Egrave" => 'È',
        "ucirc" => 'û',
        "ocirc" => 'ô',
        "icirc" => 'î',
        "acirc" => 'â',
        "iuml" => 'ï',
        "euml" => 'ë',
        "ugrave" => 'ù',
        "oelig" => 'œ',
        "Ntilde" => 'Ñ',
        "Aacute" => 'Á',
        "Oacute" => 'Ó',
        "Uacute" => 'Ú',
        "Iacute" => 'Í',
        "iexcl" => '¡',
        "iquest" => '¿',
        "ordf" => 'ª',
        "agrave" => 'à',
        "Agrave" => 'À',
        "ccedil" => 'ç',
        "aacute" => 'á',
        "iacute" => 'í',
        "oacute" => 'ó',
        "uacute" => 'ú',
        "ntilde" => 'ñ',
        "ordm" => 'º',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_lines_and_cells_but_no_script() {
        let html = "<head><title>9,99 €</title></head><!-- 8,88 €--><STYLE>7,77</STYLE><p>Zu&nbsp;zahlen</p>\
                    <table><tr><td>Gesamt</td><td>12,34&#8364;</td></tr></table><script>6,66</SCRIPT>Ende<b";
        let text = visible(html);
        let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert_eq!(lines, ["Zu zahlen", "Gesamt\t12,34€", "Ende"]);
        assert_eq!(visible("<script>"), "");
        assert_eq!(visible("a < b &foo; &#xD800; &"), "a");
    }

    #[test]
    fn data_is_found_whatever_case_it_is_in() {
        let html = "<script>x</script><SCRIPT TYPE=\"application/LD+json\">{\"a\":1}</SCRIPT><script type='application/ld+json'>";
        assert_eq!(json_ld(html), ["{\"a\":1}", ""]);
        let long = format!("<script type=application/ld+json>{}</script>", " ".repeat(MAX_JSON_LD + 1));
        assert!(json_ld(&long).is_empty());
    }
}
