//! TLS to the database: rustls, with whoever answers checked in full.

use super::address::AddressError;
use std::path::Path;
use std::sync::Arc;
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};

/// Certificate and name of the server are checked, against the authorities of a file or those of the system.
pub(super) fn verified(authority: Option<&Path>) -> Result<MakeRustlsConnect, AddressError> {
    let path = authority.map(|path| path.display().to_string()).unwrap_or_else(|| "the system's certificates".into());
    let failed = |cause: String| AddressError::Certificates { path: path.clone(), cause };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?;
    let config = match authority {
        // An authority of one's own stands for itself: no other one may vouch for the database.
        Some(file) => {
            let mut roots = RootCertStore::empty();
            let read = CertificateDer::pem_file_iter(file).map_err(|error| failed(error.to_string()))?;
            for certificate in read {
                let certificate = certificate.map_err(|error| failed(error.to_string()))?;
                roots.add(certificate).map_err(|error| failed(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(failed("there is no certificate in it".into()));
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        None => {
            let verifier = rustls_platform_verifier::Verifier::new(provider);
            let verifier = verifier.map_err(|error| failed(error.to_string()))?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
        }
    };
    Ok(MakeRustlsConnect::new(config))
}
