//! `resources`: the arithmetic of resources.

use crate::Arguments;
use crate::cluster::timed;
use crate::report::{Failure, Report, Step, expect};
use apportion::{Disk, Kind, Ranges, Reservation, Resource, Resources, Role, Scalar, SumError, Value};
use std::fmt::Write;
use std::hint::black_box;

const SCALARS: &str = "cpus:1;gpus:1;mem:128;disk:256";

/// Sums and differences, filters, containment and parsing, each as often as in Mesos' benchmarks. Of several such rounds the
/// fastest is reported.
pub(crate) fn resources(arguments: &Arguments, report: &Report) -> Result<(), Failure> {
    let mut rows = Rows { report, round: 0, turns: arguments.rounds(5) };
    filters(&mut rows)?;
    sums(&mut rows, "scalars", &SCALARS.parse()?, 50_000)?;
    sums(&mut rows, "1,000 reservations", &reservations()?, 10)?;
    sums(&mut rows, "a shared volume", &shared()?, 50_000)?;
    containment(&mut rows)?;
    for pieces in [10, 100, 1_000] {
        ranges(&mut rows, pieces)?;
    }
    let text = (0..100).fold(String::new(), |mut text, i| {
        write!(text, "res{i}:{i};").expect("text grows");
        text
    });
    let names = rows.time("parse 100 scalars", 1_000, || text.parse::<Resources>().map_or(0, |r| r.iter().count()))?;
    expect("parse", "resources", names as u64, 99) // the amount of the first is 0
}

/// Each row of the table is a round.
struct Rows<'r> {
    report: &'r Report,
    round: usize,
    turns: usize,
}

impl Rows<'_> {
    /// Repeats an operation. Returns its last result.
    fn time<T>(&mut self, step: &str, times: u64, mut work: impl FnMut() -> T) -> Result<T, Failure> {
        let mut last = work();
        let mut turn = || timed(|| (0..times).for_each(|_| last = black_box(work()))).1;
        let fastest = (0..self.turns).map(|_| turn()).fold(f64::INFINITY, f64::min);
        self.report_step(step, times, fastest)?;
        Ok(last)
    }

    fn report_step(&mut self, step: &str, times: u64, seconds: f64) -> Result<(), Failure> {
        let (round, times) = (Some(self.round), Some(times));
        self.round += 1;
        self.report.step(&Step { step, round, seconds, times, ..Step::default() })
    }
}

fn filters(rows: &mut Rows<'_>) -> Result<(), Failure> {
    let role = Role::new("role")?;
    let plain: Resources = SCALARS.parse()?;
    let reserved: Resources = "cpus(role):1;gpus(role):1;mem(role):128;disk(role):256".parse()?;
    let mut kind = Kind::default();
    kind.revocable = true;
    let revocable = Resources::try_from_iter([Resource::new("cpus", units(1)).with_kind(kind)])?;
    let left = rows.time("non-revocable of four", 50_000, || plain.filter(|resource| !resource.is_revocable()))?;
    expect("non-revocable", "resources", left.iter().count() as u64, 4)?;
    let left = rows.time("revocable of one", 50_000, || revocable.filter(Resource::is_revocable))?;
    expect("revocable", "resources", left.iter().count() as u64, 1)?;
    let left = rows.time("unreserved of four", 50_000, || plain.unreserved())?;
    expect("unreserved", "resources", left.iter().count() as u64, 4)?;
    let ours = |resource: &Resource| resource.role() == Some(&role);
    let left = rows.time("reserved to a role of four", 50_000, || reserved.filter(ours))?;
    expect("reserved", "resources", left.iter().count() as u64, 4)
}

fn units(units: u64) -> Value {
    Value::Scalar(Scalar::units(units))
}

/// Returns four scalars in a thousand reservations, each with another principal and label.
fn reservations() -> Result<Resources, Failure> {
    let mut all = Resources::new();
    for i in 0..1_000 {
        let mut reservation = Reservation::dynamic(Role::new(format!("role{i}"))?).by(format!("principal{i}"));
        reservation.labels.push((format!("key{i}").into(), Some(format!("value{i}").into())));
        for (name, amount) in [("cpus", 1), ("gpus", 1), ("mem", 128), ("disk", 256)] {
            all.try_insert(Resource::new(name, units(amount)).reserved(reservation.clone()))?;
        }
    }
    Ok(all)
}

/// Returns two scalars and a shared volume.
fn shared() -> Result<Resources, Failure> {
    let mut kind = Kind::default();
    let mut disk = Disk::default();
    disk.persistence = Some("volume".into());
    kind.disk = Some(disk);
    kind.shared = true;
    kind.reservations.push(Reservation::fixed(Role::new("test")?));
    let mut all: Resources = "cpus:1;mem:128".parse()?;
    all.try_insert(Resource::new("disk", units(256)).with_kind(kind))?;
    Ok(all)
}

/// An operation that adds to a total, or subtracts from it.
type Change = fn(&mut Resources, &Resources) -> Result<(), SumError>;

