//! `docs/first-resource.md`: every command of it, in an empty folder outside the checkout, as a newcomer types them.

use anyhow::{Context as _, Result, bail, ensure};
use portcullis_fixtures::ports;
use portcullis_tests::{Browser, Terminal, checkout};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The address in the page, replaced by one that is free.
const ADDRESS: &str = "127.0.0.1:8433";
const PASSWORD: &str = "correct horse battery staple";

/// A command of the page, and how it has to end.
#[derive(Debug)]
struct Line {
    command: String,
    server: bool,
    exit: i32,
}

/// A newcomer at work.
struct Newcomer {
    folder: PathBuf,
    home: PathBuf,
    address: String,
    words: Option<String>,
    accounts: u32,
    server: Option<Child>,
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

#[tokio::test]
async fn every_command_of_the_page_works() -> Result<()> {
    let page = std::fs::read_to_string(checkout::root().join("docs/first-resource.md"))?;
    let lines = lines(&page)?;
    ensure!(lines.len() >= 20, "the page has lost its commands");

    let folder = tempfile::tempdir()?;
    ensure!(!folder.path().starts_with(checkout::root()), "the folder lies in the checkout");
    let mut newcomer = Newcomer {
        folder: folder.path().to_owned(),
        home: folder.path().join("home"),
        address: ports::free().to_string(),
        words: None,
        accounts: 0,
        server: None,
    };
    for line in &lines {
        newcomer.type_in(line).await.with_context(|| format!("$ {}", line.command))?;
    }
    Ok(())
}

/// The commands of the page's `console` blocks.
fn lines(page: &str) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    let mut block: Option<(bool, i32)> = None;
    for text in page.lines() {
        if let Some(info) = text.strip_prefix("```") {
            block = match (block, info.strip_prefix("console")) {
                (Some(_), _) => None,
                (None, Some("")) => Some((false, 0)),
                (None, Some(" server")) => Some((true, 0)),
                (None, Some(rest)) => {
                    Some((false, rest.trim().strip_prefix("exit=").context("an unknown block")?.parse()?))
                }
                (None, None) => bail!("a block that is not `console`: its content is not tried"),
            };
        } else if let (Some((server, exit)), Some(command)) = (block, text.strip_prefix("$ ")) {
            lines.push(Line { command: command.to_owned(), server, exit });
        }
    }
    Ok(lines)
}

impl Newcomer {
    async fn type_in(&mut self, line: &Line) -> Result<()> {
        let command = line.command.replace(ADDRESS, &self.address);
        if let Some(to) = command.strip_prefix("cd ") {
            self.folder = self.folder.join(to).canonicalize()?;
            return Ok(());
        }
        if command.contains(" login ") {
            return self.log_in(&command).await;
        }
        let mut shell = self.shell(&command)?;
        if line.server {
            self.server = Some(shell.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
            return self.wait_for_server();
        }
        let output = shell.output()?;
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(
            output.status.code() == Some(line.exit),
            "ended with {:?} instead of {}:\n{said}",
            output.status.code(),
            line.exit
        );
        if command.contains(" init ") {
            let words = said.split_whitespace().find(|word| word.matches('-').count() == 7);
            self.words = Some(words.context("init shows no words")?.to_owned());
        }
        Ok(())
    }

    /// A shell that finds the built programs first, as the page has it.
    fn shell(&self, command: &str) -> Result<Command> {
        let programs = checkout::program("portcullis")?;
        let programs = programs.parent().context("a program in no folder")?;
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("exec {command}")])
            .current_dir(&self.folder)
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("PORTCULLIS_HOME", &self.home)
            // What a project depends on is compiled once for all tests that make one.
            .env("CARGO_TARGET_DIR", checkout::root().join("target/guest-projects"))
            .stdin(Stdio::null());
        Ok(shell)
    }

    fn wait_for_server(&self) -> Result<()> {
        let began = Instant::now();
        while std::net::TcpStream::connect(&self.address).is_err() {
            ensure!(began.elapsed() < Duration::from_secs(30), "the server does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Signs in with a new account, as a person does in a browser, having compared the words.
    async fn log_in(&mut self, command: &str) -> Result<()> {
        let home = match command.split_once("--home ") {
            Some((_, rest)) => self.folder.join(rest.split(' ').next().unwrap_or_default()),
            None => self.home.clone(),
        };
        self.accounts += 1;
        let origin = format!("http://{}", self.address);
        let mut browser = Browser::new(&origin)?;
        browser.sign_up(&format!("person-{}@example.com", self.accounts), PASSWORD).await?;
        let words = self.words.as_deref().context("no server was made before")?;
        Terminal::new(home).login_at(&origin, words, &mut browser).await?.done()?;
        Ok(())
    }
}

#[test]
fn the_page_names_no_folder_of_the_checkout_but_examples() {
    let page = std::fs::read_to_string(checkout::root().join("docs/first-resource.md")).expect("the page");
    assert!(!page.contains("../../") && !page.contains(Path::new("/home").to_str().expect("text")));
}
