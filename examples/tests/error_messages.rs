//! The table of `docs/errors.md`, made by making the mistakes. `BLESS=1 cargo test -p examples --test error_messages` writes it
//! anew.
#![allow(
    clippy::unwrap_used,
    clippy::format_push_string,
    reason = "a failed unwrap is a failed test, and a text is short"
)]

use std::error::Error;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use cumulants::{
    GammaMethod, JointMoments, Moments, WeightedMoments, bootstrap_cumulants, convergence, distances,
};
use diffusion::{Evolution, Histogram, LogWeights};
use examples::{Curves, Results, Row, Unit, chain, check_writable, read_npz, write_npz};
use lattice_phi4::{
    EnsembleReader, EnsembleWriter, Feature, FitConfig, FittedScore, Lattice, PerturbativeModel, Phi4,
    Provenance, Spectrum, equilibrium,
};
use ndarray::Array2;
use rand_pcg::{Pcg64, rand_core::SeedableRng};
use score_nets::{
    DenoisingBatches, DenoisingConfig, FieldScales, Mlp, MlpConfig, OddUnetConfig, ResidualBatches,
    ResidualConfig, TrainConfig, Trainer, read_published,
};
use sde_core::{EulerMaruyama, Noise, Reverse, ScoreFn, TimeGrid, VarianceExpanding};

/// Between these lines the page is made here.
const BEGIN: &str = "<!-- table: examples/tests/error_messages.rs -->\n\n";
const END: &str = "\n<!-- end of table -->";

fn message<T, E: Error + 'static>(result: Result<T, E>) -> String {
    chain(&result.err().expect("a mistake is refused"))
}

/// A `.npy` file with a header of our choice.
fn npy(path: &Path, dtype: &str, fortran: &str, shape: &str, numbers: &[u8]) {
    let mut header = format!("{{'descr': '{dtype}', 'fortran_order': {fortran}, 'shape': {shape}, }}");
    header.extend(std::iter::repeat_n(' ', (64 - (header.len() + 11) % 64) % 64));
    header.push('\n');
    let length = (header.len() as u16).to_le_bytes();
    fs::write(path, [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), numbers].concat()).unwrap();
}

/// Mistake, message, what to do.
type Case = (&'static str, String, &'static str);

