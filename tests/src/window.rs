//! A store with the example resources on its shelves, as a person finds it in a browser.

use crate::{Browser, Server, Terminal, Vendor, Ware, checkout, chromium};
use anyhow::{Context as _, Result};
use portcullis_protocol::encoding::base64url;
use serde_json::{Value, json};
use std::io::Cursor;
use std::path::{Path, PathBuf};

/// The examples, with the publisher of each.
const EXAMPLES: [(&str, &str); 5] = [
    ("picture", "lumen"),
    ("software", "pixelforge"),
    ("music", "tidewater"),
    ("theme", "hearth"),
    ("video", "ridgeline"),
];
const PUBLISHER: &str = "publisher@mail.example";
const PASSWORD: &str = "correct horse battery staple";

/// More than a page of a list.
const WARES: usize = 30;
/// As long as a title may be: without a space at which a line could break, and with.
const LONG_WORD: &str = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaftsversammlungsprotokollsammelbandreihe";
const LONG_TITLE: &str = "The complete and unabridged panoramic atlas of the Cantabrian mountains, in three volumes, with an index of its paths";
/// What stands for no cover: text is none.
const PLAIN: (&str, &[u8]) = ("text/plain", b"no picture");

/// A store that sells the examples.
pub struct Window {
    /// Its server.
    pub server: Server,
    folder: PathBuf,
}

impl Window {
    /// Opens a store in `folder` and puts these examples on sale, or all of them.
    ///
    /// # Errors
    /// If a program is missing, or one of its commands fails: with what it says.
    pub async fn open(folder: &Path, examples: &[&str]) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut server = Server::init(&folder.join("server"))?;
        server.configure("limits", "poll_seconds", 0)?;
        server.configure("limits", "address_rate", 1000)?;
        server.configure("limits", "address_burst", 1000)?;
        server.start(&[])?;
        let window = Self { server, folder: folder.to_owned() };
        let publisher = Terminal::new(folder.join("publisher"));
        let mut browser = Browser::new(window.server.origin())?;
        browser.sign_up(PUBLISHER, PASSWORD).await?;
        publisher.login(&window.server, &mut browser).await?.done()?;
        for (example, name) in EXAMPLES {
            if examples.is_empty() || examples.contains(&example) {
                window.sell(&publisher, example, name)?;
            }
        }
        Ok(window)
    }

    /// Puts small wares beside them, so many that lists have pages, and among them titles as long as they may be.
    ///
    /// # Errors
    /// If the server does not take one.
    pub async fn crowd(&self) -> Result<()> {
        let mut browser = Browser::new(self.server.origin())?;
        browser.sign_up("vendor@mail.example", PASSWORD).await?;
        let mut vendor = Vendor::open(&self.server, &mut browser, "the-house-of-many-wares").await?;
        for number in 1..=WARES {
            let (name, title) = (format!("ware-{number}"), format!("Sheet {number} of an atlas of the northern coast"));
            let ware = Ware { name: &name, kind: "atlas", ..Ware::default() };
            let ware = match number {
                1 => Ware { title: LONG_WORD, view: LONG_WORD, description: LONG_WORD, ..ware },
                2 => Ware { title: LONG_TITLE, view: LONG_TITLE, description: LONG_TITLE, ..ware },
                3 => Ware { kind: "a kind of their own", title: "אטלס של החוף", ..ware },
                _ => Ware { title: &title, description: "One of many.", cover: PLAIN, ..ware },
            };
            vendor.sell(&ware).await?;
        }
        Ok(())
    }

    fn sell(&self, publisher: &Terminal, example: &str, name: &str) -> Result<()> {
        let project = checkout::root().join("example-resources").join(example);
        let project = project.to_str().context("a path that is text")?;
        let (file, key) = (format!("{example}.sealed.wasm"), format!("{name}.key"));
        let origin = self.server.origin();
        publisher.run_in(&self.folder, &["keygen", "-o", &key])?.done()?;
        let seal = ["seal", project, "--server", origin, "--key", &key, "--advisory-metering", "-o", &file];
        publisher.run_in(&self.folder, &seal)?.done()?;
        let publish = ["publish", &file, "--project", project, "--key", &key];
        publisher.run_in(&self.folder, &publish)?.done()?;
        Ok(())
    }

    /// Runs a script in a real browser; `more` goes with what every script is given.
    ///
    /// # Errors
    /// As [`chromium::drive`].
    pub async fn drive(&self, script: &str, more: Value) -> Result<Value> {
        let programs = checkout::program("portcullis")?.parent().map(Path::to_owned);
        let mut arguments = json!({
            "origin": self.server.origin(), "password": PASSWORD, "folder": self.folder.join("person"),
            "store": self.server.dir(), "programs": programs, "photograph": photograph()?,
        });
        if let (Some(all), Value::Object(more)) = (arguments.as_object_mut(), more) {
            all.extend(more);
        }
        chromium::drive(script, &arguments).await
    }

    /// Where its files lie.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// A small picture of a person's own, for software that takes one.
fn photograph() -> Result<String> {
    let picture = image::RgbImage::from_fn(16, 12, |x, y| image::Rgb([x.to_le_bytes()[0], y.to_le_bytes()[0], 128]));
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, image::ImageFormat::Png)?;
    Ok(base64url(file.get_ref()))
}
