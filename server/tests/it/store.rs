//! The store's own promises.

use crate::database::{Of, Place};
use crate::leases::begun;
use crate::world::{PASSWORD, World, account, approval, fresh, new_account, new_terminal, tokens};
use portcullis_fixtures::holds;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{AccountId, KeyDocument, ReleaseSecretKey, SecretKey, Unverified};
use portcullis_server::crypto::keys::{self, Keys, KeysError, Rotation};
use portcullis_server::crypto::secrets::{Secrets, TokenRole, new_token, random, rng};
use portcullis_server::ops::clock::Clock;
use portcullis_server::ops::faults::FaultPoints;
use portcullis_server::store::{
    AnswerScope, BeginOutcome, ClaimOutcome, DecideOutcome, Decision, EnrolOutcome, NewAccount, NewDevice,
    NewInvitation, NewTerminal, PollOutcome, PublishOutcome, RefreshOutcome, SearchQuery, SessionId, SignUp, Sqlite,
    SqliteOptions, StoreError, StoredAnswer, WithdrawOutcome,
};

#[tokio::test]
async fn a_newer_database_is_refused() {
    let world = World::new().await;
    let newer = match world.database() {
        Place::File(_) => "PRAGMA user_version = 1000",
        Place::Address(_) => "UPDATE schema_version SET number = 1000",
    };
    world.database().change(newer, &[]);
    let opened = world.database().open(Clock::default(), FaultPoints::none());
    assert!(matches!(opened, Err(StoreError::Newer { found: 1000, .. })));
}

#[tokio::test]
async fn a_closed_store_has_written_everything_and_takes_nothing() {
    let world = World::new().await;
    let id = account(&world.core, "ada@example.org").await;
    world.core.store.close().await.expect("closed");
    assert_eq!(world.core.store.set_suspended(&id, true).await, Err(StoreError::Closed));
    let second = world.second().await;
    assert!(second.store.account(&id).await.expect("read").is_some());
}

#[tokio::test]
async fn the_database_holds_no_secret_in_the_clear() {
    let world = World::new().await;
    let machine = world.machine("ada.secret@example.org").await;
    world.buy(&machine, "view").await;
    world.run(&machine, "view").await.expect("granted");
    let core = &world.core;
    let bytes = world.database().disk();
    assert!(holds(&bytes, "alpine-lake") && holds(&bytes, PASSWORD), "the control: what is no secret is found");

    let mut secrets: Vec<(&str, Vec<u8>)> = vec![
        ("sign-in name", b"ada.secret@example.org".to_vec()),
        ("access token", machine.token.clone().into_bytes()),
        ("refresh token", machine.refresh.clone().into_bytes()),
        ("age identity", core.keys.identity().expose().to_vec()),
        ("age identity as text", core.keys.identity().expose_text().as_bytes().to_vec()),
        ("signing key", core.keys.signing_key(core.clock.now()).expect("a key").to_seed().to_vec()),
        ("master key", std::fs::read(world.folder.path().join("master.key")).expect("read")[..43].to_vec()),
    ];
    secrets.extend(world.file_keys.iter().map(|(_, key)| ("file key", key.expose().to_vec())));
    for (what, secret) in &secrets {
        assert!(!holds(&bytes, secret), "{what}");
        let text = portcullis_protocol::encoding::base64url(secret);
        assert!(!holds(&bytes, text), "{what} as text");
    }
}

#[tokio::test]
async fn another_master_key_opens_nothing() {
    let world = World::new().await;
    let other = Secrets::from_master(&[9; 32]);
    let opened = Keys::open(&*world.core.store, &other, world.core.origin.clone()).await;
    assert!(matches!(opened, Err(KeysError::Secret(_))));
    assert!(Keys::open(&*world.core.store, &world.core.secrets, world.core.origin.clone()).await.is_ok());
    assert!(matches!(keys::init(&*world.core.store, &world.core.secrets).await, Err(KeysError::Exist)));
}

