//! The home folder: where it lies, what needs it, and what is said when it cannot be used.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Output;

use crate::stage::Stage;

/// Where nobody can make a folder, not even root.
#[cfg(target_os = "linux")]
const NOWHERE: &str = "/proc/portcullis-home";

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What the store says of itself.
fn well_known(origin: &str) -> Vec<u8> {
    let address = origin.strip_prefix("http://").expect("a store on this machine");
    let mut stream = TcpStream::connect(address).expect("connected");
    let request = format!("GET /.well-known/portcullis HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("read");
    let body = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a body");
    answer.split_off(body + 4)
}

#[test]
fn a_relative_xdg_data_home_is_none() {
    let stage = Stage::new();
    let home = stage.path("somebody");
    let mut keygen = stage.command("user");
    keygen.env_remove("PORTCULLIS_HOME").env("HOME", &home).env("XDG_DATA_HOME", "data").arg("keygen");
    let output = keygen.output().expect("runs");
    assert!(output.status.success(), "{}", said(&output));
    assert!(!stage.path("data").exists(), "no key lands in the current folder");
    assert!(home.join(".local/share/portcullis/publisher.jwk").is_file() || cfg!(target_os = "macos"));
    // The control: an absolute one is used.
    let mut keygen = stage.command("user");
    let data = stage.path("absolute");
    keygen.env_remove("PORTCULLIS_HOME").env("HOME", &home).env("XDG_DATA_HOME", &data).arg("keygen");
    assert!(keygen.output().expect("runs").status.success());
    assert!(data.join("portcullis/publisher.jwk").is_file() || cfg!(target_os = "macos"));
}

#[cfg(target_os = "linux")]
#[test]
fn what_checks_a_file_needs_no_home() {
    let stage = Stage::with_sketch();
    std::fs::write(stage.path("store.json"), well_known(stage.origin())).expect("written");
    let key = stage.path("publisher/publisher.jwk");
    let key = key.to_str().expect("a path");
    let file = "sketch-1.0.0.sealed.wasm";
    for arguments in [
        &["verify", file][..],
        &["inspect", file],
        &["seal", "sketch", "--advisory-metering", "--server", "store.json", "--key", key, "-o", "again.wasm"],
    ] {
        let output = stage.command("user").env("PORTCULLIS_HOME", NOWHERE).args(arguments).output().expect("runs");
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        let mut without = stage.command("user");
        without.env_remove("PORTCULLIS_HOME").env_remove("HOME").env("HOME", "relative").args(arguments);
        let output = without.output().expect("runs");
        assert!(output.status.success(), "{arguments:?} without a home: {}", said(&output));
    }
    assert!(!stage.path("relative").exists() && !stage.path("user").exists(), "and makes none");
    // The control: what needs it says which folder, and why, and nothing of a connection.
    for arguments in [&["list"][..], &["run", "acme/sketch"], &["buy", "acme/sketch"], &["login", stage.origin()]] {
        let output = stage.command("user").env("PORTCULLIS_HOME", NOWHERE).args(arguments).output().expect("runs");
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
        assert!(text.contains(NOWHERE) && !text.contains("offline") && !text.contains("connection"), "{text}");
    }
}

/// A folder in the home that cannot be written, as on a full disk or one that is read-only.
#[test]
fn a_home_that_cannot_be_written_is_not_called_offline() {
    let stage = Stage::with_sketch();
    stage.login("user");
    stage.succeed("user", &["install", "acme/sketch"]);
    let tmp = stage.path("user/tmp");
    std::fs::remove_dir_all(&tmp).expect("removed");
    std::fs::write(&tmp, "in the way").expect("written");
    for arguments in [&["run", "acme/sketch", "--invoke", "preview()"][..], &["install", "acme/sketch"]] {
        let output = stage.run("user", arguments);
        let text = said(&output);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(text.contains("user/tmp"), "{arguments:?}: {text}");
        assert!(!text.contains("offline") && !text.contains("connection"), "{arguments:?}: {text}");
    }
    std::fs::remove_file(&tmp).expect("removed");
    stage.succeed("user", &["install", "acme/sketch"]);
}

#[test]
fn an_address_without_a_scheme_or_under_another_name_is_put_right() {
    let stage = Stage::with_store();
    let address = stage.origin().strip_prefix("http://").expect("a store on this machine").to_owned();
    let port = address.rsplit_once(':').expect("a port").1;
    for wrong in [address.clone(), format!("localhost:{port}")] {
        let output = stage.run("user", &["login", &wrong]);
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains(&format!("write http://{wrong}")), "{}", said(&output));
    }
    // `localhost` reaches the store, and is not what it calls itself.
    let output = stage.run("user", &["login", &format!("http://localhost:{port}")]);
    let text = said(&output);
    assert!(!output.status.success());
    assert!(text.contains("use the address it names") && text.contains(&format!("login {}", stage.origin())), "{text}");
    assert!(!text.contains("new key"), "no alarm: {text}");
    assert!(Path::new(&stage.path("user")).exists());
}

