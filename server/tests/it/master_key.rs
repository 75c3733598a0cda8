//! The master key is changed: everything opens with the new one, and nothing with the old one.

use crate::browser::Browser;
use crate::command::{json, refused};
use crate::stage::{PASSWORD, Stage, config};
use crate::terminal::Draft;
use portcullis_protocol::Reason;
use portcullis_protocol::wire::{AuthorisationAnswer, VerificationAnswer, VerificationRequest};
use portcullis_server::crypto::secrets::Secrets;
use portcullis_server::ops::config::Config;
use portcullis_server::store::DatabaseAddress;
use portcullis_server::{MASTER_KEY, Parts, Running, ServeError};
use std::path::Path;
use std::process::{Command, Output};

fn run_in(dir: &Path, origin: &str, database: Option<&DatabaseAddress>, task: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis-server"));
    command.args(task).arg("--json").arg("--dir").arg(dir).env("PORTCULLIS_SERVER_ORIGIN", origin);
    if let Some(database) = database {
        command.env("PORTCULLIS_SERVER_DATABASE", database.to_string());
    }
    command.output().expect("runs")
}

#[tokio::test]
async fn everything_opens_with_the_new_master_key_and_nothing_with_the_old_one() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let mut browser = stage.person("ada@example.org").await;
    let mut customer = stage.terminal_of(&mut browser).await;
    shop.buy(&mut customer, "view").await;
    crate::audit::act(&stage.running.app().core).await;
    let address = stage.running.address();
    let (origin, database) = (stage.origin.clone(), stage.running.app().config.database.clone());
    let root = stage.running.app().core.keys.root().thumbprint();
    let dir = stage.folder.path().to_owned();
    let run = |task: &[&str]| run_in(&dir, origin.as_str(), database.as_ref(), task);
    let key = |name: &str| std::fs::read(dir.join(name)).expect("a key");
    let before = key(MASTER_KEY);

    assert!(refused(&run(&["rotate-master-key"])).contains("a server is running"));
    assert!(key(MASTER_KEY) == before && !dir.join("master.key.new").exists(), "nothing was changed");
    let Stage { folder, running, .. } = stage;
    running.stop().await.expect("stops");
    let changed = json(&run(&["rotate-master-key"]));
    assert!(changed["sealed"].as_u64().is_some_and(|sealed| sealed > 8), "{changed}");
    assert!(key(MASTER_KEY) != before && key("master.key.old") == before);
    let new = Secrets::open(&dir.join(MASTER_KEY)).expect("a key");

    // The old key opens nothing.
    let open = async || {
        let config =
            Config { listen: address, origin: Some(origin.clone()), database: database.clone(), ..config(&folder) };
        Running::start_with(config, Parts::default()).await
    };
    let (current, aside) = (dir.join(MASTER_KEY), dir.join("aside"));
    std::fs::rename(&current, &aside).expect("moved");
    std::fs::copy(dir.join("master.key.old"), &current).expect("copied");
    let old = open().await.err();
    assert!(matches!(old, Some(ServeError::OtherMasterKey { .. })), "{old:?}");
    std::fs::rename(&aside, &current).expect("moved back");

    // The control: with the new one everything is there. Everybody has to sign in again.
    let running = open().await.expect("starts");
    let core = running.app().core.clone();
    assert_eq!((core.secrets.key_check(), core.keys.root().thumbprint()), (new.key_check(), root));
    crate::audit::is_whole(&core, 2).await;
    let told = core.store.audit_rows(1, 1).await.expect("rows");
    assert_eq!(told[0].row.action, "master key rotate");
    assert_eq!(customer.get_no(&Draft::get("/v1/account")).await.reason, Reason::NotSignedIn);
    let mut again = Browser::new(&origin);
    assert_eq!(again.sign_in("ada@example.org", PASSWORD).await.status, 303, "found by the name");
    let code = customer.device_code("a terminal").await;
    again.decide(&code.user_code, "approve").await;
    customer.poll(&code.device_code).await.expect("tokens");
    let request = shop.request("view");
    let code: AuthorisationAnswer = customer.get_yes(&Draft::post("/v1/authorizations", &request)).await;
    let verification = VerificationRequest { code: code.code, request };
    let _: VerificationAnswer = customer.get_yes(&Draft::post("/v1/verifications", &verification)).await;
    running.stop().await.expect("stops");

    // As if it had been stopped between the database and the files: run again, it ends what it began.
    let current = key(MASTER_KEY);
    std::fs::rename(dir.join(MASTER_KEY), dir.join("master.key.new")).expect("moved");
    std::fs::rename(dir.join("master.key.old"), dir.join(MASTER_KEY)).expect("moved");
    assert!(refused(&run(&["operator", "ledger"])).contains("is not the one that sealed the database"));
    let finished = json(&run(&["rotate-master-key"]));
    assert_eq!(finished["sealed"], serde_json::Value::Null);
    assert!(key(MASTER_KEY) == current && key("master.key.old") == before);
    json(&run(&["operator", "check"]));
    assert!(refused(&run(&["rotate-master-key"])).contains("master.key.old is still there"));
}
