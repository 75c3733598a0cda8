//! The rows of the cycle. Every arrow of a state is one conditional update: it changes a row or finds nothing to
//! change.

use super::answers::{self, Kept, Stored};
use super::{Database, Lock, Tx, TxError, TxResult, entitlements, grants, offers, prepaid, resources};
use crate::billing::entitlement::{Draw, Entitlement, EntitlementId};
use crate::crypto::secrets::Sealed;
use crate::ops::clock::Timestamp;
use crate::ops::faults::Write;
use crate::store::database::Row;
use crate::store::database::row::{bytes, json, maybe_bytes, maybe_money, one_of, sealed, text, time, to_json};
use crate::store::{
    AccountPage, Acknowledged, AnswerScope, Authorisation, AuthorisationCase, AuthorisationQuery, AuthorisationState,
    AuthorisationTarget, AuthoriseOutcome, Begun, Cycle, GrantRecord, NewAuthorisation, NewGrant, OperationFacts, Page,
    StoreError, VerificationCase, VerificationQuery, VerifyOutcome,
};
use async_trait::async_trait;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{
    AccountId, CodeBinding, CodeId, Digest, GrantId, OperationName, PairwiseId, PartName, Reason, TerminalId,
};

/// In the order of the column's numbers.
const AUTHORISATION_STATES: [AuthorisationState; 3] =
    [AuthorisationState::Held, AuthorisationState::Consumed, AuthorisationState::Released];

/// The wrapped keys of an operation's parts, in its order.
fn wrapped_keys(tx: &Tx<'_>, resource: &Digest, operation: &OperationFacts) -> TxResult<Vec<Sealed>> {
    let found: Vec<(PartName, Sealed)> = match &operation.parts[..] {
        [] => Vec::new(),
        [part] => {
            let sql = "SELECT name, key FROM parts WHERE resource = ?1 AND name = ?2";
            tx.all(sql, (resource.as_bytes(), part.as_str()), |row| Ok((text(row, 0)?, sealed(row, 1)?)))?
        }
        // Of several in one statement, with others that the resource may have.
        _ => {
            let sql = "SELECT name, key FROM parts WHERE resource = ?1";
            tx.all(sql, [resource.as_bytes()], |row| Ok((text(row, 0)?, sealed(row, 1)?)))?
        }
    };
    let keys = operation.parts.iter().map(|part| {
        let key = found.iter().find(|(name, _)| name == part).map(|(_, key)| key.clone());
        key.ok_or(TxError::Damaged)
    });
    keys.collect()
}

