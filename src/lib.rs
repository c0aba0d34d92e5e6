//! paybell: tells a merchant the moment a USDT payment arrives.

pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod logging;
