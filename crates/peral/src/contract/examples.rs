//! A result of each command, with fixed values.

use std::sync::Arc;

use peral_central::{Initialized, ObjectOutcome, Provisioned, ProvisionedObject};
use peral_model::{
    AccountId, ContentId, FileId, FileName, GroupId, Identity, NetworkId, PeerId, SessionId,
    TokenId, Visibility,
};
use peral_runtime::MockClock;
use peral_wire::{
    pb,
    rest::{
        accounts::{Account, Group, Role, Session, Token},
        files::{Access, File, FileDetail, Right, Version},
        peers::{ListedState, Peer},
        sessions::WhoAmI,
    },
};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    command::{
        access::AccessResult,
        cancel::CancelResult,
        download::DownloadResult,
        echo::EchoResult,
        group::{GroupChange, GroupResult, GroupsResult},
        help::{ExitCodesResult, JSON_PAGE, JsonResult},
        login::LoginResult,
        logout::LogoutResult,
        ls::{LsPeerResult, LsResult},
        passwd::PasswdResult,
        peers::PeersResult,
        revoke::RevokeResult,
        rm::RmResult,
        search::{FileList, SearchResult},
        share::{ListedShare, ShareResult, SharesResult, UnshareResult},
        status::StatusResult,
        token::{ApiTokensResult, JoinTokensResult, TokenEndedResult, TokenResult},
        upload::UploadResult,
        user::{UserResult, UsersResult},
        whoami::{AccountSource, SessionsResult, WhoamiResult},
    },
    direct::ListedFile,
    output::{CommandResult, Format, Output},
    role::{CentralFingerprintResult, CentralInitResult, CentralKeysResult},
};

/// 2026-11-27T12:00:00Z
const NOW_MS: i64 = 1_795_780_800_000;
const MIB: u64 = 1 << 20;

/// Every result as JSON: together, they have each field that there is, and lack each that may be
/// missing.
pub fn json() -> Vec<Value> {
    [account_results(), file_results(), peer_results(), other_results()].concat()
}

/// The listings as text, with the names of their snapshots.
pub fn texts() -> Vec<(&'static str, String)> {
    let (login, peer) = (AccountSource::Login, AccountSource::Peer);
    vec![
        ("ls", text(&LsResult { listed: files() })),
        ("ls_empty", text(&LsResult { listed: no_files() })),
        ("search", text(&SearchResult { found: files() })),
        ("search_empty", text(&SearchResult { found: no_files() })),
        ("peers", text(&peers())),
        ("peers_empty", text(&PeersResult { way: String::new(), items: Vec::new() })),
        ("status", text(&status(true))),
        ("status_idle", text(&status(false))),
        ("whoami_login", text(&whoami(login, &["devs", "ops"]))),
        ("whoami_peer", text(&whoami(peer, &[]))),
    ]
}

fn render<R: CommandResult>(format: Format, result: &R) -> String {
    Output::plain(format, Arc::new(MockClock::new(NOW_MS))).render(result).unwrap()
}

fn text<R: CommandResult>(result: &R) -> String {
    render(Format::Text, result)
}

fn value<R: CommandResult>(result: &R) -> Value {
    let line = render(Format::Json, result);
    assert!(line.ends_with("}\n") && line.lines().count() == 1, "{line}");
    serde_json::from_str(&line).unwrap()
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + number)
}

fn account_results() -> Vec<Value> {
    let group = |account: Option<&str>, change| GroupResult {
        group: "devs".into(),
        account: account.map(str::to_owned),
        change,
    };
    let groups = vec![Group {
        id: GroupId(id(8)),
        name: "devs".into(),
        members: vec!["ana".into(), "bob".into()],
    }];
    vec![
        value(&LoginResult {
            central: central(),
            account: "ana".into(),
            role: Role::Member,
            identity: Identity::User(SessionId(id(5))).to_string(),
            session_ends_ms: NOW_MS,
        }),
        value(&LogoutResult {
            central: central(),
            account: "ana".into(),
            ended: true,
            other: false,
        }),
        value(&whoami(AccountSource::Token, &["devs"])),
        value(&SessionsResult {
            items: vec![Session {
                id: SessionId(id(5)),
                label: "laptop".into(),
                created_ms: NOW_MS,
                ends_ms: NOW_MS,
                current: true,
            }],
        }),
        value(&PasswdResult { account: "ana".into() }),
        value(&UserResult { account: account(), created: true }),
        value(&UsersResult { items: vec![account()] }),
        value(&group(None, GroupChange::Created)),
        value(&group(Some("ana"), GroupChange::Joined)),
        value(&GroupsResult { items: groups }),
        value(&TokenResult { token: token(None), secret: Some("secret".into()), file: None }),
        value(&TokenResult { token: token(Some(3)), secret: None, file: Some("/token".into()) }),
        value(&ApiTokensResult { items: vec![token(None)] }),
        value(&JoinTokensResult { items: vec![token(Some(3))] }),
        value(&TokenEndedResult { id: TokenId(id(9)) }),
    ]
}