#[tokio::test]
async fn a_rotated_key_signs_and_the_one_before_still_verifies() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let core = &world.core;
    let document = |core: &portcullis_server::Core| {
        let now = core.clock.now();
        let verified = KeyDocument::verify(&core.keys.document(now), core.keys.root(), &core.origin, now.seconds(), 0);
        verified.expect("a key document").into_document()
    };
    let before = document(core);
    let grant = world.run(&machine, "preview").await.expect("granted").grant;

    // Another process rotates; this one takes it up.
    let second = world.second().await;
    let added = keys::rotate_signing_key(&*second.store, &second.secrets, Rotation::Planned { starts_in: 600 })
        .await
        .expect("rotated");
    core.keys.refresh(&*core.store, &core.secrets).await.expect("refreshed");
    let between = document(core);
    assert_eq!((between.version, between.signing.len()), (before.version + 1, 2));
    assert_ne!(world.run(&machine, "preview").await.expect("granted").grant.signer(), added.thumbprint());

    core.clock.advance(601);
    let newer = world.run(&machine, "preview").await.expect("granted").grant;
    assert_eq!(newer.signer(), added.thumbprint());
    let after = document(core);
    let key = after.signing_key(grant.signer(), core.clock.now().seconds()).expect("still listed");
    Unverified::<portcullis_protocol::Grant>::parse(grant.compact()).expect("a grant").verify(key).expect("verifies");

    // A week later the old key no longer signs, and what it signed at its time can still be checked at that time.
    core.clock.advance(8 * 24 * 3600);
    let after = document(core);
    assert!(after.signing_key(grant.signer(), core.clock.now().seconds()).is_none());
    assert!(after.signing_key(grant.signer(), grant.document().iat).is_some());
}

/// Nobody rotates by hand, for three years.
#[tokio::test]
async fn a_server_that_is_left_alone_never_runs_out_of_signing_keys() {
    const DAY: i64 = 24 * 3600;
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let core = &world.core;
    let mut added = 0;
    for _ in 0..3 * 36 {
        let before = core.keys.document(core.clock.now());
        let now = core.clock.now().seconds();
        let before =
            KeyDocument::verify(&before, core.keys.root(), &core.origin, now, 0).expect("good").into_document();
        core.clock.advance(10 * DAY);
        let signer = core.keys.signing_key(core.clock.now()).expect("a signing key").public().thumbprint();
        let wanted = core.keys.want_renewal(core.clock.now());
        let renewed = keys::renew_signing_key(&*core.store, &core.secrets).await.expect("renewed").is_some();
        assert_eq!(renewed, wanted, "the housekeeping asks when there is something to do");
        if renewed {
            added += 1;
            core.keys.refresh(&*core.store, &core.secrets).await.expect("refreshed");
            let still = core.keys.signing_key(core.clock.now()).expect("a signing key").public().thumbprint();
            assert_eq!(still, signer, "the new one is known for two days before it signs");
        }
        let listed = before.signing.iter().any(|key| key.jwk.thumbprint() == signer);
        assert!(listed, "a terminal knew the key before it signed");
    }
    assert_eq!(added, 3, "once in ten months");
    world.run(&machine, "preview").await.expect("it still grants");
    // One that was off when the last key ended signs at once.
    core.clock.advance(400 * DAY);
    assert!(core.keys.signing_key(core.clock.now()).is_err(), "the control: without renewal there is none");
    keys::renew_signing_key(&*core.store, &core.secrets).await.expect("renewed").expect("a key");
    core.keys.refresh(&*core.store, &core.secrets).await.expect("refreshed");
    core.keys.signing_key(core.clock.now()).expect("in force");
    assert!(keys::renew_signing_key(&*core.store, &core.secrets).await.expect("asked").is_none());
    // No operator makes a gap in which nothing signs.
    for starts_in in [366 * DAY as u64, 999_999_999_999, u64::MAX] {
        let planned = keys::rotate_signing_key(&*core.store, &core.secrets, Rotation::Planned { starts_in }).await;
        assert!(matches!(planned, Err(KeysError::StartsTooLate { .. })), "{starts_in}: {planned:?}");
    }
    let planned = Rotation::Planned { starts_in: 300 * DAY as u64 };
    keys::rotate_signing_key(&*core.store, &core.secrets, planned).await.expect("in time");
}

