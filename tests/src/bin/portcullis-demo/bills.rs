//! The act *bills*: a mailbox is filled, its bills are found, a forged one is shown as such, and a resource that never
//! sees a mail lists and plots them.

use crate::Demo;
use anyhow::{Context as _, Result, ensure};
use portcullis_tests::demo::Expect;
use portcullis_tests::mailbox::{self, ImapServer, NameServer, USER};
use portcullis_tests::{Ran, Terminal, checkout};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

pub(crate) const RESOURCE: &str = "ledgerline/household-bills";

const BILLERS: &str = r#"
[[billers]]
id = "power"
name = "Power & Light"
domains = ["power.example"]

[[billers]]
id = "water"
name = "Water Works"
domains = ["water.example"]

[[billers]]
id = "phone"
name = "Telefon AG"
domains = ["telefon.example"]
"#;

/// `portcullis-mail`, with its folder beside the terminal's.
fn mail(folder: &Path, arguments: &[&str], input: &str) -> Result<Ran> {
    let mut child = Command::new(checkout::program("portcullis-mail")?)
        .args(arguments)
        .env("PORTCULLIS_MAIL_HOME", folder.join("mail"))
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start portcullis-mail")?;
    child.stdin.take().context("no standard input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    Ok(Ran {
        line: format!("portcullis-mail {}", arguments.join(" ")),
        exit: output.status.code().unwrap_or(-1),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

impl Demo {
    /// From a mailbox to a chart.
    pub(crate) async fn bills(&mut self, user: &Terminal) -> Result<()> {
        println!("\nNow the bills of a mailbox.\n");
        let began = Instant::now();
        let names = ["power", "water", "phone", "forged", "lunch"];
        let mails = names.into_iter().map(mailbox::mail).collect::<Result<Vec<_>>>()?;
        let server = ImapServer::start(&self.folder, "a mail password", mails).await?;
        let resolver = NameServer::start(mailbox::names()?)?;
        let what = "three signed bills, a forged one and a private mail, on an IMAP server of this machine";
        self.report.did("mailbox-filled", what, None, true, began);

        self.know_billers()?;
        let (port, authority) = (server.port().to_string(), server.authority().display().to_string());
        let account = ["account", "add", "home", "--server", "localhost", "--port", &port, "--user", "kim"];
        let account = [&account[..], &["--address", USER, "--authority", &authority]].concat();
        self.mail_step("mailbox-connected", &account, "a mail password\n").await?;
        let resolver = resolver.address().to_string();
        let fetched = self.mail_step("bills-fetched", &["fetch", "home", "--resolver", &resolver], "").await?;
        print_indented(&fetched.stdout);
        let said = String::from_utf8_lossy(&fetched.stdout).into_owned();
        let verified = said.lines().filter(|line| line.starts_with("verified ")).count();
        let forged = said.contains("unverified         94.20 EUR  power.example") && said.contains("it is not signed");
        ensure!(verified == 3 && forged && !said.contains("12.00"), "other bills than there are:\n{said}");

        self.client(&user.clone().with("PORTCULLIS_MAIL_HOME", self.folder.join("mail")))
    }

    /// A list of billers, signed by somebody whom the user knows.
    fn know_billers(&mut self) -> Result<()> {
        let began = Instant::now();
        std::fs::write(self.folder.join("billers.toml"), BILLERS)?;
        let public = mail(&self.folder, &["registry", "key", "billers.key"], "")?.done()?.stdout;
        let signed = mail(&self.folder, &["registry", "sign", "billers.toml", "--key", "billers.key"], "")?.done()?;
        std::fs::write(self.folder.join("billers.jws"), signed.stdout)?;
        let public = String::from_utf8(public)?;
        let used = mail(&self.folder, &["registry", "use", "billers.jws", "--key", public.trim()], "")?;
        self.report.ran("billers-known", &used, &Expect::Success, began)?;
        Ok(())
    }

    /// A step with `portcullis-mail`. Off the thread that serves its mails.
    async fn mail_step(&mut self, name: &'static str, arguments: &[&str], input: &'static str) -> Result<Ran> {
        let began = Instant::now();
        let (folder, owned) =
            (self.folder.clone(), arguments.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        let ran = tokio::task::spawn_blocking(move || {
            mail(&folder, &owned.iter().map(String::as_str).collect::<Vec<_>>(), input)
        });
        let ran = ran.await??;
        self.report.ran(name, &ran, &Expect::Success, began)?;
        Ok(ran)
    }

    /// The resource: installed, refused without the user's yes, used, and bought for every mailbox.
    fn client(&mut self, user: &Terminal) -> Result<()> {
        self.step("install-bills", user, &["install", RESOURCE], &Expect::Success)?;
        let run = ["--json", "run", RESOURCE, "--invoke", "first#list()", "--bills"];
        self.step("bills-not-handed-over-unasked", user, &run, &Expect::Refusal("confirmation-required"))?;
        let list = ["run", RESOURCE, "--invoke", "first#list()", "--bills", "--agree-bills"];
        let listed = self.step("bills-listed", user, &list, &Expect::Success)?;
        print_indented(readable(&listed.stdout).as_bytes());
        let said = String::from_utf8_lossy(&listed.stdout).into_owned();
        ensure!(said.contains("3 valid, 1 not valid") && said.contains("it is not signed"), "another list:\n{said}");
        let chart = self.folder.join("bills.svg");
        let plot = ["run", RESOURCE, "--invoke", "first#plot()", "--bills", "--agree-bills", "-o", "bills.svg"];
        self.step("bills-plotted", user, &plot, &Expect::Artifact(&chart))?;
        let drawn = self.text("bills.svg")?;
        ensure!(drawn.contains("Power &amp; Light: 84.20 EUR") && !drawn.contains("94.20"), "another chart");

        let totals = ["run", RESOURCE, "--invoke", "all#totals()", "--bills", "--agree-bills"];
        let refused = [&["--json"], &totals[..]].concat();
        self.step("all-bills-refused-unpaid", user, &refused, &Expect::Refusal("payment-required"))?;
        let buy = ["buy", RESOURCE, "--operation", "all", "--yes"];
        self.step("buy-all-bills", user, &buy, &Expect::Success)?;
        let totalled = self.step("bills-totalled", user, &totals, &Expect::Success)?;
        print_indented(readable(&totalled.stdout).as_bytes());
        ensure!(readable(&totalled.stdout).contains("145.69 EUR"), "the bills come to something else");

        let began = Instant::now();
        let facts = user.run_in(&self.folder, &["--json", "inspect", "bills.sealed.wasm"])?.done()?.json()?;
        let imports: Vec<&str> =
            facts["imports"].as_array().context("no imports")?.iter().filter_map(|import| import.as_str()).collect();
        let ok = imports.iter().all(|import| is_bills_or_billing(import));
        self.report.did("imports-of-the-bill-reader", &format!("inspect: {}", imports.join(", ")), None, ok, began);
        Ok(())
    }
}

/// All that a resource may import which shows bills and nothing else.
fn is_bills_or_billing(import: &str) -> bool {
    ["types", "billing", "bills"].iter().any(|interface| {
        import
            .strip_prefix("portcullis:gate/")
            .and_then(|rest| rest.strip_prefix(interface))
            .is_some_and(|rest| rest.starts_with('@'))
    })
}

/// A text that a function returned, as it was made.
fn readable(wave: &[u8]) -> String {
    String::from_utf8_lossy(wave).replace("\\n", "\n").replace("\\\"", "\"")
}

fn print_indented(text: &[u8]) {
    for line in String::from_utf8_lossy(text).lines() {
        println!("       {line}");
    }
}
