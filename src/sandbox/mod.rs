//! The sandbox chain.
pub mod actors;
mod block;
mod chain;
mod contracts;
mod execute;
mod keys;
mod noise;
mod proto;
mod state;
mod tx;
mod vm;
