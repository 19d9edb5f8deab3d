//! Proofs: nothing of one can be copied, changed or used twice.

use peral_model::{Identity, NetworkId};
use peral_runtime::tls::new_key;
use peral_wire::{
    ErrorCode,
    proof::Proven,
    rest::{
        accounts::Role,
        sessions::{Credential, LoginRequest, RenewRequest},
    },
};

use crate::support::{Net, PASSWORD, code, csr, registration};

fn login(csr: String) -> LoginRequest {
    LoginRequest {
        credential: Credential::Password { account: "root".into(), password: PASSWORD.into() },
        csr,
        label: String::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_good_once() {
    let net = Net::start().await;
    let key = new_key();
    let proof = net.prove(&login(csr(&key)), &key).await;
    net.client().login(&proof).await.unwrap();
    assert_eq!(code(net.client().login(&proof).await), ErrorCode::Unauthenticated);
    let joining = new_key();
    let token = net.join_token("root", 5).await;
    let proof = net.prove(&registration(&joining, Some(token), "127.0.0.1:1"), &joining).await;
    net.client().register(&proof).await.unwrap();
    assert_eq!(code(net.client().register(&proof).await), ErrorCode::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_signing_request_or_key_registers_nobody() {
    let net = Net::start().await;
    let (victim, thief) = (net.peer("root").await, new_key());
    let copied = registration(&victim.key, None, "127.0.0.1:9");
    assert_eq!(
        code(net.client().register(&net.prove(&copied, &thief).await).await),
        ErrorCode::Unauthenticated
    );
    assert_eq!(
        code(net.client().login(&net.prove(&login(csr(&victim.key)), &thief).await).await),
        ErrorCode::Unauthenticated
    );
    let renewal = RenewRequest {
        identity: Identity::Peer(victim.id),
        csr: csr(&victim.key),
        epoch: Some(victim.done.epoch),
        pod_token: None,
    };
    assert_eq!(
        code(net.client().renew(&net.prove(&renewal, &thief).await).await),
        ErrorCode::Unauthenticated
    );
    let own = RenewRequest { csr: csr(&thief), ..renewal };
    assert_eq!(
        code(net.client().renew(&net.prove(&own, &thief).await).await),
        ErrorCode::Unauthenticated,
        "another key for a known identity"
    );
    victim.api.whoami().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nonces_of_others_old_ones_and_changed_requests_are_refused() {
    let net = Net::start().await;
    let key = new_key();
    let request = login(csr(&key));
    let network = net.network().await;
    let refused = async |proof: Proven| {
        assert_eq!(code(net.client().login(&proof).await), ErrorCode::Unauthenticated);
    };
    refused(Proven::sign(&request, network, "made up".into(), &key.0).unwrap()).await;
    let nonce = net.client().nonce().await.unwrap().nonce;
    refused(Proven::sign(&request, NetworkId(uuid::Uuid::nil()), nonce, &key.0).unwrap()).await;
    let mut changed = net.prove(&request, &key).await;
    changed.request = changed.request.replace("root", "eve!");
    refused(changed).await;
    let mut moved = net.prove(&request, &key).await;
    moved.nonce = net.client().nonce().await.unwrap().nonce;
    refused(moved).await;
    let old = net.prove(&request, &key).await;
    net.clock.advance(std::time::Duration::from_secs(121));
    refused(old).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_cannot_be_read_are_invalid() {
    let net = Net::start().await;
    net.account("ada", Role::Member).await;
    let key = new_key();
    for csr in ["", "!", "AAAA"] {
        assert_eq!(
            code(net.client().login(&net.prove(&login(csr.into()), &key).await).await),
            ErrorCode::InvalidArgument,
            "{csr:?}"
        );
    }
    assert_eq!(
        code(net.client().login(&net.prove(&"no request", &key).await).await),
        ErrorCode::InvalidArgument
    );
}
