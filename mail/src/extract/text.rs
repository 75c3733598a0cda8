//! Bills that only say in words what is due.

use crate::extract::amount::{self, Currencies, Stated};
use crate::extract::assertion::{is_asserted, is_denied, says_of_past, says_together, sentences};
use crate::extract::dates::{self, Order, dates, first_date, is_month, names_day};
use crate::extract::label::{Label, Labels};
use crate::extract::likeness::Likeness;
use crate::extract::line::{Found, GAP, Line, folded, goes_on, line, lines, sentence};
use crate::extract::marks::Marks;
use crate::extract::ranking::Ranking;
use crate::extract::schedule::{Scheduled, names_counted};
use crate::extract::total::{Totals, is_linked, value};
use crate::extract::{Bill, Extracted, Refusal, Template, Templates, period};
use crate::iban::Iban;
use portcullis_protocol::{Currency, Date, Money};
use std::cell::{LazyCell, RefCell};
use std::collections::{BTreeSet, HashMap};

/// Words before the day on which something was written or began.
const BEFORE_PAST_DATES: [&str; 11] = ["of", "dated", "from", "since", "vom", "seit", "du", "del", "van", "dal", "ab"];
/// Those of them that are no part of the date itself, as in `the 1st of December`.
const FROM: [&str; 3] = ["from", "since", "dated"];
/// What stands before those of them that begin what will be: `à compter du 8 décembre`, `a partir del 8`.
const BEFORE_FROM: [&str; 5] = ["compter", "partir", "partire", "decorrere", "contar"];
/// Words before something that has yet to happen: `nach Zahlungseingang`, `merci d'avoir choisi`.
const BEFORE_EVENTS: [&str; 22] = [
    "after", "upon", "until", "nach", "bei", "bis", "vor", "après", "avant", "pour", "tras", "antes", "hasta", "na",
    "bij", "voor", "tot", "dopo", "prima", "fino", "após", "até",
];
/// Letters of a word that asks for a payment by itself: shorter ones, as `payable`, are said of offers too.
const DEMAND_LETTERS: usize = 9;
/// What words for the day of a payment are made of, in any language.
const PAYMENT_STEMS: [&str; 20] = [
    "due", "pay", "settl", "debit", "collect", "fallig", "zahl", "abbuch", "einzug", "regl", "paie", "prelev",
    "echeance", "pag", "venc", "betal", "verval", "incass", "scad", "addebit",
];
/// What words for collecting money are made of, in any language: nobody does that but who is owed it.
const COLLECTION_STEMS: [&str; 23] = [
    "holen",
    "afschr",
    "debit",
    "collect",
    "charge",
    "renew",
    "takepayment",
    "withdraw",
    "abbuch",
    "abgebucht",
    "einzug",
    "eingezogen",
    "lastschrift",
    "buchen",
    "ziehen",
    "verlanger",
    "prelev",
    "renouvel",
    "carg",
    "cobr",
    "addebit",
    "rinnov",
    "incass",
];
/// Choices that say that nothing of it is real.
const UNREAL: [&str; 8] =
    ["example", "simulation", "beispiel", "exemple", "ejemplo", "esempio", "voorbeeld", "exemplo"];
/// What headings of reminders say, in any language.
const LATE: [&str; 29] = [
    "pastdue",
    "overdue",
    "arrears",
    "unpaid",
    "reminder",
    "finalnotice",
    "uberfallig",
    "verzug",
    "ruckstand",
    "unbezahlt",
    "mahnung",
    "erinnerung",
    "enretard",
    "impaye",
    "rappel",
    "relance",
    "enmora",
    "vencid",
    "impagad",
    "recordatorio",
    "scadut",
    "insolut",
    "sollecito",
    "achterstallig",
    "onbetaald",
    "herinnering",
    "aanmaning",
    "ematraso",
    "lembrete",
];
/// Words behind the number of days within which to pay.
const DAYS: [&str; 10] = ["day", "days", "tag", "tage", "tagen", "jours", "días", "dias", "giorni", "dagen"];
/// Rows between a previous balance and what was paid of it.
const ROWS_OF_ACCOUNT: usize = 6;
/// Bytes of a line that is wrapped.
const WRAPPED: usize = 40;
/// Words of a line that is a caption and an amount.
const CAPTION_WORDS: usize = 7;
/// Words before one for the day of a payment that say what else is due on it.
const SUBJECT_WORDS: usize = 3;
/// Lines below what asks for a payment that are still about it.
const BESIDE_LINES: usize = 2;
/// Words of a sentence that says no more than a day.
const UNTIL_WORDS: usize = 4;
/// Words of a line that can be a heading.
const HEADING_WORDS: usize = 6;
/// Amounts that a mail asks for: what asks for more is a list.
const MAX_OWED: usize = 60;
/// Before what is left of the number of a card.
const ENDING_IN: [&str; 18] = [
    "endziffern",
    "endziffer",
    "cartão final",
    "cartao final",
    "ending in",
    "ending",
    "endet auf",
    "endend auf",
    "endung",
    "se terminant par",
    "finissant par",
    "terminada en",
    "che termina con",
    "terminante con",
    "eindigend op",
    "eindigt op",
    "terminada em",
    "terminado em",
];
/// What makes a denial one of some readers alone, in any language.
const SUPPOSED: [&str; 12] = [
    "ifyou",
    "unlessyou",
    "wennsie",
    "wenndu",
    "fallssie",
    "sofernsie",
    "alsu",
    "alsje",
    "indienu",
    "sivous",
    "siusted",
    "seha",
];
/// Rows whose amounts may come to the one below them.
const MAX_SUMMED: usize = 12;
/// Behind a word for what leaves a choice, that it was agreed on.
const AGREED: [&str; 22] = [
    "accepted",
    "approved",
    "agreed",
    "genehmigt",
    "beschlossen",
    "beauftragt",
    "accepté",
    "acceptée",
    "approuvé",
    "approuvée",
    "voté",
    "votée",
    "aprobado",
    "aprobada",
    "aceptado",
    "aceptada",
    "accettato",
    "approvato",
    "aprovado",
    "aceite",
    "goedgekeurd",
    "geaccepteerd",
];
/// Words within which that is said.
const AGREED_WITHIN: usize = 5;
/// Digits that a number of an account in the form of an IBAN has at least.
const ACCOUNT_DIGITS: usize = 12;
/// Digits of the number of an account, at least.
const NUMBER_DIGITS: usize = 3;
/// Lines of a text among which its title is.
const TITLE_LINES: usize = 4;
/// Lines of a text among which its heading is: a letter may begin with two addresses.
const HEADING_LINES: usize = 20;

/// With which words texts are read.
pub(super) struct Reading<'r> {
    /// The sender's.
    pub(super) domain: Option<&'r str>,
    /// The biller's currency, as the registry says: of a sign that several have, and of amounts in a text that names
    /// none.
    pub(super) currency: Option<Currency>,
    pub(super) templates: &'r Templates,
}

impl Reading<'_> {
    /// The bill that texts describe: those of a mail, or that of a document. If `has_pdf`, the mail need not say the
    /// amount. If `is_learned`, what was learned of other mails counts beside the rules, but for a biller that has a
    /// template.
    pub(super) fn bill(&self, subject: &str, texts: &[String], has_pdf: bool, is_learned: bool) -> Extracted {
        let likeness = LazyCell::new(|| Likeness::of(subject, texts));
        let (subject, mut attached) = (line(subject), false);
        let texts: Vec<Vec<Line>> = texts.iter().map(|text| lines(text)).collect();
        let mut found: Vec<Result<Bill, Refusal>> = Vec::new();
        let templates = self.templates.of_domain(self.domain);
        let mut words: Vec<Words<'_>> = templates.into_iter().map(|own| Words::new(own, own.base())).collect();
        let is_learned = is_learned && words.is_empty();
        if words.is_empty() {
            let base = Templates::any_language();
            words.push(Words::new(base, base));
        }
        for lines in &texts {
            // Most mail is no bill in any language: then nothing else is searched.
            let has_amount = || lines.iter().any(|line| amount::has_currency(&line.shown));
            let is_like_bill = || is_learned && has_amount() && *likeness == Likeness::Bill;
            let is_bill = |words: &&Words<'_>| words.announces(&subject, lines) || is_like_bill();
            for words in words.iter().filter(is_bill) {
                let text = Text::new(lines, self.currency, words, &subject);
                match words.read(&text, is_learned) {
                    Some(read) => found.push(read),
                    None => attached |= has_pdf,
                }
            }
        }
        if found.is_empty() {
            // Its amount is in the document.
            return attached.then_some(Err(Refusal::NoAmount));
        }
        let read = settled(found);
        let is_none = is_learned && matches!(read, Some(Ok(_))) && *likeness == Likeness::Other;
        if is_none { Some(Err(Refusal::NotOwed)) } else { read }
    }
}

impl Reading<'_> {
    /// Every amount of these texts but for what is said aside: of those without a currency beside them if it is known
    /// what they are in.
    pub(super) fn amounts(&self, texts: &[String], bare: Option<Currency>) -> Vec<Money> {
        let base = Templates::any_language();
        let of = |text: &String| -> Vec<Money> {
            let lines = lines(text);
            let shown = || lines.iter().map(|line| line.shown.as_str());
            let shared = self.currency.or_else(|| amount::shared_sign(shown()));
            let currencies = Currencies { shared, bare, decimal: amount::proven_decimal(shown()) };
            let marks: Vec<Marks> = Marks::of_text(&lines, None);
            let none = line("");
            let totals = Totals::new((&none, &lines), &marks, currencies, Order::Unknown, None, base);
            totals.amounts.iter().map(|(_, amount)| *amount).collect()
        };
        texts.iter().flat_map(of).collect()
    }
}

/// The amounts of a text below a subject, with what stands around each.
#[cfg(test)]
pub(super) fn candidates(
    subject: &str,
    text: &str,
    currency: Option<Currency>,
) -> Vec<(Money, crate::extract::features::Features)> {
    let (subject, lines, base) = (line(subject), lines(text), Templates::any_language());
    let words = Words::new(base, base);
    let text = Text::new(&lines, currency, &words, &subject);
    crate::extract::ranking::candidates(&words.totals(&text))
}

