//! A server whose parts do not belong together does not start, and nothing is made beside what may be restored.

use crate::command::{Served, command, free_address, json, refused, run, serve, serve_with};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A folder with a server in `store` that has been started once, with the database that the tests run on.
fn made() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    crate::database::choose(folder.path());
    started_once(folder)
}

/// The same with its database in a file beside it.
fn made_on_file() -> tempfile::TempDir {
    started_once(tempfile::tempdir().expect("a folder"))
}

fn started_once(folder: tempfile::TempDir) -> tempfile::TempDir {
    init(folder.path(), "store");
    ended(serve(folder.path()));
    folder
}

fn init(dir: &Path, name: &str) {
    json(&run(dir, &["init", "--dir", name, "--json", "--listen", &free_address()]));
}

fn ended(mut served: Served) {
    served.child.kill().expect("killed");
    served.child.wait().expect("ended");
}

/// What `serve` says, which has to end by itself.
fn start(dir: &Path, environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = command(dir);
    command.args(["serve", "--dir", "store"]).args(arguments).envs(environment.iter().copied());
    command.stdin(Stdio::null()).output().expect("ends")
}

/// Neither the server nor an operator's command opens it, and both say this.
fn is_refused(dir: &Path, environment: &[(&str, &str)], words: &[&str]) {
    let mut operator = command(dir);
    operator.args(["operator", "--dir", "store", "ledger"]).envs(environment.iter().copied());
    for output in [start(dir, environment, &[]), operator.stdin(Stdio::null()).output().expect("ends")] {
        let said = refused(&output);
        for word in words {
            assert!(said.contains(word), "`{word}` is missing: {said}");
        }
    }
}

fn list(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = entries.filter_map(|name| name.into_string().ok()).collect();
    names.sort();
    names
}

#[test]
fn a_changed_origin_is_refused_and_named() {
    let folder = made();
    let dir = folder.path();
    let config = dir.join("store/server.toml");
    let before = fs::read_to_string(&config).expect("a configuration");
    fs::write(&config, format!("origin = \"https://other.example\"\n{before}")).expect("written");
    is_refused(dir, &[], &["http://127.0.0.1:", "https://other.example", "never changes", "origin = \""]);
    // As a variable, or as another port where the address is the name.
    fs::write(&config, &before).expect("written");
    is_refused(dir, &[("PORTCULLIS_SERVER_ORIGIN", "https://other.example")], &["https://other.example"]);
    is_refused(dir, &[("PORTCULLIS_SERVER_LISTEN", &free_address())], &["never changes"]);
    let said = refused(&start(dir, &[], &["--listen", &free_address()]));
    assert!(said.contains("never changes"), "{said}");
    // The control: under its own name it starts.
    ended(serve(dir));
}

#[test]
fn a_lost_master_key_is_restored_and_never_made_anew() {
    let folder = made_on_file();
    let dir = folder.path();
    let key = fs::read(dir.join("store/master.key")).expect("a key");
    fs::remove_file(dir.join("store/master.key")).expect("lost");
    let before = list(&dir.join("store"));
    is_refused(dir, &[], &["master.key is missing", "restore it from its backup"]);
    let said = refused(&run(dir, &["init", "--dir", "store"]));
    assert!(said.contains("portcullis.sqlite") || said.contains("server.toml"), "{said}");
    assert!(said.contains("backup"), "{said}");
    assert_eq!(list(&dir.join("store")), before, "nothing was made");
    // A key of another server is not the one.
    init(dir, "other");
    fs::copy(dir.join("other/master.key"), dir.join("store/master.key")).expect("copied");
    is_refused(dir, &[], &["not the one that sealed the database"]);
    private(&dir.join("store/master.key"), &key);
    ended(serve(dir));
}

fn private(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("written");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("chmod");
    }
}

