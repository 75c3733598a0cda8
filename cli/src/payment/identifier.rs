//! Identifiers as a person types them: copied from a list, and now and then a letter short.

use portcullis_protocol::nearest;
use std::fmt::Display;
use std::str::FromStr;

use crate::failure::{Failure, Outcome};

/// The one of `known` that is meant by `typed`, by its place. `what` is what it names, `lists` the command that shows
/// them.
///
/// # Errors
/// There is none of it: what it looks like, the one that is near, and where they all are.
pub(crate) fn pick<T>(typed: &str, known: &[T], what: &str, lists: &str) -> Outcome<usize>
where
    T: FromStr<Err: Display> + Display,
{
    let texts: Vec<String> = known.iter().map(ToString::to_string).collect();
    if let Some(at) = texts.iter().position(|text| text == typed) {
        return Ok(at);
    }
    let near = nearest(typed, texts.iter().map(String::as_str));
    let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
    let fix = format!("{near}`{lists}` lists them");
    Err(match typed.parse::<T>() {
        Ok(_) => Failure::new(format!("there is no {what} `{typed}`"), fix),
        Err(error) => Failure::usage(format!("there is no {what} `{typed}`: {error}"), fix),
    })
}

/// Reads an identifier that is looked up elsewhere; `lists` is the command that shows them.
///
/// # Errors
/// What one looks like, and where they are.
pub(crate) fn read<T: FromStr<Err: Display>>(text: &str, lists: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{error}; `{lists}` lists them"))
}

#[cfg(test)]
mod tests {
    use super::{pick, read};
    use portcullis_protocol::{OfferId, OrderId};

    #[test]
    fn what_is_typed_is_found_or_said_to_be_near_another() {
        let known =
            ["AaIpVF9W86DoTpGWcEelrQ", "AaIpVF9W86DoTpGWZZZZZQ"].map(|id| id.parse::<OfferId>().expect("an id"));
        let pick = |typed: &str| pick(typed, &known, "offer", "portcullis price acme/lake");
        assert_eq!(pick("AaIpVF9W86DoTpGWZZZZZQ").ok(), Some(1));
        for (typed, message, fix) in [
            (
                "AaIpVF9W86DoTpGWcEelrX",
                "`: not a valid identifier of an offer: 22 letters",
                "did you mean `AaIpVF9W86DoTpGWcEelrQ`? ",
            ),
            ("AaIpVF9W86DoTpGWcEel", "22 letters", "did you mean `AaIpVF9W86DoTpGWcEelrQ`? "),
            (
                "AaIpVF9W86DoTpGWcEElrQ",
                "there is no offer `AaIpVF9W86DoTpGWcEElrQ`",
                "did you mean `AaIpVF9W86DoTpGWcEelrQ`? ",
            ),
            ("nonsense", "22 letters", "`portcullis price acme/lake` lists them"),
        ] {
            let failure = pick(typed).expect_err(typed);
            assert!(failure.to_string().contains(message), "{failure}");
            assert!(failure.fix().starts_with(fix), "{}", failure.fix());
            assert!(failure.fix().ends_with("`portcullis price acme/lake` lists them"), "{}", failure.fix());
        }
        let error = read::<OrderId>("AAAA", "portcullis codes").expect_err("too short");
        assert!(
            error.contains("identifier of an order") && error.ends_with("`portcullis codes` lists them"),
            "{error}"
        );
    }
}
