//! How a resource is run: for each operation the command that its buyer types, read from the surface of the stub.

use crate::http::app::Server;
use crate::http::problem::ApiError;
use hashlink::LruCache;
use parking_lot::Mutex;
use portcullis_protocol::sealed::Sealed;
use portcullis_protocol::surface::{FunctionType, Surface, ValueType};
use portcullis_protocol::{Digest, Manifest, OperationName};
use std::fmt::Write as _;
use std::sync::Arc;

/// Resources whose commands a process keeps: some 100 KB.
const KEPT: usize = 256;
/// Functions of an operation that are shown: who wants more has `portcullis inspect`.
const SHOWN: usize = 6;
/// Bytes of a command that is shown: nobody types a longer one.
const MAX_COMMAND: usize = 240;

/// The commands of each operation, in the manifest's order.
pub(crate) type Usage = Vec<(OperationName, Vec<String>)>;

/// What was read, by resource.
pub(crate) struct Usages(Mutex<LruCache<Digest, Arc<Usage>>>);

impl Default for Usages {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(KEPT)))
    }
}

impl Usages {
    /// What was read before.
    pub(crate) fn kept(&self, resource: &Digest) -> Option<Arc<Usage>> {
        self.0.lock().get(resource).cloned()
    }
}

/// Reads how a version is run. Reads the head of its file.
///
/// # Errors
/// If the file cannot be read.
pub(crate) fn read(app: &Server, resource: &Digest) -> Result<Arc<Usage>, ApiError> {
    let file = app.core.objects.reader(resource).map_err(ApiError::internal)?;
    let sealed = Sealed::open(file).map_err(ApiError::internal)?;
    // What was published has a surface that was read; without one there is nothing to show, and the rest of the page
    // is.
    let usage = Surface::of(sealed.stub()).map(|surface| of(sealed.manifest(), &surface)).unwrap_or_default();
    let usage = Arc::new(usage);
    app.usages.0.lock().insert(*resource, usage.clone());
    Ok(usage)
}

fn of(manifest: &Manifest, surface: &Surface) -> Usage {
    let resource = format!("{}/{}", manifest.publisher.name, manifest.name);
    let commands = |exports: &mut dyn Iterator<Item = &str>| {
        let commands = exports.filter_map(|export| command(&resource, export, surface.export_type(export)?));
        commands.filter(|command| command.len() <= MAX_COMMAND).take(SHOWN).collect()
    };
    let of_operation = manifest.operations.iter().map(|operation| {
        (operation.name.clone(), commands(&mut operation.exports.iter().map(|export| export.as_str())))
    });
    of_operation.collect()
}

/// What is typed to call an export; `None` for what only a program can call.
fn command(resource: &str, export: &str, signature: &str) -> Option<String> {
    if export.starts_with("wasi:cli/run@") {
        return Some(format!("portcullis run {resource}"));
    }
    let function: FunctionType = signature.parse().ok()?;
    let name = export.rsplit('#').next()?;
    let mut arguments = Vec::new();
    for (parameter, kind) in &function.params {
        arguments.push(example(parameter, kind)?);
    }
    let mut command = format!("portcullis run {resource} --invoke '{name}({})'", arguments.join(", "));
    if function.gives_bytes() {
        write!(command, " -o {name}.out").ok()?;
    }
    Some(command)
}

/// A value of a type, as an example of what is typed.
fn example(parameter: &str, kind: &ValueType) -> Option<String> {
    let inner = |kind: &ValueType| example(parameter, kind);
    Some(match kind {
        kind if kind.is_bytes() => format!("@{parameter}.bin"),
        ValueType::Bool => "true".to_owned(),
        ValueType::U8
        | ValueType::U16
        | ValueType::U32
        | ValueType::U64
        | ValueType::S8
        | ValueType::S16
        | ValueType::S32
        | ValueType::S64 => "1".to_owned(),
        ValueType::F32 | ValueType::F64 => "1.0".to_owned(),
        ValueType::Char => return None,
        ValueType::String => format!("\"{parameter}\""),
        ValueType::List(element) => format!("[{}]", inner(element)?),
        ValueType::Record(fields) => {
            let mut written = Vec::new();
            for (name, kind) in fields {
                written.push(format!("{name}: {}", example(name, kind)?));
            }
            format!("{{{}}}", written.join(", "))
        }
        ValueType::Tuple(kinds) => {
            let mut written = Vec::new();
            for kind in kinds {
                written.push(inner(kind)?);
            }
            format!("({})", written.join(", "))
        }
        ValueType::Variant(cases) => match cases.first()? {
            (name, Some(kind)) => format!("{name}({})", inner(kind)?),
            (name, None) => name.clone(),
        },
        ValueType::Enum(names) => names.first()?.clone(),
        ValueType::Option(_) => "none".to_owned(),
        ValueType::Flags(_) => "{}".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::command;

    #[test]
    fn a_command_is_what_its_buyer_types() {
        let of = |export, signature| command("lumen/picos", export, signature);
        assert_eq!(of("wasi:cli/run@0.2.0#run", "() -> result").as_deref(), Some("portcullis run lumen/picos"));
        assert_eq!(
            of("lumen:picos/picture@1.0.0#view", "() -> list<u8>").as_deref(),
            Some("portcullis run lumen/picos --invoke 'view()' -o view.out")
        );
        assert_eq!(
            of("a:b/c#resize", "(png: list<u8>, width: u32, name: string) -> result<list<u8>, string>").as_deref(),
            Some("portcullis run lumen/picos --invoke 'resize(@png.bin, 1, \"name\")' -o resize.out")
        );
        assert_eq!(of("view", "no signature"), None);
    }
}
