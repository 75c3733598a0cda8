//! What the documentation says of the sources is so: paths, maps of folders, recipes, tables of the database.

use anyhow::{Context as _, Result};
use portcullis_tests::checkout;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders of the checkout that documentation names files of.
const TOP: [&str; 15] = [
    "arguments/",
    "cli/",
    "compare/",
    "docs/",
    "example-resources/",
    "examples/",
    "folders/",
    "guest-sdk/",
    "host/",
    "mail/",
    "protocol/",
    "server/",
    "tests/",
    "wit/",
    "xtask/",
];

fn read(path: &str) -> Result<String> {
    fs::read_to_string(checkout::root().join(path)).with_context(|| format!("reading {path}"))
}

/// The pages: `docs/`, and those at the top.
fn pages() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in ["docs", "docs/decisions", "."] {
        for entry in fs::read_dir(checkout::root().join(folder))? {
            let path = entry?.path();
            // The change log tells what was.
            if path.extension().is_some_and(|ending| ending == "md") && !path.ends_with("CHANGELOG.md") {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// The paths between backticks. What holds a placeholder is none, and what follows a colon is a place in the file.
fn paths(page: &str) -> impl Iterator<Item = &str> {
    let spans = page.split('`').skip(1).step_by(2).map(|span| span.split(':').next().unwrap_or(span));
    spans.filter(|span| {
        TOP.iter().any(|folder| span.starts_with(folder))
            && !span.contains(|c: char| c.is_whitespace() || "*<{$".contains(c))
            && !span.split('/').any(|name| name.chars().any(char::is_uppercase) && !name.contains('.'))
    })
}

#[test]
fn every_path_that_a_page_names_exists() -> Result<()> {
    let mut named = 0;
    let mut missing = Vec::new();
    for page in pages()? {
        let text = fs::read_to_string(&page)?;
        // Blocks of code hold commands, not paths.
        let text: String = text.split("```").step_by(2).collect();
        for path in paths(&text) {
            named += 1;
            if !checkout::root().join(path).exists() {
                missing.push(format!("{}: {path}", page.display()));
            }
        }
    }
    assert!(named > 100, "{named} paths");
    assert!(missing.is_empty(), "{missing:#?}");
    Ok(())
}

/// Each map of folders lists those that there are, and no others.
#[test]
fn the_maps_list_the_folders_that_there_are() -> Result<()> {
    let page = read("docs/architecture.md")?;
    for source in ["host/src", "server/src", "cli/src"] {
        let heading = format!("| folder of `{source}/` |");
        let map = page.split(&heading).nth(1).with_context(|| format!("no map of {source}"))?;
        let rows = map.lines().skip(2).take_while(|line| line.starts_with("| `"));
        let listed: BTreeSet<String> =
            rows.filter_map(|row| Some(row.strip_prefix("| `")?.split_once("/`")?.0.to_owned())).collect();
        assert_eq!(listed, folders(&checkout::root().join(source))?, "docs/architecture.md maps {source}");
    }
    Ok(())
}

/// A recipe names as many files as the table at the top of the page promises.
#[test]
fn the_recipes_name_as_many_files_as_they_promise() -> Result<()> {
    let page = read("docs/extending.md")?;
    let promised = page.split("\n## ").next().context("a beginning")?;
    let promises = promised.lines().filter_map(|line| {
        let (what, files) = line.strip_prefix("| [")?.split_once(") | ")?;
        Some((what.split(']').next()?, files.trim_end_matches(" |")))
    });
    let mut held = 0;
    for (what, files) in promises {
        let heading = format!("\n## {}{}\n", what[..1].to_uppercase(), &what[1..]);
        let section = page.split(&heading).nth(1).with_context(|| format!("no recipe for {what}"))?;
        let section = section.split("\n## ").next().unwrap_or_default();
        let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| ") && line.contains('`')).collect();
        let named = |with_data: bool| -> usize {
            let cells = rows.iter().filter_map(|row| row.split(" | ").next());
            cells
                .filter(|cell| with_data || !cell.contains("with new data"))
                .map(|cell| cell.matches('`').count() / 2)
                .sum()
        };
        let numbers: Vec<usize> = files.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
        match numbers[..] {
            [plain] => assert_eq!(named(true), plain, "{what}"),
            [plain, with_data] => assert_eq!((named(false), named(true)), (plain, with_data), "{what}"),
            // A folder of data and one line.
            _ => assert_eq!(named(true), 2, "{what}"),
        }
        held += 1;
    }
    assert!(held >= 9, "{held} recipes");
    Ok(())
}

/// Every type of document is told apart from the others, is on the page of the protocol, and has a vector.
#[test]
fn every_type_of_document_is_on_the_page_and_has_a_vector() -> Result<()> {
    let labels = read("protocol/src/labels.rs")?;
    let (constants, rest) = labels.split_once("pub const ALL_TYPES").context("no list of types")?;
    let all = rest.split("];").next().unwrap_or_default();
    let vectors: serde_json::Value = serde_json::from_str(&read("tests/vectors/documents.json")?)?;
    let page = read("docs/protocol.md")?;
    let mut types = 0;
    for constant in constants.split("pub const TYP_").skip(1) {
        let (name, typ) = constant.split_once(": &str = \"").context("a type")?;
        let typ = typ.split('"').next().unwrap_or_default();
        types += 1;
        assert!(all.contains(&format!("TYP_{name},")), "{typ} is not in ALL_TYPES");
        assert!(page.contains(&format!("| `{typ}` |")), "docs/protocol.md has no row for {typ}");
        // The manifest with its countersignature, and the proof, have vectors of their own.
        let is_apart = typ.ends_with("+jws") || typ == "dpop+jwt";
        let has_one = vectors["positive"].as_array().is_some_and(|all| all.iter().any(|vector| vector["typ"] == typ));
        assert!(is_apart || has_one, "tests/vectors/documents.json has no {typ}");
    }
    assert!(types >= 15, "{types} types");
    Ok(())
}

fn folders(folder: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // Git keeps no empty folder; a checkout that was moved forward may have one.
        if entry.path().is_dir() && fs::read_dir(entry.path())?.next().is_some() {
            found.insert(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(found)
}

/// The picture of the database names the tables that its migrations leave.
#[test]
fn the_picture_of_the_database_names_its_tables() -> Result<()> {
    let page = read("docs/architecture.md")?;
    let section = page.split("### The tables\n").nth(1).context("no `### The tables`")?;
    let picture = section.split("```").nth(1).context("no picture")?;
    let no_name = |c: char| !(c.is_ascii_lowercase() || c == '_');
    let pictured: BTreeSet<&str> = picture.split(no_name).filter(|word| !word.is_empty()).collect();
    let tables = tables()?;
    let missing: Vec<&String> = tables.iter().filter(|table| !pictured.contains(table.as_str())).collect();
    assert!(tables.len() > 20 && missing.is_empty(), "not in the picture: {missing:?}");
    // The words in brackets say what the tables beside them are for.
    let outside: String = picture.split('(').map(|piece| piece.rsplit(')').next().unwrap_or(piece)).collect();
    let gone: Vec<&str> = outside.split(no_name).filter(|word| !word.is_empty() && !tables.contains(*word)).collect();
    assert!(gone.is_empty(), "in the picture and not in the database: {gone:?}");
    Ok(())
}

/// The tables that the migrations leave, by reading them.
fn tables() -> Result<BTreeSet<String>> {
    let folder = checkout::root().join("server/src/store/sqlite");
    let module = fs::read_to_string(folder.join("mod.rs"))?;
    let files = module.split("include_str!(\"").skip(1).filter_map(|rest| rest.split_once('"').map(|(file, _)| file));
    let mut tables = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(folder.join(file))?;
        for line in text.lines() {
            let words: Vec<&str> = line.split([' ', ';', '(']).filter(|word| !word.is_empty()).collect();
            match words[..] {
                ["CREATE", "TABLE", "IF", "NOT", "EXISTS", name, ..] | ["CREATE", "TABLE", name, ..] => {
                    tables.insert(name.to_owned());
                }
                ["DROP", "TABLE", name, ..] => {
                    tables.remove(name);
                }
                ["ALTER", "TABLE", old, "RENAME", "TO", new, ..] => {
                    tables.remove(old);
                    tables.insert(new.to_owned());
                }
                _ => {}
            }
        }
    }
    Ok(tables)
}

/// The longest line of documentation, in characters.
const WIDEST: usize = 120;

/// Adds the lines of prose that are longer, of a page or of a source's documentation.
fn too_long(path: &Path, found: &mut Vec<String>) -> Result<()> {
    let is_source = path.extension().is_some_and(|ending| ending == "rs");
    let mut in_code = false;
    for (number, line) in fs::read_to_string(path)?.lines().enumerate() {
        let prose = match (is_source, line.trim_start()) {
            (false, text) => text,
            (true, text) => match text.strip_prefix("///").or_else(|| text.strip_prefix("//!")) {
                Some(text) => text.trim_start(),
                None => {
                    in_code = false;
                    continue;
                }
            },
        };
        in_code ^= prose.starts_with("```");
        // Tables and code have lines of their own, and an address cannot be broken.
        let can_break = !in_code && !prose.starts_with(['|', '`', '<']) && prose.split(' ').count() > 3;
        if can_break && line.chars().count() > WIDEST {
            found.push(format!("{}:{}", path.display(), number + 1));
        }
    }
    Ok(())
}

/// The sources below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, found)?;
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

#[test]
fn lines_of_documentation_are_as_wide_as_a_window() -> Result<()> {
    // What is made from the sources is as wide as it comes.
    let made = ["cli.md", "refusals.md"];
    let mut files: Vec<PathBuf> =
        pages()?.into_iter().filter(|page| !made.iter().any(|name| page.ends_with(name))).collect();
    let sources_of = [
        "cli/src",
        "examples/merchant/src",
        "arguments/src",
        "folders/src",
        "host/src",
        "mail/src",
        "protocol/src",
        "server/src",
        "tests/src",
        "xtask/src",
    ];
    for folder in sources_of {
        sources(&checkout::root().join(folder), &mut files)?;
    }
    assert!(files.len() > 300, "{} files", files.len());
    let mut found = Vec::new();
    for file in &files {
        too_long(file, &mut found)?;
    }
    assert!(found.is_empty(), "wrap these: {found:#?}");
    Ok(())
}
