//! Templates: what a biller's mails say, as data. A person adds a biller without code; the linter says what is wrong.

use crate::account::ascii_domain;
use crate::extract::label::{Label, Labels};
use crate::extract::line::folded;
use crate::limits::{MAX_LABEL, MAX_LABELS, MAX_TEMPLATE, MAX_TEMPLATES};
use portcullis_protocol::Currency;
use serde::Deserialize;
use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

/// The languages that are read without a template.
static LANGUAGES: LazyLock<Vec<Template>> = LazyLock::new(|| {
    let data = [
        include_str!("../data/en.toml"),
        include_str!("../data/de.toml"),
        include_str!("../data/fr.toml"),
        include_str!("../data/es.toml"),
        include_str!("../data/nl.toml"),
        include_str!("../data/it.toml"),
        include_str!("../data/pt.toml"),
    ];
    data.iter().filter_map(|text| toml::from_str(text).ok()).collect()
});

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// A file or folder that cannot be read.
    #[error("cannot read `{path}`: {cause}")]
    Io {
        /// The file.
        path: String,
        /// What the operating system said.
        cause: String,
    },
    /// Not TOML, or members that a template does not have.
    #[error("`{path}` is not a template: {cause}")]
    Form {
        /// The file.
        path: String,
        /// Where and what.
        cause: String,
    },
    /// What it says.
    #[error("template `{id}`: {what}")]
    Wrong {
        /// The template.
        id: String,
        /// What is wrong, and what to do.
        what: String,
    },
    /// Too many.
    #[error("more than {MAX_TEMPLATES} templates")]
    TooMany,
}