/// Whether the terminal or its account was shut out since it was asked about.
pub(super) fn shut_out(tx: &Tx<'_>, account: &AccountId, terminal: &TerminalId) -> TxResult<Option<Reason>> {
    let found = tx.one(
        &format!("SELECT {IN_STANDING} WHERE t.id = ?1 AND t.account = ?2"),
        (terminal.as_bytes(), account.as_bytes()),
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(reason_to_shut_out(found))
}

/// Whether the terminal was not revoked, and its account not suspended. With its FROM: what follows is a WHERE.
pub(super) const IN_STANDING: &str =
    "t.revoked_at IS NULL, a.suspended_at IS NULL FROM terminals t JOIN accounts a ON a.id = t.account";

/// Why a terminal is shut out, if it is; `None` is a terminal that does not exist.
pub(super) const fn reason_to_shut_out(in_standing: Option<(bool, bool)>) -> Option<Reason> {
    match in_standing {
        Some((true, true)) => None,
        Some((true, false)) => Some(Reason::AccountSuspended),
        Some((false, _)) => Some(Reason::TerminalRevoked),
        None => Some(Reason::TerminalUnknown),
    }
}

// Step 2.

fn authorisation_case(tx: &Tx<'_>, query: &AuthorisationQuery) -> TxResult<AuthorisationCase> {
    let mut case = AuthorisationCase { now: tx.now(), begun: Begun::New, resource: None };
    case.begun = answers::find(tx, &AnswerScope::Terminal(query.terminal), &query.request)?;
    if !matches!(case.begun, Begun::New) {
        return Ok(case);
    }
    let Some((facts, operation)) = resources::with_operation(tx, &query.resource, &query.operation)? else {
        return Ok(case);
    };
    let entitlements = entitlements::that_count(tx, query, &facts)?;
    let offers = offers::for_operation(tx, &facts.publisher, &facts.name, &query.operation)?;
    // Money moves only under an accepted offer, and from the balance in its currency.
    let accepted = offers.iter().find(|offer| Some(offer.digest) == query.accepted);
    let prepaid = match accepted {
        Some(accepted) => prepaid::balance(tx, &query.account, accepted.offer.price.currency())?,
        None => Vec::new(),
    };
    case.resource = Some(AuthorisationTarget { facts, operation, offers, entitlements, prepaid });
    Ok(case)
}

/// Releases the holds of an entitlement whose codes have expired. Without them `held` is what it says.
fn release_expired(tx: &Tx<'_>, entitlement: &EntitlementId) -> TxResult<()> {
    let released: Vec<i64> = tx.all(
        "UPDATE authorisations SET state = 2
         WHERE entitlement = ?1 AND state = 0 AND units > 0 AND expires_at <= ?2 RETURNING units",
        (entitlement.0.0, tx.now().millis()),
        |row| row.get(0),
    )?;
    if !released.is_empty() {
        let units: i64 = released.iter().sum();
        tx.change("UPDATE entitlements SET held = held - ?2 WHERE id = ?1", (entitlement.0.0, units))?;
    }
    Ok(())
}

fn authorise(tx: &Tx<'_>, new: &NewAuthorisation) -> TxResult<AuthoriseOutcome> {
    tx.lock(Lock::Account(&new.account))?;
    let scope = AnswerScope::Terminal(new.terminal);
    let begun = answers::find(tx, &scope, &new.request)?;
    if !matches!(begun, Begun::New) {
        return Ok(AuthoriseOutcome::Begun(begun));
    }
    if let Some(reason) = shut_out(tx, &new.account, &new.terminal)? {
        return Ok(AuthoriseOutcome::ShutOut(reason));
    }
    if !hold(tx, new)? {
        return Ok(AuthoriseOutcome::Changed);
    }
    let expires = tx.now().plus(new.life);
    tx.change(
        "INSERT INTO authorisations
             (code, account, terminal, binding, resource, operation, rights, entitlement, quantity, units, expires_at,
              offer, cost, currency)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        (
            new.code.as_bytes(),
            new.account.as_bytes(),
            new.terminal.as_bytes(),
            new.binding.as_bytes(),
            new.resource.as_bytes(),
            new.operation.as_str(),
            to_json(&new.rights)?,
            new.draw.entitlement().map(|id| id.0.0),
            new.quantity,
            new.draw.units(),
            expires.millis(),
            new.draw.money().map(|(offer, _)| *offer.as_bytes()),
            new.draw.money().map_or(0, |(_, cost)| cost.minor_units()),
            new.draw.money().map(|(_, cost)| cost.currency().to_string()),
        ),
    )?;
    answers::store(tx, &scope, &new.request, &Stored::Code(&new.code, Kept::from(&new.draw)))?;
    Ok(AuthoriseOutcome::Held { expires })
}

/// Holds what the authorisation draws. False: it is no longer there, or no longer on these terms.
fn hold(tx: &Tx<'_>, new: &NewAuthorisation) -> TxResult<bool> {
    match &new.draw {
        Draw::Nothing => Ok(true),
        // Nothing is counted, so nothing is written: what is found holds under the account's lock until the commit.
        Draw::Units { entitlement, units: 0 } => {
            let sql = "SELECT 1 FROM entitlements
                       WHERE id = ?1 AND account = ?2 AND revoked_at IS NULL AND (ends_at IS NULL OR ends_at > ?3)";
            let found = tx.one(sql, (entitlement.0.0, new.account.as_bytes(), tx.now().millis()), |_| Ok(()))?;
            Ok(found.is_some())
        }
        Draw::Units { entitlement, units } => {
            release_expired(tx, entitlement)?;
            let held = tx.change(
                "UPDATE entitlements SET held = held + ?2
                 WHERE id = ?1 AND account = ?3 AND revoked_at IS NULL
                   AND (total IS NULL OR used + held + ?2 <= total) AND (ends_at IS NULL OR ends_at > ?4)",
                (entitlement.0.0, units, new.account.as_bytes(), tx.now().millis()),
            )?;
            Ok(held == 1)
        }
        Draw::Money { offer, cost } => Ok(offers::is_on_sale(tx, offer)? && prepaid::hold(tx, &new.account, *cost)?),
    }
}

// Step 3.

struct Row3 {
    authorisation: Authorisation,
    resource: Digest,
    operation: OperationName,
}

fn draw(row: &Row<'_>) -> TxResult<Draw> {
    if let Some(offer) = maybe_bytes(row, 12, Digest::from_bytes)? {
        let cost = maybe_money(row, 13, 14)?.ok_or(TxError::Damaged)?;
        return Ok(Draw::Money { offer, cost });
    }
    Ok(match maybe_bytes(row, 7, |id| EntitlementId(Octets(id)))? {
        Some(entitlement) => Draw::Units { entitlement, units: row.get(9)? },
        None => Draw::Nothing,
    })
}

fn authorisation(tx: &Tx<'_>, code: &CodeId) -> TxResult<Option<Row3>> {
    tx.one(
        "SELECT code, account, terminal, binding, state, expires_at, rights, entitlement, quantity, units,
                resource, operation, offer, cost, currency
         FROM authorisations WHERE code = ?1",
        [code.as_bytes()],
        |row| {
            Ok(Row3 {
                authorisation: Authorisation {
                    code: bytes(row, 0, CodeId::from_bytes)?,
                    account: bytes(row, 1, AccountId::from_bytes)?,
                    terminal: bytes(row, 2, TerminalId::from_bytes)?,
                    binding: bytes(row, 3, CodeBinding::from_bytes)?,
                    state: one_of(row, 4, &AUTHORISATION_STATES)?,
                    expires: time(row, 5)?,
                    rights: json(row, 6)?,
                    draw: draw(row)?,
                    quantity: row.get(8)?,
                },
                resource: bytes(row, 10, Digest::from_bytes)?,
                operation: text(row, 11)?,
            })
        },
    )
}

fn verification_case(tx: &Tx<'_>, query: &VerificationQuery) -> TxResult<VerificationCase> {
    let case = empty_case(tx, query)?;
    if !matches!(case.begun, Begun::New) {
        return Ok(case);
    }
    filled(tx, query, case, |authorisation| {
        authorisation.state == AuthorisationState::Held && authorisation.expires > tx.now()
    })
}

fn reissue_case(tx: &Tx<'_>, query: &VerificationQuery) -> TxResult<VerificationCase> {
    filled(tx, query, empty_case(tx, query)?, |authorisation| authorisation.state == AuthorisationState::Consumed)
}

fn empty_case(tx: &Tx<'_>, query: &VerificationQuery) -> TxResult<VerificationCase> {
    Ok(VerificationCase {
        now: tx.now(),
        begun: answers::find(tx, &AnswerScope::Terminal(query.terminal), &query.request)?,
        authorisation: None,
        resource: None,
        operation: None,
        keys: Vec::new(),
        entitlement: None,
        pairwise: None,
    })
}

/// With the authorisation, and with what a grant is made of where `good` takes it.
fn filled(
    tx: &Tx<'_>,
    query: &VerificationQuery,
    mut case: VerificationCase,
    good: impl FnOnce(&Authorisation) -> bool,
) -> TxResult<VerificationCase> {
    let Some(Row3 { authorisation, resource, operation: name }) = authorisation(tx, &query.code)? else {
        return Ok(case);
    };
    // A code that is spent, expired or another's is refused before anything else is read.
    if authorisation.terminal == query.terminal && good(&authorisation) {
        (case.resource, case.operation) = match resources::with_operation(tx, &resource, &name)? {
            Some((facts, operation)) => (Some(facts), operation),
            None => (None, None),
        };
        if let Some(operation) = &case.operation {
            case.keys = wrapped_keys(tx, &resource, operation)?;
        }
        if let Some(id) = &authorisation.draw.entitlement() {
            case.entitlement = entitlements::find(tx, id)?;
        }
        if let Some(facts) = &case.resource {
            case.pairwise = tx.one(
                "SELECT id FROM pairwise WHERE account = ?1 AND publisher = ?2",
                (query.account.as_bytes(), facts.publisher.0.0),
                |row| bytes(row, 0, PairwiseId::from_bytes),
            )?;
        }
    }
    case.authorisation = Some(authorisation);
    Ok(case)
}

/// Takes back what an entitlement gave: its holds are released, its grants revoked.
pub(super) fn take_back(tx: &Tx<'_>, id: &EntitlementId) -> TxResult<()> {
    tx.change("UPDATE grants SET state = 3 WHERE entitlement = ?1 AND state IN (0, 1)", [id.0.0])?;
    tx.change("UPDATE authorisations SET state = 2 WHERE entitlement = ?1 AND state = 0 AND units > 0", [id.0.0])?;
    tx.change("UPDATE entitlements SET held = 0, revoked_at = ?2 WHERE id = ?1", (id.0.0, tx.now().millis()))?;
    Ok(())
}

#[async_trait]
impl<D: Database> Cycle for D {
    async fn authorisation_case(&self, query: AuthorisationQuery) -> Result<AuthorisationCase, StoreError> {
        self.read("authorisation", move |tx| authorisation_case(tx, &query)).await
    }

    async fn authorise(&self, new: NewAuthorisation) -> Result<AuthoriseOutcome, StoreError> {
        self.write(Write::Authorise, move |tx| authorise(tx, &new)).await
    }

    async fn verification_case(&self, query: VerificationQuery) -> Result<VerificationCase, StoreError> {
        self.read("verification", move |tx| verification_case(tx, &query)).await
    }

    async fn verify(&self, new: NewGrant) -> Result<VerifyOutcome, StoreError> {
        self.write(Write::Verify, move |tx| grants::issue(tx, &new)).await
    }

    async fn reissue_case(&self, query: VerificationQuery) -> Result<VerificationCase, StoreError> {
        self.read("reissue", move |tx| reissue_case(tx, &query)).await
    }

    async fn reissue(&self, new: NewGrant) -> Result<VerifyOutcome, StoreError> {
        self.write(Write::Reissue, move |tx| grants::reissue(tx, &new)).await
    }

    async fn grant(&self, terminal: &TerminalId, id: &GrantId) -> Result<(Timestamp, Option<GrantRecord>), StoreError> {
        let (terminal, id) = (*terminal, *id);
        self.read("grant", move |tx| Ok((tx.now(), grants::of_terminal(tx, &terminal, &id)?))).await
    }

    async fn acknowledge(&self, terminal: &TerminalId, id: &GrantId) -> Result<Acknowledged, StoreError> {
        let (terminal, id) = (*terminal, *id);
        self.write(Write::Acknowledge, move |tx| grants::acknowledge(tx, &terminal, &id)).await
    }

    async fn entitlements(&self, account: &AccountId, page: AccountPage) -> Result<Page<Entitlement>, StoreError> {
        let account = *account;
        self.read_many("entitlements", move |tx| entitlements::page(tx, &account, page)).await
    }
}