#[test]
fn a_lost_database_is_not_replaced_by_an_empty_one() {
    let folder = made_on_file();
    let dir = folder.path();
    let database = dir.join("store/portcullis.sqlite");
    let lost = dir.join("lost");
    fs::rename(&database, &lost).expect("lost");
    let _ = fs::remove_file(dir.join("store/portcullis.sqlite-wal"));
    let _ = fs::remove_file(dir.join("store/portcullis.sqlite-shm"));
    is_refused(dir, &[], &["portcullis.sqlite is missing", "restore the database", "`--database`"]);
    // Without its configuration nothing says that the database may be elsewhere.
    let listen = fs::read_to_string(dir.join("store/server.toml")).expect("a configuration");
    let listen = listen.lines().find_map(|line| line.strip_prefix("listen = ")).expect("an address").replace('"', "");
    fs::rename(dir.join("store/server.toml"), dir.join("aside")).expect("lost");
    is_refused(dir, &[("PORTCULLIS_SERVER_LISTEN", &listen)], &["No server.toml is there either", "`--database`"]);
    fs::rename(dir.join("aside"), dir.join("store/server.toml")).expect("found");
    assert!(!database.exists(), "none was made");
    assert!(refused(&run(dir, &["init", "--dir", "store"])).contains("master.key"));
    // What a failed restore leaves is no database either, and stays as it is.
    fs::write(&database, b"").expect("written");
    is_refused(dir, &[], &["does not contain a server", "restore it from the backup"]);
    assert_eq!(fs::metadata(&database).expect("there").len(), 0);
    // A database of another server.
    init(dir, "other");
    fs::copy(dir.join("other/portcullis.sqlite"), &database).expect("copied");
    is_refused(dir, &[], &["not the one that sealed the database"]);
    fs::remove_file(&database).expect("removed");
    fs::rename(&lost, &database).expect("restored");
    ended(serve(dir));
}

/// Nothing lies beside a database at an address, which may be the wrong one.
#[test]
fn a_key_that_does_not_fit_a_database_elsewhere_names_its_address() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    let address = crate::database::use_postgres(dir);
    init(dir, "store");
    init_with_own_database(dir, "other");
    fs::copy(dir.join("other/master.key"), dir.join("store/master.key")).expect("copied");
    let words = ["not the one that sealed the database postgres://portcullis@", "`--database`", "rotate-master-key"];
    is_refused(dir, &[], &words);
    let secret = address.to_string().replace("portcullis@", "portcullis:s3cret-word@");
    let said = refused(&start(dir, &[], &["--database", &secret]));
    assert!(said.contains(words[0]) && !said.contains("s3cret") && !said.contains("beside it"), "{said}");
}

fn init_with_own_database(dir: &Path, name: &str) {
    let mut command = command(dir);
    command.env_remove("PORTCULLIS_SERVER_DATABASE").args(["init", "--dir", name, "--json"]);
    json(&command.output().expect("ends"));
}

#[test]
fn files_alone_are_what_is_left_of_a_server() {
    let folder = made_on_file();
    let dir = folder.path();
    fs::write(dir.join("store/files/x.wasm"), b"x").expect("written");
    for name in ["master.key", "portcullis.sqlite", "portcullis.sqlite-wal", "portcullis.sqlite-shm", "server.toml"] {
        let _ = fs::remove_file(dir.join("store").join(name));
    }
    is_refused(dir, &[], &["master.key is missing"]);
    assert!(refused(&run(dir, &["init", "--dir", "store"])).contains("files"));
    // The configuration alone says that there was a key, wherever the database is; and `init` is not what helps.
    fs::create_dir(dir.join("lost")).expect("made");
    for text in ["", "database = \"postgres://nobody@127.0.0.1:1/x\"\n"] {
        fs::write(dir.join("lost/server.toml"), text).expect("written");
        let said = refused(&run(dir, &["serve", "--dir", "lost"]));
        assert!(said.contains("master.key is missing") && said.contains("backup"), "{said}");
        assert!(!said.contains("init --dir"), "{said}");
    }
    // A configuration that waits for its server is not overwritten.
    fs::create_dir(dir.join("empty")).expect("made");
    fs::write(dir.join("empty/server.toml"), "sign_up = \"open\"\n").expect("written");
    assert!(refused(&run(dir, &["init", "--dir", "empty"])).contains("server.toml"));
    assert_eq!(fs::read_to_string(dir.join("empty/server.toml")).expect("there"), "sign_up = \"open\"\n");
}

