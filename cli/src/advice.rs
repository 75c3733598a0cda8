//! What to do about the errors of the libraries. They say what happened; the fix depends on who asks, and here that is
//! a person at a command line.

use portcullis_host::{ClientError, Error, Refused, StateError, TransportError};
use portcullis_protocol::Reason;
use portcullis_protocol::seal::{SealError, SealRefused};
use portcullis_protocol::sealed::SealedError;

use crate::failure::{Failure, chain};
use crate::payment::OTHER_MEANS;

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let message = chain(&error);
        let fix = match error {
            ClientError::Refused(refused) => return refused.into(),
            ClientError::State(error) => return error.into(),
            ClientError::Package(detail) => return Self::refusal(Reason::PackageInvalid, detail),
            ClientError::OtherFile { .. } => return Self::refusal(Reason::PackageInvalid, message),
            ClientError::Transport(TransportError::Address) => "write https://…; http serves on this machine alone",
            ClientError::Transport(TransportError::TooLong) => "download it by other means, and install the file",
            ClientError::Transport(TransportError::File(_)) => "check the path and that you may read it",
            ClientError::OutcomeUnknown { .. } => {
                return Self::refusal(Reason::Offline, message)
                    .with_fix("run the same command again: it finds out, and does nothing twice");
            }
            ClientError::Transport(TransportError::CertificateTime(_)) => {
                return Self::refusal(Reason::ClockSuspect, message);
            }
            ClientError::Transport(_) => return Self::refusal(Reason::Offline, message),
            ClientError::OtherAddress { named, .. } => {
                let fix = format!("use the address it names: `portcullis login {named}`");
                return Self::refusal(Reason::ServerUntrusted, message).in_detail().with_fix(fix);
            }
            ClientError::SeveralPublishers { .. } => {
                "say which store you mean: --server URL; one that you no longer use goes by `portcullis logout --forget URL`"
            }
            ClientError::SeveralStores(_) => "choose one: --server URL",
            ClientError::SilentStore { .. } => {
                "say which store you mean: --server URL; or try again when the other one answers"
            }
            ClientError::Rejected { status: 413, .. } => {
                "ask the store's operator to let uploads of this size through the proxy in front of it (docs/operations.md)"
            }
            ClientError::Rejected { status: 403, .. } => "use what is yours there, or ask the store's operator",
            ClientError::Rejected { status: 409, .. } => {
                "if it was asked twice at once, run it again; else correct what the store objects to"
            }
            ClientError::Rejected { status: 429, .. } => "wait a moment, then ask again",
            ClientError::Rejected { status: 404, .. } => {
                "check the name: `portcullis search`, `portcullis list` and `portcullis receipts` show what there is"
            }
            ClientError::Rejected { .. } => "correct what the store objects to, and run it again",
            ClientError::KeyStore(_) => "delete the file that it names and sign in again: `portcullis login URL`",
            ClientError::SignInDenied => "if that was a mistake, begin again: `portcullis login URL`",
            ClientError::SignInExpired => "`portcullis login URL`, and approve the code within its time",
            ClientError::SignInRefused(_) => "begin again: `portcullis login URL`; if it repeats, ask the store",
            ClientError::NotFound(_) => "look what there is: `portcullis search`, `portcullis list`",
            ClientError::Name(_) => {
                "write publisher/name or publisher/name@version; or choose a store with --server URL"
            }
            ClientError::Rollback { resource, offered, .. } => {
                let fix = format!("if you want the older one: `portcullis install {resource}@{offered}`");
                return Self::new(message, fix);
            }
            ClientError::VersionReused { .. } => {
                "do not install it, and ask the publisher; `portcullis remove NAME` first if you must"
            }
            ClientError::PublisherChanged { .. } => {
                "ask the publisher for the words of the new key through another channel than this store. If they match those above: `portcullis install NAME --accept-key \"WORDS\"`"
            }
            ClientError::KeyNotAsTold { whose, .. } => {
                let fix = format!(
                    "give the eight words as {whose} itself shows them. If they are those, the store names another key \
                     than {whose} has: take nothing of it there, and tell {whose}"
                );
                return Self::new(message, fix);
            }
            ClientError::MerchantChanged { .. } => {
                "ask the merchant for the words of its new key through another channel than this store. If they match those above, add `--accept-key \"WORDS\"` to `portcullis pay` or `portcullis codes ORDER`"
            }
            ClientError::MerchantNew { .. } => {
                "compare the words with those that the merchant itself shows, then `portcullis codes ORDER`, which asks"
            }
            ClientError::CodeNotAsBought { .. } => {
                "wait for the store's decision: `portcullis codes` shows where the order stands"
            }
            ClientError::PublisherForgotten { .. } => "do it again, and compare the words of the key",
            ClientError::Declined => OTHER_MEANS,
            ClientError::Ambiguous(_) => "choose one: --offer ID",
            ClientError::File { .. } => "check the path and that you may read it",
            _ => "see `portcullis help`",
        };
        Self::new(message, fix)
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        let fix = match error {
            StateError::Exposed { .. } => "choose another folder, or, if nobody else uses it, `chmod 700` it",
            StateError::NoHome => "name a folder: --home DIR or PORTCULLIS_HOME",
            StateError::Damaged { .. } => "delete that file, then sign in again: `portcullis login URL`",
            _ => "check the folder, or name another one: --home DIR",
        };
        Self::new(error, fix)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = chain(&error);
        match error {
            Error::Refused(refused) => (*refused).into(),
            Error::State(error) => error.into(),
            Error::Io(_) => Self::new(message, "check the path; `portcullis list` shows what is installed"),
            Error::Output(error) => Self::not_written(
                "pass on what the resource wrote",
                &error,
                "free some space, or write elsewhere; what was paid for is paid for",
            ),
            Error::Sealed(error) => error.into(),
            Error::Surface(_) | Error::Census(_) | Error::Body(_) => Self::refusal(Reason::PackageInvalid, message),
            Error::UnknownOperation(unknown) => {
                Self::refusal(Reason::OperationUnknown, message).with_fix(unknown.suggestion())
            }
            Error::Ended(_) => match error.reason() {
                Some(reason) => Refused::because(reason, message).into(),
                None => Self::new(message, "run it again"),
            },
            Error::UnknownExport(unknown) => {
                Self::usage(format!("the resource has no export `{}`", unknown.name), unknown.suggestion())
            }
            Error::AmbiguousExport { name, candidates } => Self::usage(
                format!("several interfaces have a function `{name}`"),
                format!("write the whole name: {}", candidates.join(" or ")),
            ),
            Error::UnmappedExport(_) | Error::NothingToCall(_) | Error::OtherOperation { .. } => {
                Self::new(message, "see what can be called: `portcullis inspect NAME`")
            }
            Error::NoBills => Self::usage(
                message,
                "lend them: --bills; `portcullis-mail account add` connects a mailbox (docs/bill-mail.md)",
            ),
            Error::Bills(_) => Self::new(
                message,
                "see whether `portcullis-mail bills MAILBOX` prints them; the program is looked for beside this one and \
                 in PATH, and --mail-socket PATH reaches one that runs already",
            ),
            Error::Lent { .. } => Self::usage(message, "check the path after --dir, and that you may read it"),
            Error::Arguments(_) => Self::usage(
                message,
                "see the signature: `portcullis inspect NAME`; values are WAVE, @FILE is a file's bytes",
            ),
            Error::Limit(_) => Self::new(message, "give it less to do; `portcullis inspect NAME` shows the bounds"),
            Error::Trap(_) | Error::Exit(_) => {
                Self::new(message, "the resource itself is at fault: tell its publisher")
            }
            Error::Needs(_) => Self::new(message, "the resource itself is at fault: tell its publisher"),
            Error::BodyTooLarge { .. } | Error::Engine(_) => {
                Self::new(message, "free some memory, or use a larger machine")
            }
            _ => Self::new(message, "run it again; if it repeats, install the resource again"),
        }
    }
}

