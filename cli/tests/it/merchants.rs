//! What a merchant is told before its server runs.

use crate::stage::Stage;
use crate::transcript::Transcript;

#[test]
fn the_check_says_what_is_missing_and_what_to_do() {
    let mut stage = Stage::with_store();
    let file = stage.path("store").join("server.toml");
    let config = std::fs::read_to_string(&file).expect("the configuration");
    let reaching = config.replacen("[webhooks]", "[webhooks]\nnetworks_of_others = [\"127.0.0.0/8\"]", 1);
    assert_ne!(reaching, config, "there is such a section");
    std::fs::write(&file, reaching).expect("written");
    stage.restart_store(0);
    stage.login("merchant");
    let mut said = Transcript::of(&stage, "merchant");
    assert_eq!(said.run(&["merchant", "check"]), 1, "there is no key");
    assert_eq!(said.run(&["merchant", "keygen"]), 0);
    assert_eq!(said.run(&["merchant", "check"]), 3, "the store does not know the key");
    assert_eq!(said.run(&["merchant", "orders"]), 45);
    assert_eq!(said.run(&["merchant", "sell", "game-key", "--title", "Alpine Racer", "--price", "20.00EUR"]), 45);
    // Nobody listens there.
    let webhook = "http://127.0.0.1:1/hook";
    let register = ["merchant", "register", "games", "--title", "The Games Shop", "--webhook", webhook];
    assert_eq!(said.run(&register), 1, "the name is claimed, and the endpoint is not proven");
    assert_eq!(said.run(&["merchant", "check"]), 3);
    assert_eq!(said.run(&["merchant", "sell", "game-key", "--title", "Alpine Racer", "--price", "20.00EUR"]), 0);
    said.run(&["merchant", "orders"]);
    said.check("merchant-check");
}
