//! Nets published as PyTorch state dicts.
//!
//! The paper's two-peak nets come as `.pt` files: a zip archive of a pickled dictionary and one raw file of
//! numbers per tensor. The pickle says what is there, and a damaged one may still say something; so the
//! archive's own checksums are verified first, and then every name, shape and number against the architecture
//! of [`MlpConfig::paper`].

use crate::tensors::{TensorError, check_finite, check_shape};
use crate::{Mlp, MlpConfig};
use candle_core::DType;
use candle_core::pickle::PthTensors;
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// A published net cannot be read; every case names the file.
#[derive(Debug, thiserror::Error)]
pub enum PublishedError {
    /// The file cannot be opened.
    #[error("{}: cannot be read", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not a whole zip archive, or an entry does not match its checksum.
    #[error("{}: not a whole PyTorch archive", file.display())]
    Archive {
        /// The file.
        file: PathBuf,
        /// Why.
        source: zip::result::ZipError,
    },
    /// The pickled dictionary, or the numbers it points to, cannot be read.
    #[error("{}: not a PyTorch state dict", file.display())]
    Pickle {
        /// The file.
        file: PathBuf,
        /// Why.
        source: candle_core::Error,
    },
    /// A tensor is not the one that the net needs.
    #[error("{}", file.display())]
    Tensor {
        /// The file.
        file: PathBuf,
        /// Which tensor, and how.
        source: TensorError,
    },
}

/// Reads a state dict of the paper's net [`MlpConfig::paper`], as `torch.save` writes it.
///
/// The tensors are `network.hidden_layers.{i}.linear.weight` and `.bias`,
/// `network.hidden_layers.{i}.embed.1.weight` and `.bias` for `i = 0, 1`, and `network.final.weight` and
/// `.bias`, in single precision and in any order.
///
/// # Errors
/// [`PublishedError`] if the file cannot be read, is damaged, or holds anything but exactly these tensors with
/// finite numbers.
///
/// ```
/// use score_nets::{PublishedError, read_published};
/// let error = read_published("no/such/net.pt").unwrap_err();
/// assert!(matches!(error, PublishedError::Io { .. }));
/// assert!(error.to_string().starts_with("no/such/net.pt"));
/// ```
pub fn read_published(path: impl AsRef<Path>) -> Result<Mlp, PublishedError> {
    let path = path.as_ref();
    verify_archive(path)?;
    let pickle = |source| PublishedError::Pickle { file: path.into(), source };
    let tensor = |source| PublishedError::Tensor { file: path.into(), source };

    let stored = PthTensors::new(path, None).map_err(pickle)?;
    let config = MlpConfig::paper();
    let layout = config.layout();
    let names: BTreeSet<&String> = stored.tensor_infos().keys().collect();
    if let Some(&name) = names.iter().find(|name| layout.find(name).is_none()) {
        return Err(tensor(TensorError::Unexpected { name: name.clone() }));
    }
    let mut parameters = vec![0.0; layout.len()];
    for spec in layout.tensors() {
        let name = &spec.name;
        let Some(info) = stored.tensor_infos().get(name) else {
            return Err(tensor(TensorError::Missing { name: name.clone() }));
        };
        check_shape(spec, name, info.layout.dims()).map_err(tensor)?;
        if info.dtype != DType::F32 {
            let found = info.dtype.as_str().into();
            return Err(tensor(TensorError::Dtype { name: name.clone(), found }));
        }
        let Some(values) = stored.get(name).map_err(pickle)? else {
            return Err(tensor(TensorError::Missing { name: name.clone() }));
        };
        let values = values.flatten_all().and_then(|flat| flat.to_vec1::<f32>()).map_err(pickle)?;
        check_finite(name, &values).map_err(tensor)?;
        parameters[spec.range.clone()].copy_from_slice(&values);
    }
    Ok(Mlp::from_parameters(config, parameters).expect("length and finiteness were checked"))
}

/// Reads every entry to its end, which is where its checksum is compared.
fn verify_archive(path: &Path) -> Result<(), PublishedError> {
    let file = File::open(path).map_err(|source| PublishedError::Io { file: path.into(), source })?;
    let archive = |source| PublishedError::Archive { file: path.into(), source };
    let mut zip = zip::ZipArchive::new(io::BufReader::new(file)).map_err(archive)?;
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).map_err(archive)?;
        io::copy(&mut entry, &mut io::sink()).map_err(|source| archive(source.into()))?;
    }
    Ok(())
}
