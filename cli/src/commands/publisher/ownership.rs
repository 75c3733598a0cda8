//! Whose a publisher's name is. A store tells everybody but the owner that there is nothing to change.

use portcullis_host::{Client, ClientError};
use portcullis_protocol::{Origin, PublisherName};

use crate::failure::{Failure, Outcome};

/// What a store has answered to whoever acts for a publisher. If that was a no because the name is another account's,
/// it is said so.
pub(crate) async fn answered<T>(
    client: &Client,
    server: &Origin,
    publisher: &PublisherName,
    answer: Result<T, ClientError>,
) -> Outcome<T> {
    let error = match answer {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if matches!(error, ClientError::Rejected { status: 403 | 404, .. } | ClientError::NotFound(_))
        && let Ok(account) = client.store(server).account().await
        && !account.publishers.contains(publisher)
    {
        return Err(Failure::new(
            format!("`{publisher}` belongs to another account: you are signed in to {server} as {}", account.account),
            format!("sign in as its owner: `portcullis logout {server}`, then `portcullis login {server}`"),
        ));
    }
    Err(error.into())
}
