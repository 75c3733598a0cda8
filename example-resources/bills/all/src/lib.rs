//! What is sold: the bills of all mailboxes together.
//!
//! It imports `portcullis:gate/bills` and the billing that ties it to its store, and nothing else: there is no mail, no
//! file, no clock and no network that it could reach. A test of the checkout holds the list of imports to that.

mod bindings {
    portcullis_guest::generate!("ledgerline:household-bills/client" in "../wit", without stderr);
}

use bindings::exports::ledgerline::household_bills::{all, first};
use bindings::ledgerline::household_bills::problems::Problem;
use desk::{Desk, NoBills, Scope};

struct All;

impl all::Guest for All {
    fn list() -> Result<String, Problem> {
        Ok(Desk::open(Scope::All)?.list())
    }

    fn totals() -> Result<String, Problem> {
        Ok(Desk::open(Scope::All)?.totals())
    }

    fn due(days: u16) -> Result<String, Problem> {
        Ok(Desk::open(Scope::All)?.due(days))
    }

    fn plot() -> Result<Vec<u8>, Problem> {
        Ok(Desk::open(Scope::All)?.plot())
    }

    fn csv() -> Result<Vec<u8>, Problem> {
        Ok(Desk::open(Scope::All)?.csv())
    }

    fn json() -> Result<Vec<u8>, Problem> {
        Ok(Desk::open(Scope::All)?.json())
    }
}

impl first::Guest for All {
    fn list() -> Result<String, Problem> {
        Err(Problem::Elsewhere)
    }

    fn totals() -> Result<String, Problem> {
        Err(Problem::Elsewhere)
    }

    fn due(_days: u16) -> Result<String, Problem> {
        Err(Problem::Elsewhere)
    }

    fn plot() -> Result<Vec<u8>, Problem> {
        Err(Problem::Elsewhere)
    }

    fn csv() -> Result<Vec<u8>, Problem> {
        Err(Problem::Elsewhere)
    }

    fn json() -> Result<Vec<u8>, Problem> {
        Err(Problem::Elsewhere)
    }
}

bindings::export!(All with_types_in bindings);

impl From<NoBills> for Problem {
    fn from(error: NoBills) -> Self {
        Self::NoBills(error.to_string())
    }
}