/// Read through the words of two templates, or in text and HTML, a bill must say the same.
fn settled(found: Vec<Result<Bill, Refusal>>) -> Extracted {
    let good: Vec<&Bill> = found.iter().filter_map(|read| read.as_ref().ok()).collect();
    match good.first() {
        None => found.into_iter().next(),
        Some(first) if good.iter().any(|other| other.amount != first.amount) => Some(Err(Refusal::AmbiguousAmount)),
        Some(_) if found.iter().any(|read| matches!(read, Err(Refusal::BadDate | Refusal::AmountOutOfRange))) => {
            found.into_iter().find(Result::is_err)
        }
        Some(first) => {
            // The one that says the most.
            let says = |bill: &&&Bill| usize::from(bill.due.is_some()) + usize::from(bill.account.is_some());
            let best = good.iter().max_by_key(says).unwrap_or(first);
            Some(Ok((*best).clone()))
        }
    }
}

/// A text that is searched for a bill, and what holds for all of it.
struct Text<'t> {
    subject: &'t Line,
    lines: &'t [Line],
    marks: Vec<Marks>,
    /// The currencies that the text states, if any.
    stated: Stated,
    /// What a sign means that several have.
    shared: Option<Currency>,
    registered: Option<Currency>,
    iban: Option<Iban>,
    /// What the accounts in it are in, whosesoever they are.
    account_currency: Option<Currency>,
    order: Order,
    decimal: Option<char>,
}

impl<'t> Text<'t> {
    fn new(lines: &'t [Line], registered: Option<Currency>, words: &Words<'_>, subject: &'t Line) -> Self {
        let shown = || lines.iter().map(|line| line.shown.as_str());
        let shared = registered.or_else(|| amount::shared_sign(shown()));
        let proven = dates::proven(shown());
        // In all of these languages but English a day stands before its month.
        let order =
            if proven == Order::Unknown && !words.is_english(subject, lines) { Order::DayFirst } else { proven };
        Self {
            subject,
            lines,
            marks: Marks::of_text(lines, words.template()),
            stated: denominated(lines).unwrap_or_else(|| amount::stated(shown(), shared)),
            shared,
            registered,
            iban: iban(lines),
            account_currency: account_currency(lines),
            order,
            decimal: amount::proven_decimal(shown()),
        }
    }

    /// What its amounts are in: of a template for this biller, of the document, of the registry, of the account that is
    /// to be paid to. SEPA transfers are in euros, whatever else an account in the euro area holds.
    fn currencies(&self, own: Option<Currency>) -> Currencies {
        let elsewhere = || self.registered.or(self.account_currency);
        let bare = match self.stated {
            Stated::One(currency) => own.is_none_or(|own| own == currency).then_some(currency),
            Stated::Nothing => own.or_else(elsewhere),
            Stated::Unclear => None,
        };
        Currencies { shared: own.or(self.shared), bare, decimal: self.decimal }
    }
}

/// A template's labels, and those of its language if it has none; those of every language if there is no template.
struct Words<'t> {
    own: &'t Template,
    base: &'t Template,
    /// Which lines ask for a payment on a day, by the place of the line in memory: it is asked of each several times.
    day_demands: RefCell<HashMap<*const Line, bool>>,
}

impl<'t> Words<'t> {
    fn new(own: &'t Template, base: &'t Template) -> Self {
        Self { own, base, day_demands: RefCell::default() }
    }

