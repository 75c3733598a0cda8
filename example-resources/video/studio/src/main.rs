//! `first-light-studio FOLDER`: writes `film.avi` and `trailer.avi`.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::PathBuf;

fn main() -> io::Result<()> {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("usage: first-light-studio FOLDER"));
    };
    fs::create_dir_all(&folder)?;
    first_light_studio::film(BufWriter::new(File::create(folder.join("film.avi"))?))?;
    first_light_studio::trailer(BufWriter::new(File::create(folder.join("trailer.avi"))?))
}
