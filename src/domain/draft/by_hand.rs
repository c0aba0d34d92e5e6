//! What an operator's assignment does, and what becomes of it when a fork takes its transfer away and brings it back.
//!
//! A decision stands for its money: the same transaction's transfer of the same amount between the same addresses goes
//! to the same payment again, wherever in a block it comes back. Nobody else is settled by it in between.

use super::{Draft, credit_of};
use crate::domain::changes::ViewError;
use crate::domain::event::EventKind;
use crate::domain::payment::{Assignment, Basis, ChainPoint, TransferRecord, TransferState};

impl Draft<'_> {
    /// Credits a transfer to the payment that an operator chose; the payment is open in this draft.
    pub(in crate::domain) fn assign(
        &mut self,
        mut record: TransferRecord,
        assignment: Assignment,
        at: ChainPoint,
    ) {
        let (id, now) = (assignment.payment, self.now);
        record.state = TransferState::Credited(id);
        record.assigned = Some(assignment);
        self.put_transfer(record);
        let Some(payment) = self.get_mut(id) else {
            return;
        };
        let (before, was_paid) = (payment.status, payment.is_paid());
        payment.credit(credit_of(&record, Basis::ByHand));
        payment.settle(at, now);
        self.announce_credit(EventKind::TransferAssigned, record, id, before, at);
        if !was_paid {
            self.announce_credit(EventKind::Detected, record, id, before, at);
        }
        self.announce_status(id, before, at);
    }

    /// The oldest decision that waits for this money, if one does and its payment is still there. It waits no longer.
    pub(super) fn take_promise(
        &mut self,
        come: &TransferRecord,
    ) -> Result<Option<Assignment>, ViewError> {
        let mut waiting: Vec<TransferRecord> = Vec::new();
        for known in self.view.promises(self.chain, come.key.txid)? {
            let here = self.transfers.iter().find(|t| t.key == known.key);
            let latest = here.copied().unwrap_or(known);
            waiting.extend(Some(latest).filter(|t| t.promise().is_some() && t.is_same_money(come)));
        }
        waiting.sort_by_key(|t| (t.assigned.map(|a| a.at), t.key));
        for mut promised in waiting.iter().copied() {
            let Some(assignment) = promised.promise() else {
                continue;
            };
            if self.open(assignment.payment)?.is_none() {
                continue;
            }
            // Money that comes back where a twin of it was overwrites that record; the twin's decision must wait on.
            let twin = waiting
                .iter()
                .find(|t| t.key == come.key && t.key != promised.key);
            promised.assigned = twin.and_then(TransferRecord::promise);
            self.put_transfer(promised);
            return Ok(Some(assignment));
        }
        Ok(None)
    }

    /// The money is back: it is credited as it was decided. The decision itself was announced when it was made.
    pub(super) fn keep_promise(
        &mut self,
        mut record: TransferRecord,
        assignment: Assignment,
        at: ChainPoint,
    ) {
        let id = assignment.payment;
        record.state = TransferState::Credited(id);
        record.assigned = Some(assignment);
        self.put_transfer(record);
        if let Some(payment) = self.get_mut(id) {
            payment.credit(credit_of(&record, Basis::ByHand));
        }
        self.settle(id, at, Some(record));
    }
}
