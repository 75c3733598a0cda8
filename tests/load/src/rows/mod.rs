//! The rows of the billing server.

mod codes;
mod cycle;
mod growth;
mod postgres;
mod refusals;

use crate::drive::{Kind, Outcome};
use crate::duel::Pace;
use crate::row::Row;
use crate::shop::{Shop, Times};
use anyhow::Result;
use portcullis_server::Core;
use std::path::PathBuf;
use std::time::Duration;

/// How and where it is measured.
#[derive(Debug, Clone)]
pub struct Setting {
    /// For files. It may be there already.
    pub folder: PathBuf,
    /// Whether all that is asked is that everything runs and gives what it should.
    pub quick: bool,
}

/// Takes rows as they come.
pub type Sink<'a> = &'a mut dyn FnMut(Vec<Row>) -> Result<()>;

/// A row, or several that are measured together.
pub struct Step {
    /// Its name.
    pub id: &'static str,
    /// Measures it.
    pub measure: fn(&Setting, Sink<'_>) -> Result<()>,
}

/// In this order.
pub const STEPS: &[Step] = &[
    Step { id: "P6", measure: cycle::measure },
    Step { id: "P7", measure: growth::measure },
    Step { id: "P8", measure: postgres::measure },
    Step { id: "P11", measure: refusals::measure },
    Step { id: "P13", measure: codes::measure },
];

impl Setting {
    const fn rounds(&self) -> usize {
        if self.quick { 1 } else { 5 }
    }

    const fn pace(&self) -> Pace {
        if self.quick { Pace::QUICK } else { Pace::SHORT }
    }

    const fn times(&self) -> Times {
        let (warm, counted) = if self.quick { (50, 300) } else { (500, 2000) };
        Times { warm: Duration::from_millis(warm), counted: Duration::from_millis(counted) }
    }

    /// As many as are wanted, or a few.
    fn few(&self, terminals: usize) -> usize {
        if self.quick { terminals.min(4) } else { terminals }
    }

    /// A shop in a folder of its own.
    fn shop(&self, name: &str, customers: usize) -> Result<Shop> {
        self.shop_with(name, customers, async |_| Ok(()))
    }

    /// The same, with more in its stock.
    fn shop_with(&self, name: &str, customers: usize, more: impl AsyncFnOnce(&Core) -> Result<()>) -> Result<Shop> {
        let folder = self.folder.join(name);
        let _ = std::fs::remove_dir_all(&folder);
        Shop::open_with(&folder, customers, more)
    }

    fn drive(&self, shop: &Shop, kind: Kind, terminals: usize) -> Result<Outcome> {
        shop.drive(kind, self.few(terminals), self.times())
    }
}

/// Of each outcome one figure.
fn figures(outcomes: &[Outcome], figure: impl Fn(&Outcome) -> f64) -> crate::duel::Series {
    crate::duel::Series::of(&outcomes.iter().map(figure).collect::<Vec<_>>())
}
