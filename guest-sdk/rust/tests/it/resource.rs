//! A publisher's world on top of the SDK, called as a host would call it.

use portcullis_guest::testing::{Double, Event};
use portcullis_guest::{Grant, Money, Offer, Refusal, billing, paid};

mod bindings {
    portcullis_guest::generate!("example:picture/photo" in "tests/wit");
}

use bindings::exports::example::picture::picture::Guest;

struct Picture;

impl Guest for Picture {
    #[paid(operation = "view")]
    fn view(grant: &Grant) -> Result<Vec<u8>, Refusal> {
        Ok(grant.open("full").unwrap().read_all(1024).unwrap())
    }

    fn upgrade() -> Result<u64, Refusal> {
        let grant = billing::request("view")?.verify()?;
        Ok(grant.open("full").unwrap().size())
    }
}

fn double() -> Double {
    Double::new().part("full", *b"pixels").operation("preview", &[]).operation("view", &["full"])
}

#[test]
fn an_export_runs_under_its_entry_grant() {
    let double = double().enter("view").install();
    assert_eq!(Picture::view().unwrap(), b"pixels");
    assert_eq!(double.drawn("view"), 0, "the host drew before the call");
}

#[test]
fn the_same_export_called_without_runs_the_cycle() {
    let double = double().enter("preview").install();
    assert_eq!(Picture::view().unwrap(), b"pixels");
    assert_eq!(double.drawn("view"), 1);
}

#[test]
fn unpaid_the_offer_comes_back_and_nothing_is_opened() {
    let offer = Offer {
        id: "o1".into(),
        title: "Full picture, for good".into(),
        price: Money::new(199, "EUR"),
        model: "perpetual".into(),
        quantity: None,
    };
    let refusal = Refusal::PaymentRequired(vec![offer]);
    let double = double().enter("preview").refuse("view", refusal.clone()).install();
    assert_eq!(Picture::upgrade(), Err(refusal));
    assert!(!double.events().iter().any(|event| matches!(event, Event::Opened { .. })));

    double.allow("view");
    assert_eq!(Picture::upgrade(), Ok(6));
}
