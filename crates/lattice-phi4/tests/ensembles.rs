//! Ensembles on disk: what is written is what NumPy would write, and damaged files are refused.

#[path = "hostile/sealed.rs"]
mod sealed;

use lattice_phi4::ndarray::{Array2, Array3, array};
use lattice_phi4::{
    EnsembleError, EnsembleFields, EnsembleReader, EnsembleWriter, Lattice, NpyError, Provenance,
};
use ndarray_npy::{ReadNpyExt, WriteNpyExt};
use sde_core::Configurations;
use sealed::{entries, sealed};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

fn provenance() -> Provenance {
    Provenance { hopping: 0.1 + 0.2, lambda: 0.022, seed: u64::MAX, protocol: "paper".into(), chains: 2 }
}

fn lattice() -> Lattice {
    Lattice::new(&[3, 4]).expect("extents above one")
}

fn fields() -> Array2<f64> {
    Array2::from_shape_fn((6, 12), |(n, x)| (n as f64 + 0.1).sin() * 1.3_f64.powi(x as i32))
}

fn write(path: &Path) -> Result<(), EnsembleError> {
    let mut writer = EnsembleWriter::create(path, &lattice(), 6, provenance())?;
    for slab in fields().outer_iter() {
        writer.push(slab.insert_axis(lattice_phi4::ndarray::Axis(0)))?;
    }
    writer.finish().map(|_| ())
}

fn read(path: &Path) -> Result<Array2<f64>, EnsembleError> {
    EnsembleReader::open(path)?.read_all()
}

fn written() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("fields.npy");
    write(&path).expect("a written ensemble");
    (folder, path)
}

#[test]
fn another_reader_finds_the_same_array() {
    let (_folder, path) = written();
    let array = Array3::<f64>::read_npy(File::open(&path).unwrap()).unwrap();
    assert_eq!(array.dim(), (6, 3, 4));
    assert!(array.iter().eq(&fields()));
    // Row by row, little-endian, behind a header of 128 bytes.
    let bytes: Vec<u8> = fields().iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(fs::read(&path).unwrap()[128..], bytes);
}

#[test]
fn metadata_and_slabs_come_back() {
    let (folder, path) = written();
    let mut reader = EnsembleReader::open(&path).unwrap();
    assert_eq!(reader.metadata().unwrap().provenance, provenance());
    assert_eq!(reader.metadata().unwrap().shape, [6, 3, 4]);
    let mut rows = 0;
    while let Some(slab) = reader.next_slab(4).unwrap() {
        assert_eq!(slab, fields().slice(lattice_phi4::ndarray::s![rows..rows + slab.nrows(), ..]));
        rows += slab.nrows();
    }
    assert_eq!(rows, 6);
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn single_precision_arrays_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("single.npy");
    Array3::from_elem((2, 3, 3), 0.1_f32).write_npy(File::create(&path).unwrap()).unwrap();
    let reader = EnsembleReader::open_array(&path).unwrap();
    assert_eq!((reader.configurations(), reader.lattice().extents()), (2, &[3, 3][..]));
    assert_eq!(reader.read_all().unwrap(), Array2::from_elem((2, 9), f64::from(0.1_f32)));
    // Without metadata, `open` names the missing file.
    assert!(EnsembleReader::open(&path).unwrap_err().to_string().contains("single.json"));
}

#[test]
fn arrays_of_another_kind_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.npy");
    let refused = || EnsembleReader::open_array(&path).unwrap_err();
    let file = || File::create(&path).unwrap();

    Array2::<i64>::zeros((2, 4)).write_npy(file()).unwrap();
    assert!(
        matches!(refused(), EnsembleError::Npy { source: NpyError::Dtype { found }, .. } if found == "<i8")
    );
    Array2::<f64>::zeros((4, 2)).reversed_axes().write_npy(file()).unwrap();
    assert!(matches!(refused(), EnsembleError::Npy { source: NpyError::FortranOrder, .. }));
    Array2::<f64>::zeros((4, 1)).write_npy(file()).unwrap();
    assert!(matches!(refused(), EnsembleError::Lattice { .. }));
    array![0.0, 1.0].write_npy(file()).unwrap();
    assert!(matches!(refused(), EnsembleError::Lattice { .. }));
    fs::write(&path, "not an array").unwrap();
    assert!(matches!(refused(), EnsembleError::Npy { source: NpyError::Magic { .. }, .. }));
    array![[0.0, 1.0, f64::NAN]].write_npy(file()).unwrap();
    let error = EnsembleReader::open_array(&path).unwrap().read_all().unwrap_err();
    assert!(matches!(error, EnsembleError::NotFinite { configuration: 0, site: 2, .. }), "{error}");
}

