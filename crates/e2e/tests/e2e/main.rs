//! Peral on a real Kubernetes, as its users meet it: `helm install`, `kubectl exec`, and what nodes
//! and networks do to it.
//!
//! `make e2e` makes the images and runs this against the cluster that KUBECONFIG names. Each test
//! has a namespace of its own, in which Pod Security "restricted" is enforced, and removes what it
//! made. What a test that failed left behind is in target/e2e, a folder for each.
#![expect(clippy::unwrap_used, reason = "tests")]

mod application;
mod database;
mod faults;
mod harness;
mod identity;
mod install;
mod life;
mod network;
mod objects;
mod partition;
mod trace;
mod upgrade;
mod values;
mod volume;
