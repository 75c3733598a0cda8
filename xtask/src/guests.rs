//! `cargo xtask guests [NAME…]`: compiles every guest to a core module that carries its WIT.
//!
//! A guest is a package that builds a `cdylib`, in `example-resources/*/`, `example-resources/*/*/` or
//! `tests/guests/*/`. Its module comes out as `target/guests/NAME.wasm`, where NAME is the package's name.
//! Assets that are made by code come out beforehand: see `assets`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::setup::{TARGET, Toolchain};
use crate::{Workspace, assets, imports};

/// What a guest may import: the contract, and of WASI what every terminal gives.
const GIVEN: [&str; 3] = ["portcullis:gate/", "wasi:cli/", "wasi:io/"];

/// A guest that cannot be metered cannot be sealed.
const BILLING: &str = "portcullis:gate/billing@";

/// A package to compile.
struct Guest {
    name: String,
    folder: PathBuf,
    /// The folder of the example that it belongs to. An example has to be fit to seal; a test guest, which belongs to
    /// none, may be unfit on purpose.
    resource: Option<PathBuf>,
}

/// The verb.
pub(crate) fn run(workspace: &Workspace, names: &[String]) -> Result<()> {
    build(workspace, names)
}

/// Builds the named guests, or all.
pub(crate) fn build(workspace: &Workspace, names: &[String]) -> Result<()> {
    let mut guests = find(workspace)?;
    for name in names {
        ensure!(
            guests.iter().any(|guest| guest.name == *name),
            "there is no guest `{name}`; there are: {}",
            guests.iter().map(|guest| guest.name.as_str()).collect::<Vec<_>>().join(", ")
        );
    }
    guests.retain(|guest| names.is_empty() || names.contains(&guest.name));

    let toolchain = Toolchain::ready(workspace)?;
    println!("Building {} guests with {}:", guests.len(), toolchain.describe(workspace));
    for guest in &guests {
        println!("  {:<28} {}", guest.name, workspace.display(&guest.folder));
    }
    match toolchain {
        Toolchain::Installed => {
            println!("The first build takes about a minute on two cores, another one seconds.")
        }
        Toolchain::Debian(_) => {
            println!("The first build also compiles the standard library: about three minutes on two cores.");
        }
    }

    let mut examples: Vec<&Path> = guests.iter().filter_map(|guest| guest.resource.as_deref()).collect();
    examples.dedup();
    for example in examples {
        assets::make(workspace, example)?;
    }

    let output = workspace.target("guests");
    fs::create_dir_all(&output).with_context(|| format!("cannot create {}", output.display()))?;
    for (index, guest) in guests.iter().enumerate() {
        println!("[{}/{}] {}", index + 1, guests.len(), guest.name);
        let start = Instant::now();
        let module = compile(workspace, &toolchain, guest)?;
        let bytes = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
        if guest.resource.is_some() {
            check(&bytes).with_context(|| format!("`{}` cannot be sealed", guest.name))?;
        }
        let file = output.join(format!("{}.wasm", guest.name));
        fs::write(&file, &bytes).with_context(|| format!("cannot write {}", file.display()))?;
        println!(
            "      {} · {} KiB · {:.1} s",
            workspace.display(&file),
            bytes.len().div_ceil(1024),
            start.elapsed().as_secs_f32()
        );
    }
    Ok(())
}

/// Compiles one guest and gives the path of its module.
fn compile(workspace: &Workspace, toolchain: &Toolchain, guest: &Guest) -> Result<PathBuf> {
    let target = workspace.target("guest-build").join(toolchain.name());
    let mut cargo = toolchain.cargo_build()?;
    // From the guest's own folder, so that its `.cargo/config.toml` counts and the checkout's profile does not.
    cargo
        .current_dir(&guest.folder)
        .arg("--lib")
        .arg("--target-dir")
        .arg(&target)
        .env("CARGO_ENCODED_RUSTFLAGS", rustc_flags(workspace));
    let status = cargo.status().context("cannot run cargo")?;
    ensure!(
        status.success(),
        "`{}` does not build; if only its lock file is out of date, run `cargo update --workspace` in {}",
        guest.name,
        workspace.display(&guest.folder)
    );
    Ok(target.join(TARGET).join("release").join(format!("{}.wasm", guest.name.replace('-', "_"))))
}

