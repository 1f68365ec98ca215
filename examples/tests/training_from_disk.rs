//! Training on an ensemble that stays on disk: the same batches as from memory, and hardly any memory.

use lattice_phi4::{EnsembleFields, EnsembleWriter, Lattice, Provenance, SpectralScore, Spectrum};
use ndarray::Array2;
use score_nets::{BatchSource, FieldBatch, FieldBatches, FieldBatchesConfig, FieldSourceError};
use sde_core::{Configurations, Edm, Noise, NormalSource};

/// Configurations of 32 x 32: 105 MB.
const CONFIGS: usize = 12_800;
const SLAB: usize = 64;
const SITES: usize = 1024;
/// What opening and training may take.
const ALLOWED_KB: u64 = 8 << 10;

/// The most memory that this process has had, in kB.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix(" kB")?.parse().ok()
}

fn slab(number: usize) -> Array2<f64> {
    let mut fields = Array2::zeros((SLAB, SITES));
    Noise::new(1, number as u64)
        .block(0, 0)
        .fill(0, fields.as_slice_mut().expect("a new array is contiguous"));
    fields
}

// The only test of its process, whose memory it measures.
#[test]
fn batches_are_those_from_memory_and_take_none() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("fields.npy");
    let lattice = Lattice::new(&[32, 32])?;
    let made = Provenance { hopping: 0.0, lambda: 0.0, seed: 1, protocol: "noise".into(), chains: 1 };
    let mut writer = EnsembleWriter::create(&path, &lattice, CONFIGS, made)?;
    for number in 0..CONFIGS / SLAB {
        writer.push(slab(number).view())?;
    }
    writer.finish()?;

    let spectrum = Spectrum::free(&lattice, 0.1)?;
    let scales = examples::lattice::scales(&spectrum);
    let base = SpectralScore::new(&spectrum, Edm::new(1e3)?);
    let config = FieldBatchesConfig { seed: 3, ..FieldBatchesConfig::default() };
    let batches = |fields: &dyn Configurations| -> Result<_, FieldSourceError> {
        let mut source = FieldBatches::new(fields, &base, scales.clone(), config)?;
        let batch = |step| {
            let mut batch = source.buffer();
            source.fill(step, &mut batch).expect("what was there is there");
            batch
        };
        let batches: Vec<FieldBatch> = (0..4).map(batch).collect();
        Ok((batches, source.settings()))
    };
    // A first round on a few configurations has all that does not belong to the file.
    batches(&slab(0))?;

    let before = peak();
    let stored = EnsembleFields::open(&path)?;
    let from_disk = batches(&stored)?;
    let grown = peak().zip(before).map(|(after, before)| after.saturating_sub(before));
    assert!(grown.is_none_or(|kilobytes| kilobytes < ALLOWED_KB), "{grown:?} kB");

    let slabs: Vec<Array2<f64>> = (0..CONFIGS / SLAB).map(slab).collect();
    let views: Vec<_> = slabs.iter().map(|slab| slab.view()).collect();
    let from_memory = batches(&ndarray::concatenate(ndarray::Axis(0), &views)?)?;
    // The digest of the data is in the settings.
    assert_eq!(from_disk.1, from_memory.1);
    for (disk, memory) in from_disk.0.iter().zip(&from_memory.0) {
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&disk.inputs), bits(&memory.inputs));
        assert_eq!(bits(&disk.target), bits(&memory.target));
        assert_eq!(bits(&disk.log_noise), bits(&memory.log_noise));
    }
    Ok(())
}
