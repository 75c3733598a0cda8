//! `cargo xtask setup`: finds or installs the compiler of guests.
//!
//! In this order: a Rust that already builds `wasm32-unknown-unknown`; rustup, which downloads the target in seconds;
//! Debian's packages, unpacked beside the installed Rust without touching the system. Where none works, it prints
//! what to install. `PORTCULLIS_GUEST_TOOLCHAIN` asks for one of them: `rustup`, `debian`, or the folder into which
//! Debian's packages were unpacked before.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::Workspace;

/// What guests are compiled for: it imports nothing that its world does not name.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Asks for one of the toolchains instead of the first that works.
const CHOICE: &str = "PORTCULLIS_GUEST_TOOLCHAIN";

/// Rust 1.96 with its sources, and the linker that its LLVM belongs to: bookworm's security suite.
const DEBIAN_PACKAGES: [&str; 7] =
    ["rustc-web", "libstd-rust-web-dev", "libstd-rust-web-1.96", "rust-web-src", "lld-22", "liblld-22", "libllvm22"];

/// A compiler that can build guests.
pub(crate) enum Toolchain {
    /// The installed Rust has the target.
    Installed,
    /// Debian's Rust, unpacked into this folder; it compiles `std` for the target itself.
    Debian(PathBuf),
}

/// The linker by the name from which rustc knows which kind it is; `/usr/bin/wasm-ld-22` is a link to it.
const DEBIAN_LINKER: &str = "lib/llvm-22/bin/wasm-ld";

impl Toolchain {
    /// Gives a toolchain that works, and installs one where none does yet.
    pub(crate) fn ready(workspace: &Workspace) -> Result<Self> {
        let debian = Debian { folder: workspace.target("guest-toolchain") };
        match std::env::var(CHOICE).ok().as_deref() {
            None | Some("") => {}
            Some("rustup") => {
                installed_or_rustup(workspace)?;
                return Ok(Self::Installed);
            }
            Some("debian") => return Ok(Self::Debian(debian.ready()?)),
            Some(root) if Path::new(root).join("usr/bin/rustc").exists() => return Ok(Self::Debian(root.into())),
            Some(other) => {
                bail!("{CHOICE} is `{other}`; it can be `rustup`, `debian`, or where Debian's Rust is unpacked")
            }
        }
        let Err(rustup) = installed_or_rustup(workspace) else {
            return Ok(Self::Installed);
        };
        println!("  {rustup:#}");
        match debian.ready() {
            Ok(root) => Ok(Self::Debian(root)),
            Err(debian) => bail!(
                "no compiler for {TARGET}\n\
                 \x20 with rustup:  {rustup:#}\n\
                 \x20 with Debian:  {debian:#}\n\n\
                 Install one of these, then run `cargo xtask setup` again:\n\
                 \x20 - rustup, then `rustup target add {TARGET}`\n\
                 \x20 - the target of your distribution's Rust: `rust-std-static-{TARGET}` on Fedora, `rust-wasm` on \
                 Arch Linux and Alpine\n\
                 \x20 - on Debian 12, a source of packages that has {}",
                DEBIAN_PACKAGES.join(" ")
            ),
        }
    }

    /// What a person reads.
    pub(crate) fn describe(&self, workspace: &Workspace) -> String {
        match self {
            Self::Installed => format!("the installed Rust with {TARGET}"),
            Self::Debian(root) => format!("Debian's Rust 1.96 in {}", workspace.display(root)),
        }
    }

    /// Names the folder that keeps this toolchain's artefacts apart from another's.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::Debian(_) => "debian",
        }
    }

    /// `cargo build` for guests, in an environment that no setting of the developer's reaches.
    pub(crate) fn cargo_build(&self) -> Result<Command> {
        let mut cargo = clean(Command::new(cargo()));
        cargo.args(["build", "--release", "--locked", "--target", TARGET]);
        if let Self::Debian(root) = self {
            let root = root.join("usr");
            cargo
                .arg("-Zbuild-std=std,panic_abort")
                .env("RUSTC", root.join("bin/rustc"))
                // Cargo must accept -Z, and rustc must compile std.
                .env("RUSTC_BOOTSTRAP", "1")
                .env("LD_LIBRARY_PATH", library_folder(&root)?)
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", root.join(DEBIAN_LINKER));
        }
        Ok(cargo)
    }
}

/// The verb.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    if let Some(argument) = arguments.first() {
        bail!("`setup` takes no argument, but got `{argument}`");
    }
    println!("Looking for a Rust that builds {TARGET}: 1 s where it is installed, 10 s with rustup,");
    println!("1 min with Debian's packages (140 MB, unpacked below target/, nothing is installed).");
    let toolchain = Toolchain::ready(workspace)?;
    println!("Guests are built with {}.", toolchain.describe(workspace));
    println!("Next: cargo xtask guests");
    Ok(())
}

