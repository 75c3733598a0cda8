//! Names of operations and parts in the sources of a resource, as far as they are written out where they are used:
//! `billing::request("view")`, `Request::new("view")`, `grant.open("full")`.
//!
//! A macro cannot ask what a call means, so these are calls that look like those of the SDK; if another's may look
//! the same, the use is not certain. What only tests run is left out.

use crate::operation;
use crate::paid;
use crate::uses::Use;
use std::fs;
use std::path::Path;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprCall, ExprLit, ExprMethodCall, ImplItemFn, Item, ItemFn, Lit, Signature};

/// A use and its place, `src/lib.rs:12`.
pub(crate) struct Found {
    pub(crate) used: Use,
    pub(crate) place: String,
}

/// Everything found below `src` of a package. What cannot be read is the compiler's to complain about.
pub(crate) fn find(package: &Path) -> Vec<Found> {
    let mut found = Vec::new();
    walk(package, &package.join("src"), &mut found);
    found
}

fn walk(package: &Path, folder: &Path, found: &mut Vec<Found>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
        if path.is_dir() && !is_test {
            walk(package, &path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") && !is_test {
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let name = path.strip_prefix(package).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            found.extend(in_text(&text).into_iter().map(|used| Found { place: place(&name, &text, &used), used }));
        }
    }
}

/// The line on which the name stands first.
fn place(file: &str, text: &str, used: &Use) -> String {
    let (Use::Operation { name, .. } | Use::Part { name, .. }) = used;
    let quoted = format!("\"{name}\"");
    match text.lines().position(|line| line.contains(&quoted)) {
        Some(line) => format!("{file}:{}", line + 1),
        None => file.to_owned(),
    }
}

fn in_text(text: &str) -> Vec<Use> {
    let Ok(file) = syn::parse_file(text) else { return Vec::new() };
    let imports = text.lines().map(str::trim).filter(|line| line.starts_with("use ") && line.contains("billing::"));
    let plain_request = imports.filter(|line| line.contains("request")).count() > 0;
    let mut visitor = Visitor { plain_request, under: None, uses: Vec::new() };
    visitor.visit_file(&file);
    visitor.uses
}

struct Visitor {
    /// Whether `request` by itself may be the SDK's.
    plain_request: bool,
    /// The grant and the operation of the paid function around.
    under: Option<(String, String)>,
    uses: Vec<Use>,
}

impl Visitor {
    fn function(&mut self, attributes: &[Attribute], signature: &Signature, inside: impl FnOnce(&mut Self)) {
        if attributes.iter().any(is_test) {
            return;
        }
        let paid = attributes.iter().find(|attribute| is_called(attribute, "paid"));
        let under = paid.and_then(|attribute| paid::grant_and_operation(attribute, signature));
        let before = std::mem::replace(&mut self.under, under);
        inside(self);
        self.under = before;
    }

    fn add(&mut self, used: Use) {
        if !self.uses.contains(&used) {
            self.uses.push(used);
        }
    }

    fn operation(&mut self, argument: Option<&Expr>, certain: bool) {
        if let Some(name) = argument.and_then(name) {
            self.add(Use::Operation { name, certain });
        }
    }
}

impl<'ast> Visit<'ast> for Visitor {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Mod(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Const(item) => &item.attrs,
            _ => &Vec::new(),
        };
        if !attributes.iter().any(is_test) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.function(&function.attrs, &function.sig, |visitor| visit::visit_item_fn(visitor, function));
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.function(&function.attrs, &function.sig, |visitor| visit::visit_impl_item_fn(visitor, function));
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(path) = &*call.func {
            let segments: Vec<String> = path.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            let mut back = segments.iter().rev().map(String::as_str);
            match (back.next(), back.next(), call.args.len()) {
                (Some("request"), Some("billing"), 1) | (Some("grant_for"), _, 1 | 2) => {
                    self.operation(call.args.last(), true);
                }
                (Some("request"), None, 1) if self.plain_request => self.operation(call.args.first(), true),
                (Some("new"), Some("Request"), 1) => self.operation(call.args.first(), false),
                (Some("open"), Some("vault"), 2) => {
                    if let Some(name) = call.args.last().and_then(name) {
                        self.add(Use::Part { name, operation: None, certain: true });
                    }
                }
                _ => {}
            }
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        if call.method == "open"
            && call.args.len() == 1
            && let Some(name) = call.args.first().and_then(name)
        {
            let operation = self.under.as_ref().filter(|(grant, _)| is_named(&call.receiver, grant));
            let operation = operation.map(|(_, operation)| operation.clone());
            let certain = operation.is_some() || is_grant(&call.receiver);
            self.add(Use::Part { name, operation, certain });
        }
        visit::visit_expr_method_call(self, call);
    }
}

