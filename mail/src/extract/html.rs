//! HTML as text, and the scripts in it that are data. Nothing is loaded, and nothing runs.

use crate::extract::microdata;
use crate::extract::style::{Concealment, Sheets};
use crate::extract::table::{Layout, Span};
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

/// Elements that have no content.
const VOID: [&str; 8] = ["area", "br", "col", "hr", "img", "input", "link", "meta"];
/// Bytes of what a term of a list is followed by, with its tags, if both stand on one line: an answer is longer.
const MAX_VALUE: usize = 120;
/// Columns or rows that a cell goes over: tables of bills have below ten columns.
const MAX_SPAN: usize = 20;

/// Bytes of a reference with its `&` and `;`: the longest that is known, and any number of Unicode, have fewer.
const MAX_REFERENCE: usize = 16;

/// A page as it can be seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    /// What a person reads.
    pub(crate) shown: String,
    /// It without what may be hidden, if there is such.
    pub(crate) sure: Option<String>,
    /// It with what is hidden, if there is such.
    pub(crate) all: Option<String>,
    /// Whether its styles write digits that the page does not have.
    pub(crate) is_written_by_styles: bool,
}

/// A page as a person sees it, and as other mail programs may show it.
pub(crate) fn view(html: &str) -> View {
    let sheets = Sheets::of(html);
    let mut met = Met::default();
    let shown = rendered(html, &sheets, Concealment::Doubtful, &mut met);
    let again = |most| rendered(html, &sheets, most, &mut Met::default());
    View {
        shown,
        sure: met.doubtful.then(|| again(Concealment::Shown)),
        all: met.hidden.then(|| again(Concealment::Hidden)),
        is_written_by_styles: sheets.write_digits,
    }
}

/// What a person reads of a page without style sheets.
pub(crate) fn visible(html: &str) -> String {
    rendered(html, &Sheets::default(), Concealment::Doubtful, &mut Met::default())
}

/// What there is of a page beside what is shown for sure.
#[derive(Debug, Default)]
struct Met {
    doubtful: bool,
    hidden: bool,
}

/// A line for each block and each row of a table, cells separated by a tab; of what is at most so much concealed.
fn rendered(html: &str, sheets: &Sheets, most: Concealment, met: &mut Met) -> String {
    let mut layout = Layout::default();
    let mut is_preformatted = false;
    let mut rest = html;
    let mut is_term = false;
    while let Some(open) = rest.find('<') {
        let (before, tag) = rest.split_at(open);
        if is_preformatted {
            push_lines(&mut layout, before)
        } else {
            push_text(layout.text(), before, Spaces::One)
        }
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
            continue;
        }
        let concealment = if is_end || VOID.contains(&name.as_str()) {
            Concealment::Shown
        } else {
            concealment(sheets, inside, &name)
        };
        if name == "pre" && concealment <= most {
            is_preformatted = !is_end;
        }
        met.doubtful |= concealment == Concealment::Doubtful;
        met.hidden |= concealment == Concealment::Hidden;
        if name == "sup" && !is_end {
            raised(layout.text(), after);
        }
        // `<dt>Amount due</dt> <dd>12.00 EUR</dd>`
        let is_value = is_term && name == "dd" && !is_end && is_short_value(after);
        is_term = if name == "dt" { true } else { is_term && !BLOCKS.contains(&name.as_str()) };
        if concealment > most {
            rest = after_hidden(after, &name);
        } else if is_value {
            layout.text().push('\t');
        } else if name == "dt" && is_end {
            // Its value may follow.
        } else if BLOCKS.contains(&name.as_str()) {
            layout.end_line();
        } else if TABLES.contains(&name.as_str()) {
            if is_end {
                layout.end(&name);
            } else {
                layout.start(&name, Span { columns: span(inside, "colspan"), rows: span(inside, "rowspan") });
            }
        }
    }
    push_text(layout.text(), rest, Spaces::One);
    layout.into_text()
}

