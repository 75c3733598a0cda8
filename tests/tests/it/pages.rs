//! What the documentation shows is what is compiled.

use portcullis_tests::checkout;
use std::fs;

#[test]
fn the_page_on_embedding_shows_the_example_that_is_compiled() {
    let page = fs::read_to_string(checkout::root().join("docs/embedding.md")).expect("docs/embedding.md");
    let example = fs::read_to_string(checkout::root().join("host/examples/embed.rs")).expect("the example");
    assert!(page.contains(&format!("```rust,no_run\n{example}```")), "docs/embedding.md shows another program");
    assert!(example.lines().count() <= 40, "the example has grown beyond 40 lines");
}

#[test]
fn every_page_is_linked_from_the_readme_and_every_link_leads_somewhere() {
    let root = checkout::root();
    let mut pages = vec![root.join("README.md")];
    let folders = [root.join("docs"), root.join("docs/decisions")];
    for entry in folders.iter().flat_map(|folder| fs::read_dir(folder).expect("a folder")) {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|ending| ending == "md") {
            pages.push(path);
        }
    }
    for page in &pages {
        let text = fs::read_to_string(page).expect("a page");
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://") && !link.starts_with('#')) {
            let target = page.parent().expect("a folder").join(link.split('#').next().unwrap_or_default());
            assert!(target.exists(), "{} links to {link}, which does not exist", page.display());
        }
    }
    let readme = fs::read_to_string(&pages[0]).expect("the readme");
    for page in fs::read_dir(root.join("docs")).expect("docs").map(|entry| entry.expect("an entry").file_name()) {
        let name = page.to_string_lossy();
        assert!(
            !name.ends_with(".md") || readme.contains(&format!("docs/{name}")),
            "the readme does not link docs/{name}"
        );
    }
}

#[test]
fn the_readme_shows_what_commands_print() {
    let root = checkout::root();
    let readme = fs::read_to_string(root.join("README.md")).expect("the readme");
    let transcript = fs::read_to_string(root.join("cli/tests/transcripts/user.txt")).expect("the transcript");
    let shown = readme.split("At work:\n\n```console\n").nth(1).and_then(|rest| rest.split("```").next());
    let shown = shown.expect("the readme shows a transcript").trim_end();
    assert!(shown.lines().count() > 10, "{shown}");
    assert!(transcript.contains(shown), "the readme shows what `cli/tests/transcripts/user.txt` does not have");
}
