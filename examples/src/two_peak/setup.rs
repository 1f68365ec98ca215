//! The settings of a two-peak run, read off the command line.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use sde_core::{GridError, NoiseSchedule, ParameterError, TimeGrid, VarianceExpanding, VariancePreserving};

use super::PEAK_WIDTH;
use crate::{Args, Evolved, Failure, Parts, PartsArgs, Results};

/// Noise level `V = Xi / f^2` above which a score is a straight line to all digits that matter, and below which
/// the default grid spends its steps.
const COARSE_ABOVE: f64 = 100.0;

/// Steps of the default grid below that level. Their error, by the density of the chain with the exact score, is 0.008 per
/// cent of `kappa_2` and less of the others: a sixth of what a data set of 10^6 points fluctuates by.
const STEPS: usize = 200;

/// Steps of the paper's backward process.
pub const PAPER_STEPS: usize = 1000;

/// Steps of the default grid above that level.
const COARSE_STEPS: usize = 20;

/// The paper's `g = sigma^t`.
const SIGMA: f64 = 10.0;

/// A schedule, its name, and what was published with it.
#[derive(Clone)]
pub struct Scheme {
    /// Name of the example.
    pub example: &'static str,
    /// The schedule.
    pub schedule: Arc<dyn NoiseSchedule + Send + Sync>,
    /// `kappa_2, 4, 6, 8` of Table 1.
    pub paper: [f64; 4],
    /// The same for the data set of Table 1.
    pub paper_data: [f64; 4],
}

/// `kappa_2, 4, 6, 8` of the published data set.
const PAPER_DATA: [f64; 4] = [1.0624, -1.9997, 15.9965, -271.92];

impl std::fmt::Debug for Scheme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scheme")
            .field("example", &self.example)
            .field("paper", &self.paper)
            .finish_non_exhaustive()
    }
}

impl Scheme {
    /// Variance expanding (Sec. 4.1).
    ///
    /// # Errors
    /// None in fact: the parameter is in its domain.
    pub fn variance_expanding() -> Result<Self, ParameterError> {
        let schedule = Arc::new(VarianceExpanding::new(SIGMA)?);
        let paper = [1.0700, -2.0034, 16.052, -273.15];
        Ok(Self { example: "two_peak_ve", schedule, paper, paper_data: PAPER_DATA })
    }

    /// Variance preserving, the paper's DDPM (Sec. 4.2).
    ///
    /// # Errors
    /// None in fact: the parameter is in its domain.
    pub fn variance_preserving() -> Result<Self, ParameterError> {
        let schedule = Arc::new(VariancePreserving::new(SIGMA)?);
        let paper = [1.0612, -1.9757, 15.715, -265.54];
        Ok(Self { example: "two_peak_vp", schedule, paper, paper_data: PAPER_DATA })
    }
}

/// Everything a run was asked for.
#[derive(Debug)]
pub struct Setup {
    /// The scheme.
    pub scheme: Scheme,
    /// Seed of all random numbers.
    pub seed: u64,
    /// Whether net, optimiser, prior and grid are the paper's.
    pub paper: bool,
    /// A published net to sample from, in place of training.
    pub load: Option<PathBuf>,
    /// Where training leaves its checkpoints, and goes on from the last one.
    pub checkpoint: PathBuf,
    /// Size of the data set.
    pub data_points: usize,
    /// Trajectories of the backward process.
    pub trajectories: usize,
    /// Trajectories of each forward run.
    pub forward_trajectories: Vec<usize>,
    /// The backward grid.
    pub grid: TimeGrid,
    /// Which of the trajectories are evolved.
    pub parts: Parts,
}

impl Setup {
    /// Reads the options; the defaults finish in two minutes on two cores.
    ///
    /// # Errors
    /// [`GridError`](sde_core::GridError) if no grid can be made of the steps asked for.
    pub fn new(scheme: Scheme, args: &Args, parts: &PartsArgs) -> Result<Self, Failure> {
        let trajectories = args.trajectories.unwrap_or(1_000_000);
        let forward_trajectories = match args.trajectories {
            Some(n) => vec![n],
            None if args.full => vec![100_000, 1_000_000, 10_000_000],
            None => vec![100_000, 1_000_000],
        };
        let grid = if args.paper {
            published_grid(args.steps.unwrap_or(PAPER_STEPS))?
        } else {
            default_grid(&*scheme.schedule, args.steps.unwrap_or(STEPS))?
        };
        Ok(Self {
            scheme,
            seed: args.common.seed,
            paper: args.paper,
            load: args.load.clone(),
            checkpoint: args.common.out().join(format!(
                "training{}_seed{}.json",
                if args.paper { "_paper" } else { "" },
                args.common.seed
            )),
            data_points: 1_000_000,
            trajectories,
            forward_trajectories,
            grid,
            parts: Parts::new(parts, args.common.out()),
        })
    }

    /// Evolves a named ensemble of this run, see [`Parts::make`].
    ///
    /// # Errors
    /// As there.
    pub fn evolve(
        &self,
        name: &str,
        rows: usize,
        evolve: impl FnOnce(Range<usize>) -> Result<Evolved, Failure>,
    ) -> Result<Evolved, Failure> {
        let Self { scheme, seed, paper, load, data_points, grid, .. } = self;
        let steps = grid.len();
        let settings = format!(
            "{} {name}: seed {seed}, paper {paper}, load {load:?}, {data_points} data, {steps} steps",
            scheme.example
        );
        self.parts.make(name, &settings, (rows, 1), evolve)
    }

    /// An empty table of results that notes these settings.
    pub fn results(&self) -> Results {
        Results::new(self.scheme.example, self.seed)
            .setting("sigma", SIGMA)
            .setting("data_points", self.data_points)
            .setting("trajectories", self.trajectories)
            .setting("steps", self.grid.len())
            .setting("paper", self.paper)
    }
}

/// The grid of the released code, down to `t = 1e-5`.
///
/// # Errors
/// [`GridError`](sde_core::GridError) for less than two steps.
pub fn published_grid(steps: usize) -> Result<TimeGrid, GridError> {
    TimeGrid::published(1.0, 1e-5, steps)
}

/// `steps` steps even in `asinh(sqrt(V) / width)` from noise level `V = 100` to zero, and twenty from the horizon
/// down to there where the schedule goes higher.
///
/// # Errors
/// [`GridError`](sde_core::GridError) if no grid can be made of the steps asked for.
pub fn default_grid(schedule: &(dyn NoiseSchedule + Send + Sync), steps: usize) -> Result<TimeGrid, Failure> {
    let top = schedule.horizon();
    let start = schedule.time_at(COARSE_ABOVE);
    let fine = TimeGrid::asinh(schedule, start, 0.0, PEAK_WIDTH, steps)?;
    if start >= top {
        return Ok(fine);
    }
    let coarse = TimeGrid::log_snr(schedule, top, start, COARSE_STEPS)?;
    let times: Vec<f64> = coarse.steps().chain(fine.steps()).map(|step| step.time).chain([0.0]).collect();
    Ok(TimeGrid::explicit(&times)?)
}