    fn labels(&self, of: impl Fn(&Template) -> &Labels) -> &'t Labels {
        let own = of(self.own);
        if own.is_empty() { of(self.base) } else { own }
    }

    /// The template of the biller, if there is one.
    fn template(&self) -> Option<&'t Template> {
        (!self.own.domains.is_empty()).then_some(self.own)
    }

    /// Whether the mail calls itself a bill and nothing that makes it none.
    fn announces(&self, subject: &Line, lines: &[Line]) -> bool {
        let owed = LazyCell::new(|| self.demanded_amounts(lines));
        let is_bill = mention(self.labels(|words| &words.bill), subject, lines) || self.is_titled_bill(subject, lines);
        if !is_bill && !self.is_account(lines) && !self.asks_for_payment(subject, lines, || owed.is_some()) {
            return false;
        }
        // One word, such as the `avoir` of French, decides in a heading or beside an amount: elsewhere it may mean
        // something else.
        let decides = |at: usize, line: &Line| {
            (line.words() <= HEADING_WORDS && at < HEADING_LINES && !is_captioned(line))
                || amount::has_currency(&line.shown)
        };
        // What is owed until a day is owed, whatever else is told beside it.
        let is_asked = LazyCell::new(|| (0..lines.len()).any(|at| self.asks_on_day(lines, at)));
        // `Payment to arrive by 15 December`, `after receipt of the payment`
        let is_ahead = |line: &Line, label: &Label| line.places(label).all(|found| self.is_yet_to_be(line, found));
        let is_told_beside = |line: &Line, label: &Label| {
            line.find(label).is_some_and(|found| found.start > 0)
                && (owed.is_some() || (line.words() > HEADING_WORDS && *is_asked))
        };
        // `Last payment received`: of another bill.
        let is_of_before = |label: &Label, line: &Line| {
            let of_before = |found: Found| {
                let longer = |carried: Found| carried.start <= found.start && found.end <= carried.end;
                line.places_of(self.base.carried.iter())
                    .any(|carried| carried.length() > found.length() && longer(carried))
            };
            line.places(label).all(of_before)
        };
        // The previous bill has been paid, and this one is due.
        let is_dated = LazyCell::new(|| *is_asked || self.has_due_entry(lines));
        let is_of_previous = |line: &Line| speaks_of_previous(line, self.base) && *is_dated;
        // `Thank you for paying 20.00 EUR`, and `amount to pay 12.00 EUR`; a balance may be that of any account.
        let to_pay = LazyCell::new(|| -> Vec<Money> {
            let is_to_pay = |at: usize| {
                let mut labels = self.base.owed.iter().filter(|label| is_of_payment(label));
                lines.get(at).is_some_and(|line| labels.any(|label| line.has(label)))
            };
            let entered = self.entered_amounts(lines).into_iter();
            entered.filter(|(at, _)| is_to_pay(*at)).map(|(_, owed)| owed).collect()
        });
        let entered = LazyCell::new(|| self.sums(lines).into_iter().map(|(_, sum)| sum).collect::<Vec<_>>());
        let is_of_other_amount =
            |line: &Line| !to_pay.is_empty() && has_amount(line) && is_about_another(line, &to_pay);
        // Below its amounts a bill is followed by what else its sender has to say: a word there is not about the bill.
        let last = LazyCell::new(|| self.last_entry(lines).filter(|_| *is_dated || names_payee(lines)));
        let is_below = |label: &Label, at: usize, line: &Line| {
            (label.words == 1 || !is_of_payment(label))
                && last.is_some_and(|last| last < at)
                && (!has_amount(line) || is_about_another(line, &entered))
        };
        // A pro forma invoice that is to be paid until a day is one.
        let is_payable = |label: &Label| label.folded.contains("proforma") && *is_dated;
        let says = |label: &Label, at, line: &Line| {
            is_stated(label, line)
                && !is_payable(label)
                && !is_below(label, at, line)
                && !is_of_other_amount(line)
                && (label.folded.contains("total") || !is_item(lines, at))
                && !is_agreed(label, lines)
                && !is_of_previous(line)
                && !is_of_before(label, line)
                && !is_ahead(line, label)
                && (label.words > 1 || (decides(at, line) && !is_told_beside(line, label)))
                && !is_entry(lines, at)
        };
        let is_said = |label: &Label| {
            (is_stated(label, subject) && !is_payable(label))
                || lines.iter().enumerate().any(|(at, line)| says(label, at, line))
        };
        // In any language: a mail may have several.
        if let Some(own) = self.template().filter(|own| !own.not_bill.is_empty()) {
            return !own.not_bill.iter().any(is_said);
        }
        let all = Templates::any_language();
        // What was ordered and sent may be paid later, if the mail says until when.
        let is_paid_later = LazyCell::new(|| {
            subject.has_any(self.labels(|words| &words.bill)) && (*is_dated || lines.iter().any(|line| self.asks(line)))
        });
        // Cells of a heading are not a sentence.
        let together = |line: &Line, is_far: bool| {
            let says = |pairs: &[[Labels; 2]]| pairs.iter().any(|pair| says_together(line, pair));
            !line.is_row()
                && ((says(&all.not_bill_together) && !is_far)
                    || (says(&all.ordered_together) && !*is_paid_later)
                    || all.settled_together.iter().any(|pair| says_of_past(line, pair)))
        };
        // In the line, or in the sentence that goes on in the next one.
        let is_in = |at: usize, says: &dyn Fn(&Line) -> bool| {
            let is_long = lines[at].shown.len() >= WRAPPED;
            says(&lines[at]) || (is_long && sentence(lines, at).is_some_and(|line| says(&line)))
        };
        let is_told = |at: usize| {
            // A part may have been paid, and an order sent.
            let is_of_another = || owed.as_ref().is_some_and(|owed| is_about_another(&lines[at], owed));
            // `The first instalment was received`, and the second is asked for.
            let asks_for_next =
                |(other, line): (usize, &Line)| other != at && names_counted(line, self.base) && self.asks(line);
            let is_of_other_instalment =
                || names_counted(&lines[at], self.base) && lines.iter().enumerate().any(asks_for_next);
            // `You will receive the invoice`, far below what is asked for on a day
            let is_far = *is_asked && last.is_some_and(|last| last + BESIDE_LINES < at);
            is_in(at, &|line| together(line, is_far))
                && !is_entry(lines, at)
                && !is_of_another()
                && !is_of_previous(&lines[at])
                && !is_of_other_instalment()
        };
        // `Payment method: Visa`, and nothing says until when.
        let is_charged = || {
            let says = |line: &Line| all.charged_together.iter().any(|pair| says_of_past(line, pair));
            // `Payments`, and below it `Visa 4711`
            let headed = |pair: &[Line]| match pair {
                [heading, below] if heading.words() <= CAPTION_WORDS && is_short(below) => {
                    says(&line(&format!("{} {}", heading.shown, below.shown)))
                }
                _ => false,
            };
            let demands = |line: &Line| line.places_of(self.base.demand.iter()).any(|found| is_asserted(line, found));
            let is_said = || lines.iter().any(says) || lines.windows(2).any(headed);
            owed.is_none() && is_said() && !*is_dated && !lines.iter().any(demands)
        };
        let is_titled = |label: &Label| titles(subject, lines).any(|line| is_stated(label, line));
        let withdraws =
            |line: &Line| !line.is_row() && all.withdrawn_together.iter().any(|pair| says_together(line, pair));
        let is_withdrawn = |at: usize| is_in(at, &withdraws);
        let is_none = all.not_bill_title.iter().any(is_titled)
            || all.not_bill.iter().any(is_said)
            || lines.iter().any(names_customer)
            || together(subject, false)
            || withdraws(subject)
            || (0..lines.len()).any(is_withdrawn)
            || (0..lines.len()).any(is_told)
            || is_charged();
        !is_none && !self.is_waived(lines)
    }

    /// The amounts of entries that are called what is left to pay, or that ask for it, and their lines.
    fn entered_amounts(&self, lines: &[Line]) -> Vec<(usize, Money)> {
        amounts_behind(lines, self.base.owed.iter().chain(self.base.demand.iter().filter(|label| label.words > 1)))
    }

    /// The same amounts, if a day is said until which; if there are none, those of sentences that ask for it on a day.
    fn demanded_amounts(&self, lines: &[Line]) -> Option<Vec<Money>> {
        let owed = self.entered_amounts(lines);
        // `We ask you to transfer 12.00 EUR`, and below it `until 15 December 2026`
        let is_day_below = || {
            let mut below = owed.iter().filter_map(|(at, _)| lines.get(at + 1));
            below.any(|next| is_short(next) && names_day(&next.shown))
        };
        let owed: Vec<Money> = if !owed.is_empty() && (is_day_below() || self.says_day(lines)) {
            owed.iter().map(|(_, owed)| *owed).collect()
        } else {
            let told = (0..lines.len()).filter(|at| self.asks_on_day(lines, *at));
            told.flat_map(|at| amount::amounts(&lines[at].shown, any_currency())).collect()
        };
        (1..=MAX_OWED).contains(&owed.len()).then_some(owed)
    }

    /// The amounts of entries that are called the whole or what is left to pay, and their lines.
    fn sums(&self, lines: &[Line]) -> Vec<(usize, Money)> {
        amounts_behind(lines, self.base.owed.iter().chain(self.base.total.iter()))
    }

    /// The last line that enters what a bill comes to, or asks for it on a day if none does.
    fn last_entry(&self, lines: &[Line]) -> Option<usize> {
        let entered = self.sums(lines).into_iter().map(|(at, _)| at).max();
        entered.or_else(|| (0..lines.len()).rev().find(|at| self.asks_on_day(lines, *at)))
    }

    /// Whether something at a place has yet to happen: a day stands behind it until which, or a word before it.
    fn is_yet_to_be(&self, line: &Line, found: Found) -> bool {
        let is_until =
            |due: Found| due.start >= found.end && line.shown.get(found.end..due.start).is_some_and(is_linked);
        let before = line.before(found);
        let last = before.split_whitespace().next_back().unwrap_or_default().to_lowercase();
        // `Merci d'avoir choisi`
        let is_elided = before.ends_with(['\'', '\u{2019}']) && line.after(found).starts_with(' ');
        BEFORE_EVENTS.contains(&last.as_str()) || is_elided || line.places_of(self.base.due.iter()).any(is_until)
    }

    /// Whether an entry says the day of a payment.
    fn has_due_entry(&self, lines: &[Line]) -> bool {
        let mut of_payment = self.base.due.iter().filter(|label| is_of_payment(label));
        let is_dated = |label: &Label| {
            lines
                .iter()
                .enumerate()
                .filter(|(_, line)| is_short(line))
                .any(|(at, line)| line.find(label).is_some_and(|found| names_day(beside(lines, at, found))))
        };
        of_payment.any(is_dated)
    }

    /// Whether a day is said until which something is to be paid.
    fn says_day(&self, lines: &[Line]) -> bool {
        let is_due = |at: usize| {
            let mut places = self.base.due.iter().filter_map(|label| lines[at].find(label));
            places.any(|found| names_day(beside(lines, at, found)))
        };
        (0..lines.len()).any(|at| is_due(at) || self.asks_on_day(lines, at))
    }

    /// Whether a sentence asks for a payment and says a day.
    fn asks_on_day(&self, lines: &[Line], at: usize) -> bool {
        let Some(place) = lines.get(at).map(std::ptr::from_ref) else { return false };
        if let Some(asks) = self.day_demands.borrow().get(&place) {
            return *asks;
        }
        let asks = self.has_day_demand(lines, at);
        self.day_demands.borrow_mut().insert(place, asks);
        asks
    }

    /// The same, looked for in the text.
    fn has_day_demand(&self, lines: &[Line], at: usize) -> bool {
        let is_due = |line: &Line| {
            let mut due = self.base.due.iter();
            due.any(|label| is_stated(label, line) && is_of_payment(label))
                && (line.words() > CAPTION_WORDS || amount::has_currency(&line.shown))
        };
        // One word is enough beside an amount: `we debit`.
        let demands = |line: &Line| {
            let mut places = line.places_of(self.base.demand.iter().filter(|label| is_demand(label)));
            amount::has_currency(&line.shown) && places.any(|found| is_asserted(line, found))
        };
        let says = |line: &Line| names_day(&line.shown) && (self.asks(line) || is_due(line) || demands(line));
        says(&lines[at]) || sentence(lines, at).is_some_and(|line| says(&line))
    }

    /// Whether a sentence says that money is collected, and on which day.
    fn collects(&self, lines: &[Line], at: usize) -> bool {
        let is_collection =
            |label: &&Label| is_demand(label) && COLLECTION_STEMS.iter().any(|stem| label.folded.contains(stem));
        let says = |line: &Line| {
            line.places_of(self.base.demand.iter().filter(is_collection)).any(|found| is_asserted(line, found))
        };
        self.asks_on_day(lines, at) && (says(&lines[at]) || sentence(lines, at).is_some_and(|line| says(&line)))
    }

    /// What asks for a payment or announces one, in more than one word.
    fn requests(&self) -> impl Iterator<Item = &'t Label> {
        let base = self.base;
        base.demand.iter().chain(base.owed.iter()).filter(|label| label.words > 1)
    }

    /// Whether a line asks for a payment, or announces one.
    fn asks(&self, line: &Line) -> bool {
        line.places_of(self.requests()).any(|found| is_asserted(line, found))
            || self.base.demand_together.iter().any(|pair| says_together(line, pair))
    }

    /// Whether nothing is said of a payment but that there is none: `no longer has to be paid`.
    fn is_waived(&self, lines: &[Line]) -> bool {
        let mut is_waived = false;
        for line in lines {
            // `You need not pay if you gave us a mandate`
            let is_supposed = SUPPOSED.iter().any(|words| folded(&line.shown).contains(words));
            for found in line.places_of(self.requests()).filter(|_| !is_supposed) {
                if !is_denied(line, found) {
                    return false;
                }
                is_waived = true;
            }
        }
        is_waived
    }

    /// Whether an account is drawn up, whatever it is called: with what is left to pay, and the number of a customer,
    /// what was paid before or, if nothing but a caption stands beside the amount, the day on which it is due.
    fn is_account(&self, lines: &[Line]) -> bool {
        // Beside it, or below it if the entries stand below each other.
        let has_amount = |found: Found, at: usize, line: &Line| {
            amount::has_currency(line.after(found))
                || (is_short(line) && amount::has_currency(beside(lines, at, found)))
        };
        let says = |labels: &Labels, at: usize, line: &Line| {
            labels.iter().any(|label| line.find(label).is_some_and(|found| has_amount(found, at, line)))
        };
        let is_owed = |(at, line): (usize, &Line)| says(&self.base.owed, at, line);
        let is_numbered = |line: &Line| {
            let mut places = self.base.account.iter().filter_map(|label| line.find(label));
            places.any(|found| line.first_digit(found.end).is_some())
        };
        let is_before = |(at, line): (usize, &Line)| says(&self.base.carried, at, line);
        let is_caption = |(at, line): (usize, &Line)| line.words() <= CAPTION_WORDS && is_owed((at, line));
        let is_due = |(at, line): (usize, &Line)| {
            let mut places = self.base.due.iter().filter_map(|label| line.find(label));
            let names = |text: &str| dates(text, Order::DayFirst).is_ok_and(|dates| !dates.is_empty());
            places.any(|found| names(line.after(found)) || (is_short(line) && names(beside(lines, at, found))))
        };
        let all = || lines.iter().enumerate();
        (all().any(is_owed) && all().any(|(at, line)| is_numbered(line) || is_before((at, line))))
            || (all().any(is_caption) && all().any(is_due))
    }

    /// Whether the mail asks for a payment, or announces one, says on which day or of which rows, and for which
    /// account, and leaves the reader no choice, whatever it is called.
    fn asks_for_payment(&self, subject: &Line, lines: &[Line], is_owed: impl Fn() -> bool) -> bool {
        let all = Templates::any_language();
        let leaves = |line: &Line, label: &Label| names_choice(line, label) && !is_agreed(label, lines);
        // `The deposit of 12.00 EUR was received`
        let is_settled = |at: usize| {
            let settles = |line: &Line| line.has_any(&all.deposit) && line.has_any(&all.settled);
            settles(&lines[at]) || sentence(lines, at).is_some_and(|line| settles(&line))
        };
        // What else its sender has to say, below what is asked for, is not about it.
        let last = LazyCell::new(|| {
            let entered = self.entered_amounts(lines).into_iter().map(|(at, _)| at);
            let asked = (0..lines.len()).filter(|at| self.asks_on_day(lines, *at));
            entered.chain(asked).max().unwrap_or(lines.len())
        });
        // What is collected by itself may be cancelled first, as nearly everything may.
        let is_collected = LazyCell::new(|| (0..lines.len()).any(|at| self.collects(lines, at)));
        let is_about = |at: usize, label: &Label| {
            at <= *last
                || (at <= last.saturating_add(BESIDE_LINES)
                    && (!*is_collected || UNREAL.contains(&label.folded.as_str())))
        };
        let is_left_open = |(at, line): (usize, &Line)| {
            all.choice.iter().any(|label| leaves(line, label) && is_about(at, label))
                && !is_item(lines, at)
                && !is_settled(at)
        };
        // `Your plan renews on 3 December`
        let is_subject_asking = || names_day(&subject.shown) && self.asks(subject);
        let is_on_day = || is_subject_asking() || (0..lines.len()).any(|at| self.asks_on_day(lines, at));
        lines.iter().any(has_amount)
            && self.has_evidence(lines)
            && !all.choice.iter().any(|label| leaves(subject, label))
            && !lines.iter().enumerate().any(is_left_open)
            && (is_on_day() || is_owed() || self.asks_for_rows(lines) || self.is_dated_sum(lines))
    }

    /// Whether rows come to a total, and the mail asks to transfer it to an account.
    fn asks_for_rows(&self, lines: &[Line]) -> bool {
        let sums = self.sum_labels();
        let is_sum = |(at, line): (usize, &Line)| {
            (is_short(line) || line.words() <= HEADING_WORDS)
                && sums.iter().any(|labels| line.has_any(labels))
                && comes_of_rows(lines, at)
        };
        names_payee(lines) && lines.iter().any(|line| self.asks(line)) && lines.iter().enumerate().any(is_sum)
    }

    /// Whether an entry says the day of a payment, and another one a sum.
    fn is_dated_sum(&self, lines: &[Line]) -> bool {
        let sums = self.sum_labels();
        let is_sum = |(at, line): (usize, &Line)| {
            let mut places = line.places_of(sums.iter().flat_map(|labels| labels.iter()));
            is_short(line) && places.any(|found| amount::has_currency(beside(lines, at, found)))
        };
        self.has_due_entry(lines)
            && lines.iter().enumerate().any(is_sum)
            && (0..lines.len()).any(|at| self.is_for_account(lines, at))
    }

    /// Labels of what a bill comes to, also of those that parts have as well.
    fn sum_labels(&self) -> [&'t Labels; 3] {
        [&self.base.owed, &self.base.total, &self.base.total_if_largest]
    }

    /// Whether a line says for which account of the reader the mail is, or to which account to pay.
    fn is_for_account(&self, lines: &[Line], at: usize) -> bool {
        self.is_numbered(lines, at)
            || lines.get(at).is_some_and(|line| names_own_account(&line.shown) || names_account(line))
    }

    /// Whether a line says the number of a customer or a contract.
    fn is_numbered(&self, lines: &[Line], at: usize) -> bool {
        let is_number = |text: &str| {
            number(text).is_some_and(|number| number.chars().filter(char::is_ascii_digit).count() >= NUMBER_DIGITS)
        };
        let Some(line) = lines.get(at) else { return false };
        line.places_of(self.base.account.iter()).any(|found| is_number(beside(lines, at, found)))
    }

    /// Whether a mail says for which account of the reader it is, to which account to pay, as an entry until when, or
    /// that the payment is collected on a day; or whether rows come to what it asks for.
    fn has_evidence(&self, lines: &[Line]) -> bool {
        let is_dated = |at: usize, line: &Line| {
            is_short(line) && line.places_of(self.base.due.iter()).any(|found| names_day(beside(lines, at, found)))
        };
        let sums = self.sum_labels();
        let is_sum = |at: usize, line: &Line| {
            is_short(line) && sums.iter().any(|labels| line.has_any(labels)) && comes_of_rows(lines, at)
        };
        let told = LazyCell::new(|| self.demanded_amounts(lines).unwrap_or_default());
        let is_made_of_rows = || told.iter().any(|owed| has_rows_of(lines, *owed));
        let says = |at: usize, line: &Line| self.is_for_account(lines, at) || is_dated(at, line) || is_sum(at, line);
        lines.iter().enumerate().any(|(at, line)| says(at, line))
            || is_made_of_rows()
            || (0..lines.len()).any(|at| self.collects(lines, at))
    }

    /// Whether the subject or a heading calls the mail by a name that other mail has as well.
    fn is_titled_bill(&self, subject: &Line, lines: &[Line]) -> bool {
        let is_title = |line: &Line, label: &Label| is_stated(label, line) && !is_only_in_address(line, label);
        titles(subject, lines).any(|line| {
            self.base.bill_title.iter().any(|label| is_title(line, label)) || names_counted(line, self.base)
        })
    }

    /// Whether the bill may be written in English, where a month may stand before its day.
    fn is_english(&self, subject: &Line, lines: &[Line]) -> bool {
        let of_english = |language: &Template| language.id == "en" && mention(&language.bill, subject, lines);
        self.template().map_or_else(|| Templates::languages().any(of_english), |own| own.language == "en")
    }

    fn totals<'a>(&'a self, text: &'a Text<'_>) -> Totals<'a> {
        let currencies = text.currencies(self.own.currency);
        let lines = (text.subject, text.lines);
        Totals::new(lines, &text.marks, currencies, text.order, self.template(), self.base)
    }

    fn read(&self, text: &Text<'_>, is_learned: bool) -> Option<Result<Bill, Refusal>> {
        let totals = self.totals(text);
        let said = totals.total();
        let total = if is_learned { self.ranked(said, &totals) } else { said };
        match total? {
            // What asks for nothing is no bill, unless it says what came to that.
            Ok(amount) if amount.minor_units() == 0 && totals.is_largest(amount) => None,
            Ok(amount) if totals.is_overpaid(amount) => None,
            read => Some(read.and_then(|amount| {
                let bill = self.bill(text, amount)?;
                let day = match totals.scheduled() {
                    Some(Scheduled::One(next, day)) if next == amount => day,
                    _ => None,
                };
                // Whose day it is is not known if no rule says why the amount is owed.
                let due = day.or(bill.due).filter(|_| total == said);
                Ok(Bill { due, ..bill })
            })),
        }
    }

    /// What the rules say is owed, unless another amount is far likelier; the one that is nearly certain if they
    /// leave it open.
    fn ranked(&self, said: Option<Result<Money, Refusal>>, totals: &Totals<'_>) -> Option<Result<Money, Refusal>> {
        match said {
            None | Some(Err(Refusal::AmbiguousAmount)) => {
                let certain = Ranking::of(totals).certain();
                certain.filter(|certain| !self.is_contested(*certain, totals)).map(Ok).or(said)
            }
            Some(Ok(amount)) if Ranking::of(totals).is_doubtful(amount) => Some(Err(Refusal::AmbiguousAmount)),
            said => said,
        }
    }

    /// Whether something else is called owed or asked for, or called the same: then nothing but its size speaks for an
    /// amount.
    fn is_contested(&self, amount: Money, totals: &Totals<'_>) -> bool {
        let asks = |line: &Line| line.has_any(&self.base.owed) || line.has_any(&self.base.demand);
        let letters = |line: &Line| line.shown.chars().filter(|c| c.is_alphabetic()).collect::<String>().to_lowercase();
        let (own, others): (Vec<_>, Vec<_>) = totals.amounts.iter().partition(|(_, other)| *other == amount);
        let names: BTreeSet<String> = own
            .iter()
            .filter_map(|(at, _)| totals.lines.get(*at))
            .map(letters)
            .filter(|name| !name.is_empty())
            .collect();
        let is_asked = |at: usize| {
            let from = at.saturating_sub(1);
            totals.lines.get(from..=at).is_some_and(|lines| lines.iter().any(asks))
        };
        let is_own = |at: usize| own.iter().any(|(own, _)| *own == at || *own + 1 == at);
        others.iter().any(|(at, _)| {
            (is_asked(*at) && !is_own(*at)) || totals.lines.get(*at).is_some_and(|line| names.contains(&letters(line)))
        })
    }

    /// Whether a day behind a word for it is that of a payment: other things have to be done until a day as well.
    fn is_about_payment(&self, text: &Text<'_>, at: usize, found: Found) -> bool {
        let (Some(line), Some(marks)) = (text.lines.get(at), text.marks.get(at)) else { return false };
        let piece = marks.piece(found).map_or(0..line.shown.len(), |piece| piece.start..piece.end);
        let before = line.shown.get(piece.start..found.start).unwrap_or_default();
        let sentence = line.shown.get(piece).unwrap_or_default();
        let said = folded(line.shown.get(found.start..found.end).unwrap_or_default());
        let has_stem = |text: &str| PAYMENT_STEMS.iter().any(|stem| text.contains(stem));
        let around = sentence_around(text.lines, at, sentence);
        let of_payment =
            [&self.base.demand, &self.base.owed, &self.base.bill, &self.base.total_if_largest, &self.base.instalment];
        // `Your next inspection is due on 12 December`: other things have a day as well.
        if !line.is_row() && before.split_whitespace().count() >= SUBJECT_WORDS {
            let label = around.find(&Label::from(said.as_str()));
            let others = label.map_or_else(|| around.clone(), |label| without(&around, label));
            return has_stem(&folded(&others.shown)) || of_payment.iter().any(|labels| others.has_any(labels));
        }
        if line.is_row() || sentence.split_whitespace().count() <= CAPTION_WORDS || has_stem(&said) {
            return true;
        }
        has_stem(&folded(&around.shown)) || of_payment.iter().any(|labels| around.has_any(labels))
    }

    /// The one day that stands in lines that ask for the payment: `please transfer it before 12 December 2026`.
    fn asked_for_on(&self, text: &Text<'_>, amount: Money) -> Option<Date> {
        let demands = |line: &Line| {
            line.has_any(&self.base.demand) || self.base.demand_together.iter().any(|pair| says_together(line, pair))
        };
        let asks = |(at, line): &(usize, &Line)| {
            demands(line)
                && !amount::has_negative(&line.shown)
                && !dates_a_document(line)
                && !counts_days(line)
                && !speaks_of_another(text, *at, None, amount)
        };
        // Those of the sentences that ask count, and of what is hardly one: `please transfer it. Until: 3.12.2026`.
        let days = |(_, said): (usize, &Line)| -> Vec<Date> {
            let sentences = sentences(&said.shown).map(line);
            let asking = sentences.filter(|sentence| demands(sentence) || sentence.words() <= UNTIL_WORDS);
            asking.flat_map(|sentence| dates(&sentence.shown, text.order).unwrap_or_default()).collect()
        };
        let counted: Vec<Line> = text.lines.iter().zip(&text.marks).map(|(line, marks)| marks.counted(line)).collect();
        let mut all = counted.iter().enumerate().filter(asks).flat_map(days);
        let first = all.next()?;
        all.all(|other| other == first).then_some(first)
    }

    fn bill(&self, text: &Text<'_>, amount: Money) -> Result<Bill, Refusal> {
        let (mut said, mut is_paid): (Vec<Date>, bool) = (Vec::new(), false);
        let labels = self.labels(|words| &words.due);
        let stated = values(text.lines, &text.marks, labels);
        // `Payment received on 9 November: -12.00 EUR`
        let is_over = |at: usize| text.lines.get(at).is_some_and(|line| amount::has_negative(&line.shown));
        let stated = stated.iter().filter(|value| !is_over(value.at));
        for value in stated.filter(|value| !speaks_of_another(text, value.at, Some(value.label), amount)) {
            if let Some(day) = first_date(value.text, text.order)? {
                said.push(day);
                is_paid |= self.is_about_payment(text, value.at, value.label);
            }
        }
        said.dedup();
        // Two days may be that of a bill and that of its reminder, or those of two instalments.
        let due = match said.as_slice() {
            [] => self.asked_for_on(text, amount),
            [day] if is_paid => Some(*day),
            _ => None,
        };
        // A reminder tells when it was due before.
        let is_last = |due: &Date| !is_overdue(text) || latest_day(text).is_none_or(|latest| latest <= *due);
        let due = due
            .filter(is_last)
            .or_else(|| self.asked_for_on(text, amount).filter(|_| is_overdue(text)).filter(is_last));
        let mut covered = None;
        for value in values(text.lines, &text.marks, self.labels(|words| &words.period)) {
            if let [start, end, ..] = dates(value.text, text.order)?.as_slice() {
                covered = period(Some(*start), Some(*end))?;
                break;
            }
        }
        let accounts = values(text.lines, &text.marks, self.labels(|words| &words.account));
        let account = accounts.into_iter().find_map(|value| number(value.text));
        Ok(Bill {
            amount,
            due,
            period: covered,
            account,
            iban: text.iban.clone(),
            payees: Vec::new(),
            broken: Vec::new(),
        })
    }
}

