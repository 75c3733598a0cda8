//! Commands: resources that export `wasi:cli/run`.

use crate::error::{Bound, Error};
use crate::run::arguments;
use crate::run::authorised::Authorised;
use crate::run::instance::within;
use crate::run::limits::Results;
use crate::run::resolve;
use crate::run::streams::endpoint::{Input, Output};
use crate::run::streams::stdio::Bounded;
use crate::run::wasi::Stdio;
use std::pin::pin;

/// How a command is run. The default: no arguments, no input, and output that nobody reads.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Command {
    /// Arguments, the command's own name first.
    pub args: Vec<String>,
    /// Standard input.
    pub stdin: Input,
    /// Standard output.
    pub stdout: Output,
    /// Standard error.
    pub stderr: Output,
}

impl Command {
    /// A command with the process's own standard streams.
    #[must_use]
    pub fn inherit(args: Vec<String>) -> Self {
        Self { args, stdin: Input::Inherit, stdout: Output::Stdout, stderr: Output::Stderr }
    }

    /// A command whose output goes to these.
    #[must_use]
    pub fn new(args: Vec<String>, stdin: Input, stdout: Output, stderr: Output) -> Self {
        Self { args, stdin, stdout, stderr }
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exit {
    /// Its code; 0 is success.
    pub code: i32,
    /// Whether output was lost to [`crate::Limits::output`] or, if it is collected, to [`crate::Limits::result`].
    pub output_cut: bool,
}

/// Whether this export makes a resource a command.
pub(crate) fn is_run(export: &str) -> bool {
    export.starts_with("wasi:cli/run@0.2.") && export.ends_with("#run")
}

impl Authorised {
    /// Runs a command once, in an instance of its own, drawing one use.
    ///
    /// # Errors
    /// [`Error::UnknownExport`] if the operation has no `wasi:cli/run`; [`Error::Output`] if what it wrote could not be
    /// passed on, however the command took it; else as [`Authorised::call`].
    pub async fn run(&self, command: Command) -> Result<Exit, Error> {
        let name = self.exports().find(|name| is_run(name));
        let export = self.export(name.ok_or_else(|| resolve::no_command(self.contents.signed.manifest()))?)?;
        arguments::check_texts(&command.args, &self.contents.limits)?;
        let bounded = |output: Output| {
            let most = output.most(&self.contents.limits);
            Bounded::new(output, most)
        };
        let (stdout, stderr) = (bounded(command.stdout), bounded(command.stderr));
        let streams = (stdout.clone(), stderr.clone());
        let mut live = self.single(Stdio { args: command.args, stdin: command.stdin, stdout, stderr }).await?;
        let time = self.run_seconds();
        let deadline = live.begin(time, self.contents.limits.lifted(Results::Fixed));
        let func = live.instance.get_typed_func::<(), (Result<(), ()>,)>(&mut live.store, export.index);
        let func = func.map_err(|error| Error::Body(error.root_cause().to_string()))?;
        let outcome = within(deadline, pin!(func.call_async(&mut live.store, ()))).await;
        let outcome = outcome.ok_or(Error::Limit(Bound::Time))?;
        // What it wrote has to be out before it counts as run; whoever does not take it holds up nobody for longer.
        let written = async { tokio::join!(streams.0.finish(), streams.1.finish()) };
        let written = within(deadline, pin!(written)).await.ok_or(Error::Limit(Bound::Time))?;
        written.0.and(written.1).map_err(Error::Output)?;
        let code = match outcome {
            Ok((Ok(()),)) => 0,
            Ok((Err(()),)) => 1,
            Err(error) => match live.failure(&error) {
                Error::Exit(code) => code,
                other => return Err(other),
            },
        };
        Ok(Exit { code, output_cut: streams.0.exceeded() || streams.1.exceeded() })
    }
}
