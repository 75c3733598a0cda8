//! A bucket of a service that speaks S3.
//!
//! A file that is larger than [`PIECE`] goes up in parts. The service keeps parts, and charges for them, until the
//! upload is completed or given up: whoever fails gives it up at once, the intent of a process that died leads the
//! next one to it, and once a day what nobody remembers is found by the service's own list.

use super::StorageError;
use super::intent::Intent;
use super::settings::StorageSettings;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, AwsAuthorizer};
use object_store::client::{HttpRequest, HttpRequestBody};
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::path::Path as Key;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt as _, RetryConfig};
use serde::Deserialize;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use url::Url;

/// Bytes of a part, and the most that goes up in one request. A file of 4 GiB has 512 of them.
const PIECE: u64 = 8 * 1024 * 1024;
/// Parts that are under way at once: with their buffers, 16 MiB per upload.
const AT_ONCE: usize = 2;
/// How old an upload has to be before it counts as forgotten: no process takes so long from the first part to the last.
const FORGOTTEN: Duration = Duration::from_secs(24 * 3600);
/// How often a request is tried again, and for how long.
const RETRIES: usize = 4;
const RETRIED_FOR: Duration = Duration::from_secs(60);
/// How long the service may say nothing: a part over a slow line.
const REQUEST: Duration = Duration::from_secs(120);
/// How many uploads are listed at once, as S3 has it.
const LISTED: usize = 1000;

/// A bucket, and what keys in it begin with.
#[derive(Debug)]
pub(super) struct Bucket {
    s3: AmazonS3,
    name: String,
    prefix: Key,
    region: String,
    /// The bucket's own address, path style.
    address: Url,
    http: reqwest::Client,
}

impl Bucket {
    pub(super) fn open(settings: &StorageSettings) -> Result<Self, StorageError> {
        let wrong = |error: &dyn std::fmt::Display| StorageError::Settings(error.to_string());
        let bucket = settings.bucket.as_ref().ok_or_else(|| wrong(&"there is no `bucket`"))?;
        let endpoint = settings.address().map_err(|error| wrong(&error))?;
        let is_plain = endpoint.scheme() == "http";
        let retry = RetryConfig { max_retries: RETRIES, retry_timeout: RETRIED_FOR, ..RetryConfig::default() };
        // What the operator wrote goes before what the environment says, and the two are not mixed.
        let builder = match settings.credentials() {
            Some((id, secret)) => AmazonS3Builder::new().with_access_key_id(id).with_secret_access_key(secret),
            None => AmazonS3Builder::from_env(),
        };
        // A file may take as long to download as its reader likes: the service has to send something now and then.
        let client = ClientOptions::new().with_timeout_disabled().with_read_timeout(REQUEST).with_allow_http(is_plain);
        let address = endpoint.as_str().trim_end_matches('/');
        let builder = builder
            .with_bucket_name(&bucket.name)
            .with_region(&settings.region)
            .with_config(AmazonS3ConfigKey::S3Endpoint, address)
            .with_endpoint(address)
            .with_virtual_hosted_style_request(false)
            .with_retry(retry)
            .with_client_options(client);
        let s3 = builder.build().map_err(|error| wrong(&error))?;
        let mut address = endpoint;
        address.path_segments_mut().map_err(|()| wrong(&"`endpoint` must be a URL"))?.pop_if_empty().push(&bucket.name);
        let http = reqwest::Client::builder().timeout(REQUEST).redirect(reqwest::redirect::Policy::none());
        Ok(Self {
            s3,
            name: bucket.name.clone(),
            prefix: Key::from(bucket.prefix.as_str()),
            region: settings.region.clone(),
            address,
            http: http.build().map_err(|error| wrong(&error))?,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn store(&self) -> &dyn ObjectStore {
        &self.s3
    }

    pub(super) fn key(&self, name: &str) -> Key {
        self.prefix.parts().chain(Key::from(name).parts()).collect()
    }

    pub(super) async fn put(&self, key: &Key, from: &Path, intent: &mut Intent) -> object_store::Result<()> {
        let file = Arc::new(File::open(from).map_err(local)?);
        let size = file.metadata().map_err(local)?.len();
        if size <= PIECE {
            let bytes = piece(file, 0, size).await?;
            return self.s3.put(key, bytes.into()).await.map(drop);
        }
        let upload = self.s3.create_multipart(key).await?;
        let put = async {
            intent.began(&upload).map_err(local)?;
            let pieces = (0..size).step_by(usize::try_from(PIECE).unwrap_or(usize::MAX)).enumerate();
            let parts: Vec<PartId> = stream::iter(pieces)
                .map(|(number, start)| {
                    let (file, upload) = (file.clone(), &upload);
                    async move {
                        let bytes = piece(file, start, PIECE.min(size - start)).await?;
                        self.s3.put_part(key, upload, number, bytes.into()).await
                    }
                })
                .buffered(AT_ONCE)
                .try_collect()
                .await?;
            self.s3.complete_multipart(key, &upload, parts).await
        };
        match put.await {
            Ok(_) => Ok(()),
            Err(error) => {
                // If this fails too, the intent leads to it.
                if let Err(left) = self.s3.abort_multipart(key, &upload).await {
                    tracing::warn!(error = %left, "parts of a broken upload could not be removed; they will be later");
                }
                Err(error)
            }
        }
    }

    /// Gives up an upload. One that is over already is none.
    pub(super) async fn abort(&self, key: &Key, upload: &str) -> object_store::Result<()> {
        match self.s3.abort_multipart(key, &upload.to_owned()).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            outcome => outcome,
        }
    }

    pub(super) async fn try_writing(&self) -> Result<(), StorageError> {
        let key = self.key(&format!("{}/.probe", super::FILES));
        let written = async {
            self.s3.put(&key, Bytes::from_static(b"a probe of portcullis-server").into()).await?;
            self.s3.delete(&key).await
        };
        written.await.map_err(|error| self.failed("written", &error))
    }

    fn failed(&self, what: &'static str, error: &dyn std::fmt::Display) -> StorageError {
        StorageError::Failed { place: format!("s3://{}/{}", self.name, self.prefix), what, cause: error.to_string() }
    }

    /// Gives up the uploads below this server's prefix that were begun long ago: nobody works on them.
    pub(super) async fn abort_forgotten(&self, now: SystemTime) -> Result<usize, StorageError> {
        let (mut forgotten, mut after) = (0, None);
        loop {
            let page = self.uploads(after.as_ref()).await?;
            for upload in &page.uploads {
                let begun: SystemTime = upload
                    .initiated
                    .parse::<humantime::Timestamp>()
                    .map_err(|error| self.failed("listed", &error))?
                    .into();
                if now.duration_since(begun).unwrap_or_default() < FORGOTTEN {
                    continue;
                }
                let key = Key::parse(&upload.key).map_err(|error| self.failed("listed", &error))?;
                self.abort(&key, &upload.id).await.map_err(|error| self.failed("removed", &error))?;
                forgotten += 1;
            }
            match page.is_truncated.then_some((page.next_key, page.next_upload)) {
                Some((Some(key), Some(upload))) => after = Some((key, upload)),
                _ => return Ok(forgotten),
            }
        }
    }

    /// ListMultipartUploads, which `object_store` has no word for.
    async fn uploads(&self, after: Option<&(String, String)>) -> Result<UploadsPage, StorageError> {
        let listed = |error: &dyn std::fmt::Display| self.failed("listed", error);
        let mut url = self.address.clone();
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("uploads", "").append_pair("max-uploads", &LISTED.to_string());
            query.append_pair("prefix", &format!("{}/", self.key(super::FILES)));
            if let Some((key, upload)) = after {
                query.append_pair("key-marker", key).append_pair("upload-id-marker", upload);
            }
        }
        let credential = self.s3.credentials().get_credential().await.map_err(|error| listed(&error))?;
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() = url.as_str().parse().map_err(|error: axum::http::uri::InvalidUri| listed(&error))?;
        AwsAuthorizer::new(&credential, "s3", &self.region)
            .try_authorize(&mut request, None)
            .map_err(|error| listed(&error))?;
        let answer = self.http.get(url).headers(request.headers().clone()).send().await;
        let answer = answer.map_err(|error| listed(&error.without_url()))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| listed(&error.without_url()))?;
        if !status.is_success() {
            return Err(listed(&refusal(status, &text)));
        }
        quick_xml::de::from_str(&text).map_err(|error| listed(&error))
    }
}

