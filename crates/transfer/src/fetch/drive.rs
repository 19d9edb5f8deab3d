//! Tells the plan what happened, and does what it says.

use std::{collections::HashMap, sync::Arc, time::Duration};

use peral_model::{
    Bitmap, PeerId, Record,
    pieces::{self, PIECE},
    plan::{self, Action, Counters, End, Have, Loss, Plan, PlanConfig, RequestId, SourceId},
};
use peral_wire::{ErrorCode, Failure, Sealed, fail, peer::DOWNLOAD};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    arriving::Arriving,
    finder::KnownSources,
    looking::Looking,
    request::{FetchDeps, FetchRequest},
    stream::{self, Shared, StreamError, StreamEvent, StreamJob},
    swarm::{Remote, Swarm, is_refusal},
};
use crate::progress::{Observer, Phase, Progress};

/// Sources that are asked at the same time. What each has under way is in memory in the worst case,
/// when the disk is slower than the network.
const MAX_PARALLEL: usize = 6;
/// Events that wait for the driver: pieces that are written already.
const MAX_EVENTS: usize = 64;
/// Progress is told at most so often.
const TELL: Duration = Duration::from_millis(100);
/// With fewer live sources than this, central is asked for more.
const ENOUGH: usize = 2;
/// How long a source that says that it is busy is left alone.
const BUSY: Duration = Duration::from_secs(2);
/// When nothing else is due.
const LATER: Duration = Duration::from_secs(3600);

/// Fetches the pieces that are not there yet.
pub(super) async fn drive(
    request: &FetchRequest,
    deps: &FetchDeps,
    observer: &dyn Observer,
    swarm: Swarm,
    arriving: Arriving,
) -> Result<(Counters, Sealed<Record>), Failure> {
    let limit = deps.limits.download.bytes_per_second();
    let config = PlanConfig {
        max_parallel: MAX_PARALLEL,
        wait: request.wait,
        limit,
        ..PlanConfig::default()
    };
    let size = arriving.list.content().size;
    let plan = Plan::new(config, size, arriving.done(), (deps.seed)())
        .map_err(|error| fail!(Internal, "{error}"))?;
    let (sender, events) = mpsc::channel(MAX_EVENTS);
    let shared = Shared {
        dialer: deps.dialer.clone(),
        limits: deps.limits.clone(),
        metrics: deps.metrics.clone(),
        arriving,
        events: sender,
    };
    let now = Instant::now();
    let driver = Driver {
        request,
        observer,
        plan,
        swarm,
        size,
        shared: Arc::new(shared),
        tasks: JoinSet::new(),
        running: HashMap::new(),
        start: now,
        alive: now,
        told: None,
        phase: Phase::Moving,
        looking: Looking::new(),
        failed: None,
    };
    driver.run(events).await
}

struct Driver<'a> {
    request: &'a FetchRequest,
    observer: &'a dyn Observer,
    plan: Plan,
    swarm: Swarm,
    size: u64,
    shared: Arc<Shared>,
    /// Ended with the driver, however that ends.
    tasks: JoinSet<()>,
    running: HashMap<RequestId, Running>,
    start: Instant,
    /// The last new piece.
    alive: Instant,
    told: Option<Told>,
    phase: Phase,
    looking: Looking,
    /// The plan gave up; somebody new may set it going again.
    failed: Option<plan::Why>,
}

/// A stream that has not ended.
struct Running {
    source: SourceId,
    suspect: bool,
    cancel: CancellationToken,
}

/// What the observer was told last.
struct Told {
    at: Instant,
    progress: Progress,
}

/// What a round of actions came to.
enum Round {
    Goes,
    Done,
}

