//! The main job, end to end: real programs as child processes, real resources, a real server; then the cheats.
//!
//! `cargo xtask demo` builds what this needs and runs it.

#![forbid(unsafe_code)]

mod bills;
mod codes;

use anyhow::{Context as _, Result, bail, ensure};
use portcullis_tests::demo::{Expect, Report, sha256};
use portcullis_tests::plain::{self, Plain};
use portcullis_tests::{Browser, Ran, Server, Terminal, checkout};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

const PICTURE: &str = "lumen/picos-de-europa";
const SOFTWARE: &str = "pixelforge/resize";

/// A kind of resource that is previewed, refused, bought and used, in as many steps.
struct Medium {
    /// The folder of the example.
    example: &'static str,
    publisher: &'static str,
    name: &'static str,
    /// What is bought.
    operation: &'static str,
    /// The free call, and the file that it writes.
    preview: [&'static str; 2],
    /// The paid call, none for the command, and the file that it writes.
    paid: (Option<&'static str>, &'static str),
    /// The names of the steps, before the sale and at it.
    publishing: [&'static str; 2],
    using: [&'static str; 5],
}

const MEDIA: [Medium; 3] = [
    Medium {
        example: "music",
        publisher: "tidewater",
        name: "harbour-at-dusk",
        operation: "play",
        preview: ["preview()", "preview.wav"],
        paid: (Some("play()"), "track.wav"),
        publishing: ["seal-music", "publish-music"],
        using: ["install-music", "music-preview-free", "music-refused-unpaid", "buy-music", "play-music"],
    },
    Medium {
        example: "theme",
        publisher: "hearth",
        name: "pine-and-ember",
        operation: "apply",
        preview: ["preview()", "swatch.svg"],
        paid: (Some("text-mate()"), "pine-and-ember.tmTheme"),
        publishing: ["seal-theme", "publish-theme"],
        using: ["install-theme", "theme-preview-free", "theme-refused-unpaid", "buy-theme", "apply-theme"],
    },
    Medium {
        example: "video",
        publisher: "ridgeline",
        name: "first-light",
        operation: "watch",
        preview: ["preview()", "trailer.avi"],
        paid: (None, "film.avi"),
        publishing: ["seal-video", "publish-video"],
        using: ["install-video", "video-preview-free", "video-refused-unpaid", "buy-video", "watch-video"],
    },
];

const PASSWORD: &str = "correct horse battery staple";

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("the demo did not go as it should");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

struct Demo {
    folder: PathBuf,
    server: Server,
    publisher: Terminal,
    user: Terminal,
    report: Report,
}

async fn run() -> Result<bool> {
    let json = json_file()?;
    let folder = checkout::root().join("target/demo");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).context("cannot make target/demo")?;

    let mut report = Report::default();
    let began = Instant::now();
    let mut server = Server::init(&folder.join("server"))?;
    report.did("server-init", "portcullis-server init --dir target/demo/server", None, true, began);
    let began = Instant::now();
    // The merchant of the act *codes* is on this machine.
    server.configure("webhooks", "networks_of_others", vec!["127.0.0.0/8"])?;
    server.start(&[])?;
    report.did("server-start", "portcullis-server serve --dir target/demo/server", None, true, began);

    let mut demo = Demo {
        publisher: Terminal::new(folder.join("publisher")),
        user: Terminal::new(folder.join("user")),
        folder,
        server,
        report,
    };
    demo.publish().await?;
    demo.buy_and_run().await?;
    demo.cheat().await?;

    let good = demo.report.is_good();
    if let Some(file) = json {
        fs::write(&file, serde_json::to_vec_pretty(&demo.report)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    demo.farewell(good);
    Ok(good)
}

fn json_file() -> Result<Option<PathBuf>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(None),
        ["--json", file] => Ok(Some(PathBuf::from(file))),
        _ => bail!("usage: cargo xtask demo [--json FILE]"),
    }
}

impl Demo {
    fn step(
        &mut self,
        name: &'static str,
        terminal: &Terminal,
        arguments: &[&str],
        expect: &Expect<'_>,
    ) -> Result<Ran> {
        let began = Instant::now();
        let ran = terminal.run_in(&self.folder, arguments)?;
        self.report.ran(name, &ran, expect, began)?;
        Ok(ran)
    }

    async fn publish(&mut self) -> Result<()> {
        let publisher = self.publisher.clone();
        let began = Instant::now();
        for name in ["lumen", "pixelforge", "ledgerline"].into_iter().chain(MEDIA.iter().map(|medium| medium.publisher))
        {
            publisher.run_in(&self.folder, &["keygen", "-o", &format!("{name}.key")])?.done()?;
        }
        self.report.did("publisher-keys", "portcullis keygen -o lumen.key", None, true, began);

        let origin = self.server.origin().to_owned();
        let began = Instant::now();
        let mut browser = Browser::new(&origin)?;
        browser.sign_up("publisher@example.com", PASSWORD).await?;
        let ran = publisher.login(&self.server, &mut browser).await?;
        self.report.ran("publisher-sign-in", &ran, &Expect::Success, began)?;
        let (picture, software) = (example("picture"), example("software"));
        let sealed = self.folder.join("picture.sealed.wasm");
        let seal = ["seal", &picture, "--server", &origin, "--key", "lumen.key", "-o", "picture.sealed.wasm"];
        self.step("seal-picture", &publisher, &seal, &Expect::Artifact(&sealed))?;
        let sealed = self.folder.join("software.sealed.wasm");
        let seal = [
            "seal",
            &software,
            "--server",
            &origin,
            "--key",
            "pixelforge.key",
            "--advisory-metering",
            "-o",
            "software.sealed.wasm",
        ];
        self.step("seal-software", &publisher, &seal, &Expect::Artifact(&sealed))?;
        for medium in &MEDIA {
            let (file, key) = (format!("{}.sealed.wasm", medium.example), format!("{}.key", medium.publisher));
            let project = example(medium.example);
            let seal = ["seal", &project, "--server", &origin, "--key", &key, "--advisory-metering", "-o", &file];
            self.step(medium.publishing[0], &publisher, &seal, &Expect::Artifact(&self.folder.join(&file)))?;
        }
        let (bills, sealed) = (example("bills"), self.folder.join("bills.sealed.wasm"));
        let seal = ["seal", &bills, "--server", &origin, "--key", "ledgerline.key", "-o", "bills.sealed.wasm"];
        self.step("seal-bills", &publisher, &seal, &Expect::Artifact(&sealed))?;
        self.step("inspect-sealed", &publisher, &["inspect", "picture.sealed.wasm"], &Expect::Success)?;
        self.step("verify-sealed", &publisher, &["verify", "picture.sealed.wasm"], &Expect::Success)?;

        let publish = ["publish", "picture.sealed.wasm", "--project", &picture, "--key", "lumen.key"];
        self.step("publish-picture", &publisher, &publish, &Expect::Success)?;
        let publish = ["publish", "software.sealed.wasm", "--project", &software, "--key", "pixelforge.key"];
        self.step("publish-software", &publisher, &publish, &Expect::Success)?;
        for medium in &MEDIA {
            let (file, key) = (format!("{}.sealed.wasm", medium.example), format!("{}.key", medium.publisher));
            let project = example(medium.example);
            let publish = ["publish", &file, "--project", &project, "--key", &key];
            self.step(medium.publishing[1], &publisher, &publish, &Expect::Success)?;
        }
        let publish = ["publish", "bills.sealed.wasm", "--project", &bills, "--key", "ledgerline.key"];
        self.step("publish-bills", &publisher, &publish, &Expect::Success)?;
        Ok(())
    }

    async fn buy_and_run(&mut self) -> Result<()> {
        let user = self.user.clone();
        let origin = self.server.origin().to_owned();
        let began = Instant::now();
        let mut browser = Browser::new(&origin)?;
        browser.sign_up("user@example.com", PASSWORD).await?;
        let ran = user.login(&self.server, &mut browser).await?;
        self.report.ran("user-sign-in", &ran, &Expect::Success, began)?;
        self.step("search", &user, &["search", "photograph"], &Expect::Success)?;
        self.step("install-picture", &user, &["install", PICTURE], &Expect::Success)?;
        self.step("install-software", &user, &["install", SOFTWARE], &Expect::Success)?;

        let preview = self.folder.join("preview.jpg");
        let run = ["run", PICTURE, "--invoke", "preview()", "-o", "preview.jpg"];
        self.step("picture-preview-free", &user, &run, &Expect::Artifact(&preview))?;
        self.same("preview.jpg", "picture/assets/preview.jpg")?;
        let run = ["--json", "run", PICTURE, "--invoke", "view()", "-o", "full.jpg"];
        self.step("picture-refused-unpaid", &user, &run, &Expect::Refusal("payment-required"))?;
        ensure!(!self.folder.join("full.jpg").exists(), "a refused run wrote a file");
        let run = ["--json", "run", PICTURE, "--invoke", "upgrade()", "-o", "full.jpg", "--allow", "view"];
        self.step("cycle-inside-refused-unpaid", &user, &run, &Expect::Refusal("payment-required"))?;

        self.step("buy-picture", &user, &["buy", PICTURE, "--operation", "view", "--yes"], &Expect::Success)?;
        let full = self.folder.join("full.jpg");
        let run = ["run", PICTURE, "--invoke", "view()", "-o", "full.jpg"];
        self.step("view-picture", &user, &run, &Expect::Artifact(&full))?;
        self.same("full.jpg", "picture/assets/full.jpg")?;
        let again = self.folder.join("upgraded.jpg");
        let run = ["run", PICTURE, "--invoke", "upgrade()", "-o", "upgraded.jpg", "--allow", "view"];
        self.step("cycle-inside-the-resource", &user, &run, &Expect::Artifact(&again))?;
        self.same("upgraded.jpg", "picture/assets/full.jpg")?;

        photograph(&self.folder.join("photo.png"))?;
        let small = self.folder.join("thumbnail.png");
        let run = ["run", SOFTWARE, "--invoke", "thumbnail(@photo.png)", "-o", "thumbnail.png"];
        self.step("software-thumbnail-free", &user, &run, &Expect::Artifact(&small))?;
        let resize = "resize(@photo.png, 1600, 1200, lanczos3)";
        let run = ["--json", "run", SOFTWARE, "--invoke", resize, "-o", "resized.png"];
        self.step("software-refused-unpaid", &user, &run, &Expect::Refusal("payment-required"))?;
        self.pay_by_the_image(&user, resize)?;
        self.step("buy-software", &user, &["buy", SOFTWARE, "--operation", "process", "--yes"], &Expect::Success)?;
        let resized = self.folder.join("resized.png");
        let run = ["run", SOFTWARE, "--invoke", resize, "-o", "resized.png"];
        self.step("resize", &user, &run, &Expect::Artifact(&resized))?;
        ensure!(png_size(&resized)? == (1600, 1200), "the resized picture has another size");

        self.kill_the_server_between(&user).await?;
        let began = Instant::now();
        let listed = user.run_in(&self.folder, &["--json", "grants"])?.done()?.json()?;
        let left = remaining(&listed, "process");
        let what = format!("portcullis grants: {} of 10 uses left", left.map_or("?".into(), |left| left.to_string()));
        self.report.did("uses-counted-once", &what, None, left == Some(8), began);
        for medium in &MEDIA {
            self.play(&user, medium)?;
        }
        self.bills(&user).await?;
        self.codes(&user).await?;
        self.step("receipts", &user, &["receipts"], &Expect::Success)?;
        Ok(())
    }

    /// The other offer: a price for each image, from a prepaid balance, up to what the user agreed to.
    fn pay_by_the_image(&mut self, user: &Terminal, resize: &str) -> Result<()> {
        self.step("top-up", user, &["top-up", "5.00EUR", "--yes"], &Expect::Success)?;
        let made = self.folder.join("by-the-image.png");
        let run = ["run", SOFTWARE, "--invoke", resize, "-o", "by-the-image.png", "--max-spend", "1.00EUR"];
        self.step("resize-from-the-balance", user, &run, &Expect::Artifact(&made))?;
        ensure!(png_size(&made)? == (1600, 1200), "the picture has another size");
        let began = Instant::now();
        let printed = user.run_in(&self.folder, &["--json", "balance"])?.done()?.json()?;
        let left = printed["balances"][0]["balance"].as_str().unwrap_or("?").to_owned();
        let what = format!("portcullis balance: {left} left of 5.00 EUR");
        self.report.did("balance-drawn", &what, None, left == "4.40 EUR", began);
        Ok(())
    }

    /// Installs, previews, is refused, buys, uses; and checks what was written.
    fn play(&mut self, user: &Terminal, medium: &Medium) -> Result<()> {
        let resource = format!("{}/{}", medium.publisher, medium.name);
        let [install, previewed, refused, bought, used] = medium.using;
        self.step(install, user, &["install", &resource], &Expect::Success)?;
        let [call, file] = medium.preview;
        let run = ["run", &resource, "--invoke", call, "-o", file];
        self.step(previewed, user, &run, &Expect::Artifact(&self.folder.join(file)))?;
        let (call, file) = medium.paid;
        let target = self.folder.join(file);
        let call = call.map_or(vec![], |call| vec!["--invoke", call]);
        let run = [&["run", &resource], &call[..], &["-o", file]].concat();
        self.step(refused, user, &[&["--json"], &run[..]].concat(), &Expect::Refusal("payment-required"))?;
        ensure!(!target.exists(), "a refused run wrote a file");
        let buy = ["buy", &resource, "--operation", medium.operation, "--yes"];
        self.step(bought, user, &buy, &Expect::Success)?;
        self.step(used, user, &run, &Expect::Artifact(&target))?;
        self.check(medium.example)
    }

    /// What the media wrote is what their studios made.
    fn check(&self, example: &str) -> Result<()> {
        let assets = checkout::root().join("target/assets").join(example);
        match example {
            "music" => {
                for (file, seconds) in [("preview.wav", 10), ("track.wav", 70)] {
                    // Two channels of 16 bits, 44,100 times a second, behind a head of 44 bytes.
                    let wav = fs::read(self.folder.join(file))?;
                    let whole = wav.len() == 44 + seconds * 44_100 * 4 && wav.starts_with(b"RIFF");
                    ensure!(whole, "{file} is no WAV file of {seconds} seconds");
                }
            }
            "theme" => {
                let (swatch, theme) = (self.text("swatch.svg")?, self.text("pine-and-ember.tmTheme")?);
                // One of the five colours that everybody sees, and one that is sold.
                let shown = swatch.contains("#8fc27a") && !swatch.contains("#d9622b");
                ensure!(shown && theme.contains("#8fc27a") && theme.contains("#d9622b"), "a theme of other colours");
            }
            _ => {
                for file in ["trailer.avi", "film.avi"] {
                    let same = sha256(&self.folder.join(file))? == sha256(&assets.join(file))?;
                    ensure!(same, "{file} is not what the studio drew");
                }
            }
        }
        Ok(())
    }

    fn text(&self, file: &str) -> Result<String> {
        fs::read_to_string(self.folder.join(file)).with_context(|| format!("cannot read {file}"))
    }

    /// The server dies inside the transaction of step 3, while the code is held and the terminal waits.
    async fn kill_the_server_between(&mut self, user: &Terminal) -> Result<()> {
        let began = Instant::now();
        self.server.kill()?;
        self.server.start(&[("PORTCULLIS_FAULT", "verify.before-commit:kill")])?;
        let run = ["run", SOFTWARE, "--invoke", "sharpen(@photo.png, 0.5, 1.0)", "-o", "sharpened.png"];
        let (terminal, folder) = (user.clone(), self.folder.clone());
        let running = tokio::task::spawn_blocking(move || terminal.run_in(&folder, &run));
        self.server.wait_for_end()?;
        self.server.start(&[])?;
        let ran = running.await??;
        let sharpened = self.folder.join("sharpened.png");
        self.report.ran("server-killed-between-authorise-and-verify", &ran, &Expect::Artifact(&sharpened), began)?;
        Ok(())
    }

    async fn cheat(&mut self) -> Result<()> {
        println!("\nNow the cheats. Each is refused.\n");
        let user = self.user.clone();
        self.unpack(&user)?;
        self.plain_engine()?;

        let sealed = fs::read(self.folder.join("picture.sealed.wasm"))?;
        let mut changed = sealed.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        fs::write(self.folder.join("changed.wasm"), changed)?;
        let run = ["--json", "run", "changed.wasm", "--invoke", "preview()", "-o", "stolen.jpg"];
        let ran = self.step(
            "cheat-change-one-byte",
            &user,
            &["--json", "verify", "changed.wasm"],
            &Expect::Refusal("package-invalid"),
        )?;
        ensure!(ran.exit != 0 && user.run_in(&self.folder, &run)?.exit != 0, "a changed resource ran");
        let mut appended = sealed;
        appended.extend_from_within(appended.len() - 40..);
        fs::write(self.folder.join("appended.wasm"), appended)?;
        self.step(
            "cheat-append-a-manifest",
            &user,
            &["--json", "verify", "appended.wasm"],
            &Expect::Refusal("package-invalid"),
        )?;

        // The buyer's files on a machine of somebody who paid nothing.
        let thief = Terminal::new(self.folder.join("thief"));
        let mut browser = Browser::new(self.server.origin())?;
        browser.sign_up("thief@example.com", PASSWORD).await?;
        thief.login(&self.server, &mut browser).await?.done()?;
        thief.run_in(&self.folder, &["install", PICTURE])?.done()?;
        let run = ["--json", "run", PICTURE, "--invoke", "view()", "-o", "stolen.jpg"];
        self.step("cheat-run-on-another-terminal", &thief, &run, &Expect::Refusal("payment-required"))?;

        self.fake_server(&user)
    }

    /// The paid part as it lies in the file: an age file, and no picture anywhere in it.
    fn unpack(&mut self, user: &Terminal) -> Result<()> {
        let began = Instant::now();
        let ran = user
            .run_in(&self.folder, &["inspect", "picture.sealed.wasm", "--extract", "full", "-o", "full.age"])?
            .done()?;
        let part = fs::read(self.folder.join("full.age"))?;
        let picture = fs::read(checkout::root().join("example-resources/picture/assets/full.jpg"))?;
        // Sixteen pieces from all over the picture: none of them lies anywhere in the part.
        let pieces = picture.chunks_exact(64).step_by(picture.len() / 64 / 16);
        let in_clear = pieces.into_iter().any(|piece| part.windows(64).any(|window| window == piece));
        let ok = part.starts_with(b"age-encryption.org/v1\n") && !in_clear;
        self.report.did("cheat-unpack-the-resource", &format!("{}: ciphertext", ran.line), None, ok, began);
        Ok(())
    }

    /// The sealed file is a valid component: a plain engine compiles the stub, and that is all it finds.
    fn plain_engine(&mut self) -> Result<()> {
        let sealed = fs::read(self.folder.join("picture.sealed.wasm"))?;
        let began = Instant::now();
        let ok = plain::refused_without_billing(&sealed)?.contains("portcullis:gate/billing");
        self.report.did(
            "cheat-run-it-in-a-plain-engine",
            "instantiate it without a billing host: it does not link",
            None,
            ok,
            began,
        );
        let began = Instant::now();
        let view = "lumen:picos-de-europa/picture@1.0.0#view";
        let called = Plain::instantiate(&sealed)?.call(view, &[]);
        let ok = called.is_err_and(|trap| trap.to_string().contains("unreachable"));
        self.report.did(
            "cheat-always-yes-billing",
            "satisfy every import and call `view`: the stub traps before it asks anybody",
            None,
            ok,
            began,
        );
        Ok(())
    }

    /// Another server takes the address: the terminal knows the real one's root key.
    fn fake_server(&mut self, user: &Terminal) -> Result<()> {
        let began = Instant::now();
        self.server.kill()?;
        let address = self.server.origin().trim_start_matches("http://").to_owned();
        let mut fake = Server::init_at(&self.folder.join("fake"), &address)?;
        fake.start(&[])?;
        // A terminal that remembers the keys of the real server has no reason to ask again before they end.
        let run = ["--json", "run", PICTURE, "--invoke", "view()", "-o", "stolen.jpg"];
        let ran = user.run_in(&self.folder, &run)?;
        let printed = ran.json()?;
        let reason = printed["error"]["reason"].as_str().unwrap_or("none").to_owned();
        let ok = ran.exit != 0 && ["server-untrusted", "offline"].contains(&reason.as_str());
        self.report.did(
            "cheat-fake-server",
            &format!("{} (another server at the same address)", ran.line),
            Some(&reason),
            ok,
            began,
        );
        fake.kill()?;
        self.server.start(&[])
    }

    fn same(&self, made: &str, original: &str) -> Result<()> {
        let original = checkout::root().join("example-resources").join(original);
        ensure!(sha256(&self.folder.join(made))? == sha256(&original)?, "{made} differs from {}", original.display());
        Ok(())
    }

    fn farewell(&self, good: bool) {
        if !good {
            return;
        }
        println!("\nAll {} steps went as they should. What was made is in target/demo:\n", self.report.steps.len());
        for (file, what) in [
            ("picture.sealed.wasm", "the sealed picture: give it to anybody"),
            ("full.jpg", "the picture, as the one who paid saw it"),
            ("resized.png", "a photograph, resized by the paid software"),
            ("track.wav", "the music: ffplay target/demo/track.wav"),
            ("film.avi", "the film: ffplay target/demo/film.avi"),
            ("swatch.svg", "the theme's free preview"),
            ("bills.svg", "what the bills in the mailbox come to"),
            ("pine-and-ember.tmTheme", "the theme: copy it to \"$(bat --config-dir)/themes\", then bat cache --build"),
        ] {
            println!("  {file:<22} {what}");
        }
        println!(
            "\nNext: make, price, sell and run a resource of your own:\n\n  target/debug/portcullis new my-resource\n  cd my-resource && ../target/debug/portcullis dev\n\nand read docs/first-resource.md."
        );
    }
}

fn example(name: &str) -> String {
    checkout::root().join("example-resources").join(name).display().to_string()
}

/// A photograph of 8 megapixels as PNG: the example's own, decoded.
fn photograph(to: &Path) -> Result<()> {
    let jpeg = fs::read(checkout::root().join("example-resources/picture/assets/full.jpg"))?;
    let picture = image::load_from_memory_with_format(&jpeg, image::ImageFormat::Jpeg)?.to_rgb8();
    picture.save_with_format(to, image::ImageFormat::Png).with_context(|| format!("cannot write {}", to.display()))
}

fn png_size(file: &Path) -> Result<(u32, u32)> {
    let decoded = image::load_from_memory_with_format(&fs::read(file)?, image::ImageFormat::Png)?;
    Ok((decoded.width(), decoded.height()))
}

/// How many uses are left of an operation, in what `portcullis --json grants` prints.
fn remaining(printed: &serde_json::Value, operation: &str) -> Option<u64> {
    let rights = printed["rights"].as_array()?;
    rights.iter().find(|e| e["operation"] == operation)?["remaining"].as_u64()
}
