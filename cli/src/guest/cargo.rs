//! Guests in Rust: an installed Rust with the target, or one that `cargo xtask setup` unpacked.

use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Failure, OrFail as _, Outcome};

/// What guests are compiled for: it imports nothing that its world does not name.
const TARGET: &str = "wasm32-unknown-unknown";
/// `rustup`, `debian`, or a folder into which Debian's packages were unpacked.
const VARIABLE: &str = "PORTCULLIS_GUEST_TOOLCHAIN";

/// A Rust that can build guests.
pub(crate) enum Cargo {
    /// The Rust on the path has the target.
    Installed,
    /// Debian's Rust, unpacked; it compiles `std` for the target itself.
    Debian(PathBuf),
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    target: Option<Target>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

impl Cargo {
    /// The first that works.
    pub(crate) fn find() -> Outcome<Self> {
        let choice = std::env::var_os(VARIABLE).unwrap_or_default();
        match choice.to_str() {
            Some("") => Self::installed().or_else(|failure| Self::unpacked().ok_or(failure)),
            Some("rustup") => Self::installed(),
            Some("debian") => Self::unpacked().ok_or_else(|| {
                Failure::new(format!("{VARIABLE} asks for Debian's Rust, and none was unpacked"), "cargo xtask setup")
            }),
            _ => Ok(Self::Debian(PathBuf::from(choice))),
        }
    }

    fn installed() -> Outcome<Self> {
        let answer = Command::new("rustc")
            .args(["--print", "target-libdir", "--target", TARGET])
            .output()
            .or_fail("run `rustc`", "install Rust: https://rustup.rs")?;
        let folder = PathBuf::from(String::from_utf8_lossy(&answer.stdout).trim());
        if answer.status.success() && folder.is_dir() {
            return Ok(Self::Installed);
        }
        Err(Failure::new(
            format!("the installed Rust cannot compile for {TARGET}"),
            format!(
                "rustup target add {TARGET}\nwithout rustup: install your distribution's package of that target (`rust-wasm`, `rust-std-static-{TARGET}`), or run `cargo xtask setup` in a checkout of Portcullis and set {VARIABLE} to its target/guest-toolchain/root"
            ),
        ))
    }

    /// What `cargo xtask setup` left beside this very executable: `target/guest-toolchain`.
    fn unpacked() -> Option<Self> {
        let executable = std::env::current_exe().ok()?;
        let folder = executable
            .ancestors()
            .map(|folder| folder.join("guest-toolchain"))
            .find(|folder| folder.join("complete").exists())?;
        Some(Self::Debian(folder.join("root")))
    }

    /// Whether its programs are there: the compiler, and `cargo`, which runs it.
    pub(crate) fn check(&self) -> Outcome {
        if let Self::Debian(root) = self {
            let rustc = root.join("usr/bin/rustc");
            if !rustc.is_file() {
                return Err(Failure::new(format!("there is no `{}`", rustc.display()), "cargo xtask setup"));
            }
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let answer = Command::new(cargo).arg("--version").stdin(Stdio::null()).output();
        match answer.or_fail("run `cargo`", "install Rust: https://rustup.rs")?.status.success() {
            true => Ok(()),
            false => Err(Failure::new("`cargo --version` fails", "install Rust again: https://rustup.rs")),
        }
    }

    /// Its name in reports.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::Debian(_) => "debian",
        }
    }

    /// For people.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Installed => format!("the installed Rust for {TARGET}"),
            Self::Debian(root) => format!("the Rust in {}", root.display()),
        }
    }

    /// Builds the package in a folder. Returns its modules.
    pub(crate) fn build(&self, folder: &Path) -> Outcome<Vec<PathBuf>> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .args(["build", "--release", "--lib", "--target", TARGET, "--message-format=json-render-diagnostics"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit());
        // A setting for other programs does not reach a guest.
        for name in
            ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"]
        {
            cargo.env_remove(name);
        }
        let mut flags = Vec::new();
        if let Self::Debian(root) = self {
            let usr = root.join("usr");
            let libraries = std::fs::read_dir(usr.join("lib"))
                .or_fail(format_args!("read `{}`", usr.join("lib").display()), "cargo xtask setup")?
                .filter_map(|entry| Some(entry.ok()?.path()))
                .find(|path| path.to_string_lossy().contains("-linux-gnu"));
            cargo
                .arg("-Zbuild-std=std,panic_abort")
                .env("RUSTC", usr.join("bin/rustc"))
                .env("RUSTC_BOOTSTRAP", "1")
                // By this name rustc knows which kind of linker it is.
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", usr.join("lib/llvm-22/bin/wasm-ld"))
                .envs(libraries.map(|path| ("LD_LIBRARY_PATH", path)));
        }
        // A sealed resource does not tell its publisher's folders.
        if let Ok(folder) = folder.canonicalize() {
            flags.push(format!("--remap-path-prefix={}=/resource", folder.display()));
        }
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
        let answer = cargo.output().or_fail("run `cargo`", "install Rust: https://rustup.rs")?;
        if !answer.status.success() {
            let fix = "correct what cargo says above";
            return Err(Failure::new(format!("`{}` does not build", folder.display()), fix));
        }
        let modules = answer.stdout.split(|byte| *byte == b'\n').filter_map(|line| {
            let message: Message = serde_json::from_slice(line).ok()?;
            let is_module = message.target.is_some_and(|target| target.kind.iter().any(|kind| kind == "cdylib"));
            (message.reason == "compiler-artifact" && is_module).then_some(message.filenames)
        });
        Ok(modules.flatten().filter(|file| file.extension().is_some_and(|ending| ending == "wasm")).collect())
    }
}
