//! The theme, loaded by the programs that it is for: bat and Vim.

use super::stage::{Stage, THEME};
use super::tools::{optional, printed};
use anyhow::{Context as _, Result, ensure};
use portcullis_tests::checkout;
use std::fs;
use std::path::PathBuf;

/// Something to colour: a comment, a keyword, a function, a string, a number.
const SAMPLE: &str = "// A note.\nfn main() {\n    println!(\"ember\", 42);\n}\n";

/// A colour of the theme, by its name.
fn colour(name: &str) -> Result<String> {
    let theme = fs::read_to_string(checkout::root().join("example-resources/theme/assets/theme.toml"))?;
    let line = theme.lines().find_map(|line| line.strip_prefix(&format!("{name} = \"#"))?.strip_suffix('"'));
    Ok(line.with_context(|| format!("no colour {name}"))?.to_owned())
}

/// The same, as a terminal is told to write in it.
fn escape(name: &str) -> Result<String> {
    let [_, red, green, blue] = u32::from_str_radix(&colour(name)?, 16)?.to_be_bytes();
    Ok(format!("38;2;{red};{green};{blue}m"))
}

/// A stage on which the theme was bought and written: `pine-and-ember.tmTheme`, `.vim` and `.toml`.
async fn bought() -> Result<Stage> {
    let stage = Stage::selling("theme").await?;
    let user = stage.user().await?;
    stage.run(&user, &["install", THEME])?;
    let shown = stage.run(&user, &["run", THEME])?.stdout;
    ensure!(String::from_utf8(shown)?.contains("\x1b[48;2;143;194;122m"), "the swatch shows no green");
    stage.run(&user, &["run", THEME, "--invoke", "preview()", "-o", "swatch.svg"])?;
    let formats = [("text-mate()", "tmTheme"), ("vim()", "vim"), ("alacritty()", "toml")];
    for (call, ending) in formats {
        let file = format!("pine-and-ember.{ending}");
        stage.unpaid(&user, &["run", THEME, "--invoke", call, "-o", &file])?;
        ensure!(!stage.path(&file).exists(), "a refused run wrote a file");
    }
    stage.run(&user, &["buy", THEME, "--operation", "apply", "--yes"])?;
    for (call, ending) in formats {
        stage.run(&user, &["run", THEME, "--invoke", call, "-o", &format!("pine-and-ember.{ending}")])?;
    }
    Ok(stage)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bat_and_vim_load_the_theme() -> Result<()> {
    let stage = bought().await?;
    fs::write(stage.path("sample.rs"), SAMPLE)?;
    in_bat(&stage)?;
    in_vim(&stage)?;
    as_toml(&stage)?;
    stage.preview_releases(THEME, "painter", "swatch").await
}

fn in_bat(stage: &Stage) -> Result<()> {
    let Some(bat) = optional("bat", &["batcat", "bat"])? else { return Ok(()) };
    let program = PathBuf::from(bat.get_program());
    let (config, cache) = (stage.path("bat-config"), stage.path("bat-cache"));
    let bat = |arguments: &[&str]| {
        let mut command = std::process::Command::new(&program);
        command.env("BAT_CONFIG_DIR", &config).env("BAT_CACHE_PATH", &cache).env("COLORTERM", "truecolor");
        command.env_remove("BAT_THEME").env_remove("NO_COLOR").args(arguments).current_dir(stage.folder());
        printed(&mut command).and_then(|bytes| Ok(String::from_utf8(bytes)?))
    };
    // Without it, bat knows no such theme.
    ensure!(!bat(&["--list-themes", "--color=never"])?.contains("pine-and-ember"), "bat knew the theme before");
    fs::create_dir_all(config.join("themes"))?;
    fs::copy(stage.path("pine-and-ember.tmTheme"), config.join("themes/pine-and-ember.tmTheme"))?;
    bat(&["cache", "--build"])?;
    let themes = bat(&["--list-themes", "--color=never"])?;
    ensure!(themes.lines().any(|line| line.trim() == "pine-and-ember"), "bat did not take the theme:\n{themes}");
    let shown = bat(&["--theme=pine-and-ember", "--color=always", "--style=plain", "--paging=never", "sample.rs"])?;
    for (name, what) in [("comment", "comment"), ("blue", "function"), ("green", "string"), ("orange", "number")] {
        ensure!(shown.contains(&escape(name)?), "no {what} in {name}:\n{shown:?}");
    }
    // The control: another theme shows none of these.
    let other = bat(&["--theme=ansi", "--color=always", "--style=plain", "--paging=never", "sample.rs"])?;
    ensure!(!other.contains(&escape("green")?), "{other:?}");
    Ok(())
}

fn in_vim(stage: &Stage) -> Result<()> {
    let Some(mut vim) = optional("vim", &["vim"])? else { return Ok(()) };
    let colours = stage.path("vim/colors");
    fs::create_dir_all(&colours)?;
    fs::copy(stage.path("pine-and-ember.vim"), colours.join("pine-and-ember.vim"))?;
    let script = "set runtimepath^=vim\nset termguicolors\nsyntax enable\ncolorscheme pine-and-ember\n\
        let out = [g:colors_name]\n\
        for group in ['Normal', 'Comment', 'String', 'Function', 'Statement']\n\
        call add(out, group . ' ' . synIDattr(hlID(group), 'fg#', 'gui'))\nendfor\n\
        call add(out, 'ground ' . synIDattr(hlID('Normal'), 'bg#', 'gui'))\n\
        call add(out, 'string ' . synIDattr(synIDtrans(synID(3, 17, 1)), 'fg#', 'gui'))\n\
        call writefile(out, 'vim-says')\nqall!\n";
    fs::write(stage.path("look.vim"), script)?;
    // Silent and without a screen; errors of the script end it with a code.
    vim.args(["-N", "-u", "NONE", "-i", "NONE", "-n", "-e", "-s", "-S", "look.vim", "sample.rs"]);
    printed(vim.current_dir(stage.folder()).env("TERM", "xterm-256color"))?;
    let says = fs::read_to_string(stage.path("vim-says"))?;
    let mut wanted = String::from("pine-and-ember\n");
    for (group, name) in [
        ("Normal", "foreground"),
        ("Comment", "comment"),
        ("String", "green"),
        ("Function", "blue"),
        ("Statement", "red"),
        ("ground", "background"),
        // In the file itself: the word `ember`.
        ("string", "green"),
    ] {
        wanted += &format!("{group} #{}\n", colour(name)?);
    }
    assert_eq!(says, wanted);
    Ok(())
}

/// Alacritty needs a display; its format is TOML, and its manual names the keys.
fn as_toml(stage: &Stage) -> Result<()> {
    let file: toml::Table = fs::read_to_string(stage.path("pine-and-ember.toml"))?.parse()?;
    let colours = &file["colors"];
    for kind in ["normal", "bright"] {
        let table = colours[kind].as_table().context("a table")?;
        assert_eq!(table.len(), 8, "{kind}");
    }
    assert_eq!(colours["primary"]["background"].as_str(), Some(format!("#{}", colour("background")?).as_str()));
    assert_eq!(colours["bright"]["blue"].as_str(), Some(format!("#{}", colour("bright-blue")?).as_str()));
    Ok(())
}