/// Keeps every path of this machine out of panic messages: the same sources give the same bytes
/// wherever the checkout lies, and a resource does not tell its publisher's folders.
fn rustc_flags(workspace: &Workspace) -> OsString {
    let mut flags: Vec<OsString> = Vec::new();
    let home = std::env::home_dir().unwrap_or_default();
    let registry = std::env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    for (from, to) in [(home.as_path(), "/home"), (registry.as_path(), "/cargo"), (&workspace.root, "/portcullis")] {
        // An empty prefix would match every path.
        if from.as_os_str().is_empty() {
            continue;
        }
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(from);
        flag.push("=");
        flag.push(to);
        flags.push(flag);
    }
    flags.join(std::ffi::OsStr::new("\x1f"))
}

/// A module to be sealed imports what every terminal gives, and a function of `billing` at least.
fn check(module: &[u8]) -> Result<()> {
    let imports = imports::of(module)?;
    // What a component does with the handles that it exports itself is no import of the component.
    let foreign: Vec<String> = imports
        .iter()
        .filter(|import| !import.module.starts_with("[export]"))
        .filter(|import| !GIVEN.iter().any(|package| import.module.starts_with(package)))
        .map(|import| format!("`{}` of `{}`", import.field, import.module))
        .collect();
    ensure!(
        foreign.is_empty(),
        "it imports {}, which no terminal gives: find the dependency that needs it and build it without",
        foreign.join(", ")
    );
    ensure!(
        imports.iter().any(|import| import.module.starts_with(BILLING)),
        "it imports no function of `portcullis:gate/billing`: use `portcullis_guest::generate!`, which keeps one"
    );
    Ok(())
}

/// Every guest of the checkout, by path.
fn find(workspace: &Workspace) -> Result<Vec<Guest>> {
    let mut guests = Vec::new();
    for resource in folders(&workspace.root.join("example-resources"))? {
        guests.extend(Guest::at(&resource, Some(&resource))?);
        for part in folders(&resource)? {
            guests.extend(Guest::at(&part, Some(&resource))?);
        }
    }
    for folder in folders(&workspace.root.join("tests/guests"))? {
        guests.extend(Guest::at(&folder, None)?);
    }
    for (index, guest) in guests.iter().enumerate() {
        if let Some(twin) = guests[..index].iter().find(|other| other.name == guest.name) {
            bail!(
                "{} and {} are both called `{}`",
                workspace.display(&twin.folder),
                workspace.display(&guest.folder),
                guest.name
            );
        }
    }
    Ok(guests)
}

/// The folders inside one, sorted; none where it does not exist.
pub(crate) fn folders(parent: &Path) -> Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(parent) else {
        return Ok(Vec::new());
    };
    let mut folders = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

impl Guest {
    /// The guest in a folder: a package with a `cdylib`.
    fn at(folder: &Path, resource: Option<&Path>) -> Result<Option<Self>> {
        let manifest = folder.join("Cargo.toml");
        let Ok(text) = fs::read_to_string(&manifest) else {
            return Ok(None);
        };
        if !text.contains("\"cdylib\"") {
            return Ok(None);
        }
        let name = text
            .lines()
            .skip_while(|line| line.trim() != "[package]")
            .find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
            .with_context(|| format!("{} has no line `name = \"…\"` in [package]", manifest.display()))?;
        Ok(Some(Self {
            name: name.to_owned(),
            folder: folder.to_path_buf(),
            resource: resource.map(Path::to_path_buf),
        }))
    }
}