/// The labels of one biller's mails, or of a language. All are in lower case; each value stands behind its label, or
/// on the next line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// A short name.
    pub id: String,
    /// The biller's domains. A template is used for mail from them only.
    #[serde(default)]
    pub domains: Vec<String>,
    /// The language whose months and other labels are used beside these.
    pub language: String,
    /// Months, January first.
    #[serde(default)]
    months: Vec<Month>,
    /// Words without which a mail is no bill. Any of them is enough.
    #[serde(default)]
    pub(crate) bill: Labels,
    /// The same, but only in its subject or in a heading: other mail speaks of such things too.
    #[serde(default)]
    pub(crate) bill_title: Labels,
    /// What leaves it to the reader whether to pay: what only asks for a payment is no bill if it stands above that or
    /// just below.
    #[serde(default)]
    pub(crate) choice: Labels,
    /// Words with which it is none.
    #[serde(default)]
    pub(crate) not_bill: Labels,
    /// Before what is left to pay, the most certain first.
    #[serde(default)]
    pub(crate) owed: Labels,
    /// Before the whole of the bill: what is owed, unless the bill also says what was paid or owed before.
    #[serde(default)]
    pub(crate) total: Labels,
    /// Before what is due or less than it, as the bare `total`: believed if no larger amount stands in the text.
    #[serde(default)]
    pub(crate) total_if_largest: Labels,
    /// Before what is only a part of it: the net amount, the tax. Lines with one are never read as the total.
    #[serde(default)]
    pub(crate) part: Labels,
    /// Before what was paid or owed before, such as a deposit or the previous balance.
    #[serde(default)]
    pub(crate) carried: Labels,
    /// Beside what is taken away from the amounts above it.
    #[serde(default)]
    pub(crate) less: Labels,
    /// Two kinds of words that make a mail no bill if one of each stands in a sentence, in either order: `we received
    /// your payment`.
    #[serde(default)]
    pub(crate) not_bill_together: Vec<[Labels; 2]>,
    /// The same of what was ordered, sent or lent. It does not count in a bill that says until when to pay.
    #[serde(default)]
    pub(crate) ordered_together: Vec<[Labels; 2]>,
    /// What an invoice was paid with when something was bought. It does not count if the mail asks for a payment.
    #[serde(default)]
    pub(crate) charged_together: Vec<[Labels; 2]>,
    /// The same of bills that are taken back: these count whatever else is owed.
    #[serde(default)]
    pub(crate) withdrawn_together: Vec<[Labels; 2]>,
    /// The same of what was paid. It counts only if it is over: not if the payment has to or will be received.
    #[serde(default)]
    pub(crate) settled_together: Vec<[Labels; 2]>,
    /// What says that something has to be or will be.
    #[serde(default)]
    pub(crate) ahead: Labels,
    /// What turns the words behind it into their opposite: `has not been paid`.
    #[serde(default)]
    pub(crate) negation: Labels,
    /// What makes the rest of a sentence a mere possibility: `if it has been paid`.
    #[serde(default)]
    pub(crate) condition: Labels,
    /// What makes a part of the whole together with a tax behind it: `before tax`.
    #[serde(default)]
    pub(crate) without: Labels,
    /// Behind an amount that is a difference: `20.00 EUR less`.
    #[serde(default)]
    pub(crate) comparison: Labels,
    /// Before amounts that have nothing to do with the bill, such as a company's capital or what a friend would save.
    #[serde(default)]
    pub(crate) aside: Labels,
    /// Beside the one of several payments that comes next.
    #[serde(default)]
    pub(crate) next: Labels,
    /// Beside those that were made already.
    #[serde(default)]
    pub(crate) settled: Labels,
    /// Words with which a mail is no bill if they stand in its subject or in a heading: bills speak of such things too.
    #[serde(default)]
    pub(crate) not_bill_title: Labels,
    /// What programs say of those whom the reader bills, however they say it: `when your customer opens it`.
    #[serde(default)]
    pub(crate) customer: Labels,
    /// Names of what is paid before the whole.
    #[serde(default)]
    pub(crate) deposit: Labels,
    /// What makes a line one that asks for nothing: `for information, do not pay`, or that tells an example.
    #[serde(default)]
    pub(crate) informs: Labels,
    /// Behind the number of parts that something is paid in.
    #[serde(default)]
    pub(crate) several: Labels,
    /// Behind the amount of each of several: `15.00 EUR per reminder`.
    #[serde(default)]
    pub(crate) each: Labels,
    /// Between a net amount and the tax that comes to it: `20.00 EUR plus VAT`.
    #[serde(default)]
    pub(crate) plus: Labels,
    /// Before what it costs if it is paid early: if that is much less, which of the two is owed depends on when.
    #[serde(default)]
    pub(crate) early: Labels,
    /// What makes a sentence speak of something else than what is owed: another time, another choice.
    #[serde(default)]
    pub(crate) apart: Labels,
    /// Two kinds of words that do so together: `last month … was`.
    #[serde(default)]
    pub(crate) apart_together: Vec<[Labels; 2]>,
    /// Before the month from which a price will be another.
    #[serde(default)]
    pub(crate) from_then_on: Labels,
    /// What asks for a payment or announces that it is collected.
    #[serde(default)]
    pub(crate) demand: Labels,
    /// Two kinds of words that ask for it together, in either order: `please … transfer`.
    #[serde(default)]
    pub(crate) demand_together: Vec<[Labels; 2]>,
    /// Beside one of several payments that a bill is paid by.
    #[serde(default)]
    pub(crate) instalment: Labels,
    /// The same, if a line also says which of how many it is: other things are called so as well.
    #[serde(default)]
    pub(crate) instalment_numbered: Labels,
    /// Behind an amount, before a part of it: `12.00 EUR including 2.00 EUR VAT`.
    #[serde(default)]
    pub(crate) within: Labels,
    /// What may stand between a word for the bill and its amount in a sentence: `your bill is 12.00 EUR`.
    #[serde(default)]
    pub(crate) links: Labels,
    /// Before the currency of the whole document.
    #[serde(default)]
    pub(crate) denominated: Labels,
    /// Names of the tax.
    #[serde(default)]
    pub(crate) tax: Labels,
    /// What amounts without a currency are in.
    #[serde(default)]
    pub(crate) currency: Option<Currency>,
    /// Before the day until which it is due.
    #[serde(default)]
    pub(crate) due: Labels,
    /// Before the customer's number.
    #[serde(default)]
    pub(crate) account: Labels,
    /// Before the first and last day.
    #[serde(default)]
    pub(crate) period: Labels,
}