/// Whether a line says a label as a fact, and a single word not as a part of another: a `quote-part` is no quote.
fn is_stated(label: &Label, line: &Line) -> bool {
    let is_joined = |found: Found| {
        let next = line.after(found).strip_prefix('-').is_some_and(|rest| rest.starts_with(char::is_alphabetic));
        label.words == 1 && next
    };
    line.may_have(label) && line.places(label).any(|found| !is_joined(found) && is_asserted(line, found))
}

/// The subject, and the headings that a text begins with.
fn titles<'l>(subject: &'l Line, lines: &'l [Line]) -> impl Iterator<Item = &'l Line> {
    let headings = lines.iter().take(TITLE_LINES).filter(|line| line.words() <= HEADING_WORDS);
    std::iter::once(subject).chain(headings)
}

/// Whether the subject or a heading says that the payment is late.
fn is_overdue(text: &Text<'_>) -> bool {
    titles(text.subject, text.lines)
        .map(|line| folded(&line.shown))
        .any(|said| LATE.iter().any(|late| said.contains(late)))
}

/// The last day that the text names.
fn latest_day(text: &Text<'_>) -> Option<Date> {
    text.lines.iter().flat_map(|line| dates(&line.shown, text.order).unwrap_or_default()).max()
}

/// Whether a line may say when something was written: `the invoice of 1 November`, `vom 01.11.2026`.
fn dates_a_document(line: &Line) -> bool {
    let words: Vec<&str> = line.shown.split_whitespace().collect();
    let is_from = |word: &str| BEFORE_PAST_DATES.contains(&word.to_lowercase().as_str());
    // `Payable from February 1, 2027`
    let is_month_next =
        |word: &str, next: &str| FROM.contains(&word.to_lowercase().as_str()) && is_month(&next.to_lowercase());
    let is_day_next = |word: &str, next: &str| is_from(word) && next.starts_with(|c: char| c.is_ascii_digit());
    let is_past = |at: usize| {
        let is_ahead = at.checked_sub(1).and_then(|before| words.get(before));
        !is_ahead.is_some_and(|before| BEFORE_FROM.contains(&before.to_lowercase().as_str()))
    };
    let is_dated = |word: &str, next: &str| is_day_next(word, next) || is_month_next(word, next);
    let mut pairs = words.windows(2).enumerate();
    pairs.any(|(at, pair)| matches!(pair, [word, next] if is_past(at) && is_dated(word, next)))
}

