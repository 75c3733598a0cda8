//! What both parts of the program are: the functions of one interface answer, those of the other are elsewhere.

/// Makes the code of a part out of its bindings, which `bindings` has to hold: what `$own` says about `$scope`, while
/// every function of `$other` says that it is in the other part.
#[macro_export]
macro_rules! part {
    ($own:ident says $scope:ident, $other:ident is elsewhere) => {
        use bindings::exports::ledgerline::household_bills::{$other, $own};
        use bindings::ledgerline::household_bills::problems::Problem;
        use $crate::{Desk, NoBills, Scope};

        struct Part;

        impl $own::Guest for Part {
            fn list() -> Result<String, Problem> {
                Ok(Desk::open(Scope::$scope)?.list())
            }

            fn totals() -> Result<String, Problem> {
                Ok(Desk::open(Scope::$scope)?.totals())
            }

            fn due(days: u16) -> Result<String, Problem> {
                Ok(Desk::open(Scope::$scope)?.due(days))
            }

            fn plot() -> Result<Vec<u8>, Problem> {
                Ok(Desk::open(Scope::$scope)?.plot())
            }

            fn csv() -> Result<Vec<u8>, Problem> {
                Ok(Desk::open(Scope::$scope)?.csv())
            }

            fn json() -> Result<Vec<u8>, Problem> {
                Ok(Desk::open(Scope::$scope)?.json())
            }
        }

        impl $other::Guest for Part {
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

        impl From<NoBills> for Problem {
            fn from(error: NoBills) -> Self {
                Self::NoBills(error.to_string())
            }
        }

        bindings::export!(Part with_types_in bindings);
    };
}
