//! What styles hide. A mail program may know better, so that what is hidden is not read and yet has to agree.

use std::collections::HashMap;

/// Rules of a page's style sheets that are looked at: advertising has some hundred.
const MAX_RULES: usize = 2_000;

/// Whether a person sees a piece of a page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Concealment {
    #[default]
    Shown,
    /// It may be hidden: white on what may be white, off the screen, without a size, or for some screens alone.
    Doubtful,
    Hidden,
}

/// The style sheets of a page.
#[derive(Debug, Default)]
pub(super) struct Sheets {
    /// By `.class`, `#id` or element.
    concealed: HashMap<String, Concealment>,
    /// Whether they write digits where the page has none.
    pub(super) write_digits: bool,
}

impl Sheets {
    pub(super) fn of(html: &str) -> Self {
        let mut sheets = Self::default();
        let lower = html.to_ascii_lowercase();
        let mut rest = lower.as_str();
        while let Some((_, tag)) = rest.split_once("<style") {
            let Some((_, text)) = tag.split_once('>') else { break };
            let (text, after) = text.split_once("</style").unwrap_or((text, ""));
            sheets.read(&plain(text));
            rest = after;
        }
        sheets
    }

    fn read(&mut self, css: &str) {
        let (mut rest, mut depth, mut rules) = (css, 0_usize, 0);
        while let Some(at) = rest.find(['{', '}'])
            && rules < MAX_RULES
        {
            let (selector, brace) = rest.split_at(at);
            let inside = brace.get(1..).unwrap_or_default();
            if brace.starts_with('}') {
                depth = depth.saturating_sub(1);
                rest = inside;
                continue;
            }
            let end = inside.find(['{', '}']).unwrap_or(inside.len());
            let (declarations, after) = inside.split_at(end);
            if after.starts_with('{') {
                // `@media` and the like: what it says is said to some screens.
                depth += 1;
                rest = inside;
                continue;
            }
            rules += 1;
            self.rule(selector, declarations, depth > 0);
            rest = after.get(1..).unwrap_or_default();
        }
    }

    fn rule(&mut self, selectors: &str, declarations: &str, is_conditional: bool) {
        let written = declarations.split_once("content").map_or("", |(_, after)| after.split(';').next().unwrap_or(""));
        let has_digits = written.contains(|c: char| c.is_ascii_digit()) || written.contains("attr(");
        self.write_digits |= written.trim_start().starts_with(':') && has_digits;
        let concealment = concealment(declarations);
        if concealment == Concealment::Shown {
            return;
        }
        let concealment = if is_conditional { Concealment::Doubtful } else { concealment };
        for selector in selectors.split(',') {
            let last = selector.trim().rsplit([' ', '>', '+', '~', '\n', '\t']).next().unwrap_or_default();
            let last = last.split([':', '[']).next().unwrap_or_default();
            // The last name decides most: `td.hidden` is about what is hidden.
            let at = last.rfind(['.', '#']).unwrap_or_default();
            if let Some(name) = last.get(at..).filter(|name| !name.is_empty()) {
                let known = self.concealed.entry(name.to_owned()).or_default();
                *known = (*known).max(concealment);
            }
        }
    }

    /// What becomes of an element of this name with these attributes.
    pub(super) fn concealment(&self, element: &str, attributes: &[(String, String)]) -> Concealment {
        let by_element = match element {
            "template" | "datalist" => Concealment::Hidden,
            // Shown by programs that run no scripts, and by those that draw forms.
            "noscript" | "textarea" => Concealment::Doubtful,
            _ => Concealment::Shown,
        };
        let of = |key: &str| self.concealed.get(key).copied().unwrap_or_default();
        let by_attribute = attributes.iter().map(|(name, value)| match name.as_str() {
            "hidden" => Concealment::Hidden,
            "style" => {
                let grounds = attributes.iter().filter(|(name, _)| name == "bgcolor");
                let grounds: String = grounds.map(|(_, color)| format!(";background:{color}")).collect();
                // On a dark page stand boxes of any colour.
                let value =
                    if element == "body" { value.replace("background", "-") } else { format!("{value}{grounds}") };
                concealment(&plain(&value.to_ascii_lowercase()))
            }
            "class" => {
                let classes = value.split_whitespace().map(|class| of(&format!(".{}", class.to_ascii_lowercase())));
                classes.max().unwrap_or_default()
            }
            "id" => of(&format!("#{}", value.to_ascii_lowercase())),
            _ => Concealment::Shown,
        });
        by_attribute.chain([by_element, of(element)]).max().unwrap_or_default()
    }
}

/// Styles without comments, and with what escapes stand for: `d\69splay` is `display`.
fn plain(css: &str) -> String {
    let mut kept = String::with_capacity(css.len());
    let mut rest = css;
    while let Some(at) = rest.find(['/', '\\']) {
        let (before, from) = rest.split_at(at);
        kept.push_str(before);
        if let Some(comment) = from.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, after)| after);
            continue;
        }
        let after = from.get(1..).unwrap_or_default();
        if from.starts_with('/') {
            kept.push('/');
            rest = after;
            continue;
        }
        let digits = after.bytes().take(6).take_while(u8::is_ascii_hexdigit).count();
        let (code, after) = after.split_at(digits);
        let escaped = u32::from_str_radix(code, 16).ok().and_then(char::from_u32);
        kept.extend(escaped.map(|c| c.to_ascii_lowercase()));
        // A space behind it ends it.
        rest = if digits > 0 { after.strip_prefix(' ').unwrap_or(after) } else { after };
    }
    kept + rest
}

