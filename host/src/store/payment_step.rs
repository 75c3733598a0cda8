//! What a buyer has to do before a payment is decided, as a store says it.

use portcullis_protocol::Origin;
use portcullis_protocol::limits::MAX_STEP_URL;
use portcullis_protocol::wire::PaymentStep;

/// A step that a person can take: its address is one of the web, short, and shown as it is. Another one is none; an
/// address that was changed would lead elsewhere.
pub(crate) fn followed(step: PaymentStep) -> Option<PaymentStep> {
    let url = &step.url;
    let is_plain = url.len() <= MAX_STEP_URL && url.chars().all(|c| c.is_ascii_graphic());
    let end = url.match_indices('/').nth(2).map_or(url.len(), |(at, _)| at);
    let site = url.get(..end)?.split(['?', '#']).next()?;
    // HTTPS, or this very machine.
    (is_plain && site.parse::<Origin>().is_ok()).then_some(step)
}

#[cfg(test)]
mod tests {
    use super::followed;
    use portcullis_protocol::wire::{PaymentStep, PaymentStepKind};

    #[test]
    fn addresses_of_the_web_are_followed_and_shown_whole() {
        let is_followed = |url: &str| {
            let step = PaymentStep { kind: PaymentStepKind::Redirect, url: url.to_owned() };
            followed(step.clone()).is_some_and(|followed| followed == step)
        };
        for url in [
            "https://pay.example/c/pay/cs_live_a1#fidk=%2F",
            "https://pay.example?order=1",
            "https://pay.example:8443",
            "http://127.0.0.1:4711/sandbox/AAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert!(is_followed(url), "{url}");
        }
        let long = format!("https://pay.example/{}", "x".repeat(1_500));
        for url in [
            "",
            "/pay",
            "javascript:alert(1)",
            "http://pay.example/",
            "https://someone@pay.example/",
            "https://pay.example/a b",
            "https://pay.example/\u{1b}[2J",
            "https://pay.example/\u{202e}",
            "file:///etc/passwd",
            &long,
        ] {
            assert!(!is_followed(url), "{url}");
        }
    }
}