fn arrays(folder: &Path) -> Vec<Case> {
    let file = |name: &str| folder.join(name);
    let open = |name: &str| message(EnsembleReader::open_array(file(name)));
    let zeros = [0; 8 * 16];
    fs::write(file("fields.csv"), "0.1,0.2\n0.3,0.4\n").unwrap();
    npy(&file("fortran.npy"), "<f8", "True", "(1, 4, 4)", &zeros);
    npy(&file("half.npy"), "<f2", "False", "(4, 4, 4)", &zeros);
    npy(&file("integers.npy"), "<i8", "False", "(1, 4, 4)", &zeros);
    npy(&file("cut.npy"), "<f8", "False", "(2, 4, 4)", &zeros);
    npy(&file("flat.npy"), "<f8", "False", "(16,)", &zeros);
    npy(&file("huge.npy"), "<f8", "False", "(1, 1000000, 1000000)", &zeros);
    npy(&file("alone.npy"), "<f8", "False", "(1, 4, 4)", &zeros);
    npy(&file("nan.npy"), "<f8", "False", "(1, 4, 4)", &[&zeros[8..], &f64::NAN.to_le_bytes()].concat());
    let nan = EnsembleReader::open_array(file("nan.npy")).unwrap().read_all();

    let lattice = Lattice::new(&[4, 4]).unwrap();
    let made = Provenance { hopping: 0.21, lambda: 0.022, seed: 1, protocol: "mine".into(), chains: 1 };
    let one = made.clone();
    let mut writer = EnsembleWriter::create(file("fields.npy"), &lattice, 1, made.clone()).unwrap();
    writer.push(Array2::zeros((1, 16)).view()).unwrap();
    writer.finish().unwrap();
    npy(&file("fields.npy"), "<f8", "False", "(1, 4, 4)", &[&1f64.to_le_bytes()[..], &zeros[8..]].concat());
    let changed = EnsembleReader::open(file("fields.npy")).and_then(EnsembleReader::read_all);
    // Digests are long.
    let cut = |word: &str| if word.len() > 63 { format!("{}..", &word[..8]) } else { word.into() };
    let changed = message(changed).split(' ').map(cut).collect::<Vec<_>>().join(" ");
    write_npz(&file("samples.npz"), &[("x", Array2::zeros((2, 2)).into_dyn().view())]).unwrap();

    vec![
        (
            "a misspelt file",
            open("feilds.npy"),
            "Look at the path; it is relative to the folder the program was started in.",
        ),
        (
            "a table where an array is expected",
            open("fields.csv"),
            "`numpy.save` the array; `cumulants_tour --data` takes CSV.",
        ),
        ("an array in Fortran order", open("fortran.npy"), "`numpy.save(file, numpy.ascontiguousarray(a))`."),
        ("half precision", open("half.npy"), "`a.astype(numpy.float32)`."),
        ("integers", open("integers.npy"), "`a.astype(numpy.float64)`."),
        ("a copy that broke off", open("cut.npy"), "Copy it again."),
        (
            "no axis of configurations",
            open("flat.npy"),
            "The shape is `(configurations, L_0, L_1, ..)`: `a.reshape(-1, 4, 4)`.",
        ),
        (
            "a header that promises too much",
            open("huge.npy"),
            "The file was not written by NumPy, or is another one; no memory was asked for.",
        ),
        ("a NaN in a field", message(nan), "Find where it came from; `numpy.isfinite(a).all()`."),
        (
            "metadata left behind",
            message(EnsembleReader::open(file("alone.npy"))),
            "Copy the `.json` too, or open without it: `EnsembleReader::open_array`.",
        ),
        (
            "fields changed after they were certified",
            changed,
            "Restore them, or write them anew with `EnsembleWriter`.",
        ),
        (
            "chains of unequal length",
            message(EnsembleWriter::create(file("new.npy"), &lattice, 10, Provenance { chains: 3, ..made })),
            "Let `chains` divide the configurations.",
        ),
        (
            "a folder that is not there",
            message(EnsembleWriter::create(file("none/new.npy"), &lattice, 1, one)),
            "Make it first; only examples make the folder of `--out`.",
        ),
        (
            "an array of another name",
            message(read_npz(&file("samples.npz"), "phi")),
            "Take one of those that are there.",
        ),
    ]
}

fn files(folder: &Path) -> Vec<Case> {
    let file = |name: &str| folder.join(name);
    fs::write(file("net.pt"), "a net").unwrap();
    fs::write(file("taken"), "a file").unwrap();
    let action = |hopping| Phi4::new(Lattice::new(&[4, 4]).unwrap(), hopping, 0.0).unwrap();
    let free = Spectrum::free(action(0.2).lattice(), 0.2).unwrap();
    let model = PerturbativeModel::gaussian(free);
    let score = FittedScore { couplings: action(0.2).couplings(), protocol: "free".into(), model };
    score.write(file("score.json")).unwrap();

    let data = [1.0, -1.0].repeat(256);
    let batches = || ResidualBatches::new(&data, ResidualConfig::default()).unwrap();
    let net = || Mlp::new(MlpConfig::residual(), &mut Pcg64::seed_from_u64(1)).unwrap();
    let mut trainer = Trainer::new(net(), batches(), TrainConfig::residual(1))
        .unwrap()
        .with_checkpoints(file("net.json"), 1);
    trainer.train(&mut |_| ControlFlow::Continue(())).unwrap();
    let resumed = Trainer::resume(file("net.json"), batches(), TrainConfig::residual(2));
    let mut ragged = Curves::over("t", Unit::Time, [0.0, 1.0]);
    ragged.push("kappa_2", Unit::Data(2), [1.0]);
    let mut results = Results::new("mine", 1);
    results.push(Row::new("kappa_2", "data", f64::NAN, 0.1));

    vec![
        (
            "a file that is not of `torch.save`",
            message(read_published(file("net.pt"))),
            "Save with `torch.save(net.state_dict(), file)`.",
        ),
        (
            "a score of another theory",
            message(FittedScore::read_for(file("score.json"), &action(0.21))),
            "Fit one there, or interpolate: `PerturbativeModel::interpolated`.",
        ),
        (
            "training resumed with other settings",
            message(resumed),
            "Give the settings of the first run, or begin anew in another file.",
        ),
        (
            "a file in the place of the folder",
            message(check_writable(&file("taken"))),
            "Give another `--out`.",
        ),
        (
            "curves of unequal length",
            message(ragged.save(&file("a.csv"))),
            "One value of every curve for every time.",
        ),
        (
            "a result that is no number",
            message(results.write(folder)),
            "Look for its cause before the file is written.",
        ),
    ]
}

