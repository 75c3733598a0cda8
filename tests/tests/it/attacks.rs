//! The attack suite, and the page that lists it.

use anyhow::{Context as _, Result, ensure};
use portcullis_tests::attacks::{Arena, all};
use portcullis_tests::checkout;
use std::collections::BTreeSet;
use std::fs;

/// How often one code is verified at once, as `docs/threats.md` promises.
const VERIFICATIONS: u32 = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn every_attack_is_refused_and_every_control_passes() -> Result<()> {
    let mut arena = Arena::new(VERIFICATIONS)?;
    let mut wrong = Vec::new();
    for attack in all() {
        let report = attack.run(&mut arena).await;
        if !report.attack_refused || !report.control_passed {
            wrong.push(report);
        }
    }
    ensure!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

/// The names in the first column of the table under `## Attacks`, and whether any stands twice.
fn listed() -> Result<Vec<String>> {
    let page = fs::read_to_string(checkout::root().join("docs/threats.md"))?;
    let table = page.split("\n## Attacks\n").nth(1).context("docs/threats.md has no `## Attacks`")?;
    let table = table.split("\n## ").next().unwrap_or_default();
    let cell = |line: &str| line.strip_prefix("| `")?.split('`').next().map(str::to_owned);
    Ok(table.lines().filter_map(cell).collect())
}

#[test]
fn the_page_lists_the_attacks_that_are_tried_and_no_others() -> Result<()> {
    let listed = listed()?;
    let tried: Vec<String> = all().iter().map(|attack| attack.name.to_owned()).collect();
    assert_eq!(listed, tried, "docs/threats.md and the suite, in order");
    assert_eq!(tried.iter().collect::<BTreeSet<_>>().len(), tried.len(), "each name once");
    assert!(tried.len() >= 138, "{} attacks", tried.len());
    Ok(())
}

#[test]
fn every_file_that_the_page_names_exists() -> Result<()> {
    let page = fs::read_to_string(checkout::root().join("docs/threats.md"))?;
    let is_path = |text: &&str| {
        let folders = ["protocol/", "host/", "server/", "cli/", "mail/", "tests/", "docs/", "wit/"];
        folders.iter().any(|folder| text.starts_with(folder)) && !text.contains(' ')
    };
    let named: Vec<&str> = page.split('`').skip(1).step_by(2).filter(is_path).collect();
    let missing: Vec<&&str> = named.iter().filter(|path| !checkout::root().join(path).exists()).collect();
    assert!(!named.is_empty() && missing.is_empty(), "docs/threats.md names what is not there: {missing:?}");
    Ok(())
}
