//! A resource waits for what never comes: the command ends at the bound all the same.
#![cfg(unix)]

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::stage::Stage;

/// What the command may take in all: a bound of one second, a start, and a busy machine.
const MOST: Duration = Duration::from_secs(60);

/// Waits for its end, and kills it if it hangs.
fn ends(mut child: std::process::Child) -> (std::process::ExitStatus, Duration) {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("asked") {
            return (status, begun.elapsed());
        }
        if begun.elapsed() > MOST {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the command hangs");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_command_ends_at_the_bound_whatever_its_resource_waits_for() {
    let stage = Stage::with_store();
    stage.login("publisher");
    stage.login("user");
    stage.succeed("publisher", &["keygen"]);
    crate::lent::reader(&stage, "reader", "\n[capabilities]\ndirectories = true\n\n[limits]\nrun_max = 1\n");
    let lend = stage.path("lend");
    std::fs::create_dir_all(&lend).expect("made");
    std::fs::write(lend.join("file"), "there").expect("written");
    let made = std::process::Command::new("mkfifo").arg(lend.join("pipe")).status().expect("mkfifo runs");
    assert!(made.success());
    let dir = format!("{}::/", lend.display());
    let run = |path: &str| {
        let mut command = stage.command("user");
        command.args(["run", "--dir", &dir, "acme/reader", "--", path]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("runs")
    };
    // The control: a file that is there is read.
    let (status, _) = ends(run("file"));
    assert!(status.success(), "{status:?}");
    let (status, took) = ends(run("pipe"));
    assert!(!status.success(), "nothing was read");
    assert!(took < MOST, "{took:?}");
}