#[tokio::test]
async fn what_a_stolen_key_signs_is_believed_no_longer() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let core = &world.core;
    let grant = world.run(&machine, "preview").await.expect("granted").grant;
    let signed_at = grant.document().iat;
    core.clock.advance(1);
    let added = keys::rotate_signing_key(&*core.store, &core.secrets, Rotation::Stolen).await.expect("rotated");
    core.keys.refresh(&*core.store, &core.secrets).await.expect("refreshed");

    let now = core.clock.now();
    let document = KeyDocument::verify(&core.keys.document(now), core.keys.root(), &core.origin, now.seconds(), 0);
    let document = document.expect("a key document").into_document();
    assert!(document.signing_key(grant.signer(), now.seconds()).is_none(), "the thief's documents are of now");
    assert!(document.signing_key(grant.signer(), signed_at).is_some(), "what was signed before stays valid");
    assert_eq!(world.run(&machine, "preview").await.expect("granted").grant.signer(), added.thumbprint());
}

#[tokio::test]
async fn the_key_document_is_signed_again_before_it_ends() {
    let world = World::new().await;
    let core = &world.core;
    let first = core.keys.document(core.clock.now());
    assert_eq!(first, core.keys.document(core.clock.now()), "signed once");
    core.clock.advance(3601);
    let second = core.keys.document(core.clock.now());
    assert_ne!(first, second);
    let now = core.clock.now().seconds();
    KeyDocument::verify(&second, core.keys.root(), &core.origin, now, 0).expect("good");
}

#[tokio::test]
async fn an_invitation_makes_one_account() {
    let world = World::new().await;
    let core = &world.core;
    let token = core.secrets.hash_token(TokenRole::Invitation, &new_token());
    core.store.create_invitation(NewInvitation { token, operator: true, life: 3600 }).await.expect("made");
    assert!(core.store.invitation(&token).await.expect("read").is_some_and(|invitation| invitation.operator));
    let sign_up = |name: &str, token| {
        let account = NewAccount { invitation: Some(token), ..new_account(core, name) };
        let store = core.store.clone();
        async move { store.create_account(account).await.expect("answered") }
    };
    let unknown = core.secrets.hash_token(TokenRole::Invitation, "guessed");
    assert_eq!(sign_up("op@example.org", unknown).await, SignUp::InvitationInvalid);
    assert_eq!(sign_up("op@example.org", token).await, SignUp::Made);
    assert_eq!(sign_up("OP@example.org ", token).await, SignUp::NameTaken);
    assert_eq!(sign_up("two@example.org", token).await, SignUp::InvitationInvalid);
    let found = core.store.account_by_name(&core.secrets.lookup_name("op@example.org")).await.expect("read");
    let found = found.expect("an account");
    assert!(found.operator);
    assert_eq!(core.secrets.open_name(&found.id, &found.name).expect("opens"), "op@example.org");
}

#[tokio::test]
async fn a_device_code_is_approved_once_and_only_its_key_gets_the_session() {
    let world = World::new().await;
    let core = &world.core;
    let owner = account(core, "ada@example.org").await;
    let (key, thief) = (SecretKey::generate(&mut rng()), SecretKey::generate(&mut rng()));
    let (key, thief) = (key.public().thumbprint(), thief.public().thumbprint());
    let device = core.secrets.hash_token(TokenRole::Device, &new_token());
    let user = core.secrets.hash_token(TokenRole::User, "WDJBMJHT");
    let new = NewDevice { device, user, key, label: "desk".into(), life: 600, interval: 5 };
    assert!(core.store.create_device(new.clone()).await.expect("made"));
    let other = NewDevice { device: core.secrets.hash_token(TokenRole::Device, "x"), ..new };
    assert!(!core.store.create_device(other).await.expect("answered"), "a user code in use is not given twice");

    let poll = |key| {
        let store = core.store.clone();
        let (tokens, ..) = tokens(core);
        async move { store.poll_device(&device, &key, SessionId(Octets(random())), tokens).await.expect("polled") }
    };
    assert_eq!(poll(key).await, PollOutcome::Pending);
    assert_eq!(poll(key).await, PollOutcome::SlowDown);
    assert_eq!(core.store.decide_device(&user, approval(core, owner).await).await, Ok(DecideOutcome::Decided));
    assert_eq!(core.store.decide_device(&user, Decision::Deny).await, Ok(DecideOutcome::Gone));
    assert_eq!(poll(thief).await, PollOutcome::Unknown);
    let session = poll(key).await;
    assert!(matches!(session, PollOutcome::Session { account, .. } if account == owner));
    assert_eq!(poll(key).await, session, "it makes one session, told again as long as the answer may be lost");
    core.clock.advance(121);
    assert_eq!(poll(key).await, PollOutcome::Unknown);
}

