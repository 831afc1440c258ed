//! The actions, one file a group. Each reads its parameters, typed, judges, and gives the envelope's `Data`.

pub(crate) mod account;
pub(crate) mod dead_letters;
pub(crate) mod deliveries;
pub(crate) mod explain;
pub(crate) mod history;
pub(crate) mod keys;
pub(crate) mod page;
pub(crate) mod preview;
pub(crate) mod publish;
pub(crate) mod queues;
pub(crate) mod replay;
pub(crate) mod rule_apply;
pub(crate) mod rule_change;
pub(crate) mod rule_create;
pub(crate) mod rule_delete;
pub(crate) mod rule_list;
pub(crate) mod rule_view;
pub(crate) mod subscriptions;
pub(crate) mod topics;
