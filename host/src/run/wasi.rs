//! What a resource sees of the machine, in tiers.
//!
//! Always linked and inert: arguments, exit, bounded standard streams, an empty environment, the monotonic clock,
//! capped randomness, a file system without directories. If the manifest asks *and* the operator agrees: the wall
//! clock, environment variables, directories. Never: sockets.

use crate::error::Error;
use crate::run::limits::Limits;
use crate::run::streams::endpoint::Input;
use crate::run::streams::stdio::Bounded;
use portcullis_protocol::Capabilities;
use std::path::PathBuf;
use std::time::Duration;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::filesystem::types;
use wasmtime_wasi::p2::bindings::{cli, filesystem, random};
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{FsPerms, HostWallClock, WasiCtx, WasiCtxBuilder, WasiView};

/// What the operator lends to resources whose manifest asks for it. The default lends nothing.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Lent {
    /// The wall clock.
    pub wall_clock: bool,
    /// These environment variables.
    pub environment: Vec<(String, String)>,
    /// These directories.
    pub directories: Vec<Directory>,
}

/// A directory of the host, as a resource sees it.
#[derive(Debug, Clone)]
pub struct Directory {
    /// The directory on the host.
    pub host: PathBuf,
    /// Its name inside.
    pub guest: String,
    /// Whether files in it may be changed.
    pub writable: bool,
}

impl Lent {
    /// What of `asked` is given.
    #[must_use]
    pub(crate) fn given(&self, asked: Capabilities) -> Capabilities {
        Capabilities {
            wall_clock: asked.wall_clock && self.wall_clock,
            environment: asked.environment && !self.environment.is_empty(),
            directories: asked.directories && !self.directories.is_empty(),
            // Not of the machine: see `run/handed_bills.rs`.
            bills: false,
        }
    }
}

impl Lent {
    /// Whether what is given of `asked` is there. Found before anything is paid for: an instance would not begin.
    pub(crate) fn check(&self, asked: Capabilities) -> Result<(), Error> {
        if !self.given(asked).directories {
            return Ok(());
        }
        let check = |directory: &Directory| {
            std::fs::read_dir(&directory.host)
                .map(drop)
                .map_err(|error| Error::Lent { path: directory.host.display().to_string(), cause: error.to_string() })
        };
        self.directories.iter().try_for_each(check)
    }
}

/// 2020-01-01: shown where the wall clock is not given. A real date, since certificates and archives choke on 1970.
const FIXED_TIME: Duration = Duration::from_secs(1_577_836_800);

struct FixedClock;

impl HostWallClock for FixedClock {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        FIXED_TIME
    }
}

/// Arguments and standard streams of one store.
pub(crate) struct Stdio {
    pub(crate) args: Vec<String>,
    pub(crate) stdin: Input,
    pub(crate) stdout: Bounded,
    pub(crate) stderr: Bounded,
}

/// The context of one store.
pub(crate) fn context(lent: &Lent, asked: Capabilities, limits: &Limits, stdio: Stdio) -> wasmtime::Result<WasiCtx> {
    let given = lent.given(asked);
    let mut context = WasiCtxBuilder::new();
    context.args(&stdio.args).stdout(stdio.stdout).stderr(stdio.stderr).max_random_size(limits.random);
    context.socket_addr_check(|_, _| Box::pin(async { false })).allow_tcp(false).allow_udp(false);
    match stdio.stdin {
        Input::Empty => {}
        Input::Bytes(bytes) => {
            context.stdin(MemoryInputPipe::new(bytes));
        }
        #[cfg(unix)]
        Input::Inherit if std::io::IsTerminal::is_terminal(&std::io::stdin()) => {
            context.stdin(crate::run::streams::console::TerminalInput);
        }
        Input::Inherit => {
            context.inherit_stdin();
        }
    }
    if !given.wall_clock {
        context.wall_clock(FixedClock);
    }
    if given.environment {
        context.envs(&lent.environment);
    }
    if given.directories {
        for directory in &lent.directories {
            let perms = if directory.writable { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
            context.preopened_dir(&directory.host, &directory.guest, perms)?;
        }
    }
    Ok(context.build())
}

/// Links every interface above, and no other.
pub(crate) fn link<T: WasiView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    // Streams, polling, clocks, random numbers, standard streams.
    wasmtime_wasi::p2::add_to_linker_proxy_interfaces_async(linker)?;
    random::insecure::add_to_linker::<T, WasiRandom>(linker, |t| t.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<T, WasiRandom>(linker, |t| t.ctx().ctx.random())?;
    cli::exit::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::environment::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_input::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_output::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_stdin::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_stdout::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_stderr::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    filesystem::types::add_to_linker::<T, WasiFilesystem>(linker, T::filesystem)?;
    filesystem::preopens::add_to_linker::<T, WasiFilesystem>(linker, T::filesystem)?;
    without_links(linker)
}

/// The interface of files, as `wasmtime-wasi` links it.
const FILES: &str = "wasi:filesystem/types@0.2.12";

/// No resource makes a symbolic link. It could lead out of what was lent (`../../.bashrc`), where the resource cannot
/// follow it, but whatever its user runs there afterwards can.
fn without_links<T: 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let refused = |_: StoreContextMut<'_, T>, _: (Resource<types::Descriptor>, String, String)| {
        Ok((Err::<(), _>(types::ErrorCode::NotPermitted),))
    };
    linker.instance(FILES)?.func_wrap("[method]descriptor.symlink-at", refused)?;
    linker.allow_shadowing(false);
    Ok(())
}
