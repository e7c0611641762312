//! Broken input for everything that reads the host: what a host holds may be cut, damaged or made to
//! harm whoever reads it, and must cost no more than a wrong answer.
//!
//! Each reader has a test beside it that calls [`text`] or [`bytes`] with samples of what it reads. Cases
//! are made from the samples by a generator with a seed, so each run makes the same ones. A reader that
//! panics, or needs longer than [`CASE_SECONDS_MAX`], fails, and the case's seed is told:
//! `SICKBAY_FUZZ_SEED=N` makes that case alone, `SICKBAY_FUZZ_SECONDS=N` goes on for so long.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::time::Instant;

/// Cases of one reader in an ordinary run.
const CASES: u64 = 1_500;
/// Longest time of one case, in seconds: far more than any needs, and less than one that never ends.
const CASE_SECONDS_MAX: u64 = 10;
/// Largest input, in bytes.
const BYTES_MAX: usize = 16 << 10;
/// What readers stumble over: ends of ranges, marks of the formats, characters of several bytes.
const WORDS: [&[u8]; 26] = [
    b"",
    b"\0",
    b"\n",
    b"\n\n",
    b" ",
    b"\t",
    b"-1",
    b"0",
    b"65536",
    b"4294967296",
    b"18446744073709551615",
    b"18446744073709551616",
    b"-9223372036854775808",
    b"1e999",
    b"(",
    b")",
    b"[",
    b"{",
    b"\"",
    b"'",
    b"\\",
    b":",
    b"=",
    b"%",
    "\u{e9}\u{20ac}\u{1f980}".as_bytes(),
    b"\xff\xfe",
];

/// Feeds the reader with text; what is no UTF-8 comes as the reader's callers would see it.
pub(crate) fn text(name: &str, samples: &[&str], read: impl Fn(&str)) {
    let samples: Vec<&[u8]> = samples.iter().map(|it| it.as_bytes()).collect();
    bytes(name, &samples, |it| read(&String::from_utf8_lossy(it)));
}

/// Feeds the reader with bytes.
pub(crate) fn bytes(name: &str, samples: &[&[u8]], read: impl Fn(&[u8])) {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    if let Some(seed) = number("SICKBAY_FUZZ_SEED") {
        return one(name, seed, samples, &read);
    }
    let started = Instant::now();
    let seconds = number("SICKBAY_FUZZ_SECONDS").unwrap_or(0);
    let mut seed = 0;
    while seed < CASES || started.elapsed().as_secs() < seconds {
        one(name, seed, samples, &read);
        seed += 1;
    }
}

fn one(name: &str, seed: u64, samples: &[&[u8]], read: &impl Fn(&[u8])) {
    let input = Numbers(seed).input(samples);
    let started = Instant::now();
    let ended = catch_unwind(AssertUnwindSafe(|| read(&input)));
    let seconds = started.elapsed().as_secs();
    let shown = input.escape_ascii();
    assert!(
        ended.is_ok(),
        "{name}: SICKBAY_FUZZ_SEED={seed} panics: {shown}"
    );
    assert!(
        seconds < CASE_SECONDS_MAX,
        "{name}: SICKBAY_FUZZ_SEED={seed} needs {seconds} s: {shown}"
    );
}

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let it = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let it = (it ^ (it >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        it ^ (it >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap();
        usize::try_from(self.next() % end).unwrap()
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let from = self.below(length + 1);
        from..from + self.below((length - from).min(64) + 1)
    }

    fn input(&mut self, samples: &[&[u8]]) -> Vec<u8> {
        let mut input = samples[self.below(samples.len())].to_vec();
        for _ in 0..=self.below(6) {
            self.change(&mut input, samples);
        }
        input.truncate(BYTES_MAX);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, samples: &[&[u8]]) {
        let range = self.range(input.len());
        match self.below(8) {
            0 => input.truncate(range.start),
            1 => drop(input.drain(range)),
            2 => {
                let word = WORDS[self.below(WORDS.len())];
                drop(input.splice(range, word.iter().copied()));
            }
            3 => {
                let word = WORDS[self.below(WORDS.len())];
                drop(input.splice(range.start..range.start, word.iter().copied()));
            }
            4 if range.start < input.len() => input[range.start] ^= 1 << self.below(8),
            5 => {
                let part = input[range.clone()].to_vec();
                let many = part.repeat(1 + self.below(40));
                drop(input.splice(range, many));
            }
            6 => {
                let other = samples[self.below(samples.len())];
                let part = other[self.range(other.len())].to_vec();
                drop(input.splice(range, part));
            }
            _ => {
                let part: Vec<u8> = input.drain(range).collect();
                let at = self.below(input.len() + 1);
                drop(input.splice(at..at, part));
            }
        }
    }
}

#[test]
fn a_case_is_made_anew_from_its_seed_and_cases_differ() {
    let make = |seed| Numbers(seed).input(&[b"some sample\n"]);
    assert_eq!(make(7), make(7));
    let all: std::collections::BTreeSet<Vec<u8>> = (0..100).map(make).collect();
    assert!(all.len() > 80, "{}", all.len());
}

#[test]
fn a_reader_that_panics_is_told_with_the_seed() {
    let fails = catch_unwind(|| text("odd", &["abc"], |it| assert!(it.starts_with('a'))));
    let said = fails.unwrap_err();
    let said = said.downcast_ref::<String>().unwrap();
    assert!(said.starts_with("odd: SICKBAY_FUZZ_SEED="), "{said}");
}
