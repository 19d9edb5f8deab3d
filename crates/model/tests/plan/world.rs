//! A simulated network: peers with rates, breaks, stalls, lies and parts, in virtual time. It
//! drives a plan and checks each of its actions.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque},
    time::Duration,
};

use peral_model::{
    Bitmap,
    pieces::PIECE,
    plan::{
        Action, End, Have, Locality, Loss, Plan, PlanConfig, Refused, RequestId, SourceId, Why,
    },
};

/// Longest download in virtual time: whatever runs on after it hangs.
const END: Duration = Duration::from_secs(24 * 3600);
/// Time of a connection attempt, and of a cancel's way to the peer.
const DELAY: Duration = Duration::from_millis(20);

#[derive(Debug, Clone)]
pub struct Peer {
    /// Bytes a second.
    pub rate: f64,
    pub locality: Locality,
    /// Pieces it has at first; nothing for all.
    pub part: Option<BTreeSet<u64>>,
    /// When it gets which other piece.
    pub gets: Vec<(Duration, u64)>,
    /// It cannot be reached in these times, and streams break.
    pub down: Vec<(Duration, Duration)>,
    /// The driver hears of it when it goes down and comes back.
    pub heard: bool,
    /// It sends nothing in these times, and streams stay open.
    pub stalls: Vec<(Duration, Duration)>,
    /// Every n-th piece it sends is wrong, whatever is asked.
    pub lies: Option<u64>,
    /// These pieces are broken on its disk; it says CHANGED when it is asked to look.
    pub rotten: BTreeSet<u64>,
}

impl Peer {
    pub fn new(mib_per_second: f64) -> Self {
        let none = Vec::new;
        Self {
            rate: mib_per_second * PIECE as f64,
            locality: Locality::Rest,
            part: None,
            gets: none(),
            down: Vec::new(),
            heard: false,
            stalls: Vec::new(),
            lies: None,
            rotten: BTreeSet::new(),
        }
    }

    fn honest(&self) -> bool {
        self.lies.is_none()
    }

    /// Whole, honest, and always there.
    pub fn faithful(&self) -> bool {
        self.honest()
            && self.part.is_none()
            && self.down.is_empty()
            && self.stalls.is_empty()
            && self.rotten.is_empty()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The piece that a peer was sending is through; the number tells out-of-date ones.
    Sent(u32, u64),
    /// A request ends: it broke, it was cancelled.
    Ended(RequestId, bool),
    Gets(u32, u64),
    Down(u32),
    Back(u32),
    /// A stall begins or ends.
    Turn(u32),
}

#[derive(Default)]
struct Line {
    queue: VecDeque<(RequestId, VecDeque<u64>, bool)>,
    sending: bool,
    turn: u64,
    sent: u64,
}

pub struct World {
    pub plan: Plan,
    config: PlanConfig,
    peers: Vec<Peer>,
    has: Vec<BTreeSet<u64>>,
    lines: Vec<Line>,
    pieces: u64,
    pub now: Duration,
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    number: u64,
    /// Live requests and what each still owes.
    open: BTreeMap<RequestId, (u32, BTreeSet<u64>, bool)>,
    ever: BTreeSet<RequestId>,
    pub bad: BTreeMap<u32, u64>,
    pub banned: BTreeSet<u32>,
    changed: BTreeSet<u32>,
    pub requested: u64,
    pub stalled: u32,
}

/// How a download ended, and when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    pub failed: Option<Why>,
    pub seconds: f64,
}