fn parameters() -> Vec<Case> {
    let schedule = VarianceExpanding::new(10.0).unwrap();
    let lattice = |extents: &[usize]| Lattice::new(extents);
    let square = lattice(&[8, 8]).unwrap();
    let noise: Vec<f64> = vec![0.1, 1.0];
    let scales = FieldScales { extents: [12, 12], deviation: 1.0, width: noise.clone(), noise };
    let antiferromagnet = Phi4::new(square.clone(), -0.2, 0.022).unwrap();
    vec![
        (
            "`sigma` below zero",
            message(VarianceExpanding::new(-10.0)),
            "`g = sigma^t` needs a positive `sigma`; the paper has 10 and 25.",
        ),
        ("no steps", message(TimeGrid::uniform(0.0, 1.0, 0)), "A hundred is a start."),
        (
            "a time after the last",
            message(TimeGrid::asinh(&schedule, 2.0, 0.0, 0.25, 100)),
            "Times end at `schedule.horizon()`.",
        ),
        ("times that turn round", message(TimeGrid::explicit(&[1.0, 0.5, 0.7])), "Sort them."),
        ("a lattice of one site along an axis", message(lattice(&[32, 1])), "Leave that axis out."),
        ("a lattice beyond memory", message(lattice(&[100_000, 100_000])), "A field of it would take 80 GB."),
        (
            "`lambda` below zero",
            message(Phi4::new(square.clone(), 0.21, -0.022)),
            "The action has no minimum.",
        ),
        (
            "a free field beyond its bound",
            message(Phi4::new(square, 0.25, 0.0)),
            "`|hopping| < 1 / (2 d)`, or a positive `lambda`.",
        ),
        (
            "clusters of an antiferromagnet",
            message(equilibrium(&antiferromagnet, 640, 1, &mut |_, _| ())),
            "Flip the sign of the field on every other site: that is hopping 0.2.",
        ),
        (
            "a net of odd width",
            message(Mlp::new(MlpConfig { width: 60, ..MlpConfig::paper() }, &mut Pcg64::seed_from_u64(1))),
            "Take 64.",
        ),
        (
            "a U-Net that does not fit its lattice",
            message(OddUnetConfig::new(scales).validate()),
            "Fewer levels of `channels`, or another lattice.",
        ),
        (
            "no training steps",
            message(Trainer::new(
                Mlp::new(MlpConfig::residual(), &mut Pcg64::seed_from_u64(1)).unwrap(),
                ResidualBatches::new(&[1.0, -1.0].repeat(256), ResidualConfig::default()).unwrap(),
                TrainConfig::residual(0),
            )),
            "Some thousands.",
        ),
        ("a histogram upside down", message(Histogram::new(2.0, -2.0, 80)), "The lower end first."),
    ]
}

