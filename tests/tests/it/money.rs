//! Amounts are written alike by the product and by the SDK for guests, which has a table of its own.

use portcullis_protocol::{Currency, Money};

#[test]
fn guests_write_amounts_as_the_host_does() {
    for currency in Currency::active() {
        for minor_units in [0, 1, 10, 12_345, 1_000_000] {
            let here = Money::new(minor_units, currency).expect("in range").to_string();
            assert_eq!(portcullis_guest::Money::new(minor_units, currency.as_str()).to_string(), here);
        }
    }
}
