//! What the music gives, decoded by FFmpeg and compared with what the studio made.

use super::ffmpeg::{described, samples};
use super::stage::{MUSIC, Stage};
use anyhow::{Result, ensure};
use portcullis_tests::checkout;

const RATE: usize = 44_100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ffmpeg_decodes_the_preview_and_the_whole_track() -> Result<()> {
    let stage = Stage::selling("music").await?;
    let user = stage.user().await?;
    stage.run(&user, &["install", MUSIC])?;
    stage.run(&user, &["run", MUSIC, "--invoke", "preview()", "-o", "preview.wav"])?;
    stage.unpaid(&user, &["run", MUSIC, "--invoke", "play()", "-o", "track.wav"])?;
    ensure!(!stage.path("track.wav").exists(), "a refused run wrote a file");
    stage.run(&user, &["buy", MUSIC, "--operation", "play", "--yes"])?;
    stage.run(&user, &["run", MUSIC, "--invoke", "play()", "-o", "track.wav"])?;

    // FLAC is without loss, and FFmpeg's decoder is not the guest's: the samples have to be the studio's.
    let assets = checkout::root().join("target/assets/music");
    for (name, asset, seconds) in [("preview.wav", "preview.flac", 10), ("track.wav", "full.flac", 70)] {
        let file = stage.path(name);
        let what = described(&file)?;
        ensure!(what.contains("pcm_s16le") && what.contains("44100 Hz") && what.contains("stereo"), "{name}: {what}");
        let heard = samples(&file)?;
        assert_eq!(heard.len(), seconds * RATE * 2, "{name}");
        ensure!(heard == samples(&assets.join(asset))?, "{name} has other samples than {asset}");
        // The control: it is not silence that agrees.
        ensure!(heard.iter().any(|sample| sample.unsigned_abs() > 20_000), "{name} is silent");
    }
    stage.preview_releases(MUSIC, "player", "preview").await
}
