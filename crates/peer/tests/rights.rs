//! Who may have what of a peer: each way to get more than one's right ends as if the file were not
//! there.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{sync::Arc, time::Duration};

use peral_model::{
    AccountId, Content, ContentId, FileId, FileName, Grant, Identity, NetworkId, PeerId, Record,
    SessionId, Ticket, UploadId, Verb, Visibility,
};
use peral_peer::{Db, Held, IdentityLoss, Link, Permit, RegisteredPeer, Rights, UPLOAD_LIFE_MS};
use peral_runtime::{MockClock, tls::PeerCertificate};
use peral_testkit::identity::{record_key, verifier};
use peral_transfer::Stamp;
use peral_wire::{ErrorCode, Failure, Sealed, keys::SigningKey, pb};
use uuid::Uuid;

const NOW: i64 = 1_800_000_000_000;
const HOUR: i64 = 3_600_000;
const ME: PeerId = PeerId(Uuid::from_u128(100));
const OWNER: AccountId = AccountId(Uuid::from_u128(200));
const READER: AccountId = AccountId(Uuid::from_u128(201));
const FILE: FileId = FileId(Uuid::from_u128(300));

struct World {
    rights: Rights,
    link: Link,
    clock: Arc<MockClock>,
    key: SigningKey,
    db: Db,
    folder: tempfile::TempDir,
}

async fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(&folder.path().join("peer.db")).await.unwrap();
    let (clock, key) = (Arc::new(MockClock::new(NOW)), record_key());
    let link = Link::new("https://central", clock.clone());
    link.set_registration(RegisteredPeer {
        peer: ME,
        epoch: 1,
        account: OWNER,
        network: NetworkId(Uuid::from_u128(1)),
    });
    let rights =
        Rights::open(db.clone(), clock.clone(), link.clone(), verifier(&key)).await.unwrap();
    World { rights, link, clock, key, db, folder }
}

fn user(id: u128) -> Identity {
    Identity::User(SessionId(Uuid::from_u128(id)))
}

fn caller(identity: Identity, account: AccountId) -> PeerCertificate {
    PeerCertificate {
        identity,
        account: Some(account),
        not_after_ms: NOW + 12 * HOUR,
        public_key: vec![4; 65],
    }
}

fn record(visibility: Visibility, serial: u64) -> Record {
    Record {
        file: FILE,
        name: FileName::new("a/file").unwrap(),
        version: 3,
        content: Content { hash: ContentId::of(b"x"), size: 1 },
        owner: OWNER,
        visibility,
        serial,
        published_ms: NOW,
    }
}

fn grant(record: Record) -> Grant {
    Grant {
        record,
        verbs: vec![Verb::Get],
        account: READER,
        bearer: user(1),
        expires_ms: NOW + HOUR,
        asked_ms: NOW,
    }
}

impl World {
    fn held(&self, record: Record) -> Held {
        let stamp = Stamp { size: 1, mtime_ns: 0, inode: 1, device: 1 };
        Held {
            record: Sealed::seal(record, &self.key),
            path: "/nowhere".into(),
            stamp,
            fetched: false,
        }
    }

    async fn read(
        &self,
        caller: &PeerCertificate,
        held: &Held,
        grant: Option<Grant>,
    ) -> Result<Permit, Failure> {
        let grant = grant.map(|grant| Sealed::seal(grant, &self.key).envelope);
        self.show(caller, held, None, grant).await
    }

    async fn show(
        &self,
        caller: &PeerCertificate,
        held: &Held,
        record: Option<pb::Envelope>,
        grant: Option<pb::Envelope>,
    ) -> Result<Permit, Failure> {
        let value = &held.record.value;
        let shown = pb::FileRef {
            file_id: value.file.to_vec().into(),
            version: value.version,
            record,
            grant,
        };
        self.rights.may_read(caller, &held.record, &shown).await
    }
}

fn code<T>(result: Result<T, Failure>) -> Option<ErrorCode> {
    result.err().map(|failure| failure.code)
}