impl From<SealedError> for Failure {
    fn from(error: SealedError) -> Self {
        let message = chain(&error);
        match error {
            SealedError::Io(_) => Self::new(message, "check the path and the disk"),
            SealedError::NoSuchPart(_) => Self::new(message, "see its parts: `portcullis inspect FILE`"),
            _ => Self::refusal(Reason::PackageInvalid, message),
        }
    }
}

impl From<SealRefused> for Failure {
    fn from(error: SealRefused) -> Self {
        let fix = match &error {
            SealRefused::NotAComponent { .. } => {
                "let the part's `path` name what your compiler built: `portcullis build`, or see docs/first-resource.md"
            }
            SealRefused::Invalid { .. } => "build it again without the proposal that it names",
            SealRefused::AlreadySealed { .. } => "name the component that it was made from",
            SealRefused::NoBilling { .. } => {
                "in Rust, generate the bindings with `portcullis_guest::generate!`, which keeps `billing.entry`"
            }
            SealRefused::Import { .. } => {
                "build it without that import: in Rust for wasm32-unknown-unknown; with componentize-js by `disableFeatures: [\"http\", \"fetch-event\"]`; with componentize-py by `--stub-wasi`"
            }
            SealRefused::SurfaceDiffers { .. } => "build both code parts from one WIT world",
            SealRefused::NoCode => "add a [[part]] with kind = \"code\"",
            SealRefused::NoSuchExport { .. } => "correct `exports` in portcullis.toml",
            SealRefused::NoSuchOperation { .. } => "correct `operation` of that [[offer]] in portcullis.toml",
            SealRefused::UsesOperation { .. } | SealRefused::UsesPart { .. } => {
                "correct the name in the sources, or add it to portcullis.toml; what only looks like such a name is left alone if it is a constant"
            }
            SealRefused::UsesUnreleased { .. } => {
                "add the part to `parts` of that operation in portcullis.toml, or open it under another operation's grant"
            }
            SealRefused::SharedCode { .. } => {
                "give the free operation a code part of its own, or declare the part public = true"
            }
            SealRefused::PublicPart { .. } => "public = true on that part, or take it out of the free operation",
            SealRefused::AdvisoryMetering { .. } => {
                "--advisory-metering, or advisory_metering = true in [resource], if that is enough"
            }
            SealRefused::TooLarge { .. } => "split the part, or make it smaller",
            SealRefused::TooMany { .. } => "change what it names in the component, then build and seal again",
            SealRefused::NeverRuns { .. } => {
                "change what it names in the component, or its bound under [limits] in portcullis.toml"
            }
            SealRefused::TooManyFunctions { .. } => "put fewer functions into its world",
            SealRefused::Limits(_) => "correct [limits] in portcullis.toml",
            SealRefused::StubTooLarge { .. } => "export fewer types",
            SealRefused::Manifest(_) => "correct portcullis.toml",
            _ => "correct the component, then seal again",
        };
        Self::new(&error, fix)
    }
}

impl From<SealError> for Failure {
    fn from(error: SealError) -> Self {
        match error {
            SealError::Refused(refused) => refused.into(),
            error => Self::new(chain(&error), "check the space on the disk and the parts' files, then seal again"),
        }
    }
}
