//! Sets up the tools of others that tests need: `age`, Chromium, dovecot, PostgreSQL, nginx, HAProxy, systemd, curl,
//! `bat` and Vim from the distribution, and below `target/foreign/` Python environments, FFmpeg and npm packages in the
//! versions that `tests/clients/` pins, cyrus, a double of S3, and a linter of container files.
//!
//! A test that lacks its tool fails; this says what to install. If `bat` or Vim cannot be installed, this says
//! that their tests are skipped, and those say it too. The second time it takes a second.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::Workspace;
use crate::step::line;

/// What has to be installed on the machine itself.
struct Tool {
    /// A command that succeeds where the tool is installed.
    probe: &'static [&'static str],
    /// Debian's and Ubuntu's packages that bring it.
    packages: &'static [&'static str],
    /// What a person installs elsewhere.
    name: &'static str,
    /// What Debian starts when its package is installed, and nobody needs: tests start their own, on ports of their
    /// own.
    service: Option<&'static str>,
}

impl Tool {
    const fn new(name: &'static str, probe: &'static [&'static str], packages: &'static [&'static str]) -> Self {
        Self { probe, packages, name, service: None }
    }

    const fn starting(self, service: &'static str) -> Self {
        Self { service: Some(service), ..self }
    }
}

const TOOLS: &[Tool] = &[
    // The probe is what a virtual environment needs: Debian's plain `python3` lacks it.
    Tool::new(
        "Python 3.11 or newer with venv",
        &["python3", "-c", "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"],
        &["python3", "python3-venv"],
    ),
    NODE,
    Tool::new("age 1.1 or newer", &["age", "--version"], &["age"]),
    CHROMIUM,
    // Its packages bring OpenSSL's command too, with which tests make certificates.
    Tool::new(
        "dovecot 2.3 with IMAP and POP3",
        &["sh", "-c", "dovecot --version && test -e /usr/lib/dovecot/imap && test -e /usr/lib/dovecot/pop3"],
        &["dovecot-imapd", "dovecot-pop3d"],
    )
    .starting("dovecot"),
    POSTGRES,
    // The proxies of docs/deploy/.
    Tool::new("nginx 1.22 or newer", &["sh", "-c", "PATH=$PATH:/usr/sbin nginx -v"], &["nginx-light"])
        .starting("nginx"),
    Tool::new("HAProxy 2.6 or newer", &["sh", "-c", "PATH=$PATH:/usr/sbin haproxy -v"], &["haproxy"])
        .starting("haproxy"),
    // It reads the unit of docs/deploy/.
    Tool::new("systemd-analyze", &["systemd-analyze", "--version"], &["systemd"]),
    // With it the page of operations looks whether a server is ready.
    Tool::new("curl", &["curl", "--version"], &["curl"]),
];

/// The second database. Its programs are not in the path; `setpriv` starts it as a user that it accepts.
const POSTGRES: Tool = Tool::new(
    "PostgreSQL 15 or newer",
    &["sh", "-c", "ls /usr/lib/postgresql/1[5-9]/bin/initdb && setpriv --version"],
    &["postgresql", "util-linux"],
)
.starting("postgresql");

/// The browser in which the pages are tried. Debian's package; `PORTCULLIS_CHROMIUM` names another one.
const CHROMIUM: Tool = Tool::new(
    "Chromium",
    &["sh", "-c", "\"${PORTCULLIS_CHROMIUM:-chromium}\" --version || chromium-browser --version"],
    &["chromium"],
);
/// What drives it.
const NODE: Tool = Tool::new("Node.js 20 or newer with npm", &["npm", "--version"], &["nodejs", "npm"]);

/// Programs that load what a resource made. Without them the tests that need them are skipped, and this says so.
const OPTIONAL: &[Tool] = &[
    // Debian has another program of that name.
    Tool::new("bat", &["sh", "-c", "batcat --version || bat --version"], &["bat"]),
    // Debian's smallest Vim has no scripts.
    Tool::new("vim", &["sh", "-c", "vim --version | grep -q +eval"], &["vim"]),
];

/// The verb.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    if let Some(argument) = arguments.first() {
        bail!("`foreign` takes no argument, but got `{argument}`");
    }
    set_up(workspace)
}

