//! A first look at an ensemble.

use super::FieldSourceError;
use crate::NetError;
use crate::data::Fingerprint;
use sde_core::Configurations;

/// The digest of all configurations, which must be there, finite and of so many sites.
pub(super) fn inspect(configurations: &dyn Configurations, sites: usize) -> Result<String, FieldSourceError> {
    if configurations.len() == 0 {
        return Err(FieldSourceError::Empty { name: "configurations" });
    }
    let found = configurations.sites();
    if sites != found {
        return Err(NetError::Sites { expected: sites, found }.into());
    }
    let (mut field, mut fingerprint) = (vec![0.0; sites], Fingerprint::default());
    for index in 0..configurations.len() {
        configurations.read(index, &mut field).map_err(|source| FieldSourceError::Read { index, source })?;
        if let Some(site) = field.iter().position(|value| !value.is_finite()) {
            return Err(FieldSourceError::NotFinite { index, site, value: field[site] });
        }
        fingerprint.add(&field);
    }
    Ok(fingerprint.finish())
}
