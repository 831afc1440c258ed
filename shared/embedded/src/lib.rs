//! Carillon: embedded.