/// A kind of labels of a template, or of pairs of them.
struct Kind<L: 'static> {
    name: &'static str,
    of: fn(&Template) -> &L,
    of_mut: fn(&mut Template) -> &mut L,
    /// Whether a biller's template may have it: the others belong to languages.
    is_of_biller: bool,
}

macro_rules! kinds {
    ($(($name:ident, $is_of_biller:literal)),* $(,)?) => {
        &[$(Kind {
            name: stringify!($name),
            of: |words| &words.$name,
            of_mut: |words| &mut words.$name,
            is_of_biller: $is_of_biller,
        }),*]
    };
}

/// Every kind of labels.
const KINDS: &[Kind<Labels>] = kinds![
    (bill, true),
    (bill_title, false),
    (choice, false),
    (not_bill, true),
    (owed, true),
    (total, true),
    (total_if_largest, true),
    (part, true),
    (carried, true),
    (less, false),
    (ahead, false),
    (negation, false),
    (condition, false),
    (without, false),
    (comparison, false),
    (aside, false),
    (next, false),
    (settled, false),
    (not_bill_title, false),
    (customer, false),
    (deposit, false),
    (informs, false),
    (several, false),
    (each, false),
    (plus, false),
    (early, false),
    (apart, false),
    (from_then_on, false),
    (demand, false),
    (instalment, false),
    (instalment_numbered, false),
    (within, true),
    (links, true),
    (denominated, true),
    (tax, true),
    (due, true),
    (account, true),
    (period, true),
];

/// Every kind of pairs.
const PAIRS: &[Kind<Vec<[Labels; 2]>>] = kinds![
    (not_bill_together, false),
    (ordered_together, false),
    (charged_together, false),
    (withdrawn_together, false),
    (settled_together, false),
    (apart_together, false),
    (demand_together, false),
];

/// The name of a month, and it without accents.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
struct Month {
    written: String,
    folded: String,
}

impl From<String> for Month {
    fn from(written: String) -> Self {
        let folded = folded(&written);
        Self { written, folded }
    }
}

/// All templates of an installation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Templates(Vec<Template>);

impl Templates {
    /// No templates beside the languages.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads and lints the `.toml` files of a folder, in the order of their names.
    ///
    /// # Errors
    /// Everything that is wrong, over all files.
    pub fn load(folder: &Path) -> Result<Self, Vec<TemplateError>> {
        let io = |path: &Path, error: &std::io::Error| TemplateError::Io {
            path: path.display().to_string(),
            cause: error.to_string(),
        };
        let entries = fs::read_dir(folder).map_err(|error| vec![io(folder, &error)])?;
        let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        paths.sort();
        if paths.len() > MAX_TEMPLATES {
            return Err(vec![TemplateError::TooMany]);
        }
        let mut templates = Vec::new();
        let mut errors = Vec::new();
        for path in paths {
            match fs::read_to_string(&path) {
                Ok(text) => match Template::parse(&text) {
                    Ok(template) => templates.push(template),
                    Err(cause) => errors.push(TemplateError::Form { path: path.display().to_string(), cause }),
                },
                Err(error) => errors.push(io(&path, &error)),
            }
        }
        errors.extend(templates.iter().flat_map(Template::lint));
        let mut ids = HashSet::new();
        for template in &templates {
            if !ids.insert(&template.id) {
                errors.push(template.wrong("another template has this id; give it one of its own"));
            }
        }
        if errors.is_empty() { Ok(Self(templates)) } else { Err(errors) }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The labels of every language, the most certain of each first.
    pub(crate) fn any_language() -> &'static Template {
        static ALL: LazyLock<Template> = LazyLock::new(Template::of_all_languages);
        &ALL
    }

    /// Every language.
    pub(crate) fn languages() -> impl Iterator<Item = &'static Template> {
        LANGUAGES.iter()
    }

    /// The templates to try for mail from `domain`.
    pub(crate) fn of_domain(&self, domain: Option<&str>) -> Vec<&Template> {
        self.0.iter().filter(|template| domain.is_some_and(|domain| template.covers(domain))).collect()
    }
}

