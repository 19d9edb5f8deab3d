//! Heartbeats: ten thousand peers, each every ten seconds.

use std::{path::Path, sync::Arc, time::Duration};

use peral_runtime::tls::new_key;
use peral_testkit::session::{csr, prove};
use peral_wire::{
    Catalogue,
    rest::peers::{Heartbeat, PeerState, RegisterRequest},
};
use tokio::{task::JoinSet, time::Instant};

use super::CONNECTIONS;
use crate::{process::cpu_of, report::print, stand::Stand};

const PEERS: usize = 10_000;
const EVERY: Duration = Duration::from_secs(10);
const ROUNDS: u32 = 3;

pub async fn measure(scratch: &Path) {
    let stand = Stand::start(&scratch.join("beats"), None);
    let tokens = register(&stand).await;
    let start = Instant::now();
    let before = cpu_of(stand.central());
    let mut running = JoinSet::new();
    for (i, share) in tokens.chunks(PEERS / CONNECTIONS).enumerate() {
        let (catalogue, share) = (stand.catalogue(), share.to_vec());
        running.spawn(async move { beat(&catalogue, &share, start, i).await });
    }
    running.join_all().await;
    let used = cpu_of(stand.central()) - before;
    print(
        "heartbeats",
        used / start.elapsed().as_secs_f64(),
        "cores, 10,000 peers every 10 s, SQLite in it",
        "one core",
        1.0,
    );
}

/// Sends each token's heartbeat once a round, spread evenly over it.
async fn beat(catalogue: &Catalogue, tokens: &[String], start: Instant, offset: usize) {
    let step = EVERY / u32::try_from(tokens.len()).expect("few peers");
    let clients: Vec<Catalogue> = tokens.iter().map(|token| catalogue.with_token(token)).collect();
    let mut due = start
        + step * u32::try_from(offset).expect("few connections")
            / u32::try_from(CONNECTIONS).expect("few connections");
    let mut sent = JoinSet::new();
    for _ in 0..ROUNDS {
        for client in &clients {
            tokio::time::sleep_until(due).await;
            due += step;
            let beat =
                Heartbeat { state: PeerState::Ready, room: 1 << 40, last_delta: 0, obeyed: 0 };
            let client = client.clone();
            // The answer waits for central's next write, up to a second: others must not wait for
            // it.
            sent.spawn(async move { client.heartbeat(&beat).await.expect("a heartbeat's answer") });
            while sent.try_join_next().is_some() {}
        }
    }
    sent.join_all().await;
}

async fn register(stand: &Stand) -> Vec<String> {
    let join_token: Arc<str> = stand.join_token(PEERS).into();
    let mut running = JoinSet::new();
    for i in 0..CONNECTIONS {
        let (catalogue, join_token) = (stand.catalogue(), Arc::clone(&join_token));
        running.spawn(async move {
            let mut tokens = Vec::new();
            for j in 0..PEERS / CONNECTIONS {
                let key = new_key();
                let n = i * PEERS / CONNECTIONS + j;
                let address = format!("127.{}.{}.{}:7071", 1 + n / 65_536, n / 256 % 256, n % 256);
                let request = RegisterRequest {
                    csr: csr(&key),
                    join_token: Some(join_token.to_string()),
                    pod_token: None,
                    address,
                    label: format!("peer-{n}"),
                    node: String::new(),
                    zone: String::new(),
                    version: "bench".into(),
                };
                let proof = prove(&catalogue, &request, &key).await;
                tokens.push(
                    catalogue.register(&proof).await.expect("a registration").credentials.token,
                );
            }
            tokens
        });
    }
    running.join_all().await.into_iter().flatten().collect()
}
