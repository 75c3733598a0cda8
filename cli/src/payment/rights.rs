//! The words for rights models: how each is written on the command line and in `portcullis.toml`, and what a person
//! and a program read of it. Nothing else in the command line knows a model.

use clap::Args;
use portcullis_protocol::Rights;
use portcullis_protocol::limits::LONGEST_TERM;
use portcullis_protocol::wire::EntitlementInfo;
use serde::Serialize;
use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;
use toml::Spanned;

use crate::screen::moment::minute;
use crate::screen::shell::quoted;

/// The models, as advice names them.
const MODELS: &str = "free, perpetual, uses, metered, rental";

/// Rights as they are typed.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Typed {
    /// How it is sold: free, perpetual, uses, metered, rental
    #[arg(long, requires = "operation")]
    model: Option<String>,
    /// How many uses one order buys
    #[arg(long, value_name = "N", requires = "operation", value_parser = at_least_one)]
    count: Option<u64>,
    /// How soon after buying a rental has to be started, as in 30d
    #[arg(long, value_name = "TIME", requires = "operation")]
    start_within: Option<Time>,
    /// For how long after its start a rental can be used, as in 48h
    #[arg(long, value_name = "TIME", requires = "operation")]
    use_within: Option<Time>,
}

/// A time as people write it, in seconds: `30d`, `48h`, `90m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time(u32);

/// A count of what is sold.
fn at_least_one(text: &str) -> Result<u64, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| "write a whole number, at least 1".to_owned())
}

impl Time {
    pub(crate) fn seconds(self) -> u64 {
        self.0.into()
    }
}

impl FromStr for Time {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let time = humantime::parse_duration(text).map_err(|_| "write a time such as 30d, 48h or 90m".to_owned())?;
        let seconds = u32::try_from(time.as_secs()).ok().filter(|seconds| (1..=LONGEST_TERM).contains(seconds));
        seconds.map(Self).ok_or_else(|| "write a time between one second and ten years".to_owned())
    }
}