/// Whether a line speaks of another bill, before this one: `the previous invoice has been paid`.
fn speaks_of_previous(line: &Line, base: &Template) -> bool {
    let bills: Vec<Found> = line.places_of(base.bill.iter()).collect();
    let names_bill = |carried: Found| {
        bills
            .iter()
            .any(|bill| carried.start <= bill.start && bill.end <= carried.end && carried.length() > bill.length())
    };
    !bills.is_empty() && line.places_of(base.carried.iter()).any(names_bill)
}

/// Whether a line speaks of somebody whom the reader bills; `Ihr Kunden-Konto` does not.
fn names_customer(line: &Line) -> bool {
    let customers = &Templates::any_language().customer;
    line.places_of(customers.iter()).any(|found| !line.after(found).starts_with('-'))
}

/// Whether a label asks for a payment by itself: one short word is said of offers too.
fn is_demand(label: &Label) -> bool {
    label.words > 1 || label.folded.len() >= DEMAND_LETTERS
}

/// Whether a label for a day is one of a payment: other things have a day as well, as in `delivery until 9 December`.
fn is_of_payment(label: &Label) -> bool {
    PAYMENT_STEMS.iter().any(|stem| label.folded.contains(stem))
}

/// Whether a line has a word by which the reader is left a choice. What has a number was chosen already: `order 4711`.
fn names_choice(line: &Line, label: &Label) -> bool {
    let is_choice = |found: Found| {
        let said = line.shown.get(found.start..found.end).unwrap_or_default();
        // `Pension Credit` is not the `crédit` of French.
        let is_other_word = label.is_accented && said.is_ascii() && said.contains(char::is_lowercase);
        let next = line.after(found).trim_start_matches(|c: char| !c.is_alphanumeric());
        let next = next.split([' ', GAP]).next().unwrap_or_default();
        let is_numbered =
            next.chars().filter(char::is_ascii_digit).count() >= NUMBER_DIGITS && !next.contains([',', '.']);
        // A `security deposit` is none that is asked for.
        let all = Templates::any_language();
        let is_in =
            |longer: Found| longer.length() > found.length() && longer.start <= found.start && found.end <= longer.end;
        // Nor is a `carte de crédit` a loan.
        let means = all.charged_together.iter().flat_map(|[_, means]| means.iter());
        let is_aside = || line.places_of(all.apart.iter().chain(all.aside.iter()).chain(means.clone())).any(is_in);
        // `Auto-deposit`
        let is_joined = line.before(found).ends_with('-') && label.words == 1;
        !line.is_in_address(found)
            && !is_other_word
            && !is_numbered
            && !is_joined
            && !is_denied(line, found)
            && !is_aside()
    };
    line.may_have(label) && line.places(label).any(is_choice)
}

/// Whether a line says a label in addresses alone: `invoice@shop.example` does not call a mail an invoice.
fn is_only_in_address(line: &Line, label: &Label) -> bool {
    line.may_have(label) && line.places(label).all(|found| line.is_in_address(found))
}

/// Whether the amounts of the rows above a line come to the one that it ends with.
fn comes_of_rows(lines: &[Line], at: usize) -> bool {
    let last = |at: usize| amount::signed(&lines.get(at)?.shown, any_currency()).last().copied();
    let Some(total) = last(at).filter(|total| !total.is_negative) else { return false };
    let (mut sum, mut count) = (0_i64, 0_usize);
    for above in (at.saturating_sub(MAX_SUMMED)..at).rev() {
        let Some(row) = last(above).filter(|row| row.money.currency() == total.money.currency()) else { return false };
        let units = row.money.minor_units();
        (sum, count) = (sum.saturating_add(if row.is_negative { -units } else { units }), count + 1);
        if count > 1 && sum == total.money.minor_units() {
            return true;
        }
    }
    false
}

/// Whether rows that stand below each other come to an amount that another line says.
fn has_rows_of(lines: &[Line], total: Money) -> bool {
    let last = |at: usize| {
        let amounts = amount::signed(&lines.get(at)?.shown, any_currency());
        amounts.last().copied().filter(|last| last.money != total && last.money.currency() == total.currency())
    };
    (0..lines.len()).any(|from| {
        let (mut sum, mut count) = (0_i64, 0_usize);
        for row in (from..lines.len()).map_while(last).take(MAX_SUMMED) {
            let units = row.money.minor_units();
            (sum, count) = (sum.saturating_add(if row.is_negative { -units } else { units }), count + 1);
            if count > 1 && sum == total.minor_units() {
                return true;
            }
        }
        false
    })
}

