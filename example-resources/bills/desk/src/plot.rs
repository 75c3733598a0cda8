//! Totals as a chart: for each currency a row of bars, one a month, a colour for each biller. SVG 1.1 without script,
//! links or anything to load.

use crate::totals::{Totals, amount};
use std::fmt::Write as _;

/// Months that are shown, the latest ones.
const MONTHS: usize = 24;
const BAR: usize = 26;
const STEP: usize = 40;
const HEIGHT: usize = 180;
const LEFT: usize = 16;
/// The height of a chart with its title, its months and its legend's first line.
const HEAD: usize = 40;
const FOOT: usize = 32;
const LINE: usize = 18;
/// Colours that differ for most eyes (Okabe and Ito).
const COLOURS: [&str; 8] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#000000"];

/// The chart.
pub(crate) fn svg(totals: &Totals) -> String {
    let (mut charts, mut y, mut width) = (String::new(), 0, 480);
    for currency in totals.currencies() {
        let (chart, height, wide) = chart(totals, currency, y);
        charts += &chart;
        y += height;
        width = width.max(wide);
    }
    if charts.is_empty() {
        charts = "<text x=\"16\" y=\"28\">no valid bills</text>\n".to_owned();
        y = 48;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{y}\" viewBox=\"0 0 {width} {y}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<title>Bills by month and biller</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{charts}</svg>\n"
    )
}

/// The chart of a currency, its height and its width.
fn chart(totals: &Totals, currency: &str, top: usize) -> (String, usize, usize) {
    let months: Vec<&str> = totals.months(currency).into_iter().collect();
    let months = &months[months.len().saturating_sub(MONTHS)..];
    let bars: Vec<Vec<(&str, i128)>> = months.iter().map(|month| totals.billers(currency, month)).collect();
    let mut billers: Vec<&str> = bars.iter().flatten().map(|(biller, _)| *biller).collect();
    billers.sort_unstable();
    billers.dedup();
    let sum = |bar: &Vec<(&str, i128)>| bar.iter().map(|(_, units)| units).sum::<i128>();
    let most = bars.iter().map(sum).max().unwrap_or(0).max(1);
    let scale = |units: i128| usize::try_from(units * HEIGHT as i128 / most).unwrap_or(0);
    let colour = |biller: &str| COLOURS[billers.iter().position(|known| *known == biller).unwrap_or(0) % COLOURS.len()];

    let base = top + HEAD + HEIGHT;
    let mut text = format!("<text x=\"{LEFT}\" y=\"{}\" font-weight=\"bold\">{}</text>\n", top + 24, escaped(currency));
    for (at, (month, bar)) in months.iter().zip(&bars).enumerate() {
        let (x, mut y) = (LEFT + at * STEP, base);
        for (biller, units) in bar {
            let height = scale(*units);
            y -= height;
            let _ = writeln!(
                text,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{BAR}\" height=\"{height}\" fill=\"{}\"><title>{} {}: {}</title></rect>",
                colour(biller),
                escaped(month),
                escaped(biller),
                escaped(&amount(*units, currency))
            );
        }
        let _ = writeln!(
            text,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" font-size=\"9\">{}</text>",
            x + BAR / 2,
            base + 14,
            escaped(month)
        );
    }
    for (at, biller) in billers.iter().enumerate() {
        let y = base + FOOT + at * LINE;
        let _ = writeln!(
            text,
            "<rect x=\"{LEFT}\" y=\"{}\" width=\"10\" height=\"10\" fill=\"{}\"/><text x=\"{}\" y=\"{y}\">{}</text>",
            y - 9,
            colour(biller),
            LEFT + 16,
            escaped(biller)
        );
    }
    (text, HEAD + HEIGHT + FOOT + billers.len() * LINE, 2 * LEFT + months.len() * STEP)
}

/// Text in XML.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            c if c.is_control() => {}
            c => safe.push(c),
        }
    }
    safe
}
