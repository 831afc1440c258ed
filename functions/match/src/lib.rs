//! Carillon: match.
