//! The key of a publisher that a store has in use.

use portcullis_host::Client;
use portcullis_protocol::{Origin, PublicKey, PublisherName};

/// The key in use, if it is another one than this. `None`, too, if the store does not know the publisher, or does not
/// answer.
pub(crate) async fn other_than(
    client: &Client,
    server: &Origin,
    publisher: &PublisherName,
    key: &PublicKey,
) -> Option<PublicKey> {
    let known = client.publishing(server).publisher(publisher).await.ok()?;
    (known.publisher_key != *key).then_some(known.publisher_key)
}
