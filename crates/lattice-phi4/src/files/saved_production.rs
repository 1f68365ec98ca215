//! Productions on disk, which can be stopped and resumed.
//!
//! Saved to a folder a [`Production`] consists of numbered parts, ensembles themselves, which never change once they are written, and of
//! `state.json`, which says how many of them there are, is sealed by its SHA-256 as the metadata of an ensemble are, and is replaced as
//! a whole: whenever the program is killed, the folder holds the last state that was saved, or the one before. Going on from there
//! gives the same configurations, bit for bit, as if nothing had happened.

use super::ensemble::{replace_sealed, sealed};
use crate::production::Kind;
use crate::{Couplings, EnsembleError, EnsembleReader, EnsembleWriter, Phi4, Production, Provenance, Run};
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Version of the format.
const FORMAT: u32 = 2;
/// The file that is replaced last.
const STATE: &str = "state.json";

fn part(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("part-{number:06}.npy"))
}

/// All but the configurations.
#[derive(Serialize, Deserialize)]
pub(crate) struct State {
    format: u32,
    pub(crate) couplings: Couplings,
    pub(crate) extents: Vec<usize>,
    pub(crate) run: Run,
    kind: Kind,
    sweeps: u64,
    thermalisation: u64,
    accepted: f64,
    starts: usize,
    rows: usize,
    parts: usize,
    energy_errors: Vec<f64>,
}

impl State {
    /// What was saved to a folder, if anything was.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, EnsembleError> {
        let file = folder.join(STATE);
        let mut json = match fs::read(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|source| EnsembleError::read(&file, source))?,
        };
        sealed(&file, FORMAT, &mut json).map(Some)
    }

    pub(crate) fn is_of(&self, action: &Phi4) -> bool {
        self.couplings == action.couplings() && self.extents == action.lattice().extents()
    }
}

impl Production {
    /// Saves what is new since the last time to `folder`, which is made if it is not there.
    ///
    /// ```
    /// use lattice_phi4::{Lattice, Phi4, Production, equilibrium};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path();
    /// let action = Phi4::new(Lattice::new(&[8, 8])?, 0.21, 0.022)?;
    /// let mut production = Production::equilibrium(&action, 640, 1)?;
    /// for _ in 0..5 {
    ///     production.advance(&action)?;
    /// }
    /// production.save(&action, folder)?;
    ///
    /// // Another day, perhaps in another program:
    /// let mut again = Production::resume(&action, production.run(), folder)?.expect("it was saved");
    /// while again.done() < again.configurations() {
    ///     again.advance(&action)?;
    /// }
    /// assert_eq!(again.finish(), equilibrium(&action, 640, 1, &mut |_, _| ())?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`EnsembleError`]; the state saved before is still there then.
    pub fn save(&mut self, action: &Phi4, folder: &Path) -> Result<(), EnsembleError> {
        fs::create_dir_all(folder).map_err(|source| EnsembleError::written(folder, source))?;
        let rows = self.fields.len() / self.sites;
        if rows > self.saved {
            let couplings = action.couplings();
            let provenance = Provenance {
                hopping: couplings.hopping,
                lambda: couplings.lambda,
                seed: self.run.seed,
                protocol: "part of an ensemble, in the order of its making".into(),
                chains: 1,
            };
            let (lattice, new) = (action.lattice(), rows - self.saved);
            let mut writer = EnsembleWriter::create(part(folder, self.parts), lattice, new, provenance)?;
            let fields = ArrayView2::from_shape((new, self.sites), &self.fields[self.saved * self.sites..]);
            writer.push(fields.expect("rows are whole"))?;
            writer.finish()?;
        }
        let parts = self.parts + usize::from(rows > self.saved);
        let state = State {
            format: FORMAT,
            couplings: action.couplings(),
            extents: action.lattice().extents().to_vec(),
            run: self.run,
            kind: self.kind,
            sweeps: self.sweeps,
            thermalisation: self.thermalisation,
            accepted: self.accepted,
            starts: self.starts,
            rows,
            parts,
            energy_errors: self.energy_errors.clone(),
        };
        let file = folder.join(STATE);
        let json = serde_json::to_string(&state)
            .map_err(|source| EnsembleError::Metadata { file: file.clone(), source })?;
        replace_sealed(&file, &json)?;
        (self.saved, self.parts) = (rows, parts);
        Ok(())
    }

    /// What was saved to `folder`; none if nothing was, or of another run or action.
    ///
    /// # Errors
    /// [`EnsembleError`] for files that are damaged or missing.
    pub fn resume(action: &Phi4, run: Run, folder: &Path) -> Result<Option<Self>, EnsembleError> {
        match State::read(folder)? {
            Some(state) if state.run == run && state.is_of(action) => {
                Self::restore(action, state, folder).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Reads the parts that belong to a state.
    pub(crate) fn restore(action: &Phi4, state: State, folder: &Path) -> Result<Self, EnsembleError> {
        let file = folder.join(STATE);
        let mut resumed = Self::new(action, state.run, state.kind);
        for number in 0..state.parts {
            let file = part(folder, number);
            let reader = EnsembleReader::open(&file)?;
            if reader.lattice() != action.lattice() {
                let (expected, found) = (state.extents, reader.lattice().extents().to_vec());
                return Err(EnsembleError::Shape { file, expected, found });
            }
            resumed.fields.extend(reader.read_all()?);
        }
        let found = resumed.fields.len() / resumed.sites;
        let equilibrium = matches!(state.kind, Kind::Equilibrium { .. });
        let (starts, chains) =
            if equilibrium { (state.run.chains().len(), state.run.chains().len()) } else { (0, 1) };
        let whole = state.starts == starts
            && state.rows >= starts
            && (state.rows - starts).is_multiple_of(chains)
            && equilibrium == state.run.start.is_none();
        if found != state.rows || !whole || state.energy_errors.len() + state.starts != state.rows {
            return Err(EnsembleError::Count { file, expected: state.rows, found });
        }
        let State { sweeps, thermalisation, accepted, starts, rows, parts, energy_errors, .. } = state;
        (resumed.sweeps, resumed.thermalisation, resumed.accepted) = (sweeps, thermalisation, accepted);
        (resumed.starts, resumed.saved, resumed.parts) = (starts, rows, parts);
        resumed.energy_errors = energy_errors;
        Ok(resumed)
    }
}
