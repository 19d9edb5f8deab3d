//! A store of its own for each test, and short ways to fill it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use peral_central::store::{
    Options, Refusal, SharedStore, StoreError, Viewer,
    accounts::NewAccount,
    files::{FileKey, FileSearch, FoundVersion},
    open,
    peers::{Pod, Registering, RegisteringPod, Writer},
    publish::{NewVersion, Publishing, Seal},
    tokens::NewToken,
};
use peral_model::{
    AccountId, Content, ContentId, FileId, FileName, NetworkId, SessionId, Visibility,
    search::Query,
};
use peral_wire::rest::{
    accounts::Role,
    files::{Access, FileChange, FileDetail, Right},
    holdings::{Delta, Deltas, Extent, VersionRef},
    peers::Notice,
};
use sqlx::{Connection, PgConnection, SqliteConnection};

/// Now, in all tests that do not say otherwise.
pub const NOW: i64 = 1_800_000_000_000;
/// The network that every new database is given.
pub const NETWORK: NetworkId = NetworkId(uuid::Uuid::from_u128(7));
/// A lease that has not ended.
pub const LEASE: i64 = NOW + 30_000;
/// A certificate that has not ended.
pub const CERTIFICATE: i64 = NOW + 12 * 3_600_000;

/// A database with a store on it.
pub struct World {
    pub store: SharedStore,
    pub options: Options,
    counter: AtomicU64,
}

/// Runs a test on a SQLite file.
pub async fn on_sqlite(test: impl AsyncFnOnce(&World)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("central.db");
    let world = world(format!("sqlite:{}", path.display())).await;
    test(&world).await;
    world.store.close().await;
}

/// Runs a test on a Postgres database of its own.
pub async fn on_postgres(test: impl AsyncFnOnce(&World)) {
    let admin = std::env::var("PERAL_TEST_POSTGRES").expect(
        "PERAL_TEST_POSTGRES is not set: run `make test`, or `scripts/with-postgres cargo \
            test …`, which bring up a private Postgres",
    );
    let name = format!("test_{}", uuid::Uuid::new_v4().simple());
    let mut connection = PgConnection::connect(&admin).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .execute(&mut connection)
        .await
        .unwrap();
    let (server, _) = admin.rsplit_once('/').unwrap();
    let world = world(format!("{server}/{name}")).await;
    test(&world).await;
    world.store.close().await;
    sqlx::query(sqlx::AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)")))
        .execute(&mut connection)
        .await
        .unwrap();
}

async fn world(url: String) -> World {
    let options = Options { url, connections: 6, network: Some(NETWORK) };
    let store = open(&options).await.unwrap();
    World { store, options, counter: AtomicU64::new(0) }
}

/// Runs a statement behind the store's back.
pub async fn behind(world: &World, sql: &'static str) {
    if let Some(path) = world.options.url.strip_prefix("sqlite:") {
        let mut connection = SqliteConnection::connect(path).await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap();
    } else {
        let mut connection = PgConnection::connect(&world.options.url).await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap();
    }
}

pub fn name(text: &str) -> FileName {
    FileName::new(text).unwrap()
}

pub fn content(text: &str) -> Content {
    Content { hash: ContentId::of(text.as_bytes()), size: text.len() as u64 }
}

/// Signs by writing down what it was given.
pub fn seal() -> Seal {
    Arc::new(|record| format!("{record:?}").into_bytes())
}

pub fn refused<T: std::fmt::Debug>(result: Result<T, StoreError>) -> Refusal {
    match result.unwrap_err() {
        StoreError::Refused(refusal) => refusal,
        other => panic!("not a refusal: {other:?}"),
    }
}

/// A version of a name that should be free.
pub fn fresh(text: &str, bytes: &str) -> NewVersion {
    NewVersion {
        name: name(text),
        content: content(bytes),
        visibility: Visibility::Public,
        replaces: None,
        upload: None,
    }
}

/// A version that replaces another.
pub fn after(version: VersionRef, text: &str, bytes: &str) -> NewVersion {
    NewVersion { replaces: Some(version), ..fresh(text, bytes) }
}

/// A private version of a name that should be free.
pub fn private(text: &str, bytes: &str) -> NewVersion {
    NewVersion { visibility: Visibility::Private, ..fresh(text, bytes) }
}

impl World {
    fn number(&self) -> u64 {
        self.counter.fetch_add(1, Ordering::Relaxed)
    }

    pub async fn account(&self, name: &str) -> AccountId {
        self.account_as(name, Role::Member).await
    }

    pub async fn account_as(&self, name: &str, role: Role) -> AccountId {
        let account = NewAccount {
            name: name.into(),
            role,
            password: Some(format!("hash of {name}")),
            now_ms: NOW,
        };
        self.store.create_account(account).await.unwrap().id
    }

    /// The hash of a new join token.
    pub async fn join_token(&self, account: AccountId, uses: u32) -> Vec<u8> {
        let hash = self.number().to_le_bytes().repeat(4);
        let token = NewToken {
            hash: hash.clone(),
            label: "test".into(),
            account,
            uses: Some(uses),
            ends_ms: NOW + 3_600_000,
            now_ms: NOW,
        };
        self.store.create_join_token(token).await.unwrap();
        hash
    }