/// Whether a line is one of several items that come to the amount of a row below them, and the smaller part of it.
fn is_item(lines: &[Line], at: usize) -> bool {
    let last = |at: usize| amount::signed(&lines.get(at)?.shown, any_currency()).last().copied();
    let Some(own) = last(at).filter(|own| !own.is_negative && own.money.minor_units() > 0) else { return false };
    let units = |row: amount::Signed| if row.is_negative { -row.money.minor_units() } else { row.money.minor_units() };
    let mut sums = vec![own.money.minor_units()];
    for above in (at.saturating_sub(MAX_SUMMED)..at).rev() {
        let Some(row) = last(above) else { break };
        sums.extend(sums.last().map(|sum| sum.saturating_add(units(row))));
    }
    let mut below = 0_i64;
    for next in (at + 1..lines.len()).take(MAX_SUMMED) {
        let Some(row) = last(next) else { break };
        let total = row.money.minor_units();
        if own.money.minor_units() < total - own.money.minor_units()
            && sums.iter().any(|sum| sum.saturating_add(below) == total)
        {
            return true;
        }
        below = below.saturating_add(units(row));
    }
    false
}

/// Whether something that leaves a choice is said to have been agreed on: `devis accepté`, `preventivo approvato`.
fn is_agreed(label: &Label, lines: &[Line]) -> bool {
    let agrees = |line: &Line| {
        line.places(label).any(|found| {
            let after = line.after(found).split(['.', ';', GAP]).next().unwrap_or_default();
            let mut words = after.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
            is_asserted(line, found)
                && words.by_ref().take(AGREED_WITHIN).any(|word| AGREED.contains(&word.to_lowercase().as_str()))
        })
    };
    lines.iter().any(|line| line.may_have(label) && agrees(line))
}

/// Whether a line is a caption and its value.
fn is_captioned(line: &Line) -> bool {
    line.shown.split_once(GAP).is_some_and(|(caption, value)| !caption.trim().is_empty() && !value.trim().is_empty())
}

/// Whether a line has an amount, with a currency or in the form of one.
fn has_amount(line: &Line) -> bool {
    amount::has_currency(&line.shown) || !amount::signed(&line.shown, any_currency()).is_empty()
}

/// The amounts of entries behind any of some labels, and their lines.
fn amounts_behind<'l>(lines: &[Line], labels: impl Iterator<Item = &'l Label> + Clone) -> Vec<(usize, Money)> {
    let of = |(at, line): (usize, &Line)| -> Vec<(usize, Money)> {
        let found = line.places_of(labels.clone()).find(|found| is_asserted(line, *found));
        let value = found.map(|found| beside(lines, at, found)).unwrap_or_default();
        let behind = amount::amounts(value, any_currency()).into_iter().filter(|amount| amount.minor_units() > 0);
        behind.map(|amount| (at, amount)).collect()
    };
    lines.iter().enumerate().filter(|(_, line)| is_short(line)).flat_map(of).collect()
}

/// What stands beside a label, or below it; nothing if there is nothing.
fn beside(lines: &[Line], at: usize, found: Found) -> &str {
    value(lines, at, found).map(|value| value.text).unwrap_or_default()
}

/// Whether a line is a row of a table, or no longer than a caption.
fn is_short(line: &Line) -> bool {
    line.is_row() || line.words() <= CAPTION_WORDS
}

/// To compare amounts before it is known what they are in.
fn any_currency() -> Currencies {
    Currencies { bare: "EUR".parse().ok(), shared: "USD".parse().ok(), decimal: None }
}

/// Whether a line does not say one of these amounts: what it says was paid is another.
fn is_about_another(line: &Line, owed: &[Money]) -> bool {
    let amounts = amount::signed(&line.shown, any_currency());
    !amounts.iter().any(|said| owed.contains(&said.money))
}

/// A sentence, with the line before it if it goes on there.
fn sentence_around(lines: &[Line], at: usize, text: &str) -> Line {
    let before = at.checked_sub(1).filter(|before| goes_on(lines, *before));
    let before = before.and_then(|before| lines.get(before)).map_or("", |line| line.shown.as_str());
    line(&format!("{before} {text}"))
}

/// A line without a label.
fn without(around: &Line, label: Found) -> Line {
    line(&format!("{} | {}", around.before(label), around.after(label)))
}

/// Whether a line says within how many days: a date beside it is that of the document.
fn counts_days(line: &Line) -> bool {
    let words: Vec<&str> = line.shown.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let is_number = |word: &str| word.chars().all(|c| c.is_ascii_digit());
    let is_days = |word: &str| DAYS.contains(&word.to_lowercase().as_str());
    words.windows(2).any(|pair| matches!(pair, [count, days] if is_number(count) && is_days(days)))
}

/// Whether the sentence of a place, or the line if there is none, has amounts, and none of them is this one.
fn speaks_of_another(text: &Text<'_>, at: usize, found: Option<Found>, amount: Money) -> bool {
    let (Some(line), Some(marks)) = (text.lines.get(at), text.marks.get(at)) else { return false };
    let piece = found.and_then(|found| marks.piece(found));
    let piece = piece.map_or(0..line.shown.len(), |piece| piece.start..piece.end);
    let amounts = amount::amounts(line.shown.get(piece).unwrap_or_default(), text.currencies(None));
    !line.is_row() && !amounts.is_empty() && !amounts.contains(&amount)
}

/// Whether the subject or a line of the mail has one of the labels, and not in an address.
fn mention(labels: &Labels, subject: &Line, lines: &[Line]) -> bool {
    let has =
        |line: &Line, label: &Label| line.may_have(label) && line.places(label).any(|found| !line.is_in_address(found));
    labels.iter().any(|label| has(subject, label) || lines.iter().any(|line| has(line, label)))
}

/// Whether a line enters what was paid into an account, as bills list it above what is owed now: `Payment received,
/// thank you  -39.99`, or the amount of the previous balance above it.
fn is_entry(lines: &[Line], at: usize) -> bool {
    let signed = |line: &Line| amount::signed(&line.shown, any_currency());
    let Some(line) = lines.get(at) else { return false };
    let amounts = signed(line);
    let carried = &Templates::any_language().carried;
    let before = lines.get(..at).unwrap_or_default().iter().rev().take(ROWS_OF_ACCOUNT);
    let mut balances = before.filter(|line| line.has_any(carried)).flat_map(signed);
    amount::has_negative(&line.shown) || balances.any(|balance| amounts.iter().any(|paid| paid.money == balance.money))
}

/// The currency that the document says all its amounts are in: `Currency: EUR`. Others may be mentioned.
fn denominated(lines: &[Line]) -> Option<Stated> {
    let labels = &Templates::any_language().denominated;
    let behind = lines.iter().filter_map(|line| Some(line.after(labels.iter().find_map(|label| line.find(label))?)));
    let alone = behind.map(|value| value.trim_matches(|c: char| !c.is_alphanumeric() && c != '€'));
    let mut named = alone.filter(|value| !value.contains(char::is_whitespace)).filter_map(amount::only_named);
    let first = named.next()?;
    named.all(|other| other == first).then_some(Stated::One(first))
}

/// What stands behind a label.
struct Behind<'l> {
    /// The line of the label.
    at: usize,
    label: Found,
    text: &'l str,
}

/// What stands behind any of the labels, in the order of the lines.
fn values<'l>(lines: &'l [Line], marks: &[Marks], labels: &Labels) -> Vec<Behind<'l>> {
    let of_line = |at: usize| {
        let places = labels.iter().filter_map(move |label| lines.get(at)?.find(label));
        let places = places.filter(move |found| !marks.get(at).is_some_and(|marks| marks.is_aside(*found)));
        places.filter_map(move |label| {
            let value = value(lines, at, label)?;
            // Of several rows below a heading none is worth more than the others.
            let next = value.column.and_then(|column| lines.get(at + 2)?.cell_in(column));
            let is_one = next.is_none_or(|next| !next.contains(|c: char| c.is_ascii_digit()));
            // `It is due. The course begins on 11 January 2027`
            let is_beside = value.start == label.end && !lines.get(at)?.is_row();
            let text = if is_beside { own_sentence(value.text) } else { value.text };
            is_one.then_some(Behind { at, label, text })
        })
    };
    (0..lines.len()).flat_map(of_line).collect()
}

/// As much of what stands behind a label as is in its sentence, if another one begins behind it.
fn own_sentence(text: &str) -> &str {
    let mut all = sentences(text);
    let first = all.next().unwrap_or(text);
    let begins = |text: &str| text.trim_start().starts_with(char::is_uppercase);
    if text.strip_prefix(['.', '!', '?', ';']).is_some_and(begins) {
        return "";
    }
    if all.next().is_some_and(begins) { first } else { text }
}

/// An account number: the first word behind the label, and further ones as long as they are digits.
fn number(value: &str) -> Option<String> {
    let value = value.trim_start_matches(|c: char| !c.is_alphanumeric());
    let mut number = String::new();
    for word in value.split_whitespace() {
        let word = word.trim_end_matches([',', '.', ';', ')']);
        let good = word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '/' | '.'));
        let digits = word.chars().any(|c| c.is_ascii_digit());
        if !good || !digits || number.len() + word.len() > 40 {
            break;
        }
        number.push_str(word);
    }
    (!number.is_empty()).then_some(number)
}

fn iban(lines: &[Line]) -> Option<Iban> {
    let labels = Labels::from(vec!["iban".to_owned()]);
    values(lines, &[], &labels).into_iter().find_map(|value| iban_at(value.text))
}

/// The IBAN that a text begins with.
fn iban_at(text: &str) -> Option<Iban> {
    let text = text.trim_start_matches(|c: char| !c.is_alphanumeric());
    let mut text: String =
        text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == ' ').filter(|c| *c != ' ').take(34).collect();
    // What follows on the line, such as a BIC, may look like more of it.
    while text.len() >= 15 {
        if let Ok(iban) = text.parse() {
            return Some(iban);
        }
        text.pop();
    }
    None
}

