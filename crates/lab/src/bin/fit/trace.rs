//! The jobs of a SWIM trace, each with a user and a duration that are drawn by a seed.

use apportion::Time;
use apportion_console::Failure;
use std::f64::consts::TAU;
use std::path::Path;
use std::time::Duration;

/// The bytes that one map reads: a block of HDFS.
const BLOCK: u64 = 128 << 20;
/// The most maps of a job; more are taken for a mistake.
const MAX_MAPS: u64 = 1_000_000;
/// The trace is run so many times faster than it was recorded: 24 hours in one.
const FASTER: f64 = 24.0;
/// The median of the mean durations of jobs, in seconds, and the standard deviation of their logarithms.
const MEDIAN: f64 = 40.0;
const SIGMA: f64 = 0.6;

/// A job: equal tasks of one user.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) submitted: Time,
    pub(crate) user: usize,
    pub(crate) tasks: u32,
    /// The mean duration of its tasks, in seconds.
    mean: f64,
    seed: u64,
}

/// The durations of the tasks of a job, in order: within 30 % of their mean.
#[derive(Debug)]
pub(crate) struct Durations {
    random: fastrand::Rng,
    mean: f64,
    left: u32,
}

impl Job {
    pub(crate) fn durations(&self) -> Durations {
        Durations { random: fastrand::Rng::with_seed(self.seed), mean: self.mean, left: self.tasks }
    }
}

impl Iterator for Durations {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        Some(Duration::from_secs_f64(self.mean * (0.7 + 0.6 * self.random.f64())))
    }
}

/// Reads the jobs of a trace in order of their submission, up to `until`. The users are drawn by Zipf's law.
pub(crate) fn read(path: &Path, users: usize, until: Time, seed: u64) -> Result<Vec<Job>, Failure> {
    let mut rows =
        csv::ReaderBuilder::new().delimiter(b'\t').has_headers(false).from_reader(apportion_console::open(path)?);
    let wrong = |what: String| Failure::input(format!("{}: {what}", path.display()));
    let mut random = fastrand::Rng::with_seed(seed);
    let mut jobs = Vec::new();
    for row in rows.deserialize() {
        let (name, at, _, bytes): (String, f64, f64, u64) = row.map_err(|error| wrong(error.to_string()))?;
        let submitted = Time::try_from_secs_f64(at / FASTER).map_err(|error| wrong(format!("{name}: {error}")))?;
        let maps = bytes.div_ceil(BLOCK).max(1);
        let tasks = u32::try_from(maps)
            .ok()
            .filter(|tasks| u64::from(*tasks) <= MAX_MAPS)
            .ok_or_else(|| wrong(format!("{name}: {maps} maps: expected at most {MAX_MAPS}")))?;
        // What is drawn for a job does not depend on how many jobs are left out.
        let user = zipf(&mut random, users);
        let mean = MEDIAN * (SIGMA * normal(&mut random)).exp();
        jobs.push(Job { submitted, user, tasks, mean, seed: random.u64(..) });
    }
    jobs.retain(|job| job.submitted <= until);
    jobs.sort_by_key(|job| job.submitted);
    Ok(jobs)
}

/// Draws one of so many by Zipf's law: the n-th is n times rarer than the first.
fn zipf(random: &mut fastrand::Rng, users: usize) -> usize {
    let ranks = || (1..=u32::try_from(users).unwrap_or(u32::MAX)).map(|rank| 1.0 / f64::from(rank));
    let mut left = random.f64() * ranks().sum::<f64>();
    let past = |weight: &f64| {
        left -= weight;
        left >= 0.0
    };
    ranks().take_while(past).count().min(users - 1)
}

/// Draws from the standard normal distribution (Box and Muller).
fn normal(random: &mut fastrand::Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (TAU * random.f64()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_trace_becomes_jobs_and_nonsense_is_named() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "job0\t48\t48\t134217729\t0\t0\njob1\t24\t0\t0\t0\t0\njob2\t2400\t0\t1\t0\t0").unwrap();
        let jobs = read(file.path(), 3, Time::from_secs(50), 7).unwrap();
        let seen: Vec<_> = jobs.iter().map(|job| (job.submitted, job.tasks)).collect();
        assert_eq!(seen, [(Time::from_secs(1), 1), (Time::from_secs(2), 2)]);
        for job in &jobs {
            assert!(job.durations().all(|length| (0.7..=1.3).contains(&(length.as_secs_f64() / job.mean))));
        }
        for (row, error) in [("job3\t-1\t0\t1\t0\t0", "job3: "), ("job3\t1\t0\t999999999999999\t0\t0", "7450581 maps")]
        {
            let mut wrong = tempfile::NamedTempFile::new().unwrap();
            writeln!(wrong, "{row}").unwrap();
            let failure = read(wrong.path(), 3, Time::from_secs(50), 7).unwrap_err().to_string();
            assert!(failure.contains(error), "{failure}");
        }
    }

    #[test]
    fn draws_have_the_shape_that_they_are_named_for() {
        let mut random = fastrand::Rng::with_seed(3);
        let users: Vec<usize> = (0..11_000).map(|_| zipf(&mut random, 3)).collect();
        let count = |user| users.iter().filter(|drawn| **drawn == user).count();
        // 6 : 3 : 2 of 11,000; four standard deviations are 210.
        assert!(count(0).abs_diff(6_000) < 210 && count(1).abs_diff(3_000) < 210 && count(2).abs_diff(2_000) < 210);
        let draws: Vec<f64> = (0..10_000).map(|_| normal(&mut random)).collect();
        let near = draws.iter().filter(|draw| draw.abs() < 1.0).count();
        assert!(near.abs_diff(6_827) < 190, "{near}");
    }
}
