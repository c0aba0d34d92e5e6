//! Rows of older versions, byte for byte as they were written, still read.

use super::Stored;
use crate::domain::api_key::KeyId;
use crate::domain::event::EventKind;
use crate::domain::ids::{EventId, Sequence, UnixMs};
use crate::domain::payment::{
    Assignment, Basis, Credit, CreditState, Payment, Status, TransferRecord, TransferState,
    UnmatchedReason,
};
use crate::domain::test_support::{Adjust, CREATED, address, id, key, payment, slot, txid, usdt};
use crate::store::EventRow;

const PAYMENT_V1: &str = "0100000000000000000000000000000001000101010101010101010101010101010101010101076f726465722d\
    3180ade20480ade20400000000c8ffa7ffbc3164a8a7baffbc3180a30505010700000100000000000000010000\
    000000000000000000000000000000000000000000000309090909090909090909090909090909090909098092\
    f401658097a8ffbc31000000000001";
const TRANSFER_V1: &str = "010000000000000000010000000000000000000000000000000000000000000000000309090909090909090909\
    0909090909090909090901010101010101010101010101010101010101018092f401658097a8ffbc3101010100\
    000000000000000000000000000001";
const EVENT_V1: &str = "0101010f7061796d656e742e63726561746564c8ffa7ffbc310100000000000000000000000000000001347061796d656e742e\
    637265617465642030303030303030302d303030302d303030302d303030302d303030303030303030303031";

fn cancelled() -> Payment {
    payment(1).with(|p| {
        p.credits.push(Credit {
            txid: txid(1),
            log_index: 3,
            from: address(9),
            amount: usdt(4),
            height: crate::domain::ids::Height(101),
            block_time: slot(101),
            state: CreditState::Seen,
            basis: Basis::Matched,
        });
        p.status = Status::Cancelled;
        p.closed_at = Some(UnixMs(7));
        p.cancelled_at = Some(UnixMs(7));
    })
}

fn unmatched() -> TransferRecord {
    TransferRecord {
        key: key(1, 3),
        from: address(9),
        to: address(1),
        amount: usdt(4),
        height: crate::domain::ids::Height(101),
        block_time: slot(101),
        state: TransferState::Unmatched {
            reason: UnmatchedReason::Late,
            payment: Some(id(1)),
        },
        assigned: None,
    }
}

fn created_event() -> EventRow {
    EventRow {
        sequence: Sequence(1),
        id: EventId(1),
        kind: EventKind::Created,
        at: CREATED,
        payment: Some(id(1)),
        block_time: None,
        body: format!("payment.created {}", id(1)).into(),
    }
}

fn bytes(hex_digits: &str) -> Vec<u8> {
    hex::decode(hex_digits).expect("hexadecimal")
}

#[test]
fn rows_of_older_versions_still_read() {
    let old = Payment::decode(&bytes(PAYMENT_V1)).expect("a payment");
    assert_eq!(old, cancelled());
    // The second version had a wallet's derivation behind the first; this payment has none.
    let second = [&[2], &bytes(PAYMENT_V1)[1..], &[0]].concat();
    let old = Payment::decode(&second).expect("a payment");
    assert_eq!(old, cancelled());
    let old = TransferRecord::decode(&bytes(TRANSFER_V1)).expect("a transfer");
    assert_eq!(old, unmatched());
    // The second version had an operator's decision behind the first, and did not say whose it was.
    let first = &bytes(TRANSFER_V1)[1..];
    let second = [&[2], first, &[0]].concat();
    let old = TransferRecord::decode(&second).expect("a transfer");
    assert_eq!(old, unmatched());
    let payment = id(2).0.into_bytes();
    let second = [&[2], first, &[1], &payment, &[9, 1, 0]].concat();
    let old = TransferRecord::decode(&second).expect("a transfer");
    let decided = Assignment {
        payment: id(2),
        at: UnixMs(9),
        reason: UnmatchedReason::Late,
        meant_for: None,
        by: None,
    };
    assert_eq!(old.assigned, Some(decided));
    let old = EventRow::decode(&bytes(EVENT_V1)).expect("an event");
    assert_eq!(old, created_event());
}

#[test]
fn what_is_written_now_comes_back_whole() {
    let by_hand = cancelled().with(|p| p.credits[0].basis = Basis::ByHand);
    let row = by_hand.encode().expect("a row");
    assert_eq!(Payment::decode(&row).expect("a payment"), by_hand);
    let mut transfer = unmatched();
    transfer.assigned = Some(Assignment {
        payment: id(2),
        at: UnixMs(u64::MAX),
        reason: UnmatchedReason::TooMany,
        meant_for: Some(id(1)),
        by: Some(KeyId(u128::MAX)),
    });
    let row = transfer.encode().expect("a row");
    assert_eq!(TransferRecord::decode(&row).expect("a transfer"), transfer);
    let mut event = created_event();
    event.block_time = Some(UnixMs(u64::MAX));
    let row = event.encode().expect("a row");
    assert_eq!(EventRow::decode(&row).expect("an event"), event);
}

#[test]
fn rows_of_no_known_version_are_refused() {
    for version in [0, 5, 255] {
        let mut row = cancelled().encode().expect("a row");
        row[0] = version;
        let error = Payment::decode(&row).expect_err("refused").to_string();
        assert!(error.contains(&format!("row version {version}")), "{error}");
        let mut row = unmatched().encode().expect("a row");
        row[0] = version;
        assert!(TransferRecord::decode(&row).is_err());
    }
    let cut = bytes(PAYMENT_V1);
    assert!(Payment::decode(&cut[..cut.len() - 1]).is_err());
}