/// Installs what is missing.
///
/// # Errors
/// Names everything that has to be installed by hand, or the command that failed.
fn set_up(workspace: &Workspace) -> Result<()> {
    println!(
        "── foreign tools\n   age, Chromium, dovecot, PostgreSQL, nginx, HAProxy, systemd, curl, bat, Vim; below target/foreign/ Python environments, FFmpeg, npm packages, cyrus, a double of S3, a linter"
    );
    let start = Instant::now();
    tools()?;
    browser_packages(workspace)?;
    optional_tools(workspace)?;
    python(workspace)?;
    mail(workspace)?;
    cyrus(workspace)?;
    objects(workspace)?;
    linter(workspace)?;
    webhooks(workspace)?;
    ffmpeg(workspace)?;
    npm(workspace)?;
    println!("   {:.1} s", start.elapsed().as_secs_f32());
    Ok(())
}

/// The browser alone, and what drives it: what the attacks need.
///
/// # Errors
/// As [`set_up`].
pub(crate) fn browser(workspace: &Workspace) -> Result<()> {
    println!("── a browser\n   Chromium, and npm packages below target/foreign/browser");
    ensure_tools(&[NODE, CHROMIUM])?;
    browser_packages(workspace)
}

/// Installs what has to be installed on the machine itself, if that is allowed.
pub(crate) fn tools() -> Result<()> {
    ensure_tools(TOOLS)
}

/// The second database alone.
pub(crate) fn database() -> Result<()> {
    ensure_tools(&[POSTGRES])
}

fn ensure_tools(tools: &[Tool]) -> Result<()> {
    let missing = || tools.iter().filter(|tool| !succeeds(tool.probe)).collect::<Vec<_>>();
    let wanted = missing();
    if wanted.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = wanted.iter().flat_map(|tool| tool.packages).copied().collect();
    if can_install() {
        install(&packages)?;
        for service in wanted.iter().filter_map(|tool| tool.service) {
            if succeeds(&["service", service, "stop"]) {
                println!("   service {service} stop");
            }
        }
    }
    let wanted = missing();
    ensure!(
        wanted.is_empty(),
        "tests compare with tools of others, and these are missing: {}.\n\
         On Debian 12 or newer and on Ubuntu 24.04 or newer: sudo apt-get install {}\n\
         Elsewhere install them as the system does, then run this again.",
        wanted.iter().map(|tool| tool.name).collect::<Vec<_>>().join("; "),
        packages.join(" ")
    );
    Ok(())
}

/// Installs what it can, and notes what is still missing in `target/foreign/absent` for the tests.
fn optional_tools(workspace: &Workspace) -> Result<()> {
    let missing = || OPTIONAL.iter().filter(|tool| !succeeds(tool.probe)).collect::<Vec<_>>();
    let packages: Vec<&str> = missing().iter().flat_map(|tool| tool.packages).copied().collect();
    if !packages.is_empty() && can_install() {
        // Each by itself: one that a distribution lacks keeps no other away.
        for package in &packages {
            if let Err(error) = install(&[*package]) {
                println!("   {package} cannot be installed: {error:#}");
            }
        }
    }
    let (absent, packages): (Vec<&str>, Vec<&str>) =
        missing().iter().map(|tool| (tool.name, tool.packages.first().copied().unwrap_or(tool.name))).unzip();
    for (name, package) in absent.iter().zip(packages) {
        println!("   SKIPPED: {name} is not here, so nothing is tried with it; sudo apt-get install {package}");
    }
    let note = workspace.target("foreign/absent");
    fs::create_dir_all(workspace.target("foreign")).context("cannot make target/foreign")?;
    fs::write(&note, absent.join("\n")).with_context(|| format!("cannot write {}", note.display()))
}

/// Whether this is Debian, or a system like it, and we may.
fn can_install() -> bool {
    is_root() && succeeds(&["apt-get", "--version"])
}