/// A terminal may say as often as it likes that an answer got lost, and renew what it has just renewed.
#[tokio::test]
async fn a_session_is_renewed_so_often_and_then_ends() {
    let world = World::new().await;
    let core = &world.core;
    let machine = world.machine("ada@example.org").await;
    let key = machine.key.public().thumbprint();
    let of_session = [Of::Blob(&machine.session.0.0)];
    let count = || world.database().number("SELECT count(*) FROM tokens WHERE session = ?1 AND kind = 1", &of_session);
    // Renewed before, each time with the token that came last.
    let session = world.database().bytes("SELECT session FROM tokens WHERE session = ?1 AND kind = 1", &of_session);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let used = |number: u16| {
        format!("(x'{}', x'{}', 1, {}, 1)", hex(&[number.to_be_bytes(); 16].concat()), hex(&session), i64::MAX)
    };
    let rows = (0..4090).map(used).collect::<Vec<_>>().join(", ");
    let sql = format!("INSERT INTO tokens (hash, session, kind, expires_at, used_at) VALUES {rows}");
    assert_eq!(world.database().change(&sql, &[]), 4090);

    let first = core.secrets.hash_token(TokenRole::Refresh, &machine.refresh);
    let mut newest = first;
    for renewals in 1..10 {
        let (new, access, refresh) = tokens(core);
        // The very first one, whose answer got lost, and the one that came last, in turn.
        let token = if renewals % 2 == 0 { first } else { newest };
        let outcome = core.store.refresh_session(&token, &key, new).await.expect("decided");
        let access = core.secrets.hash_token(TokenRole::Access, &access);
        if outcome == RefreshOutcome::TooOften {
            assert_eq!((renewals, count()), (6, 4096));
            let (unused, ..) = tokens(core);
            assert_eq!(core.store.refresh_session(&newest, &key, unused).await, Ok(RefreshOutcome::Unknown));
            assert!(core.store.authenticate(&access).await.expect("read").is_none());
            return;
        }
        assert_eq!(outcome, RefreshOutcome::Refreshed);
        assert!(core.store.authenticate(&access).await.expect("read").is_some());
        newest = core.secrets.hash_token(TokenRole::Refresh, &refresh);
    }
    panic!("there is no end");
}

#[tokio::test]
async fn a_refresh_token_used_again_much_later_ends_the_session() {
    let world = World::new().await;
    let core = &world.core;
    let machine = world.machine("ada@example.org").await;
    let thumbprint = machine.key.public().thumbprint();
    let refresh = core.secrets.hash_token(TokenRole::Refresh, &machine.refresh);
    let stranger = SecretKey::generate(&mut rng()).public().thumbprint();
    let (unused, ..) = tokens(core);
    assert_eq!(core.store.refresh_session(&refresh, &stranger, unused).await, Ok(RefreshOutcome::Unknown));

    let (new, access, _) = tokens(core);
    assert_eq!(core.store.refresh_session(&refresh, &thumbprint, new).await, Ok(RefreshOutcome::Refreshed));
    let access = core.secrets.hash_token(TokenRole::Access, &access);
    assert!(core.store.authenticate(&access).await.expect("read").is_some());

    let (lost, ..) = tokens(core);
    assert_eq!(core.store.refresh_session(&refresh, &thumbprint, lost).await, Ok(RefreshOutcome::Refreshed));
    assert!(core.store.authenticate(&access).await.expect("read").is_some(), "an answer may get lost");

    core.clock.advance(3600);
    let (unused, ..) = tokens(core);
    assert_eq!(core.store.refresh_session(&refresh, &thumbprint, unused).await, Ok(RefreshOutcome::Reused));
    assert!(core.store.authenticate(&access).await.expect("read").is_none(), "both have to sign in again");
}

