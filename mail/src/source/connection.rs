//! A connection to a mail server: TLS, lines and counted bytes, each bounded in length and time.

use crate::account::{Account, AccountError};
use crate::error::MailError;
use crate::limits::{ANSWER_TIMEOUT, CONNECT_TIMEOUT, MAX_PROTOCOL_LINE, READ_TIMEOUT, SLOWEST};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, crypto::aws_lc_rs};

/// Bytes read at once.
const CHUNK: usize = 16 * 1024;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

pub(super) struct Connection {
    server: String,
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    at: usize,
    received: u64,
    /// When something was sent last, and how much had been received then.
    asked: (Instant, u64),
}

/// A connection on which nothing is secret yet.
pub(super) struct Plain {
    server: String,
    host: String,
    tcp: TcpStream,
    config: Arc<ClientConfig>,
}

impl Plain {
    pub(super) async fn connect(account: &Account) -> Result<Self, MailError> {
        let server = account.endpoint();
        let config = tls(&server, account.authority.as_deref())?;
        let host = account.server.trim_matches(['[', ']']).to_owned();
        let connected = timeout(CONNECT_TIMEOUT, TcpStream::connect((host.as_str(), account.port))).await;
        let tcp = connected
            .map_err(|_| MailError::Silent { server: server.clone() })?
            .map_err(|error| MailError::unreachable(&server, &error))?;
        Ok(Self { server, host, tcp, config })
    }

    /// TLS from the first byte.
    pub(super) async fn secure(self) -> Result<Connection, MailError> {
        let untrusted = |cause: String| MailError::Untrusted { server: self.server.clone(), cause };
        let name = ServerName::try_from(self.host.clone()).map_err(|error| untrusted(error.to_string()))?;
        let shaken = timeout(CONNECT_TIMEOUT, TlsConnector::from(self.config).connect(name, self.tcp)).await;
        let stream =
            shaken.map_err(|_| MailError::Silent { server: self.server.clone() })?.map_err(|error| {
                match error.get_ref().and_then(|cause| cause.downcast_ref()) {
                    Some(rustls::Error::InvalidMessage(_)) => MailError::NoTls { server: self.server.clone() },
                    _ => untrusted(error.to_string()),
                }
            })?;
        let asked = (Instant::now(), 0);
        Ok(Connection { server: self.server, stream: Box::new(stream), buffer: Vec::new(), at: 0, received: 0, asked })
    }

    /// Talks in the clear until the server agrees to TLS: reads a greeting, sends `command`, reads lines until `agreed`
    /// says yes or no.
    ///
    /// Whatever arrives after the server agreed and before TLS was said by nobody who is trusted (the STARTTLS
    /// injection of CVE-2011-0411), so anything there ends the connection. Nothing said in the clear is kept.
    pub(super) async fn upgrade(
        mut self,
        greeted: fn(&[u8]) -> bool,
        command: &[u8],
        agreed: fn(&[u8]) -> Option<bool>,
    ) -> Result<Connection, MailError> {
        let refused = |what| MailError::Protocol { server: self.server.clone(), what };
        let greeting = line_in_the_clear(&mut self.tcp, &self.server).await.map_err(|error| match error {
            MailError::Silent { server } => MailError::NoGreeting { server },
            error => error,
        })?;
        if !greeted(&greeting) {
            return Err(refused("its greeting is not that of a server that lets us sign in"));
        }
        let sent = timeout(READ_TIMEOUT, self.tcp.write_all(command)).await;
        sent.map_err(|_| MailError::Silent { server: self.server.clone() })?
            .map_err(|error| MailError::unreachable(&self.server, &error))?;
        // Capabilities and the like come first, if at all.
        for _ in 0..16 {
            let line = line_in_the_clear(&mut self.tcp, &self.server).await?;
            match agreed(&line) {
                Some(true) => {
                    let mut early = [0];
                    return match self.tcp.try_read(&mut early) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.secure().await,
                        Ok(_) => Err(refused("it spoke between agreeing to TLS and beginning it")),
                        Err(error) => Err(MailError::unreachable(&self.server, &error)),
                    };
                }
                Some(false) => {
                    return Err(MailError::Untrusted { server: self.server.clone(), cause: "it offers no TLS".into() });
                }
                None => {}
            }
        }
        Err(refused("it does not answer STARTTLS"))
    }
}

