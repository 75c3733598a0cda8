//! How the endpoint answers: to the challenge of the store, to messages that the store sends, and to those that it
//! never sends.

use portcullis_host::{Clock as _, SystemClock};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::wire::{MerchantStatus, OwnershipProof};
use portcullis_protocol::{Ownership, Unverified};
use serde_json::json;
use std::time::Duration;

use super::probe::{Answer, Message, Probe};
use super::{Endpoint, secret};
use crate::doctor::Finding;

const AREA: &str = "endpoint";
/// A type that no store sends, and that an endpoint has to take and ignore.
const UNKNOWN: &str = "portcullis.check";
/// Longer than this, and a store that tells of an order keeps one of its connections waiting.
const SLOW: Duration = Duration::from_secs(5);
/// How far off a time has to be to be refused, in seconds, with a margin for the clock.
const LONG_AGO: u64 = 600;

/// Sends messages, right ones and wrong ones.
pub(super) async fn examine(endpoint: &Endpoint<'_>, status: &MerchantStatus) -> Vec<Finding> {
    let now = SystemClock.now();
    let Some(probe) = secret(status, now).and_then(|secret| Probe::new(&status.webhook, secret, endpoint.server))
    else {
        let mend = "ask the store's operator; the store lists no key that signs now";
        return vec![Finding::wrong(AREA, "keys", "there is no secret to sign messages with", mend)];
    };
    let challenge = Octets(crate::random::bytes::<32>());
    let asked = probe.message("endpoint.challenge", &json!({ "challenge": challenge }), now);
    let answer = match probe.tell(&asked).await {
        Ok(answer) => answer,
        Err(why) => {
            let mend = "let the merchant's server run, have the address lead to it, then check again";
            return vec![Finding::wrong(AREA, "reached", why, mend)];
        }
    };
    let mut findings = vec![
        Finding::ok(AREA, "reached", "it answers"),
        redirect(&answer),
        soon(&answer),
        proof(endpoint, status, &answer, &challenge),
    ];
    let mut sees = async |check, what: Expected, message: &Message, signature: Option<String>| {
        let sent = probe.send(message, signature.as_deref()).await;
        findings.push(what.judge(check, sent));
    };
    let good = || probe.message(UNKNOWN, &json!({}), now);

    // What the store sends.
    let message = good();
    let signature = Some(probe.signature(&message));
    sees("type-unknown", TYPE, &message, signature.clone()).await;
    sees("twice", TWICE, &message, signature).await;
    let message = good();
    let among = format!("v9,AAAA v1,AAAA {}", probe.signature(&message));
    sees("signatures-among-others", AMONG, &message, Some(among)).await;
    let message = good();
    sees("signatures-in-any-order", ORDER, &message, Some(format!("{} v1a,AAAA", probe.signature(&message)))).await;
    let edge = probe.message(UNKNOWN, &json!({}), now - 240);
    sees("time-within-five-minutes", WINDOW, &edge, Some(probe.signature(&edge))).await;
    let open = probe.message(UNKNOWN, &json!({"new-member": {"of": "data"}}), now);
    sees("member-unknown", OPEN, &open, Some(probe.signature(&open))).await;

    // What it never sends.
    let message = good();
    sees("unsigned", UNSIGNED, &message, None).await;
    let mut other = Message { body: format!("{} ", message.body), ..message.clone() };
    sees("body-changed", CHANGED, &other, Some(probe.signature(&message))).await;
    other = Message { id: good().id, ..message.clone() };
    sees("identifier-changed", CHANGED, &other, Some(probe.signature(&message))).await;
    other = Message { timestamp: message.timestamp - 1, ..message.clone() };
    sees("time-changed", CHANGED, &other, Some(probe.signature(&message))).await;
    sees("signature-forged", FORGED, &message, Some(format!("v1,{}", "A".repeat(43) + "="))).await;
    sees("signature-empty", FORGED, &message, Some("v1,".into())).await;
    for (check, time) in [("time-long-ago", now - LONG_AGO), ("time-to-come", now + LONG_AGO)] {
        let message = probe.message(UNKNOWN, &json!({}), time);
        sees(check, REPLAYED, &message, Some(probe.signature(&message))).await;
    }
    let aud = probe.message_of(UNKNOWN, &json!({}), now, endpoint.server.as_str(), "https://other.example/hook");
    sees("for-another-endpoint", ELSEWHERE, &aud, Some(probe.signature(&aud))).await;
    let iss = probe.message_of(UNKNOWN, &json!({}), now, "https://other.example", status.webhook.as_str());
    sees("from-another-store", ELSEWHERE, &iss, Some(probe.signature(&iss))).await;
    findings
}

/// What an endpoint has to do with a message.
#[derive(Clone, Copy)]
struct Expected {
    /// Whether it is taken (2xx) or refused.
    is_taken: bool,
    /// What it is, if the endpoint does right.
    right: &'static str,
    /// What follows if it does not.
    wrong: &'static str,
    mend: &'static str,
}

const fn taken(right: &'static str, wrong: &'static str, mend: &'static str) -> Expected {
    Expected { is_taken: true, right, wrong, mend }
}

const fn refused(right: &'static str, wrong: &'static str, mend: &'static str) -> Expected {
    Expected { is_taken: false, right, wrong, mend }
}

