//! Carillon: deliver.