fn install(packages: &[&str]) -> Result<()> {
    let mut install = Command::new("apt-get");
    install.args(["install", "-y", "--no-install-recommends"]).args(packages).env("DEBIAN_FRONTEND", "noninteractive");
    // The list of packages may be old or absent: only then is it fetched.
    if execute(&mut install).is_err() {
        execute(Command::new("apt-get").arg("update"))?;
        execute(&mut install)?;
    }
    Ok(())
}

/// `target/foreign/venv`, with what `tests/clients/python/requirements.txt` pins, and `target/foreign/schemathesis`.
fn python(workspace: &Workspace) -> Result<()> {
    virtual_environment(
        &workspace.target("foreign/venv"),
        &workspace.root.join("tests/clients/python/requirements.txt"),
    )?;
    // Apart from the client: what tries the server's interface has some thirty packages of its own.
    virtual_environment(
        &workspace.target("foreign/schemathesis"),
        &workspace.root.join("tests/clients/schemathesis/requirements.txt"),
    )
}

/// `target/foreign/mail`: what signs the mails of tests, as `mail/tests/python/requirements.txt` pins it.
fn mail(workspace: &Workspace) -> Result<()> {
    virtual_environment(&workspace.target("foreign/mail"), &workspace.root.join("mail/tests/python/requirements.txt"))?;
    invoices(workspace)
}

/// `target/foreign/invoices`: published invoices, out of the source packages that the lists of `mail/tests/python/`
/// pin. They are not installed: the samples in them are read.
fn invoices(workspace: &Workspace) -> Result<()> {
    let lists = ["corpora.txt", "held-out.txt"].map(|list| workspace.root.join("mail/tests/python").join(list));
    let folder = workspace.target("foreign/invoices");
    once(&folder, &[&lists[0], &lists[1]], || {
        let python = workspace.target("foreign/mail/bin/python");
        for list in &lists {
            let mut pip = Command::new(&python);
            pip.args([
                "-m",
                "pip",
                "download",
                "--require-hashes",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
                "--no-binary",
                ":all:",
            ]);
            execute(pip.arg("--dest").arg(&folder).arg("-r").arg(list))?;
        }
        let packages = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for package in packages {
            let package = package?.path();
            if package.extension().is_some_and(|extension| extension == "gz") {
                execute(Command::new(&python).args(["-m", "tarfile", "-e"]).arg(&package).arg(&folder))?;
            }
        }
        Ok(())
    })
}

/// A mail server that speaks JMAP, and what it needs that systems do not have anyway, as Debian 12 names it.
const CYRUS: [&str; 9] = [
    "cyrus-imapd",
    "cyrus-common",
    "cyrus-caldav",
    "libpcre3",
    "libical3",
    "libxapian30",
    "libshp2",
    "sasl2-bin",
    "libsasl2-modules-db",
];

/// `target/foreign/cyrus`: Debian's cyrus, unpacked. It cannot be installed: its package and dovecot's exclude each
/// other. On a system that has other packages it stays away, and its test says so.
fn cyrus(workspace: &Workspace) -> Result<()> {
    let folder = workspace.target("foreign/cyrus");
    let stamp = folder.join("unpacked");
    if stamp.exists() || !can_install() || !succeeds(&["dpkg-deb", "--version"]) {
        return Ok(());
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut download = Command::new("apt-get");
    download.arg("download").args(CYRUS).current_dir(&folder);
    if let Err(error) = execute(&mut download) {
        println!("   cyrus cannot be had, so JMAP is tried on a double alone: {error:#}");
        return Ok(());
    }
    for package in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let package = package?.path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            execute(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&folder))?;
            fs::remove_file(&package).with_context(|| format!("cannot remove {}", package.display()))?;
        }
    }
    fs::write(&stamp, CYRUS.join("\n")).with_context(|| format!("cannot write {}", stamp.display()))
}

