//! The download plan in a simulated network.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod rules;
mod world;

use std::{collections::BTreeSet, time::Duration};

use peral_model::{
    pieces::PIECE,
    plan::{Locality, PlanConfig, Why},
};
use proptest::{collection::vec, prelude::*};
use world::{Outcome, Peer, World};

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn run(pieces: u64, peers: Vec<Peer>) -> (World, Outcome) {
    let mut world = World::new(PlanConfig::default(), pieces, peers, 7);
    let outcome = world.run();
    (world, outcome)
}

#[test]
fn equal_sources_add_up() {
    let (_, one) = run(512, vec![Peer::new(10.0)]);
    assert!(one.failed.is_none() && one.seconds < 51.3, "the link idled: {one:?}");
    for k in [2, 4, 8, 16] {
        let (world, all) = run(512, vec![Peer::new(10.0); k]);
        let speedup = one.seconds / all.seconds;
        assert!(
            all.failed.is_none() && speedup > 0.9 * k as f64,
            "{k} sources are only {speedup:.2} times one"
        );
        assert!(world.plan.counters().wasted <= k as u64 * PIECE);
    }
}

#[test]
fn a_slow_source_delays_nothing() {
    for slower in [3.0, 10.0, 100.0, 10_000.0] {
        let (_, fast) = run(256, vec![Peer::new(20.0); 2]);
        let (world, mixed) =
            run(256, vec![Peer::new(20.0 / slower), Peer::new(20.0), Peer::new(20.0)]);
        assert!(
            mixed.failed.is_none() && mixed.seconds <= fast.seconds * 1.1 + 0.5,
            "{slower}: {mixed:?} against {fast:?}"
        );
        assert!(world.banned.is_empty());
    }
}

#[test]
fn a_stuck_source_delays_the_end_by_little() {
    let stuck = Peer { stalls: vec![(seconds(1.0), seconds(1e5))], ..Peer::new(20.0) };
    let (_, outcome) = run(256, vec![stuck, Peer::new(20.0)]);
    assert!(outcome.failed.is_none() && outcome.seconds < 14.5, "{outcome:?}");
}

#[test]
fn even_the_slowest_link_is_waited_for() {
    let (world, outcome) = run(20, vec![Peer::new(1.0 / 40.0)]);
    assert!(outcome.failed.is_none() && world.requested == 20, "{outcome:?}");
}

#[test]
fn an_honest_source_among_liars_is_enough() {
    let mut peers = vec![Peer { lies: Some(1), ..Peer::new(50.0) }; 15];
    peers.push(Peer::new(5.0));
    let (world, outcome) = run(200, peers);
    assert_eq!((outcome.failed, world.banned.len()), (None, 15));
    assert!(world.bad.values().all(|bad| *bad == 2) && outcome.seconds < 43.0, "{outcome:?}");
}

#[test]
fn liars_alone_fail_at_once_and_are_named() {
    let (world, outcome) = run(200, vec![Peer { lies: Some(1), ..Peer::new(50.0) }; 3]);
    assert!(matches!(outcome.failed, Some(Why::Integrity { sender, .. }) if sender.0 < 3));
    assert!(outcome.seconds < 1.0 && world.banned.len() == 3);
}

#[test]
fn a_broken_copy_is_no_lie_and_names_the_piece() {
    let rotten = Peer { rotten: [77].into(), ..Peer::new(50.0) };
    let (world, outcome) = run(200, vec![rotten.clone()]);
    assert!(
        matches!(outcome.failed, Some(Why::Integrity { piece: 77, .. })) && world.banned.is_empty()
    );
    let (world, outcome) = run(200, vec![rotten, Peer::new(5.0)]);
    assert!(outcome.failed.is_none() && world.banned.is_empty());
}

#[test]
fn a_holder_that_is_away_is_waited_for_and_not_for_ever() {
    let away = |back: f64| Peer { down: vec![(seconds(1.0), seconds(back))], ..Peer::new(10.0) };
    let (world, outcome) = run(100, vec![away(100.0)]);
    assert!(
        outcome.failed.is_none() && world.stalled == 1 && outcome.seconds < 100.0 + 15.0 + 10.0,
        "{outcome:?}"
    );
    let (_, outcome) = run(100, vec![away(1e6)]);
    assert!(
        outcome.failed == Some(Why::NoSource) && (120.0..125.0).contains(&outcome.seconds),
        "{outcome:?}"
    );
    let (_, outcome) = run(100, vec![]);
    assert!(outcome.failed == Some(Why::NoSource) && outcome.seconds == 120.0, "{outcome:?}");
}

