//! Single rules of a plan, event by event.

use std::time::Duration;

use peral_model::{
    Bitmap,
    bitmap::InvalidBitmap,
    pieces::PIECE,
    plan::{
        Action, Counters, End, Have, Locality, Loss, Plan, PlanConfig, Refused, RequestId,
        SourceId, Why,
    },
};

const A: SourceId = SourceId(1);
const B: SourceId = SourceId(2);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn plan(pieces: u64, sources: &[SourceId]) -> Plan {
    let mut plan =
        Plan::new(PlanConfig::default(), pieces * PIECE, Bitmap::new(pieces).unwrap(), 1).unwrap();
    for id in sources {
        plan.source_joined(*id, Have::All, Locality::Rest, at(0)).unwrap();
    }
    plan
}

/// The requests among the actions: number, pieces, suspect.
fn requests(actions: &[Action], of: SourceId) -> Vec<(RequestId, Vec<u64>, bool)> {
    let request = |action: &Action| match action {
        Action::Request { request, source, ranges, suspect } if *source == of => {
            Some((*request, ranges.iter().cloned().flatten().collect(), *suspect))
        }
        _ => None,
    };
    actions.iter().filter_map(request).collect()
}

#[test]
fn nothing_to_fetch_is_done_at_once() {
    let mut plan = plan(0, &[]);
    assert_eq!(plan.actions(at(0)), [Action::Done]);
    assert_eq!((plan.actions(at(1)), plan.next_deadline()), (vec![], None));
}

#[test]
fn what_is_there_is_not_fetched() {
    let mut done = Bitmap::new(5).unwrap();
    [0, 2, 3].into_iter().for_each(|piece| assert!(done.set(piece, true)));
    let mut plan = Plan::new(PlanConfig::default(), 5 * PIECE, done.clone(), 1).unwrap();
    plan.source_joined(A, Have::All, Locality::Rest, at(0)).unwrap();
    let asked = requests(&plan.actions(at(0)), A);
    assert_eq!(asked.iter().flat_map(|(_, pieces, _)| pieces.clone()).collect::<Vec<_>>(), [1, 4]);
    let wrong = Plan::new(PlanConfig::default(), 6 * PIECE, done, 1).map(|_| ());
    assert_eq!(wrong, Err(InvalidBitmap::WrongLength { unit: "pieces", found: 5, expected: 6 }));
}

#[test]
fn a_bad_piece_is_asked_for_again_once_and_nothing_else_before() {
    let mut plan = plan(100, &[A]);
    let (first, pieces, _) = requests(&plan.actions(at(0)), A).remove(0);
    plan.piece_bad(first, pieces[0], at(1));
    let actions = plan.actions(at(1));
    assert_eq!(actions[0], Action::Cancel { request: first });
    let (second, again, suspect) = requests(&actions, A).remove(0);
    assert_eq!((actions.len(), again, suspect), (2, vec![pieces[0]], true));
    // More of the cancelled request is no second lie.
    plan.piece_bad(first, pieces[1], at(1));
    plan.request_ended(first, End::Complete, at(1));
    assert_eq!(plan.actions(at(1)), []);
    assert!(plan.piece_arrived(second, pieces[0], at(2)));
    plan.request_ended(second, End::Complete, at(2));
    let (third, pieces, suspect) = requests(&plan.actions(at(2)), A).remove(0);
    assert!(!suspect);
    // But the next one is.
    plan.piece_bad(third, pieces[0], at(3));
    let actions = plan.actions(at(3));
    assert!(actions.contains(&Action::Ban { source: A, piece: pieces[0] }));
    assert_eq!(
        actions.last(),
        Some(&Action::Failed(Why::Integrity { piece: pieces[0], sender: A }))
    );
    assert_eq!(plan.source_joined(A, Have::All, Locality::Rest, at(4)), Err(Refused::Out));
    assert_eq!(plan.counters(), Counters { fetched: PIECE, wasted: 3 * PIECE });
}

#[test]
fn a_question_that_nobody_answered_is_asked_again_first() {
    let mut plan = plan(100, &[A]);
    let (first, ..) = requests(&plan.actions(at(0)), A).remove(0);
    plan.piece_bad(first, 0, at(1));
    let (second, ..) = requests(&plan.actions(at(1)), A).remove(0);
    plan.request_ended(second, End::Lost(Loss::Away), at(2));
    assert_eq!(requests(&plan.actions(at(2)), A), []);
    let asked = requests(&plan.actions(at(3)), A);
    assert_eq!(
        asked.iter().map(|(_, pieces, suspect)| (pieces.clone(), *suspect)).collect::<Vec<_>>(),
        [(vec![0], true)]
    );
}

