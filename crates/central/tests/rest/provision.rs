//! `central keys`: creates what is missing, keeps what exists, and shows no secret.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, time::Duration};

use axum::http::StatusCode;
use base64::{Engine, engine::general_purpose::STANDARD};
use peral_central::{Keys, KeysArgs, ObjectOutcome, Provisioned, provision};
use peral_runtime::{MockClock, SharedClock};
use peral_wire::{ErrorCode, Failure};
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, NAMESPACE, config},
    support::{NOW, Net, code},
};

const PATIENCE: Duration = Duration::from_secs(60);
const SECRETS: [&str; 3] = ["peral-keys", "peral-administrator", "peral-database"];

fn args() -> KeysArgs {
    KeysArgs {
        keys_secret: "peral-keys".into(),
        keys_given: false,
        ca_config_map: "peral-ca".into(),
        administrator_secret: Some("peral-administrator".into()),
        administrator: "admin".into(),
        database_secret: Some("peral-database".into()),
        database_host: Some("peral-postgres".into()),
        labels: vec![("app.kubernetes.io/instance".into(), "peral".into())],
    }
}

async fn run(cluster: &Cluster, args: &KeysArgs) -> Result<Provisioned, Failure> {
    let clock: SharedClock = Arc::new(MockClock::new(NOW));
    provision(cluster.config(), args, &clock, PATIENCE).await
}

fn outcomes(done: &Provisioned) -> Vec<(&'static str, &str, ObjectOutcome)> {
    done.items.iter().map(|item| (item.kind, item.name.as_str(), item.outcome)).collect()
}

/// What a Secret holds.
fn values(cluster: &Cluster, name: &str) -> BTreeMap<String, String> {
    let secret = cluster.object("secrets", name).unwrap();
    let text = |value: &Value| {
        String::from_utf8(STANDARD.decode(value.as_str().unwrap()).unwrap()).unwrap()
    };
    secret["data"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| (key.clone(), text(value)))
        .collect()
}