impl World {
    pub fn new(config: PlanConfig, pieces: u64, peers: Vec<Peer>, seed: u64) -> Self {
        let size = (pieces * PIECE).saturating_sub(17);
        let plan = Plan::new(config.clone(), size, Bitmap::new(pieces).unwrap(), seed).unwrap();
        let has = peers
            .iter()
            .map(|peer| peer.part.clone().unwrap_or_else(|| (0..pieces).collect()))
            .collect();
        let lines = peers.iter().map(|_| Line::default()).collect();
        let (none, bad, banned) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        let (events, ever, now) = (BinaryHeap::new(), BTreeSet::new(), Duration::ZERO);
        let mut world = Self {
            plan,
            config,
            peers,
            has,
            lines,
            pieces,
            now,
            events,
            number: 0,
            open: none,
            ever,
            bad,
            banned,
            changed: BTreeSet::new(),
            requested: 0,
            stalled: 0,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        for (index, peer) in self.peers.clone().iter().enumerate() {
            let id = u32::try_from(index).unwrap();
            self.join(id);
            peer.gets.iter().for_each(|(at, piece)| self.later(*at, Event::Gets(id, *piece)));
            peer.down.iter().for_each(|(from, to)| {
                self.later(*from, Event::Down(id));
                self.later(*to, Event::Back(id));
            });
            peer.stalls.iter().for_each(|(from, to)| {
                [from, to].into_iter().for_each(|at| self.later(*at, Event::Turn(id)));
            });
        }
    }

    fn join(&mut self, id: u32) {
        let peer = &self.peers[id as usize];
        let have = peer.part.as_ref().map_or(Have::All, |_| {
            let mut bitmap = Bitmap::new(self.pieces).unwrap();
            self.has[id as usize].iter().for_each(|piece| assert!(bitmap.set(*piece, true)));
            Have::Some(bitmap)
        });
        let joined = self.plan.source_joined(SourceId(id), have, peer.locality, self.now);
        let out = self.banned.contains(&id) || self.changed.contains(&id);
        assert_eq!(joined, if out { Err(Refused::Out) } else { Ok(()) });
    }

    fn later(&mut self, at: Duration, event: Event) {
        self.number += 1;
        self.events.push(Reverse((at.max(self.now), self.number, event)));
    }

    /// Runs to the end.
    pub fn run(&mut self) -> Outcome {
        for _ in 0..2_000_000 {
            if let Some(failed) = self.act() {
                self.check_end(failed);
                return Outcome { failed, seconds: self.now.as_secs_f64() };
            }
            let deadline = self.plan.next_deadline().expect("a plan that goes on knows when");
            assert!(deadline > self.now, "a deadline that is over: {deadline:?} at {:?}", self.now);
            match self.events.peek() {
                Some(Reverse((at, ..))) if *at <= deadline => {
                    let Reverse((at, _, event)) = self.events.pop().unwrap();
                    self.now = at;
                    self.happen(event);
                }
                _ => self.now = deadline,
            }
            assert!(
                self.now < END,
                "it hangs: {} of {} pieces",
                self.plan.done().count(),
                self.pieces
            );
        }
        panic!(
            "it runs in circles: {} of {} pieces at {:?}",
            self.plan.done().count(),
            self.pieces,
            self.now
        );
    }

    fn act(&mut self) -> Option<Option<Why>> {
        let mut end = None;
        for action in self.plan.actions(self.now) {
            assert_eq!(end, None, "an action after the end: {action:?}");
            match action {
                Action::Request { request, source, ranges, suspect } => {
                    self.request(
                        request,
                        source.0,
                        ranges.into_iter().flatten().collect(),
                        suspect,
                    );
                }
                Action::Cancel { request } => {
                    assert!(self.open.remove(&request).is_some(), "cancelled twice");
                    self.later(self.now + DELAY, Event::Ended(request, true));
                }
                Action::Ban { source, .. } => {
                    assert!(!self.peers[source.0 as usize].honest(), "an honest source is banned");
                    assert!(
                        self.open.values().all(|(peer, ..)| *peer != source.0),
                        "banned with requests under way"
                    );
                    assert!(self.banned.insert(source.0));
                }
                Action::Done => end = Some(None),
                Action::Failed(why) => end = Some(Some(why)),
                Action::Stalled { until } => {
                    assert!(until > self.now && self.open.is_empty());
                    self.stalled += 1;
                }
            }
        }
        end
    }

    /// What must hold of each request.
    fn request(&mut self, request: RequestId, peer: u32, pieces: VecDeque<u64>, suspect: bool) {
        assert!(self.ever.insert(request) && !self.banned.contains(&peer) && !pieces.is_empty());
        let set: BTreeSet<u64> = pieces.iter().copied().collect();
        assert!(
            set.len() == pieces.len() && set.is_subset(&self.has[peer as usize]),
            "asked for a piece twice, or for one it has not"
        );
        assert!(
            suspect || set.iter().all(|piece| self.plan.wants(*piece)),
            "asked for a piece that is there"
        );
        self.requested += set.len() as u64;
        self.open.insert(request, (peer, set, suspect));
        let mine: Vec<_> = self.open.values().filter(|(of, ..)| *of == peer).collect();
        let owed: usize = mine.iter().map(|(_, set, _)| set.len()).sum();
        // What was stolen from a request still counts here until its stream is cut.
        assert!(
            mine.len() <= 2 && owed as u64 <= 2 * self.config.max_run,
            "{owed} pieces asked of one source"
        );
        if self.is(&self.peers[peer as usize].down) {
            self.later(self.now + 10 * DELAY, Event::Ended(request, false));
        } else {
            self.lines[peer as usize].queue.push_back((request, pieces, suspect));
            self.serve(peer);
        }
    }

    fn is(&self, times: &[(Duration, Duration)]) -> bool {
        times.iter().any(|(from, to)| (*from..*to).contains(&self.now))
    }

    /// Sends the next piece, if it is not sending and not stalled.
    fn serve(&mut self, peer: u32) {
        let stalled = self.is(&self.peers[peer as usize].stalls);
        let line = &mut self.lines[peer as usize];
        if line.sending || line.queue.is_empty() || stalled {
            return;
        }
        line.sending = true;
        line.turn += 1;
        let event = Event::Sent(peer, line.turn);
        self.later(
            self.now + Duration::from_secs_f64(PIECE as f64 / self.peers[peer as usize].rate),
            event,
        );
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Sent(peer, turn)
                if turn == self.lines[peer as usize].turn && self.lines[peer as usize].sending =>
            {
                self.sent(peer);
            }
            Event::Sent(..) => {}
            Event::Ended(request, cancelled) => {
                self.open.remove(&request);
                self.lines
                    .iter_mut()
                    .for_each(|line| line.queue.retain(|(queued, ..)| *queued != request));
                self.plan.request_ended(
                    request,
                    if cancelled { End::Complete } else { End::Lost(Loss::Away) },
                    self.now,
                );
            }
            Event::Gets(peer, piece) => {
                if self.has[peer as usize].insert(piece) {
                    self.plan.source_has(SourceId(peer), piece);
                }
            }
            Event::Down(peer) if self.peers[peer as usize].heard => {
                self.lines[peer as usize].queue.clear();
                self.lines[peer as usize].sending = false;
                self.plan.source_left(
                    SourceId(peer),
                    if peer % 2 == 0 { Loss::Gone } else { Loss::Away },
                    self.now,
                );
            }
            Event::Down(peer) => self.break_line(peer),
            Event::Back(peer) if self.peers[peer as usize].heard => self.join(peer),
            Event::Back(_) => {}
            Event::Turn(peer) => {
                self.lines[peer as usize].sending = false;
                self.serve(peer);
            }
        }
    }

