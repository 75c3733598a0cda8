//! What a resource asks for from inside, put to the user on the terminal.

use portcullis_host::{Answer, Consent, Prompt};
use portcullis_protocol::OperationName;

use crate::output::{OfferLine, Screen, style};

/// Asks on the terminal. What the user agreed to on the command line is not asked again; where nobody can be asked,
/// the answer is no.
#[derive(Debug)]
pub(crate) struct Terminal {
    screen: Screen,
    allowed: Vec<OperationName>,
}

impl Terminal {
    /// `allowed` are the operations agreed to beforehand.
    pub(crate) fn new(screen: Screen, allowed: &[OperationName]) -> Self {
        Self { screen, allowed: allowed.to_vec() }
    }

    /// The text of the question: names and prices are the manifest's and the store's, never the resource's.
    fn question(prompt: &Prompt<'_>) -> String {
        let manifest = prompt.resource.manifest();
        let (strong, dim) = (style::STRONG, style::DIM);
        let mut text = format!(
            "{strong}{}/{}{strong:#} asks for {strong}{}{strong:#} (\"{}\"), {} times\n",
            manifest.publisher.name, manifest.name, prompt.operation.name, prompt.operation.title, prompt.quantity
        );
        for offer in prompt.offers {
            text += &format!("  {dim}sold as{dim:#} {}\n", OfferLine::of(offer));
        }
        text + "Use rights that you hold for it?"
    }
}

#[async_trait::async_trait]
impl Consent for Terminal {
    async fn ask(&self, prompt: &Prompt<'_>) -> Answer {
        if self.allowed.contains(&prompt.operation.name) {
            return prompt.agree();
        }
        let (screen, question) = (self.screen, Self::question(prompt));
        let yes = tokio::task::spawn_blocking(move || screen.ask(question)).await.unwrap_or(false);
        if yes { prompt.agree() } else { prompt.decline() }
    }
}