#[tokio::test]
async fn a_public_file_is_for_everybody_and_a_private_one_for_its_grant_alone() {
    let world = world().await;
    let reader = caller(user(1), READER);
    assert_eq!(
        code(world.read(&reader, &world.held(record(Visibility::Public, 5)), None).await),
        None
    );
    let private = world.held(record(Visibility::Private, 5));
    assert_eq!(code(world.read(&reader, &private, None).await), Some(ErrorCode::NotFound));
    // Not even the owner, whom a peer cannot tell from a stranger without a grant.
    assert_eq!(
        code(world.read(&caller(user(2), OWNER), &private, None).await),
        Some(ErrorCode::NotFound)
    );
    assert_eq!(
        code(world.read(&reader, &private, Some(grant(record(Visibility::Private, 5)))).await),
        None
    );
}

#[tokio::test]
async fn a_grant_that_does_not_fit_is_no_grant() {
    let world = world().await;
    let private = world.held(record(Visibility::Private, 5));
    let reader = caller(user(1), READER);
    let good = grant(record(Visibility::Private, 5));
    let of = |change: fn(&mut Record)| {
        let mut value = good.record.clone();
        change(&mut value);
        Grant { record: value, ..good.clone() }
    };
    let other_file = of(|record| record.file = FileId(Uuid::from_u128(301)));
    let other_version = of(|record| record.version = 2);
    let other_content = of(|record| record.content.hash = ContentId::of(b"y"));
    let lower_serial = of(|record| record.serial = 4);
    let expired = Grant { expires_ms: NOW, ..good.clone() };
    let no_verb = Grant { verbs: vec![], ..good.clone() };
    let for_another = Grant { bearer: user(2), ..good.clone() };
    let for_a_peer = Grant { bearer: Identity::Peer(ME), ..good.clone() };
    for (what, bad) in [
        ("file", other_file),
        ("version", other_version),
        ("content", other_content),
        ("serial", lower_serial),
        ("expired", expired),
        ("verb", no_verb),
        ("bearer", for_another),
        ("peer", for_a_peer),
    ] {
        assert_eq!(
            code(world.read(&reader, &private, Some(bad)).await),
            Some(ErrorCode::NotFound),
            "{what}"
        );
    }
    // Replayed over the certificate of another account, or of another session of the same.
    for other in
        [caller(user(2), OWNER), caller(user(3), READER), caller(Identity::Peer(ME), READER)]
    {
        assert_eq!(
            code(world.read(&other, &private, Some(good.clone())).await),
            Some(ErrorCode::NotFound)
        );
    }
    // The text does not tell a hidden file from none.
    let refused = world.read(&reader, &private, None).await.err().unwrap();
    assert_eq!(refused, peral_peer::absent());
}

#[tokio::test]
async fn what_central_did_not_sign_counts_for_nothing() {
    let world = world().await;
    let private = world.held(record(Visibility::Private, 5));
    let reader = caller(user(1), READER);
    let forged = Sealed::seal(grant(record(Visibility::Private, 5)), &record_key()).envelope;
    assert_eq!(
        code(world.show(&reader, &private, None, Some(forged)).await),
        Some(ErrorCode::Unauthenticated)
    );
    let forged = Sealed::seal(record(Visibility::Public, 9), &record_key()).envelope;
    assert_eq!(
        code(world.show(&reader, &private, Some(forged), None).await),
        Some(ErrorCode::Unauthenticated)
    );
    let as_grant = pb::Envelope {
        kind: pb::Kind::Grant.into(),
        ..Sealed::seal(record(Visibility::Private, 5), &world.key).envelope
    };
    assert_eq!(
        code(world.show(&reader, &private, None, Some(as_grant)).await),
        Some(ErrorCode::Unauthenticated)
    );
}

