//! [`KeptCandidates`]: a cache of the ranked offers, shared by apps that ask for the same.
//!
//! Apps without conditions, preferences and spreads that ask for the same amounts rank the offers alike. What one of them has
//! found serves the next one, in the same plan or in a later one: only the offers that have changed in between are looked at
//! again.

use super::class::{Class, Rank};
use super::host_scores::ScoresByState;
use super::index::OfferIx;
use super::query::Query;
use super::selector::Fit;
use crate::placement::model::app::{App, GpuBehavior};
use crate::placement::model::planner::Planner;
use crate::placement::model::ports::PortRequest;
use crate::placement::model::strategy::{Load, Strategy};
use crate::placement::model::volume::VolumeRequest;
use crate::resources::{Resources, Scalar};
use crate::role::Role;

/// What the fit checks and the ranks of an app without conditions depend on, besides the offers.
#[derive(Debug, PartialEq)]
pub(super) struct Shape {
    amounts: [Scalar; 4],
    ask: Resources,
    ports: Vec<PortRequest>,
    volumes: Vec<VolumeRequest>,
    role: Option<Role>,
    accepted_roles: Vec<Role>,
    gpu_behavior: GpuBehavior,
    strategy: ShapeStrategy,
}

/// A strategy whose scores may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ShapeStrategy {
    First,
    Binpack(Load),
    Spread(Load),
}

impl ShapeStrategy {
    fn of(strategy: &Strategy) -> Option<Self> {
        match strategy {
            Strategy::First => Some(Self::First),
            Strategy::Binpack(load) => Some(Self::Binpack(*load)),
            Strategy::Spread(load) => Some(Self::Spread(*load)),
            Strategy::Random | Strategy::Custom(_) => None,
        }
    }
}

impl Shape {
    /// Returns the shape of an app; none if its offers are not ranked by what it asks for alone.
    pub(super) fn of(query: &Query<'_>) -> Option<Self> {
        let strategy = keepable(query)?;
        let app = query.app;
        Some(Self {
            amounts: query.amounts().map(|(_, amount)| amount),
            ask: app.ask.clone(),
            ports: app.ports.clone(),
            volumes: app.volumes.clone(),
            role: app.role.clone(),
            accepted_roles: query.accepted_roles.clone(),
            gpu_behavior: query.gpu_behavior,
            strategy,
        })
    }

    /// Returns true if it is the shape of an app.
    fn is_of(&self, query: &Query<'_>, strategy: ShapeStrategy) -> bool {
        let app = query.app;
        self.amounts == query.amounts().map(|(_, amount)| amount)
            && self.strategy == strategy
            && self.gpu_behavior == query.gpu_behavior
            && self.role == app.role
            && self.ports == app.ports
            && self.volumes == app.volumes
            && self.accepted_roles == query.accepted_roles
            && self.ask == app.ask
    }
}

/// Returns the strategy of an app whose candidates may be kept.
fn keepable(query: &Query<'_>) -> Option<ShapeStrategy> {
    strategy(query.planner, query.app)
}

/// Returns true if the offers of an app are ranked by what it asks for alone.
pub(super) fn ranks_by_request(planner: &Planner, app: &App) -> bool {
    strategy(planner, app).is_some()
}

fn strategy(planner: &Planner, app: &App) -> Option<ShapeStrategy> {
    let is_plain = app.require.is_empty() && app.prefer.is_empty() && app.spread.is_empty() && planner.region.is_none();
    ShapeStrategy::of(app.strategy.as_ref().unwrap_or(&planner.strategy)).filter(|_| is_plain)
}

/// The offers as one shape ranks them: all of one class.
#[derive(Debug)]
pub(super) struct Candidates {
    pub(super) class: Class,
    pub(super) fits: Vec<Fit>,
    pub(super) ranks: Vec<Rank>,
    pub(super) scores: ScoresByState,
    /// How much of the log it has seen.
    seen: usize,
}

impl Candidates {
    pub(super) fn new(class: Class, fits: Vec<Fit>, ranks: Vec<Rank>, scores: ScoresByState) -> Self {
        Self { class, fits, ranks, scores, seen: 0 }
    }
}

/// So many shapes are kept, those that were used last.
const MAX_SHAPES: usize = 16;

/// Up to so many changes for each offer are logged; beyond, it is cheaper to rank all offers anew.
const MAX_CHANGES: usize = 2;

/// The candidates of the last shapes, and a log of the offers that have changed since.
#[derive(Debug, Default)]
pub(super) struct KeptCandidates {
    /// The one that was used last comes last.
    kept: Vec<(Shape, Candidates)>,
    /// The offers whose state has changed, in order.
    log: Vec<OfferIx>,
}

impl KeptCandidates {
    /// Notes that the state of an offer has changed.
    #[inline]
    pub(super) fn offer_changed(&mut self, offer: OfferIx) {
        if !self.kept.is_empty() {
            self.log.push(offer);
        }
    }

    /// Takes the candidates of an app's shape out, with the offers that have changed since they were put in.
    pub(super) fn take(&mut self, query: &Query<'_>) -> Option<(Shape, Candidates, Vec<OfferIx>)> {
        let strategy = keepable(query)?;
        let at = self.kept.iter().rposition(|(shape, _)| shape.is_of(query, strategy))?;
        let (shape, candidates) = self.kept.remove(at);
        let mut changed = self.log[candidates.seen..].to_vec();
        changed.sort_unstable();
        changed.dedup();
        self.trim();
        Some((shape, candidates, changed))
    }

    /// Puts in the candidates of a shape, which are up to date.
    pub(super) fn put(&mut self, shape: Shape, mut candidates: Candidates) {
        if self.log.len() > MAX_CHANGES * candidates.fits.len() {
            self.clear();
        }
        if self.kept.len() == MAX_SHAPES {
            self.kept.remove(0);
        }
        self.trim();
        candidates.seen = self.log.len();
        self.kept.push((shape, candidates));
    }

    /// Forgets all: offers have other numbers, or their checks may have other results.
    pub(super) fn clear(&mut self) {
        self.kept.clear();
        self.log.clear();
    }

    /// Drops the log if all have seen all of it.
    fn trim(&mut self) {
        if self.kept.iter().all(|(_, candidates)| candidates.seen == self.log.len()) {
            self.log.clear();
            self.kept.iter_mut().for_each(|(_, candidates)| candidates.seen = 0);
        }
    }
}
