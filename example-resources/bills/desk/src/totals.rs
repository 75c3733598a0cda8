//! What bills come to, for each month, biller and currency.

use crate::calendar::month;
use portcullis_guest::Money;
use portcullis_guest::gate::bills::Bill;
use std::collections::{BTreeMap, BTreeSet};

/// Where a bill without any date is counted.
const UNDATED: &str = "undated";

/// Sums of minor units, in order of currency, month and biller.
#[derive(Debug, Default)]
pub(crate) struct Totals(BTreeMap<(String, String, String), i128>);

impl Totals {
    pub(crate) fn of<'b>(bills: impl Iterator<Item = &'b Bill>) -> Self {
        let mut sums = BTreeMap::new();
        for bill in bills {
            let Some(amount) = &bill.amount else { continue };
            let date = bill.due.or(bill.period.as_ref().map(|period| period.last));
            let month = date.map_or_else(|| UNDATED.to_owned(), month);
            let key = (amount.currency.clone(), month, bill.biller_name.clone());
            *sums.entry(key).or_default() += i128::from(amount.minor_units);
        }
        Self(sums)
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for currency in self.currencies() {
            for month in self.months(currency) {
                let billers = self.billers(currency, month);
                let sum = billers.iter().map(|(_, units)| units).sum();
                text += &format!("{month}  {:>16}\n", amount(sum, currency));
                for (biller, units) in billers {
                    text += &format!("         {:>16}  {biller}\n", amount(units, currency));
                }
            }
        }
        if text.is_empty() { "no valid bills\n".to_owned() } else { text }
    }

    pub(crate) fn currencies(&self) -> BTreeSet<&str> {
        self.0.keys().map(|(currency, ..)| currency.as_str()).collect()
    }

    pub(crate) fn months(&self, currency: &str) -> BTreeSet<&str> {
        self.0.keys().filter(|(of, ..)| of == currency).map(|(_, month, _)| month.as_str()).collect()
    }

    /// Billers of a month with what they want.
    pub(crate) fn billers(&self, currency: &str, month: &str) -> Vec<(&str, i128)> {
        let of = self.0.iter().filter(|((c, m, _), _)| c == currency && m == month);
        of.map(|((.., biller), units)| (biller.as_str(), *units)).collect()
    }
}

/// An amount in minor units as people read it.
pub(crate) fn amount(units: i128, currency: &str) -> String {
    match i64::try_from(units) {
        Ok(units) => Money::new(units, currency).to_string(),
        Err(_) => format!("more than can be shown {currency}"),
    }
}
