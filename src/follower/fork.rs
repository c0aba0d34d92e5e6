//! Forks and finality: goes back to the block that the node's branch shares with ours, and learns what can no longer
//! be forked away.

use super::{Follower, RoundError};
use crate::domain::chain::BlockHeader;
use crate::domain::changes::Cursor;
use crate::domain::ids::Height;
use crate::source::{FetchedHeader, Source};

impl Follower {
    /// Goes down from the tip to the block that the node's branch shares with ours, and takes back all above it.
    pub(super) async fn follow_fork(
        &mut self,
        source: &dyn Source,
        head: &FetchedHeader,
    ) -> Result<(), RoundError> {
        let Some(cursor) = self.cursor else {
            return Ok(());
        };
        let mut height = cursor.tip.height;
        loop {
            let theirs = self.header_at(source, height, head).await?.header;
            let ours = self.parts.store.block(self.id(), height).await?;
            if ours.is_none_or(|ours| ours.hash == theirs.hash) {
                if height == cursor.tip.height {
                    // Nothing to take back: its answers are from two branches, and asking on would go in circles.
                    return Err(RoundError::Torn {
                        node: source.name().to_owned(),
                        height,
                    });
                }
                return self.take_back_to(cursor, theirs).await;
            }
            if height <= cursor.final_height || height.0 == 0 {
                return Err(RoundError::BelowFinal {
                    node: source.name().to_owned(),
                    final_height: cursor.final_height,
                });
            }
            height = Height(height.0 - 1);
        }
    }

    async fn take_back_to(&mut self, cursor: Cursor, to: BlockHeader) -> Result<(), RoundError> {
        let depth = cursor.tip.height.0 - to.height.0;
        tracing::info!(chain = %self.parts.chain.spec.name, depth, to = %to.height, "the chain forked; following the new branch");
        self.parts.ledger.rollback(self.id(), to).await?;
        self.cursor = Some(Cursor { tip: to, ..cursor });
        Ok(())
    }

    /// Asks for the final head once a block while something waits for it.
    pub(super) async fn ask_final(&mut self, source: &dyn Source) -> Result<(), RoundError> {
        let Some(cursor) = self.cursor else {
            return Ok(());
        };
        if !self.awaits_finality() || self.asked_final_at == cursor.tip.height {
            return Ok(());
        }
        let finalized = source.final_head().await?;
        self.asked_final_at = cursor.tip.height;
        self.take_final(source, cursor, finalized.header).await
    }

    async fn take_final(
        &mut self,
        source: &dyn Source,
        cursor: Cursor,
        header: BlockHeader,
    ) -> Result<(), RoundError> {
        let news = header.height > cursor.final_height && header.height <= cursor.tip.height;
        if !news {
            return Ok(());
        }
        let Some(ours) = self.parts.store.block(self.id(), header.height).await? else {
            // Older than anything we remember: nobody waits for it.
            return Ok(());
        };
        if ours.hash != header.hash {
            let head = source.head().await?;
            return self.follow_fork(source, &head).await;
        }
        let write = self.parts.ledger.finalize(self.id(), header).await?;
        self.finish_work(&write).await?;
        self.cursor = Some(Cursor {
            final_height: header.height,
            ..cursor
        });
        Ok(())
    }
}