fn data() -> Vec<Case> {
    let mut rng = Pcg64::seed_from_u64(1);
    let schedule = VarianceExpanding::new(10.0).unwrap();
    let residual = |data: &[f64]| message(ResidualBatches::new(data, ResidualConfig::default()));
    let mut with_nan = [1.0, -1.0].repeat(256);
    with_nan[3] = f64::NAN;
    let lattice = Lattice::new(&[8, 8]).unwrap();
    let few = FitConfig { features: vec![Feature::Power(3)], noise: vec![0.5], ridge: 1e-9, seed: 1 };
    let free = Spectrum::free(&lattice, 0.2).unwrap();
    let heavy = LogWeights::new((1..=10_000).map(|i| -0.9 * f64::from(i).ln()).collect()).unwrap();

    // A score that fails at one place, and what a run makes of it.
    let score = ScoreFn(|x: f64, _t: f64| if x > 0.0 { f64::NAN } else { -x });
    let grid = TimeGrid::uniform(1.0, 0.0, 10).unwrap();
    let mut x = Array2::from_shape_fn((2, 1), |(row, _)| row as f64 - 0.5);
    let process = Reverse { schedule, score };
    let run =
        Evolution::new(&process, &EulerMaruyama::new(), &grid, Noise::new(1, 0)).run(x.view_mut(), &mut ());

    vec![
        ("fewer data than a batch", residual(&[1.0, -1.0]), "Set `pairs` lower, or get more data."),
        ("a NaN among the data", residual(&with_nan), "Leave it out."),
        (
            "fewer data than a batch, the paper's loss",
            message(DenoisingBatches::new(&[1.0], schedule, DenoisingConfig::default())),
            "Set `samples` lower, or get more data.",
        ),
        (
            "too few samples for the order",
            message(JointMoments::of(&[1.0, 2.0, 3.0], 1, 4).k_statistics(4)),
            "An unbiased estimate of order `n` needs `n` samples, and one with a small error very many more.",
        ),
        (
            "one sample",
            message(bootstrap_cumulants::<4, _>(&[1.0], 1000, &mut rng)),
            "There is no error of one sample.",
        ),
        (
            "a short chain",
            message(GammaMethod::default().mean(&[&[1.0, 2.0, 3.0]])),
            "Four measurements are the least; hundreds of autocorrelation times give an error that can be trusted.",
        ),
        (
            "a chain with an infinity",
            message(GammaMethod::default().mean(&[&[1.0, 2.0, f64::INFINITY, 3.0]])),
            "Find where it came from.",
        ),
        (
            "chains of unequal length",
            message(convergence(&[&[1.0; 8], &[1.0; 6]])),
            "Cut them to the same length.",
        ),
        (
            "powers that overflow",
            message(Moments::<8>::of(&[1e100, -1e100]).checked()),
            "Measure in other units.",
        ),
        (
            "weights of other samples",
            message(WeightedMoments::<2>::of(&[1.0, 2.0], &[1.0])),
            "One weight for every sample.",
        ),
        (
            "weights that cannot be trusted",
            message(heavy.tail().check()),
            "More steps, or a better score: the sample does not see its own tail.",
        ),
        (
            "an empty sample",
            message(distances::kolmogorov_smirnov(&[], |x| x)),
            "Look at what was filtered out.",
        ),
        (
            "fields of another lattice",
            message(Spectrum::of_ensemble(&lattice, 0.0, Array2::zeros((10, 100)).view())),
            "Give the lattice of the fields.",
        ),
        (
            "too few configurations for a fit",
            message(PerturbativeModel::fit(free, Array2::zeros((2, 64)).view(), None, &few)),
            "Thousands, rather.",
        ),
        (
            "a score that is not a number",
            message(run),
            "Call the score on that row; is it finite at all noises?",
        ),
    ]
}

fn table(folder: &Path) -> String {
    let sections = [
        ("Arrays", arrays(folder)),
        ("Nets, scores and results", files(folder)),
        ("Parameters", parameters()),
        ("Data", data()),
    ];
    let mut text = String::new();
    for (title, cases) in sections {
        text.extend(["## ", title, "\n\n| mistake | message | what to do |\n| --- | --- | --- |\n"]);
        for (mistake, message, advice) in cases {
            let advice = advice.replace('|', "\\|");
            let message = message.replace(&format!("{}/", folder.display()), "").replace('|', "\\|");
            assert!(!message.contains('`') || message.matches('`').count() % 2 == 0, "{message}");
            text.extend(["| ", mistake, " | ``", &message, "`` | ", &advice, " |\n"]);
        }
        text.push('\n');
    }
    text
}

#[test]
fn the_page_shows_what_programs_say() {
    let folder = tempfile::tempdir().unwrap();
    let made = table(folder.path());
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors.md");
    let text = fs::read_to_string(&page).unwrap();
    let (head, rest) = text.split_once(BEGIN).expect("the page has its marks");
    let (shown, tail) = rest.split_once(END).expect("the page has its marks");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&page, [head, BEGIN, made.trim_end(), "\n", END, tail].concat()).unwrap();
    } else {
        for (shown, made) in shown.lines().zip(made.lines()) {
            assert_eq!(shown, made, "docs/errors.md is stale: BLESS=1 writes it anew");
        }
        assert_eq!(shown.trim_end(), made.trim_end(), "docs/errors.md is stale: BLESS=1 writes it anew");
    }
}