#[test]
fn what_a_killed_init_leaves_is_in_nobodys_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    for point in ["keys.init.before-commit:kill", "keys.init.after-commit:kill", "identity.bind.after-commit:kill"] {
        // Beside the server, as `cargo build --workspace --bins` puts it.
        let faulty = Path::new(env!("CARGO_BIN_EXE_portcullis-server"))
            .with_file_name(format!("portcullis-server-faulty{}", std::env::consts::EXE_SUFFIX));
        let mut init = Command::new(faulty);
        init.current_dir(dir).args(["init", "--dir", "store"]).env("PORTCULLIS_FAULT", point);
        assert!(!init.output().expect("ends").status.success(), "{point}");
        assert_eq!(list(&dir.join("store")), [".init"], "{point}: no server");
        assert!(refused(&start(dir, &[], &[])).contains("portcullis-server init"), "{point}");
    }
    init(dir, "store");
    assert!(!dir.join("store/.init").exists());
    ended(serve(dir));
}

#[cfg(unix)]
#[test]
fn init_makes_an_existing_folder_private_and_takes_none_from_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    let mode = |path: &str| fs::metadata(dir.join(path)).expect("there").permissions().mode() & 0o777;
    let make = |name: &str| {
        fs::create_dir(dir.join(name)).expect("made");
        fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o755)).expect("chmod");
    };
    make("store");
    init(dir, "store");
    assert_eq!((mode("store"), mode("store/portcullis.sqlite"), mode("store/master.key")), (0o700, 0o600, 0o600));
    ended(serve(dir));
    for file in ["portcullis.sqlite", "portcullis.sqlite-wal", "portcullis.sqlite-shm"] {
        let file = format!("store/{file}");
        assert!(!dir.join(&file).exists() || mode(&file) == 0o600, "{file}");
    }
    // With other things in it, it is somebody's.
    make("shared");
    fs::write(dir.join("shared/notes"), b"").expect("written");
    let said = refused(&run(dir, &["init", "--dir", "shared"]));
    assert!(said.contains("chmod 700") && mode("shared") == 0o755, "{said}");
    assert_eq!(list(&dir.join("shared")), ["notes"]);
}

#[test]
fn a_clock_behind_the_database_is_refused_unless_it_is_accepted() {
    let folder = made();
    let dir = folder.path();
    let ahead = [("PORTCULLIS_CLOCK_SHIFT", "7200")];
    ended(serve_with(dir, &ahead));
    is_refused(dir, &[], &["the clock of this machine says", "set the clock", "--accept-clock"]);
    // The control: a step of a minute is a time service's.
    ended(serve_with(dir, &[("PORTCULLIS_CLOCK_SHIFT", "7140")]));
    let ready = dir.join("ready");
    fs::remove_file(&ready).expect("removed");
    let mut accepting = command(dir);
    accepting.args(["serve", "--dir", "store", "--ready-file", "ready", "--accept-clock"]);
    let mut child = accepting.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
    let begun = std::time::Instant::now();
    while !ready.exists() {
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "it listens");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    child.kill().expect("killed");
    child.wait().expect("ended");
    ended(serve(dir));
}

#[test]
fn a_newer_database_and_a_folder_that_cannot_be_written_say_so() {
    let folder = made_on_file();
    let dir = folder.path();
    // A file where a folder belongs cannot be written into by anybody, whatever the rights of whoever runs this.
    fs::remove_dir_all(dir.join("store/uploads")).expect("removed");
    fs::write(dir.join("store/uploads"), b"").expect("written");
    let said = refused(&start(dir, &[], &[]));
    assert!(said.contains("cannot write in") && said.contains("uploads"), "{said}");
    fs::remove_file(dir.join("store/uploads")).expect("removed");
    ended(serve(dir));
    // Schema 1000 in the database's header (user_version, big-endian at byte 60).
    let database = dir.join("store/portcullis.sqlite");
    let mut bytes = fs::read(&database).expect("read");
    let wal = dir.join("store/portcullis.sqlite-wal");
    if wal.exists() {
        // The header may be in the log still: let the database write it into its file.
        json(&run(dir, &["operator", "--dir", "store", "--json", "ledger"]));
        bytes = fs::read(&database).expect("read");
    }
    bytes[60..64].copy_from_slice(&1000_u32.to_be_bytes());
    fs::write(&database, bytes).expect("written");
    is_refused(dir, &[], &["schema 1000", "newer server"]);
}