#[test]
fn the_near_ones_give_when_there_are_enough_of_them() {
    let config = PlanConfig { max_parallel: 2, ..PlanConfig::default() };
    let near = Peer { locality: Locality::Node, ..Peer::new(5.0) };
    let peers = vec![Peer::new(50.0), near.clone(), Peer::new(50.0), near];
    let mut world = World::new(config, 100, peers, 3);
    assert_eq!(world.run().failed, None);
    let from = |id: u32| world.plan.delivered(peral_model::plan::SourceId(id));
    assert_eq!((from(0), from(2)), (0, 0));
}

#[test]
fn the_rarest_pieces_come_first() {
    // Pieces 90 to 99 are at one source only, and it goes away.
    let common: BTreeSet<u64> = (0..90).collect();
    let mut peers = vec![Peer { part: Some(common), ..Peer::new(1.0) }; 4];
    let rare: BTreeSet<u64> = (0..100).filter(|piece| *piece != 1).collect();
    peers.push(Peer {
        part: Some(rare),
        down: vec![(seconds(20.0), seconds(1e6))],
        ..Peer::new(1.0)
    });
    let (_, outcome) = run(100, peers);
    assert_eq!(outcome.failed, None);
}

fn times() -> impl Strategy<Value = Vec<(Duration, Duration)>> {
    let time = (0.0..60.0f64, 0.1..200.0f64)
        .prop_map(|(from, length)| (seconds(from), seconds(from + length)));
    prop_oneof![3 => Just(Vec::new()), 1 => vec(time, 1..3)]
}

fn peer(pieces: u64) -> impl Strategy<Value = Peer> {
    let some = prop::collection::btree_set(0..pieces, 0..=pieces as usize / 2);
    let part = prop_oneof![2 => Just(None), 1 => some.prop_map(Some)];
    let gets = vec((0.0..60.0f64, 0..pieces).prop_map(|(at, piece)| (seconds(at), piece)), 0..40);
    let lies = prop_oneof![3 => Just(None), 1 => (1u64..20).prop_map(Some)];
    let rotten =
        prop_oneof![3 => Just(BTreeSet::new()), 1 => prop::collection::btree_set(0..pieces, 1..3)];
    let near = prop_oneof![Just(Locality::Node), Just(Locality::Zone), Just(Locality::Rest)];
    let heard = any::<bool>();
    (0.02..200.0f64, part, gets, times(), times(), lies, rotten, (near, heard)).prop_map(
        |(rate, part, gets, down, stalls, lies, rotten, (locality, heard))| {
            // A liar lies about its disk as well.
            let rotten = if lies.is_some() { BTreeSet::new() } else { rotten };
            let gets = if part.is_some() { gets } else { Vec::new() };
            Peer { locality, part, gets, down, heard, stalls, lies, rotten, ..Peer::new(rate) }
        },
    )
}

fn network() -> impl Strategy<Value = (u64, Vec<Peer>)> {
    (1u64..150).prop_flat_map(|pieces| (Just(pieces), vec(peer(pieces), 1..12)))
}

proptest! {
    #![proptest_config(
        ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() }
    )]

    /// The world checks each action; here: it ends, whatever happens.
    #[test]
    fn it_always_ends((pieces, peers) in network(), seed: u64) {
        World::new(PlanConfig::default(), pieces, peers, seed).run();
    }

    #[test]
    fn one_faithful_source_is_enough(
        (pieces, mut peers) in network(),
        rate in 0.05..50.0f64,
        at: prop::sample::Index,
        seed: u64,
    ) {
        let faithful = Peer::new(rate);
        prop_assert!(faithful.faithful());
        peers.insert(at.index(peers.len() + 1), faithful);
        let mut world = World::new(PlanConfig::default(), pieces, peers, seed);
        prop_assert_eq!(world.run().failed, None);
    }

    #[test]
    fn the_same_seed_does_the_same((pieces, peers) in network(), seed: u64) {
        let outcome = || {
            let mut world = World::new(PlanConfig::default(), pieces, peers.clone(), seed);
            (world.run(), world.requested, world.plan.counters())
        };
        prop_assert_eq!(outcome(), outcome());
    }

    #[test]
    fn small_limits_hold_as_well(
        (pieces, peers) in network(),
        max_run in 1u64..9,
        max_parallel in 1usize..4,
        seed: u64,
    ) {
        let config = PlanConfig { max_run, max_parallel, ..PlanConfig::default() };
        World::new(config, pieces, peers, seed).run();
    }
}
