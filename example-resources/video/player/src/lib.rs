//! A film as a sealed resource.
//!
//! The code is free, the film is not: the operation `preview` releases this code and a small trailer, `watch` the film.
//! `clip` gives a scene as a value; the command writes any scene, or all of it, to standard output, frame by frame.
//! Neither holds more of the film than it gives: the part is read by ranges, wherever the index leads.

mod command;
mod scene;
#[cfg(test)]
mod tests;

mod bindings {
    portcullis_guest::generate!("ridgeline:first-light/video" in "../wit");
}

use bindings::exports::ridgeline::first_light::film::{About, Error, Guest};
use portcullis_guest::{Grant, Refusal, VaultError, billing, paid};

use scene::Scene;

/// What `preview` reads: the trailer has 1.5 million bytes.
const LARGEST_TRAILER: usize = 4 << 20;

/// The longest clip, in seconds: 47 million bytes. The terminal holds a result in memory, so this bounds it.
const LONGEST_CLIP: f64 = 10.0;

struct Video;

impl Guest for Video {
    fn info() -> About {
        About {
            title: "First Light".into(),
            director: "Ridgeline".into(),
            licence: "Apache-2.0".into(),
            width: 480,
            height: 270,
            rate: 24,
            seconds: 16,
        }
    }

    fn preview() -> Result<Vec<u8>, Error> {
        Ok(billing::entry().open("trailer")?.read_all(LARGEST_TRAILER).map_err(avi::Broken::from)?)
    }

    #[paid(operation = "watch")]
    fn clip(grant: &Grant, start: f64, seconds: f64) -> Result<Vec<u8>, Error> {
        if seconds > LONGEST_CLIP {
            return Err(Error::OutOfRange(format!(
                "a clip has at most {LONGEST_CLIP} seconds; the command gives more: run it without naming a function"
            )));
        }
        let scene = Scene::find(grant.open("film")?, start, Some(seconds))?;
        let mut out = Vec::with_capacity(scene.size());
        scene.write(&mut out)?;
        Ok(out)
    }
}

bindings::export!(Video with_types_in bindings);

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<VaultError> for Error {
    fn from(error: VaultError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl From<avi::Broken> for Error {
    fn from(error: avi::Broken) -> Self {
        Self::Unreadable(error.to_string())
    }
}
