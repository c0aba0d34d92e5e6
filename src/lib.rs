//! paybell: tells a merchant the moment a USDT payment arrives.
//!
//! # The floor plan
//! Imports point down only; `tests/floors.rs` proves it.
//!
//! | floor | modules | what happens there |
//! |---|---|---|
//! | 0 | [`domain`], [`clock`] | pure code decides |
//! | 1 | [`store`], [`chains`], [`index`], [`hub`], [`due_bell`], [`trends`], [`server`] | what is kept, on disk and in memory; the HTTP listener's loop |
//! | 2 | [`source`], [`sandbox`] | how a chain is read; the test chain |
//! | 3 | [`ledger_task`], [`follower`], [`janitor`], [`key_uses`] | command -> plan -> commit -> announcement |
//! | 4 | [`delivery`] | webhooks: due rows -> sign -> send -> record |
//! | 5 | [`api`] | HTTP and sockets |
//! | 6 | `app`, [`config`], [`cli`], [`logging`] | the only place that knows everyone |
//! | 6 | [`listen`] | `paybell listen`: a client of the hub, beside `app` and without it |
//!
//! # The way of a payment
//! A [`source`] yields blocks. The [`follower`] walks them in order. The ledger ([`domain::ledger`]) says what each
//! block means for the payments it touches. A plan runs *inside* the [`store`]'s commit, on the latest state: the
//! store's one writer runs many plans in one transaction, so no precondition can go stale between reading and writing.
//! Only after the commit do the [`hub`] (sockets) and the dispatcher ([`delivery`]) speak.
//!
//! # Invariants
//! 1. A transfer, keyed (chain, txid, log index), settles at most one payment. Processing a block twice changes nothing.
//! 2. A payment completes only by a transfer that is final, or as deep as it asked for; a forked-away transfer is taken
//!    back, with an event.
//! 3. Everything in an accepted block is found. The cursor moves only past blocks that were read whole.
//! 4. Time on chain decides: a payment expires only after every block up to its deadline was processed.
//! 5. A `201` means on disk. State, events, deliveries and cursor commit together; nothing is announced before.
//! 6. Event numbers have no gaps. A webhook is delivered at least once or is on record as exhausted.
//! 7. Killed at any instant, the hub restarts to the same state it would have reached.
//! 8. What cannot be matched is kept and shown, never lost silently.
//! 9. One chain's, one endpoint's or one socket's trouble never slows another.

pub mod api;
pub mod app;
pub mod chains;
pub mod cli;
pub mod clock;
pub mod config;
pub mod delivery;
pub mod domain;
pub mod due_bell;
pub mod entropy;
pub mod follower;
pub mod hub;
pub mod index;
pub mod janitor;
pub mod key_uses;
pub mod ledger_task;
pub mod listen;
pub mod logging;
pub mod sandbox;
pub mod server;
pub mod shutdown;
pub mod source;
pub mod store;
pub mod trends;
