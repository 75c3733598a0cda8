//! A core module that says nothing of its world gets the one of the project's `wit/` folder.
//!
//! Compilers with a Portcullis SDK put it in themselves. Any other that makes WebAssembly needs no more than this.

use std::path::Path;
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{PackageId, Resolve, WorldId};

use crate::failure::{Failure, Outcome};

/// Custom sections that describe a module's world have names that begin so.
const WORLD_SECTION: &str = "component-type";

/// The module that was built, as `seal` takes it: text is assembled, and a world is put in if there is none.
pub(crate) fn with_world(file: &Path, built: Vec<u8>, folder: &Path) -> Outcome<Vec<u8>> {
    let shown = file.display();
    let mut module = if built.starts_with(b"\0asm") {
        built
    } else {
        let text = std::str::from_utf8(&built).map_err(|_| {
            Failure::new(format!("`{shown}` is neither WebAssembly nor its text"), "build the guest again")
        })?;
        wat::parse_str(text).map_err(|mut error| {
            error.set_path(file);
            Failure::new(error, "correct the line that it names")
        })?
    };
    if !lacks_world(&module) {
        return Ok(module);
    }
    let (resolve, world) = world(folder)?;
    let fits = embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
        .and_then(|()| ComponentEncoder::default().module(&module)?.validate(true).encode());
    // `seal` makes the component; here it only shows whether one can be made.
    fits.map_err(|error| {
        let fix =
            "export what the WIT says, under the names and with the types of the canonical ABI; or correct the WIT";
        Failure::new(format!("`{shown}` does not fit the world of `wit/`: {error:#}"), fix)
    })?;
    Ok(module)
}

/// Whether this is a core module, and nothing in it says what its world is. What does not parse `seal` refuses.
fn lacks_world(module: &[u8]) -> bool {
    for payload in Parser::new(0).parse_all(module) {
        match payload {
            Ok(Payload::Version { encoding: wasmparser::Encoding::Component, .. }) | Err(_) => return false,
            Ok(Payload::CustomSection(section)) if section.name().starts_with(WORLD_SECTION) => return false,
            Ok(_) => {}
        }
    }
    true
}

/// The one world of a project, with the contract that it includes.
fn world(folder: &Path) -> Outcome<(Resolve, WorldId)> {
    let mut resolve = Resolve::default();
    let contract = folder.join("vendor/portcullis/wit");
    if contract.is_dir() {
        push(&mut resolve, &contract)?;
    }
    let package = push(&mut resolve, &folder.join("wit"))?;
    let world = resolve.select_world(&[package], None).map_err(|error| {
        Failure::new(format!("`{}`: {error:#}", folder.join("wit").display()), "let the package have one world")
    })?;
    Ok((resolve, world))
}

fn push(resolve: &mut Resolve, folder: &Path) -> Outcome<PackageId> {
    let pushed = resolve.push_dir(folder).map_err(|error| {
        let fix = "correct the WIT; `portcullis new` makes a project with one that is right";
        Failure::new(format!("the WIT in `{}` does not read: {error:#}", folder.display()), fix)
    })?;
    Ok(pushed.0)
}