/// Whether the value of a term ends soon, and has one line.
fn is_short_value(value: &str) -> bool {
    let most = value.get(..value.floor_char_boundary(MAX_VALUE)).unwrap_or(value);
    let has = |tag: &str| most.contains(tag);
    (has("</dd") || has("<dt")) && most.split("</dd").next().is_some_and(|text| !text.contains("<br"))
}

/// Before raised text: it is no part of the number before it, unless it is its decimals, as in `29<sup>90</sup>`.
fn raised(text: &mut String, raised: &str) {
    let is_decimal = raised.starts_with(['.', ',']);
    if is_decimal || !text.ends_with(|c: char| c.is_ascii_digit()) {
        return;
    }
    let digits = raised.len() - raised.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let ends = raised.get(digits..).is_some_and(|rest| rest.starts_with("</"));
    let number = text.rsplit(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | ',')).next().unwrap_or_default();
    text.push(match (digits == 2 && ends, number.contains(','), number.contains('.')) {
        (true, false, _) => ',',
        (true, true, false) => '.',
        _ => ' ',
    });
}

/// What becomes of the element that a tag begins.
fn concealment(sheets: &Sheets, tag: &str, name: &str) -> Concealment {
    let attributes = if tag.len() > name.len() { microdata::attributes(tag).1 } else { Vec::new() };
    sheets.concealment(name, &attributes)
}

/// What follows the element of this name that has just begun; others of its name may be inside it.
fn after_hidden<'h>(html: &'h str, name: &str) -> &'h str {
    let (mut rest, mut depth) = (html, 1_usize);
    while let Some(open) = rest.find('<') {
        let Some((inside, after)) = rest.get(open + 1..).and_then(|tag| tag.split_once('>')) else { break };
        let (is_end, named) = inside.strip_prefix('/').map_or((false, inside), |named| (true, named));
        let is_same = named.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
            && !named.get(name.len()..).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric()));
        if is_same && is_end {
            depth -= 1;
        } else if is_same && !inside.ends_with('/') {
            depth += 1;
        }
        rest = after;
        if depth == 0 {
            return rest;
        }
    }
    ""
}

/// How many columns or rows a cell goes over.
fn span(tag: &str, attribute: &str) -> usize {
    let lower = tag.to_ascii_lowercase();
    let value = lower.split_once(attribute).map_or("", |(_, value)| value);
    let digits: String =
        value.trim_start_matches(['=', '"', '\'', ' ']).chars().take_while(char::is_ascii_digit).take(3).collect();
    digits.parse().unwrap_or(1).clamp(1, MAX_SPAN)
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

/// What becomes of white space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spaces {
    /// However much there is, it is one space.
    One,
    /// It stands as it is.
    Kept,
}

/// Adds text whose lines and spaces are shown as they are.
fn push_lines(layout: &mut Layout, html: &str) {
    for (at, line) in html.split('\n').enumerate() {
        if at > 0 {
            layout.end_line();
        }
        push_text(layout.text(), line, Spaces::Kept);
    }
}

/// Adds text, its references resolved.
fn push_text(text: &mut String, html: &str, spaces: Spaces) {
    let mut rest = html;
    while let Some(c) = rest.chars().next() {
        if c == '&'
            && let Some(end) = rest.bytes().take(MAX_REFERENCE).position(|byte| byte == b';')
            && let Some((name, after)) = rest.get(1..end).zip(rest.get(end + 1..))
            && let Some(resolved) = reference(name)
        {
            push_char(text, resolved, spaces);
            rest = after;
            continue;
        }
        push_char(text, c, spaces);
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
}

fn push_char(text: &mut String, c: char, spaces: Spaces) {
    if !c.is_whitespace() {
        text.push(c);
    } else if spaces == Spaces::Kept || !text.ends_with(char::is_whitespace) {
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
        "szlig" => 'ß',
        "oelig" => 'œ',
        "aelig" => 'æ',
        "iexcl" => '¡',
        "iquest" => '¿',
        "ordf" => 'ª',
        "ordm" => 'º',
        "times" => '×',
        "hellip" => '…',
        "ldquo" | "rdquo" | "bdquo" => '"',
        "sbquo" => ',',
        "sup2" => '²',
        "sup3" => '³',
        "copy" => '©',
        "reg" => '®',
        "cent" => '¢',
        "sect" => '§',
        _ => return accented(name),
    })
}

