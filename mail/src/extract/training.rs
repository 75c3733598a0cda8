//! Makes the weights of `likeness.rs` and `ranking.rs` from the mails of `tests/layouts/`, and says how they judge
//! mails of people whose mails they were not trained on.
//!
//! After the layouts or the features have changed, this writes the weights:
//! `PORTCULLIS_UPDATE=1 cargo test --package portcullis-mail --lib -- --ignored training`.

use crate::extract::features::Features;
use crate::extract::weights::Weights;
use crate::extract::{html, likeness, ranking, text};
use portcullis_protocol::{Currency, Money};
use std::fs;
use std::path::PathBuf;

/// Goes over all mails.
const EPOCHS: usize = 60;
/// How strongly weights are kept small.
const DECAY: f64 = 1.0 / 78_000.0;
/// How far they differ at most, in units, on a machine that rounds otherwise.
const TOLERANCE: i16 = 3;
/// Parts of the files, each of which is judged by weights from the others.
const FOLDS: usize = 7;

/// A mail that is tuned on.
struct Layout {
    /// Its file: other files are by other people, or in another language.
    file: usize,
    subject: String,
    body: String,
    owed: Option<Money>,
    /// What the list of billers says.
    currency: Option<Currency>,
}

/// Choices, of which one is right.
struct Example {
    file: usize,
    choices: Vec<Features>,
    right: usize,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn layouts() -> Vec<Layout> {
    let entries = fs::read_dir(folder().join("tests/layouts")).expect("layouts");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    let mut layouts = Vec::new();
    for (file, path) in files.iter().enumerate() {
        for layout in fs::read_to_string(path).expect("text").split("\n== ").skip(1) {
            let (head, body) = layout.split_once('\n').expect("a body");
            let (said, subject) = head.split_once(" | ").expect("a subject");
            let said: Vec<&str> = said.split(' ').collect();
            let digits = said[0].chars().filter(char::is_ascii_digit).collect::<String>();
            let owed = said.get(1).map(|code| {
                Money::new(digits.parse().expect("digits"), code.parse().expect("a currency")).expect("an amount")
            });
            layouts.push(Layout {
                file,
                subject: subject.to_owned(),
                body: if body.starts_with('<') { html::view(body).shown } else { body.to_owned() },
                owed: owed.filter(|_| said[0] != "-"),
                currency: said.get(3).and_then(|code| code.to_uppercase().parse().ok()),
            });
        }
    }
    layouts
}

/// Whether each is a bill.
fn of_likeness(layouts: &[Layout]) -> Vec<Example> {
    let example = |layout: &Layout| {
        let features = likeness::of_mail(&layout.subject, std::slice::from_ref(&layout.body));
        Example { file: layout.file, choices: vec![features, Vec::new()], right: usize::from(layout.owed.is_none()) }
    };
    layouts.iter().map(example).collect()
}

/// Which amount of each bill is owed; and that none is if that one is taken away.
fn of_ranking(layouts: &[Layout]) -> Vec<Example> {
    let examples = |layout: &Layout| {
        let owed = layout.owed?;
        let mut candidates = text::candidates(&layout.subject, &layout.body, layout.currency);
        let mut examples = Vec::new();
        if let Some(right) = candidates.iter().position(|(amount, _)| *amount == owed) {
            examples.push(choices(layout, &candidates, right));
            candidates.remove(right);
        }
        examples.push(choices(layout, &candidates, candidates.len()));
        Some(examples)
    };
    layouts.iter().filter_map(examples).flatten().collect()
}

fn choices(layout: &Layout, candidates: &[(Money, Features)], right: usize) -> Example {
    let features = candidates.iter().map(|(_, features)| features.clone());
    Example { file: layout.file, choices: features.chain([ranking::none()]).collect(), right }
}

/// Stochastic gradient descent on a softmax; the average over the second half of it. The order of the examples is
/// always the same.
fn train(examples: &[&Example], size: usize) -> Vec<f64> {
    let mut order: Vec<usize> = (0..examples.len()).collect();
    let (mut weights, mut total, mut scale) = (vec![0.0_f64; size], vec![0.0_f64; size], 1.0_f64);
    let (mut state, mut step) = (1_u64, 0_u32);
    for epoch in 0..EPOCHS {
        for at in (1..order.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            order.swap(at, usize::try_from(state >> 33).expect("a small number") % (at + 1));
        }
        for example in order.iter().map(|at| examples[*at]) {
            step += 1;
            let rate = 1.0 / (2.0 + DECAY * f64::from(step));
            let sum = |features: &Features| -> f64 {
                scale * features.iter().map(|(at, share)| weights[*at] * f64::from(*share)).sum::<f64>()
            };
            let powers: Vec<f64> = example.choices.iter().map(|features| sum(features).exp()).collect();
            let all: f64 = powers.iter().sum();
            scale *= 1.0 - rate * DECAY;
            for (choice, features) in example.choices.iter().enumerate() {
                let error = f64::from(u8::from(choice == example.right)) - powers[choice] / all;
                features.iter().for_each(|(at, share)| weights[*at] += rate * error * f64::from(*share) / scale);
            }
        }
        if epoch >= EPOCHS / 2 {
            total.iter_mut().zip(&weights).for_each(|(total, weight)| *total += weight * scale);
        }
    }
    let averaged = f64::from(u32::try_from(EPOCHS - EPOCHS / 2).expect("few"));
    total.into_iter().map(|weight| weight / averaged).collect()
}

/// As a file has them. The few weights that are far larger than the others are cut off.
fn written(weights: &[f64]) -> Vec<u8> {
    let mut sizes: Vec<f64> = weights.iter().map(|weight| weight.abs()).filter(|size| *size > 0.0).collect();
    sizes.sort_by(f64::total_cmp);
    let unit = sizes[sizes.len() - 1 - sizes.len() / 2_000] / 127.0;
    #[expect(clippy::cast_possible_truncation, reason = "it is rounded")]
    let (short, byte) = (|number: f64| number as f32, |number: f64| (number / unit).round().clamp(-127.0, 127.0) as i8);
    let mut file = short(unit).to_le_bytes().to_vec();
    file.extend(weights.iter().map(|weight| byte(*weight).cast_unsigned()));
    file
}

/// The weights in the file of this name are those that are made from the examples.
fn assert_kept(name: &str, examples: &[Example], size: usize) {
    let made = written(&train(&examples.iter().collect::<Vec<_>>(), size));
    let file = folder().join("src/extract").join(name);
    if std::env::var_os("PORTCULLIS_UPDATE").is_some() {
        fs::write(&file, &made).expect("written");
    }
    let kept = fs::read(&file).expect("weights");
    assert_eq!(kept.len(), made.len());
    let differs =
        |(kept, made): &(&u8, &u8)| (i16::from(kept.cast_signed()) - i16::from(made.cast_signed())).abs() > TOLERANCE;
    let different = kept[4..].iter().zip(&made[4..]).filter(differs).count();
    assert_eq!(different, 0, "the layouts or the features have changed: the head of this file says how to train again");
}

/// Judges each example with weights from other files.
fn judge_all(examples: &[Example], size: usize, mut judge: impl FnMut(&Example, &Weights<'_>)) {
    for fold in 0..FOLDS {
        let (own, others): (Vec<&Example>, Vec<&Example>) =
            examples.iter().partition(|example| example.file % FOLDS == fold);
        let file = written(&train(&others, size));
        own.into_iter().for_each(|example| judge(example, &Weights::read(&file)));
    }
}

#[test]
#[ignore = "slow: trains what mails are like"]
fn the_weights_of_likeness_are_those_of_the_layouts() {
    assert_kept("likeness.weights", &of_likeness(&layouts()), likeness::WEIGHTS);
}

#[test]
#[ignore = "slow: trains which amount is owed"]
fn the_weights_of_ranking_are_those_of_the_layouts() {
    assert_kept("ranking.weights", &of_ranking(&layouts()), ranking::WEIGHTS);
}

#[test]
#[ignore = "slow: trains what mails are like"]
fn mails_of_others_are_told_apart() {
    let examples = of_likeness(&layouts());
    let (mut bills, mut others) = (Vec::new(), Vec::new());
    judge_all(&examples, likeness::WEIGHTS, |example, weights| {
        let judged = if example.right == 0 { &mut bills } else { &mut others };
        judged.push(likeness::likelihood(weights, &example.choices[0]));
    });
    let permille = |of: &[f32], holds: fn(f32) -> bool| of.iter().filter(|at| holds(**at)).count() * 1_000 / of.len();
    let likely = [&bills, &others].map(|of| permille(of, |likelihood| likelihood >= likeness::LIKELY));
    let unlikely = [&bills, &others].map(|of| permille(of, |likelihood| likelihood <= likeness::UNLIKELY));
    println!("of 1,000 bills and others {likely:?} are likely, {unlikely:?} unlikely");
    assert!(likely[0] > 800 && likely[1] < 60 && unlikely[0] < 10 && unlikely[1] > 600);
}

#[test]
#[ignore = "slow: trains which amount is owed"]
fn what_is_owed_in_bills_of_others_is_first() {
    let examples = of_ranking(&layouts());
    let (mut bills, mut right, mut wrong, mut taken) = (0, 0, 0, 0);
    judge_all(&examples, ranking::WEIGHTS, |example, weights| {
        let shares = ranking::shares(weights, &example.choices.iter().collect::<Vec<_>>());
        let none = shares.len() - 1;
        let certain = shares[..none].iter().position(|share| *share >= ranking::CERTAIN);
        bills += usize::from(example.right != none);
        right += usize::from(certain == Some(example.right));
        wrong += usize::from(example.right != none && certain.is_some_and(|certain| certain != example.right));
        taken += usize::from(example.right == none && certain.is_some());
    });
    println!("of {bills} bills it is certain of the right amount of {right}, of another one of {wrong}");
    println!("and of another one of {taken} of {} from which that one was taken away", examples.len() - bills);
    assert!(right * 100 > bills * 65 && wrong * 100 < bills && taken * 100 < bills * 5);
}
