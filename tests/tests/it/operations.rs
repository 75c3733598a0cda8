//! `docs/operations.md`: every command of it, in one shell, as an operator types them: from nothing to two processes on
//! PostgreSQL behind TLS, a backup and its restoration, a move, a verified audit log, an upgrade.

use anyhow::{Context as _, Result, ensure};
use portcullis_fixtures::ports::free;
use portcullis_fixtures::postgres::{Cluster, USER};
use portcullis_tests::checkout;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// The commands of the page's `console` blocks: a line that ends with a backslash goes on.
fn commands(page: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let (mut in_block, mut goes_on) = (false, false);
    for line in page.lines() {
        if let Some(info) = line.strip_prefix("```") {
            in_block = !in_block && info == "console";
            continue;
        }
        match line.strip_prefix("$ ") {
            Some(command) if in_block => commands.push(command.to_owned()),
            None if in_block && goes_on => {
                if let Some(command) = commands.last_mut() {
                    command.push('\n');
                    command.push_str(line);
                }
            }
            _ => {}
        }
        goes_on = in_block && line.ends_with('\\');
    }
    commands
}

/// Sets the variables that the page declares to what they are here. Nothing else of it is changed.
fn declared(commands: Vec<String>, values: &BTreeMap<&str, String>) -> Result<Vec<String>> {
    let mut left: Vec<&str> = values.keys().copied().collect();
    let set = commands.into_iter().map(|command| match command.split_once('=') {
        Some((name, _)) if values.contains_key(name) => {
            left.retain(|other| *other != name);
            format!("{name}='{}'", values[name])
        }
        _ => command,
    });
    let set = set.collect();
    ensure!(left.is_empty(), "the page declares no {left:?}");
    Ok(set)
}

/// A certificate for `localhost`, its key, and the authority that clients believe.
fn certificate(folder: &Path) -> Result<()> {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    openssl.args(["-keyout", "key.pem", "-out", "fullchain.pem", "-subj", "/CN=localhost"]);
    openssl.args(["-addext", "subjectAltName=DNS:localhost"]).current_dir(folder);
    let made = openssl.output().context("openssl")?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

/// What the system's own file of nginx has, for one that nobody but this test asks.
fn nginx(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder.join("conf.d"))?;
    let at = |name: &str| folder.join(name).display().to_string();
    let text = format!(
        "pid {};\nerror_log {};\nevents {{ worker_connections 512; }}\nhttp {{\n  client_body_temp_path {};\n  \
         proxy_temp_path {};\n  include {};\n}}\n",
        at("pid"),
        at("error.log"),
        at("body"),
        at("proxy"),
        at("conf.d/*.conf")
    );
    Ok(std::fs::write(folder.join("nginx.conf"), text)?)
}

/// What ends whatever the commands have started, however they end.
const AT_THE_END: &str = r#"
# Who runs the tests may be whoever the database believes: there is no other user to become.
sudo() { [ "$1" = -u ] && shift 2; "$@"; }
finish() {
    code=$?
    [ -s "${NGINX:-}/pid" ] && kill "$(cat "$NGINX/pid")"
    for job in $(jobs -p); do kill "$job" 2>/dev/null; done
    wait
    exit $code
}
trap finish EXIT
"#;

#[test]
fn every_command_of_the_page_works() -> Result<()> {
    let page = std::fs::read_to_string(checkout::root().join("docs/operations.md"))?;
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    for name in ["safe", "backups", "nginx"] {
        std::fs::create_dir(at(name))?;
    }
    certificate(folder.path())?;
    nginx(&at("nginx"))?;
    let cluster = Cluster::start(&[]);
    // As Debian has it: over TCP with a password.
    let rules = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
    std::fs::write(cluster.folder().join("data/pg_hba.conf"), rules)?;
    cluster.restart();
    let database = |name: &str| format!("postgres://store@localhost:{}/{name}", cluster.port());
    let (one, two, http, https) = (free().to_string(), free().to_string(), free().to_string(), free().to_string());
    let port = https.rsplit(':').next().context("a port")?.to_owned();
    let text = |name: &str| at(name).display().to_string();
    let values = BTreeMap::from([
        ("STORE", "localhost".to_owned()),
        ("ORIGIN", format!("https://localhost:{port}")),
        ("ONE", one),
        ("TWO", two),
        ("HTTP", http),
        ("HTTPS", https),
        ("DIR", text("server")),
        ("SAFE", text("safe")),
        ("BACKUPS", text("backups")),
        ("NGINX", text("nginx")),
        ("CERTIFICATE", text("fullchain.pem")),
        ("CERTIFICATE_KEY", text("key.pem")),
        ("DATABASE", database("store")),
        ("OTHER_DATABASE", database("other")),
    ]);
    let commands = declared(commands(&page), &values)?;
    ensure!(commands.len() >= 40, "the page has lost its commands: {}", commands.len());

    // Said before each, so that a failure names it.
    let said = |command: &String| format!("printf '%s\\n' '$ {}' >&2\n{command}\n", command.replace('\'', "'\\''"));
    let script: String = commands.iter().map(said).collect();
    let programs = checkout::program("portcullis-server")?;
    let path = format!(
        "{}:{}:/usr/sbin",
        programs.parent().context("a program in no folder")?.display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let mut shell = Command::new("bash");
    shell
        .args(["-c", &format!("set -euo pipefail\n{AT_THE_END}{script}")])
        .current_dir(checkout::root())
        .env("PATH", path)
        // Who administers the database, and whom clients believe: the system's, on a machine of a store.
        .env("PGHOST", cluster.folder())
        .env("PGPORT", cluster.port().to_string())
        .env("PGUSER", USER)
        .env("CURL_CA_BUNDLE", at("fullchain.pem"))
        .stdin(Stdio::null());
    let output = shell.output().context("bash")?;
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "ended with {:?}:\n{out}\n{error}", output.status.code());

    // What the commands say is what the page promises.
    ensure!(out.contains("syntax is ok") || error.contains("syntax is ok"), "{error}");
    ensure!(out.matches("ok\n").count() >= 3, "readiness is answered: {out}");
    ensure!(out.contains("The log is as https://localhost") && out.contains("2 signed heads"), "{out}");
    ensure!(out.contains("Restored https://localhost") && out.contains("Copied"), "{out}");
    ensure!(
        !out.contains("choose one") && !error.replace("$ export PGPASSWORD", "").contains(" 'choose one'"),
        "{error}"
    );
    Ok(())
}

#[test]
fn commands_are_read_as_they_stand() {
    let page = "text\n```console\n$ A=1\n$ b \\\n    c\nwhat it says\n```\n```toml\n$ none\n```\n";
    assert_eq!(commands(page), ["A=1", "b \\\n    c"]);
    let values = BTreeMap::from([("A", "2".to_owned())]);
    assert_eq!(declared(commands(page), &values).expect("declared"), ["A='2'", "b \\\n    c"]);
    assert!(declared(Vec::new(), &values).is_err());
}
