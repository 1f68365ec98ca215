//! The random words of `sde_core::Noise`, raw and little-endian on standard output, for a battery of
//! randomness tests: `noise_words ORDER [SEED]`.
//!
//! A battery reads one sequence, a simulation reads addresses, so the words are written in four orders:
//!
//! | order | consecutive words |
//! | --- | --- |
//! | `indices` | the elements of one step |
//! | `steps` | 64 elements of each step in turn, as one small block of a simulation does |
//! | `streams` | one element of each of 64 streams in turn, all at one step |
//! | `seeds` | the first 64 elements of stream 0 of seed 0, 1, 2, ... |

use sde_core::Noise;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

/// Words per stretch of consecutive addresses.
const STRETCH: usize = 64;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let order = arguments.first().map_or("", String::as_str);
    let seed = match arguments.get(1).map(|seed| seed.parse()) {
        None => 1,
        Some(Ok(seed)) => seed,
        Some(Err(_)) => return usage(),
    };
    match order {
        "indices" => {
            let noise = Noise::new(seed, 0);
            write(|turn, words| noise.words(0, 0, turn * STRETCH as u64, words))
        }
        "steps" => {
            let noise = Noise::new(seed, 0);
            write(|turn, words| noise.words(turn, 0, 0, words))
        }
        "streams" => {
            let streams: Vec<Noise> = (0..STRETCH as u64).map(|stream| Noise::new(seed, stream)).collect();
            write(|turn, words| {
                for (noise, word) in streams.iter().zip(words) {
                    noise.words(0, 0, turn, std::slice::from_mut(word));
                }
            })
        }
        "seeds" => write(|turn, words| Noise::new(turn, 0).words(0, 0, 0, words)),
        _ => usage(),
    }
}

/// Writes stretch after stretch until the reader has had enough and closes the pipe.
fn write(fill: impl Fn(u64, &mut [u64])) -> ExitCode {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let mut words = [0; STRETCH];
    let mut bytes = [0; 8 * STRETCH];
    for turn in 0.. {
        fill(turn, &mut words);
        for (bytes, word) in bytes.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        if out.write_all(&bytes).is_err() {
            break;
        }
    }
    ExitCode::SUCCESS
}

#[expect(clippy::print_stderr, reason = "a command line tool says how it is used")]
fn usage() -> ExitCode {
    eprintln!("usage: noise_words indices|steps|streams|seeds [SEED]");
    ExitCode::FAILURE
}