const VERIFY: &str = "verify webhook-signature over `id.timestamp.body`, the exact bytes, before anything else";
const TYPE: Expected = taken(
    "a type that it does not know is taken",
    "a type that it does not know is refused: the store sends it again and again, and later types break it",
    "answer 204 to a type that you do not know",
);
const TWICE: Expected = taken(
    "the same message again is answered like the first",
    "the same message again is refused: a store whose answer got lost sends it for a day",
    "remember webhook-id, and answer a message that you have taken already with 204",
);
const AMONG: Expected = taken(
    "one good signature among others is enough",
    "one good signature among others is not enough: while keys change there are several",
    "try every signature in webhook-signature, and ignore schemes that you do not know",
);
const ORDER: Expected = taken(
    "the order of signatures does not matter",
    "the order of signatures matters to it: a store writes them in any order",
    "try every signature in webhook-signature",
);
const WINDOW: Expected = taken(
    "a message of four minutes ago is taken",
    "a message of four minutes ago is refused: clocks differ, and messages wait",
    "allow for five minutes in webhook-timestamp, and set this machine's clock by the network",
);
const OPEN: Expected = taken(
    "a member that it does not know is ignored",
    "a member that it does not know is refused: messages grow",
    "ignore members of `data` that you do not know",
);
const UNSIGNED: Expected = refused(
    "a message without a signature is refused",
    "a message without a signature is taken: anybody can send one",
    VERIFY,
);
const CHANGED: Expected = refused(
    "a message that was changed on its way is refused",
    "a message that was changed on its way is taken: anybody can send one",
    VERIFY,
);
const FORGED: Expected =
    refused("a forged signature is refused", "a forged signature is taken: anybody can send messages", VERIFY);
const REPLAYED: Expected = refused(
    "a message of another time is refused",
    "a message of another time is taken: who has recorded one can send it again for ever",
    "refuse a webhook-timestamp that is more than five minutes off",
);
const ELSEWHERE: Expected = refused(
    "a message for somebody else is refused",
    "a message for somebody else is taken: another endpoint's owner could send it on",
    "compare `aud` with your own address, and `iss` with your store",
);

impl Expected {
    fn judge(self, check: &'static str, sent: Result<Answer, String>) -> Finding {
        let answer = match sent {
            Ok(answer) => answer,
            Err(why) => return Finding::wrong(AREA, check, why, "answer every message, with 4xx if it is refused"),
        };
        if answer.status >= 500 {
            let what = format!("it fails with status {}: the store takes that for no answer", answer.status);
            return Finding::wrong(AREA, check, what, "look into the log of the merchant's server");
        }
        if answer.is_taken() == self.is_taken {
            Finding::ok(AREA, check, self.right)
        } else {
            Finding::wrong(AREA, check, format!("{} (status {})", self.wrong, answer.status), self.mend)
        }
    }
}

fn redirect(answer: &Answer) -> Finding {
    if matches!(answer.status, 300..=399) {
        let what = format!("it redirects (status {}), which stores do not follow", answer.status);
        return Finding::wrong(AREA, "no-redirect", what, "register the address that it redirects to");
    }
    Finding::ok(AREA, "no-redirect", "it does not redirect")
}

fn soon(answer: &Answer) -> Finding {
    if answer.took > SLOW {
        let what = format!("it takes {} s, and a store gives up after 15", answer.took.as_secs());
        return Finding::warning(AREA, "soon", what, "answer before the code is made, and make it afterwards");
    }
    Finding::ok(AREA, "soon", "it answers soon")
}

/// The proof that the endpoint is the merchant's.
fn proof(endpoint: &Endpoint<'_>, status: &MerchantStatus, answer: &Answer, challenge: &Octets<32>) -> Finding {
    let mend = "answer `endpoint.challenge` with status 200 and {\"ownership\": \"…\"}, as section 15 of the protocol says; \
                this check signs by `v1` alone, and a message is taken if one signature verifies";
    let wrong = |what: String| Finding::wrong(AREA, "challenge", what, mend);
    if answer.status != 200 {
        return wrong(format!("it answers the challenge with status {}, not 200", answer.status));
    }
    let Ok(said) = serde_json::from_slice::<OwnershipProof>(&answer.body) else {
        return wrong("its answer to the challenge is not {\"ownership\": \"<compact document>\"}".into());
    };
    let proof = Unverified::<Ownership>::parse(&said.ownership).and_then(|proof| proof.verify(endpoint.key.public()));
    let proof = match proof {
        Ok(proof) => proof.into_document(),
        Err(error) => return wrong(format!("its answer to the challenge: {error}")),
    };
    for (fits, member) in [
        (proof.merchant == status.merchant, "merchant"),
        (proof.challenge == *challenge, "challenge"),
        (proof.url == status.webhook, "url"),
        (proof.platform == *endpoint.server, "platform"),
    ] {
        if !fits {
            return wrong(format!("its proof is for another `{member}`"));
        }
    }
    Finding::ok(AREA, "challenge", "it proves that it is the merchant's")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    #[test]
    fn an_endpoint_is_judged_by_what_it_takes_and_refuses() {
        let answer = |status| Ok(Answer { status, body: Vec::new(), took: Duration::ZERO });
        for (expected, status, state) in [
            (TYPE, 204, State::Ok),
            (TYPE, 400, State::Wrong),
            (TYPE, 500, State::Wrong),
            (UNSIGNED, 401, State::Ok),
            (UNSIGNED, 200, State::Wrong),
            (UNSIGNED, 503, State::Wrong),
        ] {
            assert_eq!(expected.judge("a-check", answer(status)).state, state, "{status}");
        }
        assert_eq!(TYPE.judge("a-check", Err("nobody listens there".into())).state, State::Wrong);
    }
}
