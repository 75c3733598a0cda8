//! A billing server on loopback that sells what is measured, and a terminal that has bought it.

use crate::resource::{ADD, ECHO, OPERATION};
use anyhow::{Context as _, Result, bail};
use portcullis_tests::{Browser, Server, Terminal};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PASSWORD: &str = "a password for measuring";
/// Who publishes it all.
const PUBLISHER: &str = "bench";

/// The server, a publisher and a user.
pub(crate) struct Shop {
    folder: PathBuf,
    server: Server,
    publisher: Terminal,
    pub(crate) user: Terminal,
}

impl Shop {
    /// Starts the server in `folder` and signs both in.
    pub(crate) async fn open(folder: &Path) -> Result<Self> {
        let server = Server::fresh(&folder.join("server"))?;
        let shop = Self {
            server,
            publisher: Terminal::new(folder.join("publisher")),
            user: Terminal::new(folder.join("user")),
            folder: folder.to_owned(),
        };
        for (terminal, email) in [(&shop.publisher, "publisher@example.com"), (&shop.user, "user@example.com")] {
            let mut browser = Browser::new(shop.server.origin())?;
            browser.sign_up(email, PASSWORD).await?;
            terminal.login(&shop.server, &mut browser).await?.done()?;
        }
        shop.publisher.run_in(folder, &["keygen", "-o", "publisher.key"])?.done()?;
        Ok(shop)
    }

    /// Seals `body` as the resource `name`, sells it, and buys and installs it. Gives the installed file, which carries
    /// the store's signature.
    pub(crate) fn sell(&self, name: &str, body: &[u8]) -> Result<PathBuf> {
        let project = self.folder.join(name);
        fs::create_dir_all(&project)?;
        fs::write(project.join("body.wasm"), body)?;
        fs::write(project.join("portcullis.toml"), manifest(name))?;
        let sealed = self.folder.join(format!("{name}.wasm"));
        let (project, file) = (text(&project)?, text(&sealed)?);
        let publisher = |arguments: &[&str]| self.publisher.run_in(&self.folder, arguments)?.done();
        let origin = self.server.origin();
        publisher(&["seal", project, "--server", origin, "--key", "publisher.key", "--advisory-metering", "-o", file])?;
        publisher(&["publish", file, "--project", project, "--key", "publisher.key"])?;
        let user = |arguments: &[&str]| self.user.run_in(&self.folder, arguments)?.done();
        let bought = format!("{PUBLISHER}/{name}");
        user(&["install", &bought])?;
        user(&["buy", &bought, "--operation", OPERATION, "--yes"])?;
        for entry in fs::read_dir(self.user.home().join("resources").join(&bought))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "wasm") {
                return Ok(path);
            }
        }
        bail!("{bought} was installed nowhere")
    }

    /// The command by which the user calls `add` of what was bought.
    pub(crate) fn run(&self, sealed: &Path) -> Result<Command> {
        let mut command = self.user.command()?;
        command.current_dir(&self.folder).args(["run", "--invoke", "add(2, 3)"]).arg(sealed);
        Ok(command)
    }
}

fn manifest(name: &str) -> String {
    format!(
        r#"[resource]
publisher = "{PUBLISHER}"
name = "{name}"
version = "1.0.0"
kind = "software"
title = "What is measured"
description = "Adds two numbers, and gives back what it gets."

[[operation]]
name = "{OPERATION}"
title = "Call"
exports = ["{ADD}", "{ECHO}"]
parts = ["main"]

[[part]]
name = "main"
path = "body.wasm"
kind = "code"

[[offer]]
operation = "{OPERATION}"
title = "For good"
model = "perpetual"
price = "1.00 EUR"
"#
    )
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}