#[test]
fn a_huge_shape_is_refused_before_memory_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge.npy");
    for shape in ["(99999999999, 4096, 4096)", "(9999999999999, 9999999999999, 4)"] {
        let text = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n");
        let length = (text.len() as u16).to_le_bytes();
        fs::write(&path, [&b"\x93NUMPY\x01\x00"[..], &length, text.as_bytes()].concat()).unwrap();
        let error = EnsembleReader::open_array(&path).unwrap_err();
        assert!(matches!(error, EnsembleError::Length { .. } | EnsembleError::Lattice { .. }), "{error}");
    }
}

#[test]
fn every_cut_and_every_flipped_bit_is_found() {
    let (_folder, path) = written();
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let error = read(&path).unwrap_err();
        assert!(
            matches!(error, EnsembleError::Npy { .. } | EnsembleError::Length { .. }),
            "{length}: {error}"
        );
    }
    for byte in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[byte] ^= 1 << (byte % 8);
        fs::write(&path, &damaged).unwrap();
        assert!(read(&path).is_err(), "byte {byte}");
    }
    fs::write(&path, [&whole[..], &[0]].concat()).unwrap();
    assert!(matches!(read(&path).unwrap_err(), EnsembleError::Length { .. }));
}

#[test]
fn an_empty_ensemble_has_a_digest_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty.npy");
    let writer = EnsembleWriter::create(&path, &lattice(), 0, provenance()).unwrap();
    let digest = writer.finish().unwrap().sha256;
    assert_eq!(read(&path).unwrap().dim(), (0, 12));
    let beside = path.with_extension("json");
    let text = fs::read_to_string(&beside).unwrap().replace(&digest, &digest.replace('0', "1"));
    fs::write(&beside, sealed("seal", &entries(text.as_bytes()))).unwrap();
    assert!(matches!(read(&path).unwrap_err(), EnsembleError::Digest { .. }));
}

#[test]
fn damaged_metadata_are_refused() {
    let (_folder, path) = written();
    let beside = path.with_extension("json");
    let text = fs::read_to_string(&beside).unwrap();
    let with = |from: &str, to: &str| {
        assert!(text.contains(from), "{text}");
        // Unseen, no change goes through; what follows has a digest that fits.
        let changed = text.replace(from, to);
        fs::write(&beside, &changed).unwrap();
        read(&path).unwrap_err();
        fs::write(&beside, sealed("seal", &entries(changed.as_bytes()))).unwrap();
        read(&path).unwrap_err()
    };
    assert!(matches!(with("\"format\": 2", "\"format\": 1"), EnsembleError::Format { found: 1, .. }));
    assert!(matches!(with("\"chains\": 2", "\"chains\": 4"), EnsembleError::Chains { chains: 4, .. }));
    assert!(matches!(with("\"chains\": 2", "\"chains\": -2"), EnsembleError::Metadata { .. }));
    assert!(matches!(with("\"seed\"", "\"sead\""), EnsembleError::Metadata { .. }));
    let error = with("    3,", "    2,");
    assert!(matches!(error, EnsembleError::Shape { .. }));
    assert!(error.to_string().ends_with("shape: expected [6, 2, 4], found [6, 3, 4]"), "{error}");
    let digit = text.split("sha256\": \"").nth(1).unwrap().as_bytes()[0];
    let (from, to) = (format!("sha256\": \"{}", digit as char), "sha256\": \"x");
    assert!(matches!(with(&from, to), EnsembleError::Digest { .. }));
}