/// The machine's clock cannot be set in a test, but the store's can: to the terminal it is the same.
#[test]
fn a_wrong_clock_is_no_changed_key() {
    let mut stage = Stage::with_store();
    for ahead in [40 * 24 * 3600, -40 * 24 * 3600] {
        stage.restart_store(ahead);
        let output = stage.run("user", &["login", stage.origin(), "--fingerprint", stage.words()]);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(40), "{text}");
        assert!(text.contains("clock-suspect") && text.to_lowercase().contains("set the clock"), "{text}");
        assert!(!text.contains("new key"), "no alarm: {text}");
    }
}

#[test]
fn the_proxy_of_the_environment_is_used_and_its_password_shown_to_nobody() {
    let stage = Stage::with_store();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let proxy = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("asked");
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).expect("read");
        stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n").expect("answered");
        String::from_utf8_lossy(&piece[..read]).into_owned()
    });
    let mut login = stage.command("user");
    login.env("HTTPS_PROXY", format!("http://ada:hunter2@127.0.0.1:{port}"));
    let output = login.args(["login", "https://store.example"]).output().expect("runs");
    let text = said(&output);
    assert!(proxy.join().expect("served").starts_with("CONNECT store.example:443 "));
    assert!(text.contains("HTTPS_PROXY") && !text.contains("hunter2"), "{text}");
    // A store on this machine is reached directly, and NO_PROXY counts.
    let mut search = stage.command("user");
    search.env("HTTPS_PROXY", format!("http://127.0.0.1:{port}")).env("ALL_PROXY", format!("http://127.0.0.1:{port}"));
    let output = search.args(["login", stage.origin()]).output().expect("runs");
    assert!(said(&output).contains(stage.words()), "the store answered: {}", said(&output));
}

/// What a command advises is typed as it stands: with the home that was named, if one was.
#[test]
fn advice_names_the_home_that_was_named() {
    let stage = Stage::with_sketch();
    stage.login("user");
    let run = ["run", "acme/sketch", "--invoke", "view()", "-o", "view.svg"];
    let named = |arguments: &[&str]| {
        let output = stage.command("nobody").args(["--home", "./user"]).args(arguments).output().expect("runs");
        let text = [&output.stdout[..], &output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&text).into_owned())
    };
    let (code, text) = named(&run);
    assert_eq!(code, Some(20), "{text}");
    assert!(text.contains("`portcullis --home ./user buy acme/sketch --operation view`"), "{text}");
    let (_, text) = named(&[&["--json"], &run[..]].concat());
    let refused: serde_json::Value = serde_json::from_str(&text[..=text.rfind('}').expect("JSON")]).expect("JSON");
    assert_eq!(refused["error"]["fix"], "buy it: `portcullis --home ./user buy acme/sketch --operation view`");
    let (code, text) = named(&["install", "acme/sketch"]);
    assert!(code == Some(0) && text.contains("Run it: portcullis --home ./user run --invoke"), "{text}");
    // Behind the verb, too, and with what a shell would take apart.
    let mut login = stage.command("nobody");
    login.args(["login", stage.origin(), "--fingerprint", stage.words(), "--no-wait", "--home=a buyer"]);
    let output = login.output().expect("runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains(&format!("Then: portcullis --home 'a buyer' login {}", stage.origin())), "{text}");
    // Behind a `cd`, its whole path.
    let (code, text) = named(&["new", "lake", "--kind", "picture", "--publisher", "acme"]);
    assert!(code == Some(0) && text.contains("portcullis --home ") && !text.contains("./user"), "{text}");
    // What is no advice stays as it is, and so does what the parser says.
    for arguments in [&["man"][..], &["completions", "bash"]] {
        let without = stage.succeed("user", arguments);
        assert_eq!(named(arguments).1, String::from_utf8_lossy(&without.stdout), "{arguments:?}");
    }
    let (code, text) = named(&["price", "acme/sketch", "--model", "uses"]);
    assert!(code == Some(2) && text.contains("Usage: portcullis price") && !text.contains("--home"), "{text}");
    // The control: what the environment says, it says to the next command, too.
    let text = said(&stage.run("user", &run));
    assert!(text.contains("`portcullis buy acme/sketch --operation view`") && !text.contains("--home"), "{text}");
    assert!(!stage.path("nobody").exists());
}