/// Writes a Secret as the kubelet mounts it, without its links.
fn mount(cluster: &Cluster, name: &str, at: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir(at).unwrap();
    for (key, value) in values(cluster, name) {
        fs::write(at.join(&key), value).unwrap();
        fs::set_permissions(at.join(&key), fs::Permissions::from_mode(0o440)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_created_once_and_a_central_runs_with_it() {
    let cluster = Cluster::start().await;
    let done = run(&cluster, &args()).await.unwrap();
    let all = [
        ("Secret", "peral-keys"),
        ("ConfigMap", "peral-ca"),
        ("Secret", "peral-administrator"),
        ("Secret", "peral-database"),
    ];
    assert_eq!(outcomes(&done), all.map(|(kind, name)| (kind, name, ObjectOutcome::Created)));
    assert_eq!(done.namespace, NAMESPACE);
    let shown = format!("{done} {}", serde_json::to_string(&done).unwrap());
    for secret in SECRETS {
        let labels = &cluster.object("secrets", secret).unwrap()["metadata"]["labels"];
        assert_eq!(
            (&labels["app.kubernetes.io/instance"], &labels["app.kubernetes.io/managed-by"]),
            (&"peral".into(), &"peral".into())
        );
        for value in values(&cluster, secret)
            .into_values()
            .filter(|value| value.len() > 10 && value != "peral-postgres")
        {
            assert!(!shown.contains(&value), "{secret} is shown");
        }
    }
    assert_eq!(
        cluster.object("configmaps", "peral-ca").unwrap()["data"]["ca.pem"],
        values(&cluster, "peral-keys")["ca.pem"]
    );
    let database = values(&cluster, "peral-database");
    let uri = format!("postgres://peral:{}@peral-postgres:5432/peral", database["password"]);
    let place = ["username", "dbname", "host", "port", "uri"].map(|key| database[key].as_str());
    assert_eq!(place, ["peral", "peral", "peral-postgres", "5432", &uri]);

    let before = SECRETS.map(|name| values(&cluster, name));
    let again = run(&cluster, &args()).await.unwrap();
    assert_eq!(outcomes(&again), all.map(|(kind, name)| (kind, name, ObjectOutcome::Kept)));
    assert_eq!(before, SECRETS.map(|name| values(&cluster, name)));
    let rights = |asked: &String| asked.starts_with("POST ") || asked.starts_with("GET ");
    assert!(
        cluster.look().asked.iter().all(rights),
        "create and get are all it needs: {:?}",
        cluster.look().asked
    );

    runs_with_what_is_there(&cluster, &before[1]).await;
}

/// Starts a central with the mounted Secrets, and logs in as its administrator.
async fn runs_with_what_is_there(cluster: &Cluster, admin: &BTreeMap<String, String>) {
    let temp = tempfile::tempdir().unwrap();
    let (keys, administrator) = (temp.path().join("keys"), temp.path().join("administrator"));
    mount(cluster, "peral-keys", &keys);
    mount(cluster, "peral-administrator", &administrator);
    let net = Net::start_with(|config| {
        config.given_keys = Some(keys.clone());
        config.bootstrap_file = Some(administrator.join("bootstrap"));
    })
    .await;
    let known = Keys::open_given(&keys).unwrap();
    assert_eq!(
        net.network().await,
        known.network,
        "the new database is one of the network of the keys"
    );
    let credential = peral_wire::rest::sessions::Credential::Password {
        account: admin["username"].clone(),
        password: admin["password"].clone(),
    };
    net.log_in_with(credential).await.unwrap();
    assert!(!net.folder.path().join("central/keys").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_created_from_what_is_there() {
    let cluster = Cluster::start().await;
    let only_keys = KeysArgs {
        administrator_secret: None,
        database_secret: None,
        database_host: None,
        ..args()
    };
    assert_eq!(run(&cluster, &only_keys).await.unwrap().items.len(), 2);
    let ca = values(&cluster, "peral-keys")["ca.pem"].clone();
    cluster.remove("configmaps", "peral-ca");
    let done = run(&cluster, &args()).await.unwrap();
    let made: Vec<_> =
        done.items.iter().map(|item| item.outcome == ObjectOutcome::Created).collect();
    assert_eq!(made, [false, true, true, true]);
    assert_eq!(
        cluster.object("configmaps", "peral-ca").unwrap()["data"]["ca.pem"],
        ca,
        "that of the keys which were there"
    );

    cluster.remove("secrets", "peral-keys");
    let lost = run(&cluster, &args()).await.unwrap_err();
    assert!(
        lost.code == ErrorCode::AlreadyExists
            && lost.detail.contains("peral-ca")
            && lost.detail.contains("peral-keys"),
        "{lost}"
    );
    assert!(
        cluster.object("secrets", "peral-keys").is_none(),
        "keys of another network would be in the way of those that are put back"
    );
    let others =
        KeysArgs { keys_secret: "others".into(), ca_config_map: "others-ca".into(), ..only_keys };
    run(&cluster, &others).await.unwrap();
    let mixed =
        run(&cluster, &KeysArgs { ca_config_map: "peral-ca".into(), ..others }).await.unwrap_err();
    assert!(
        mixed.code == ErrorCode::AlreadyExists
            && mixed.detail.contains("peral-ca")
            && mixed.detail.contains("others"),
        "{mixed}"
    );
    cluster.look().objects.insert(
        format!("/api/v1/namespaces/{NAMESPACE}/secrets/peral-keys"),
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "peral-keys" },
            "data": { "ca.pem": STANDARD.encode(&ca) },
        }),
    );
    let half = run(&cluster, &args()).await.unwrap_err();
    assert!(half.code == ErrorCode::AlreadyExists && half.detail.contains("record.key"), "{half}");
}

#[tokio::test(flavor = "multi_thread")]
async fn given_keys_are_never_created() {
    let cluster = Cluster::start().await;
    let given = KeysArgs { keys_given: true, ..args() };
    let misspelt = run(&cluster, &given).await.unwrap_err();
    assert!(
        misspelt.code == ErrorCode::NotFound
            && misspelt.detail.contains("peral-keys")
            && misspelt.detail.contains(NAMESPACE),
        "{misspelt}"
    );
    assert!(
        cluster.look().asked.iter().all(|asked| !asked.starts_with("POST ")),
        "nothing was created: {:?}",
        cluster.look().asked
    );
    run(&cluster, &KeysArgs { keys_secret: "theirs".into(), ..args() }).await.unwrap();
    let before = values(&cluster, "theirs");
    let done = run(&cluster, &KeysArgs { keys_secret: "theirs".into(), ..given }).await.unwrap();
    assert_eq!(
        outcomes(&done)[..2],
        [("Secret", "theirs", ObjectOutcome::Kept), ("ConfigMap", "peral-ca", ObjectOutcome::Kept)]
    );
    assert_eq!(values(&cluster, "theirs"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_away_is_waited_for_a_while() {
    let cluster = Cluster::start().await;
    cluster.look().faults =
        vec![StatusCode::FORBIDDEN, StatusCode::BAD_GATEWAY, StatusCode::INTERNAL_SERVER_ERROR];
    assert_eq!(run(&cluster, &args()).await.unwrap().items.len(), 4);
    let clock: SharedClock = Arc::new(MockClock::new(NOW));
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let away = provision(config(nobody), &args(), &clock, Duration::from_secs(1)).await;
    assert_eq!(code(away), ErrorCode::Unavailable);
    cluster.look().faults = vec![StatusCode::FORBIDDEN; 1000];
    let forbidden =
        provision(cluster.config(), &args(), &clock, Duration::from_secs(8)).await.unwrap_err();
    assert!(
        forbidden.code == ErrorCode::Forbidden && forbidden.detail.contains("create secrets"),
        "{forbidden}"
    );
    cluster.look().faults = vec![StatusCode::UNPROCESSABLE_ENTITY; 1];
    assert_eq!(
        code(run(&cluster, &args()).await),
        ErrorCode::InvalidArgument,
        "no waiting mends that"
    );
}
