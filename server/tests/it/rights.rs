//! The rights models, as properties.

use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{Digest, Money, Offer, OfferId, Reason, Rights};
use portcullis_server::billing::entitlement::{Draw, Entitlement, EntitlementId};
use portcullis_server::billing::offer_revision::OfferRevision;
use portcullis_server::billing::prepaid::Prepaid;
use portcullis_server::billing::rights::{Ask, Basis, Bounds, Decision, Granting, bought, bounds, decide, of};
use portcullis_server::ops::clock::Timestamp;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn entitlement(id: u8, rights: Rights, used: u64, held: u64, revoked: bool) -> Entitlement {
    Entitlement {
        id: EntitlementId(Octets([id; 16])),
        publisher: "lumen".parse().expect("a name"),
        name: "lake".parse().expect("a name"),
        operation: "view".parse().expect("a name"),
        rights,
        holding: bought(&rights, NOW).unwrap_or_default(),
        used,
        held,
        revoked: revoked.then_some(NOW),
        since: NOW,
    }
}

fn offer(rights: Rights) -> OfferRevision {
    OfferRevision {
        offer: Offer {
            iss: "https://store.example".parse().expect("an origin"),
            id: OfferId::from_bytes([1; 16]),
            publisher: "lumen".parse().expect("a name"),
            name: "lake".parse().expect("a name"),
            operation: "view".parse().expect("a name"),
            title: "view".into(),
            rights,
            price: "1.00 EUR".parse().expect("a price"),
            iat: 0,
        },
        digest: Digest::of(b"an offer"),
        since: NOW,
    }
}

fn ask(quantity: u32) -> Ask {
    Ask { quantity, accepted: None, now: NOW }
}

fn granted(rights: &Rights, quantity: u32) -> Bounds {
    let held = entitlement(1, *rights, 0, 0, false);
    bounds(Granting { rights, entitlement: Some(&held), quantity, now: NOW }).expect("a grant")
}

fn any_entitlement() -> impl Strategy<Value = Entitlement> {
    let rights = prop_oneof![
        Just(Rights::Free {}),
        Just(Rights::Perpetual {}),
        Just(Rights::Metered {}),
        (1_u32..50).prop_map(|count| Rights::Uses { count })
    ];
    (any::<u8>(), rights, 0_u64..60, 0_u64..60, any::<bool>())
        .prop_map(|(id, rights, used, held, revoked)| entitlement(id, rights, used, held, revoked))
}