impl Template {
    fn of_all_languages() -> Self {
        let mut all = Self::default();
        for kind in KINDS {
            let languages: Vec<&Labels> = LANGUAGES.iter().map(kind.of).collect();
            *(kind.of_mut)(&mut all) = Labels::by_rank(&languages);
        }
        for pairs in PAIRS {
            *(pairs.of_mut)(&mut all) = LANGUAGES.iter().flat_map(|words| (pairs.of)(words).iter().cloned()).collect();
        }
        all
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_TEMPLATE {
            return Err(format!("it has more than {MAX_TEMPLATE} bytes"));
        }
        toml::from_str(text).map_err(|error| error.to_string())
    }

    /// The language that it builds on.
    pub(crate) fn base(&self) -> &Self {
        LANGUAGES.iter().find(|language| language.id == self.language).unwrap_or(self)
    }

    /// Its months, as they are written and without accents.
    pub(crate) fn months(&self) -> impl Iterator<Item = (&str, &str)> {
        self.months.iter().map(|month| (month.written.as_str(), month.folded.as_str()))
    }

    /// Everything that is wrong with it.
    #[must_use]
    pub fn lint(&self) -> Vec<TemplateError> {
        let mut errors = Vec::new();
        if !LANGUAGES.iter().any(|language| language.id == self.language) {
            let known: Vec<_> = LANGUAGES.iter().map(|language| language.id.as_str()).collect();
            errors.push(self.wrong(&format!(
                "the language `{}` is not known; it can be {}",
                self.language,
                known.join(", ")
            )));
        }
        if self.domains.is_empty() {
            errors
                .push(self.wrong("it has no domain, so it would never be used; add `domains = [\"biller.example\"]`"));
        }
        for domain in &self.domains {
            if ascii_domain(domain).as_deref() != Some(domain) {
                errors.push(self.wrong(&format!("the domain `{domain}` must be in its ASCII form, in lower case")));
            }
        }
        if self.owed.is_empty() && self.total.is_empty() && self.total_if_largest.is_empty() {
            errors.push(self.wrong("it has no label for the total; add `total = [\"amount due\"]`"));
        }
        if let Some(currency) = self.currency.filter(|currency| currency.exponent().is_none()) {
            errors.push(self.wrong(&format!("`{currency}` is not an active currency of ISO 4217")));
        }
        if !self.months.is_empty() {
            errors.push(self.wrong("months belong to a language; remove them"));
        }
        let of_languages = KINDS.iter().filter(|kind| !kind.is_of_biller && !(kind.of)(self).is_empty());
        let pairs = PAIRS.iter().filter(|pairs| !(pairs.of)(self).is_empty());
        for kind in of_languages.map(|kind| kind.name).chain(pairs.map(|pairs| pairs.name)) {
            errors.push(self.wrong(&format!("`{kind}` belongs to a language; remove it")));
        }
        errors.extend(self.lint_labels());
        errors
    }

    fn lint_labels(&self) -> Vec<TemplateError> {
        let mut errors = Vec::new();
        for (kind, labels) in KINDS.iter().map(|kind| (kind.name, (kind.of)(self))) {
            if labels.written.len() > MAX_LABELS {
                errors.push(self.wrong(&format!("`{kind}` has more than {MAX_LABELS} labels")));
            }
            let mut seen: HashSet<&Label> = HashSet::new();
            for (label, looked_for) in labels.written.iter().zip(labels.iter()) {
                let wrong = |what: &str| self.wrong(&format!("the label `{label}` in `{kind}` {what}"));
                if label.trim().is_empty() || label.trim() != label {
                    errors.push(wrong("is empty or begins or ends with a space"));
                }
                if label.len() > MAX_LABEL {
                    errors.push(wrong("is longer than half a line"));
                }
                if label.to_lowercase() != *label {
                    errors.push(wrong("must be in lower case, as the text is when it is searched"));
                }
                if label.contains(char::is_control) || label.contains(|c: char| c.is_ascii_digit()) {
                    errors.push(wrong("has a digit or control character, which values have and labels must not"));
                }
                if looked_for.folded.is_empty() {
                    errors.push(wrong("has no letter to look for"));
                }
                if !seen.insert(looked_for) {
                    errors.push(wrong("is listed twice"));
                }
            }
        }
        for label in self.bill.written.iter().filter(|label| self.not_bill.written.contains(label)) {
            errors.push(self.wrong(&format!("`{label}` makes a mail a bill and no bill at once")));
        }
        errors
    }

