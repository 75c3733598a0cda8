//! The order of the cycle, as a guest sees it.

use portcullis_guest::billing::{self, Nonce, Request};
use portcullis_guest::testing::{Double, Event};
use portcullis_guest::{Grant, Limits, Refusal, VaultError, paid};

fn nonce(bytes: &[u8]) -> Nonce {
    bytes.try_into().unwrap()
}

#[test]
fn a_verified_request_draws_once_and_a_held_grant_covers_the_next() {
    let double = Double::new().operation("view", &[]).install();
    let first = billing::request("view").unwrap().verify().unwrap();
    let second = billing::request("view").unwrap().verify().unwrap();
    assert_eq!(double.drawn("view"), 1);
    drop((first, second));
    let _third = billing::request("view").unwrap().verify().unwrap();
    assert_eq!(double.drawn("view"), 2, "nothing was held any more");
}

#[test]
fn a_nonce_always_draws() {
    let double = Double::new().operation("view", &[]).install();
    let held = billing::request("view").unwrap().verify().unwrap();
    let again = Request::new("view").nonce(nonce(b"1")).send().unwrap().verify().unwrap();
    assert_eq!(double.drawn("view"), 2);
    drop((held, again));
}

#[test]
fn a_code_that_is_not_verified_draws_nothing() {
    let double = Double::new().operation("view", &[]).install();
    drop(billing::request("view").unwrap());
    assert_eq!(double.drawn("view"), 0);
}

#[test]
fn units_run_out() {
    let double = Double::new().operation("render", &[]).units("render", 5).install();
    let three = 3.try_into().unwrap();
    drop(Request::new("render").quantity(three).send().unwrap().verify().unwrap());
    assert_eq!(Request::new("render").quantity(three).send().unwrap_err(), Refusal::EntitlementExhausted);
    drop(billing::request("render").unwrap().verify().unwrap());
    assert_eq!(double.drawn("render"), 4);
}

#[test]
fn two_codes_for_the_last_unit_give_one_grant() {
    let double = Double::new().operation("render", &[]).units("render", 1).install();
    let first = billing::request("render").unwrap();
    let second = billing::request("render").unwrap();
    assert!(first.verify().is_ok());
    assert_eq!(second.verify().unwrap_err(), Refusal::EntitlementExhausted);
    assert_eq!(double.drawn("render"), 1);
}

#[test]
fn a_refused_verification_draws_nothing_and_can_be_tried_again() {
    let double = Double::new().operation("view", &[]).refuse_verification("view", Refusal::StatusCodeExpired).install();
    assert_eq!(billing::request("view").unwrap().verify().unwrap_err(), Refusal::StatusCodeExpired);
    assert_eq!(double.drawn("view"), 0);
    double.allow("view");
    assert!(billing::request("view").unwrap().verify().is_ok());
}

#[test]
fn an_operation_that_no_manifest_has_is_refused() {
    let _double = Double::new().operation("view", &[]).install();
    assert_eq!(billing::request("print").unwrap_err(), Refusal::OperationUnknown);
}

#[test]
fn a_grant_tells_what_the_test_scripted() {
    let limits = Limits { uses: Some(3), ..Limits::default() };
    let _double = Double::new().operation("view", &[]).limits("view", limits).install();
    let grant = billing::request("view").unwrap().verify().unwrap();
    assert_eq!(grant.limits(), limits);
    assert!(grant.expires() > 0);
    assert_eq!(grant.document().split('.').count(), 3);
}

#[test]
fn the_entry_grant_is_used_where_it_is_for_the_operation() {
    let double = Double::new().operation("view", &[]).enter("view").install();
    assert_eq!(billing::grant_for("view").unwrap().operation(), "view");
    let requested = double.events().iter().any(|event| matches!(event, Event::Requested { .. }));
    assert!(!requested, "the host ran the cycle before the call");
}

#[test]
fn another_operation_runs_its_own_cycle() {
    let double = Double::new().operation("view", &[]).enter("preview").install();
    assert_eq!(billing::grant_for("view").unwrap().operation(), "view");
    assert_eq!(double.drawn("view"), 1);
}

#[test]
fn a_nonce_is_bounded() {
    assert!(Nonce::try_from([0; 64].as_slice()).is_ok());
    assert!(Nonce::try_from([0; 65].as_slice()).is_err());
}

#[derive(Debug, PartialEq)]
struct Failure(String);

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self(refusal.to_string())
    }
}

struct Renderer {
    frames: u32,
}

impl Renderer {
    #[paid(operation = "render")]
    fn render(&mut self, grant: Grant, frames: u32) -> Result<u32, Failure> {
        assert_eq!(grant.operation(), "render");
        self.frames += frames;
        if self.frames > 100 {
            return Err(Failure("too many".into()));
        }
        Ok(self.frames)
    }

    #[paid(operation = "render")]
    fn without_parameter() -> Result<(), Failure> {
        Ok(())
    }
}

#[test]
fn a_paid_method_runs_under_its_grant_and_gives_it_back() {
    let double = Double::new().operation("render", &[]).units("render", 3).install();
    let mut renderer = Renderer { frames: 0 };
    assert_eq!(renderer.render(60), Ok(60));
    assert_eq!(renderer.render(60), Err(Failure("too many".into())));
    assert_eq!(Renderer::without_parameter(), Ok(()));
    let released =
        double.events().iter().filter(|event| **event == Event::Released { operation: "render".into() }).count();
    assert_eq!((double.drawn("render"), released), (3, 3));
    assert_eq!(renderer.render(0), Err(Failure(Refusal::EntitlementExhausted.to_string())));
    assert_eq!(renderer.frames, 120, "a refused body does not run");
}

#[test]
fn the_grant_of_a_paid_function_is_held_until_its_end() {
    #[paid(operation = "view")]
    fn pixels(grant: &Grant) -> Result<Vec<u8>, Refusal> {
        Ok(grant.open("full").unwrap().read_all(10).unwrap())
    }
    let _double = Double::new().part("full", *b"pixels").operation("view", &["full"]).install();
    assert_eq!(pixels().unwrap(), b"pixels");
}

#[test]
fn a_grant_opens_its_own_parts_alone() {
    let double = Double::new().part("full", *b"x").part("other", *b"y").operation("view", &["full"]).install();
    let grant = billing::request("view").unwrap().verify().unwrap();
    assert!(grant.open("full").is_ok());
    assert_eq!(grant.open("other").unwrap_err(), VaultError::NotGranted);
    assert_eq!(grant.open("third").unwrap_err(), VaultError::NoSuchPart);
    double.expire("view");
    assert_eq!(grant.open("full").unwrap_err(), VaultError::Expired);
}

#[test]
#[should_panic(expected = "no double is installed")]
fn without_a_double_nothing_is_granted() {
    let _ = billing::request("view");
}
