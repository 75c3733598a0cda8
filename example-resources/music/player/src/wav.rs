//! RIFF WAVE files of 16-bit samples.

use std::io::Read;

use claxon::FlacReader;

use crate::bindings::exports::tidewater::harbour_at_dusk::track::Error;

/// Bytes before the first sample.
pub(crate) const HEADER: usize = 44;

/// Bytes of samples: four times the track. It bounds the memory of a guest whose part is not the one that it expects.
const LONGEST: u64 = 48 << 20;

/// Decodes a FLAC file of 16 bits and one or two channels.
pub(crate) fn from_flac(file: impl Read) -> Result<Vec<u8>, Error> {
    let mut reader = FlacReader::new(file)?;
    let info = reader.streaminfo();
    let unfit = |what: &str| Error::Unreadable(format!("the part is no music that can be played: {what}"));
    if info.bits_per_sample != 16 || !(1..=2).contains(&info.channels) {
        return Err(unfit("not 16 bits in one or two channels"));
    }
    let frames = info.samples.ok_or_else(|| unfit("it does not say how long it is"))?;
    let length = frames.checked_mul(2 * u64::from(info.channels)).filter(|length| *length <= LONGEST);
    let length = length.ok_or_else(|| unfit("it is too long"))? as usize;

    let mut out = Vec::with_capacity(HEADER + length);
    header(&mut out, info.channels as u16, info.sample_rate, length as u32);
    let mut blocks = reader.blocks();
    let mut buffer = Vec::new();
    while let Some(block) = blocks.read_next_or_eof(std::mem::take(&mut buffer))? {
        if out.len() + block.len() as usize * 2 > HEADER + length {
            return Err(unfit("it is longer than it says"));
        }
        // A sample of 16 bits fits: the decoder was told so.
        let channels: Vec<&[i32]> = (0..block.channels()).map(|channel| block.channel(channel)).collect();
        for at in 0..block.duration() as usize {
            for channel in &channels {
                out.extend_from_slice(&(channel[at] as i16).to_le_bytes());
            }
        }
        drop(channels);
        buffer = block.into_buffer();
    }
    if out.len() < HEADER + length {
        return Err(unfit("it ends early"));
    }
    Ok(out)
}

/// The head of a WAVE file of linear PCM, 16 bits.
fn header(out: &mut Vec<u8>, channels: u16, sample_rate: u32, length: u32) {
    let frame = channels * 2;
    out.extend_from_slice(b"RIFF");
    out.extend_from_slice(&(length + HEADER as u32 - 8).to_le_bytes());
    out.extend_from_slice(b"WAVEfmt ");
    out.extend_from_slice(&16_u32.to_le_bytes());
    out.extend_from_slice(&1_u16.to_le_bytes());
    out.extend_from_slice(&channels.to_le_bytes());
    out.extend_from_slice(&sample_rate.to_le_bytes());
    out.extend_from_slice(&(sample_rate * u32::from(frame)).to_le_bytes());
    out.extend_from_slice(&frame.to_le_bytes());
    out.extend_from_slice(&16_u16.to_le_bytes());
    out.extend_from_slice(b"data");
    out.extend_from_slice(&length.to_le_bytes());
}
