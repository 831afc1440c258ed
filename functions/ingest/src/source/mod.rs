//! One file a source: how it is told apart stands in [`crate::detect`], what it means in its own file.

pub(crate) mod bedrock;
pub(crate) mod cloudtrail;
pub(crate) mod envelope;
pub(crate) mod eventbridge;
pub(crate) mod eventbridge_s3;
pub(crate) mod mail;
pub(crate) mod mediaconvert;
pub(crate) mod oss;
pub(crate) mod own;
pub(crate) mod recognition;
pub(crate) mod s3_native;
pub(crate) mod s3_scan;
pub(crate) mod ses;
pub(crate) mod transcribe;
pub(crate) mod vision;