    fn break_line(&mut self, peer: u32) {
        let line = &mut self.lines[peer as usize];
        line.sending = false;
        let broken: Vec<RequestId> = line.queue.drain(..).map(|(request, ..)| request).collect();
        broken.into_iter().for_each(|request| self.later(self.now, Event::Ended(request, false)));
    }

    fn sent(&mut self, peer: u32) {
        self.lines[peer as usize].sending = false;
        let Some((request, pieces, suspect)) = self.lines[peer as usize].queue.front_mut() else {
            return;
        };
        let (request, suspect, piece) = (*request, *suspect, pieces.pop_front().unwrap());
        let last = pieces.is_empty();
        if last {
            self.lines[peer as usize].queue.pop_front();
        }
        self.lines[peer as usize].sent += 1;
        let rotten = self.peers[peer as usize].rotten.contains(&piece);
        let lie = self.peers[peer as usize]
            .lies
            .is_some_and(|n| self.lines[peer as usize].sent.is_multiple_of(n));
        if rotten && suspect {
            self.open.remove(&request);
            self.lines[peer as usize].queue.retain(|(queued, ..)| *queued != request);
            self.changed.insert(peer);
            self.plan.request_ended(request, End::Lost(Loss::Changed), self.now);
        } else {
            self.deliver(request, peer, piece, rotten || lie);
            if last {
                self.open.remove(&request);
                self.plan.request_ended(request, End::Complete, self.now);
            }
        }
        self.serve(peer);
    }

    fn deliver(&mut self, request: RequestId, peer: u32, piece: u64, bad: bool) {
        let open = self.open.get_mut(&request).is_some_and(|(_, owed, _)| owed.remove(&piece));
        if !bad {
            let missing = self.plan.wants(piece);
            assert_eq!(self.plan.piece_arrived(request, piece, self.now), missing);
            return;
        }
        if open {
            *self.bad.entry(peer).or_default() += 1;
        }
        self.plan.piece_bad(request, piece, self.now);
    }

    fn check_end(&self, failed: Option<Why>) {
        assert_eq!(self.plan.next_deadline(), None);
        assert_eq!(failed.is_none(), self.plan.done().is_full());
        assert!(self.open.is_empty(), "requests under way at the end");
        assert!(
            self.bad.values().all(|bad| *bad <= 2),
            "more than two bad pieces taken from one source: {:?}",
            self.bad
        );
        assert!(
            failed.is_some()
                || self.plan.counters().fetched + 17 == self.pieces * PIECE
                || self.pieces == 0
        );
    }
}
