//! `portcullis grants`: the rights of the account, and what this terminal was granted lately.

use clap::Args;
use portcullis_host::GrantRecord;
use portcullis_protocol::wire::EntitlementInfo;
use serde::Serialize;

use crate::context::{Context, Store};
use crate::failure::Outcome;
use crate::output::{Report, date, style};
use crate::target::Name;

/// Show the rights you hold, and the grants this terminal was given lately
#[derive(Debug, Args)]
pub(crate) struct Grants {
    /// Of this resource only
    name: Option<Name>,
    #[command(flatten)]
    store: Store,
}

#[derive(Serialize)]
struct Held {
    /// Absent where the store could not be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    rights: Option<Vec<Right>>,
    grants: Vec<GrantRecord>,
}

#[derive(Serialize)]
struct Right {
    name: String,
    operation: String,
    model: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining: Option<u64>,
    revoked: bool,
    #[serde(skip)]
    words: String,
}

impl From<EntitlementInfo> for Right {
    fn from(info: EntitlementInfo) -> Self {
        Self {
            name: format!("{}/{}", info.publisher, info.name),
            operation: info.operation.to_string(),
            model: info.rights.model(),
            remaining: info.remaining,
            revoked: info.revoked,
            words: info.rights.to_string(),
        }
    }
}

impl Grants {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let client = context.client()?;
        let mut grants = client.grants()?;
        let rights = match self.store.origin(&client) {
            Ok(server) => context.wait(async { Ok(client.store(&server).entitlements().await?) }),
            Err(failure) => Err(failure),
        };
        let rights = match rights {
            Ok(rights) => Some(rights.into_iter().map(Right::from).collect::<Vec<_>>()),
            Err(failure) => {
                context.screen.note(format_args!("the rights of the account are not shown: {failure}"));
                None
            }
        };
        let meant = |full: &str| self.name.as_ref().is_none_or(|name| name.means(full));
        grants.retain(|grant| meant(&format!("{}/{}", grant.publisher, grant.name)));
        let rights = rights.map(|rights| rights.into_iter().filter(|right| meant(&right.name)).collect());
        context.screen.report(&Held { rights, grants });
        Ok(())
    }
}

impl Report for Held {
    fn text(&self) -> String {
        let (strong, dim, bad) = (style::STRONG, style::DIM, style::BAD);
        let mut text = String::new();
        if let Some(rights) = &self.rights {
            text += "Rights of the account\n";
            for right in rights {
                let left = match (right.revoked, right.remaining) {
                    (true, _) => format!("{bad}taken back{bad:#}"),
                    (false, Some(left)) => format!("{}, {left} left", right.words),
                    (false, None) => right.words.clone(),
                };
                text += &format!("  {strong}{}{strong:#} {}: {left}\n", right.name, right.operation);
            }
            if rights.is_empty() {
                text += "  none\n";
            }
        }
        text += "Grants of this terminal, newest first\n";
        for grant in &self.grants {
            text += &format!(
                "  {}  {strong}{}/{}{strong:#} {} {}  {dim}{}, until {}{dim:#}\n",
                date(grant.issued),
                grant.publisher,
                grant.name,
                grant.version,
                grant.operation,
                grant.model,
                date(grant.expires)
            );
        }
        if self.grants.is_empty() {
            text += "  none\n";
        }
        text
    }
}
