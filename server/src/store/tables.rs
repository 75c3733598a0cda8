//! The tables that a store is, for what has to go through all of them: a copy to another database.

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Integers.
    Int,
    /// Texts.
    Text,
    /// Bytes.
    Blob,
}

/// A table with its columns, in the order of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: Vec<(&'static str, Kind)>,
}

/// Each table after those that its rows name.
const TABLES: &[(&str, &str)] = &[
    (
        "accounts",
        "id:blob lookup:blob name:blob password:text operator:int created_at:int suspended_at:int \
         verified_at:int preset:blob",
    ),
    ("publishers", "id:blob name:text key:blob owner:blob created_at:int"),
    (
        "resources",
        "digest:blob publisher:blob name:text version:text kind:text title:text description:text \
         manifest:text run_max:int size:int published_at:int withdrawn_at:int withdrawn_reason:text \
         taken_down:int stands:int",
    ),
    ("offers", "digest:blob id:blob publisher:blob name:text operation:text offer:text since:int ended_at:int"),
    ("sessions", "id:blob account:blob key:blob created_at:int ended_at:int label:text used_at:int expires_at:int"),
    ("invitations", "token:blob operator:int expires_at:int used_at:int"),
    ("web_sessions", "token:blob account:blob expires_at:int created_at:int proven_at:int"),
    (
        "devices",
        "device:blob user_code:blob key:blob label:text state:int account:blob pause:int polled_at:int \
         created_at:int expires_at:int session:blob",
    ),
    ("tokens", "hash:blob session:blob kind:int expires_at:int used_at:int"),
    (
        "terminals",
        "id:blob account:blob key:blob release:blob label:text statement:text enrolled_at:int revoked_at:int",
    ),
    ("vouches", "publisher:blob seq:int compact:text"),
    ("adoptions", "publisher:blob name:text key:blob compact:text"),
    ("operations", "resource:blob name:text parts:text"),
    ("parts", "resource:blob name:text key:blob public:int"),
    ("commitments", "commitment:blob publisher:blob"),
    (
        "entitlements",
        "id:blob account:blob publisher:blob name:text operation:text rights:text total:int used:int held:int \
         since:int revoked_at:int place:int starts_at:int ends_at:int seats:int",
    ),
    (
        "authorisations",
        "code:blob account:blob terminal:blob binding:blob resource:blob operation:text rights:text \
         entitlement:blob quantity:int units:int state:int expires_at:int offer:blob cost:int currency:text",
    ),
    ("answers", "scope:blob key:text request:blob kind:int subject:blob body:text at:int ends_at:int lease:int"),
    ("pairwise", "account:blob publisher:blob id:blob"),
    ("ledger", "number:int at:int giver:text taker:text amount:int commodity:text subject:blob"),
    ("log", "number:int at:int kind:text account:blob terminal:blob subject:blob"),
    ("server_keys", "role:text key:blob"),
    ("signing_keys", "number:int public:blob seed:blob not_before:int expires_at:int"),
    ("prepaid", "account:blob currency:text amount:int held:int"),
    (
        "grants",
        "id:blob code:blob terminal:blob resource:blob operation:text entitlement:blob state:int compact:text \
         nonce:blob keys:text expires_at:int replaces:blob",
    ),
    ("server", "only:int origin:text key_check:blob seen_at:int ledger_folded:int epoch:blob"),
    ("leases", "number:int ends_at:int"),
    ("approvals", "account:blob name:text asked_at:int approved_at:int"),
    (
        "orders",
        "id:blob account:blob state:int offer_digest:blob provider:text receipt:text created_at:int \
         changed_at:int amount:int currency:text returned:int intent:text again:int place:int reference:text \
         next:text ends_at:int codes:int ahead:int",
    ),
    ("dispute_events", "subject:blob id:blob heard_at:int"),
    ("audit", "number:int at:int who:text action:text subject:text detail:text digest:blob seal:blob"),
    ("audit_heads", "number:int compact:text"),
    ("order_counts", "state:int shard:int orders:int"),
    ("books", "class:text commodity:text amount:int"),
    (
        "effects",
        "id:blob kind:text subject:blob part:int lane:blob state:int next_at:int fence:int tries:int lease:int \
         created_at:int ended_at:int provider:text",
    ),
    ("effect_lanes", "lane:blob due_at:int places:int"),
    ("event_receivers", "kind:int id:blob seq:int first:int"),
    ("events", "number:int kind:int receiver:blob seq:int type:text data:text at:int"),
    ("webhook_endpoints", "id:blob kind:int owner:blob url:text state:int seq:int created_at:int changed_at:int"),
    ("webhook_keys", "endpoint:blob number:int secret:blob seed:blob public:blob not_before:int ends_at:int"),
    ("webhook_messages", "id:blob endpoint:blob seq:int type:text subject:blob data:text created_at:int status:int"),
    ("saved_means", "account:blob provider:text reference:blob label:text saved_at:int"),
    (
        "merchants",
        "id:blob name:text title:text key:blob owner:blob webhook:text created_at:int proven_at:int \
         approved_at:int suspended_at:int probe_at:int successor:blob caught_up:blob resumes:int",
    ),
    ("merchant_vouches", "merchant:blob seq:int signer:blob compact:text"),
    ("products", "digest:blob merchant:blob name:text product:text compact:text since:int ended_at:int"),
    (
        "catalogue",
        "number:int publisher:blob name:text newest:blob kind:text versions:text texts:text sold:int \
         cover:int merchant:blob product:blob",
    ),
    ("trigrams", "trigram:int weight:int listing:int"),
    (
        "payment_requests",
        "digest:blob merchant:blob product:blob request:text compact:text expires_at:int ended_at:int spent:int",
    ),
    ("merchant_health", "merchant:blob minute:int decided:int in_time:int"),
    (
        "code_orders",
        "id:blob merchant:blob product:blob quantity:int request:blob spent:blob terminal:blob recipient:blob \
         nonce:blob state:int generation:int deadline:int verification:text sealed:int code:text enc:blob \
         ciphertext:blob digest:blob sealed_for:blob sealed_to:blob sealed_under:text accepted_at:int \
         complaint:int reason:text changed_at:int claimant:blob delivered_at:int",
    ),
    ("code_batches", "id:blob publisher:blob offer:blob count:int note:text created_at:int expires_at:int ends_at:int"),
    (
        "redemption_codes",
        "lookup:blob batch:blob number:int serial:blob state:int account:blob sold:blob redeemed_at:int",
    ),
    ("redemption_tries", "account:blob since:int tries:int"),
];