fn file_results() -> Vec<Value> {
    let download = |job: Option<String>| DownloadResult {
        name: "models/llama.gguf".into(),
        file: id(2).to_string(),
        version: 3,
        hash: hash(),
        size: 3 * MIB,
        path: "/data/llama.gguf".into(),
        by: "this command".into(),
        fetched: 3 * MIB,
        seconds: 1.5,
        job,
    };
    let access = |last_seen: bool| AccessResult { changed: last_seen, detail: detail(last_seen) };
    vec![
        value(&UploadResult {
            name: "models/llama.gguf".into(),
            file: id(2).to_string(),
            version: 3,
            hash: hash(),
            size: 3 * MIB,
            visibility: Visibility::Private,
            peer: PeerId(id(3)),
            by: "this command".into(),
            seconds: 1.5,
        }),
        value(&download(None)),
        value(&download(Some(id(4).to_string()))),
        value(&SearchResult { found: files() }),
        value(&LsResult { listed: files() }),
        value(&LsPeerResult { peer: PeerId(id(3)), items: vec![listed_file()], more: true }),
        value(&RmResult { name: "models/llama.gguf".into() }),
        value(&access(false)),
        value(&access(true)),
    ]
}

fn peer_results() -> Vec<Value> {
    vec![
        value(&peers()),
        value(&ShareResult {
            path: "/data/models".into(),
            prefix: "models".into(),
            visibility: Visibility::Public,
        }),
        value(&UnshareResult { path: "/data/models".into() }),
        value(&SharesResult { items: vec![ListedShare::new(&share()).unwrap()] }),
        value(&status(true)),
        value(&CancelResult { job: id(4).to_string() }),
        value(&EchoResult {
            peer: PeerId(id(3)),
            label: "peral-peer-0".into(),
            address: "10.0.0.7:7071".into(),
            by: "this command".into(),
            bytes: 64 * MIB,
            seconds: 0.5,
            bytes_per_second: 134_217_728.0,
            round_trip_ms: 0.25,
        }),
        value(&RevokeResult { peer: PeerId(id(3)), label: "peral-peer-0".into() }),
    ]
}

fn other_results() -> Vec<Value> {
    let object = |kind, name: &str, outcome| ProvisionedObject { kind, name: name.into(), outcome };
    vec![
        value(&ExitCodesResult::new()),
        value(&JsonResult { text: JSON_PAGE }),
        value(&CentralInitResult {
            network: Initialized {
                network: NetworkId(id(1)),
                fingerprint: "ab:cd".into(),
                administrator: "ana".into(),
                data: "/data".into(),
            },
        }),
        value(&CentralFingerprintResult { fingerprint: "ab:cd".into() }),
        value(&CentralKeysResult {
            objects: Provisioned {
                namespace: "peral".into(),
                items: vec![
                    object("Secret", "peral-keys", ObjectOutcome::Created),
                    object("ConfigMap", "peral-ca", ObjectOutcome::Kept),
                ],
            },
        }),
    ]
}

fn central() -> String {
    "https://central:7070".into()
}

fn hash() -> ContentId {
    ContentId::of(b"pear")
}

fn account() -> Account {
    Account {
        id: AccountId(id(6)),
        name: "ana".into(),
        role: Role::Admin,
        disabled: false,
        created_ms: NOW_MS,
    }
}

fn token(uses_left: Option<u32>) -> Token {
    Token {
        id: TokenId(id(9)),
        label: "ci".into(),
        account: "ana".into(),
        ends_ms: NOW_MS,
        uses_left,
        created_ms: NOW_MS,
    }
}

fn whoami(by: AccountSource, groups: &[&str]) -> WhoamiResult {
    let identity = match by {
        AccountSource::Peer => Identity::Peer(PeerId(id(3))),
        _ => Identity::User(SessionId(id(5))),
    };
    WhoamiResult {
        by,
        central: central(),
        who: WhoAmI {
            account: AccountId(id(6)),
            name: "ana".into(),
            role: Role::Member,
            identity,
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        },
    }
}

