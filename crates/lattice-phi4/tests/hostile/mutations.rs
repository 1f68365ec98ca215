//! Files with something wrong: cut, changed, swapped, blown up. Made from a whole file and a seed.

/// What stands in for a number in a text.
const NUMBERS: [&str; 16] = [
    "-1",
    "0",
    "1",
    "2",
    "65536",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "99999999999999999999999",
    "1e308",
    "1e999",
    "-1e-320",
    "NaN",
    "null",
    "[]",
    "\"\"",
];

/// What stands in for a binary number.
const WORDS: [u64; 8] = [0, 1, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, i64::MAX as u64, u64::MAX];

/// Bytes in which headers are: half of all changes fall there.
const HEADER: usize = 512;

/// A source of changes: the same for the same seed.
#[derive(Debug)]
pub(crate) struct Mutations(u64);

impl Mutations {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64.
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; zero if there is none.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.word() % end.max(1) as u64) as usize
    }

    fn place(&mut self, length: usize) -> usize {
        let end = if self.below(2) == 0 { length.min(HEADER) } else { length };
        self.below(end)
    }

    /// A run of bytes: where it begins and ends.
    fn run(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.place(length);
        let most = 1 << self.below(7);
        start..(start + 1 + self.below(most)).min(length)
    }

    /// A change of the file. It may, rarely, be none.
    pub(crate) fn of(&mut self, whole: &[u8]) -> Vec<u8> {
        let mut bytes = whole.to_vec();
        let length = whole.len();
        match self.below(10) {
            0 => bytes.truncate(self.place(length)),
            1 | 2 => {
                let place = self.place(length);
                bytes[place] ^= 1 << self.below(8);
            }
            3 => {
                let (run, kind) = (self.run(length), self.below(3));
                for byte in &mut bytes[run] {
                    *byte = [0, 0xff, self.word() as u8][kind];
                }
            }
            4 => {
                let (a, b) = (self.run(length), self.place(length));
                for (from, to) in a.zip(b..length) {
                    bytes.swap(from, to);
                }
            }
            5 => drop(bytes.drain(self.run(length))),
            6 => {
                let (run, place) = (self.run(length), self.place(length));
                bytes.splice(place..place, whole[run].iter().copied());
            }
            7 => bytes.extend((0..=self.below(100)).map(|i| i as u8)),
            8 => {
                let (size, place) = (1 << self.below(4), self.place(length));
                let word = WORDS[self.below(WORDS.len())].to_le_bytes();
                bytes.iter_mut().skip(place).zip(&word[..size]).for_each(|(byte, new)| *byte = *new);
            }
            _ => self.number(&mut bytes),
        }
        bytes
    }

    /// Replaces a number of a text.
    fn number(&mut self, bytes: &mut Vec<u8>) {
        let digit = |byte: u8| byte.is_ascii_digit();
        let begins = |i: usize| digit(bytes[i]) && (i == 0 || !digit(bytes[i - 1]));
        let starts: Vec<usize> = (0..bytes.len()).filter(|i| begins(*i)).collect();
        if starts.is_empty() {
            return;
        }
        let start = starts[self.below(starts.len())];
        let end = (start..bytes.len()).find(|i| !digit(bytes[*i])).unwrap_or(bytes.len());
        let new = NUMBERS[self.below(NUMBERS.len())];
        bytes.splice(start..end, new.bytes());
    }
}

/// Changes of each format in one run of a test: a few hundred, or as many as the environment asks for.
pub(crate) fn count() -> usize {
    std::env::var("HOSTILE_FILES").ok().and_then(|count| count.parse().ok()).unwrap_or(200)
}

/// What became of changed files.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    pub(crate) refused: usize,
    pub(crate) accepted: usize,
    /// The most memory that a reader has asked for, beyond `CONSTANT`, in units of its files.
    pub(crate) memory: f64,
}

/// What a reader may ask for whatever the size of its files: buffers, tables, names.
pub(crate) const CONSTANT: usize = 1 << 16;
/// What it may ask for besides, in units of its files.
pub(crate) const FACTOR: f64 = 10.0;

impl Outcomes {
    /// Reads files of `bytes` bytes in all, and counts; what was read comes back.
    pub(crate) fn see<T, E>(&mut self, bytes: usize, read: impl FnOnce() -> Result<T, E>) -> Option<T> {
        let (found, peak) = super::memory::peak(read);
        let memory = peak.saturating_sub(CONSTANT) as f64 / bytes.max(1) as f64;
        assert!(memory <= FACTOR, "{peak} bytes of memory for files of {bytes}");
        self.memory = self.memory.max(memory);
        let found = found.ok();
        *if found.is_some() { &mut self.accepted } else { &mut self.refused } += 1;
        found
    }

    /// Tells the figures.
    pub(crate) fn report(&self, format: &str) {
        let Self { refused, accepted, memory } = self;
        println!("{format}: {refused} refused, {accepted} accepted, {memory:.1} times the file");
    }
}
