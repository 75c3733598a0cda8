//! Puts the contract (`wit/`), the guest SDK and the languages of guests into the binary, for `portcullis new`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("..");
    let mut files = Vec::new();
    for (folder, ending) in [("wit", "wit"), ("guest-sdk/rust/src", "rs"), ("guest-sdk/rust-macros/src", "rs")] {
        println!("cargo::rerun-if-changed=../{folder}");
        walk(&root.join(folder), ending, &mut files)?;
    }
    for file in ["guest-sdk/rust/Cargo.toml", "guest-sdk/rust-macros/Cargo.toml"] {
        println!("cargo::rerun-if-changed=../{file}");
        files.push(root.join(file));
    }
    write_table("vendored.rs", &root, &root, files)?;
    println!("cargo::rerun-if-changed=languages");
    let mut files = Vec::new();
    walk(&root.join("cli/languages"), "in", &mut files)?;
    walk(&root.join("cli/languages"), "toml", &mut files)?;
    write_table("languages.rs", &root, &root.join("cli/languages"), files)
}

/// Writes a table of files: the path of each below `names`, and its text.
fn write_table(table_file: &str, root: &Path, names: &Path, mut files: Vec<PathBuf>) -> io::Result<()> {
    files.sort();
    let mut table = String::from("&[\n");
    for file in files {
        let below = |folder| file.strip_prefix(folder).expect("below it").to_string_lossy().replace('\\', "/");
        let (name, from_here) = (below(names), format!("/../{}", below(root)));
        writeln!(table, "    ({name:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {from_here:?}))),")
            .expect("a string");
    }
    table.push_str("]\n");
    fs::write(PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join(table_file), table)
}

fn walk(folder: &Path, ending: &str, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, ending, files)?;
        } else if path.extension().is_some_and(|found| found == ending) {
            files.push(path);
        }
    }
    Ok(())
}
