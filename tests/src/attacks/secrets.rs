//! What a run leaves behind: every secret that was seen in it, looked for in logs, databases and state directories.

use super::shop::Loot;
use super::specimen::MARK_OF_THE_ASSET;
use super::{Arena, Outcome, Trial, attacks};
use anyhow::{Context as _, Result, ensure};
use portcullis_fixtures::{Needles, PLAINTEXT, api, postgres};
use portcullis_host::Runtime;
use portcullis_protocol::encoding::base64url;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

attacks! {
    "secrets-grepped-from-logs-and-disk" => secrets_grepped_from_logs_and_disk,
}

/// Reads everything that the server and a client have on their disks.
async fn secrets_grepped_from_logs_and_disk(arena: &mut Arena) -> Result<Outcome> {
    let folder = arena.path().to_owned();
    let shop = arena.shop().await?;
    // A full run, with the real client and with a terminal whose secrets are all known.
    let (client, _, home) = shop.client().await?;
    let moved = |_, _| ();
    let installed = client.library().install(&"lumen/alpine-lake".parse()?, &moved).await?;
    let runtime = Runtime::builder().gatekeeper(client.cycle()).clock(client.clock()).build()?;
    let resource = runtime.load(&installed.path)?;
    let (seven,): (u32,) = resource.authorize("preview").await?.call_typed(&api("other"), ()).await?;
    client.cycle().settle(std::time::Duration::from_secs(5)).await;
    let mut cheater = shop.buyer("view").await?;
    let answer = cheater.cycle(&shop.request("view")).await?;
    ensure!(cheater.open(&answer)?.len() == 2, "two keys are released");
    shop.loot.add("plaintext of the body", PLAINTEXT.as_bytes());
    shop.loot.add("plaintext of the asset", MARK_OF_THE_ASSET);
    let kept = keep_store(&home)?;
    for secret in &kept {
        shop.loot.add("a token in the client's key store", secret.as_bytes());
    }

    let mut files = files_below(shop.folder())?;
    if postgres::is_chosen() {
        files.extend(postgres::cluster().files());
    }
    // What only its owner reads, and where secrets belong.
    files.retain(|file| !is_key_store(shop.folder(), file));
    let loot = &shop.loot;
    let (found, looked) = search(loot, &files)?;
    let mut trial = Trial::new();
    trial.note(format!("{} secrets in {} files, {} KiB", loot.all().len(), files.len(), looked / 1024));
    trial.attack_fails(
        &if found.is_empty() { "reading everything".to_owned() } else { format!("found: {}", found.join(", ")) },
        "no secret found",
        found.is_empty(),
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mut keys = files_below(&home.join("keys"))?;
        keys.push(shop.server.dir().join(portcullis_server::MASTER_KEY));
        let mut modes = keys.iter().map(|file| fs::metadata(file).map(|data| data.permissions().mode() & 0o777));
        let private = modes.all(|mode| mode.is_ok_and(|mode| mode == 0o600));
        trial.attack_fails("reading keys as another user", "mode 0600", private);
    }

    trial.control("the run went through", seven == 7);
    let public = [("a publisher's name".to_owned(), b"alpine-lake".to_vec())];
    let (found, _) = search_for(&public, &files)?;
    trial.control("what is public is found with the same search", !found.is_empty());
    for (how, spell) in SPELLINGS {
        let planted = folder.join("planted");
        let (_, secret) = loot.all().into_iter().find(|(what, _)| what == "an access token").context("a token")?;
        fs::write(&planted, [b"left behind: ", &spell(&secret)[..], b"\n"].concat())?;
        let (found, _) = search(loot, std::slice::from_ref(&planted))?;
        fs::remove_file(&planted)?;
        trial.control(&format!("a token left behind {how} is found"), !found.is_empty());
    }
    trial.control("the client's tokens are known", !kept.is_empty());
    Ok(trial.finish())
}

/// How a secret may be written.
type Spelling = fn(&[u8]) -> Vec<u8>;
const SPELLINGS: [(&str, Spelling); 3] = [
    ("as it is", |secret| secret.to_vec()),
    ("in base64url", |secret| base64url(secret).into_bytes()),
    ("in hexadecimal", |secret| secret.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes()),
];

fn search(loot: &Loot, files: &[PathBuf]) -> Result<(Vec<String>, usize)> {
    search_for(&loot.all(), files)
}

/// What was found where, and how many bytes were read.
pub(super) fn search_for(secrets: &[(String, Vec<u8>)], files: &[PathBuf]) -> Result<(Vec<String>, usize)> {
    let spelled = secrets
        .iter()
        .flat_map(|(what, secret)| SPELLINGS.map(|(how, spell)| (format!("{what} {how}"), spell(secret))));
    let (names, spelled): (Vec<String>, Vec<Vec<u8>>) = spelled.unzip();
    let needles = Needles::new(&spelled);
    let (mut found, mut looked) = (Vec::new(), 0);
    for file in files {
        let bytes = match fs::read(file) {
            Ok(bytes) => bytes,
            // The server runs, and clears up meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        };
        looked += bytes.len();
        for at in needles.found_in(&bytes) {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let line = format!("{} in {name}", names[at]);
            if !found.contains(&line) {
                found.push(line);
            }
        }
    }
    Ok((found, looked))
}

pub(super) fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files.extend(files_below(&entry.path())?);
        } else {
            files.push(entry.path());
        }
    }
    Ok(files)
}

/// Whether a file lies in the key store of a client, `home-N/keys/`.
fn is_key_store(shop: &Path, file: &Path) -> bool {
    let mut folders = file.strip_prefix(shop).into_iter().flat_map(Path::iter).map(|name| name.to_string_lossy());
    folders.next().is_some_and(|home| home.starts_with("home-")) && folders.next().is_some_and(|keys| keys == "keys")
}

/// The tokens in a client's key store.
fn keep_store(home: &Path) -> Result<Vec<String>> {
    let mut tokens = Vec::new();
    for file in files_below(&home.join("keys"))? {
        let Ok(stored) = serde_json::from_slice::<serde_json::Value>(&fs::read(file)?) else { continue };
        tokens.extend(["access", "refresh"].iter().filter_map(|member| stored[member].as_str().map(str::to_owned)));
    }
    Ok(tokens)
}
