//! `harbour-studio FOLDER`: writes `full.flac` and `preview.flac`.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("usage: harbour-studio FOLDER"));
    };
    fs::create_dir_all(&folder)?;
    let track = harbour_studio::track();
    let preview = harbour_studio::preview(&track);
    fs::write(folder.join("full.flac"), harbour_studio::encode(&track))?;
    fs::write(folder.join("preview.flac"), harbour_studio::encode(&preview))
}
