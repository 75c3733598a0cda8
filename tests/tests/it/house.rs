//! What the documentation says of the sources is so: paths, maps of folders, recipes, tables of the database.

use anyhow::{Context as _, Result};
use portcullis_tests::checkout;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders of the checkout that documentation names files of.
const TOP: [&str; 12] = [
    "cli/",
    "compare/",
    "docs/",
    "example-resources/",
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
