//! One file a source: how it is told apart stands in [`crate::detect`], what it means in its own file.

pub(crate) mod oss;
pub(crate) mod s3_native;
pub(crate) mod vision;
