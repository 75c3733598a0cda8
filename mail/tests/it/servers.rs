//! A certificate authority for servers on this machine, and a TLS server that says what it is told to.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

/// An authority and a certificate of `localhost`, in a folder.
pub(crate) struct Certificates {
    pub(crate) authority: PathBuf,
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificates {
    pub(crate) fn make(folder: &Path) -> Self {
        let at = |name: &str| folder.join(name);
        let text = |name: &str| at(name).display().to_string();
        openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=Test authority",
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-keyout",
            &text("ca.key"),
            "-out",
            &text("ca.pem"),
        ]);
        openssl(&[
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=localhost",
            "-keyout",
            &text("key.pem"),
            "-out",
            &text("request.pem"),
        ]);
        std::fs::write(at("extensions"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n").expect("written");
        openssl(&[
            "x509",
            "-req",
            "-days",
            "2",
            "-in",
            &text("request.pem"),
            "-CA",
            &text("ca.pem"),
            "-CAkey",
            &text("ca.key"),
            "-CAcreateserial",
            "-extfile",
            &text("extensions"),
            "-out",
            &text("chain.pem"),
        ]);
        Self { authority: at("ca.pem"), chain: at("chain.pem"), key: at("key.pem") }
    }
}

fn openssl(arguments: &[&str]) {
    let status = Command::new("openssl").args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.expect("openssl is installed with dovecot").success(), "openssl {arguments:?}");
}

/// One connection of a client.
pub(crate) struct Talk(pub(crate) TlsStream<TcpStream>);

impl Talk {
    pub(crate) async fn say(&mut self, text: &str) {
        // A client that had enough hangs up: then nobody listens.
        let _ = self.0.write_all(text.as_bytes()).await;
        let _ = self.0.flush().await;
    }

    /// The client's next line, without its end; empty if it hung up.
    pub(crate) async fn hear(&mut self) -> String {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            match self.0.read_u8().await {
                Ok(byte) => line.push(byte),
                Err(_) => return String::new(),
            }
        }
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }
}

/// Starts a server that has `talk` with each client.
pub(crate) async fn serve<F>(certificates: &Certificates, talk: impl Fn(Talk) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let chain = vec![CertificateDer::from_pem_file(&certificates.chain).expect("certificate")];
    let key = PrivateKeyDer::from_pem_file(&certificates.key).expect("key");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(tcp).await {
                tokio::spawn(talk(Talk(stream)));
            }
        }
    });
    address
}
