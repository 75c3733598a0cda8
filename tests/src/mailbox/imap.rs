//! An IMAP server with TLS that has some mails, for who needs no more than to read them. The tests of `mail/` read a
//! real one.

use anyhow::{Context as _, Result, ensure};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Serves until the runtime ends. Whoever signs in as `kim` with the password is let in.
#[derive(Debug)]
pub struct ImapServer {
    address: SocketAddr,
    authority: PathBuf,
}

impl ImapServer {
    /// Starts one with these mails. `folder` gets its certificate.
    ///
    /// # Errors
    /// If there is no port.
    pub async fn start(folder: &Path, password: &str, mails: Vec<Vec<u8>>) -> Result<Self> {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let authority = folder.join("imap-server.pem");
        std::fs::write(&authority, &chain).context("cannot write the certificate")?;
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(chain.as_bytes())?],
                PrivateKeyDer::from_pem_slice(key.as_bytes())?,
            )?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no port for a mail server")?;
        let address = listener.local_addr()?;
        let served = Arc::new((login(password), mails));
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, served) = (acceptor.clone(), Arc::clone(&served));
                tokio::spawn(async move { talk(acceptor, tcp, &served.0, &served.1).await });
            }
        });
        Ok(Self { address, authority })
    }

    /// The port of `localhost` that it listens at.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The certificate that is to be trusted.
    #[must_use]
    pub fn authority(&self) -> &Path {
        &self.authority
    }
}

/// What a client sends to sign in (RFC 4616), in base64.
fn login(password: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(format!("\0kim\0{password}"))
}

/// RFC 3501, as far as a reader goes. A command that would change something ends the talk.
async fn talk(acceptor: TlsAcceptor, tcp: TcpStream, login: &str, mails: &[Vec<u8>]) -> Result<()> {
    let (reading, mut writing) = tokio::io::split(acceptor.accept(tcp).await?);
    let mut lines = BufReader::new(reading).lines();
    writing.write_all(b"* OK ready\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let (tag, command) = line.split_once(' ').context("a command has a tag")?;
        let upper = command.to_ascii_uppercase();
        let mut said = Vec::new();
        if upper.starts_with("CAPABILITY") {
            said.extend(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\n");
        } else if upper.starts_with("AUTHENTICATE PLAIN") {
            if command.rsplit(' ').next() != Some(login) {
                writing.write_all(format!("{tag} NO wrong\r\n").as_bytes()).await?;
                continue;
            }
        } else if upper.starts_with("EXAMINE") {
            let next = mails.len() + 1;
            said.extend(
                format!("* {} EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT {next}] x\r\n", mails.len()).bytes(),
            );
        } else if upper.contains("RFC822.SIZE") {
            for (at, mail) in mails.iter().enumerate() {
                said.extend(format!("* {0} FETCH (UID {0} RFC822.SIZE {1})\r\n", at + 1, mail.len()).bytes());
            }
        } else if upper.contains("BODY.PEEK[]") {
            for uid in command.split(' ').nth(2).context("which mails")?.split(',') {
                let uid: usize = uid.parse().context("a number")?;
                let mail = uid.checked_sub(1).and_then(|at| mails.get(at)).context("a mail that is there")?;
                said.extend(format!("* {uid} FETCH (UID {uid} BODY[] {{{}}}\r\n", mail.len()).bytes());
                said.extend(mail);
                said.extend(b")\r\n");
            }
        } else {
            ensure!(upper.starts_with("LOGOUT") || upper.starts_with("NOOP"), "unexpected: {command}");
        }
        said.extend(format!("{tag} OK done\r\n").bytes());
        writing.write_all(&said).await?;
        writing.flush().await?;
    }
    Ok(())
}
