//! paybell: tells a merchant the moment a USDT payment arrives.

pub mod clock;
pub mod domain;
pub mod sandbox;
