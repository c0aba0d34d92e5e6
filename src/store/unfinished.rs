//! A data file whose making was cut short: it has a length, but not yet the first bytes that make it a redb file.
//!
//! redb writes those last. A file without them holds nothing, yet redb refuses it, and with it every later start. It is
//! emptied here, so that it is made anew. Refuses to touch a file that anyone could have written something into.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use redb::StorageBackend;

/// Bytes at the start that name a redb file; all zero until it is whole.
const MAGIC_BYTES: usize = 9;
/// The first page holds redb's header, written before the magic bytes. All behind it is zero in a new file.
const HEADER_BYTES: usize = 4_096;
/// A new redb file is less than 2 MB long.
const MAX_UNFINISHED_BYTES: u64 = 16 * 1024 * 1024;

/// Empties the file if its making was cut short. Returns whether it is empty now.
pub fn empty_file(file: &File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    if length == 0 {
        return Ok(true);
    }
    let unfinished = is_unfinished(length, |out| file.read_exact_at(out, 0))?;
    if unfinished {
        tracing::warn!("the data file's making had been cut short; it is made anew");
        file.set_len(0)?;
    }
    Ok(unfinished)
}

/// The same for a backend.
pub fn empty(backend: &dyn StorageBackend) -> io::Result<()> {
    let length = backend.len()?;
    if is_unfinished(length, |out| backend.read(0, out))? {
        backend.set_len(0)?;
    }
    Ok(())
}

fn is_unfinished(length: u64, read: impl Fn(&mut [u8]) -> io::Result<()>) -> io::Result<bool> {
    let mut start = vec![0; MAGIC_BYTES.min(usize::try_from(length).unwrap_or(MAGIC_BYTES))];
    read(&mut start)?;
    if length > MAX_UNFINISHED_BYTES || !is_blank(&start) {
        return Ok(false);
    }
    let mut all = vec![0; usize::try_from(length).unwrap_or(0)];
    read(&mut all)?;
    Ok(all.get(HEADER_BYTES..).is_none_or(is_blank))
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}
