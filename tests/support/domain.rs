//! The domain with its test support, for integration tests: the file that the unit tests use, included by path.

pub use paybell::domain::*;

#[allow(dead_code)]
#[path = "../../src/domain/test_support.rs"]
pub mod test_support;
