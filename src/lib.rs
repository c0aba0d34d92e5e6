//! paybell: tells a merchant the moment a USDT payment arrives.

pub mod api;
pub mod chains;
pub mod clock;
pub mod domain;
pub mod hub;
pub mod index;
pub mod ledger_task;
pub mod store;
