//! Randomness from the operating system, as something that is passed in.

use crate::ledger_task::Entropy;

/// The operating system's random numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    /// Aborts the caller's work by a panic only where the machine has no randomness at all, which no input can cause.
    fn fill(&self, bytes: &mut [u8]) {
        if let Err(error) = getrandom::fill(bytes) {
            panic!("the operating system gives no random numbers: {error}");
        }
    }
}
