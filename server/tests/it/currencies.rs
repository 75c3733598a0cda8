//! Currencies that exist and that the store sells in; and top-ups that failed leave nothing behind.

use crate::database::Of;
use crate::metered::{pay, purse, top_up};
use crate::world::{World, account, count, fresh, reason};
use portcullis_protocol::wire::{OfferTerms, OrderState};
use portcullis_protocol::{Currency, Money, Reason, Rights};
use portcullis_server::billing::currencies::Currencies;
use portcullis_server::billing::{balances, offers, orders};
use portcullis_server::{Core, ServiceError};

fn amount(minor_units: i64, currency: Currency) -> Money {
    Money::new(minor_units, currency).expect("in range")
}

fn recorded(code: &str) -> Currency {
    Currency::recorded(code).expect("three letters")
}

fn sells_in(world: &World, codes: &[&str]) -> Core {
    let currencies: Currencies = serde_json::from_value(serde_json::json!(codes)).expect("active ones");
    Core { currencies, ..world.core.clone() }
}

/// The no to a price of this amount.
async fn priced(core: &Core, world: &World, rights: Rights, price: Money) -> Result<String, String> {
    let (publisher, name) = ("lumen".parse().expect("a name"), "alpine-lake".parse().expect("a name"));
    let terms =
        OfferTerms { id: None, operation: "view".parse().expect("a name"), title: "view".into(), rights, price };
    match offers::replace(core, &world.owner, &publisher, &name, vec![terms]).await {
        Ok(offers) => Ok(offers[0].document().price.to_string()),
        Err(ServiceError::Unacceptable(why)) => Err(why.into_owned()),
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn failed_top_ups_leave_nothing_that_bars_the_next() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let codes: Vec<String> = Currency::active().take(40).map(|currency| currency.to_string()).collect();
    let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
    let core = sells_in(&world, &codes);
    for code in &codes[..20] {
        let mut request = pay("1.00 EUR", "decline");
        request.amount = amount(100, recorded(code));
        let declined = orders::order(&core, &machine.asker, &request, &fresh(&request)).await.expect("answered");
        assert_eq!(declined.state, OrderState::Declined);
    }
    assert_eq!(count(&world, "SELECT count(*) FROM prepaid"), 0);
    for code in &codes[20..36] {
        let mut request = pay("1.00 EUR", "ok");
        request.amount = amount(100, recorded(code));
        let paid = orders::order(&core, &machine.asker, &request, &fresh(&request)).await.expect("answered");
        assert_eq!(paid.state, OrderState::Paid, "{code}");
    }
    // The control: as many as an account may have.
    let mut request = pay("1.00 EUR", "ok");
    request.amount = amount(100, recorded(codes[36]));
    let refused = orders::order(&core, &machine.asker, &request, &fresh(&request)).await;
    assert_eq!(reason(refused), Reason::PaymentRequired);
    // A balance with nothing in it takes no place: neither one that was drawn, nor one of a failed top-up of old.
    world.database().change("UPDATE prepaid SET amount = 0 WHERE currency = ?1", &[Of::Text(codes[20])]);
    let paid = orders::order(&core, &machine.asker, &request, &fresh(&request)).await.expect("answered");
    assert_eq!(paid.state, OrderState::Paid);
    assert_eq!(balances::balances(&core, &machine.asker).await.expect("balances").balances.len(), 16);
}

#[tokio::test]
async fn a_price_is_in_a_currency_that_the_store_sells_in() {
    let world = World::new().await;
    let core = sells_in(&world, &["EUR", "CLF", "JPY", "KWD"]);
    for (code, units, shown) in
        [("EUR", 199, "1.99 EUR"), ("CLF", 15_000, "1.5000 CLF"), ("JPY", 199, "199 JPY"), ("KWD", 1_250, "1.250 KWD")]
    {
        let accepted = priced(&core, &world, Rights::Perpetual {}, amount(units, recorded(code))).await;
        assert_eq!(accepted.as_deref(), Ok(shown));
    }
    for code in ["EUE", "AAA", "XAU", "USD", "BGN"] {
        for rights in [Rights::Perpetual {}, Rights::Uses { count: 3 }, Rights::Metered {}] {
            let refused = priced(&core, &world, rights, amount(199, recorded(code))).await.expect_err(code);
            assert!(refused.contains(code) && refused.contains("CLF, EUR, JPY, KWD"), "{refused}");
        }
        let mut request = pay("1.00 EUR", "ok");
        request.amount = amount(100, recorded(code));
        let machine = world.machine_of(account(&world.core, &format!("{code}@example.org")).await).await;
        match orders::order(&core, &machine.asker, &request, &fresh(&request)).await {
            Err(ServiceError::Refused(refusal)) => {
                assert_eq!(refusal.reason, Reason::PaymentRequired);
                assert!(refusal.detail.expect("a detail").contains("CLF, EUR, JPY, KWD"));
            }
            other => panic!("{other:?}"),
        }
    }
    // Nothing is nothing in every currency that there is.
    priced(&core, &world, Rights::Perpetual {}, amount(0, recorded("EUE"))).await.expect_err("not even nothing");
    assert_eq!(count(&world, "SELECT count(*) FROM orders"), 0);
}

/// What was recorded before a currency was withdrawn stays readable.
#[tokio::test]
async fn a_balance_in_a_currency_that_is_no_more_is_still_there() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    top_up(&world, &machine, "5.00 EUR").await;
    world.database().change("UPDATE prepaid SET currency = 'BGN'", &[]);
    let balances = balances::balances(&world.core, &machine.asker).await.expect("read").balances;
    assert_eq!(balances[0].amount.to_string(), "500 minor units of BGN");
    assert_eq!(purse(&world.core, &machine).await, (500, 0));
}