/// I4: versions never go back.
#[tokio::test]
async fn the_highest_serial_seen_from_anybody_counts_and_is_remembered() {
    let world = world().await;
    let public = world.held(record(Visibility::Public, 5));
    let reader = caller(user(1), READER);
    let open = world.read(&reader, &public, None).await.unwrap();
    assert_eq!(code(open.check()), None);
    // Somebody shows a newer record: the file became private.
    let newer = Sealed::seal(record(Visibility::Private, 6), &world.key).envelope;
    assert_eq!(
        code(world.show(&caller(user(7), READER), &public, Some(newer), None).await),
        Some(ErrorCode::NotFound)
    );
    assert_eq!(code(open.check()), Some(ErrorCode::NotFound), "open streams end");
    assert_eq!(code(world.read(&reader, &public, None).await), Some(ErrorCode::NotFound));
    assert_eq!(
        code(world.read(&reader, &public, Some(grant(record(Visibility::Private, 5)))).await),
        Some(ErrorCode::NotFound)
    );
    assert_eq!(
        code(world.read(&reader, &public, Some(grant(record(Visibility::Private, 6)))).await),
        None
    );
    // After a restart too.
    let again = Rights::open(
        world.db.clone(),
        world.clock.clone(),
        world.link.clone(),
        verifier(&world.key),
    )
    .await
    .unwrap();
    let shown =
        pb::FileRef { file_id: FILE.to_vec().into(), version: 3, record: None, grant: None };
    assert_eq!(
        code(again.may_read(&reader, &public.record, &shown).await),
        Some(ErrorCode::NotFound)
    );
    // An old record from before, though signed, brings nothing back.
    let old = Sealed::seal(record(Visibility::Public, 5), &world.key).envelope;
    assert_eq!(
        code(world.show(&reader, &public, Some(old), None).await),
        Some(ErrorCode::NotFound)
    );
}

#[tokio::test]
async fn a_file_that_became_public_is_served_to_who_shows_the_newer_record() {
    let world = world().await;
    let private = world.held(record(Visibility::Private, 5));
    let reader = caller(user(1), READER);
    let newer = Sealed::seal(record(Visibility::Public, 6), &world.key).envelope;
    assert_eq!(code(world.show(&reader, &private, Some(newer), None).await), None);
    // A record of another file, or of another content, opens nothing.
    for change in [
        |r: &mut Record| r.file = FileId(Uuid::from_u128(999)),
        |r: &mut Record| r.content.size = 2,
    ] {
        let mut other = record(Visibility::Public, 7);
        change(&mut other);
        let other = Sealed::seal(other, &world.key).envelope;
        assert_eq!(
            code(world.show(&reader, &private, Some(other), None).await),
            Some(ErrorCode::NotFound)
        );
    }
}

