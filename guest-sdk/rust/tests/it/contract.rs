//! The hand-written types against the WIT that they stand for.

use portcullis_guest::Refusal;

const TYPES: &str = include_str!("../../../../wit/types.wit");

/// The cases of the variant `refusal`, in order.
fn cases() -> Vec<&'static str> {
    let body = TYPES.split("variant refusal {").nth(1).unwrap().split("\n    }").next().unwrap();
    body.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("///"))
        .map(|line| line.trim_end_matches(',').split('(').next().unwrap())
        .collect()
}

#[test]
fn every_refusal_has_its_name_and_place() {
    use Refusal::*;
    // In the order of the enum: the canonical ABI numbers cases by their place.
    let refusals = [
        PaymentRequired(Vec::new()),
        RateLimited,
        TerminalUnknown,
        TerminalRevoked,
        NotSignedIn,
        AccountSuspended,
        StatusCodeUnknown,
        StatusCodeExpired,
        StatusCodeSpent,
        BindingMismatch,
        ResourceUnknown,
        ResourceWithdrawn,
        OperationUnknown,
        BalanceTooLow,
        EntitlementExpired,
        EntitlementExhausted,
        EntitlementRevoked,
        SeatsTaken,
        ConfirmationRequired,
        LeaseExhausted,
        ClockSuspect,
        Offline,
        ServerUntrusted,
        PackageInvalid,
        Other("other".into()),
    ];
    let names: Vec<&str> = refusals.iter().map(Refusal::name).collect();
    assert_eq!(names, cases());
}

#[test]
fn a_person_reads_what_happened_and_what_to_do() {
    for name in cases() {
        assert!(!name.is_empty());
    }
    assert_eq!(Refusal::PaymentRequired(Vec::new()).to_string(), "it has to be paid for");
    assert!(Refusal::Offline.to_string().contains("try again"));
}
