//! `cargo xtask fuzz TARGET [SECONDS]`: throws bytes at a parser of `mail/`, for a minute unless it is said how long.
//!
//! libFuzzer sees where its bytes lead by marks that the compiler leaves. LLVM makes them for the stable compiler too;
//! only the sanitizers of other languages need a nightly one.

use crate::{Workspace, step};
use anyhow::{Context as _, Result, bail, ensure};
use std::fs;
use std::process::Command;

/// What libFuzzer needs of the compiler.
const MARKS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares \
                     -Cllvm-args=-simplifycfg-branch-fold-threshold=0 -Cdebug-assertions -Ccodegen-units=1";
/// Seconds that an input may take.
const MAX_SECONDS: u32 = 10;
/// MiB of memory that a parser may take.
const MAX_MEMORY: u32 = 1_500;

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let folder = workspace.root.join("mail/fuzz");
    let targets = targets(workspace)?;
    let (name, seconds) = match arguments {
        [name] => (name, 60),
        [name, seconds] => (name, seconds.parse::<u32>().context("the second argument is a number of seconds")?),
        _ => bail!("name a target and, if you like, seconds: {}", targets.join(", ")),
    };
    ensure!(targets.contains(name), "`{name}` is not a target. Name one of: {}", targets.join(", "));

    // Marks in build scripts would need libFuzzer there: with a target named, they are compiled without.
    let host = host()?;
    let built = workspace.target("fuzz");
    // The same versions as everywhere else.
    fs::copy(workspace.root.join("Cargo.lock"), folder.join("Cargo.lock")).context("cannot copy Cargo.lock")?;
    let mut build = Command::new("cargo");
    build.args(["build", "--release", "--target", &host, "--bin", name, "--manifest-path"]);
    build.arg(folder.join("Cargo.toml")).env("RUSTFLAGS", MARKS).env("CARGO_TARGET_DIR", &built);
    step::run("the target, with marks", &mut build)?;

    // What is new is kept apart from the corpus: most of it says nothing new to a person.
    let (found, failed) = (built.join("found").join(name), built.join("failed").join(name));
    for folder in [&found, &failed] {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let mut fuzz = Command::new(built.join(&host).join("release").join(name));
    fuzz.args([&found, &folder.join("corpus").join(name)]);
    fuzz.arg(format!("-artifact_prefix={}/", failed.display()));
    fuzz.args([format!("-max_total_time={seconds}"), format!("-timeout={MAX_SECONDS}")]);
    fuzz.arg(format!("-rss_limit_mb={MAX_MEMORY}")).args(["-max_len=16384", "-print_final_stats=1"]);
    step::run("bytes without end", &mut fuzz).with_context(|| {
        format!("mend it, and keep the file from {} in mail/fuzz/corpus/{name}/", workspace.display(&failed))
    })
}

/// The names of the targets.
fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.root.join("mail/fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names: Vec<String> =
        entries.filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    Ok(names)
}

/// What this compiler compiles for.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("cannot start rustc")?;
    let text = String::from_utf8(output.stdout).context("rustc says what it is")?;
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(line.context("rustc does not say its host")?.to_owned())
}