/// Succeeds where the installed Rust has the target, now or after rustup has added it.
fn installed_or_rustup(workspace: &Workspace) -> Result<()> {
    if builds_for_target(workspace)? {
        return Ok(());
    }
    println!("  rustup target add {TARGET}   (about 10 s)");
    let status = Command::new("rustup")
        .args(["target", "add", TARGET])
        .current_dir(&workspace.root)
        .status()
        .context("rustup is not installed")?;
    if !status.success() {
        bail!("rustup could not add {TARGET}");
    }
    if !builds_for_target(workspace)? {
        bail!("rustup added {TARGET}, but `rustc` on the path does not build for it: is it another Rust?");
    }
    Ok(())
}

/// Compiles and links an empty library: only that shows that both the standard library and the linker are there.
fn builds_for_target(workspace: &Workspace) -> Result<bool> {
    let folder = workspace.target("guest-probe");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let source = folder.join("probe.rs");
    fs::write(&source, "#[unsafe(no_mangle)] pub extern \"C\" fn probe() -> usize { vec![1].len() }\n")
        .with_context(|| format!("cannot write {}", source.display()))?;
    let status = clean(Command::new("rustc"))
        .args(["--edition=2024", "--crate-type=cdylib", "--target", TARGET, "-o"])
        .arg(folder.join("probe.wasm"))
        .arg(&source)
        .current_dir(&workspace.root)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("`rustc` is not on the path")?;
    Ok(status.success())
}

/// Debian's packages, downloaded and unpacked into a folder of the build.
struct Debian {
    folder: PathBuf,
}

impl Debian {
    /// Gives the unpacked file system. A marker is written last, so an interrupted download is begun anew.
    fn ready(&self) -> Result<PathBuf> {
        let root = self.folder.join("root");
        let marker = self.folder.join("complete");
        if marker.exists() {
            return Ok(root);
        }
        for tool in ["apt-get", "dpkg"] {
            if !answers(tool) {
                bail!("`{tool}` is not here: this is not Debian");
            }
        }
        let packages = self.folder.join("packages");
        let _ = fs::remove_dir_all(&root);
        let _ = fs::remove_dir_all(&packages);
        fs::create_dir_all(&packages).with_context(|| format!("cannot create {}", packages.display()))?;
        println!("  apt-get download {}   (140 MB)", DEBIAN_PACKAGES.join(" "));
        if !download(&packages)? {
            // A fresh container has no lists of packages yet; only root may fetch them.
            println!("  apt-get update   (about 20 s)");
            succeed(Command::new("apt-get").args(["--quiet", "update"]))?;
            if !download(&packages)? {
                bail!("apt-get finds no {}", DEBIAN_PACKAGES.join(", "));
            }
        }
        for entry in fs::read_dir(&packages)? {
            let package = entry?.path();
            println!("  dpkg -x {}", package.file_name().unwrap_or_default().display());
            succeed(Command::new("dpkg").arg("-x").arg(&package).arg(&root))?;
        }
        // 860 MB unpacked is enough to keep.
        fs::remove_dir_all(&packages)?;
        let usr = root.join("usr");
        succeed(Command::new(usr.join("bin/rustc")).arg("--version").env("LD_LIBRARY_PATH", library_folder(&usr)?))?;
        fs::write(&marker, DEBIAN_PACKAGES.join("\n"))?;
        Ok(root)
    }
}

/// Whether apt had every package.
fn download(into: &Path) -> Result<bool> {
    let status = Command::new("apt-get")
        .args(["--quiet", "download"])
        .args(DEBIAN_PACKAGES)
        .current_dir(into)
        .stderr(Stdio::null())
        .status()
        .context("cannot run apt-get")?;
    Ok(status.success())
}

/// `usr/lib/x86_64-linux-gnu`, or what this machine's architecture calls it.
fn library_folder(usr: &Path) -> Result<PathBuf> {
    let lib = usr.join("lib");
    fs::read_dir(&lib)
        .with_context(|| format!("cannot read {}", lib.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.to_string_lossy().contains("-linux-gnu"))
        .with_context(|| format!("{} has no folder of shared libraries", lib.display()))
}

fn answers(tool: &str) -> bool {
    Command::new(tool)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed: {status}");
    }
    Ok(())
}

/// The cargo that runs this very task, or the one on the path.
fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// Takes away every variable that would change what a compiler makes: guests come out alike on every machine.
fn clean(mut command: Command) -> Command {
    const PREFIXES: [&str; 5] = ["CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_TARGET_", "CARGO_PKG_", "CARGO_UNSTABLE_"];
    const NAMES: [&str; 10] = [
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_INCREMENTAL",
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "RUSTC",
        "RUSTC_BOOTSTRAP",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTDOCFLAGS",
        "RUSTFLAGS",
    ];
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        // How many jobs run at once changes nothing in what they make.
        let harmless = text == "CARGO_BUILD_JOBS";
        if !harmless && (NAMES.contains(&text.as_ref()) || PREFIXES.iter().any(|prefix| text.starts_with(prefix))) {
            command.env_remove(&name);
        }
    }
    command
}