/// `target/foreign/moto`: a service that speaks S3, as `tests/clients/moto/requirements.txt` pins it.
fn objects(workspace: &Workspace) -> Result<()> {
    let pins = workspace.root.join("tests/clients/moto/requirements.txt");
    virtual_environment(&workspace.target("foreign/moto"), &pins)
}

/// `target/foreign/hadolint`: what reads container files, as `tests/clients/hadolint/requirements.txt` pins it.
fn linter(workspace: &Workspace) -> Result<()> {
    let pins = workspace.root.join("tests/clients/hadolint/requirements.txt");
    virtual_environment(&workspace.target("foreign/hadolint"), &pins)
}

/// `target/foreign/webhooks`: what others verify webhooks with.
fn webhooks(workspace: &Workspace) -> Result<()> {
    let pins = workspace.root.join("tests/clients/webhooks/requirements.txt");
    virtual_environment(&workspace.target("foreign/webhooks"), &pins)
}

/// Installs what a list pins and nothing besides, and only files whose digests stand in the list.
/// Modules are compiled when they are imported: few of them are.
const PIP_INSTALL: [&str; 8] =
    ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--no-compile"];

/// A Python environment in `folder` with the packages that `pins` lists.
pub(crate) fn virtual_environment(folder: &Path, pins: &Path) -> Result<()> {
    once(folder, &[pins], || {
        execute(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        execute(Command::new(folder.join("bin/python")).args(PIP_INSTALL).arg("-r").arg(pins))
    })
}

/// `target/foreign/ffmpeg`: the program in a wheel, as `tests/clients/python/ffmpeg.txt` pins it. Debian's package
/// brings ninety others along.
fn ffmpeg(workspace: &Workspace) -> Result<()> {
    let pins = workspace.root.join("tests/clients/python/ffmpeg.txt");
    let folder = workspace.target("foreign/ffmpeg");
    once(&folder, &[&pins], || {
        let mut pip = Command::new(workspace.target("foreign/venv/bin/python"));
        execute(pip.args(PIP_INSTALL).arg("--target").arg(&folder).arg("-r").arg(&pins))
    })
}

/// `target/foreign/npm`, with what `tests/clients/node/package-lock.json` pins.
fn npm(workspace: &Workspace) -> Result<()> {
    packages(&workspace.root.join("tests/clients/node"), &workspace.target("foreign/npm"))
}

/// `target/foreign/browser`, with what `tests/clients/browser/package-lock.json` pins. The browser itself is not a
/// package.
fn browser_packages(workspace: &Workspace) -> Result<()> {
    packages(&workspace.root.join("tests/clients/browser"), &workspace.target("foreign/browser"))
}

/// npm packages in `folder`, as `package-lock.json` in `source` pins them. No script of a package runs.
pub(crate) fn packages(source: &Path, folder: &Path) -> Result<()> {
    let pins = [source.join("package.json"), source.join("package-lock.json")];
    once(folder, &[&pins[0], &pins[1]], || {
        for pin in &pins {
            let name = pin.file_name().context("a file has a name")?;
            fs::copy(pin, folder.join(name)).with_context(|| format!("cannot copy {}", pin.display()))?;
        }
        // Not `npm ci`: it refuses a lock file that lacks optional packages for other systems.
        let mut npm = Command::new("npm");
        execute(
            npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
                .current_dir(folder),
        )
    })
}

/// Makes `folder` anew, unless it was made from these very `pins`.
pub(crate) fn once(folder: &Path, pins: &[&Path], make: impl FnOnce() -> Result<()>) -> Result<()> {
    let mut wanted = String::new();
    for pin in pins {
        wanted += &fs::read_to_string(pin).with_context(|| format!("cannot read {}", pin.display()))?;
    }
    // Written last: a set-up that was interrupted starts again.
    let stamp = folder.join("made-from");
    if fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    make()?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}

fn execute(command: &mut Command) -> Result<()> {
    println!("   {}", line(command));
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot start `{}`", line(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", line(command));
    }
    Ok(())
}

fn succeeds(command: &[&str]) -> bool {
    let [program, arguments @ ..] = command else { return false };
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