#[test]
fn who_joins_after_a_failure_sets_it_going_again() {
    let mut plan = plan(10, &[A]);
    plan.actions(at(0));
    plan.source_left(A, Loss::Gone, at(1));
    assert_eq!(plan.actions(at(1)).last(), Some(&Action::Failed(Why::NoSource)));
    assert_eq!((plan.actions(at(2)), plan.next_deadline()), (vec![], None));
    plan.source_joined(B, Have::All, Locality::Rest, at(500)).unwrap();
    let (request, ..) = requests(&plan.actions(at(500)), B).remove(0);
    (0..10).for_each(|piece| {
        plan.piece_arrived(request, piece, at(501));
    });
    assert_eq!(plan.actions(at(501)).last(), Some(&Action::Done));
}

#[test]
fn a_late_piece_counts_once() {
    let mut plan = plan(10, &[A]);
    let (request, ..) = requests(&plan.actions(at(0)), A).remove(0);
    plan.source_left(A, Loss::Away, at(1));
    assert!(plan.piece_arrived(request, 0, at(2)) && !plan.piece_arrived(request, 0, at(2)));
    assert!(!plan.wants(0) && plan.wants(1) && !plan.wants(10));
    assert_eq!(plan.counters(), Counters { fetched: PIECE, wasted: PIECE });
}

#[test]
fn a_busy_source_is_left_alone_but_not_as_long_as_it_likes() {
    for (said, comes_back) in [(5, 5), (1_000_000, 15)] {
        let mut plan = plan(10, &[A]);
        let (request, ..) = requests(&plan.actions(at(0)), A).remove(0);
        plan.request_ended(request, End::Lost(Loss::Busy(at(said))), at(0));
        assert_eq!(requests(&plan.actions(at(comes_back - 1)), A), []);
        assert_eq!(requests(&plan.actions(at(comes_back)), A).len(), 1);
    }
}

#[test]
fn who_sends_what_nobody_asked_for_is_out() {
    let mut plan = plan(100, &[A, B]);
    let (request, ..) = requests(&plan.actions(at(0)), A).remove(0);
    plan.piece_arrived(request, 99, at(1));
    assert!(plan.actions(at(1)).contains(&Action::Cancel { request }));
    assert_eq!(plan.source_joined(A, Have::All, Locality::Rest, at(1)), Err(Refused::Out));
}

/// I7: whatever a remote can grow has a cap.
#[test]
fn strangers_cannot_fill_it() {
    let mut plan = plan(10, &[]);
    let all =
        |plan: &mut Plan, id| plan.source_joined(SourceId(id), Have::All, Locality::Rest, at(0));
    assert!((0..64).all(|id| all(&mut plan, id).is_ok()));
    assert_eq!((all(&mut plan, 64), all(&mut plan, 3)), (Err(Refused::TooMany), Ok(())));
    let short =
        plan.source_joined(SourceId(3), Have::Some(Bitmap::new(9).unwrap()), Locality::Rest, at(0));
    assert!(matches!(short, Err(Refused::Bitmap(_))));
}

#[test]
fn half_of_what_a_stuck_source_owes_goes_to_the_idle_one_and_not_back() {
    let mut plan = plan(4, &[A]);
    let asked = requests(&plan.actions(at(0)), A);
    let (slow, pieces, _) = asked[0].clone();
    assert_eq!(pieces, [0, 1, 2, 3]);
    plan.source_joined(B, Have::All, Locality::Rest, at(5)).unwrap();
    let actions = plan.actions(at(5));
    assert_eq!(requests(&actions, B).remove(0).1, [2, 3]);
    assert!(!actions.contains(&Action::Cancel { request: slow }));
    // The stream is cut where the stolen part begins.
    plan.piece_arrived(slow, 0, at(6));
    plan.piece_arrived(slow, 1, at(6));
    let actions = plan.actions(at(6));
    assert!(
        actions.contains(&Action::Cancel { request: slow }) && requests(&actions, A).is_empty()
    );
}

