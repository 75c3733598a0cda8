//! Which imports a resource may have.
//!
//! Importing is one thing, being given is another: everything allowed here is linked for every resource, but inert. The
//! wall clock shows a fixed time, there are no environment variables and no directories, unless manifest and operator
//! agree. Languages import whole families of WASI as soon as they format a number, so the rule goes by interface.

/// The interface whose functions every resource imports, without its version.
pub const BILLING: &str = "portcullis:gate/billing";

/// Versions of the contract that are served: all of 0.1.
const CONTRACT: &str = "0.1.";
/// Versions of WASI that are served: all of 0.2.
const WASI: &str = "0.2.";
const CONTRACT_INTERFACES: [&str; 4] = ["types", "billing", "vault", "bills"];
/// Packages of WASI that every resource may import.
const WASI_PACKAGES: [&str; 5] = ["cli", "io", "clocks", "random", "filesystem"];

/// Why an import is refused. Each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportRefused {
    /// Raw sockets, never given.
    #[error(
        "`{0}` is imported: raw sockets are never given to a resource; leave networking out \
         (in Rust `std::net`; componentize-js: `disableFeatures: [\"http\", \"fetch-event\"]`; componentize-py: `--stub-wasi`)"
    )]
    Sockets(String),
    /// HTTP, not given yet.
    #[error(
        "`{0}` is imported: HTTP is not given to resources yet; leave it out \
         (componentize-js: `disableFeatures: [\"http\", \"fetch-event\"]`; componentize-py: `--stub-wasi`)"
    )]
    Http(String),
    /// A version of WASI that is not served.
    #[error("`{0}` is imported: WASI 0.2 is served; build for it (Rust: target `wasm32-wasip2`)")]
    WasiVersion(String),
    /// Core modules' WASI.
    #[error("`{0}` is imported: WASI preview 1 is not served; build for `wasm32-wasip2` or `wasm32-unknown-unknown`")]
    Preview1(String),
    /// Part of the contract that does not exist.
    #[error(
        "`{0}` is imported: `types`, `billing`, `vault` and `bills` of portcullis:gate 0.1 are served; update the SDK or the import"
    )]
    Contract(String),
    /// Anything else.
    #[error(
        "`{0}` is imported and nothing provides it: compose the component with one that exports it (`wac plug`), or remove \
         the import from its world"
    )]
    Unknown(String),
}

/// Checks one import, `interface`, `interface#function` or `function`.
///
/// # Errors
/// [`ImportRefused`] says why and what to do.
pub fn check_import(name: &str) -> Result<(), ImportRefused> {
    let interface = name.split_once('#').map_or(name, |(interface, _)| interface);
    let shown = || name.to_owned();
    let (path, version) = interface.split_once('@').unwrap_or((interface, ""));
    let Some((package, interface)) = path.split_once('/') else {
        return Err(if path.starts_with("wasi_") {
            ImportRefused::Preview1(shown())
        } else {
            ImportRefused::Unknown(shown())
        });
    };
    match package.split_once(':') {
        Some(("portcullis", "gate")) if CONTRACT_INTERFACES.contains(&interface) && version.starts_with(CONTRACT) => {
            Ok(())
        }
        Some(("portcullis", _)) => Err(ImportRefused::Contract(shown())),
        Some(("wasi", "sockets")) => Err(ImportRefused::Sockets(shown())),
        Some(("wasi", "http")) => Err(ImportRefused::Http(shown())),
        Some(("wasi", known)) if WASI_PACKAGES.contains(&known) => {
            if version.starts_with(WASI) {
                Ok(())
            } else {
                Err(ImportRefused::WasiVersion(shown()))
            }
        }
        _ => Err(ImportRefused::Unknown(shown())),
    }
}

#[cfg(test)]
mod tests {
    use super::check_import;

    #[test]
    fn what_other_languages_import_is_told_how_to_leave_it_out() {
        for import in ["wasi:http/types@0.2.3", "wasi:http/outgoing-handler@0.2.3#handle", "wasi:sockets/tcp@0.2.0"] {
            let said = check_import(import).expect_err(import).to_string();
            assert!(said.contains("disableFeatures: [\"http\", \"fetch-event\"]"), "{said}");
            assert!(said.contains("componentize-py: `--stub-wasi`"), "{said}");
        }
    }
}
