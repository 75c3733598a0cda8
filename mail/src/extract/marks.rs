//! What stands on a line beside its amounts and labels, and what it makes of them.

use crate::extract::assertion::is_asserted;
use crate::extract::label::Labels;
use crate::extract::line::{Found, Line, folded};
use crate::extract::passage::{Manner, Piece, pieces, pieces_of};
use crate::extract::total::MAX_PLACES;
use crate::extract::{Template, Templates};
use std::cell::LazyCell;

/// Words before what a part is in.
const IN: [&str; 8] = ["im", "in", "dans", "en", "nel", "nella", "no", "na"];
/// Words between `before` and the tax that it takes away.
const MAX_LINKS: usize = 3;

/// What a line says beside amounts, in any language: what is a part in one is not the total in another.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Names of parts, and of what was paid or owed before.
    pub(super) parts: Vec<Found>,
    /// Names of what was paid or owed before.
    pub(super) carried: Vec<Found>,
    /// Where, behind an amount, something else begins: a part of it, its tax.
    pub(super) ends: Vec<Found>,
    /// How each piece of it is said.
    pub(super) pieces: Vec<Piece>,
    /// Names of the tax.
    taxes: Vec<Found>,
    /// What says that something is in an amount.
    within: Vec<Found>,
}

impl Marks {
    /// What a line says; `own` is the template of its biller.
    pub(super) fn new(line: &Line, own: Option<&Template>) -> Self {
        Self::with_pieces(line, own, pieces_of(line))
    }

    fn with_pieces(line: &Line, own: Option<&Template>, pieces: Vec<Piece>) -> Self {
        let templates = || std::iter::once(Templates::any_language()).chain(own);
        let whole = || templates().flat_map(|words| words.owed.iter().chain(words.total.iter()));
        let wholes = LazyCell::new(|| -> Vec<Found> { line.places_of(whole()).collect() });
        // `Total IVA incluido` is more than the `total IVA` in it.
        let is_more = |part: &Found| {
            let longer =
                |found: &Found| found.start <= part.start && found.end >= part.end && found.length() > part.length();
            wholes.iter().any(longer)
        };
        let places = |of: fn(&Template) -> &Labels| -> Vec<Found> {
            let all = line.places_of(templates().flat_map(|words| of(words).iter()));
            all.filter(|part| !is_more(part)).collect()
        };
        let mut carried = places(|words| &words.carried);
        // `Not paid yet` is what is owed.
        carried.retain(|found| is_asserted(line, *found));
        let (taxes, within) = (places(|words| &words.tax), places(|words| &words.within));
        let mut parts = places(|words| &words.part);
        // `Montant total (TVA incl.)` is more than the `total TVA` in it.
        parts.retain(|part| {
            let is_of_tax = taxes.iter().any(|tax| tax.end == part.end);
            !(is_of_tax && within.iter().any(|within| line.is_followed_by(*part, *within)))
        });
        // `Total before tax`
        let links = &Templates::any_language().links;
        let is_link = |word: &str| links.iter().any(|link| link.folded == folded(word));
        let until_tax = |without: Found| {
            let between = |tax: &&Found| line.shown.get(without.end..tax.start);
            let is_beside = |words: &str| {
                let mut words = words.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
                words.clone().count() <= MAX_LINKS
                    && words.all(|word| is_link(word) || word.chars().all(|c| c.is_ascii_digit()))
            };
            let tax = taxes.iter().take(MAX_PLACES).find(|tax| between(tax).is_some_and(is_beside))?;
            Some(Found { start: without.start, end: tax.end })
        };
        parts.extend(places(|words| &words.without).into_iter().take(MAX_PLACES).filter_map(until_tax));
        parts.extend_from_slice(&carried);
        let ends = [taxes.clone(), within.clone(), parts.clone()].concat();
        Self { parts, carried, ends, pieces, taxes, within }
    }

    /// What the lines of a text say.
    pub(super) fn of_text(lines: &[Line], own: Option<&Template>) -> Vec<Self> {
        lines.iter().zip(pieces(lines)).map(|(line, pieces)| Self::with_pieces(line, own, pieces)).collect()
    }

    /// Whether a place belongs to something else, such as the company's capital.
    pub(super) fn is_aside(&self, found: Found) -> bool {
        self.asides().any(|aside| aside.start < found.end && found.start < aside.end)
    }

    /// Whether a place is that of an entry, or in a sentence that says what is owed.
    pub(super) fn is_stated(&self, found: Found) -> bool {
        self.piece(found).is_some_and(|piece| piece.manner == Manner::Stated)
    }

    /// Whether a part of the line is about something else.
    pub(super) fn has_aside(&self) -> bool {
        self.asides().next().is_some()
    }

    /// The sentence of a place, or as much of it as the line has.
    pub(super) fn piece(&self, found: Found) -> Option<&Piece> {
        self.pieces.iter().find(|piece| piece.start <= found.start && found.start < piece.end)
    }

    /// Where the line begins to be about something else behind a place.
    pub(super) fn aside_from(&self, place: usize) -> Option<usize> {
        self.asides().map(|aside| aside.start).filter(|start| *start >= place).min()
    }

    /// The line without what is about something else.
    pub(super) fn counted(&self, line: &Line) -> Line {
        if !self.has_aside() {
            return line.clone();
        }
        let counted = self.pieces.iter().filter(|piece| piece.manner != Manner::Aside);
        let text: String = counted.filter_map(|piece| line.shown.get(piece.start..piece.end)).collect();
        crate::extract::line::line(&text)
    }

    fn asides(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.iter().filter(|piece| piece.manner == Manner::Aside)
    }

    /// Whether the line names a part, or something that was paid or owed before.
    pub(super) const fn has_part(&self) -> bool {
        !self.parts.is_empty()
    }

    /// Whether the line names something that was paid or owed before.
    pub(super) const fn has_carried(&self) -> bool {
        !self.carried.is_empty()
    }

    /// Where a part, a tax or something else that is in an amount is named first.
    pub(super) fn first_end(&self) -> Option<usize> {
        self.ends.iter().map(|end| end.start).min()
    }

    /// Whether a label names a tax as a part of it: `sum incl. 19 % VAT`, `IVA incluido`.
    pub(super) fn is_gross(&self, line: &Line, label: Found) -> bool {
        let names = |first: &[Found], second: &[Found]| {
            let of = |first: &Found| second.iter().any(|second| line.is_followed_by(*first, *second));
            first.iter().filter(|first| line.is_followed_by(label, **first)).any(of)
        };
        names(&self.within, &self.taxes) || names(&self.taxes, &self.within)
    }

    /// Whether the label names a part all the same: by a word of it, before it or behind it.
    pub(super) fn qualify(&self, line: &Line, label: Found) -> bool {
        let until = line.first_digit(label.end).unwrap_or_else(|| line.cell_end(label));
        self.parts.iter().any(|part| {
            let overlaps = part.start < label.end && label.start < part.end;
            let follows = part.start >= label.end && part.start < until;
            let between = line.shown.get(part.end..label.start);
            let precedes = between.is_some_and(|between| between.chars().all(char::is_whitespace))
                && line.cell_of(*part) == line.cell_of(label);
            overlaps || follows || precedes
        }) || self.contains_part(line, label)
    }

    /// Whether a part is said to be in what the label names: `im Bruttobetrag sind 20.00 EUR Lohn enthalten`.
    fn contains_part(&self, line: &Line, label: Found) -> bool {
        let before = line.before(label).split_whitespace().next_back().unwrap_or_default().to_lowercase();
        IN.contains(&before.as_str()) && self.within.iter().any(|within| within.start >= label.end)
    }
}
