//! The resource that shows bills: that it can read no mail is a property of its imports.

use anyhow::Result;
use portcullis_protocol::surface::Surface;
use portcullis_tests::checkout;
use std::fs;
use wit_component::ComponentEncoder;

#[test]
fn the_bill_reader_imports_bills_and_billing_and_nothing_else() -> Result<()> {
    for part in ["household-bills-first", "household-bills-all"] {
        let module = fs::read(checkout::guest(part)?)?;
        let component = ComponentEncoder::default().module(&module)?.encode()?;
        let surface = Surface::of(&component)?;
        let imports: Vec<&str> = surface.imports().collect();
        assert_eq!(
            imports,
            [
                "portcullis:gate/billing@0.1.0#entry",
                "portcullis:gate/bills@0.1.0#mailboxes",
                "portcullis:gate/bills@0.1.0#read",
            ],
            "{part}"
        );
    }
    // A control: another example writes its panics to standard error, and this would show it.
    let module = fs::read(checkout::guest("pine-and-ember")?)?;
    let component = ComponentEncoder::default().module(&module)?.encode()?;
    assert!(Surface::of(&component)?.imports().any(|import| import.starts_with("wasi:cli/stderr@")));
    Ok(())
}
