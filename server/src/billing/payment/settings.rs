//! The section `[payment]` of the configuration: one entry per provider, which each provider reads itself.

use super::{Make, PROVIDERS, Payments};
use serde::{Deserialize, Deserializer};
use toml::{Table, Value};

/// Which providers are offered, and how each is set up. It may hold their secrets, so it prints names only.
#[derive(Clone, Default)]
pub struct PaymentSettings(Table);

impl PaymentSettings {
    /// Sets up a provider: `true` with its defaults, or a table of its own settings.
    pub fn set(&mut self, provider: &str, section: impl Into<Value>) {
        self.0.insert(provider.to_owned(), section.into());
    }

    /// Makes the providers.
    ///
    /// # Errors
    /// Which setting is wrong, and what is allowed.
    pub fn providers(&self) -> Result<Payments, String> {
        self.0.iter().try_fold(Payments::none(), |payments, (name, section)| {
            let made = maker(name)?(section).map_err(|message| format!("payment.{name}: {message}"))?;
            Ok(match made {
                Some(provider) => payments.with_shared(provider),
                None => payments,
            })
        })
    }
}

fn maker(name: &str) -> Result<Make, String> {
    let known = PROVIDERS.iter().find(|(known, _)| *known == name);
    known.map(|(_, make)| *make).ok_or_else(|| {
        let names: Vec<&str> = PROVIDERS.iter().map(|(name, _)| *name).collect();
        format!("unknown payment provider `{name}`; the providers are: {}", names.join(", "))
    })
}

impl<'de> Deserialize<'de> for PaymentSettings {
    /// Checks the names. The settings of a provider may come from file and environment together, so they are read when
    /// both are known: see [`PaymentSettings::providers`].
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = Table::deserialize(deserializer)?;
        for name in table.keys() {
            maker(name).map_err(serde::de::Error::custom)?;
        }
        Ok(Self(table))
    }
}

impl std::fmt::Debug for PaymentSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
