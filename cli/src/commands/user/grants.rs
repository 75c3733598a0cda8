//! `portcullis grants`: the rights of the account, its prepaid money, and what this terminal was granted.

use clap::Args;
use portcullis_host::GrantRecord;
use portcullis_protocol::Listed;
use portcullis_protocol::wire::EntitlementInfo;
use serde::Serialize;

use super::balance::BalanceLine;
use crate::context::{Context, ServerOption};
use crate::failure::Outcome;
use crate::payment::rights::{self, Figures};
use crate::resource::target::Name;
use crate::screen::hint;
use crate::screen::output::{Report, UNKNOWN, UnknownLine};
use crate::screen::table::Table;

/// Show what you hold: rights and what is left of them, and prepaid money. With --json also what was drawn lately
#[derive(Debug, Args)]
pub(crate) struct Grants {
    /// Of this resource only
    name: Option<Name>,
    #[command(flatten)]
    store: ServerOption,
}

/// What is said of a balance that cannot be read.
const NOT_KNOWN: &str = "this version does not know it; update";

#[derive(Serialize)]
struct Held {
    rights: Vec<Right>,
    /// Rights that this version does not know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<UnknownLine>,
    /// Prepaid money, unless one resource is meant.
    balances: Vec<BalanceLine>,
    /// Balances that this version does not know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown_balances: Vec<UnknownLine>,
    /// What this terminal was granted lately. A grant is its process's alone, so nothing of it is left to anybody.
    grants: Vec<GrantRecord>,
    /// The resource that is meant.
    #[serde(skip)]
    of: Option<String>,
}

#[derive(Serialize)]
struct Right {
    name: String,
    operation: String,
    #[serde(flatten)]
    figures: Figures,
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining: Option<u64>,
    revoked: bool,
    /// Unix seconds, as everywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends: Option<u64>,
    #[serde(skip)]
    left: String,
}

impl From<EntitlementInfo> for Right {
    fn from(info: EntitlementInfo) -> Self {
        Self {
            name: format!("{}/{}", info.publisher, info.name),
            operation: info.operation.to_string(),
            figures: info.rights.into(),
            remaining: info.remaining,
            revoked: info.revoked,
            started: info.started,
            ends: info.ends,
            left: rights::left(&info),
        }
    }
}

impl Grants {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let client = context.client()?;
        let server = self.store.origin(&client)?;
        let (rights, balances) = context.wait(async {
            let store = client.store(&server);
            let rights = store.entitlements().await?;
            let balances = if self.name.is_none() { store.balances().await? } else { Listed::default() };
            Ok((rights, balances))
        })?;
        let mut unknown: Vec<UnknownLine> = rights.unknown.iter().map(UnknownLine::of).collect();
        let unknown_balances = balances.unknown.iter().map(UnknownLine::of).collect();
        let balances = balances.iter().map(BalanceLine::from).collect();
        let meant = |full: &str| self.name.as_ref().is_none_or(|name| name.means(full));
        let mut grants = client.grants()?;
        grants.retain(|grant| meant(&format!("{}/{}", grant.publisher, grant.name)));
        let rights = rights.into_iter().map(Right::from).filter(|right| meant(&right.name)).collect();
        unknown.retain(|line| line.name.as_deref().is_none_or(meant));
        context.screen.report(&Held {
            rights,
            unknown,
            balances,
            unknown_balances,
            grants,
            of: self.name.map(|name| name.to_string()),
        });
        Ok(())
    }
}

/// Rights as people count them: what can be counted of one operation is one line, however often it was ordered.
fn summed(rights: &[Right]) -> Vec<(&Right, String)> {
    let counted_of =
        |right: &Right| right.remaining.zip(right.figures.count).filter(|_| !right.revoked && right.ends.is_none());
    let is_like = |one: &Right, other: &Right| (&one.name, &one.operation) == (&other.name, &other.operation);
    let mut lines: Vec<(&Right, String)> = Vec::new();
    for right in rights {
        if counted_of(right).is_none() {
            lines.push((right, right.left.clone()));
            continue;
        }
        if lines.iter().any(|(known, _)| is_like(known, right) && counted_of(known).is_some()) {
            continue;
        }
        let alike: Vec<(u64, u64)> = rights.iter().filter(|one| is_like(one, right)).filter_map(counted_of).collect();
        let left = match alike.as_slice() {
            [_] => right.left.clone(),
            several => {
                let sum = |one: fn(&(u64, u64)) -> u64| several.iter().map(one).fold(0, u64::saturating_add);
                let (left, total) = (sum(|(left, _)| *left), sum(|(_, total)| *total));
                format!("{left} of {total} uses left, bought or given {} times", several.len())
            }
        };
        lines.push((right, left));
    }
    lines
}

impl Report for Held {
    fn text(&self) -> String {
        let mut table = Table::new(&["resource", "operation", "what", "left"]).with_whole(&[0, 3]);
        let mut add = |cells: [String; 4]| table.row(cells);
        for (right, left) in summed(&self.rights) {
            add([right.name.clone(), right.operation.clone(), "right".into(), left]);
        }
        for unknown in &self.unknown {
            let cell = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
            add([cell(&unknown.name), cell(&unknown.operation), "right".into(), UNKNOWN.into()]);
        }
        for balance in &self.balances {
            add(["-".into(), "by the unit".into(), "balance".into(), format!("{balance} left")]);
        }
        for _ in &self.unknown_balances {
            add(["-".into(), "by the unit".into(), "balance".into(), NOT_KNOWN.into()]);
        }
        table.to_string()
    }

    fn notes(&self) -> String {
        let nothing_unknown = self.unknown.is_empty() && self.unknown_balances.is_empty();
        if !(self.rights.is_empty() && self.balances.is_empty() && nothing_unknown) {
            return String::new();
        }
        match &self.of {
            Some(name) => {
                let grants = hint::typed("portcullis grants");
                format!("you hold no rights in {name}; `{grants}` shows all that you hold\n")
            }
            None => hint::typed("you hold no rights; `portcullis buy NAME` buys some\n").into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_protocol::Rights;

    #[test]
    fn what_was_ordered_several_times_is_one_line() {
        let right = |operation: &str, rights: Rights, remaining: Option<u64>, revoked: bool| Right {
            name: "acme/lake".into(),
            operation: operation.into(),
            figures: rights.into(),
            remaining,
            revoked,
            started: None,
            ends: None,
            left: format!("{operation}: {remaining:?}"),
        };
        let uses = Rights::Uses { count: 10 };
        let rights = [
            right("measure", uses, Some(9), false),
            right("view", Rights::Perpetual {}, None, false),
            right("measure", uses, Some(0), true),
            right("measure", Rights::Uses { count: 5 }, Some(5), false),
            right("count", uses, Some(3), false),
        ];
        let lines: Vec<(&str, String)> =
            summed(&rights).into_iter().map(|(right, left)| (right.operation.as_str(), left)).collect();
        assert_eq!(
            lines,
            [
                ("measure", "14 of 15 uses left, bought or given 2 times".to_owned()),
                ("view", "view: None".to_owned()),
                ("measure", "measure: Some(0)".to_owned()),
                ("count", "count: Some(3)".to_owned()),
            ]
        );
    }
}
