//! `portcullis-mail serve --socket`: for programs of this user, in a folder of this user's own.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

struct Server {
    child: Child,
    said: BufReader<ChildStderr>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(home: &Path, socket: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis-mail"))
            .arg("--home")
            .arg(home)
            .args(["serve", "--socket"])
            .arg(socket)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let said = BufReader::new(child.stderr.take().expect("piped"));
        Self { child, said }
    }

    /// The next line that it says to its user; empty if it has ended.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("text");
        line
    }
}

/// What is answered to a terminal that asks for the mailboxes; empty if it is turned away.
fn ask(socket: &Path) -> String {
    let mut stream = UnixStream::connect(socket).expect("a socket");
    stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).expect("a time-out");
    let mut line = String::new();
    if stream.write_all(b"{\"ask\":\"mailboxes\"}\n").is_ok() {
        let _ = BufReader::new(stream).read_line(&mut line);
    }
    line
}

#[test]
fn it_serves_terminals_of_this_user_in_a_folder_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let (home, private) = (folder.path().join("home"), folder.path().join("p"));
    fs::create_dir(&private).expect("a folder");
    let mode = |mode: u32| fs::set_permissions(&private, fs::Permissions::from_mode(mode)).expect("a mode");
    let socket = private.join("s");

    // Whoever can look into the folder could speak with it.
    for open in [0o755, 0o710, 0o701, 0o777] {
        mode(open);
        let mut refused = Server::start(&home, &socket);
        assert!(!refused.child.wait().expect("ends").success(), "{open:o}");
        assert!(refused.line().contains("other users can look into"), "{open:o}");
        assert!(!socket.exists(), "{open:o}");
    }
    mode(0o700);
    // One that is left over from a process that ended is replaced, and nothing else is.
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("left over"));
    let mut server = Server::start(&home, &socket);
    assert!(server.line().contains("serving at"));
    for _ in 0..3 {
        assert_eq!(ask(&socket), "{\"mailboxes\":[]}\n");
    }
    let mut second = Server::start(&home, &socket);
    assert!(!second.child.wait().expect("ends").success() && second.line().contains("cannot listen"));
    drop(server);
    fs::remove_file(&socket).expect("removed");
    fs::write(&socket, "a letter").expect("written");
    assert!(!Server::start(&home, &socket).child.wait().expect("ends").success());
    assert_eq!(fs::read_to_string(&socket).expect("still there"), "a letter");
}

/// The folder keeps others away. If it is opened later all the same, the other end's user is looked at.
#[cfg(target_os = "linux")]
#[test]
fn a_terminal_of_another_user_is_turned_away() {
    // Only root can become somebody else.
    if !rustix::process::getuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (home, private) = (folder.path().join("home"), folder.path().join("p"));
    fs::create_dir(&private).expect("a folder");
    let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    open(&private, 0o700);
    let socket = private.join("s");
    let mut server = Server::start(&home, &socket);
    assert!(server.line().contains("serving at"));
    for (path, mode) in [(folder.path(), 0o755), (private.as_path(), 0o755), (socket.as_path(), 0o777)] {
        open(path, mode);
    }
    // Debian has it always, and others may run it.
    let script = "use IO::Socket::UNIX; $SIG{PIPE} = 'IGNORE'; my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die $!;\
                  $s->autoflush(1); print $s qq({\"ask\":\"mailboxes\"}\\n); my $line = <$s>; print $line if $line";
    let ask_as = |user: &[&str]| {
        let perl = [user, &["/usr/bin/perl", "-e", script]].concat();
        let output = Command::new(perl[0]).args(&perl[1..]).arg(&socket).output().expect("perl runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(ask_as(&["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]), "", "of nobody");
    assert!(server.line().contains("another user was turned away"));
    assert_eq!(ask_as(&["env"]), "{\"mailboxes\":[]}\n", "the control: the same program, of this user");
    assert!(ask(&socket).contains("mailboxes"));
}
