//! The timecode: hours, minutes, seconds, frames, in digits of 5 × 7 dots.

/// Rows of a digit, the leftmost dot in the highest of five bits; the eleventh is the colon.
const DIGITS: [[u8; 7]; 11] = [
    [0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110],
    [0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
    [0b01110, 0b10001, 0b00001, 0b00110, 0b01000, 0b10000, 0b11111],
    [0b11111, 0b00010, 0b00100, 0b00010, 0b00001, 0b10001, 0b01110],
    [0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010],
    [0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110],
    [0b00110, 0b01000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110],
    [0b11111, 0b00001, 0b00010, 0b00100, 0b01000, 0b01000, 0b01000],
    [0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110],
    [0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00010, 0b01100],
    [0b00000, 0b00100, 0b00100, 0b00000, 0b00100, 0b00100, 0b00000],
];

/// Dots of the whole timecode, with one between digits.
const WIDTH: u32 = 11 * 6 - 1;
const HEIGHT: u32 = 7;

/// The timecode of one frame, placed in the lower right corner.
pub(crate) struct Timecode {
    glyphs: [usize; 11],
    left: u32,
    top: u32,
    /// Pixels of a dot.
    dot: u32,
}

impl Timecode {
    pub(crate) fn new(number: u32, rate: u32, width: u32, height: u32) -> Self {
        let seconds = number / rate;
        let mut glyphs = [10; 11];
        let pairs = [seconds / 3600, seconds / 60 % 60, seconds % 60, number % rate];
        for (pair, value) in pairs.iter().enumerate() {
            glyphs[pair * 3] = (value / 10 % 10) as usize;
            glyphs[pair * 3 + 1] = (value % 10) as usize;
        }
        let dot = (height / 135).max(1);
        let margin = 6 * dot;
        Self { glyphs, left: width - margin - WIDTH * dot, top: height - margin - HEIGHT * dot, dot }
    }

    /// Whether a pixel is part of it: a digit, or the shade around it.
    pub(crate) fn at(&self, x: u32, y: u32) -> Option<bool> {
        let border = 3 * self.dot;
        if x + border < self.left || y + border < self.top {
            return None;
        }
        let right = self.left + WIDTH * self.dot + border;
        if x >= right || y >= self.top + HEIGHT * self.dot + border {
            return None;
        }
        let (Some(x), Some(y)) = (x.checked_sub(self.left), y.checked_sub(self.top)) else { return Some(false) };
        let (column, row) = (x / self.dot, y / self.dot);
        if column >= WIDTH || row >= HEIGHT || column % 6 == 5 {
            return Some(false);
        }
        let bits = DIGITS[self.glyphs[(column / 6) as usize]][row as usize];
        Some(bits >> (4 - column % 6) & 1 == 1)
    }
}
