//! Why mail could not be fetched.

use crate::account::AccountError;
use crate::sealed_folder::FolderError;
use std::error::Error;
use std::io;
use tokio_rustls::rustls;

/// Why a run over a mailbox ended early. What was read before is kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MailError {
    /// No connection.
    #[error("cannot reach {server}: {cause}. Check the server's name and port, and whether you are online")]
    Unreachable {
        /// Host and port.
        server: String,
        /// What the system said.
        cause: String,
    },
    /// The certificate does not verify, or there is no TLS.
    #[error("{server} cannot be trusted: {cause}. Mail is only fetched over TLS with a certificate that verifies")]
    Untrusted {
        /// Host and port.
        server: String,
        /// What is wrong.
        cause: String,
    },
    /// What answers does not speak TLS.
    #[error(
        "{server} does not speak TLS there. Check the port; if it is one at which IMAP or POP3 begins in the clear, as 143 and 110, add the account with --starttls"
    )]
    NoTls {
        /// Host and port.
        server: String,
    },
    /// What answers at an https address does not speak TLS.
    #[error("{server} does not speak TLS. Check the address, and the port in it if there is one")]
    NoHttps {
        /// The address.
        server: String,
    },
    /// Nothing was said in the clear.
    #[error(
        "{server} did not begin to speak. If the port is one at which TLS comes first, as 993 and 995, add the account without --starttls; if it is not, try again later"
    )]
    NoGreeting {
        /// Host and port.
        server: String,
    },
    /// The credentials were refused.
    #[error("{server} refused the sign-in. Check user and password; some providers want a password per application")]
    SignIn {
        /// Host and port.
        server: String,
    },
    /// The access token could not be renewed.
    #[error(
        "{server} does not renew the access token. If you have taken it back, sign in at your provider again, and add the account anew"
    )]
    Renewal {
        /// The token endpoint.
        server: String,
    },
    /// No such mailbox.
    #[error("{server} has no mailbox `{mailbox}`, or does not let you read it")]
    Mailbox {
        /// Host and port.
        server: String,
        /// Its name.
        mailbox: String,
    },
    /// The server does not follow its protocol.
    #[error("{server} broke the rules of its protocol ({what}). Nothing was changed; try again later")]
    Protocol {
        /// Host and port.
        server: String,
        /// What it did.
        what: &'static str,
    },
    /// The mailbox was made anew while it was read.
    #[error("the mailbox changed its identity (UIDVALIDITY) while it was read. Fetch again: it is then read anew")]
    Replaced,
    /// Nothing arrived for too long.
    #[error("{server} was silent for too long. Try again later")]
    Silent {
        /// Host and port.
        server: String,
    },
    /// An account's settings.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The folder of this program.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

impl MailError {
    pub(crate) fn unreachable(server: &str, cause: &io::Error) -> Self {
        Self::Unreachable { server: server.into(), cause: cause.to_string() }
    }

    /// What went wrong below HTTP, by the innermost error: the outer ones only say that a request was not sent.
    pub(crate) fn http(server: &str, error: reqwest::Error) -> Self {
        let server = server.to_owned();
        let error = error.without_url();
        let mut cause: &(dyn Error + 'static) = &error;
        loop {
            // An error of input and output has another one in it, which it does not name as its source.
            let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            match inner.map(|inner| -> &(dyn Error + 'static) { inner }).or_else(|| cause.source()) {
                Some(inner) => cause = inner,
                None => break,
            }
        }
        match cause.downcast_ref() {
            Some(rustls::Error::InvalidMessage(_)) => Self::NoHttps { server },
            Some(error) => Self::Untrusted { server, cause: error.to_string() },
            None => Self::Unreachable { server, cause: cause.to_string() },
        }
    }

    pub(crate) fn protocol(server: &str, what: &'static str) -> Self {
        Self::Protocol { server: server.into(), what }
    }
}
