//! Installing over a line that breaks: from a store and from an address, taken up where it broke off.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::stage::Stage;
use crate::transcript::Transcript;

/// Bytes of a file that arrive before the line breaks. The file has three times as many.
const PIECE: u64 = 100_000;

/// The line between the command and a store. It carries bytes, and breaks as it is told.
struct Line {
    origin: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// A file's answer is cut after so many bytes; 0: never.
    cut: AtomicU64,
    /// After the next cut nothing goes through.
    dies: AtomicBool,
    dead: AtomicBool,
    /// Whatever was asked.
    asked: Mutex<String>,
}

impl Line {
    /// A line to a store that will listen at `to`.
    fn to(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let origin = format!("http://{}", listener.local_addr().expect("address"));
        let state = Arc::<State>::default();
        let line = Arc::clone(&state);
        // Ends with the process of the tests.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let line = Arc::clone(&line);
                std::thread::spawn(move || carry(&client, to, &line));
            }
        });
        Self { origin, state }
    }

    fn breaks_after(&self, bytes: u64, dies: bool) {
        self.state.cut.store(bytes, Ordering::SeqCst);
        self.state.dies.store(dies, Ordering::SeqCst);
        self.state.dead.store(false, Ordering::SeqCst);
        self.state.asked.lock().expect("log").clear();
    }

    /// From which byte on a file was asked for, each time.
    fn ranges(&self) -> Vec<u64> {
        let asked = self.state.asked.lock().expect("log").to_ascii_lowercase();
        let starts =
            asked.lines().filter_map(|line| line.strip_prefix("range: bytes=")?.split('-').next()?.parse().ok());
        starts.collect()
    }
}

fn carry(client: &TcpStream, to: SocketAddr, line: &State) {
    let hang_up = |server: Option<&TcpStream>| {
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.map(|server| server.shutdown(Shutdown::Both));
    };
    if line.dead.load(Ordering::SeqCst) {
        return hang_up(None);
    }
    let Ok(server) = TcpStream::connect(to) else { return hang_up(None) };
    let is_file = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = (&mut &*client).read(&mut piece) {
                let text = String::from_utf8_lossy(&piece[..read]);
                is_file.fetch_or(text.contains("GET /v1/files/"), Ordering::SeqCst);
                line.asked.lock().expect("log").push_str(&text);
                if (&mut &server).write_all(&piece[..read]).is_err() {
                    break;
                }
            }
            let _ = server.shutdown(Shutdown::Both);
        });
        let (mut piece, mut carried) = ([0; 4096], 0);
        while let Ok(read @ 1..) = (&mut &server).read(&mut piece) {
            let cut = line.cut.load(Ordering::SeqCst);
            if is_file.load(Ordering::SeqCst) && cut > 0 {
                carried += read as u64;
                if carried > cut {
                    line.dead.fetch_or(line.dies.load(Ordering::SeqCst), Ordering::SeqCst);
                    break;
                }
            }
            if (&mut &*client).write_all(&piece[..read]).is_err() {
                break;
            }
        }
        hang_up(Some(&server));
    });
}

/// A store behind such a line, which sells a resource of three pieces. Gives the address of its file.
fn stage() -> (Stage, Line, String) {
    let free = portcullis_fixtures::ports::free();
    let line = Line::to(free);
    let stage = Stage::with_store_at(free, Some(&line.origin));
    stage.login("publisher");
    stage.succeed("publisher", &["keygen"]);
    crate::guest::project(&stage.path("sketch"), "1.0.0");
    fs::write(stage.path("sketch/full.svg"), vec![b' '; 3 * PIECE as usize]).expect("asset");
    stage.succeed("publisher", &["seal", "sketch", "--advisory-metering", "--output", "sketch.sealed.wasm"]);
    let published = stage.succeed("publisher", &["--json", "publish", "sketch.sealed.wasm", "--project", "sketch"]);
    let published: serde_json::Value = serde_json::from_slice(&published.stdout).expect("JSON");
    let url = format!("{}/v1/files/{}", line.origin, published["digest"].as_str().expect("a digest"));
    stage.login("user");
    (stage, line, url)
}

fn installed(stage: &Stage) -> bool {
    stage.run("user", &["run", "--invoke", "preview()", "acme/sketch"]).stdout == b"a line"
}

#[test]
fn a_download_goes_on_where_it_broke_off() {
    let (stage, line, _) = stage();
    // Within one command.
    line.breaks_after(PIECE, false);
    stage.succeed("user", &["install", "acme/sketch"]);
    let ranges = line.ranges();
    assert!(ranges.len() >= 2 && ranges.is_sorted() && ranges[0] > PIECE / 2, "{ranges:?}");
    assert!(installed(&stage));
    stage.succeed("user", &["remove", "acme/sketch"]);
    // From one command to the next.
    line.breaks_after(PIECE, true);
    let broken = stage.run("user", &["install", "acme/sketch"]);
    assert_eq!(broken.status.code(), Some(41), "{}", String::from_utf8_lossy(&broken.stderr));
    assert!(!installed(&stage), "half a file is no resource");
    let mut partial = fs::read_dir(stage.path("user/downloads")).expect("downloads").flatten();
    let have = partial.next().expect("what has arrived is kept").metadata().expect("a file").len();
    assert!(have > PIECE / 2 && have < 2 * PIECE, "{have}");
    line.breaks_after(0, false);
    stage.succeed("user", &["install", "acme/sketch"]);
    assert_eq!(line.ranges(), [have], "only the rest is fetched");
    assert!(installed(&stage));
}

#[test]
fn from_an_address() {
    let (stage, line, url) = stage();
    let mut said = Transcript::of(&stage, "user");
    line.breaks_after(PIECE, false);
    assert_eq!(said.run(&["install", &url]), 0);
    assert!(line.ranges().len() >= 2, "it goes on where it broke off");
    assert_eq!(said.run(&["run", "--invoke", "preview()", "sketch"]), 0);
    said.run(&["remove", "sketch"]);
    line.breaks_after(PIECE, true);
    // How a line is lost is told in different words from time to time.
    assert_eq!(stage.run("user", &["install", &url]).status.code(), Some(41));
    line.breaks_after(0, false);
    // No file, another file, no store.
    said.run(&["install", &format!("{}/v1/files/nothing.wasm", line.origin)]);
    said.run(&["install", &format!("{}/.well-known/portcullis", line.origin)]);
    said.run(&["install", "http://store.example/sketch.wasm"]);
    said.run(&["list"]);
    assert_eq!(said.run(&["--json", "install", &url]), 0);
    said.run(&["run", &url]);
    said.check("from-an-address");
}