/// Whether a colour is white.
fn is_white(color: &str) -> bool {
    matches!(color, "#fff" | "#ffffff" | "white")
}

/// Whether declarations give an element a ground of its own that is a plain colour, and not nearly white.
fn has_dark_ground(declarations: &str) -> bool {
    declarations.split(';').any(|declaration| {
        let declaration: String = declaration.chars().filter(|c| !c.is_whitespace()).collect();
        let ground = ["background:", "background-color:"].iter().find_map(|name| declaration.strip_prefix(name));
        ground.and_then(|color| color.strip_prefix('#')).is_some_and(|digits| {
            let is_hex = matches!(digits.len(), 3 | 6) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            let part = digits.len() / 3;
            // One of its three parts is dark at least.
            is_hex && (0..3).any(|at| digits.get(at * part..).is_some_and(|part| part.starts_with(|c| c < 'c')))
        })
    })
}

/// What declarations do, in lower case and plain.
fn concealment(declarations: &str) -> Concealment {
    let has_dark_ground = has_dark_ground(declarations);
    let of = |declaration: &str| {
        let declaration: String = declaration.chars().filter(|c| !c.is_whitespace()).collect();
        let Some((property, value)) = declaration.split_once(':') else { return Concealment::Shown };
        let value = value.split('!').next().unwrap_or_default();
        let is_zero = || number(value).is_some_and(|number| number.abs() < f32::EPSILON);
        let is_negative = || number(value).is_some_and(|number| number < -20.0);
        match property {
            "display" if value == "none" => Concealment::Hidden,
            "visibility" if matches!(value, "hidden" | "collapse") => Concealment::Hidden,
            "opacity" | "max-height" if is_zero() => Concealment::Hidden,
            // Pages are laid out with the first two; what is inside has a size of its own then.
            "font-size" | "line-height" | "height" | "width" | "max-width" if is_zero() => Concealment::Doubtful,
            "font-size" if number(value).is_some_and(|number| number <= 3.0) && value.ends_with("px") => {
                Concealment::Doubtful
            }
            "left" | "top" | "right" | "bottom" | "text-indent" | "margin-left" | "margin-top" if is_negative() => {
                Concealment::Doubtful
            }
            "color" if is_white(value) && has_dark_ground => Concealment::Shown,
            "color" if is_white(value) || value == "transparent" => Concealment::Doubtful,
            "color" if value.starts_with("rgba(") && value.ends_with(",0)") => Concealment::Doubtful,
            "mso-hide" | "clip" | "clip-path" | "transform" => Concealment::Doubtful,
            "font" if value.starts_with("0") => Concealment::Doubtful,
            _ => Concealment::Shown,
        }
    };
    declarations.split(';').map(of).max().unwrap_or_default()
}

/// The number that a value begins with.
fn number(value: &str) -> Option<f32> {
    let end = value.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').unwrap_or(value.len());
    value.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_hide_in_many_ways() {
        for style in
            ["display:none", "display : none !important", "visibility: hidden", "opacity:0.0", "max-height:0px"]
        {
            assert_eq!(concealment(style), Concealment::Hidden, "{style}");
        }
        for style in ["color:#fff", "font-size:0", "position:absolute;left:-9999px", "text-indent:-999em"] {
            assert_eq!(concealment(style), Concealment::Doubtful, "{style}");
        }
        // On a ground of its own white is seen.
        for style in ["background:#0a7d55;color:#fff", "color:white;background-color:#112"] {
            assert_eq!(concealment(style), Concealment::Shown, "{style}");
        }
        for style in ["background:#fff;color:#fff", "background:#eee;color:#fff", "background:url(a);color:#fff"] {
            assert_eq!(concealment(style), Concealment::Doubtful, "{style}");
        }
        for style in ["display:block", "opacity:0.5", "max-height:0.5em", "color:#333", "margin-left:-4px", ""] {
            assert_eq!(concealment(style), Concealment::Shown, "{style}");
        }
        assert_eq!(plain("display/* x */:none/*"), "display:none");
        assert_eq!(plain("d\\69splay:url(a/b) \\39 8\\bb\\"), "display:url(a/b) 98\u{bb}");
    }

    #[test]
    fn sheets_hide_by_class_id_and_element() {
        let html = "<style>.a, td.b { display:none } #c{opacity:0} @media (max-width:9px) { .d{display:none} }
            p.e:before{content:'98'} .f{content:\"\"} i{display:none}</style>";
        let sheets = Sheets::of(html);
        let of = |name: &str, attribute: &str, value: &str| {
            sheets.concealment(name, &[(attribute.to_owned(), value.to_owned())])
        };
        assert_eq!(of("p", "class", "x A"), Concealment::Hidden);
        assert_eq!(of("td", "class", "b"), Concealment::Hidden);
        assert_eq!(of("p", "id", "c"), Concealment::Hidden);
        assert_eq!(of("p", "class", "d"), Concealment::Doubtful, "on some screens");
        assert_eq!(of("i", "class", "x"), Concealment::Hidden);
        assert_eq!(of("p", "hidden", ""), Concealment::Hidden);
        assert_eq!(of("template", "class", "x"), Concealment::Hidden);
        assert_eq!(of("p", "class", "e"), Concealment::Shown);
        assert!(sheets.write_digits && !Sheets::of("<style>.f{content:\"\"}</style>").write_digits);
        let endless = format!("<style>{}", ".a{".repeat(100_000));
        assert_eq!(Sheets::of(&endless).concealed.len(), 0);
    }
}
