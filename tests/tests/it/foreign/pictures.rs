//! What the example resources give, decoded and compared with Pillow.

use super::stage::{PICTURE, SOFTWARE, Stage};
use super::tools::{json, python, text};
use anyhow::{Result, ensure};
use portcullis_tests::{Terminal, checkout};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

/// How far two Lanczos filters may lie apart, of 255: fixed-point weights, and clamping between two passes.
const RESIZED_MEAN: f64 = 0.5;
/// At hard edges, where the filter overshoots.
const RESIZED_MOST: u64 = 32;
/// JPEG at the quality of the picture loses this much on top.
const JPEG_MEAN: f64 = 3.0;

fn photograph() -> PathBuf {
    checkout::root().join("example-resources/picture/assets/full.jpg")
}

fn run(stage: &Stage, user: &Terminal, arguments: &[&str]) -> Result<()> {
    user.run_in(stage.folder(), arguments)?.done().map(|_| ())
}

fn compared(arguments: &[&str]) -> Result<Value> {
    json(python("pictures.py")?.args(arguments))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pillow_decodes_the_picture() -> Result<()> {
    let stage = Stage::selling("picture").await?;
    let user = stage.user().await?;
    run(&stage, &user, &["install", PICTURE])?;
    run(&stage, &user, &["buy", PICTURE, "--operation", "view", "--yes"])?;
    run(&stage, &user, &["run", PICTURE, "--invoke", "view()", "-o", "full.jpg"])?;
    run(&stage, &user, &["run", PICTURE, "--invoke", "view-scaled(800)", "-o", "scaled.jpg"])?;
    ensure!(fs::read(stage.path("full.jpg"))? == fs::read(photograph())?, "not the photograph that was sealed");
    let decoded = compared(&["decode", text(&stage.path("full.jpg"))?])?;
    assert_eq!(decoded, json!({"format": "JPEG", "mode": "RGB", "size": [3264, 2448]}));
    let scaled = compared(&["resized", text(&photograph())?, text(&stage.path("scaled.jpg"))?])?;
    assert_eq!(scaled["size"], json!([800, 600]));
    assert!(scaled["mean"].as_f64() < Some(JPEG_MEAN), "{scaled}");
    // The control: a black picture is told from it.
    assert!(scaled["mean_of_black"].as_f64() > Some(10.0 * JPEG_MEAN), "{scaled}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pillow_resizes_alike() -> Result<()> {
    let stage = Stage::selling("software").await?;
    let user = stage.user().await?;
    let photo = stage.path("photo.png");
    compared(&["photo", text(&photograph())?, text(&photo)?])?;
    run(&stage, &user, &["install", SOFTWARE])?;
    run(&stage, &user, &["buy", SOFTWARE, "--operation", "process", "--yes"])?;
    let resize = "resize(@photo.png, 1024, 768, lanczos3)";
    run(&stage, &user, &["run", SOFTWARE, "--invoke", resize, "-o", "resized.png"])?;
    let resized = compared(&["resized", text(&photo)?, text(&stage.path("resized.png"))?])?;
    assert_eq!(resized["size"], json!([1024, 768]));
    assert!(resized["mean"].as_f64() < Some(RESIZED_MEAN), "{resized}");
    assert!(resized["most"].as_u64() <= Some(RESIZED_MOST), "{resized}");
    assert!(resized["mean_of_black"].as_f64() > Some(100.0 * RESIZED_MEAN), "{resized}");
    Ok(())
}
