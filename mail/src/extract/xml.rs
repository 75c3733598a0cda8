//! XML invoices: no DTD, so no entities and nothing external; bounded in bytes, nodes and depth.

use crate::extract::{Bill, Refusal, cii, rules, ubl};
use crate::limits::{MAX_XML, MAX_XML_DEPTH, MAX_XML_NODES};
use roxmltree::{Document, Node, ParsingOptions};

/// The invoice in an XML file; `None` if the file is something else.
pub(super) fn invoice(bytes: &[u8]) -> Option<Result<Bill, Refusal>> {
    // Most XML in mail is no invoice. What mentions neither vocabulary is left alone, well-formed or not.
    let names = [ubl::INVOICE, ubl::CREDIT_NOTE, cii::INVOICE];
    if !names.iter().any(|name| bytes.windows(name.len()).any(|window| window == name.as_bytes())) {
        return None;
    }
    Some(read(bytes))
}

fn read(bytes: &[u8]) -> Result<Bill, Refusal> {
    if bytes.len() > MAX_XML || too_deep(bytes) {
        return Err(Refusal::Malformed);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Refusal::Malformed)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_XML_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|_| Refusal::Malformed)?;
    let root = document.root_element();
    let bill = match root.tag_name().namespace() {
        Some(ubl::INVOICE) => ubl::bill(root)?,
        Some(ubl::CREDIT_NOTE) => return Err(Refusal::CreditNote),
        Some(cii::INVOICE) => cii::bill(root)?,
        _ => return Err(Refusal::Malformed),
    };
    Ok(Bill { broken: rules::broken(root), ..bill })
}

/// Whether a fragment of an invoice breaks a rule of EN 16931; `None` if it cannot be told.
pub(super) fn breaks_rule(bytes: &[u8], rule: &str) -> Option<bool> {
    let document = Document::parse(std::str::from_utf8(bytes).ok()?).ok()?;
    rules::verdict(document.root_element(), rule)
}

/// Counts start tags against end tags before anything recurses over them. Comments and CDATA only make it stricter.
fn too_deep(bytes: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(open) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'<')) {
        at += open + 1;
        match bytes.get(at) {
            Some(b'/') => depth = depth.saturating_sub(1),
            Some(b'!' | b'?') => {}
            _ => {
                let end = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'>'));
                let empty = end.is_some_and(|end| end > 0 && bytes.get(at + end - 1) == Some(&b'/'));
                depth += usize::from(!empty);
                if depth > MAX_XML_DEPTH {
                    return true;
                }
                at += end.unwrap_or_default();
            }
        }
    }
    false
}

/// The first descendant along a path of local names, its text trimmed; `None` if it is absent or empty.
pub(super) fn text<'a>(node: Node<'a, '_>, path: &[&str]) -> Option<&'a str> {
    all(node, path).into_iter().find_map(own_text)
}

/// All descendants along a path of local names.
pub(super) fn all<'a, 'i>(node: Node<'a, 'i>, path: &[&str]) -> Vec<Node<'a, 'i>> {
    path.iter().fold(vec![node], |nodes, name| {
        let inside = |node: Node<'a, 'i>| node.children().filter(|child| child.tag_name().name() == *name);
        nodes.into_iter().flat_map(inside).collect()
    })
}

/// An element's text. One that is interrupted by elements or comments is none: two readers could read two amounts.
pub(super) fn own_text<'a>(node: Node<'a, '_>) -> Option<&'a str> {
    let mut children = node.children();
    let text = children.next()?.text()?.trim();
    (children.next().is_none() && !text.is_empty()).then_some(text)
}
