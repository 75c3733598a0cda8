//! A sealed resource is an ordinary component: another tool prints its WIT, and makes bindings of it.

use super::stage::Stage;
use super::tools::{node, output, printed};
use anyhow::Result;
use std::fs;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jco_prints_the_wit_of_a_sealed_resource() -> Result<()> {
    let stage = Stage::selling("picture").await?;
    let wit = String::from_utf8(printed(node("wit.js")?.arg(stage.path("sealed.wasm")))?)?;
    for line in [
        "import portcullis:gate/types@0.1.0;",
        "import portcullis:gate/billing@0.1.0;",
        "import portcullis:gate/vault@0.1.0;",
        "export lumen:picos-de-europa/picture@1.0.0;",
        "export function viewScaled(width: number): Uint8Array;",
        "export function entry(): Grant;",
    ] {
        assert!(wit.contains(line), "`{line}` is missing in:\n{wit}");
    }
    // The control: the tool reads the file, and not only its first bytes.
    let mut damaged = fs::read(stage.path("sealed.wasm"))?;
    damaged[10] ^= 0xff;
    fs::write(stage.path("damaged.wasm"), damaged)?;
    assert!(!output(node("wit.js")?.arg(stage.path("damaged.wasm")))?.status.success());
    Ok(())
}