/// Tables whose rows the database numbers.
pub(crate) const NUMBERED: [&str; 6] = ["catalogue", "events", "leases", "ledger", "log", "signing_keys"];

/// All tables, each after those that its rows name.
pub(crate) fn tables() -> impl Iterator<Item = Table> {
    let column = |text: &'static str| match text.split_once(':') {
        Some((name, "int")) => (name, Kind::Int),
        Some((name, "text")) => (name, Kind::Text),
        Some((name, _)) => (name, Kind::Blob),
        None => (text, Kind::Blob),
    };
    TABLES.iter().map(move |(name, columns)| Table { name, columns: columns.split_whitespace().map(column).collect() })
}

impl Table {
    /// Its columns as a statement names them. One of them is a word of SQL.
    pub(crate) fn names(&self) -> String {
        let names: Vec<String> = self.columns.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Sqlite, SqliteOptions};

    /// Rows are copied table by table, and each has to find those that it names.
    #[test]
    fn each_table_comes_after_those_that_its_rows_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("store.sqlite");
        Sqlite::open(SqliteOptions { create: true, ..SqliteOptions::new(path.clone()) }).expect("a store");
        let db = rusqlite::Connection::open(path).expect("the file");
        let names: Vec<&str> = tables().map(|table| table.name).collect();
        let mut references = 0;
        for (place, name) in names.iter().enumerate() {
            let mut found = db.prepare("SELECT \"table\" FROM pragma_foreign_key_list(?1)").expect("a statement");
            let named = found.query_map([name], |row| row.get::<_, String>(0)).expect("rows");
            for other in named.map(|other| other.expect("a row")).filter(|other| other != name) {
                references += 1;
                let earlier = names.iter().take(place).any(|earlier| *earlier == other);
                assert!(earlier, "{name} is copied before {other}, which its rows name");
            }
        }
        assert!(references > 30, "{references}");
    }
}