/// What begins as the number of an account in a line, and the account if it is one.
fn accounts(line: &Line) -> impl Iterator<Item = Option<Iban>> {
    line_starts(line).map(iban_at)
}

/// Where a line may have the number of an account, up to its end.
fn line_starts(line: &Line) -> impl Iterator<Item = &str> {
    let begins = |text: &&str| {
        matches!(text.as_bytes(), [a, b, c, d, ..] if a.is_ascii_uppercase() && b.is_ascii_uppercase()
            && c.is_ascii_digit() && d.is_ascii_digit())
    };
    let starts = std::iter::once(0).chain(line.shown.match_indices([' ', GAP, ':']).map(|(at, _)| at + 1));
    starts.filter_map(|at| line.shown.get(at..)).filter(begins)
}

/// Whether a text has what is left of the number of the reader's card or account: `•••• 2204`, `**** 4471`, `ending in
/// 2204`.
fn names_own_account(text: &str) -> bool {
    let is_number = |end: &str| {
        let digits = end.trim_start_matches(['•', '*', ' ']);
        digits.bytes().take_while(u8::is_ascii_digit).count() >= NUMBER_DIGITS
    };
    let lower = text.to_lowercase();
    let is_named = |words: &&str| lower.split_once(*words).is_some_and(|(_, end)| is_number(end));
    ["••", "**"].iter().filter_map(|mask| text.split_once(mask)).any(|(_, end)| is_number(end))
        || ENDING_IN.iter().any(is_named)
}

/// Whether a line has something in the form of an account's number, be it one or not: `DE12 3456 7890 1234 5678 90`.
fn names_account(line: &Line) -> bool {
    let is_long = |text: &str| {
        let form = text.chars().take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == ' ');
        form.filter(char::is_ascii_digit).take(ACCOUNT_DIGITS).count() == ACCOUNT_DIGITS
    };
    line_starts(line).any(is_long)
}

/// Whether a text names an account to pay to.
fn names_payee(lines: &[Line]) -> bool {
    lines.iter().any(names_account)
}

