//! `host/examples/shelf`: a program that embeds the runtime, driven by a script against a real server.

use anyhow::{Context as _, Result, bail, ensure};
use portcullis_tests::{Browser, Server, Terminal, checkout};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

const PASSWORD: &str = "correct horse battery staple";
const PICTURE: &str = "lumen/picos-de-europa";

/// A store with a picture, a resource that does honest work, and one that loops and allocates.
struct Store {
    folder: tempfile::TempDir,
    server: Server,
}

impl Store {
    async fn open() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().to_owned();
        let server = Server::fresh(&path.join("server"))?;
        let publisher = Terminal::new(path.join("publisher"));
        let mut browser = Browser::new(server.origin())?;
        browser.sign_up("publisher@example.com", PASSWORD).await?;
        publisher.login(&server, &mut browser).await?.done()?;
        for name in ["lumen", "tester"] {
            publisher.run_in(&path, &["keygen", "-o", &format!("{name}.key")])?.done()?;
        }
        let picture = checkout::root().join("example-resources/picture").display().to_string();
        sell(&publisher, &server, &path, &picture, "lumen")?;
        for name in ["neighbour", "hostile"] {
            let project = path.join(name);
            fs::create_dir(&project)?;
            // The guest of the host's own tests, which can do everything that a resource must not.
            fs::write(project.join("guest.wasm"), portcullis_fixtures::guest())?;
            fs::write(project.join("portcullis.toml"), manifest(name))?;
            sell(&publisher, &server, &path, name, "tester")?;
        }
        Ok(Self { folder, server })
    }

    /// Runs the shelf with a script. What it shows is read as it appears: `browser` approves the sign-in.
    async fn shelf(&self, script: &str, browser: &mut Browser) -> Result<Vec<String>> {
        let path = self.folder.path();
        fs::write(path.join("script.txt"), script)?;
        let mut child = Command::new(checkout::program("examples/shelf")?)
            .current_dir(path)
            .args(["--home", "shelf-home", "--seconds", "4", "--script", "script.txt"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the shelf")?;
        let stdout = child.stdout.take().context("no standard output")?;
        let (send, mut receive) = tokio::sync::mpsc::unbounded_channel();
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        let (mut shown, mut code) = (Vec::new(), None);
        while let Some(line) = receive.recv().await {
            if let Some((_, rest)) = line.split_once(" code ") {
                code = rest.split_whitespace().next().map(str::to_owned);
            }
            if let (Some((_, words)), Some(code)) = (line.split_once("if the page shows "), &code) {
                browser.approve(code, words).await?;
            }
            shown.push(line);
        }
        let _ = reader.join();
        let status = child.wait()?;
        ensure!(status.success(), "the shelf ended with {status}:\n{}", shown.join("\n"));
        Ok(shown)
    }
}

/// Seals, publishes and prices a project.
fn sell(publisher: &Terminal, server: &Server, folder: &Path, project: &str, key: &str) -> Result<()> {
    let key = format!("{key}.key");
    let seal = ["seal", project, "--server", server.origin(), "--key", &key, "-o", "sealed.wasm"];
    publisher.run_in(folder, &seal)?.done()?;
    publisher.run_in(folder, &["publish", "sealed.wasm", "--project", project, "--key", &key])?.done()?;
    Ok(())
}

fn manifest(name: &str) -> String {
    let exports = ["add", "spin", "grow", "recurse"].map(|function| format!("\"test:guest/api@1.0.0#{function}\""));
    format!(
        "[resource]\npublisher = \"tester\"\nname = \"{name}\"\nversion = \"1.0.0\"\nkind = \"software\"\n\
         title = \"The {name}\"\ndescription = \"For tests.\"\n\n\
         [[operation]]\nname = \"use\"\ntitle = \"Use it\"\nexports = [{}]\nparts = [\"main\"]\n\n\
         [[part]]\nname = \"main\"\npath = \"guest.wasm\"\nkind = \"code\"\npublic = true\n\n\
         [[offer]]\noperation = \"use\"\nmodel = \"free\"\n",
        exports.join(", ")
    )
}

/// The places of lines that contain these texts: each has to be there, after the one before.
fn in_order(shown: &[String], texts: &[&str]) -> Result<()> {
    let mut from = 0;
    for text in texts {
        let Some(at) = shown[from..].iter().position(|line| line.contains(text)) else {
            bail!("`{text}` was not shown, or not in its place:\n{}", shown.join("\n"));
        };
        from += at + 1;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_lists_previews_buys_and_runs_and_survives_a_hostile_resource() -> Result<()> {
    let store = Store::open().await?;
    let mut browser = Browser::new(store.server.origin())?;
    browser.sign_up("user@example.com", PASSWORD).await?;
    let origin = store.server.origin();

    let script = format!(
        "list\nwait\n\
         sign-in {origin}\nwait question\nanswer yes\nwait\n\
         list\nwait\n\
         install {PICTURE}\ninstall tester/neighbour\ninstall tester/hostile\nwait\n\
         preview {PICTURE} > preview.jpg\nwait\n\
         run {PICTURE} view > full.jpg\nwait\n\
         buy {PICTURE} view\nwait question\nanswer no\nwait\n\
         buy {PICTURE} view\nwait question\nanswer yes\nwait\n\
         run {PICTURE} view > full.jpg\nwait\n\
         run {PICTURE} upgrade > declined.jpg\nwait question\nanswer no\nwait\n\
         run {PICTURE} upgrade > upgraded.jpg\nwait question\nanswer yes\nwait\n\
         list\nwait\n"
    );
    let shown = store.shelf(&script, &mut browser).await?;
    let words = store.server.words().to_owned();
    let fingerprint = format!("has the fingerprint {words}");
    let signed_in = format!("done: signed in to {origin} as user@example.com");
    in_order(
        &shown,
        &[
            "the shelf is empty",
            &fingerprint,
            "> answer yes",
            "#2 code ",
            &signed_in,
            "lumen/picos-de-europa · Picos de Europa · 1.0.0 in the store",
            "view: Full picture, for good, perpetual, 1.99 EUR",
            "done: 3 on the shelf",
            "> preview lumen/picos-de-europa",
            "lumen/picos-de-europa: asking the billing server for `preview`",
            "lumen/picos-de-europa: `preview` is payable; verifying",
            "lumen/picos-de-europa: decrypting `viewer`",
            "lumen/picos-de-europa: compiling `viewer`",
            "lumen/picos-de-europa: `preview` is ready",
            "done: `preview` gave ",
            "failed: payment-required",
            "Buy lumen/picos-de-europa?",
            "> answer no",
            "failed: not bought",
            "Buy lumen/picos-de-europa?",
            "> answer yes",
            "done: paid 1.99 EUR",
            "done: `view` gave ",
            "?  lumen/picos-de-europa asks for `view` (Full picture, for good), 1 times",
            "> answer no",
            "failed: confirmation-required, says the resource",
            "?  lumen/picos-de-europa asks for `view`",
            "> answer yes",
            "done: `upgrade` gave ",
            "lumen/picos-de-europa · Picos de Europa · 1.0.0 installed",
        ],
    )?;
    for name in [PICTURE, "tester/neighbour", "tester/hostile"] {
        let installed = format!("done: installed {name} 1.0.0");
        ensure!(shown.iter().any(|line| line.contains(&installed)), "{name} is not installed:\n{}", shown.join("\n"));
    }
    let whole = shown.iter().filter(|line| line.contains("[####################] 100 %")).count();
    ensure!(whole == 3, "three downloads came to their end, {whole} were shown:\n{}", shown.join("\n"));
    let folder = store.folder.path();
    let assets = checkout::root().join("example-resources/picture/assets");
    for (file, asset) in [("preview.jpg", "preview.jpg"), ("full.jpg", "full.jpg"), ("upgraded.jpg", "full.jpg")] {
        ensure!(fs::read(folder.join(file))? == fs::read(assets.join(asset))?, "{file} is another picture");
    }
    ensure!(!folder.join("declined.jpg").exists(), "what was declined was written");

    // One resource loops, one allocates, one recurses: each is ended by its bound, and the neighbour, which works while
    // they do, notices nothing. A job that is stopped frees what it held.
    let script = "run tester/hostile spin\nrun tester/hostile grow\nrun tester/hostile recurse\n\
                  run tester/neighbour add 2 3\nrun tester/neighbour add 4 5\nwait\n\
                  run tester/hostile spin\nstop 6\nrun tester/hostile add 6 7\nwait\nnonsense\nquit\n";
    let shown = store.shelf(script, &mut browser).await?;
    let place = |text: &str| shown.iter().position(|line| line.contains(text));
    let looped = place("#1 failed: the resource was stopped: it reached its bound on time");
    ensure!(looped.is_some(), "the loop did not end by its bound:\n{}", shown.join("\n"));
    for (what, text) in [
        ("allocating", "#2 failed: the resource was stopped: it reached its bound on memory"),
        ("recursing", "#3 failed: the resource was stopped: it reached its bound on stack"),
        ("the neighbour", "#4 done: `add` gave (5)"),
        ("the neighbour again", "#5 done: `add` gave (9)"),
    ] {
        ensure!(place(text).is_some_and(|at| Some(at) < looped), "{what} waited for the loop:\n{}", shown.join("\n"));
    }
    in_order(&shown, &["#6 failed: stopped", "#7 done: `add` gave (13)", "`nonsense`: not understood", "> quit"])
}
