//! How a story begins: mostly with all well, sometimes with a trouble that chance alone would hardly bring about.

use std::sync::{Arc, Mutex};

use fastrand::Rng;
use paybell::domain::ids::Height;

use crate::actions::Action;
use crate::chain::SimChain;
use crate::node::{Mood, SimNode};

/// Blocks that young nodes keep when the story begins; less than the hub would like to start from.
const YOUNG_BLOCKS: u64 = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    Usual,
    /// The first chain's nodes sleep at first: payments are there before the first block.
    Asleep,
    /// And when they wake they keep few old blocks, and deny some that they have.
    Young,
    /// The first chain's nodes sleep until the end, and nothing disturbs the hub.
    OneChainDead,
    /// The second chain's preferred node is dead for good.
    PreferredDead,
}

impl Opening {
    pub fn draw(rng: &mut Rng) -> Self {
        match rng.u8(..12) {
            0 => Self::Asleep,
            1 => Self::Young,
            2 => Self::OneChainDead,
            3 | 4 => Self::PreferredDead,
            _ => Self::Usual,
        }
    }

    pub fn set(
        self,
        nodes: &[Vec<Arc<SimNode>>],
        chain: &Mutex<SimChain>,
        habits: &mut Vec<(Action, u32)>,
    ) {
        match self {
            Self::Usual => {}
            Self::Asleep | Self::Young | Self::OneChainDead => {
                nodes[0].iter().for_each(|node| node.feel(Mood::Down));
            }
            Self::PreferredDead => nodes[1][0].feel(Mood::Down),
        }
        if self == Self::Young {
            let mut chain = chain.lock().unwrap();
            chain.kept_from = Height(chain.head().height.0 - YOUNG_BLOCKS);
        }
        if matches!(self, Self::OneChainDead | Self::PreferredDead) {
            habits.retain(|(action, _)| !action.is_about_nodes());
        }
        if self == Self::OneChainDead {
            habits.retain(|(action, _)| !action.disturbs_the_hub());
        }
    }
}