/// What the service says of a request that it refuses: its code, which tells a wrong bucket from a missing permission.
fn refusal(status: reqwest::StatusCode, body: &str) -> String {
    #[derive(Deserialize)]
    struct Said {
        #[serde(rename = "Code")]
        code: String,
    }
    let said = quick_xml::de::from_str::<Said>(body).ok().map(|said| said.code);
    let is_code = |code: &String| code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match said.filter(is_code) {
        Some(code) => format!("the service answers {status}, {code}"),
        None => format!("the service answers {status}"),
    }
}

/// What ListMultipartUploads answers.
#[derive(Debug, Deserialize)]
struct UploadsPage {
    #[serde(rename = "Upload", default)]
    uploads: Vec<ListedUpload>,
    #[serde(rename = "IsTruncated", default)]
    is_truncated: bool,
    #[serde(rename = "NextKeyMarker")]
    next_key: Option<String>,
    #[serde(rename = "NextUploadIdMarker")]
    next_upload: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ListedUpload {
    #[serde(rename = "Key")]
    key: String,
    #[serde(rename = "UploadId")]
    id: String,
    #[serde(rename = "Initiated")]
    initiated: String,
}

/// So many bytes of a file.
async fn piece(file: Arc<File>, start: u64, length: u64) -> object_store::Result<Bytes> {
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        portcullis_protocol::sealed::ReadAt::read_exact_at(&*file, start, &mut bytes)?;
        io::Result::Ok(Bytes::from(bytes))
    });
    read.await.map_err(io::Error::other).and_then(|read| read).map_err(local)
}

/// A failure of this machine's disk.
fn local(error: io::Error) -> object_store::Error {
    object_store::Error::Generic { store: "disk", source: error.into() }
}
