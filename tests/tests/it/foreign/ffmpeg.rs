//! FFmpeg, which decodes what resources give.

use super::tools::{installed, output, text};
use anyhow::{Context as _, Result, ensure};
use std::path::Path;
use std::process::{Command, Stdio};

/// FFmpeg, where every error of a file is an error of the program.
fn ffmpeg() -> Result<Command> {
    let folder = installed("ffmpeg/imageio_ffmpeg/binaries")?;
    let mut files = std::fs::read_dir(&folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    let program = files
        .find(|file| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ffmpeg-")))
        .with_context(|| format!("{} has no ffmpeg", folder.display()))?;
    let mut command = Command::new(program);
    command.args(["-nostdin", "-v", "error", "-xerror", "-err_detect", "explode"]).stdin(Stdio::null());
    Ok(command)
}

/// Decodes a file to its end, with these arguments behind its name, and gives what they write to standard output.
fn decoded(file: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let mut command = ffmpeg()?;
    command.args(["-i", text(file)?]).args(arguments).arg("-");
    let done = output(&mut command)?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success() && said.is_empty(), "{}: {said}", file.display());
    Ok(done.stdout)
}

/// The samples of a sound: 16 bits, interleaved.
pub(super) fn samples(file: &Path) -> Result<Vec<i16>> {
    let bytes = decoded(file, &["-map", "0:a:0", "-f", "s16le", "-c:a", "pcm_s16le"])?;
    Ok(bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect())
}

/// What a sound is: codec, sample rate, channels, as FFmpeg has it.
pub(super) fn described(file: &Path) -> Result<String> {
    let mut command = ffmpeg()?;
    command.args(["-v", "info", "-hide_banner", "-i", text(file)?, "-f", "null", "-"]);
    let said = String::from_utf8_lossy(&output(&mut command)?.stderr).into_owned();
    let stream = said.lines().map(str::trim).find(|line| line.starts_with("Stream #0:0"));
    Ok(stream.with_context(|| format!("no stream: {said}"))?.to_owned())
}

/// The digest of every frame of a film, in their order.
pub(super) fn frames(file: &Path) -> Result<Vec<String>> {
    let table = String::from_utf8(decoded(file, &["-map", "0:v:0", "-pix_fmt", "yuv420p", "-f", "framemd5"])?)?;
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    Ok(rows.filter_map(|row| Some(row.rsplit(',').next()?.trim().to_owned())).collect())
}
