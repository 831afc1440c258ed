//! Carillon: manage.
