//! The oldest block that a node keeps, found by halving.
//!
//! Refuses to believe a single denial: a node behind a load balancer denies blocks that it has, and a start that is
//! too late passes over payments.

use crate::domain::ids::Height;
use crate::source::{FetchedHeader, Source, SourceError};

/// How often in a row a block must be denied before it counts as not kept.
const DENIALS: u32 = 8;

/// The oldest block above `missing` that a node keeps, where it keeps no block as old as that.
pub(super) async fn oldest_kept(
    source: &dyn Source,
    missing: Height,
    head: &FetchedHeader,
) -> Result<FetchedHeader, SourceError> {
    let (mut missing, mut kept) = (missing, *head);
    while kept.header.height > missing.next() {
        let middle = Height(missing.0 + (kept.header.height.0 - missing.0) / 2);
        match insist(source, middle).await? {
            Some(found) => kept = found,
            None => missing = middle,
        }
    }
    Ok(kept)
}

async fn insist(source: &dyn Source, height: Height) -> Result<Option<FetchedHeader>, SourceError> {
    for _ in 0..DENIALS {
        if let Some(found) = source.header(height).await? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::domain::chain::Block;
    use crate::domain::test_support::block;
    use crate::source::Contents;

    const OLDEST: u64 = 1_000;

    /// Keeps blocks from `OLDEST` on, and denies each of them so many times before it shows one.
    struct Forgetful {
        denials: u32,
        asked: AtomicU32,
    }

    fn fetched(height: u64) -> FetchedHeader {
        FetchedHeader {
            header: block(height, Vec::new()).header,
            contents: Contents::Unknown,
        }
    }

    #[async_trait::async_trait]
    impl Source for Forgetful {
        async fn head(&self) -> Result<FetchedHeader, SourceError> {
            Ok(fetched(2_000))
        }

        async fn final_head(&self) -> Result<FetchedHeader, SourceError> {
            self.head().await
        }

        async fn header(&self, height: Height) -> Result<Option<FetchedHeader>, SourceError> {
            let asked = self.asked.fetch_add(1, Ordering::Relaxed);
            let shows = asked % (self.denials + 1) == self.denials;
            Ok((height.0 >= OLDEST && shows).then(|| fetched(height.0)))
        }

        async fn block(&self, header: &FetchedHeader) -> Result<Block, SourceError> {
            Ok(block(header.header.height.0, Vec::new()))
        }

        fn name(&self) -> &str {
            "forgetful.example"
        }
    }

    /// Found by the simulation (seed 177): one denial by a node that also was too young for the block asked for moved
    /// the first start behind blocks that open payments were waiting for.
    #[tokio::test]
    async fn a_node_that_denies_blocks_it_has_does_not_make_the_start_late() {
        for denials in [0, 1, 2, 5] {
            let node = Forgetful {
                denials,
                asked: AtomicU32::new(0),
            };
            let found = oldest_kept(&node, Height(900), &fetched(2_000)).await;
            assert_eq!(found.expect("answers").header.height, Height(OLDEST));
        }
    }
}