/// What all accounts of a text are in, whether they are to be paid to or debited.
fn account_currency(lines: &[Line]) -> Option<Currency> {
    let mut all = lines.iter().flat_map(accounts).flatten().map(|iban| iban.currency());
    let first = all.next()??;
    all.all(|other| other == Some(first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_never_the_total() {
        let read = |text: &str| read(text).and_then(Result::ok);
        for text in [
            "Sub Total : EUR 10.00\nInvoice total: EUR 12.00",
            "Net Total EUR 10.00\nTotal EUR 12.00",
            "Total HT 10,00 €\nTotal TVA 2,00 €\nTotal TTC 12,00 €",
            "Gesamt netto 10,00 €\nGesamt: 12,00 €",
            "Total IVA 2,00 €\nTotal a pagar 12,00 €",
            // The total itself says that tax is in it.
            "Total incl. VAT: EUR 12.00",
        ] {
            assert_eq!(read(text).as_deref(), Some("12.00 EUR"), "{text}");
        }
        for text in
            ["Untaxed total €10.00", "Total TVA 2,00 €", "Net total:\n10.00 EUR", "Total:\nNet total:\n10.00 EUR"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    fn read(text: &str) -> Option<Result<String, Refusal>> {
        let bill = crate::extract::words("Invoice, Rechnung, facture, factura", text);
        bill.map(|bill| bill.map(|bill| bill.amount.to_string()))
    }

    #[test]
    fn a_label_that_parts_have_too_is_believed_if_nothing_is_larger() {
        for text in [
            "Total: EUR 12.00",
            "Total calls EUR 2.00\nTotal data EUR 3.00\nTotal: EUR 12.00",
            "12,00 € TTC\n10,00 € HT",
            "Date   Amount due   Due by\n01.11.2026   12,00 €   15.12.2026",
            "Total HT 10,00 € TVA 2,00 € Total TTC 12,00 €",
            "Total HT   TVA   Total TTC\n10,00 €   2,00 €   12,00 €",
            "Total TTC\n10,00 € 2,00 € 12,00 €",
            // The tax says which of two it is.
            "Total 10.00 EUR\nVAT 20 % 2.00 EUR\nTotal 12.00 EUR",
            // The currency stands once for the whole document, or the account to pay to says it.
            "All amounts in EUR\nDescription 10.00\nAmount due 12.00",
            "Zu zahlen: 12,00\nIBAN: DE89 3704 0044 0532 0130 00",
        ] {
            assert_eq!(read(text), Some(Ok("12.00 EUR".into())), "{text}");
        }
        for (text, refusal) in [
            ("Total: EUR 12.00\nContract value EUR 500.00", Refusal::AmbiguousAmount),
            ("Total 10.00 EUR\nTotal 12.00 EUR", Refusal::AmbiguousAmount),
            ("Total 10.00 EUR\nVAT 1.00 EUR\nTotal 12.00 EUR", Refusal::AmbiguousAmount),
            ("Amount due 12.00", Refusal::Currency),
            ("Prices in EUR and USD\nAmount due 12.00", Refusal::Currency),
            ("Zu zahlen: 12,00\nIBAN: CH93 0076 2011 6238 5295 7", Refusal::Currency),
        ] {
            assert_eq!(read(text), Some(Err(refusal)), "{text}");
        }
    }

    #[test]
    fn a_word_for_the_bill_says_what_an_amount_is_of() {
        for text in [
            "Facture : 12,00 EUR\nSous-total : 10,00 EUR",
            "Facture Total 12,00 EUR\nTotal 10,00 EUR 2,00 EUR",
            "Total des frais actuels 12,00 EUR\nTotal des frais avant impôt 10,00 EUR",
            "Sum of your invoice: EUR 12.00\nSum of goods: EUR 10.00",
            // Two columns are no thousands.
            "Item   Qty   Price\nLamp   1   700.00\nVoucher   -688.00\nTotal   12.00 EUR",
            "2 lessons x 6.00 EUR = 12.00 EUR\nPlease pay by 3 December 2026",
        ] {
            assert_eq!(read(text), Some(Ok("12.00 EUR".into())), "{text}");
        }
    }

    #[test]
    fn two_days_on_which_a_bill_is_due_are_none() {
        let due = |text: &str| crate::extract::words("Invoice", text).and_then(Result::ok).map(|bill| bill.due);
        let one = due("Amount due: 12.00 EUR\nDue date: 3 December 2026\nPay by 3 December 2026");
        assert!(one.is_some_and(|due| due.is_some_and(|due| due.to_string() == "2026-12-03")));
        assert_eq!(due("Amount due: 12.00 EUR\nDue date: 3 November 2026\nPay by 3 December 2026"), Some(None));
    }

    #[test]
    fn an_account_is_a_bill_whatever_it_is_called() {
        let read =
            |text: &str| crate::extract::words("Water", text).and_then(Result::ok).map(|bill| bill.amount.to_string());
        for text in [
            "Opening balance 5.00 EUR\nPayments -5.00 EUR\nPlease pay 12.00 EUR",
            "Customer number 4711\nYou owe 12.00 EUR",
            "Amount payable: 12.00 EUR\nDue date 3 December 2026",
            "Amount payable\n12.00 EUR\nDue date\n3 December 2026",
        ] {
            assert_eq!(read(text).as_deref(), Some("12.00 EUR"), "{text}");
        }
        for text in ["Please pay 12.00 EUR for the flowers", "Total: 12.00 EUR\nDue date 3 December 2026"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn what_asks_for_a_payment_until_a_day_is_a_bill_whatever_it_is_called() {
        let read = |subject: &str, text: &str| {
            crate::extract::words(subject, text).and_then(Result::ok).map(|bill| bill.amount.to_string())
        };
        for text in [
            "Membership 12.00 EUR\nPlease transfer 12.00 EUR by 3 December 2026.",
            "We will debit 12.00 EUR on 3 December.",
            "Your plan will renew on 3 December 2026, and we charge your card 12.00 EUR.",
            "Wir bitten um Überweisung von\t12,00 EUR\nbis zum 3. Dezember 2026",
            // A part was paid, or something else is refunded.
            "Outstanding\t12.00 EUR\nPay by 3 December 2026\nYour payment of 7.00 EUR was received.",
            "Your order was shipped.\nStill to pay\t12.00 EUR\nPay by 3 December 2026",
        ] {
            let of_account = format!("{text}\nCustomer number 4711");
            assert_eq!(read("Hello", &of_account).as_deref(), Some("12.00 EUR"), "{text}");
        }
        for of_account in ["to DE89 3704 0044 0532 0130 00", "Card •••• 2204", "Due date\t3 December 2026"] {
            let text = format!("Please transfer 12.00 EUR by 3 December 2026.\n{of_account}");
            assert_eq!(read("Hello", &text).as_deref(), Some("12.00 EUR"), "{text}");
        }
        for choice in [
            "Please transfer 12.00 EUR by 3 December 2026.",
            "Please transfer 12.00 EUR by 3 December 2026.\nCustomer number 4711\nThe demand has been withdrawn.",
            "Please donate 12.00 EUR by 3 December 2026.\nCustomer number 4711",
        ] {
            assert_eq!(read("Hello", choice), None, "{choice}");
        }
        for (subject, text) in [
            ("Hello", "Please pay 12.00 EUR for the flowers"),
            ("Hello", "Delivery until 3 December 2026. Total 12.00 EUR"),
            ("Hello", "We agreed to pay you 12.00 EUR by 3 December 2026"),
            ("Price change", "We will debit 12.00 EUR on 3 December 2026."),
            ("Spendenaufruf", "Bitte überweisen Sie 12,00 EUR bis zum 3. Dezember 2026."),
            (
                "Avis",
                "L'avis d'échéance de 12,00 EUR a été annulé. Vous n'avez rien à régler avant le 3 décembre 2026.",
            ),
        ] {
            assert_eq!(read(subject, text), None, "{text}");
        }
    }

    #[test]
    fn a_day_of_something_else_is_not_due() {
        let due = |text: &str| {
            let bill = crate::extract::words("Invoice, facture", text).and_then(Result::ok);
            bill.and_then(|bill| bill.due).map(|due| due.to_string())
        };
        let pay = "Amount due: 12.00 EUR";
        assert_eq!(due(&format!("{pay}\nPay by 3 December 2026")).as_deref(), Some("2026-12-03"));
        let course = format!("{pay}\nIt is due. The course begins on 3 December 2026");
        assert_eq!(due(&course), None);
        for other in [
            // Of another amount, of the document, and until which something else is to be done.
            "Your second payment of 7.00 EUR is due by 3 May 2027 and is no part of this",
            "Please transfer it within 14 days of the date of this letter (3 December 2026)",
            "Pour changer de formule, dites-le dans votre espace avant le 3 décembre 2026",
            "Your dog's next booster is due on 3 December 2026",
        ] {
            assert_eq!(due(&format!("{pay}\n{other}")), None, "{other}");
        }
    }

    #[test]
    fn one_word_makes_a_mail_none_only_if_it_is_about_it() {
        assert_eq!(
            read("Montant à payer 12,00 €\nVous devez avoir payé avant le 15 décembre de cette année"),
            Some(Ok("12.00 EUR".into()))
        );
        for text in [
            "Avoir\nMontant à payer 12,00 €",
            "Total à payer 12,00 €\nNous vous devons un avoir de 12,00 € sur votre prochaine commande",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn words_of_other_languages_and_addresses_leave_no_choice() {
        let read =
            |text: &str| crate::extract::words("Hello", text).and_then(Result::ok).map(|bill| bill.amount.to_string());
        for aside in ["Questions? pay.example/help", "If it doesn't arrive, don't worry."] {
            let text = format!("Please transfer 12.00 EUR by 3 December 2026.\nCustomer number 4711\n{aside}");
            assert_eq!(read(&text).as_deref(), Some("12.00 EUR"), "{aside}");
        }
        let sample = "We will debit 12.00 EUR on 3 December 2026.\nCustomer number 4711\nThis is an example.";
        assert_eq!(read(sample), None);
    }

    #[test]
    fn what_was_ordered_or_paid_with_a_card_is_owed_only_if_a_day_says_so() {
        let read = |subject: &str, text: &str| {
            crate::extract::words(subject, text).and_then(Result::ok).map(|bill| bill.amount.to_string())
        };
        let sent = "Your order has been dispatched.\nTotal 12.00 EUR";
        assert_eq!(read("Your invoice", sent), None);
        let later = format!("{sent}\nPayable by\t3 December 2026");
        assert_eq!(read("Your invoice", &later).as_deref(), Some("12.00 EUR"));
        let card = "Total 12.00 EUR\nPayment method\tVisa";
        assert_eq!(read("Your invoice", card), None);
        let charged = format!("{card}\nWe will charge your card on 3 December 2026.");
        assert_eq!(read("Your invoice", &charged).as_deref(), Some("12.00 EUR"));
        let sent = "Total 12.00 EUR\nDue date 3 December 2026\nWe'll tell you when your customer opens it.";
        assert_eq!(read("Your invoice", sent), None, "the reader's own");
        let query = "Your invoice over 12.00 EUR: dear supplier, it will be paid.\nDue date 3 December 2026";
        assert_eq!(read("Your invoice", query), None, "of a customer of the reader's");
        assert_eq!(read("Hello", "bill@shop.example\nTotal 12.00 EUR"), None, "a name in an address");
    }

    #[test]
    fn what_has_yet_to_happen_did_not() {
        for text in [
            "Zahlungseingang spätestens am 15.12.2026\nZu zahlen 12,00 EUR",
            "Nach Zahlungseingang über 12,00 EUR senden wir sie.\nZu zahlen 12,00 EUR",
            "Montant à payer 12,00 EUR\nMerci d'avoir choisi notre maison.",
            "Amount due 12.00 EUR\nDue date 3 December 2026\nThe previous invoice has been paid, thank you.",
        ] {
            assert_eq!(read(text), Some(Ok("12.00 EUR".into())), "{text}");
        }
        assert_eq!(read("Zahlungseingang\nZu zahlen 12,00 EUR"), None);
    }

    #[test]
    fn what_was_chosen_is_no_choice() {
        let asks = "We will debit 12.00 EUR on 3 December 2026 for";
        let read = |text: &str| crate::extract::words("Hello", text).and_then(Result::ok).is_some();
        for text in ["order #30014", "what you bought.\nSecurity deposit", "it with your Pension Credit"] {
            assert!(read(&format!("{asks} {text}\nCustomer number 4711")), "{text}");
        }
        assert!(!read(&format!("{asks} the order\nCustomer number 4711")));
        // Rows that come to it say whose it is as well, and what is left of the number of a card.
        assert!(read("Hall 10.00 EUR\nTea 2.00 EUR\nYou owe 12.00 EUR\nPlease pay by 3 December 2026."));
        assert!(read("We will debit 12.00 EUR from your card ending in 4711 on 3 December 2026."));
    }

    #[test]
    fn items_of_a_bill_and_what_was_agreed_on_leave_no_choice() {
        for text in [
            "Amount to pay 12.00 EUR\nThe quote approved by the board was 90.00 EUR",
            "Bookkeeping\t8.00 EUR\nPayslip\t4.00 EUR\nTotal\t12.00 EUR",
            "Amount to pay: 12.00 EUR\nThank you for your payment of 9.00 EUR",
        ] {
            assert_eq!(read(text), Some(Ok("12.00 EUR".into())), "{text}");
        }
        for text in ["Quote\nTotal 12.00 EUR", "Amount to pay: 12.00 EUR\nThank you for your payment of 12.00 EUR"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn rows_that_come_to_what_is_asked_for_say_whose_it_is() {
        let read = |text: &str| crate::extract::words("Hello", text).and_then(Result::ok).is_some();
        assert!(read("We will debit 12.00 EUR on 3 December 2026.\n- Fee 10.00 EUR\n- Locker 2.00 EUR"));
        assert!(!read("Please transfer 12.00 EUR by 3 December 2026.\n- Fee 10.00 EUR\n- Locker 3.00 EUR"));
    }

    #[test]
    fn what_a_sender_says_below_the_amounts_is_not_about_them() {
        let due = "Invoice total: 12.00 EUR\nDue date: 3 December 2026";
        let offer = "Our quote for a new roof: 5.00 EUR";
        assert_eq!(read(&format!("{due}\n{offer}")), Some(Ok("12.00 EUR".into())));
        for text in [format!("{offer}\n{due}"), format!("Invoice total: 12.00 EUR\n{offer}")] {
            assert_eq!(read(&text), None, "{text}");
        }
        let asks = "We will debit 12.00 EUR on 3 December 2026.";
        let renews = format!("{asks}\nCustomer number 4711\nYou may cancel at any time. See our offer.");
        let read = |text: &str| crate::extract::words("Hello", text).and_then(Result::ok).is_some();
        assert!(read(&renews), "what is collected by itself");
        assert!(!read(&format!("See our offer.\n{asks}\nCustomer number 4711")), "above it");
    }

    #[test]
    fn a_pro_forma_invoice_that_is_to_be_paid_until_a_day_is_a_bill() {
        let text = "Proforma no. 4711\nTotal: 12.00 EUR";
        assert_eq!(read(text), None);
        assert_eq!(read(&format!("{text}\nDue date: 3 December 2026")), Some(Ok("12.00 EUR".into())));
    }

    #[test]
    fn rows_and_an_account_to_pay_to_ask_without_a_day() {
        let read = |text: &str| crate::extract::words("Hello", text).and_then(Result::ok).is_some();
        let rows = "Check-up 10.00 EUR\nPills 2.00 EUR\nTotal 12.00 EUR\nPlease transfer it";
        assert!(read(&format!("{rows} to BE68 5390 0754 7034")));
        assert!(!read(rows) && !read("Total 12.00 EUR\nPlease transfer it to BE68 5390 0754 7034"));
    }

    #[test]
    fn a_day_from_which_it_is_collected_is_due_and_one_of_a_payment_that_was_made_is_not() {
        let due = |text: &str| {
            let bill = crate::extract::words("Votre facture", text).and_then(Result::ok);
            bill.and_then(|bill| bill.due).map(|due| due.to_string())
        };
        let text = "Paiement reçu le 9 novembre 2026\t-10,00 EUR\nTotal à payer\t12,00 EUR\nCe montant sera prélevé à \
                    compter du 8 décembre 2026";
        assert_eq!(due(text).as_deref(), Some("2026-12-08"));
    }

    #[test]
    fn a_reminder_is_due_on_its_last_day() {
        let due = |text: &str| {
            let bill = crate::extract::words("Reminder: invoice 4711", text).and_then(Result::ok);
            bill.and_then(|bill| bill.due).map(|due| due.to_string())
        };
        let text = "Amount due: 12.00 EUR\nDue date: 3 November 2026\nPlease transfer it by 15 December 2026.";
        assert_eq!(due(text).as_deref(), Some("2026-12-15"));
        let later = "Amount due: 12.00 EUR\nThe second half is payable from 3 December 2026";
        assert_eq!(due(later), None);
    }

    #[test]
    fn numbers_and_accounts_stand_behind_their_labels() {
        assert_eq!(number("# 12 34 5678 Mr"), Some("12345678".into()));
        assert_eq!(number("none"), None);
        let lines = lines("IBAN: DE89 3704 0044 0532 0130 00 BIC COBADEFF\nTotal:\n12,00 €");
        assert_eq!(iban(&lines).expect("found").to_string(), "DE89370400440532013000");
        let behind = values(&lines, &[], &Labels::from(vec!["total".to_owned()]));
        assert_eq!(behind.iter().map(|value| value.text).collect::<Vec<_>>(), ["12,00 €"]);
    }
}
