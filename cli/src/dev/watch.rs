//! What nobody else would show the author of a resource: what it was refused from inside, and what it wrote to standard
//! error.

use parking_lot::Mutex;
use portcullis_host::{Output, OutputBuffer, PartRefusal, Progress, Refused, Step};
use portcullis_protocol::{Manifest, OperationName, Reason, SignedManifest, nearest};

use crate::failure::Failure;

/// Watches a resource while it runs.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    met: Mutex<Vec<Met>>,
    stderr: OutputBuffer,
}

/// Something that the resource asked for and did not get.
#[derive(Debug, Clone)]
pub(crate) enum Met {
    Operation { name: String, refused: Refused },
    Part { name: String, cause: PartRefusal },
}

impl Watch {
    /// Where the resource's standard error goes.
    pub(crate) fn stderr(&self) -> Output {
        Output::Buffer(self.stderr.clone())
    }

    /// What it wrote there since the last time.
    pub(crate) fn take_said(&self) -> String {
        String::from_utf8_lossy(&self.stderr.take()).trim_end().to_owned()
    }

    /// What it met since the last time.
    pub(crate) fn take_met(&self) -> Vec<Met> {
        std::mem::take(&mut *self.met.lock())
    }
}

impl Progress for Watch {
    fn step(&self, _: &SignedManifest, step: Step<'_>) {
        let met = match step {
            Step::OperationRefused { operation, refused } => {
                Met::Operation { name: operation.to_owned(), refused: refused.clone() }
            }
            Step::PartRefused { part, cause } => Met::Part { name: part.to_owned(), cause },
            _ => return,
        };
        self.met.lock().push(met);
    }
}

/// The first name that portcullis.toml does not have: a mistake, whatever the resource made of the refusal.
pub(crate) fn unknown_name(met: &[Met], manifest: &Manifest) -> Option<Failure> {
    met.iter().find_map(|met| {
        let (what, name, known): (_, _, Vec<&str>) = match met {
            Met::Operation { name, refused } if refused.reason == Reason::OperationUnknown => {
                let known = manifest.operations.iter().map(|operation| operation.name.as_str());
                ("requests the operation", name, known.collect())
            }
            Met::Part { name, cause: PartRefusal::NoSuchPart } => {
                ("opens the part", name, manifest.parts.iter().map(|part| part.name.as_str()).collect())
            }
            _ => return None,
        };
        let fix = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                format!("correct the name in the sources, or add it to portcullis.toml; it has: {}", known.join(", "))
            }
        };
        Some(Failure::new(format!("the resource {what} `{name}`, which portcullis.toml does not have"), fix))
    })
}

/// What to do about a call that was paid for and refused all the same.
pub(crate) fn advice(met: &[Met], operation: &OperationName) -> String {
    let part = met.iter().find_map(|met| match met {
        Met::Part { name, cause: PartRefusal::NotGranted } => Some(name),
        _ => None,
    });
    match part {
        Some(part) => format!(
            "the grant it held does not release the part `{part}`: add it to `parts` of the operation `{operation}` in portcullis.toml, or request the operation that releases it"
        ),
        None => "whoever buys it is refused in the same way: correct the sources or portcullis.toml".to_owned(),
    }
}
