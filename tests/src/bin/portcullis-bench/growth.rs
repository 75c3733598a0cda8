//! How a start grows: with the size of the package, and with how many resources are installed.

use crate::Bench;
use crate::parts::content;
use crate::plot::{Curve, Plot};
use crate::resource::Asset;
use crate::shop::Shop;
use anyhow::{Context as _, Result, ensure};
use portcullis_load::duel::duel;
use portcullis_protocol::sealed::Sealed;
use serde_json::Value;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

/// Bytes of the asset, up to 100 MB.
const SIZES: [usize; 6] = [1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
/// How many resources are installed.
const INSTALLED: [usize; 4] = [1, 10, 100, 1_000];
/// What a program reads first of a part.
const FIRST: usize = 64 * 1024;

/// By the size of a package.
pub(crate) fn sizes(bench: &Bench) -> Result<Plot> {
    let asset = Asset::new()?;
    let part = Asset::part()?;
    let (mut loads, mut firsts, mut wholes) = (Vec::new(), Vec::new(), Vec::new());
    for size in SIZES.into_iter().filter(|size| !bench.quick || *size <= 100_000) {
        let plain = content(size);
        let path = bench.folder.join("grown.wasm");
        asset.seal(&plain, &mut File::create(&path)?)?;
        let mut load = |repetitions| {
            for _ in 0..repetitions {
                ensure!(Sealed::open(File::open(&path)?)?.manifest().parts.len() == 2, "another resource");
            }
            Ok(())
        };
        let sealed = Sealed::open(File::open(&path)?)?;
        let key = sealed.unwrap_key(&part, [asset.identity()])?;
        let mut buffer = vec![0; size];
        let mut first = |repetitions| {
            for _ in 0..repetitions {
                let wanted = size.min(FIRST);
                let read = sealed.part(&part, &key)?.read_at(0, &mut buffer[..wanted])?;
                ensure!(buffer[..read] == plain[..wanted], "the part begins otherwise");
            }
            Ok(())
        };
        let mut all = vec![0; size];
        let mut whole = |repetitions| {
            for _ in 0..repetitions {
                ensure!(sealed.part(&part, &key)?.read_at(0, &mut all)? == size, "the part is cut");
            }
            Ok(())
        };
        let [load, first, whole] = duel(bench.pace, [&mut load, &mut first, &mut whole])?;
        ensure!(all == plain, "not every byte came out");
        let size = size as f64;
        loads.push((size, load.p10() / 1e3));
        firsts.push((size, first.p10() / 1e3));
        wholes.push((size, whole.p10() / 1e3));
    }
    let curve = |name: &str, points| Curve { name: name.into(), points };
    Ok(Plot {
        title: "Opening a sealed file, by its size".into(),
        across: ("size of the part", bytes),
        up: ("time, 10th percentile", microseconds),
        curves: vec![
            curve("load: verify", loads),
            curve("open, first 64 KiB", firsts),
            curve("open, read it all", wholes),
        ],
    })
}

/// By how many resources are installed: processes of `portcullis`. All but one are copies of the first under other
/// names.
pub(crate) fn installed(bench: &Bench) -> Result<Plot> {
    let folder = bench.folder.join("library");
    fs::create_dir_all(&folder)?;
    let shop = bench.tokio.block_on(Shop::open(&folder))?;
    let sealed = shop.sell("first", &bench.specimen.body)?;
    ensure!(sealed.is_file(), "nothing was sealed");
    let (mut lists, mut runs) = (Vec::new(), Vec::new());
    for count in INSTALLED.into_iter().filter(|count| !bench.quick || *count <= 10) {
        copies(&shop.user.home().join("resources/bench"), count)?;
        let mut list = shop.user.command()?;
        list.args(["--json", "list"]);
        let mut listed = |repetitions| {
            for _ in 0..repetitions {
                let printed: Value = serde_json::from_slice(&output(&mut list)?)?;
                let found = printed.as_array().or_else(|| printed.as_object()?.values().find_map(Value::as_array));
                ensure!(found.map(Vec::len) == Some(count), "not {count} resources are listed");
            }
            Ok(())
        };
        let mut run = shop.user.command()?;
        run.args(["run", "--invoke", "add(2, 3)", "bench/first"]);
        let mut ran = |repetitions| {
            for _ in 0..repetitions {
                let printed = String::from_utf8(output(&mut run)?)?;
                ensure!(printed.split_whitespace().any(|word| word == "5"), "add gave {printed:?}");
            }
            Ok(())
        };
        let [listed, ran] = duel(bench.pace, [&mut listed, &mut ran])?;
        lists.push((count as f64, listed.p10() / 1e3));
        runs.push((count as f64, ran.p10() / 1e3));
    }
    let curve = |name: &str, points| Curve { name: name.into(), points };
    Ok(Plot {
        title: "A process of portcullis, by what is installed".into(),
        across: ("installed resources", |count| format!("{count}")),
        up: ("time, 10th percentile", microseconds),
        curves: vec![curve("list", lists), curve("run, by name, online", runs)],
    })
}

/// Copies what is installed as `first` until there are `count`.
fn copies(publisher: &Path, count: usize) -> Result<()> {
    let first = publisher.join("first");
    let record: Value = serde_json::from_slice(&fs::read(first.join("installed.json"))?)?;
    for number in 1..count {
        let name = format!("copy-{number}");
        let folder = publisher.join(&name);
        if folder.exists() {
            continue;
        }
        fs::create_dir(&folder)?;
        for entry in fs::read_dir(&first)? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|extension| extension == "wasm") {
                fs::hard_link(entry.path(), folder.join(entry.file_name()))?;
            }
        }
        let mut record = record.clone();
        *record.get_mut("name").context("a record has a name")? = name.into();
        fs::write(folder.join("installed.json"), serde_json::to_vec(&record)?)?;
    }
    Ok(())
}

fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

fn bytes(value: f64) -> String {
    match value {
        ..1e6 => format!("{} KB", value / 1e3),
        _ => format!("{} MB", value / 1e6),
    }
}

fn microseconds(value: f64) -> String {
    match value {
        ..1e3 => format!("{value} µs"),
        ..1e6 => format!("{} ms", value / 1e3),
        _ => format!("{} s", value / 1e6),
    }
}
