//! The closed forms of the Mesos paper (Hindman et al., NSDI'11, section 6.2 and table 2), and the same cases simulated.
//!
//! A job wants `k` slots that others hold; it gets each when the task on it ends. Task times have the mean `T`, constant or
//! exponential; the job's work is `βkT`. An elastic job uses slots as it gets them, a rigid one needs all of them.

use crate::worker::{Worker, task};
use apportion::allocator::Options;
use apportion::simulation::Cluster;
use apportion::{
    Accept, Agent, AgentId, Calls, Config, Filters, Framework, Offer, Resources, Role, Scheduler, TaskId, TaskStatus,
    Time,
};
use indexmap::IndexMap;
use std::error::Error;
use std::time::Duration;

/// A column of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) slots: u16,
    pub(crate) mean: f64,
    pub(crate) work: f64,
    pub(crate) exponential: bool,
    pub(crate) elastic: bool,
}

/// The time until the job has all slots (if it runs so long), the time until it is done, both in seconds, and the part of its
/// slots' time that it used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) ramp_up: Option<f64>,
    pub(crate) completion: f64,
    pub(crate) utilisation: f64,
}

pub(crate) const CASES: [Case; 4] = {
    const fn case(exponential: bool, elastic: bool) -> Case {
        Case { slots: 100, mean: 100.0, work: 2.0, exponential, elastic }
    }
    [case(false, true), case(false, false), case(true, true), case(true, false)]
};

impl Case {
    /// Returns the values of the paper's table.
    pub(crate) fn closed_form(&self) -> Figures {
        let (t, beta, ln_k) = (self.mean, self.work, f64::from(self.slots).ln());
        let ramp_up = Some(if self.exponential { t * ln_k } else { t });
        let (completion, utilisation) = match (self.elastic, self.exponential) {
            (true, false) => ((0.5 + beta) * t, 1.0),
            (true, true) => ((1.0 + beta) * t, 1.0),
            (false, false) => ((1.0 + beta) * t, beta / (0.5 + beta)),
            (false, true) => ((ln_k + beta) * t, beta / (ln_k - 1.0 + beta)),
        };
        Figures { ramp_up, completion, utilisation }
    }

    /// Simulates `k` agents of one slot, whose tasks end at the quantiles of their distribution.
    pub(crate) fn simulated(&self) -> Result<Figures, Box<dyn Error>> {
        // In the paper, a free slot is allocated at once.
        let config = Config::new().allocation_interval(Duration::from_millis(1));
        let config = config.options(Options::new().min_allocatable([]));
        let mut cluster = Cluster::new(config).with_executors(|_, _| Some(Box::<Worker>::default()));
        let left = (1..=self.slots).map(|slot| {
            let fraction = f64::from(slot) / f64::from(self.slots + 1);
            let left = if self.exponential { -self.mean * (1.0 - fraction).ln() } else { self.mean * fraction };
            Duration::from_secs_f64(left)
        });
        let others = Party::Others(left.collect());
        cluster.add_framework(Framework::new("others").role(Role::new("others")?), others)?;
        for slot in 0..self.slots {
            cluster.add_agent(Agent::new(format!("a{slot}"), "cpus:1".parse()?))?;
        }
        cluster.run_until(Time::ZERO);
        cluster.add_framework(Framework::new("job").role(Role::new("job")?), Party::Job(Job::new(self)))?;
        cluster.run_until(Time::try_from_secs_f64(self.mean * (self.work + 1.0) * 10.0)?);
        match cluster.scheduler(&"job".into()) {
            Some(Party::Job(Job { figures: Some(figures), .. })) => Ok(*figures),
            other => Err(format!("the job is not done: {other:?}").into()),
        }
    }
}

/// A framework that holds slots.
#[derive(Debug)]
enum Party {
    /// Uses every slot once, each for its own duration, and suppresses offers.
    Others(Vec<Duration>),
    Job(Job),
}

impl Scheduler for Party {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        match self {
            Self::Others(left) => {
                for offer in offers {
                    let id = TaskId::from(format!("task-{}", left.len()));
                    let length = left.pop().unwrap_or_default();
                    calls.accept(Accept::of(&offer).launch(task(id, &offer.resources, "others", length, None)));
                }
                calls.suppress();
            }
            Self::Job(job) => job.offers(offers, calls),
        }
    }

    fn update(&mut self, status: TaskStatus, calls: &mut Calls) {
        if let Self::Job(job) = self {
            job.update(&status, calls.at());
        }
    }
}

/// The job: its work is done in pieces of a hundredth of the mean task time, or at once by all ranks.
#[derive(Debug)]
struct Job {
    size: Resources,
    elastic: bool,
    slots: usize,
    piece: Duration,
    pieces: usize,
    launched: usize,
    kept: Vec<Offer>,
    /// The time at which it got each slot; an agent has one.
    got: IndexMap<AgentId, Time>,
    ended: usize,
    work: f64,
    figures: Option<Figures>,
}

impl Job {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of pieces")]
    fn new(case: &Case) -> Self {
        let slots = usize::from(case.slots);
        let (piece, pieces) = if case.elastic {
            (case.mean / 100.0, (case.work * 100.0).round() as usize * slots)
        } else {
            (case.mean * case.work, slots)
        };
        Self {
            size: "cpus:1".parse().expect("it is written here"),
            elastic: case.elastic,
            slots,
            piece: Duration::from_secs_f64(piece),
            pieces,
            launched: 0,
            kept: Vec::new(),
            got: IndexMap::new(),
            ended: 0,
            work: case.work * case.mean * f64::from(case.slots),
            figures: None,
        }
    }

    fn launch(&mut self, offer: &Offer, calls: &mut Calls) {
        self.launched += 1;
        let id = TaskId::from(format!("piece-{}", self.launched));
        let piece = task(id, &self.size, "job", self.piece, None);
        calls.accept(Accept::of(offer).launch(piece).refuse_rest_for(Duration::ZERO));
    }

    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        for offer in offers {
            self.got.entry(offer.agent.clone()).or_insert(calls.at());
            if self.elastic && self.launched < self.pieces {
                self.launch(&offer, calls);
            } else if self.elastic || self.launched > 0 {
                calls.decline_for(&offer, Filters::refuse_for(Filters::MAX_REFUSE));
            } else {
                self.kept.push(offer);
            }
        }
        if self.kept.len() == self.slots {
            for offer in std::mem::take(&mut self.kept) {
                self.launch(&offer, calls);
            }
        }
    }

    fn update(&mut self, status: &TaskStatus, at: Time) {
        self.ended += usize::from(status.state.is_terminal());
        if self.ended == self.pieces && self.figures.is_none() {
            let completion = at.as_secs_f64();
            let held: f64 = self.got.values().map(|got| completion - got.as_secs_f64()).sum();
            let last = self.got.values().max().filter(|_| self.got.len() == self.slots);
            let ramp_up = last.map(|last| last.as_secs_f64());
            self.figures = Some(Figures { ramp_up, completion, utilisation: self.work / held });
        }
    }
}