    /// A registration of a peer with this key.
    pub fn registering(&self, key: &[u8], join_token: Option<Vec<u8>>) -> Registering {
        Registering {
            public_key: key.to_vec(),
            join_token,
            pod: None,
            address: "10.0.0.1:7071".into(),
            label: "test".into(),
            node: String::new(),
            zone: String::new(),
            version: "1".into(),
            lease_ends_ms: LEASE,
            certificate_ends_ms: CERTIFICATE,
            now_ms: NOW,
        }
    }

    /// A registration of a pod with this key.
    pub fn registering_pod(&self, key: &[u8], name: &str, uid: &str) -> Registering {
        let pod = Pod { name: name.into(), uid: uid.into() };
        Registering {
            pod: Some(RegisteringPod { pod, account: "peers".into() }),
            ..self.registering(key, None)
        }
    }

    /// A new peer of an account.
    pub async fn peer(&self, account: AccountId) -> Writer {
        self.peer_at(account, "", "", "10.0.0.1:7071").await
    }

    pub async fn peer_at(
        &self,
        account: AccountId,
        node: &str,
        zone: &str,
        address: &str,
    ) -> Writer {
        let token = self.join_token(account, 1).await;
        let key = self.number().to_le_bytes();
        let place = Registering {
            node: node.into(),
            zone: zone.into(),
            address: address.into(),
            ..self.registering(&key, Some(token))
        };
        let registered = self.store.register(place).await.unwrap();
        Writer { peer: registered.peer, epoch: registered.epoch }
    }

    pub async fn publish_all(
        &self,
        writer: Writer,
        versions: Vec<NewVersion>,
    ) -> Result<Vec<Result<Vec<u8>, Refusal>>, StoreError> {
        let key = format!("key {}", self.number());
        self.store.publish(Publishing { writer, key, versions, seal: seal(), now_ms: NOW }).await
    }

    pub async fn publish(&self, writer: Writer, version: NewVersion) -> Result<Vec<u8>, Refusal> {
        self.publish_all(writer, vec![version]).await.unwrap().remove(0)
    }

    /// Publishes, and says which version it became.
    pub async fn published(&self, writer: Writer, version: NewVersion) -> VersionRef {
        let name = version.name.clone();
        self.publish(writer, version).await.unwrap();
        self.current(&name).await
    }

    /// The current version of a name.
    pub async fn current(&self, name: &FileName) -> VersionRef {
        let file = self.store.file(name, self.admin(), NOW).await.unwrap().unwrap().file;
        VersionRef { file: file.id, version: file.version }
    }

    /// Somebody who sees everything.
    pub fn admin(&self) -> Viewer {
        Viewer { account: AccountId(uuid::Uuid::nil()), admin: true }
    }

    /// Reports one holding as the next delta.
    pub async fn hold(&self, writer: Writer, version: VersionRef, held: Extent) {
        let last = self.store.peer(writer.peer).await.unwrap().unwrap().last_delta;
        let deltas = Deltas { first: last + 1, deltas: vec![Delta { version, held }] };
        self.store.apply_deltas(writer, deltas, NOW).await.unwrap();
    }

    /// What becomes of a file's change by this account.
    pub async fn try_change(
        &self,
        text: &str,
        by: AccountId,
        change: FileChange,
    ) -> Result<Option<FileDetail>, StoreError> {
        self.store.change_file(&name(text), member(by), change, seal(), NOW).await
    }

    /// Changes a file as its owner.
    pub async fn change(&self, text: &str, owner: AccountId, change: FileChange) -> FileDetail {
        self.try_change(text, owner, change).await.unwrap().unwrap()
    }

    pub async fn grant(&self, text: &str, owner: AccountId, who: &str, right: Right) {
        let grant = vec![Access { who: who.into(), right }];
        self.change(text, owner, FileChange { grant, ..FileChange::default() }).await;
    }

    /// A version that this viewer finds; without a number, the current one.
    pub async fn found(&self, file: FileId, version: Option<u64>, viewer: Viewer) -> FoundVersion {
        self.store.find(FileKey::Id(file), version, viewer).await.unwrap().unwrap()
    }

    /// The notices of a peer from the beginning.
    pub async fn notices(&self, writer: Writer) -> Vec<Notice> {
        self.store.notices(writer.peer, 0, NOW).await.unwrap().notices
    }

    pub async fn session(&self, account: AccountId, label: &str, now_ms: i64) -> SessionId {
        let password =
            format!("hash of {}", self.store.account(account).await.unwrap().unwrap().name);
        self.store.begin_session(login(account, &password, label, now_ms)).await.unwrap()
    }
}

pub fn login(
    account: AccountId,
    password: &str,
    label: &str,
    now_ms: i64,
) -> peral_central::store::sessions::NewSession {
    peral_central::store::sessions::NewSession {
        account,
        basis: peral_central::store::sessions::Basis::Password(password.into()),
        public_key: label.as_bytes().to_vec(),
        label: label.into(),
        ends_ms: now_ms + 1_000_000,
        certificate_ends_ms: CERTIFICATE,
        now_ms,
    }
}

pub fn member(account: AccountId) -> Viewer {
    Viewer { account, admin: false }
}

pub fn look(query: &str, viewer: Viewer) -> FileSearch {
    let query = Query::parse(query).unwrap();
    FileSearch {
        query,
        owner: None,
        tag: None,
        hash: None,
        after: None,
        limit: 1000,
        viewer,
        now_ms: NOW,
    }
}