#[tokio::test]
async fn a_key_enrols_once_per_account_and_an_account_not_too_often() {
    let world = World::new().await;
    let core = &world.core;
    let machine = world.machine("ada@example.org").await;
    let again = new_terminal(core, machine.account, &machine.key, &machine.release).await;
    assert_eq!(core.store.enrol(again).await, Ok(EnrolOutcome::Enrolled(machine.id)));
    // The same machine, signed in as somebody else, is another terminal.
    let other = account(core, "eve@example.org").await;
    let foreign = core.store.enrol(new_terminal(core, other, &machine.key, &machine.release).await).await;
    let foreign = foreign.expect("answered");
    assert!(matches!(foreign, EnrolOutcome::Enrolled(id) if id != machine.id));

    core.store.revoke_terminal(&machine.account, &machine.id).await.expect("revoked");
    let again = new_terminal(core, machine.account, &machine.key, &machine.release).await;
    assert_eq!(core.store.enrol(again).await, Ok(EnrolOutcome::Revoked));
    assert!(!core.store.revoke_terminal(&other, &machine.id).await.expect("answered"), "not one's own");

    let (key, release) = (SecretKey::generate(&mut rng()), ReleaseSecretKey::generate(&mut rng()));
    let mut terminal = new_terminal(core, other, &key, &release).await;
    terminal.most_per_day = 1;
    let refused = core.store.enrol(terminal.clone()).await.expect("answered");
    assert!(matches!(refused, EnrolOutcome::TooMany { retry_after } if (1..=86_400).contains(&retry_after)));
    core.clock.advance(86_401);
    assert_eq!(core.store.enrol(terminal).await, Ok(EnrolOutcome::SignedOut), "its session did not enrol in time");
    let mut terminal = new_terminal(core, other, &key, &release).await;
    terminal.most_per_day = 1;
    assert!(matches!(core.store.enrol(terminal).await, Ok(EnrolOutcome::Enrolled(_))));
}

#[tokio::test]
async fn a_publisher_publishes_its_own_parts_only() {
    let world = World::new().await;
    let thief = account(&world.core, "thief@example.org").await;
    let key = SecretKey::generate(&mut rng());
    assert_eq!(world.claim_as("lumen", thief, &key).await, ClaimOutcome::Taken);
    assert_eq!(world.claim_as("lumen", world.owner, &key).await, ClaimOutcome::Taken);
    assert_eq!(world.claim("lumen").await, ClaimOutcome::Claimed);
    assert_eq!(world.claim_as("pirate", thief, &key).await, ClaimOutcome::Claimed);

    let (original, _) = world.new_resource("lake-two", "1.0.0");
    let store = &world.core.store;
    let mut foreign = original.clone();
    foreign.account = thief;
    assert_eq!(store.publish(foreign.clone()).await, Ok(PublishOutcome::NotOwner));
    assert_eq!(store.publish(original.clone()).await, Ok(PublishOutcome::Published));
    assert_eq!(store.publish(original.clone()).await, Ok(PublishOutcome::Already));
    let (same_version, _) = world.new_resource("lake-two", "1.0.0");
    let published = same_version.manifest.version.clone();
    assert_eq!(store.publish(same_version).await, Ok(PublishOutcome::NotNewer(published)));

    foreign.manifest.publisher.name = "pirate".parse().expect("a name");
    foreign.manifest.publisher.jwk = key.public().clone();
    foreign.digest = portcullis_protocol::Digest::of(b"lifted");
    let part = foreign.parts[0].name.clone();
    assert_eq!(store.publish(foreign).await, Ok(PublishOutcome::CommitmentTaken(part)));

    assert_eq!(store.withdraw(&thief, &original.digest, String::new()).await, Ok(WithdrawOutcome::NotFound));
    assert_eq!(store.withdraw(&world.owner, &original.digest, String::new()).await, Ok(WithdrawOutcome::Withdrawn));
}