/// The keys of a table, one by one. `portcullis.toml` is read by one that names the line of each mistake.
pub(crate) trait Fields {
    /// A mistake.
    type Error;
    /// Where the table begins.
    fn span(&self) -> Range<usize>;
    /// A text.
    fn text(&mut self, key: &'static str) -> Result<Option<Spanned<String>>, Self::Error>;
    /// A number.
    fn number(&mut self, key: &'static str) -> Result<Option<Spanned<u64>>, Self::Error>;
    /// A text that says something in a form of its own.
    fn parsed<T: FromStr<Err: Display>>(&mut self, key: &'static str) -> Result<Option<Spanned<T>>, Self::Error>;
}

impl Typed {
    /// Reads them from an `[[offer]]`; beside them, where they stand.
    pub(crate) fn take<F: Fields>(section: &mut F) -> Result<(Self, Range<usize>), F::Error> {
        let model = section.text("model")?;
        let mut place = model.as_ref().map_or_else(|| section.span(), Spanned::span);
        let count = section.number("count")?;
        // A count that cannot be is what is wrong, whatever the model.
        if let Some(count) = count.as_ref().filter(|count| u32::try_from(*count.get_ref()).is_err()) {
            place = count.span();
        }
        let count = count.map(Spanned::into_inner);
        let start_within = section.parsed::<Time>("start_within")?.map(Spanned::into_inner);
        let use_within = section.parsed::<Time>("use_within")?.map(Spanned::into_inner);
        Ok((Self { model: model.map(Spanned::into_inner), count, start_within, use_within }, place))
    }

    /// Whether their model is that of these rights.
    pub(crate) fn is_of(&self, rights: Rights) -> bool {
        self.model.as_deref() == Some(rights.model())
    }

    /// What they mean in place of these: of the same model, what is left out stays. The error is a message and its fix.
    pub(crate) fn revising(&self, before: Rights) -> Result<Rights, (String, String)> {
        let mut typed = self.clone();
        match before {
            _ if !self.is_of(before) => {}
            Rights::Rental { start_within, use_within } => {
                typed.start_within.get_or_insert(Time(start_within));
                typed.use_within.get_or_insert(Time(use_within));
            }
            _ => typed.count = typed.count.or(before.quantity()),
        }
        typed.rights()
    }

    /// What they mean. The error is a message and its fix.
    pub(crate) fn rights(&self) -> Result<Rights, (String, String)> {
        let wrong = |message: &str, fix: &str| Err((message.to_owned(), fix.to_owned()));
        let times = (self.start_within, self.use_within);
        if self.model.as_deref() != Some("rental") && times != (None, None) {
            return wrong("only the model `rental` has times", "leave them out, or rent it: the model `rental`");
        }
        match (self.model.as_deref(), self.count) {
            (Some("uses"), Some(count)) => match u32::try_from(count) {
                Ok(count) => Ok(Rights::Uses { count }),
                Err(_) => wrong("`count` is too large", "one order sells at most 4,294,967,295 uses"),
            },
            (Some("uses"), None) => wrong(
                "the model `uses` has no count",
                "say how many uses one order buys: --count 10, or count = 10 in portcullis.toml",
            ),
            (Some("free" | "perpetual" | "metered" | "rental"), Some(_)) => {
                wrong("only the model `uses` has a count", "leave the count out")
            }
            (Some("free"), None) => Ok(Rights::Free {}),
            (Some("perpetual"), None) => Ok(Rights::Perpetual {}),
            (Some("metered"), None) => Ok(Rights::Metered {}),
            (Some("rental"), None) => match times {
                (Some(Time(start_within)), Some(Time(use_within))) => Ok(Rights::Rental { start_within, use_within }),
                _ => wrong(
                    "the model `rental` has no times",
                    "say both: --start-within 30d --use-within 48h; in portcullis.toml start_within and use_within",
                ),
            },
            (None, _) => Err(("the offer has no model".to_owned(), format!("choose one of {MODELS}"))),
            (Some(other), _) => Err((format!("the model `{other}` is not known"), format!("choose one of {MODELS}"))),
        }
    }
}

/// Rights for programs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figures {
    /// The model's name.
    model: &'static str,
    /// How much one order buys, if that is counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u64>,
    /// The times of a rental, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    start_within: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    use_within: Option<u32>,
}

impl Figures {
    /// As they are typed: `--model uses --count 2`.
    pub(crate) fn arguments(&self) -> String {
        let mut text = format!("--model {}", self.model);
        if let Some(count) = self.count {
            text += &format!(" --count {count}");
        }
        let times = [("start", self.start_within), ("use", self.use_within)];
        for (name, seconds) in times.into_iter().filter_map(|(name, seconds)| Some((name, seconds?))) {
            let time = humantime::format_duration(Duration::from_secs(u64::from(seconds)));
            text += &format!(" --{name}-within {}", quoted(time));
        }
        text
    }
}

impl From<Rights> for Figures {
    fn from(rights: Rights) -> Self {
        let (start_within, use_within) = match rights {
            Rights::Rental { start_within, use_within } => (Some(start_within), Some(use_within)),
            _ => (None, None),
        };
        Self { model: rights.model(), count: rights.quantity(), start_within, use_within }
    }
}

/// What a price is for, to be added to it: ` a use`, ` for 10 uses`, ` a unit`; nothing if it is for good.
pub(crate) fn per(rights: Rights) -> String {
    match rights {
        Rights::Uses { count: 1 } => " a use".to_owned(),
        Rights::Uses { count } => format!(" for {count} uses"),
        Rights::Metered {} => " a unit".to_owned(),
        Rights::Rental { .. } => format!(" {rights}"),
        _ => String::new(),
    }
}

/// What a buyer should know of rights whose time is bounded: when it begins.
pub(crate) fn begin(rights: Rights) -> Option<&'static str> {
    matches!(rights, Rights::Rental { .. }).then_some("with its first use, which comes before uses that you hold")
}

/// What a person should know of what pays, if a grant under this model does not take what he may expect.
pub(crate) fn pay(model: &str) -> Option<&'static str> {
    (model == "rental").then_some("a rental pays for this: its time runs since its first use, and no uses are drawn")
}

