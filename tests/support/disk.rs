//! A disk that loses power: at a chosen operation everything fails, and of what was written since the last sync only
//! some sectors survive. Or one operation fails and the rest go on; or the program is killed and the disk keeps what it
//! was given.
#![allow(dead_code)]

use std::io::{Error, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

#[derive(Debug, Clone)]
enum Unsynced {
    Length(u64),
    Data(u64, Vec<u8>),
}

#[derive(Debug, Default)]
struct State {
    /// What a sync has made safe.
    safe: Vec<u8>,
    /// What the program reads back while there is power.
    seen: Vec<u8>,
    unsynced: Vec<Unsynced>,
    operations: u64,
    /// The power fails at this operation.
    fails_at: u64,
    /// This operation alone fails.
    errs_at: Option<u64>,
    failed: bool,
}

/// Clones share the disk.
#[derive(Debug, Clone)]
pub struct Disk(Arc<Mutex<State>>);

impl Disk {
    pub fn holding(bytes: Vec<u8>, fails_at: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            seen: bytes.clone(),
            safe: bytes,
            fails_at,
            ..State::default()
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// The power fails at this operation from now, 1 being the next.
    pub fn cut_power_in(&self, operations: u64) {
        let mut state = self.state();
        state.fails_at = state.operations + operations;
    }

    /// This operation from now fails alone.
    pub fn fail_once_in(&self, operations: u64) {
        let mut state = self.state();
        state.errs_at = Some(state.operations + operations);
    }

    /// Nothing more reaches it: whoever used it is as good as dead.
    pub fn stop(&self) {
        let mut state = self.state();
        state.fails_at = state.operations;
    }

    /// Some operation has failed.
    pub fn has_failed(&self) -> bool {
        self.state().failed
    }

    pub fn has_power(&self) -> bool {
        let state = self.state();
        state.operations < state.fails_at
    }

    /// Some operation may fail, now or later.
    pub fn is_in_danger(&self) -> bool {
        let state = self.state();
        state.fails_at != u64::MAX || state.errs_at.is_some()
    }

    /// The disk as the next program finds it after the last was killed: what was not synced still waits for it.
    pub fn after_kill(&self) -> Self {
        let state = self.state();
        Self(Arc::new(Mutex::new(State {
            safe: state.safe.clone(),
            seen: state.seen.clone(),
            unsynced: state.unsynced.clone(),
            fails_at: u64::MAX,
            ..State::default()
        })))
    }

    /// What is on the disk when the power comes back: `keeps` says of each unsynced sector whether it survived.
    pub fn after_power_loss(&self, mut keeps: impl FnMut() -> bool) -> Vec<u8> {
        let state = self.state();
        let mut bytes = state.safe.clone();
        for write in &state.unsynced {
            match write {
                Unsynced::Length(length) => {
                    if keeps() {
                        bytes.resize(*length as usize, 0);
                    }
                }
                Unsynced::Data(offset, data) => {
                    let mut at = *offset as usize;
                    let mut rest = &data[..];
                    while !rest.is_empty() {
                        let room = SECTOR_BYTES - at % SECTOR_BYTES;
                        let (sector, after) = rest.split_at(room.min(rest.len()));
                        if keeps() {
                            put(&mut bytes, at, sector);
                        }
                        at += sector.len();
                        rest = after;
                    }
                }
            }
        }
        bytes
    }
}

fn put(bytes: &mut Vec<u8>, at: usize, data: &[u8]) {
    if bytes.len() < at + data.len() {
        bytes.resize(at + data.len(), 0);
    }
    bytes[at..at + data.len()].copy_from_slice(data);
}

impl State {
    fn step(&mut self) -> Result<(), Error> {
        self.operations += 1;
        if self.errs_at == Some(self.operations) {
            self.failed = true;
            return Err(Error::other("the disk failed once"));
        }
        self.powered()
    }

    fn powered(&mut self) -> Result<(), Error> {
        if self.operations >= self.fails_at {
            self.failed = true;
            return Err(Error::other("the power is gone"));
        }
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, Error> {
        let mut state = self.state();
        state.powered()?;
        Ok(state.seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        let mut state = self.state();
        state.powered()?;
        let from = offset as usize;
        let bytes = state.seen.get(from..from + out.len());
        out.copy_from_slice(bytes.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        let mut state = self.state();
        state.step()?;
        state.seen.resize(len as usize, 0);
        state.unsynced.push(Unsynced::Length(len));
        Ok(())
    }

    fn sync_data(&self) -> Result<(), Error> {
        let mut state = self.state();
        state.step()?;
        for write in std::mem::take(&mut state.unsynced) {
            match write {
                Unsynced::Length(length) => state.safe.resize(length as usize, 0),
                Unsynced::Data(offset, data) => put(&mut state.safe, offset as usize, &data),
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        let mut state = self.state();
        let stepped = state.step();
        // The write under way when the power fails may have come through in part.
        if state.operations <= state.fails_at {
            state.unsynced.push(Unsynced::Data(offset, data.to_vec()));
        }
        stepped?;
        put(&mut state.seen, offset as usize, data);
        Ok(())
    }
}
