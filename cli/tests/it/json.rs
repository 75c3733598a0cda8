//! `docs/json.md`, read: the types in it, and whether a document has the shape that it promises.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use crate::stage::Stage;

/// A type of the page. The part of TypeScript that it uses, and no more.
#[derive(Debug, Clone)]
enum Type {
    Text,
    Number,
    Boolean,
    Literal(String),
    List(Box<Type>),
    Map(Box<Type>),
    Object(Vec<(String, bool, Type)>),
    Union(Vec<Type>),
    Named(String),
}

/// The page.
struct Page {
    types: BTreeMap<String, Type>,
    /// The first type below the heading of each verb.
    verbs: BTreeMap<String, String>,
}

/// Holds what a command printed with `--json` to the page.
pub(crate) fn check(arguments: &[&str], printed: &[u8]) {
    let verb = arguments.iter().find(|argument| !argument.starts_with('-')).copied().unwrap_or_default();
    let value: Value = serde_json::from_slice(printed)
        .unwrap_or_else(|error| panic!("`{verb} --json` prints no single JSON value: {error}"));
    let page = page();
    let name = if value.get("error").is_some() {
        "Failure"
    } else {
        page.verbs.get(verb).unwrap_or_else(|| {
            panic!("docs/json.md says nothing of `{verb}`: add `### {verb}` with a ```ts block, its type first, for {value:#}")
        })
    };
    if let Err(error) = page.fits(&value, &Type::Named(name.to_owned()), verb) {
        panic!("what `{verb} --json` prints is not the `{name}` of docs/json.md: {error}\n{value:#}");
    }
}

fn page() -> &'static Page {
    static PAGE: OnceLock<Page> = OnceLock::new();
    PAGE.get_or_init(|| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/json.md");
        Page::read(&std::fs::read_to_string(path).expect("docs/json.md"))
    })
}

impl Page {
    fn read(text: &str) -> Self {
        let mut page = Self { types: BTreeMap::new(), verbs: BTreeMap::new() };
        let (mut verb, mut block) = (None, None::<String>);
        for line in text.lines() {
            match &mut block {
                None if line == "```ts" => block = Some(String::new()),
                None => {
                    if line.starts_with('#') {
                        verb = line.strip_prefix("### ").map(str::to_owned);
                    }
                }
                Some(code) if line == "```" => {
                    let mut tokens = Tokens::of(code);
                    while let Some((name, ty)) = tokens.declaration() {
                        if let Some(verb) = verb.take() {
                            page.verbs.insert(verb, name.clone());
                        }
                        assert!(page.types.insert(name.clone(), ty).is_none(), "`{name}` is there twice");
                    }
                    block = None;
                }
                Some(code) => {
                    code.push_str(line.split("//").next().unwrap_or_default());
                    code.push('\n');
                }
            }
        }
        page
    }

    fn fits(&self, value: &Value, ty: &Type, at: &str) -> Result<(), String> {
        let wrong = |wanted: &str| Err(format!("{at} is {value}, not {wanted}"));
        match (ty, value) {
            // Any object.
            (Type::Named(name), Value::Object(_)) if name == "object" => Ok(()),
            (Type::Text, Value::String(_)) | (Type::Boolean, Value::Bool(_)) => Ok(()),
            (Type::Number, Value::Number(number)) if number.is_i64() || number.is_u64() => Ok(()),
            (Type::Literal(text), Value::String(found)) if text == found => Ok(()),
            (Type::List(each), Value::Array(items)) => {
                items.iter().enumerate().try_for_each(|(index, item)| self.fits(item, each, &format!("{at}[{index}]")))
            }
            (Type::Map(each), Value::Object(members)) => {
                members.iter().try_for_each(|(name, member)| self.fits(member, each, &format!("{at}.{name}")))
            }
            (Type::Object(wanted), Value::Object(members)) => {
                if let Some(name) = members.keys().find(|name| !wanted.iter().any(|(known, ..)| known == *name)) {
                    return Err(format!("{at}.{name} is not in the page"));
                }
                wanted.iter().try_for_each(|(name, optional, ty)| match members.get(name) {
                    Some(member) => self.fits(member, ty, &format!("{at}.{name}")),
                    None if *optional => Ok(()),
                    None => Err(format!("{at}.{name} is missing")),
                })
            }
            (Type::Union(types), value) => {
                let tried: Vec<String> = types.iter().filter_map(|ty| self.fits(value, ty, at).err()).collect();
                if tried.len() < types.len() { Ok(()) } else { Err(tried.join("; or ")) }
            }
            (Type::Named(name), value) => match self.types.get(name) {
                Some(ty) => self.fits(value, ty, at),
                None => Err(format!("the page has no type `{name}`")),
            },
            (ty, _) => wrong(&format!("{ty:?}")),
        }
    }
}

/// The words and signs of a block.
struct Tokens(Vec<String>);

