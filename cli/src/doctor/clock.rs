//! The machine's clock, against what each server signed.

use portcullis_host::Client;
use portcullis_protocol::Origin;

use super::Finding;
use crate::screen::output::date;

const AREA: &str = "clock";
/// Seconds that an answer may take and clocks differ by.
const SAME: u64 = 30;
/// From so many seconds on, a key document counts as one of the future.
const TOO_MUCH: u64 = 300;

/// The differences.
pub(super) fn examine(client: &Client) -> Vec<Finding> {
    let pins = client.servers().unwrap_or_default();
    pins.iter().map(|pin| of_store(client, &pin.origin).of(&pin.origin)).collect()
}

/// The difference from what a store has just signed.
pub(crate) fn of_store(client: &Client, store: &Origin) -> Finding {
    let clocks = client.check_clock(store);
    let machine = clocks.machine;
    let Some(server) = clocks.server else {
        if machine.saturating_add(TOO_MUCH) < clocks.last_heard {
            let what = format!(
                "the machine's clock says {}, and the store said {} earlier: it is behind",
                date(machine),
                date(clocks.last_heard)
            );
            return Finding::wrong(AREA, "difference", what, set());
        }
        let what = format!("not compared: the store has not answered; the machine's clock says {}", date(machine));
        return Finding::warning(AREA, "difference", what, "see above: the store has to answer first");
    };
    judge(machine, server, clocks.counts_suspend)
}

fn judge(machine: u64, server: u64, counts_suspend: bool) -> Finding {
    let difference = machine.abs_diff(server);
    if difference <= SAME {
        let suspend = if counts_suspend {
            "goes on while the machine sleeps"
        } else {
            "stands still while the machine sleeps, until the next answer"
        };
        let what = format!("within {SAME} s of the store's; what measures grants cannot be set, and {suspend}");
        return Finding::ok(AREA, "difference", what);
    }
    let side = if machine < server { "behind" } else { "ahead of" };
    let what = format!("the machine's clock is {difference} s {side} the time that the store signs");
    if difference < TOO_MUCH {
        Finding::warning(AREA, "difference", what, set())
    } else {
        Finding::wrong(AREA, "difference", what, set())
    }
}

/// The command that sets the clock by the network.
pub(super) const fn set() -> &'static str {
    if cfg!(target_os = "macos") {
        "sudo sntp -sS time.apple.com"
    } else if cfg!(windows) {
        "w32tm /resync"
    } else {
        "sudo timedatectl set-ntp true"
    }
}

#[test]
fn a_difference_is_judged_by_what_it_does() {
    use super::State;
    let state = |machine| judge(machine, 10_000, true).state;
    assert_eq!([9_970, 10_030, 9_969, 10_031, 9_701, 10_299].map(state), {
        use State::{Ok, Warning};
        [Ok, Ok, Warning, Warning, Warning, Warning]
    });
    assert_eq!([9_700, 10_300, 0].map(state), [State::Wrong; 3]);
    assert!(judge(0, 10_000, true).finding.contains("10000 s behind the time"));
    assert!(judge(20_000, 10_000, true).finding.contains("ahead of the time"));
}