/// Byte by byte, so that nothing beyond the line is taken from the socket: what follows is TLS.
async fn line_in_the_clear(tcp: &mut TcpStream, server: &str) -> Result<Vec<u8>, MailError> {
    let read = async {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            if line.len() >= 1024 {
                return Err(MailError::protocol(server, "a line is too long"));
            }
            line.push(tcp.read_u8().await.map_err(|error| MailError::unreachable(server, &error))?);
        }
        line.truncate(line.len() - 2);
        Ok(line)
    };
    timeout(READ_TIMEOUT, read).await.map_err(|_| MailError::Silent { server: server.into() })?
}

impl Connection {
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    pub(super) const fn received(&self) -> u64 {
        self.received
    }

    pub(super) fn broke(&self, what: &'static str) -> MailError {
        MailError::protocol(&self.server, what)
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), MailError> {
        let send = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        let sent = timeout(READ_TIMEOUT, send).await;
        self.asked = (Instant::now(), self.received);
        match sent {
            Ok(sent) => sent.map_err(|error| MailError::unreachable(&self.server, &error)),
            Err(_) => Err(MailError::Silent { server: self.server.clone() }),
        }
    }

    /// One line without its end, of at most [`MAX_PROTOCOL_LINE`] bytes.
    pub(super) async fn line(&mut self) -> Result<Vec<u8>, MailError> {
        let mut searched = 0;
        loop {
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            if let Some(end) = rest.iter().skip(searched).position(|byte| *byte == b'\n') {
                let end = searched + end;
                let line = rest.get(..end).unwrap_or_default();
                let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
                self.at += end + 1;
                return Ok(line);
            }
            searched = rest.len();
            if searched > MAX_PROTOCOL_LINE {
                return Err(self.broke("a line is too long"));
            }
            self.fill().await?;
        }
    }

    /// Exactly `count` bytes. The caller has bounded `count`; memory grows only as they arrive.
    pub(super) async fn exactly(&mut self, count: usize, into: &mut Vec<u8>) -> Result<(), MailError> {
        let mut missing = count;
        loop {
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            let taken = rest.len().min(missing);
            into.extend_from_slice(rest.get(..taken).unwrap_or_default());
            self.at += taken;
            missing -= taken;
            if missing == 0 {
                return Ok(());
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), MailError> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let filled = self.buffer.len();
        self.buffer.resize(filled + CHUNK, 0);
        let (asked, before) = self.asked;
        let read =
            timeout(patience(asked.elapsed(), self.received - before), self.stream.read(&mut self.buffer[filled..]))
                .await;
        let count = read
            .map_err(|_| MailError::Silent { server: self.server.clone() })?
            .map_err(|error| MailError::unreachable(&self.server, &error))?;
        self.buffer.truncate(filled + count);
        self.received += count as u64;
        if count == 0 { Err(self.broke("it ended the connection")) } else { Ok(()) }
    }
}

fn tls(server: &str, authority: Option<&Path>) -> Result<Arc<ClientConfig>, MailError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let untrusted = |cause: String| MailError::Untrusted { server: server.into(), cause };
    let extra = authority.map(certificates).transpose()?.unwrap_or_default();
    let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(extra, Arc::clone(&provider))
        .map_err(|error| untrusted(error.to_string()))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| untrusted(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The certificates of a PEM file.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, AccountError> {
    let failed = |cause: String| AccountError::Certificate { path: path.display().to_string(), cause };
    let unreadable = |error: pem::Error| match error {
        pem::Error::Io(error) => failed(error.to_string()),
        _ => failed("it is damaged".into()),
    };
    let read = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
    let all = read.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    let mut roots = RootCertStore::empty();
    for certificate in &all {
        roots.add(certificate.clone()).map_err(|_| failed("what it calls a certificate is none".into()))?;
    }
    if all.is_empty() { Err(failed("there is none in it".into())) } else { Ok(all) }
}

/// How long the next bytes may take, so long after something was asked and with so many bytes of the answer there. One
/// that says a little now and then is not silent, and would hold everything.
fn patience(since: Duration, answered: u64) -> Duration {
    let whole = ANSWER_TIMEOUT + Duration::from_secs(answered / SLOWEST);
    READ_TIMEOUT.min(whole.saturating_sub(since))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_drips_is_given_up() {
        // A byte at the last moment, again and again.
        let (mut since, mut answered) = (Duration::ZERO, 0);
        while patience(since, answered) > Duration::ZERO {
            since += patience(since, answered);
            answered += 1;
            assert!(since <= ANSWER_TIMEOUT, "{since:?}");
        }
        let large = crate::limits::MAX_MAIL as u64;
        assert_eq!(patience(Duration::from_secs(1_800), large), READ_TIMEOUT, "the control: slow, and a large mail");
    }
}
