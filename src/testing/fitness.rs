//! The suite of fitnesses: samples are scored, each in several ways that must agree.

use super::draws::Draws;
use super::shrink::{Broken, run};
use crate::offer::Offer;
use crate::placement::{App, Fitness};
use crate::resources::{Resources, Scalar};
use crate::role::Role;

/// A task and an offer that it fits. Its `Debug` form is its Rust source.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "sequences that are pasted construct these")]
pub struct Sample {
    /// The cpus of the task, in thousandths.
    pub cpus: u64,
    /// The memory of the task, in MB.
    pub mem: u64,
    /// The host.
    pub host: &'static str,
    /// The attributes of the host.
    pub attributes: &'static str,
    /// The resources that are left of the offer.
    pub left: &'static str,
    /// The number of tasks on the host, each of a cpu and 64 MB.
    pub tasks: u32,
    /// The draw, from 0 to 1 (below 1).
    pub draw: f64,
}

impl Draws {
    #[expect(clippy::cast_precision_loss, reason = "a number below a thousand")]
    pub(super) fn sample(&mut self, _: usize) -> Sample {
        let (host, attributes) =
            self.one_of(&[("h1", "rack:r1;age:3"), ("h2", "rack:r2;age:7.5"), ("h3", "price:0.1"), ("h4", "")]);
        Sample {
            cpus: self.one_of(&[0, 100, 500, 1000, 4000]),
            mem: self.one_of(&[0, 32, 512, 4096]),
            host,
            attributes,
            left: self.one_of(&["cpus:4;mem:4096", "cpus:8;mem:8192;gpus:2", "cpus:4;mem:4096;ports:[1-9];disk:10"]),
            tasks: u32::try_from(self.below(5)).expect("below five"),
            draw: self.below(1_000) as f64 / 1_000.0,
        }
    }
}

impl Sample {
    /// Returns the score and the tie break.
    fn scored<F: Fitness>(&self, fitness: &F) -> [f64; 2] {
        let left: Resources = self.left.parse().expect("the samples have resources");
        let mut offer = Offer::new("o1", "f1", Role::default(), self.host, left.clone());
        offer.attributes = self.attributes.parse().expect("the samples have attributes");
        let app = App::new("/app").cpus(Scalar::milli(self.cpus)).mem(Scalar::units(self.mem)).ports(Vec::new());
        app.with_prospect(&offer, &left, self.tasks, self.draw, |prospect| {
            [fitness.score(prospect), fitness.tie_break(prospect)]
        })
    }
}

/// Has samples scored, one after the other; see [`Suite::fitness`](super::Suite::fitness).
///
/// # Errors
///
/// [`Broken`] with what does not hold.
///
/// # Panics
///
/// If a text in a sample is not of resources or attributes.
pub fn check_fitness<F: Fitness>(make: &impl Fn() -> F, samples: &[Sample]) -> Result<(), Broken> {
    let fitness = make();
    let mut earlier: Option<(Sample, [f64; 2])> = None;
    let mut good_enough: Option<f64> = None;
    run(samples, |sample| {
        let scored = sample.scored(&fitness);
        if !scored.iter().all(|score| score.is_finite()) {
            return Err(format!("score and tie break are {scored:?}: not finite"));
        }
        let agrees = |how: &str, other: [f64; 2]| match other.map(f64::to_bits) == scored.map(f64::to_bits) {
            true => Ok(()),
            false => Err(format!("score and tie break are {scored:?}, and {how} {other:?}")),
        };
        agrees("asked again", sample.scored(&fitness))?;
        agrees("of a new fitness", sample.scored(&make()))?;
        if fitness.depends_on_load_only() {
            let of_another = Sample { host: "elsewhere", attributes: "rack:r9;age:1", draw: 0.5, ..*sample };
            agrees("of another offer and draw, which are said not to matter,", of_another.scored(&fitness))?;
        }
        if let Some((before, expected)) = earlier.replace((*sample, scored)) {
            let now = before.scored(&fitness);
            if now.map(f64::to_bits) != expected.map(f64::to_bits) {
                return Err(format!("it scored the last sample {expected:?}, and now {now:?}"));
            }
        }
        let [score, _] = scored;
        if let Some(less) = good_enough.filter(|less| *less <= score)
            && !fitness.is_good_enough(score)
        {
            return Err(format!("a score of {less} is good enough, and one of {score} is not"));
        }
        if fitness.is_good_enough(score) {
            good_enough = Some(good_enough.map_or(score, |known| known.min(score)));
        }
        Ok(())
    })
}