impl Tokens {
    fn of(code: &str) -> Self {
        let pattern = regex::Regex::new(r"'[^']*'|[A-Za-z_][A-Za-z0-9_]*|[^\sA-Za-z0-9_]").expect("a pattern");
        let mut tokens: Vec<String> = pattern.find_iter(code).map(|found| found.as_str().to_owned()).collect();
        tokens.reverse();
        Self(tokens)
    }

    fn next(&mut self) -> String {
        self.0.pop().expect("the page's code goes on")
    }

    fn peek(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }

    fn take(&mut self, wanted: &str) -> bool {
        let is_it = self.peek() == wanted;
        if is_it {
            self.0.pop();
        }
        is_it
    }

    fn expect(&mut self, wanted: &str) {
        let found = self.next();
        assert_eq!(found, wanted, "docs/json.md");
    }

    /// `type Name = T;`
    fn declaration(&mut self) -> Option<(String, Type)> {
        if self.0.is_empty() {
            return None;
        }
        self.expect("type");
        let name = self.next();
        self.expect("=");
        let ty = self.union();
        self.expect(";");
        Some((name, ty))
    }

    fn union(&mut self) -> Type {
        let mut types = vec![self.listed()];
        while self.take("|") {
            types.push(self.listed());
        }
        if types.len() == 1 { types.swap_remove(0) } else { Type::Union(types) }
    }

    fn listed(&mut self) -> Type {
        let mut ty = self.single();
        while self.take("[") {
            self.expect("]");
            ty = Type::List(Box::new(ty));
        }
        ty
    }

    fn single(&mut self) -> Type {
        match self.next().as_str() {
            "string" => Type::Text,
            "number" => Type::Number,
            "boolean" => Type::Boolean,
            "Record" => {
                for sign in ["<", "string", ","] {
                    self.expect(sign);
                }
                let each = self.union();
                self.expect(">");
                Type::Map(Box::new(each))
            }
            "{" => {
                let mut members = Vec::new();
                while !self.take("}") {
                    let name = self.next();
                    let optional = self.take("?");
                    self.expect(":");
                    members.push((name, optional, self.union()));
                    self.take(";");
                }
                Type::Object(members)
            }
            text if text.starts_with('\'') => Type::Literal(text.trim_matches('\'').to_owned()),
            name => Type::Named(name.to_owned()),
        }
    }
}

#[test]
fn the_page_finds_what_does_not_fit() {
    let page = Page::read(
        "### one\n```ts\ntype One = { a: number; b?: 'x' | 'y'; c: { d: string }[] } | Two; // no\ntype Two = Record<string, boolean>;\n```\n",
    );
    assert_eq!(page.verbs["one"], "One");
    let fits = |text: &str| {
        let value: Value = serde_json::from_str(text).expect("JSON");
        page.fits(&value, &Type::Named("One".into()), "one")
    };
    for text in [r#"{"a":1,"c":[]}"#, r#"{"a":1,"b":"y","c":[{"d":""}]}"#, r#"{"z":true}"#] {
        fits(text).expect(text);
    }
    for text in [
        r#"{"a":1}"#,
        r#"{"a":1.5,"c":[]}"#,
        r#"{"a":1,"c":[],"e":1}"#,
        r#"{"a":1,"b":"z","c":[]}"#,
        r#"{"a":1,"c":[{}]}"#,
        r#"[]"#,
    ] {
        assert!(fits(text).is_err(), "{text}");
    }
}

/// Every run with `--json` in every test is held to the page (`Stage::run`); here those that no other test makes.
#[test]
fn verbs_that_no_other_test_runs_for_a_program() {
    let stage = Stage::with_store();
    stage.login_with("publisher", &["--json"]);
    stage.succeed("publisher", &["keygen"]);
    stage.succeed("publisher", &["--json", "new", "night-sky", "--kind", "command"]);
    crate::guest::project(&stage.path("sketch"), "1.0.0");
    stage.succeed("publisher", &["--json", "seal", "sketch", "--advisory-metering"]);
    let file = "sketch-1.0.0.sealed.wasm";
    stage.succeed("publisher", &["--json", "publish", file, "--project", "sketch"]);
    stage.succeed("publisher", &["--json", "inspect", file, "--extract", "full", "-o", "full.age"]);
    stage.succeed("publisher", &["--json", "price", "acme/sketch"]);
    stage.succeed("publisher", &["--json", "withdraw", "acme/sketch@1.0.0", "--reason", "a test", "--yes"]);
    stage.succeed("publisher", &["--json", "restore", "acme/sketch@1.0.0"]);
    stage.succeed("publisher", &["--json", "search"]);
    stage.succeed("publisher", &["--json", "top-up", "5.00EUR", "--yes"]);
    stage.succeed("publisher", &["--json", "balance"]);
    stage.succeed("publisher", &["--json", "receipts"]);
    stage.succeed("publisher", &["--json", "completions", "fish"]);
    stage.succeed("publisher", &["--json", "man"]);
    stage.succeed("publisher", &["--json", "man", "--dir", "man"]);
    stage.run("publisher", &["--json", "install", "nonsense@"]);
}
