//! Carillon: ingest.