#[test]
fn silent_sources_keep_nobody_out() {
    let sources: Vec<SourceId> = (0..20).map(SourceId).collect();
    let mut plan = plan(1000, &sources);
    let asked = |actions: &[Action]| {
        sources.iter().filter(|id| !requests(actions, **id).is_empty()).count()
    };
    assert_eq!(asked(&plan.actions(at(0))), 16);
    assert_eq!(asked(&plan.actions(at(9))), 0);
    assert_eq!(asked(&plan.actions(at(10))), 4);
}

#[test]
fn after_the_wait_nobody_who_failed_is_tried_again() {
    let config = PlanConfig { stuck_after: at(1000), ..PlanConfig::default() };
    let mut plan = Plan::new(config, 100 * PIECE, Bitmap::new(100).unwrap(), 1).unwrap();
    [A, B]
        .into_iter()
        .for_each(|id| plan.source_joined(id, Have::All, Locality::Rest, at(0)).unwrap());
    let actions = plan.actions(at(0));
    let ((of_a, ..), (of_b, ..)) =
        (requests(&actions, A).remove(0), requests(&actions, B).remove(0));
    plan.request_ended(of_a, End::Lost(Loss::Away), at(119));
    assert_eq!(requests(&plan.actions(at(119)), A), []);
    assert_eq!(requests(&plan.actions(at(120)), A), []);
    plan.request_ended(of_b, End::Lost(Loss::Away), at(130));
    assert_eq!(plan.actions(at(130)), [Action::Failed(Why::NoSource)]);
}

#[test]
fn a_piece_that_a_source_gets_later_is_asked_for_then() {
    let mut plan = plan(10, &[]);
    plan.source_joined(A, Have::Some(Bitmap::new(10).unwrap()), Locality::Rest, at(0)).unwrap();
    assert_eq!(plan.actions(at(0)), [Action::Stalled { until: at(120) }]);
    plan.source_has(A, 5);
    let (request, pieces, _) = requests(&plan.actions(at(1)), A).remove(0);
    assert_eq!(pieces, [5]);
    plan.piece_arrived(request, 5, at(2));
    plan.request_ended(request, End::Complete, at(2));
    assert_eq!(plan.actions(at(2)), [Action::Stalled { until: at(122) }]);
}

#[test]
fn a_piece_that_another_source_brings_is_not_asked_of_a_third() {
    let mut plan = plan(1, &[A]);
    let (first, ..) = requests(&plan.actions(at(0)), A).remove(0);
    plan.source_joined(B, Have::All, Locality::Rest, at(5)).unwrap();
    let (second, pieces, _) = requests(&plan.actions(at(5)), B).remove(0);
    assert_eq!(pieces, [0]);
    let shortly_after = Duration::from_millis(5100);
    plan.request_ended(first, End::Lost(Loss::Away), shortly_after);
    plan.source_joined(SourceId(3), Have::All, Locality::Rest, shortly_after).unwrap();
    assert_eq!(plan.actions(shortly_after), []);
    plan.piece_arrived(second, 0, at(6));
    assert_eq!(plan.actions(at(6)).last(), Some(&Action::Done));
}

#[test]
fn a_bad_piece_is_no_verdict_while_somebody_else_may_come_back() {
    let mut plan = plan(100, &[A, B]);
    let actions = plan.actions(at(0));
    let ((of_a, pieces, _), (of_b, ..)) =
        (requests(&actions, A).remove(0), requests(&actions, B).remove(0));
    plan.request_ended(of_b, End::Lost(Loss::Away), at(1));
    plan.piece_bad(of_a, pieces[0], at(1));
    let (suspect, ..) = requests(&plan.actions(at(1)), A).remove(0);
    plan.request_ended(suspect, End::Lost(Loss::Changed), at(1));
    assert_eq!(plan.actions(at(1)), [Action::Stalled { until: at(120) }]);
    assert_eq!(plan.actions(at(120)), [Action::Failed(Why::NoSource)]);
}

#[test]
fn a_holder_that_comes_back_after_the_end_of_the_wait_is_asked() {
    let mut plan = plan(100, &[A]);
    plan.actions(at(0));
    plan.source_left(A, Loss::Away, at(1));
    plan.actions(at(1));
    assert_eq!(plan.actions(at(120)), [Action::Failed(Why::NoSource)]);
    plan.source_joined(A, Have::All, Locality::Rest, at(500)).unwrap();
    assert_eq!(requests(&plan.actions(at(500)), A).len(), 1);
}