#[test]
fn a_failed_write_leaves_the_old_files() {
    let (folder, path) = written();
    let before = fs::read(&path).unwrap();
    let create = |chains| EnsembleWriter::create(&path, &lattice(), 6, Provenance { chains, ..provenance() });

    let mut fields = fields();
    fields[[4, 7]] = f64::INFINITY;
    let error = create(1).unwrap().push(fields.view()).unwrap_err();
    assert!(matches!(error, EnsembleError::NotFinite { configuration: 4, site: 7, .. }), "{error}");
    let error = create(1).unwrap().finish().unwrap_err();
    assert!(matches!(error, EnsembleError::Count { expected: 6, found: 0, .. }), "{error}");
    for chains in [0, 4] {
        assert!(matches!(create(chains).unwrap_err(), EnsembleError::Chains { .. }));
    }
    let nowhere = folder.path().join("no/such/fields.npy");
    let error = EnsembleWriter::create(nowhere, &lattice(), 6, provenance()).unwrap_err();
    assert!(matches!(error, EnsembleError::Io { action: "written", .. }), "{error}");

    assert_eq!(fs::read(&path).unwrap(), before);
    assert!(read(&path).is_ok());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn configurations_are_read_in_any_order_from_any_thread() {
    let (folder, path) = written();
    let stored = EnsembleFields::open(&path).unwrap();
    assert_eq!(stored.metadata().unwrap().provenance, provenance());
    assert_eq!((stored.len(), stored.sites(), stored.lattice()), (6, 12, &lattice()));
    let one = |fields: &EnsembleFields, index: usize| {
        let mut field = vec![f64::NAN; fields.sites()];
        fields.configuration(index, &mut field).map(|()| field)
    };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (one, stored) = (&one, &stored);
            scope.spawn(move || {
                for turn in 0..1000 {
                    let index = (7 * turn + 5 * thread) % 6;
                    assert_eq!(one(stored, index).unwrap(), fields().row(index).to_vec());
                }
            });
        }
    });

    // Larger than what is read at once, and not a multiple of it; single precision.
    let path = folder.path().join("large.npy");
    let large = Array3::from_shape_fn((3, 70, 61), |(n, x, y)| (n * 10_000 + x * 100 + y) as f32 / 7.0);
    large.write_npy(File::create(&path).unwrap()).unwrap();
    let stored = EnsembleFields::open_array(&path).unwrap();
    for index in [2, 0, 1] {
        let exact = large.index_axis(lattice_phi4::ndarray::Axis(0), index).mapv(f64::from);
        assert!(one(&stored, index).unwrap().iter().eq(&exact));
    }
}

#[test]
fn random_access_to_damaged_files_is_refused_as_they_are_opened() {
    let (_folder, path) = written();
    let whole = fs::read(&path).unwrap();
    for length in [0, 100, 128, 500, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        let error = EnsembleFields::open(&path).unwrap_err();
        assert!(matches!(error, EnsembleError::Npy { .. } | EnsembleError::Length { .. }), "{error}");
    }
    for byte in 128..whole.len() {
        let mut damaged = whole.clone();
        damaged[byte] ^= 1;
        fs::write(&path, &damaged).unwrap();
        assert!(matches!(EnsembleFields::open(&path).unwrap_err(), EnsembleError::Digest { .. }), "{byte}");
    }
    fs::remove_file(path.with_extension("json")).unwrap();
    assert!(matches!(EnsembleFields::open(&path).unwrap_err(), EnsembleError::Io { .. }));
}

#[test]
fn a_file_that_changes_under_its_reader_is_found() {
    let (_folder, path) = written();
    let whole = fs::read(&path).unwrap();
    let stored = EnsembleFields::open(&path).unwrap();
    let mut field = [0.0; 12];
    for byte in 128..whole.len() {
        let mut damaged = whole.clone();
        damaged[byte] ^= 1;
        fs::write(&path, &damaged).unwrap();
        for index in 0..6 {
            let found = stored.configuration(index, &mut field);
            if index == (byte - 128) / 96 {
                let error = found.unwrap_err();
                assert!(
                    matches!(error, EnsembleError::Changed { configuration, .. } if configuration == index)
                );
                assert!(stored.read(index, &mut field).unwrap_err().to_string().contains("fields.npy"));
            } else {
                found.unwrap();
            }
        }
    }
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    stored.configuration(4, &mut field).unwrap();
    assert!(matches!(stored.configuration(5, &mut field).unwrap_err(), EnsembleError::Io { .. }));

    // Another ensemble in its place is another file.
    fs::write(&path, &whole).unwrap();
    let other = fields().mapv(|x| -x);
    let mut writer = EnsembleWriter::create(&path, &lattice(), 6, provenance()).unwrap();
    writer.push(other.view()).unwrap();
    writer.finish().unwrap();
    if cfg!(unix) {
        stored.configuration(5, &mut field).unwrap();
        assert_eq!(field[..], fields().row(5).to_vec());
    }
}

#[test]
fn no_memory_is_asked_for_where_there_are_no_configurations() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.npy");
    let shape = format!("(0, {})", "2, ".repeat(31));
    let text = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = (text.len() as u16).to_le_bytes();
    fs::write(&path, [&b"\x93NUMPY\x01\x00"[..], &length, text.as_bytes()].concat()).unwrap();
    let stored = EnsembleFields::open_array(&path).unwrap();
    assert_eq!((stored.len(), stored.sites()), (0, 1 << 31));
    assert_eq!(EnsembleReader::open_array(&path).unwrap().read_all().unwrap().dim(), (0, 1 << 31));
}
