//! The `paybell` program.

fn main() {}
