//! schema.org in the attributes of HTML (microdata), as the same JSON that JSON-LD has: the reader of that reads both.

use crate::extract::html;
use crate::limits::{MAX_MICRODATA_DEPTH, MAX_MICRODATA_TEXT, MAX_MICRODATA_VALUES};
use serde_json::{Map, Value};

/// Elements that have no end tag.
const VOID: [&str; 14] =
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"];

/// An element that has begun.
struct Open<'h> {
    name: String,
    /// The property that it is of the item around it.
    property: Option<String>,
    /// The item that it is.
    item: Option<Map<String, Value>>,
    /// Where its content begins, if the text of it is the property's value.
    text_from: Option<&'h str>,
}

/// The items of a page that are in no other item; none if the page goes beyond a limit.
pub(super) fn items(html: &str) -> Vec<Value> {
    // Nearly no mail has any.
    if !html.contains("itemscope") {
        return Vec::new();
    }
    let (mut open, mut found, mut values): (Vec<Open<'_>>, Vec<Value>, usize) = (Vec::new(), Vec::new(), 0);
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let tag = rest.get(at..).unwrap_or_default();
        if let Some(comment) = tag.strip_prefix("<!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let Some((inside, after)) = tag_end(tag) else { break };
        rest = after;
        if let Some(name) = inside.strip_prefix('/') {
            let name = name.trim().to_ascii_lowercase();
            // One that was never begun ends nothing.
            let Some(from) = open.iter().rposition(|element| element.name == name) else { continue };
            for element in open.split_off(from).into_iter().rev() {
                close(element, tag, &mut open, &mut found);
            }
            continue;
        }
        let (name, attributes) = attributes(inside);
        if matches!(name.as_str(), "script" | "style") {
            rest = html::after_element(after, &name);
            continue;
        }
        let get = |wanted: &str| attributes.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        let property = get("itemprop");
        let item = get("itemscope")
            .map(|_| Map::from_iter([("@type".to_owned(), Value::String(get("itemtype").unwrap_or_default()))]));
        let value = ["content", "datetime", "value", "href"].iter().find_map(|name| get(name));
        if property.is_some() || item.is_some() {
            values += 1;
        }
        if open.len() >= MAX_MICRODATA_DEPTH || values > MAX_MICRODATA_VALUES {
            return Vec::new();
        }
        let is_void = VOID.contains(&name.as_str());
        let mut element = Open { name, property, item, text_from: None };
        if element.item.is_none() && element.property.is_some() {
            match value {
                Some(value) => {
                    set(&mut open, element.property.take(), Value::String(value));
                }
                None => element.text_from = Some(after),
            }
        }
        if !is_void {
            open.push(element);
        }
    }
    while let Some(element) = open.pop() {
        close(element, "", &mut open, &mut found);
    }
    found
}

/// Ends an element: its item, or its text up to `end`, becomes a property of the item around it.
fn close<'h>(element: Open<'h>, end: &'h str, open: &mut [Open<'h>], found: &mut Vec<Value>) {
    let value = match (element.item, element.text_from) {
        (Some(item), _) => Value::Object(item),
        (None, Some(from)) => {
            let text = from.get(..from.len().saturating_sub(end.len())).unwrap_or_default();
            let text = text.get(..text.floor_char_boundary(MAX_MICRODATA_TEXT)).unwrap_or_default();
            Value::String(html::visible(text).trim().to_owned())
        }
        (None, None) => return,
    };
    let is_item = value.is_object();
    if !set(open, element.property, value.clone()) && is_item {
        found.push(value);
    }
}

/// Sets a property of the innermost item, if there is one. One that is there already becomes a list.
fn set(open: &mut [Open<'_>], property: Option<String>, value: Value) -> bool {
    let Some(property) = property else { return false };
    let Some(item) = open.iter_mut().rev().find_map(|element| element.item.as_mut()) else { return false };
    let value = match item.remove(&property) {
        None => value,
        Some(Value::Array(mut list)) => {
            list.push(value);
            Value::Array(list)
        }
        Some(first) => Value::Array(vec![first, value]),
    };
    item.insert(property, value);
    true
}

/// What is between the brackets of a tag, quotes respected, and what follows it.
fn tag_end(tag: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (at, c) in tag.char_indices().skip(1) {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('>', None) => return Some((tag.get(1..at)?, tag.get(at + 1..)?)),
            _ => {}
        }
    }
    None
}

/// The name of a tag and its attributes, both in lower case, with their values.
pub(super) fn attributes(inside: &str) -> (String, Vec<(String, String)>) {
    let inside = inside.trim_end_matches('/');
    let end = inside.find(char::is_whitespace).unwrap_or(inside.len());
    let (name, mut rest) = inside.split_at(end);
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start();
        let end = rest.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        if name.is_empty() && after.is_empty() {
            break;
        }
        let Some(value) = after.trim_start().strip_prefix('=').map(str::trim_start) else {
            found.push((name.to_ascii_lowercase(), String::new()));
            rest = after;
            continue;
        };
        let (value, after) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                value.get(1..).and_then(|value| value.split_once(quote)).unwrap_or((value, ""))
            }
            _ => value.split_at(value.find(char::is_whitespace).unwrap_or(value.len())),
        };
        found.push((name.to_ascii_lowercase(), html::visible(value).trim().to_owned()));
        rest = after;
    }
    (name.to_ascii_lowercase(), found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn items_are_what_json_ld_would_say() {
        let html = r#"<div itemscope itemtype="http://schema.org/Invoice"><p>Invoice of <b itemprop=accountId>A-<i>77</i></b>
            <meta itemprop="paymentDueDate" content="2026-12-15"/><br>
            <div itemprop="totalPaymentDue" itemscope itemtype="http://schema.org/PriceSpecification">
              <span itemprop="price">$70.00</span><META ITEMPROP='priceCurrency' CONTENT='USD'></div>
            <script itemprop="price">1.00</script><!-- <b itemprop="accountId">no</b> --></div><p itemprop="price">9</p>"#;
        let expected = json!({
            "@type": "http://schema.org/Invoice", "accountId": "A-77", "paymentDueDate": "2026-12-15",
            "totalPaymentDue": {"@type": "http://schema.org/PriceSpecification", "price": "$70.00", "priceCurrency": "USD"},
        });
        assert_eq!(items(html), [expected]);
        let twice = r#"<div itemscope><b itemprop="price">1.00</b><b itemprop="price">2.00</b></div>"#;
        assert_eq!(items(twice), [json!({"@type": "", "price": ["1.00", "2.00"]})]);
        assert_eq!(items(r#"<p a="<" itemscope><b itemprop="x">1</b>"#), [json!({"@type": "", "x": "1"})], "unclosed");
    }

    #[test]
    fn deep_and_endless_pages_have_none() {
        assert!(items(&"<div itemscope>".repeat(MAX_MICRODATA_DEPTH + 1)).is_empty());
        let many = r#"<b itemprop="a">1</b>"#.repeat(MAX_MICRODATA_VALUES + 1);
        assert!(items(&format!("<div itemscope>{many}</div>")).is_empty());
        for odd in
            ["<div itemscope", "</div itemscope>", "<div itemscope itemprop=>", "<div itemscope a='", "< itemscope>"]
        {
            drop(items(odd));
        }
    }
}