/// A Latin letter with an accent: `eacute`, `Ouml`.
fn accented(name: &str) -> Option<char> {
    let letter = name.chars().next().filter(char::is_ascii_alphabetic)?;
    let mark = match name.get(1..)? {
        "acute" => '\u{301}',
        "grave" => '\u{300}',
        "circ" => '\u{302}',
        "tilde" => '\u{303}',
        "uml" => '\u{308}',
        "ring" => '\u{30a}',
        "cedil" => '\u{327}',
        "caron" => '\u{30c}',
        "slash" if letter == 'o' => return Some('ø'),
        "slash" if letter == 'O' => return Some('Ø'),
        _ => return None,
    };
    unicode_normalization::char::compose(letter, mark)
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
        assert_eq!(visible("a<div style='display: none'>b<div>c</div>d</div><p>e"), "a\ne");
        assert_eq!(visible("<span style=\"max-height:0px;overflow:hidden\">b</SPAN>e"), "e");
        let view = view("<style>.h{display:none}</style>a<p class=h>b</p><p style='color:white'>c</p>");
        assert_eq!(
            (view.shown.as_str(), view.sure.as_deref(), view.all.as_deref()),
            ("a\nc", Some("a"), Some("a\nb\nc"))
        );
        assert_eq!(visible("<p style='max-height:0.5em'>b</p><img style=display:none>c"), "b\nc");
        assert_eq!(visible(&"<div style=display:none>a".repeat(30_000)), "", "in linear time");
        assert_eq!(visible("<script>"), "");
        assert_eq!(visible("a < b &foo; &#xD800; &"), "a");
    }

    #[test]
    fn preformatted_text_keeps_its_lines_and_spaces() {
        let html = "a  b<pre>\nPower    10.00\nTotal    <b>12.00</b>&nbsp;EUR\n</pre>c  d\ne";
        let text = visible(html);
        let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        assert_eq!(lines, ["a b", "Power    10.00", "Total    12.00 EUR", "c d e"]);
    }

    #[test]
    fn a_term_and_its_value_are_a_row() {
        for html in ["<dl><dt>Due</dt> <dd>12.00</dd></dl>e", "<dl><dt><b>Due</b><dd>12.00<dt>e</dl>"] {
            assert_eq!(
                visible(html),
                "Due \t12.00\ne".replace("Due \t", if html.contains("</dt> ") { "Due \t" } else { "Due\t" })
            );
        }
        let long = format!("<dl><dt>Why?</dt><dd>{}</dd></dl>", "word ".repeat(40));
        assert!(visible(&long).starts_with("Why?\nword"), "an answer stands below");
    }

    #[test]
    fn raised_digits_are_decimals_or_a_note() {
        for (html, expected) in [
            ("29<sup>90</sup> €", "29,90 €"),
            ("1.299<sup>90</sup> €", "1.299,90 €"),
            ("1,299<sup>90</sup> €", "1,299.90 €"),
            ("$163<sup>.27</sup>", "$163.27"),
            ("12,00<sup>1</sup> €", "12,00 1 €"),
            ("m<sup>3</sup>", "m3"),
            ("fa&ccedil;a j&aacute; &Ouml;l &times; &oslash;", "faça já Öl × ø"),
        ] {
            assert_eq!(visible(html), expected, "{html}");
        }
    }

    #[test]
    fn data_is_found_whatever_case_it_is_in() {
        let html = "<script>x</script><SCRIPT TYPE=\"application/LD+json\">{\"a\":1}</SCRIPT><script type='application/ld+json'>";
        assert_eq!(json_ld(html), ["{\"a\":1}", ""]);
        let long = format!("<script type=application/ld+json>{}</script>", " ".repeat(MAX_JSON_LD + 1));
        assert!(json_ld(&long).is_empty());
    }
}
