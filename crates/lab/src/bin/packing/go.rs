//! The random numbers of Go's `math/rand`, by which the published runs are shuffled.
//!
//! An additive lagged Fibonacci generator by Mitchell and Reeds, y(n) = y(n - 607) + y(n - 273) mod 2^64. Go seeds it
//! with a linear congruential generator, on top of a table of 607 words, which are the state of the generator itself
//! after 7.8e12 steps from seed 1. Here those steps are computed instead of the table: in one jump, by x^n modulo the
//! characteristic polynomial.

const LONG: usize = 607;
const SHORT: usize = 273;

/// Go's `rand.Rand`.
#[derive(Debug, Clone)]
pub(crate) struct GoRandom {
    state: Vec<u64>,
    tap: usize,
    feed: usize,
}

impl GoRandom {
    /// `rand.New(rand.NewSource(seed))`.
    pub(crate) fn new(seed: i64) -> Self {
        let table = table();
        let state = words(seed, 20).into_iter().zip(table).map(|(word, table)| word ^ table).collect();
        Self { state, tap: 0, feed: LONG - SHORT }
    }

    /// `Uint64`.
    pub(crate) fn next(&mut self) -> u64 {
        self.tap = (self.tap + LONG - 1) % LONG;
        self.feed = (self.feed + LONG - 1) % LONG;
        self.state[self.feed] = self.state[self.feed].wrapping_add(self.state[self.tap]);
        self.state[self.feed]
    }

    /// `Intn`, for what fits in 31 bits.
    pub(crate) fn below(&mut self, bound: u32) -> usize {
        let bound = u64::from(bound);
        // All of Go's derived draws take high bits of 63: `Int31` is the upper 31 of them.
        let int31 = |random: &mut Self| random.next() << 1 >> 33;
        if bound.is_power_of_two() {
            return index(int31(self) & (bound - 1));
        }
        let most = (1 << 31) - 1 - (1 << 31) % bound;
        loop {
            let number = int31(self);
            if number <= most {
                return index(number % bound);
            }
        }
    }

    /// `Shuffle`, which draws by Lemire's multiplication where `Intn` divides.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let bound = last as u64 + 1;
            let reject = (1_u64 << 32) % bound;
            let chosen = loop {
                let product = (self.next() << 1 >> 32) * bound;
                if product % (1 << 32) >= reject {
                    break product >> 32;
                }
            };
            items.swap(last, index(chosen));
        }
    }

    /// `Perm`.
    pub(crate) fn permutation(&mut self, len: u32) -> Vec<usize> {
        let mut all = Vec::new();
        for number in 0..len {
            let place = self.below(number + 1);
            all.push(number as usize);
            let last = all.len() - 1;
            all.swap(last, place);
        }
        all
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("below a bound of 32 bits")
}

/// Returns words from the linear congruential generator x := 48271 x mod 2^31 - 1, three numbers a word, shifted by that many
/// bits.
fn words(seed: i64, shift: u32) -> Vec<u64> {
    const MODULUS: i64 = (1 << 31) - 1;
    let mut x = match seed.rem_euclid(MODULUS) {
        0 => 89_482_311,
        seed => seed.unsigned_abs(),
    };
    let mut next = || {
        x = x * 48_271 % MODULUS.unsigned_abs();
        x
    };
    (0..20).for_each(|_| _ = next());
    (0..LONG).map(|_| next() << (2 * shift) ^ next() << shift ^ next()).collect()
}

/// Returns the state of the generator after 7.8e12 steps from seed 1 (seeded with shifts of 10 bits then).
fn table() -> Vec<u64> {
    const STEPS: usize = 7_800_000_000_000;
    // The state is the last 607 outputs, in descending order from the feed.
    let place = |output: usize| (LONG - SHORT + LONG - 1 - output % LONG) % LONG;
    let seeded = words(1, 10);
    let mut outputs: Vec<u64> = (0..LONG).map(|output| seeded[place(output)]).collect();
    for output in LONG..2 * LONG {
        outputs.push(outputs[output - LONG].wrapping_add(outputs[output - SHORT]));
    }
    let jump = power_of_x(STEPS);
    let mut table = vec![0; LONG];
    for output in 0..LONG {
        let terms = jump.iter().zip(&outputs[output..]).map(|(factor, output)| factor.wrapping_mul(*output));
        table[place(STEPS + output)] = terms.fold(0, u64::wrapping_add);
    }
    table
}

/// Returns x^n modulo x^607 - x^334 - 1, coefficients modulo 2^64.
fn power_of_x(mut n: usize) -> Vec<u64> {
    let unit = |power: usize| (0..LONG).map(|place| u64::from(place == power)).collect::<Vec<u64>>();
    let (mut power, mut square) = (unit(0), unit(1));
    while n > 0 {
        if n % 2 == 1 {
            power = product(&power, &square);
        }
        square = product(&square, &square);
        n /= 2;
    }
    power
}

fn product(a: &[u64], b: &[u64]) -> Vec<u64> {
    let mut product = vec![0_u64; 2 * LONG - 1];
    for (i, a) in a.iter().enumerate() {
        for (j, b) in b.iter().enumerate() {
            product[i + j] = product[i + j].wrapping_add(a.wrapping_mul(*b));
        }
    }
    for high in (LONG..product.len()).rev() {
        let factor = product[high];
        for low in [high - LONG, high - SHORT] {
            product[low] = product[low].wrapping_add(factor);
        }
    }
    product.truncate(LONG);
    product
}
