//! The actions, one file a group. Each reads its parameters, typed, judges, and gives the envelope's `Data`.

pub(crate) mod page;
pub(crate) mod queues;
pub(crate) mod rule_create;
pub(crate) mod rule_delete;
pub(crate) mod rule_list;
pub(crate) mod rule_view;
