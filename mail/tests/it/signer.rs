//! Signs mails with dkimpy, which is not the library that verifies them; and answers for the name servers.

use portcullis_mail::{Dns, DnsFailure, TxtAnswer};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The names that a signer published.
#[derive(Clone)]
pub(crate) struct Names {
    pub(crate) records: HashMap<String, String>,
    pub(crate) trusted: bool,
    pub(crate) down: bool,
}

#[async_trait::async_trait]
impl Dns for Names {
    async fn txt(&self, name: &str) -> Result<TxtAnswer, DnsFailure> {
        if self.down {
            return Err(DnsFailure::Unavailable);
        }
        let record = self.records.get(name).ok_or(DnsFailure::NotFound)?;
        Ok(TxtAnswer { records: vec![record.clone().into_bytes()], trusted: self.trusted })
    }
}

/// Signs each request of `sign.py`.
pub(crate) fn sign(mails: &[Value]) -> (Vec<Vec<u8>>, Names) {
    let answer = python("sign.py", &json!({ "mails": mails }).to_string());
    let raw = answer["mails"].as_array().expect("mails").iter();
    // Latin-1 carries bytes through JSON.
    let bytes =
        raw.map(|mail| mail.as_str().expect("text").chars().map(|c| u8::try_from(c as u32).expect("a byte")).collect());
    (bytes.collect(), names(&answer["keys"]))
}

pub(crate) fn names(keys: &Value) -> Names {
    let records = keys.as_object().expect("keys").iter();
    let records = records.map(|(name, record)| (name.clone(), record.as_str().expect("text").to_owned())).collect();
    Names { records, trusted: true, down: false }
}

/// A folder of what `cargo xtask foreign` installs.
pub(crate) fn foreign(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/foreign").join(name);
    assert!(folder.exists(), "run `cargo xtask foreign`: it installs what these tests compare with");
    folder
}

pub(crate) fn python(script: &str, input: &str) -> Value {
    python_with(script, &[], input)
}

pub(crate) fn python_with(script: &str, arguments: &[&Path], input: &str) -> Value {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut child = Command::new(foreign("mail/bin/python"))
        .arg(here.join("tests/python").join(script))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("python ends");
    assert!(output.status.success(), "{script} failed");
    serde_json::from_slice(&output.stdout).expect("JSON")
}
