//! The first start, init, and what central refuses to start with.

use std::{os::unix::fs::PermissionsExt, sync::Arc, time::Duration};

use peral_central::{Central, Config, fingerprint, init};
use peral_runtime::{MockClock, SharedClock, Shutdown, tls::install_provider};
use peral_testkit::until;
use peral_wire::{
    Catalogue, ErrorCode, Failure,
    rest::peers::{Heartbeat, PeerState},
};
use secrecy::SecretString;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{NOW, Net, PASSWORD, code, config};

/// What a server says that wants the body of a request.
const GO_ON: &[u8; 25] = b"HTTP/1.1 100 Continue\r\n\r\n";

fn clock() -> SharedClock {
    Arc::new(MockClock::new(NOW))
}

async fn runs_into(config: Config) -> Failure {
    let central = Central::bind(config, clock(), prometheus::Registry::new()).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(60), central.run(Shutdown::new())).await;
    ended.expect("it must end").expect_err("it must say why")
}

#[tokio::test(flavor = "multi_thread")]
async fn init_makes_the_first_administrator_once() {
    install_provider();
    let folder = tempfile::tempdir().unwrap();
    let config = Config::new(folder.path().join("c"));
    let password = SecretString::from(PASSWORD);
    let weak = init(config.clone(), "root", &SecretString::from("short"), clock()).await;
    assert_eq!(code(weak), ErrorCode::WeakPassword);
    assert!(!config.data.exists(), "nothing is created before all checks pass");
    let done = init(config.clone(), "root", &password, clock()).await.unwrap();
    assert_eq!(fingerprint(&config).unwrap(), done.fingerprint);
    assert!(
        done.to_string().contains(&done.fingerprint)
            && done.to_string().contains(&done.network.to_string())
    );
    let second = init(config.clone(), "second", &password, clock()).await.err().unwrap();
    assert_eq!(second.code, ErrorCode::AlreadyExists, "{second}");
    for (path, mode) in [(config.data.clone(), 0o700), (config.database_file(), 0o600)] {
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            mode,
            "{}",
            path.display()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bootstrap_file_counts_only_while_there_is_no_account() {
    let mut net = Net::start().await;
    net.root().await;
    net.stop().await;
    let config = config(net.folder.path());
    std::fs::write(config.bootstrap_file.clone().unwrap(), "intruder:orchard lantern viscous 73")
        .unwrap();
    net.start_again(config).await;
    let names: Vec<_> = net
        .root()
        .await
        .api
        .accounts()
        .await
        .unwrap()
        .items
        .into_iter()
        .map(|account| account.name)
        .collect();
    assert_eq!(names, ["root"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn open_keys_and_another_networks_database_stop_the_start() {
    let mut net = Net::start().await;
    net.stop().await;
    let keys = net.folder.path().join("central/keys");
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o755)).unwrap();
    let failure = runs_into(config(net.folder.path())).await;
    assert!(failure.detail.contains(&keys.display().to_string()), "{failure}");
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut other = Net::start().await;
    other.stop().await;
    let mut mixed = config(net.folder.path());
    mixed.database_url = Some(SecretString::from(format!(
        "sqlite:{}",
        other.folder.path().join("central/central.db").display()
    )));
    let failure = runs_into(mixed).await;
    assert!(failure.detail.contains("network"), "{failure}");
    let mut nonsense = config(net.folder.path());
    nonsense.database_url = Some(SecretString::from("mysql://user:hidden@host/x"));
    let failure = runs_into(nonsense).await;
    assert!(
        failure.code == ErrorCode::InvalidArgument && !failure.detail.contains("hidden"),
        "{failure}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_database_central_waits_and_says_so() {
    let mut net = Net::start().await;
    net.stop().await;
    let mut away = config(net.folder.path());
    away.database_url = Some(SecretString::from("postgres://nobody@127.0.0.1:1/none"));
    let central = Central::bind(away, clock(), prometheus::Registry::new()).unwrap();
    let (base, probes) =
        (format!("http://{}", central.addr()), format!("http://{}", central.admin_addr()));
    let shutdown = Shutdown::new();
    let running = tokio::spawn(central.run(shutdown.clone()));
    let said = async |path: &str| match reqwest::get(format!("{probes}{path}")).await {
        Ok(answer) => (answer.status().as_u16(), answer.text().await.unwrap()),
        Err(_) => (0, String::new()),
    };
    until("it says what it waits for", async || {
        let (status, text) = said("/readyz").await;
        status == 503 && text.contains("database is not available")
    })
    .await;
    assert_eq!(said("/livez").await.0, 200);
    let client = Catalogue::new(&base, reqwest::Client::new(), |_| {}, Duration::from_secs(5));
    until("it listens", async || client.ca().await.is_ok()).await;
    let token = net.keys().tokens.issue(
        peral_model::AccountId(uuid::Uuid::nil()),
        peral_central::Subject::User { sid: peral_model::SessionId(uuid::Uuid::nil()) },
        i64::MAX,
        NOW,
    );
    assert_eq!(
        code(client.with_token(&token.unwrap().token).whoami().await),
        ErrorCode::Unavailable
    );
    assert!(!running.is_finished());
    shutdown.drain();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_lets_running_requests_end() {
    let mut net = Net::start().await;
    let peer = net.peer("root").await;
    let beat = serde_json::to_string(&Heartbeat {
        state: PeerState::Ready,
        room: 1 << 40,
        last_delta: 0,
        obeyed: 0,
    })
    .unwrap();
    let head = format!(
        "POST /v1/heartbeat HTTP/1.1\r\nhost: central\r\nauthorization: Bearer \
         {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n",
        peer.done.credentials.token,
        beat.len()
    );
    let mut stream = TcpStream::connect(net.base.trim_start_matches("http://")).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut asked = [0; GO_ON.len()];
    stream.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, GO_ON, "central asks for the body: the request runs");
    let ((), answer) = tokio::join!(net.stop(), async {
        stream.write_all(beat.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    });
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