fn no_files() -> FileList {
    FileList { way: format!("central {}, as ana", central()), items: Vec::new(), more: false }
}

fn files() -> FileList {
    FileList { items: vec![file(false), file(true)], ..no_files() }
}

/// One that nobody serves now, or one that is on two peers.
fn file(offline: bool) -> File {
    let name = if offline { "notes/today.txt" } else { "models/llama.gguf" };
    File {
        id: FileId(id(2)),
        name: FileName::new(name).unwrap(),
        owner: if offline { "bob".into() } else { "ana".into() },
        visibility: if offline { Visibility::Private } else { Visibility::Public },
        version: if offline { 12 } else { 3 },
        hash: hash(),
        size: if offline { 517 } else { 4_096 * MIB },
        published_ms: NOW_MS - if offline { 30 * 3_600_000 } else { 5_000 },
        tags: if offline { Vec::new() } else { vec!["llm".into(), "gguf".into()] },
        sources: if offline { 0 } else { 2 },
        last_seen_ms: offline.then_some(NOW_MS - 600_000),
    }
}

fn detail(offline: bool) -> FileDetail {
    FileDetail {
        file: file(offline),
        versions: vec![Version {
            version: 3,
            hash: hash(),
            size: MIB,
            published_ms: NOW_MS,
            sources: 2,
        }],
        access: vec![Access { who: "group:devs".into(), right: Right::Write }],
    }
}

fn listed_file() -> ListedFile {
    ListedFile {
        name: "models/llama.gguf".into(),
        file: id(2).to_string(),
        version: 3,
        hash: hash(),
        size: 4 * MIB,
        visibility: Visibility::Public,
        held: MIB,
    }
}

fn peers() -> PeersResult {
    let peer = |number: u128, label: &str, state, node: &str, zone: &str| Peer {
        id: PeerId(id(number)),
        label: label.into(),
        account: "peers".into(),
        address: format!("10.0.0.{number}:7071"),
        node: node.into(),
        zone: zone.into(),
        state,
        room: 700 * MIB,
        files: 12,
        seen_ms: NOW_MS - 1000 * i64::try_from(number).unwrap(),
        version: "0.1.0".into(),
    };
    PeersResult {
        way: format!("central {}, as ana", central()),
        items: vec![
            peer(3, "peral-peer-0", ListedState::Ready, "node-a", "zone-1"),
            peer(7, "peral-peer-1", ListedState::Full, "node-b", ""),
            peer(200, "laptop", ListedState::Away, "", ""),
        ],
    }
}

fn share() -> pb::ShareStatus {
    pb::ShareStatus {
        path: "/data/models".into(),
        prefix: "models".into(),
        visibility: pb::Visibility::Public.into(),
        files: 12,
        bytes: 4_096 * MIB,
        pending: 1,
        ..pb::ShareStatus::default()
    }
}

/// A peer with problems and a download, or one with nothing to do.
fn status(busy: bool) -> StatusResult {
    let trouble = |path: &str, name: &str, code: &str, detail: &str| pb::Trouble {
        path: path.into(),
        name: name.into(),
        code: code.into(),
        detail: detail.into(),
    };
    let job = pb::Job {
        job: id(4).as_bytes().to_vec().into(),
        name: "models/llama.gguf".into(),
        path: "/data/llama.gguf".into(),
        done: MIB,
        total: 3 * MIB,
        state: "moving".into(),
        detail: "2 sources".into(),
    };
    let troubles = vec![
        trouble("", "", "UNAVAILABLE", "central is unreachable"),
        trouble("/data/models/x", "models/x", "NAME_TAKEN", "bob owns this name"),
    ];
    let status = pb::StatusResponse {
        peer: id(3).as_bytes().to_vec().into(),
        epoch: 2,
        address: "10.0.0.7:7071".into(),
        central: central(),
        state: "ready".into(),
        version: "0.1.0".into(),
        files: 12,
        room: 700 * MIB,
        sent: 5 * MIB,
        received: 1234,
        shares: if busy { vec![share()] } else { Vec::new() },
        troubles: if busy { troubles } else { Vec::new() },
        jobs: if busy { vec![job] } else { Vec::new() },
    };
    StatusResult::new(status).unwrap()
}