/// Adds up from nothing and subtracts to nothing, in place and into a new value.
fn sums(rows: &mut Rows<'_>, of: &str, r: &Resources, times: u64) -> Result<(), Failure> {
    let plus: [(&str, Change); 2] = [
        ("total += r", |total, r| total.try_add(r)),
        ("total = total + r", |total, r| {
            *total = total.checked_add(r)?;
            Ok(())
        }),
    ];
    let minus: [(&str, Change); 2] = [
        ("total -= r", |total, r| {
            total.remove(r);
            Ok(())
        }),
        ("total = total - r", |total, r| {
            *total = total.saturating_sub(r);
            Ok(())
        }),
    ];
    for ((up, add), (down, take)) in plus.into_iter().zip(minus) {
        let (mut fastest_up, mut fastest_down) = (f64::INFINITY, f64::INFINITY);
        let mut total = Resources::new();
        for _ in 0..rows.turns {
            let (done, seconds) = timed(|| (0..times).try_for_each(|_| add(&mut total, black_box(r))));
            done?;
            fastest_up = fastest_up.min(seconds);
            expect(up, "thousandths of cpus", cpus(&total), times * cpus(r))?;
            let (done, seconds) = timed(|| (0..times).try_for_each(|_| take(&mut total, black_box(r))));
            done?;
            fastest_down = fastest_down.min(seconds);
            expect(down, "resources", total.iter().count() as u64, 0)?;
        }
        rows.report_step(&format!("{up}, {of}"), times, fastest_up)?;
        rows.report_step(&format!("{down}, {of}"), times, fastest_down)?;
    }
    Ok(())
}

fn cpus(resources: &Resources) -> u64 {
    resources.amount("cpus").as_milli()
}

fn containment(rows: &mut Rows<'_>) -> Result<(), Failure> {
    let (small, large): (Resources, Resources) = ("cpus:1;mem:128".parse()?, SCALARS.parse()?);
    let mut single = "ports:[".to_owned();
    for port in (1..16_000).step_by(2) {
        write!(single, "{port}-{},", if port == 15_999 { 16_000 } else { port }).expect("text grows");
    }
    let single: Resources = (single.trim_end_matches(',').to_owned() + "]").parse()?;
    let whole: Resources = "ports:[1-16000]".parse()?;
    let (mixed_small, mixed_large) = (small.checked_add(&single)?, large.checked_add(&whole)?);
    let cases = [
        ("scalars", &small, &large, [5_000, 5_000, 5_000]),
        ("ports", &single, &whole, [100, 50, 1]),
        ("scalars and ports", &mixed_small, &mixed_large, [100, 50, 1]),
    ];
    for (of, part, all, [larger, smaller, equal]) in cases {
        let same: Resources = part.to_string().parse()?; // equal, without shared storage
        for (how, superset, subset, times, expected) in [
            ("in a larger", all, part, larger, true),
            ("in a smaller", part, all, smaller, false),
            ("in an equal", &same, part, equal, true),
        ] {
            let step = format!("contains, {of} {how}");
            let found = rows.time(&step, times, || superset.contains(subset))?;
            expect(&step, "contained", found.into(), expected.into())?;
        }
    }
    Ok(())
}

/// Returns two lists of ranges, in which each range overlaps one of the other list by half.
fn ranges(rows: &mut Rows<'_>, pieces: u64) -> Result<(), Failure> {
    const TIMES: usize = 1_000;
    const BATCH: usize = 10; // the number of copies prepared at a time
    let list = |first: u64, length: u64| {
        let ranges = (0..pieces).map(|i| first + 10 * i..=first + 10 * i + length - 1).collect::<Ranges>();
        Resources::try_from_iter([Resource::new("ports", Value::Ranges(ranges))])
    };
    let (a, b) = (list(1, 6)?, list(3, 6)?);
    let step = |what: &str| format!("{what}, ranges of {pieces} pieces");
    let (text, times) = (a.to_string(), TIMES as u64);

    let plus: Change = |copy, b| copy.try_add(b);
    let minus: Change = |copy, b| {
        copy.remove(b);
        Ok(())
    };
    for (what, change, expected) in [("a += b", plus, 8 * pieces), ("a -= b", minus, 2 * pieces)] {
        let (mut fastest, mut last) = (f64::INFINITY, Resources::new());
        for _ in 0..rows.turns {
            let mut seconds = 0.0;
            for _ in 0..TIMES / BATCH {
                // Parsed again, so that no storage is shared with `a`.
                let copies = (0..BATCH).map(|_| text.parse()).collect::<Result<Vec<Resources>, _>>();
                let mut copies = copies?;
                let (done, took) = timed(|| copies.iter_mut().try_for_each(|copy| change(copy, &b)));
                done?;
                seconds += took;
                last = copies.swap_remove(0);
            }
            fastest = fastest.min(seconds);
        }
        rows.report_step(&step(what), times, fastest)?;
        expect(what, "ports", u64::try_from(last.ranges("ports").count()).unwrap_or(0), expected)?;
    }

    let sum = rows.time(&step("a + b"), times, || a.checked_add(&b))??;
    let left = rows.time(&step("a - b"), times, || a.saturating_sub(&b))?;
    let all = u64::try_from(sum.ranges("ports").count() + left.ranges("ports").count()).unwrap_or(0);
    expect("a + b and a - b", "ports", all, 10 * pieces)
}
