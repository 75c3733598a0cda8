//! `portcullis-mail serve`.

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use portcullis_mail::{Handout, SealedFolder};
use std::io;
use std::path::PathBuf;

/// Terminals that are served at once, beyond which others wait. Each costs a thread, and a person has a few.
#[cfg(unix)]
const MAX_TERMINALS: usize = 8;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Listen on a local socket, for terminals of this user, instead of serving standard input
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl Arguments {
    pub(crate) fn run(self, open: impl Fn() -> Result<SealedFolder>) -> Result<()> {
        let folder = open()?;
        match self.socket {
            None => {
                let served = Handout::new(folder).serve(&mut io::stdin().lock(), &mut io::stdout().lock());
                served.context("cannot go on serving")
            }
            #[cfg(unix)]
            Some(path) => listen(&path, &open),
            #[cfg(not(unix))]
            Some(_) => {
                anyhow::bail!("--socket is for Unix. Leave it out: `portcullis run --bills` starts this program")
            }
        }
    }
}

/// Serves each terminal of this user on a thread of its own, until the process is ended.
#[cfg(unix)]
fn listen(path: &std::path::Path, open: &impl Fn() -> Result<SealedFolder>) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::sync::mpsc::sync_channel;

    let path = std::path::absolute(path).context("the socket's path")?;
    let parent = path.parent().context("the socket needs a folder")?;
    let mode = std::fs::metadata(parent).with_context(|| format!("cannot look at `{}`", parent.display()))?;
    ensure!(
        mode.permissions().mode() & 0o077 == 0,
        "other users can look into `{}`. Put the socket into a folder of your own, such as $XDG_RUNTIME_DIR",
        parent.display()
    );
    if UnixStream::connect(&path).is_err() {
        // One that nobody listens to is left over from a process that ended.
        let is_socket = std::fs::symlink_metadata(&path)
            .is_ok_and(|found| std::os::unix::fs::FileTypeExt::is_socket(&found.file_type()));
        if is_socket {
            std::fs::remove_file(&path).with_context(|| format!("cannot remove `{}`", path.display()))?;
        }
    }
    let listener = UnixListener::bind(&path).with_context(|| format!("cannot listen at `{}`", path.display()))?;
    eprintln!("serving at {}", path.display());
    // A turn for each terminal.
    let (done, turns) = sync_channel(MAX_TERMINALS);
    for _ in 0..MAX_TERMINALS {
        done.send(()).context("cannot begin")?;
    }
    for stream in listener.incoming() {
        let stream = stream.context("cannot accept a terminal")?;
        if !is_own(&stream) {
            eprintln!("another user was turned away");
            continue;
        }
        turns.recv().context("cannot go on")?;
        let (folder, done) = (open()?, done.clone());
        std::thread::spawn(move || {
            if let Ok(mut answers) = stream.try_clone() {
                let _ = Handout::new(folder).serve(&mut io::BufReader::new(stream), &mut answers);
            }
            let _ = done.send(());
        });
    }
    Ok(())
}

/// Whether the other end is a process of this user.
#[cfg(target_os = "linux")]
fn is_own(stream: &std::os::unix::net::UnixStream) -> bool {
    rustix::net::sockopt::socket_peercred(stream).is_ok_and(|peer| peer.uid == rustix::process::getuid())
}

/// The folder of the socket is this user's alone.
#[cfg(all(unix, not(target_os = "linux")))]
fn is_own(_: &std::os::unix::net::UnixStream) -> bool {
    true
}
