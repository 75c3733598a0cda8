//! How long the body of a request may take. Whatever waits for a body is held at the pace of whoever sends it, so every
//! body has to be whole by a deadline, or to keep up a least pace when it may be long.

use crate::http::problem::ApiError;
use crate::ops::config::Limits;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::StreamExt as _;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Of a body that was refused unread, so much is taken off the line, for so long: else the refusal might be lost on its
/// way to a client that is still sending.
const DRAINED: usize = 64 * 1024 * 1024;
const DRAINING: Duration = Duration::from_secs(5);

/// By when a body has to be whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// What it may take in any case.
    grace: Duration,
    /// Bytes per second beyond that; 0: none.
    rate: u64,
}

/// How far ahead of its pace a body may be, in times of its grace: who was quick for an hour may not stand still for
/// another one. A line that fails for less than that goes on.
const AHEAD: u32 = 2;

impl Pace {
    /// The whole of it, soon.
    pub(crate) const fn whole_within(limits: &Limits) -> Self {
        Self { grace: Duration::from_secs(limits.request_seconds), rate: 0 }
    }

    /// As long as it needs at the least rate.
    pub(crate) fn no_slower_than(limits: &Limits) -> Self {
        Self { grace: Duration::from_secs(limits.request_seconds), rate: limits.upload_rate.max(1) }
    }

    /// The deadline of a body of which so many bytes have come just now.
    fn later(self, deadline: Instant, now: Instant, bytes: u64) -> Instant {
        let earned = Duration::from_nanos(bytes.saturating_mul(1_000_000_000).checked_div(self.rate).unwrap_or(0));
        (deadline + earned).min(now + self.grace * AHEAD).max(deadline)
    }
}

/// Gives a request's body its deadline. A handler that it strikes sees a body that broke off; the answer says why.
pub(crate) async fn in_time(State(pace): State<Pace>, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let late = Arc::new(AtomicBool::new(false));
    let request = request.map(|body| Body::new(Paced::new(body, pace, Arc::clone(&late))));
    let response = next.run(request).await;
    if !late.load(Ordering::SeqCst) || response.status().is_success() {
        return response;
    }
    let mut response = ApiError::TooSlow(pace.rate).into_response();
    // What of the body is still to come would be read as the next request.
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Takes a body off the line that nobody wants, in the background and within bounds. One that its sender holds back
/// until it is told to go on (`Expect: 100-continue`) never comes, for to read it would be to tell him.
pub(crate) fn drain(body: Body, is_held_back: bool) {
    if is_held_back {
        return;
    }
    let drained = async move {
        let (mut stream, mut bytes) = (body.into_data_stream(), 0);
        while let Some(Ok(chunk)) = stream.next().await {
            bytes += chunk.len();
            if bytes > DRAINED {
                break;
            }
        }
    };
    tokio::spawn(tokio::time::timeout(DRAINING, drained));
}

/// A body with a deadline.
struct Paced {
    body: Body,
    pace: Pace,
    deadline: Instant,
    sleep: Pin<Box<Sleep>>,
    late: Arc<AtomicBool>,
}

#[derive(Debug, thiserror::Error)]
#[error("the body took too long")]
struct Late;

impl Paced {
    fn new(body: Body, pace: Pace, late: Arc<AtomicBool>) -> Self {
        let deadline = Instant::now() + pace.grace;
        let sleep = Box::pin(tokio::time::sleep_until(deadline));
        Self { body, pace, deadline, sleep, late }
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        // The deadline first: a body that trickles always has something ready.
        if this.sleep.as_mut().poll(context).is_ready() {
            this.late.store(true, Ordering::SeqCst);
            return Poll::Ready(Some(Err(axum::Error::new(Late))));
        }
        let frame = std::task::ready!(Pin::new(&mut this.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && this.pace.rate > 0
        {
            this.deadline = this.pace.later(this.deadline, Instant::now(), data.len() as u64);
            this.sleep.as_mut().reset(this.deadline);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::{AHEAD, Pace};
    use std::time::Duration;
    use tokio::time::Instant;

    const GRACE: Duration = Duration::from_secs(30);

    /// How long a body is waited for that comes as `sent` says: bytes each second.
    fn waited(pace: Pace, sent: impl Iterator<Item = u64>) -> Duration {
        let begun = Instant::now();
        let mut deadline = begun + pace.grace;
        for (second, bytes) in sent.enumerate() {
            let now = begun + Duration::from_secs(second as u64);
            if now >= deadline {
                break;
            }
            deadline = if bytes > 0 { pace.later(deadline, now, bytes) } else { deadline };
        }
        deadline - begun
    }

    #[test]
    fn a_slow_and_honest_line_may_take_as_long_as_it_needs() {
        let pace = Pace { grace: GRACE, rate: 32 * 1024 };
        let seconds = (4_u64 << 30) / (32 * 1024);
        let four_gib =
            waited(pace, std::iter::repeat_n(32 * 1024, usize::try_from(seconds).expect("a day and a half")));
        assert!(four_gib >= Duration::from_secs(seconds), "{four_gib:?}");
        assert_eq!(waited(Pace { grace: GRACE, rate: 0 }, std::iter::repeat_n(0, 100)), GRACE, "whole, soon");
    }

    /// A gigabyte that came at once does not pay for hours in which nothing comes.
    #[test]
    fn who_was_quick_does_not_hold_a_slot_and_stand_still() {
        let pace = Pace { grace: GRACE, rate: 32 * 1024 };
        let soon = Duration::from_secs(10) + GRACE * AHEAD;
        let idle = waited(pace, std::iter::repeat_n(100 << 20, 10).chain(std::iter::repeat_n(0, 100_000)));
        assert!(idle <= soon, "{idle:?}");
        // Nor for hours in which next to nothing does.
        let trickle = waited(pace, std::iter::repeat_n(100 << 20, 10).chain(std::iter::repeat_n(1, 100_000)));
        assert!(trickle <= soon + Duration::from_secs(5), "{trickle:?}");
        // The control: a line that fails for less goes on.
        let fails =
            std::iter::repeat_n(1 << 20, 10).chain(std::iter::repeat_n(0, 50)).chain(std::iter::repeat_n(1 << 20, 500));
        assert!(waited(pace, fails) > Duration::from_secs(500));
    }
}
