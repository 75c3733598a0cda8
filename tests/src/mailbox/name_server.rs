//! A name server for TXT records, on a port of this machine.

use anyhow::{Context as _, Result};
use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};

/// Answers until the process ends.
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
}

impl NameServer {
    /// Starts one that knows these names.
    ///
    /// # Errors
    /// If there is no port.
    pub fn start(names: HashMap<String, String>) -> Result<Self> {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).context("no port for a name server")?;
        let address = socket.local_addr()?;
        std::thread::spawn(move || {
            let mut query = [0; 1500];
            while let Ok((count, from)) = socket.recv_from(&mut query) {
                if let Some(answer) = answer(&query[..count], &names) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Ok(Self { address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// RFC 1035 section 4.1: the question again, and a TXT record or NXDOMAIN.
fn answer(query: &[u8], names: &HashMap<String, String>) -> Option<Vec<u8>> {
    let (mut at, mut labels) = (12, Vec::new());
    while let Some(length) = query.get(at).copied().filter(|length| *length > 0) {
        labels.push(String::from_utf8_lossy(query.get(at + 1..=at + usize::from(length))?).to_lowercase());
        at += 1 + usize::from(length);
    }
    let question = query.get(12..at + 5)?;
    let record = names.get(&labels.join("."));
    let mut answer = query.get(..2)?.to_vec();
    answer.extend([0x81, if record.is_some() { 0x80 } else { 0x83 }, 0, 1, 0, u8::from(record.is_some()), 0, 0, 0, 0]);
    answer.extend(question);
    if let Some(record) = record {
        let mut strings = Vec::new();
        for part in record.as_bytes().chunks(255) {
            strings.push(u8::try_from(part.len()).ok()?);
            strings.extend(part);
        }
        answer.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60]);
        answer.extend(u16::try_from(strings.len()).ok()?.to_be_bytes());
        answer.extend(strings);
    }
    Some(answer)
}
