//! Curves as pictures: logarithmic on both axes, as SVG that stands by itself.

use anyhow::{Context as _, Result};
use portcullis_load::row::text;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 56.0;
/// They differ in lightness too, for whoever does not see colours.
const COLOURS: [&str; 4] = ["#0b5394", "#cc5200", "#38761d", "#8e63ce"];

/// A picture of some curves.
pub(crate) struct Plot {
    pub(crate) title: String,
    /// What the horizontal axis counts, and how its values are written.
    pub(crate) across: (&'static str, fn(f64) -> String),
    /// The same of the vertical axis.
    pub(crate) up: (&'static str, fn(f64) -> String),
    pub(crate) curves: Vec<Curve>,
}

/// A name, and points with two positive numbers each.
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// The powers of ten that an axis spans.
#[derive(Clone, Copy)]
struct Axis {
    low: i32,
    high: i32,
    from: f64,
    to: f64,
}

impl Axis {
    fn new(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        Self { low, high: high.max(low + 1), from, to }
    }

    fn place(self, value: f64) -> f64 {
        let part = (value.log10() - f64::from(self.low)) / f64::from(self.high - self.low);
        self.from + part * (self.to - self.from)
    }

    fn ticks(self) -> impl Iterator<Item = f64> {
        (self.low..=self.high).map(|power| 10_f64.powi(power))
    }
}

impl Plot {
    /// The numbers themselves.
    pub(crate) fn print(&self) {
        println!("\n{}", self.title);
        for curve in &self.curves {
            let point = |(x, y): &(f64, f64)| format!("{} {}", (self.across.1)(*x), text(y * 1e3));
            println!("  {}: {}", curve.name, curve.points.iter().map(point).collect::<Vec<_>>().join(" · "));
        }
    }

    /// Writes it.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        fs::write(path, self.svg()?).with_context(|| format!("cannot write {}", path.display()))
    }

    fn svg(&self) -> Result<String> {
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        let across = Axis::new(points().map(|point| point.0), LEFT, WIDTH - RIGHT);
        let up = Axis::new(points().map(|point| point.1), HEIGHT - BOTTOM, TOP);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"13\" fill=\"#222\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
             <text x=\"{LEFT}\" y=\"26\" font-size=\"16\" font-weight=\"bold\">{}</text>\n",
            escape(&self.title)
        );
        for tick in across.ticks() {
            let x = across.place(tick);
            writeln!(svg, "<path d=\"M{x:.1} {TOP}V{:.1}\" stroke=\"#ddd\"/>", HEIGHT - BOTTOM)?;
            let (y, text) = (HEIGHT - BOTTOM + 18.0, (self.across.1)(tick));
            writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{text}</text>")?;
        }
        for tick in up.ticks() {
            let y = up.place(tick);
            writeln!(svg, "<path d=\"M{LEFT} {y:.1}H{:.1}\" stroke=\"#ddd\"/>", WIDTH - RIGHT)?;
            let (x, y, text) = (LEFT - 8.0, y + 4.0, (self.up.1)(tick));
            writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{text}</text>")?;
        }
        let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
        let (below, name) = (HEIGHT - 14.0, escape(self.across.0));
        writeln!(svg, "<text x=\"{middle:.1}\" y=\"{below:.1}\" text-anchor=\"middle\">{name}</text>")?;
        let middle = f64::midpoint(TOP, HEIGHT - BOTTOM);
        let name = escape(self.up.0);
        writeln!(
            svg,
            "<text transform=\"translate(18 {middle:.1}) rotate(-90)\" text-anchor=\"middle\">{name}</text>"
        )?;
        for (number, (curve, colour)) in self.curves.iter().zip(COLOURS.iter().cycle()).enumerate() {
            let places: Vec<_> = curve.points.iter().map(|(x, y)| (across.place(*x), up.place(*y))).collect();
            let line: Vec<_> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let line = line.join(" ");
            writeln!(svg, "<polyline points=\"{line}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>")?;
            for (x, y) in places {
                writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>")?;
            }
            let (x, y) = (WIDTH - RIGHT + 14.0, TOP + 12.0 + 22.0 * number as f64);
            writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{:.1}\" r=\"5\" fill=\"{colour}\"/>", y - 4.0)?;
            writeln!(svg, "<text x=\"{:.1}\" y=\"{y:.1}\">{}</text>", x + 12.0, escape(&curve.name))?;
        }
        svg.push_str("</svg>\n");
        Ok(svg)
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
