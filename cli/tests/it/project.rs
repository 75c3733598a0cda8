//! `new` makes projects that build and run outside the checkout. Slow: it compiles the SDK.

use crate::stage::Stage;

#[test]
fn every_kind_builds_is_tested_and_sold() {
    let stage = Stage::new();
    let target = stage.path("target");
    for kind in ["software", "picture", "command"] {
        let name = format!("my-{kind}");
        stage.succeed("publisher", &["new", &name, "--kind", kind, "--publisher", "tessera"]);
        let dev = stage.command("publisher").args(["--json", "dev", &name]).env("CARGO_TARGET_DIR", &target).output();
        let dev = dev.expect("dev runs");
        assert!(dev.status.success(), "{}", String::from_utf8_lossy(&dev.stderr));
        crate::json::check(&["--json", "dev"], &dev.stdout);
        let said: serde_json::Value = serde_json::from_slice(&dev.stdout).expect("one JSON value");
        let steps: Vec<&str> =
            said["steps"].as_array().expect("steps").iter().filter_map(|s| s["step"].as_str()).collect();
        assert_eq!(steps[..6], ["build", "store", "sign in", "seal", "publish", "install"], "{kind}");
        assert!(steps.ends_with(&["cycle", "buy", "cycle", "call"]), "{kind}: {steps:?}");
        let calls = said["steps"].as_array().expect("steps").iter().filter(|s| s["step"] == "call");
        let last = calls.collect::<Vec<_>>().pop().and_then(|s| s["outcome"].as_str()).expect("a call");
        let expected = match kind {
            "software" => "ok({words: 7, sentences: 3, minutes: 1})",
            "picture" => "view() → 1.",
            _ => "exit 0: MCMXCIV",
        };
        assert!(last.contains(expected), "{last}");
        let built =
            stage.command("publisher").args(["--json", "build", &name]).env("CARGO_TARGET_DIR", &target).output();
        crate::json::check(&["--json", "build"], &built.expect("build runs").stdout);
        let mut cargo = std::process::Command::new("cargo");
        cargo.args(["test", "--quiet"]).current_dir(stage.path(&name)).env("CARGO_TARGET_DIR", &target);
        let tested = cargo.output().expect("cargo runs");
        assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stderr));
    }
}
