//! Makes the weights from the mails of `tests/layouts/`, and says how they judge the mails of people whose other mails
//! they were not trained on.
//!
//! `PORTCULLIS_UPDATE=1 cargo test --release --package portcullis-mail --lib -- --ignored the_weights` writes them.

use super::{BUCKETS, Classifier, KINDS, LIKELY, UNLIKELY, features};
use crate::extract::html;
use std::fs;
use std::path::PathBuf;

/// Goes over all mails.
const EPOCHS: usize = 60;
/// How strongly weights are kept small.
const DECAY: f64 = 1.0 / (30.0 * 2_600.0);
/// How far they differ at most, in units, on a machine that rounds otherwise.
const TOLERANCE: i16 = 3;
/// Parts of the files, each of which is judged by weights from the others.
const FOLDS: usize = 7;

/// A mail that is tuned on.
struct Example {
    file: usize,
    is_bill: bool,
    features: Vec<(usize, f32)>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn examples() -> Vec<Example> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder().join("tests/layouts"))
        .expect("layouts")
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort();
    let mut examples = Vec::new();
    for (file, path) in files.iter().enumerate() {
        let text = fs::read_to_string(path).expect("text");
        for layout in text.split("\n== ").skip(1) {
            let (head, body) = layout.split_once('\n').expect("a body");
            let (said, subject) = head.split_once(" | ").expect("a subject");
            let body = if body.starts_with('<') { html::view(body).shown } else { body.to_owned() };
            examples.push(Example { file, is_bill: !said.starts_with('-'), features: features(subject, &[body]) });
        }
    }
    examples
}

/// Stochastic gradient descent, the average of the second half of its steps; the order of the examples is always the
/// same.
fn train(examples: &[&Example]) -> (Vec<f64>, f64) {
    let mut order: Vec<usize> = (0..examples.len()).collect();
    let (mut weights, mut bias, mut scale) = (vec![0.0_f64; KINDS * BUCKETS], 0.0_f64, 1.0_f64);
    let (mut total, mut total_bias) = (vec![0.0_f64; KINDS * BUCKETS], 0.0);
    let (mut state, mut step) = (1_u64, 0_u32);
    for epoch in 0..EPOCHS {
        for at in (1..order.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let other = usize::try_from(state >> 33).expect("a small number") % (at + 1);
            order.swap(at, other);
        }
        for example in order.iter().map(|at| examples[*at]) {
            step += 1;
            let rate = 1.0 / (1.0 / 0.5 + DECAY * f64::from(step));
            let sum: f64 =
                bias + scale * example.features.iter().map(|(at, x)| weights[*at] * f64::from(*x)).sum::<f64>();
            let error = f64::from(u8::from(example.is_bill)) - 1.0 / (1.0 + (-sum).exp());
            scale *= 1.0 - rate * DECAY;
            for (at, x) in &example.features {
                weights[*at] += rate * error * f64::from(*x) / scale;
            }
            bias += rate * error * 0.1;
        }
        if epoch >= EPOCHS / 2 {
            total.iter_mut().zip(&weights).for_each(|(total, weight)| *total += weight * scale);
            total_bias += bias;
        }
    }
    let averaged = f64::from(u32::try_from(EPOCHS - EPOCHS / 2).expect("few"));
    total.iter_mut().for_each(|weight| *weight /= averaged);
    (total, total_bias / averaged)
}

/// As a file has them. The few weights that are far larger than the others are cut off.
fn written((weights, bias): &(Vec<f64>, f64)) -> Vec<u8> {
    let mut sizes: Vec<f64> = weights.iter().map(|weight| weight.abs()).filter(|size| *size > 0.0).collect();
    sizes.sort_by(f64::total_cmp);
    let unit = sizes[sizes.len() - 1 - sizes.len() / 2_000] / 127.0;
    #[expect(clippy::cast_possible_truncation, reason = "it is rounded")]
    let (short, byte) = (|number: f64| number as f32, |number: f64| (number / unit).round().clamp(-127.0, 127.0) as i8);
    let mut file = short(unit).to_le_bytes().to_vec();
    file.extend(short(*bias).to_le_bytes());
    file.extend(weights.iter().map(|weight| byte(*weight).cast_unsigned()));
    file
}

#[test]
#[ignore = "slow: trains the classifier"]
fn the_weights_are_those_of_the_layouts() {
    let examples = examples();
    let made = written(&train(&examples.iter().collect::<Vec<_>>()));
    let file = folder().join("src/extract/classifier.weights");
    if std::env::var_os("PORTCULLIS_UPDATE").is_some() {
        fs::write(&file, &made).expect("written");
    }
    let kept = fs::read(&file).expect("weights");
    assert_eq!(kept.len(), made.len());
    let differs =
        |(kept, made): (&u8, &u8)| (i16::from(kept.cast_signed()) - i16::from(made.cast_signed())).abs() > TOLERANCE;
    let different = kept[8..].iter().zip(&made[8..]).filter(|pair| differs(*pair)).count();
    assert_eq!(different, 0, "the layouts have changed: see the head of this file");
}

#[test]
#[ignore = "slow: trains the classifier"]
fn mails_of_others_are_told_apart() {
    let examples = examples();
    let mut judged: Vec<(bool, f32)> = Vec::new();
    for fold in 0..FOLDS {
        let (own, others): (Vec<&Example>, Vec<&Example>) =
            examples.iter().partition(|example| example.file % FOLDS == fold);
        let classifier = Classifier::read(&written(&train(&others)));
        judged.extend(own.iter().map(|example| (example.is_bill, classifier.likelihood(&example.features))));
    }
    let of = |bill: bool| judged.iter().filter(move |(is_bill, _)| *is_bill == bill).map(|(_, likelihood)| *likelihood);
    let permille =
        |bill: bool, holds: fn(f32) -> bool| of(bill).filter(|l| holds(*l)).count() * 1_000 / of(bill).count();
    let likely = [true, false].map(|bill| permille(bill, |likelihood| likelihood >= LIKELY));
    let unlikely = [true, false].map(|bill| permille(bill, |likelihood| likelihood <= UNLIKELY));
    let right = of(true).map(|bill| of(false).filter(|other| bill > *other).count()).sum::<usize>();
    println!("likely: bills, others {likely:?} of 1,000; unlikely: {unlikely:?}");
    println!(
        "a bill is before another mail in {} of 1,000 pairs",
        right * 1_000 / (of(true).count() * of(false).count())
    );
    for t in [0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95] {
        println!(
            "{t} {} {}",
            of(true).filter(|l| *l > t).count() * 1000 / of(true).count(),
            of(false).filter(|l| *l > t).count() * 1000 / of(false).count()
        );
    }
}
