//! A store as people reach it, with a browser.

use super::Arena;
use super::accounts::PASSWORD;
use crate::{Browser, Server, chromium};
use anyhow::Result;
use serde_json::{Value, json};

/// A store that runs, and in which people sign up.
pub(super) struct Site {
    pub(super) server: Server,
}

impl Site {
    pub(super) async fn open(arena: &mut Arena) -> Result<Self> {
        let mut server = Server::init(&arena.fresh_path())?;
        server.configure("limits", "poll_seconds", 0)?;
        server.start(&[])?;
        Ok(Self { server })
    }

    /// The browser of somebody who has just made an account.
    pub(super) async fn person(&self, email: &str) -> Result<Browser> {
        let mut browser = Browser::new(self.server.origin())?;
        browser.sign_up(email, PASSWORD).await?;
        Ok(browser)
    }

    /// Runs a script in Chromium, for the person of this address.
    pub(super) async fn drive(&self, script: &str, email: &str, more: Value) -> Result<Value> {
        let mut arguments = json!({"origin": self.server.origin(), "email": email, "password": PASSWORD});
        if let (Some(all), Value::Object(more)) = (arguments.as_object_mut(), more) {
            all.extend(more);
        }
        chromium::drive(script, &arguments).await
    }
}