#[tokio::test]
async fn the_catalogue_lists_newest_first_and_finds_by_words() {
    let world = World::new().await;
    for version in ["1.9.0", "1.10.0", "2.0.0-beta.1"] {
        world.publish("alpine-lake", version).await;
    }
    world.publish("dusk", "1.0.0").await;
    let (publisher, name) = ("lumen".parse().expect("a name"), "alpine-lake".parse().expect("a name"));
    let listing = world.core.store.listing(&publisher, &name).await.expect("read").expect("listed");
    let versions: Vec<String> = listing.versions.iter().map(|version| version.version.to_string()).collect();
    assert_eq!(versions, ["2.0.0-beta.1", "1.10.0", "1.9.0", "1.0.0"]);
    assert_eq!(listing.offers.len(), 3);

    let search = |text: &str, page| {
        let query = SearchQuery { text: text.into(), kind: Some("picture".into()), page, per_page: 1 };
        let store = world.core.store.clone();
        async move { store.search(query).await.expect("found") }
    };
    let found = search("ALPINE lumen", 0).await;
    assert_eq!((found.listings.len(), found.next), (1, Some(1)), "a title matches as well as a name");
    let found = search("dusk", 0).await;
    assert_eq!((found.listings[0].name.as_str(), found.next), ("dusk", None));
    assert!(search("%", 0).await.listings.is_empty(), "what is no word is in nothing");
}

#[tokio::test]
async fn a_repeatable_request_is_begun_once_and_answered_ever_after() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let (store, scope) = (&world.core.store, AnswerScope::Session(machine.session));
    let request = fresh(&"body");
    let fence = begun(store.begin_answer(scope, &request).await);
    assert!(matches!(store.begin_answer(scope, &request).await, Ok(BeginOutcome::InProgress)));
    store.finish_answer(fence, Some("{}".into())).await.expect("finished");
    let answered = store.begin_answer(scope, &request).await;
    assert!(matches!(answered, Ok(BeginOutcome::Answered(StoredAnswer::Body(body))) if body == "{}"));
    let other = crate::world::keyed(request.key.as_str(), &"another body");
    assert!(matches!(store.begin_answer(scope, &other).await, Ok(BeginOutcome::OtherRequest)));
    let elsewhere = AnswerScope::Terminal(machine.id);
    let fence = begun(store.begin_answer(elsewhere, &other).await);
    store.finish_answer(fence, None).await.expect("failed");
    begun(store.begin_answer(elsewhere, &other).await);
}