/// What of rights that an account holds can still be used.
pub(crate) fn left(held: &EntitlementInfo) -> String {
    let rights = held.rights;
    match (held.revoked, rights.quantity(), held.remaining) {
        (true, ..) => "nothing: taken back".to_owned(),
        _ if let Some(ends) = held.ends => match held.started {
            Some(_) => format!("until {}", minute(ends)),
            None => format!("{rights}: start it before {}", minute(ends)),
        },
        (false, Some(total), Some(left)) => format!("{left} of {total} uses left"),
        (false, None, Some(left)) => format!("{rights}, {left} left"),
        (false, _, None) => rights.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{MODELS, Typed, begin, left, pay};
    use portcullis_protocol::Rights;
    use portcullis_protocol::wire::EntitlementInfo;

    #[test]
    fn every_model_can_be_written() {
        for (model, _) in Rights::MODELS {
            assert!(MODELS.split(", ").any(|word| word == *model), "{model} is in no advice");
            let typed = Typed { model: Some((*model).to_owned()), ..Typed::default() };
            // What it lacks may be wrong, not its name.
            if let Err((message, _)) = typed.rights() {
                assert!(message.contains("has no"), "{message}");
            }
        }
        let unknown = Typed { model: Some("season".to_owned()), ..Typed::default() };
        assert!(unknown.rights().expect_err("not known").0.contains("is not known"));
    }

    #[test]
    fn what_is_left_out_of_a_revision_stays() {
        let typed = |model: &str| Typed { model: Some(model.to_owned()), ..Typed::default() };
        let (five, rental) = (Rights::Uses { count: 5 }, Rights::Rental { start_within: 60, use_within: 120 });
        assert_eq!(typed("uses").revising(five).expect("five uses"), five);
        assert_eq!(typed("rental").revising(rental).expect("the same times"), rental);
        let ten = Typed { count: Some(10), ..typed("uses") };
        assert_eq!(ten.revising(five).expect("ten uses"), Rights::Uses { count: 10 });
        // Of another model nothing stays.
        assert!(typed("uses").revising(rental).expect_err("no count").0.contains("has no count"));
        assert!(typed("rental").revising(five).expect_err("no times").0.contains("has no times"));
    }

    #[test]
    fn a_right_says_what_is_left_of_it() {
        let right = |rights: Rights, remaining, revoked| {
            let [publisher, name, operation] = ["a", "b", "c"];
            left(&EntitlementInfo {
                publisher: publisher.parse().expect("a name"),
                name: name.parse().expect("a name"),
                operation: operation.parse().expect("a name"),
                rights,
                remaining,
                revoked,
                started: None,
                ends: None,
            })
        };
        assert_eq!(right(Rights::Uses { count: 10 }, Some(3), false), "3 of 10 uses left");
        assert_eq!(right(Rights::Perpetual {}, None, false), "for good");
        assert_eq!(right(Rights::Perpetual {}, None, true), "nothing: taken back");
    }

    #[test]
    fn a_rental_is_written_with_two_times() {
        let typed = |start: Option<&str>, within: Option<&str>| Typed {
            model: Some("rental".to_owned()),
            start_within: start.map(|text| text.parse().expect("a time")),
            use_within: within.map(|text| text.parse().expect("a time")),
            ..Typed::default()
        };
        let rental = typed(Some("30d"), Some("36h")).rights().expect("a rental");
        assert_eq!(rental, Rights::Rental { start_within: 2_592_000, use_within: 129_600 });
        assert_eq!(rental.to_string(), "for 36 hours, to be started within 30 days");
        assert!(begin(rental).is_some() && pay(rental.model()).is_some());
        assert!(begin(Rights::Uses { count: 1 }).is_none() && pay("uses").is_none());
        assert!(typed(Some("30d"), None).rights().expect_err("half").0.contains("has no times"));
        let other = Typed { model: Some("perpetual".to_owned()), ..typed(Some("30d"), None) };
        assert!(other.rights().expect_err("no times").0.contains("only the model `rental`"));
        for text in ["", "0s", "forever", "9999y", "11y"] {
            assert!(text.parse::<super::Time>().is_err(), "{text}");
        }
    }
}
