//! Numbers from a seed, and answers of hosts made of them: the same seed gives the same run.

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(crate) const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Puts items into a random order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for (at, end) in (1..items.len()).rev().zip((2..=items.len()).rev()) {
            let end = u64::try_from(end).unwrap_or(u64::MAX);
            let other = usize::try_from(self.below(end)).unwrap_or(0);
            items.swap(at, other);
        }
    }
}

/// JSON of an answer of about 600 bytes, another one for each seed.
pub(crate) fn answer(seed: u64) -> Vec<u8> {
    let mut numbers = Numbers(seed);
    let mut below = |end| numbers.below(end);
    let (bytes, ms) = (below(100_000), below(10_000));
    format!(
        r#"{{"message":"the command ended","ops":{{"exitCode":0,"stdout":{{"text":"web-{:04} up {} days, {} users, load average: 0.{:02}, 1.{:02}\n/dev/sda1 {} of {} blocks used, {} % of inodes\nnginx.service active since {} s, main process {}, {} tasks\n{} packages can be updated, {} of them for security; last reboot by user {}\n","bytes":{bytes},"sha256":"{:016x}{:016x}{:016x}{:016x}","cut":false}},"stderr":{{"text":"","bytes":0,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","cut":false}},"durationMs":{ms}}}}}"#,
        below(10_000),
        below(400),
        below(9),
        below(100),
        below(100),
        below(80_000_000),
        80_000_000,
        below(100),
        below(10_000_000),
        below(4_000_000),
        below(64),
        below(90),
        below(9),
        below(60_000),
        below(u64::MAX),
        below(u64::MAX),
        below(u64::MAX),
        below(u64::MAX),
    )
    .into_bytes()
}
