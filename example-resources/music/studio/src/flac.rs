//! FLAC (RFC 9639), by the crate `flacenc`.

use flacenc::bitsink::ByteSink;
use flacenc::component::BitRepr as _;
use flacenc::error::Verify as _;
use flacenc::source::MemSource;

use crate::RATE;

/// Encodes interleaved stereo samples without loss.
///
/// # Panics
/// Never: the configuration is the encoder's own, and 16-bit stereo is within what it takes.
#[must_use]
pub fn encode(samples: &[i16]) -> Vec<u8> {
    let config = flacenc::config::Encoder::default().into_verified().expect("the default is valid");
    let wide: Vec<i32> = samples.iter().copied().map(i32::from).collect();
    let source = MemSource::from_samples(&wide, 2, 16, RATE as usize);
    let stream = flacenc::encode_with_fixed_block_size(&config, source, config.block_size).expect("16-bit stereo");
    let mut sink = ByteSink::new();
    stream.write(&mut sink).expect("a sink in memory takes everything");
    sink.into_inner()
}
