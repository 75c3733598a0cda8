//! What the video gives, decoded by FFmpeg and compared frame by frame with what the studio drew.

use super::ffmpeg::frames;
use super::stage::{Stage, VIDEO};
use super::tools::{json, python};
use anyhow::{Result, ensure};
use portcullis_tests::{Terminal, checkout};
use std::fs;

/// What `portcullis run` may take, in bytes, while it writes the film: less than the film. Most of it is the engine and
/// the compiler; of the film a few megabytes are in memory at a time.
const PEAK: u64 = 64 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ffmpeg_decodes_what_is_streamed_and_what_is_sought() -> Result<()> {
    let film = checkout::root().join("target/assets/video/film.avi");
    ensure!(fs::metadata(&film)?.len() > 64 << 20, "the film is too short to prove anything");
    let drawn = frames(&film)?;
    assert_eq!(drawn.len(), 384);
    ensure!(drawn.windows(2).all(|pair| pair[0] != pair[1]), "frames that cannot be told apart");

    let stage = Stage::selling("video").await?;
    let user = stage.user().await?;
    stage.run(&user, &["install", VIDEO])?;
    stage.run(&user, &["run", VIDEO, "--invoke", "preview()", "-o", "trailer.avi"])?;
    assert_eq!(frames(&stage.path("trailer.avi"))?.len(), 48);
    let clip = ["run", VIDEO, "--invoke", "clip(7.5, 1.5)", "-o", "clip.avi"];
    stage.unpaid(&user, &clip)?;
    stage.unpaid(&user, &["run", VIDEO, "-o", "watched.avi"])?;
    ensure!(!stage.path("clip.avi").exists() && !stage.path("watched.avi").exists(), "a refused run wrote a file");
    stage.run(&user, &["buy", VIDEO, "--operation", "watch", "--yes"])?;

    // A scene as a value, a scene as a stream, the rest from somewhere on, and the whole film.
    stage.run(&user, &clip)?;
    ensure!(frames(&stage.path("clip.avi"))? == drawn[180..216], "the clip shows other frames");
    stage.run(&user, &["run", VIDEO, "-o", "scene.avi", "--", "2", "0.25"])?;
    ensure!(frames(&stage.path("scene.avi"))? == drawn[48..54], "the scene shows other frames");
    stage.run(&user, &["run", VIDEO, "-o", "end.avi", "--", "15"])?;
    ensure!(frames(&stage.path("end.avi"))? == drawn[360..], "the end shows other frames");

    let small = peak(&stage, &user, &["--", "0", "0.04"])?;
    let whole = peak(&stage, &user, &[])?;
    ensure!(fs::read(stage.path("peak.avi"))? == fs::read(&film)?, "the stream is not the film");
    println!("peak memory: {} KiB for a frame, {} KiB for the film", small >> 10, whole >> 10);
    ensure!(whole < PEAK, "{whole} bytes for the whole film");
    // One frame costs what 384 cost, but for what the allocators keep.
    ensure!(whole < small + (8 << 20), "{whole} bytes for the whole film, {small} for one frame of it");

    stage.preview_releases(VIDEO, "player", "trailer").await
}

/// The most memory that `portcullis run` took, in bytes, with its standard output in the file `peak.avi`.
fn peak(stage: &Stage, user: &Terminal, arguments: &[&str]) -> Result<u64> {
    let program = checkout::program("portcullis")?;
    let mut command = python("peak.py")?;
    command.arg(stage.path("peak.avi")).arg(program).args(["run", VIDEO]).args(arguments);
    let measured = json(command.env("PORTCULLIS_HOME", user.home()).env("NO_COLOR", "1"))?;
    ensure!(measured["exit"] == 0, "{measured}");
    measured["peak"].as_u64().ok_or_else(|| anyhow::anyhow!("{measured}"))
}
