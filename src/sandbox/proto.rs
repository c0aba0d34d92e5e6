//! Writing protobuf: the few wire types that TRON's transactions and block headers need.
//!
//! Refuses to read: the sandbox builds every message from JSON or from its own state.

/// A protobuf message under construction. Fields are written in ascending order by the caller, as
/// java-tron's serializer does; proto3 defaults are left out.
#[derive(Default)]
pub struct Message(Vec<u8>);

/// Wire type 0.
const VARINT: u64 = 0;
/// Wire type 2.
const LENGTH_DELIMITED: u64 = 2;

impl Message {
    pub fn new() -> Self {
        Self::default()
    }

    /// An `int64`, `int32` or enum field; zero is the default and stays out.
    #[must_use]
    pub fn int(mut self, field: u64, value: i64) -> Self {
        if value != 0 {
            self.varint(field << 3 | VARINT);
            // Negative numbers take ten bytes: their two's complement, as in every protobuf writer.
            self.varint(value.cast_unsigned());
        }
        self
    }

    /// A `bytes` or `string` field; empty is the default and stays out.
    #[must_use]
    pub fn bytes(self, field: u64, value: &[u8]) -> Self {
        if value.is_empty() {
            return self;
        }
        self.item(field, value)
    }

    /// A sub-message or a repeated element, written even when empty.
    #[must_use]
    pub fn item(mut self, field: u64, value: &[u8]) -> Self {
        self.varint(field << 3 | LENGTH_DELIMITED);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_examples_come_out() {
        // https://protobuf.dev/programming-guides/encoding/
        assert_eq!(Message::new().int(1, 150).finish(), [0x08, 0x96, 0x01]);
        assert_eq!(
            Message::new().bytes(2, b"testing").finish(),
            [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67]
        );
        assert_eq!(Message::new().int(1, -2).finish().len(), 11);
        assert!(Message::new().int(1, 0).bytes(2, b"").finish().is_empty());
        assert_eq!(Message::new().item(3, b"").finish(), [0x1a, 0x00]);
    }
}