impl Driver<'_> {
    async fn run(
        mut self,
        mut events: mpsc::Receiver<StreamEvent>,
    ) -> Result<(Counters, Sealed<Record>), Failure> {
        for id in self.swarm.askable() {
            self.join(id);
        }
        if self.swarm.remotes.is_empty() && !self.plan.done().is_full() {
            self.look();
            self.found_or_failed().await?;
        }
        loop {
            if let Round::Done = self.act() {
                self.tell(true);
                return Ok((self.plan.counters(), self.swarm.record));
            }
            if let Some(refused) = self.refusal() {
                return Err(refused);
            }
            self.look_if_due();
            if let Some(why) = self.failed.filter(|_| !self.looking.is_open() && !self.may_wait()) {
                return Err(self.failure(why));
            }
            self.tell(false);
            let wake = sleep_until(self.wake_at());
            let (mut event, found) = tokio::select! {
                event = events.recv() => (event, None),
                found = self.looking.answer() => (None, Some(found)),
                () = wake => (None, None),
            };
            if let Some(found) = found {
                self.take(found);
            }
            while let Some(next) = event {
                self.hear(next)?;
                event = events.try_recv().ok();
            }
        }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Does what the plan says.
    fn act(&mut self) -> Round {
        for action in self.plan.actions(self.now()) {
            match action {
                Action::Request { request, source, ranges, suspect } => {
                    self.begin(request, source, ranges, suspect);
                }
                Action::Cancel { request } => {
                    if let Some(running) = self.running.get(&request) {
                        running.cancel.cancel();
                    }
                }
                Action::Ban { source, piece } => self.ban(source, piece),
                Action::Done => return Round::Done,
                Action::Stalled { .. } => self.phase = Phase::Waiting,
                Action::Failed(why) => {
                    self.failed = Some(why);
                    self.looking.plan_gave_up();
                }
            }
        }
        if self.plan.done().is_full() { Round::Done } else { Round::Goes }
    }

    fn begin(
        &mut self,
        request: RequestId,
        source: SourceId,
        ranges: Vec<std::ops::Range<u64>>,
        suspect: bool,
    ) {
        let Some(remote) = self.swarm.remote(source).cloned() else {
            return self.plan.request_ended(request, End::Lost(Loss::Gone), self.now());
        };
        self.failed = None;
        let span = span_of(&remote, suspect);
        let cancel = CancellationToken::new();
        self.running.insert(request, Running { source, suspect, cancel: cancel.clone() });
        let job =
            StreamJob { request, source, remote, file: self.swarm.file(), ranges, suspect, cancel };
        self.tasks.spawn(stream::run(Arc::clone(&self.shared), job).instrument(span));
    }

    fn ban(&mut self, source: SourceId, piece: u64) {
        if let Some(remote) = self.swarm.remote_mut(source) {
            remote.liar = true;
            let note = format!("{remote} sent a bad piece {piece}; it is not asked again");
            remote.failure = Some(fail!(Integrity, "it sent a bad piece {piece}"));
            tracing::warn!(peer = %remote.peer, piece, "a peer sent a bad piece twice and is banned from this download");
            self.observer.note(&note);
        }
    }

    fn hear(&mut self, event: StreamEvent) -> Result<(), Failure> {
        let now = self.now();
        // Finished tasks give back their memory.
        while self.tasks.try_join_next().is_some() {}
        match event {
            StreamEvent::Piece { request, index, bytes, right: true, .. } => {
                if self.plan.piece_arrived(request, index, now) {
                    // Asking somebody is not moving yet: who is away may be asked for long.
                    (self.alive, self.phase) = (Instant::now(), Phase::Moving);
                } else {
                    self.shared.metrics.wasted.add(bytes);
                }
            }
            StreamEvent::Piece { request, source, index, bytes, right: false } => {
                self.shared.metrics.wasted.add(bytes);
                self.shared.metrics.bad_pieces.add(1);
                self.plan.piece_bad(request, index, now);
                let first = self.running.get(&request).is_some_and(|running| !running.suspect);
                if let Some(remote) = self.swarm.remote(source).filter(|_| first) {
                    self.observer.note(&format!(
                        "{remote} sent a bad piece {index}; it is asked to look at it again"
                    ));
                }
            }
            StreamEvent::Ended { request, source, end } => {
                self.running.remove(&request);
                let end = self.judge(source, end)?;
                self.plan.request_ended(request, end, now);
            }
        }
        Ok(())
    }

    /// What the end of a stream means for its source.
    fn judge(&mut self, source: SourceId, end: Result<(), StreamError>) -> Result<End, Failure> {
        let failure = match end {
            Ok(()) => return Ok(End::Complete),
            Err(StreamError::Ours(failure)) => return Err(failure),
            Err(StreamError::Theirs(failure)) => failure,
        };
        self.swarm.failed(source, &failure);
        if let Some(remote) = self.swarm.remote(source) {
            tracing::info!(peer = %remote.peer, code = %failure.code, detail = failure.detail, "a source failed");
            self.observer.note(&remote.said(&failure));
        }
        if is_refusal(failure.code) && self.looking.is_due() {
            self.look();
        }
        Ok(End::Lost(loss_of(failure.code)))
    }

    fn join(&mut self, id: SourceId) {
        let Some(locality) = self.swarm.remote(id).map(|remote| remote.locality) else { return };
        // Refused: it lied or lost the file; it stays out.
        if self.plan.source_joined(id, Have::All, locality, self.now()).is_ok() {
            self.failed = None;
        }
    }

    fn look(&mut self) {
        self.looking.ask(self.swarm.look());
    }

    /// Whoever serves still may end their piece; nobody else is waited for.
    fn refusal(&mut self) -> Option<Failure> {
        if self.running.is_empty() { self.looking.take_refusal() } else { None }
    }

    fn look_if_due(&mut self) {
        let few = self.swarm.askable().len() < ENOUGH
            || self.failed.is_some()
            || self.phase == Phase::Waiting;
        if few && self.looking.is_due() {
            self.look();
        }
    }

    fn take(&mut self, found: Result<KnownSources, Failure>) {
        match found {
            Ok(found) => {
                let new = self.swarm.merge(&found);
                if !new.is_empty() {
                    self.looking.brought_somebody();
                }
                new.into_iter().for_each(|id| self.join(id));
            }
            Err(failure) => {
                tracing::info!(code = %failure.code, detail = failure.detail, "central named no more sources");
            }
        }
    }

    /// The first question decides: with nobody to ask there is nothing to begin.
    async fn found_or_failed(&mut self) -> Result<(), Failure> {
        let found = self.looking.answer().await?;
        self.take(Ok(found));
        if self.swarm.remotes.is_empty() && self.swarm.away == 0 {
            Err(self.swarm.no_source())
        } else {
            Ok(())
        }
    }

    /// Nobody is left, but known holders are away and may come back in time. Central is asked once
    /// at least before giving up.
    fn may_wait(&self) -> bool {
        !self.looking.has_answered()
            || (self.swarm.away > 0 && self.alive.elapsed() < self.request.wait)
    }

    fn wake_at(&self) -> Instant {
        let plan = self.plan.next_deadline().map(|deadline| self.start + deadline);
        let next_look = self.looking.next();
        let look =
            (!self.looking.is_open() && self.swarm.askable().len() < ENOUGH).then_some(next_look);
        let fail = self.failed.map(|_| next_look.min(self.alive + self.request.wait));
        // What came right after the observer was told has to be told too, though nothing else comes.
        let tell = self.told.as_ref().filter(|told| told.progress != self.progress());
        let tell = tell.map(|told| told.at + TELL);
        let now = Instant::now();
        let due = [plan, look, fail, tell].into_iter().flatten().min().unwrap_or(now + LATER);
        // Never a busy loop, whatever the parts say.
        due.max(now + Duration::from_millis(1))
    }

    fn failure(&self, why: plan::Why) -> Failure {
        let plan::Why::Integrity { piece, sender: source } = why else {
            return self.swarm.no_source();
        };
        let name = self.request.record.value.name.as_str();
        let who = self
            .swarm
            .remote(source)
            .map_or_else(|| format!("source {}", source.0), ToString::to_string);
        fail!(
            Integrity,
            "piece {piece} of {name:?} from {who} is not what was published, and no other source \
             is left; nothing was put in place"
        )
    }

    fn tell(&mut self, now: bool) {
        if !now && self.told.as_ref().is_some_and(|told| told.at.elapsed() < TELL) {
            return;
        }
        let progress = self.progress();
        self.observer.progress(&progress);
        self.told = Some(Told { at: Instant::now(), progress });
    }

    fn progress(&self) -> Progress {
        let mut asked: Vec<PeerId> = self
            .running
            .values()
            .filter_map(|running| Some(self.swarm.remote(running.source)?.peer))
            .collect();
        asked.sort_unstable();
        asked.dedup();
        Progress {
            phase: self.phase,
            done: bytes_of(self.plan.done(), self.size),
            total: self.size,
            fetched: self.plan.counters().fetched,
            sources: u32::try_from(asked.len()).unwrap_or(u32::MAX),
        }
    }
}

/// This end of the call that brings pieces.
fn span_of(remote: &Remote, suspect: bool) -> tracing::Span {
    let method = DOWNLOAD.trim_start_matches('/');
    tracing::info_span!(
        "request pieces",
        otel.name = method,
        otel.kind = "client",
        rpc.system.name = "grpc",
        rpc.method = method,
        server.address = %remote.address.ip(),
        server.port = remote.address.port(),
        peer = %remote.peer,
        suspect
    )
}

/// Bytes of the pieces that are there.
fn bytes_of(done: &Bitmap, size: u64) -> u64 {
    let last = pieces::count(size).saturating_sub(1);
    let missing = if done.get(last) { PIECE - pieces::length(size, last) } else { 0 };
    (done.count() * PIECE).saturating_sub(missing)
}

fn loss_of(code: ErrorCode) -> Loss {
    match code {
        // The holder itself found that its copy is no longer what it was.
        ErrorCode::Changed | ErrorCode::Integrity => Loss::Changed,
        ErrorCode::Busy | ErrorCode::RateLimited => Loss::Busy(BUSY),
        code if super::swarm::is_final(code) => Loss::Gone,
        _ => Loss::Away,
    }
}