#[tokio::test]
async fn a_revoked_identity_is_out_at_once_and_after_a_restart() {
    let world = world().await;
    let public = world.held(record(Visibility::Public, 5));
    let (bad, good) = (caller(user(1), READER), caller(user(2), READER));
    let (cut, kept) = (
        world.read(&bad, &public, None).await.unwrap(),
        world.read(&good, &public, None).await.unwrap(),
    );
    world.rights.revoke(user(1), NOW + HOUR).await.unwrap();
    assert_eq!((code(cut.check()), code(kept.check())), (Some(ErrorCode::Unauthenticated), None));
    assert_eq!(code(world.read(&bad, &public, None).await), Some(ErrorCode::Unauthenticated));
    let again = Rights::open(
        world.db.clone(),
        world.clock.clone(),
        world.link.clone(),
        verifier(&world.key),
    )
    .await
    .unwrap();
    assert_eq!(
        (code(again.admits(&bad)), code(again.admits(&good))),
        (Some(ErrorCode::Unauthenticated), None)
    );
    // Forgotten when its last certificate has ended anyway.
    world.clock.advance(Duration::from_secs(2 * 3600));
    assert!(world.db.revoked(NOW + 2 * HOUR).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_ended_certificate_and_a_superseded_process_end_everything() {
    let world = world().await;
    let public = world.held(record(Visibility::Public, 5));
    let reader = caller(user(1), READER);
    let open = world.read(&reader, &public, None).await.unwrap();
    world.clock.advance(Duration::from_secs(13 * 3600));
    assert_eq!(code(open.check()), Some(ErrorCode::Unauthenticated));
    assert_eq!(code(world.rights.admits(&reader)), Some(ErrorCode::Unauthenticated));
    let fresh = PeerCertificate { not_after_ms: NOW + 24 * HOUR, ..reader };
    let open = world.read(&fresh, &public, None).await.unwrap();
    world.link.lose(IdentityLoss::Superseded);
    assert_eq!(
        (code(open.check()), code(world.rights.admits(&fresh))),
        (Some(ErrorCode::Superseded), Some(ErrorCode::Superseded))
    );
}

#[tokio::test]
async fn a_removed_file_ends_its_streams() {
    let world = world().await;
    let public = world.held(record(Visibility::Public, 5));
    let open = world.read(&caller(user(1), READER), &public, None).await.unwrap();
    world.rights.cut(FileId(Uuid::from_u128(1)));
    assert_eq!(code(open.check()), None, "another file");
    world.rights.cut(FILE);
    assert_eq!(code(open.check()), Some(ErrorCode::NotFound));
}

#[tokio::test]
async fn an_order_is_for_one_bearer_one_peer_and_a_time() {
    let world = world().await;
    let ticket = Ticket {
        upload: UploadId(Uuid::from_u128(7)),
        peer: ME,
        name: FileName::new("up").unwrap(),
        max_size: 10,
        visibility: Visibility::Private,
        account: READER,
        bearer: user(1),
        expires_ms: NOW + HOUR,
    };
    let (bearer, other) = (caller(user(1), READER), caller(user(2), READER));
    let seal = |ticket: &Ticket| Sealed::seal(ticket.clone(), &world.key).envelope;
    let never_opened = Ticket { upload: UploadId(Uuid::from_u128(8)), ..ticket.clone() };
    assert!(world.rights.open_ticket(&bearer, &seal(&ticket)).await.is_ok());
    assert_eq!(
        code(world.rights.open_ticket(&other, &seal(&ticket)).await),
        Some(ErrorCode::Forbidden)
    );
    let elsewhere = Ticket { peer: PeerId(Uuid::from_u128(9)), ..ticket.clone() };
    assert_eq!(
        code(world.rights.open_ticket(&bearer, &seal(&elsewhere)).await),
        Some(ErrorCode::Forbidden)
    );
    let forged = Sealed::seal(ticket.clone(), &record_key()).envelope;
    assert_eq!(
        code(world.rights.open_ticket(&bearer, &forged).await),
        Some(ErrorCode::Unauthenticated)
    );
    // Over: what was opened in time goes on for a day, the rest does not begin.
    world.clock.advance(Duration::from_secs(2 * 3600));
    assert!(world.rights.open_ticket(&bearer, &seal(&ticket)).await.is_ok());
    assert_eq!(
        code(world.rights.open_ticket(&bearer, &seal(&never_opened)).await),
        Some(ErrorCode::Forbidden)
    );
    world.clock.set(NOW + UPLOAD_LIFE_MS + 1);
    let fresh = PeerCertificate { not_after_ms: NOW + 100 * HOUR, ..bearer };
    assert_eq!(
        code(world.rights.open_ticket(&fresh, &seal(&ticket)).await),
        Some(ErrorCode::Forbidden)
    );
}

#[tokio::test]
async fn lists_show_public_files_and_those_of_the_callers_account() {
    let world = world().await;
    let (owner, reader) = (caller(user(1), OWNER), caller(user(2), READER));
    for (visibility, who, seen) in [
        (Visibility::Public, &reader, true),
        (Visibility::Private, &reader, false),
        (Visibility::Private, &owner, true),
    ] {
        assert_eq!(world.rights.may_see(who, &record(visibility, 1)), seen);
    }
    assert!(world.folder.path().exists());
}