proptest! {
    #[test]
    fn nothing_is_carried_beyond_what_is_left(count in 1_u32.., used in any::<u64>(), held in any::<u64>(), quantity in any::<u32>()) {
        let held_by = entitlement(1, Rights::Uses { count }, used, held, false);
        let left = u128::from(count).saturating_sub(u128::from(used) + u128::from(held));
        match of(&held_by, ask(quantity)) {
            Decision::Carry(basis) => {
                prop_assert!(quantity > 0 && u128::from(quantity) <= left);
                prop_assert_eq!(basis.draw.units(), quantity);
                prop_assert_eq!(basis.draw.entitlement(), Some(held_by.id));
            }
            Decision::Refuse(reason) => {
                prop_assert!(quantity == 0 || u128::from(quantity) > left);
                prop_assert_eq!(reason, Reason::EntitlementExhausted);
            }
        }
    }

    #[test]
    fn what_was_taken_back_carries_nothing(mut held in any_entitlement(), quantity in any::<u32>()) {
        held.revoked = Some(NOW);
        prop_assert_eq!(of(&held, ask(quantity)), Decision::Refuse(Reason::EntitlementRevoked));
    }

    #[test]
    fn a_decision_rests_on_something_that_carries_by_itself(
        entitlements in prop::collection::vec(any_entitlement(), 0..6),
        quantity in 1_u32..60,
    ) {
        let offers = [offer(Rights::Perpetual {}), offer(Rights::Uses { count: 3 })];
        let alone = |e: &Entitlement| matches!(of(e, ask(quantity)), Decision::Carry(_));
        match decide(&offers, &entitlements, &[], ask(quantity)) {
            Decision::Carry(basis) => {
                let from: Vec<_> = entitlements.iter().filter(|e| Some(e.id) == basis.draw.entitlement() && alone(e)).collect();
                prop_assert!(!from.is_empty());
                // Nobody draws what he need not draw.
                if basis.draw.runs_out() {
                    let for_good = entitlements.iter().any(|e| alone(e) && e.rights == Rights::Perpetual {});
                    prop_assert!(!for_good);
                }
            }
            Decision::Refuse(_) => prop_assert!(!entitlements.iter().any(alone)),
        }
    }

    #[test]
    fn more_rights_never_turn_a_yes_into_a_no(
        entitlements in prop::collection::vec(any_entitlement(), 0..5),
        more in any_entitlement(),
        quantity in 1_u32..60,
    ) {
        let before = decide(&[], &entitlements, &[], ask(quantity));
        let mut with_more = entitlements;
        with_more.push(more);
        let after = decide(&[], &with_more, &[], ask(quantity));
        prop_assert!(!matches!((before, after), (Decision::Carry(_), Decision::Refuse(_))));
    }

    #[test]
    fn what_is_free_is_carried_and_draws_nothing(entitlements in prop::collection::vec(any_entitlement(), 0..4), quantity in 1_u32..) {
        match decide(&[offer(Rights::Uses { count: 1 }), offer(Rights::Free {})], &entitlements, &[], ask(quantity)) {
            Decision::Carry(basis) => prop_assert_eq!(basis.draw, Draw::Nothing),
            Decision::Refuse(reason) => prop_assert!(false, "{}", reason),
        }
    }

    #[test]
    fn money_moves_only_under_the_accepted_offer_and_never_beyond_the_balance(
        price in 1_i64..=1_000_000_000_000,
        amount in 0_i64..=1_000_000_000_000,
        held in 0_i64..=1_000_000_000_000,
        quantity in any::<u32>(),
        accepted in prop_oneof![Just(None), Just(Some(Digest::of(b"an offer"))), Just(Some(Digest::of(b"another")))],
        other_currency in any::<bool>(),
    ) {
        let mut metered = offer(Rights::Metered {});
        metered.offer.price = Money::new(price, "EUR".parse().expect("a currency")).expect("a price");
        let currency = if other_currency { "USD" } else { "EUR" }.parse().expect("a currency");
        let balance = Prepaid { currency, amount: amount.max(held), held };
        let ask = Ask { accepted, ..ask(quantity) };
        let cost = i128::from(price) * i128::from(quantity);
        let left = if other_currency { 0 } else { i128::from(balance.left()) };
        let covered = quantity > 0 && cost <= left;
        match decide(&[metered.clone()], &[], &[balance], ask) {
            Decision::Carry(Basis { draw: Draw::Money { offer, cost: taken }, rights, .. }) => {
                prop_assert!(covered && rights.is_paid_per_unit());
                prop_assert_eq!((Some(offer), i128::from(taken.minor_units())), (accepted, cost));
            }
            Decision::Carry(basis) => prop_assert!(false, "{:?}", basis),
            Decision::Refuse(Reason::BalanceTooLow) => prop_assert!(!covered && accepted == Some(metered.digest)),
            Decision::Refuse(reason) => {
                prop_assert_eq!(reason, Reason::PaymentRequired);
                prop_assert!(accepted != Some(metered.digest));
            }
        }
        // Nobody pays for what he has.
        let perpetual = entitlement(1, Rights::Perpetual {}, 0, 0, false);
        match decide(&[metered], &[perpetual], &[balance], ask) {
            Decision::Carry(basis) => prop_assert_eq!(basis.draw.money(), None),
            Decision::Refuse(reason) => prop_assert!(false, "{}", reason),
        }
    }

    #[test]
    fn a_grant_of_uses_is_bounded_by_its_quantity_and_every_grant_by_time(quantity in 1_u32..) {
        let of_uses = granted(&Rights::Uses { count: 1 }, quantity);
        prop_assert_eq!((of_uses.limits.uses, of_uses.renewable, of_uses.life), (Some(quantity), false, 300));
        let of_units = granted(&Rights::Metered {}, quantity);
        let limits = (of_units.limits.uses, of_units.limits.units);
        prop_assert_eq!((limits, of_units.renewable, of_units.life), ((None, Some(u64::from(quantity))), false, 300));
        for rights in [Rights::Free {}, Rights::Perpetual {}] {
            let bounds = granted(&rights, quantity);
            prop_assert_eq!((bounds.limits.uses, bounds.renewable, bounds.life), (None, true, 30));
        }
    }
}

#[test]
fn the_reason_says_the_most_that_can_be_said() {
    let refused = |entitlements: &[Entitlement]| match decide(&[], entitlements, &[], ask(1)) {
        Decision::Refuse(reason) => reason,
        Decision::Carry(basis) => panic!("{basis:?}"),
    };
    let used_up = entitlement(1, Rights::Uses { count: 1 }, 1, 0, false);
    let revoked = entitlement(2, Rights::Perpetual {}, 0, 0, true);
    assert_eq!(refused(&[]), Reason::PaymentRequired);
    assert_eq!(refused(std::slice::from_ref(&revoked)), Reason::EntitlementRevoked);
    assert_eq!(refused(&[revoked, used_up]), Reason::EntitlementExhausted);
}