/// A group of writes is one transaction, each in a savepoint: one that fails takes none of the others with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_come_at_once_are_committed_together_and_fail_alone() {
    let world = World::new().await;
    let core = &world.core;
    let started = std::time::Instant::now();
    let tasks: Vec<_> = (0..500)
        .map(|index| {
            let core = core.clone();
            tokio::spawn(async move {
                let id = AccountId::generate(crate::world::now_ms(), &mut rng());
                // Every tenth has an identifier that is taken: its insert fails.
                let id = if index % 10 == 0 { AccountId::from_bytes([0; 16]) } else { id };
                let name = format!("user{index}@example.org");
                let account = NewAccount {
                    id,
                    lookup: core.secrets.lookup_name(&name),
                    other_lookups: Vec::new(),
                    name: core.secrets.seal_name(&id, &name),
                    password: PASSWORD.into(),
                    operator: false,
                    invitation: None,
                };
                core.store.create_account(account).await
            })
        })
        .collect();
    let (mut made, mut failed) = (0, 0);
    for task in tasks {
        match task.await.expect("no panic") {
            Ok(SignUp::Made) => made += 1,
            Err(StoreError::Backend { .. }) => failed += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((made, failed), (451, 49));
    println!("500 writes took {:?}", started.elapsed());
}

/// What is decided a moment too late: the transaction sees that the session has ended.
#[tokio::test]
async fn a_session_that_ended_meanwhile_enrols_and_approves_nothing() {
    let world = World::new().await;
    let core = &world.core;
    let owner = account(core, "ada@example.org").await;
    let (key, release) = (SecretKey::generate(&mut rng()), ReleaseSecretKey::generate(&mut rng()));
    let terminal = new_terminal(core, owner, &key, &release).await;
    let other = SecretKey::generate(&mut rng()).public().clone();
    let stolen = NewTerminal { key: other, ..terminal.clone() };
    assert_eq!(core.store.enrol(stolen).await, Ok(EnrolOutcome::SignedOut), "a session enrols its own key only");

    let device = core.secrets.hash_token(TokenRole::Device, &new_token());
    let user = core.secrets.hash_token(TokenRole::User, "WDJBMJHT");
    let new = NewDevice { device, user, key: key.public().thumbprint(), label: "desk".into(), life: 600, interval: 0 };
    assert!(core.store.create_device(new).await.expect("made"));
    let approval = approval(core, owner).await;
    let ended = core.store.sign_out_everywhere(&owner).await.expect("ended");
    assert!(ended.sessions == 1 && ended.browsers == 2 && ended.codes == 0, "{ended:?}");
    assert_eq!(core.store.enrol(terminal).await, Ok(EnrolOutcome::SignedOut));
    assert_eq!(core.store.decide_device(&user, approval).await, Ok(DecideOutcome::SignedOut));
    let terminal = new_terminal(core, owner, &key, &release).await;
    assert!(matches!(core.store.enrol(terminal).await, Ok(EnrolOutcome::Enrolled(_))), "the control");
}

/// Databases from before there was a second kind.
mod sqlite {
    use super::*;

    /// A database of a server that knew neither labels nor ends of sessions.
    #[tokio::test]
    async fn sessions_of_an_older_database_go_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("server.db");
        let (now, day) = (i64::try_from(crate::world::now_ms()).expect("a time"), 24 * 3600 * 1000_i64);
        let db = rusqlite::Connection::open(&path).expect("a file");
        for migration in
            [include_str!("../../src/store/sqlite/schema.sql"), include_str!("../../src/store/sqlite/metered.sql")]
        {
            db.execute_batch(migration).expect("the older schema");
        }
        let id = AccountId::from_bytes([1; 16]);
        db.pragma_update(None, "user_version", 2).expect("its number");
        db.execute(
            "INSERT INTO accounts (id, lookup, name, password, operator, created_at) VALUES (?1, x'02', x'03', '', 0, ?2)",
            (id.as_bytes(), now - 30 * day),
        )
        .expect("an account");
        for (session, key, began) in [([1_u8; 16], [1_u8; 32], now - 30 * day), ([2; 16], [2; 32], now - 30 * day)] {
            let sql = "INSERT INTO sessions (id, account, key, created_at) VALUES (?1, ?2, ?3, ?4)";
            db.execute(sql, (session, id.as_bytes(), key, began)).expect("a session");
            for (number, ends) in [(0_u8, now - day), (1, now + 60 * day)] {
                let hash = [session[0] * 16 + number; 32];
                let sql = "INSERT INTO tokens (hash, session, kind, expires_at) VALUES (?1, ?2, 1, ?3)";
                db.execute(sql, (hash, session, ends)).expect("a token");
            }
        }
        // One of them enrolled.
        db.execute(
            "INSERT INTO terminals (id, account, key, release, label, statement, enrolled_at)
             VALUES (x'01010101010101010101010101010101', ?1, ?2, x'05', '', '', ?3)",
            (id.as_bytes(), [1_u8; 32], now - 30 * day),
        )
        .expect("a terminal");
        drop(db);
        let store = Sqlite::open(SqliteOptions::new(&path)).expect("brought up to date");
        let sessions = portcullis_server::store::Sessions::sessions(&store, &id).await.expect("listed");
        assert_eq!(sessions.len(), 1, "one that never enrolled has ended");
        assert_eq!(i64::try_from(sessions[0].expires.seconds()), Ok((now + 60 * day) / 1000));
    }
}