/// A text that may be the name of an operation or a part: both have one form.
fn name(expression: &Expr) -> Option<String> {
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = expression else { return None };
    Some(text.value()).filter(|text| operation::is_valid(text))
}

/// Whether an expression is a grant, by what it is called or by the function that gives it.
fn is_grant(expression: &Expr) -> bool {
    match expression {
        Expr::Path(path) => {
            path.path.get_ident().is_some_and(|name| name == "grant" || name.to_string().ends_with("_grant"))
        }
        Expr::Reference(reference) => is_grant(&reference.expr),
        Expr::Try(tried) => is_grant(&tried.expr),
        Expr::MethodCall(call) => call.method == "verify",
        Expr::Call(call) => match &*call.func {
            Expr::Path(path) => {
                path.path.segments.last().is_some_and(|last| last.ident == "entry" || last.ident == "grant_for")
            }
            _ => false,
        },
        _ => false,
    }
}

fn is_named(expression: &Expr, name: &str) -> bool {
    matches!(expression, Expr::Path(path) if path.path.is_ident(name))
}

fn is_called(attribute: &Attribute, name: &str) -> bool {
    attribute.path().segments.last().is_some_and(|segment| segment.ident == name)
}

/// `#[test]`, `#[tokio::test]`, `#[cfg(test)]`.
fn is_test(attribute: &Attribute) -> bool {
    is_called(attribute, "test")
        || (attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Ident>().is_ok_and(|what| what == "test"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_where_they_are_used_and_tests_are_left_out() {
        let part = |name: &str, operation: Option<&str>, certain| Use::Part {
            name: name.into(),
            operation: operation.map(str::to_owned),
            certain,
        };
        let operation = |name: &str, certain| Use::Operation { name: name.into(), certain };
        let uses = in_text(
            r#"
            use portcullis_guest::{Grant, billing, paid};
            impl Guest for Picture {
                #[paid(operation = "view")]
                fn view(grant: &Grant) -> Result<(), Refusal> {
                    let opened = [1].iter().map(|_| grant.open("full").unwrap());
                    billing::entry().open("sketch").unwrap();
                    File::open("not-a-part"); options.open("/data/file"); grant.open(PART); options.open("notes");
                    code.verify()?.open("proven");
                    billing::request("bulk")?; Request::new("print").send()?; request("unrelated");
                }
            }
            fn raw(handle: &Handle) { vault::open(handle, "raw-part"); }
            #[cfg(test)]
            mod tests { fn x() { billing::request("only-tested"); } }
            #[test]
            fn y() { billing::request("only-tested"); }
            "#,
        );
        let expected = [
            part("full", Some("view"), true),
            part("sketch", None, true),
            part("notes", None, false),
            part("proven", None, true),
            operation("bulk", true),
            operation("print", false),
            part("raw-part", None, true),
        ];
        assert_eq!(uses, expected);
        assert_eq!(in_text("use portcullis_guest::billing::request; fn f() { request(\"view\"); }").len(), 1);
        assert_eq!(in_text("not Rust").len(), 0);
    }

    #[test]
    fn a_place_is_the_line_of_the_name() {
        let used = Use::Operation { name: "view".into(), certain: true };
        assert_eq!(place("src/lib.rs", "a\nb(\"view\")\n", &used), "src/lib.rs:2");
    }
}
