//! What is free: the bills of the first mailbox that was handed over.
//!
//! It imports `portcullis:gate/bills` and the billing that ties it to its store, and nothing else: there is no mail, no
//! file, no clock and no network that it could reach. A test of the checkout holds the list of imports to that.

mod bindings {
    portcullis_guest::generate!("ledgerline:household-bills/client" in "../wit", without stderr);
}

desk::part!(first says First, all is elsewhere);