    fn covers(&self, domain: &str) -> bool {
        self.domains
            .iter()
            .any(|own| domain.strip_suffix(own.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
    }

    fn wrong(&self, what: &str) -> TemplateError {
        TemplateError::Wrong { id: self.id.clone(), what: what.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_languages_are_well_made() {
        assert_eq!(LANGUAGES.len(), 7);
        for language in LANGUAGES.iter() {
            assert_eq!(language.lint_labels(), [], "{}", language.id);
            assert_eq!(language.months.len(), 12);
            assert!(KINDS.iter().all(|kind| !(kind.of)(language).is_empty()), "{}", language.id);
        }
        for (kind, labels) in KINDS.iter().map(|kind| (kind.name, (kind.of)(Templates::any_language()))) {
            assert!(!labels.is_empty(), "{kind} is not among the labels of all languages");
        }
    }

    #[test]
    fn the_linter_names_every_fault() {
        let good = "id = \"power\"\ndomains = [\"power.example\"]\nlanguage = \"en\"\ntotal = [\"your share\"]\n";
        assert_eq!(Template::parse(good).expect("good").lint(), []);
        for (fault, expected) in [
            ("id = \"x\"\nlanguage = \"en\"\ntotal = [\"a\"]", "no domain"),
            ("id = \"x\"\nlanguage = \"en\"\ndomains = [\"Power.example\"]\ntotal = [\"a\"]", "ASCII form"),
            ("id = \"x\"\nlanguage = \"tlh\"\ndomains = [\"p.example\"]\ntotal = [\"a\"]", "language"),
            ("id = \"x\"\nlanguage = \"en\"\ndomains = [\"p.example\"]", "no label for the total"),
            (
                "id = \"x\"\nlanguage = \"en\"\ndomains = [\"p.example\"]\ntotal = [\"a\"]\ndemand = [\"pay\"]",
                "`demand` belongs to a language",
            ),
            ("id = \"x\"\nlanguage = \"en\"\ndomains = [\"p.example\"]\ntotal = [\"Amount\"]", "lower case"),
            ("id = \"x\"\nlanguage = \"en\"\ndomains = [\"p.example\"]\ntotal = [\"a\", \"a\"]", "twice"),
            ("id = \"x\"\nlanguage = \"en\"\ndomains = [\"p.example\"]\ntotal = [\" a\"]", "space"),
            ("id = \"x\"\nlanguage = \"en\"\ndomains = [\"p.example\"]\ntotal = [\"a 1\"]", "digit"),
            (
                "id = \"x\"\nlanguage = \"en\"\ndomains = [\"p.example\"]\ntotal = [\"a\"]\nbill = [\"b\"]\nnot_bill = [\"b\"]",
                "at once",
            ),
        ] {
            let errors = Template::parse(fault).expect("TOML").lint();
            assert!(errors.iter().any(|error| error.to_string().contains(expected)), "{expected}: {errors:?}");
        }
        assert!(Template::parse("id = \"x\"\nlanguage = \"en\"\nregex = \".*\"").is_err(), "unknown members");
    }

    #[test]
    fn a_folder_is_loaded_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("write");
        let good = "id = \"power\"\ndomains = [\"power.example\"]\nlanguage = \"en\"\ntotal = [\"your share\"]\n";
        write("a.toml", good);
        write("notes.txt", "not a template");
        let templates = Templates::load(folder.path()).expect("good");
        assert_eq!(templates.len(), 1);
        let names = |domain| templates.of_domain(domain).iter().map(|t| t.id.clone()).collect::<Vec<_>>();
        assert_eq!(names(Some("mail.power.example")), ["power"]);
        assert!(names(Some("xpower.example")).is_empty());
        write("b.toml", good);
        write("c.toml", "id = ");
        assert_eq!(Templates::load(folder.path()).expect_err("two faults").len(), 2);
    }
}
