//! The `-wal` file and its index, the `-shm` file, as they are found beside the database.
//!
//! SQLite locks the database and the `-shm` file, but not the `-wal` file. So the `-wal` file may
//! be opened here.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::file::{FileId, sibling};

pub(crate) const HEADER_LEN: usize = 32;
const FRAME_HEADER_LEN: usize = 24;

pub(crate) type LogHeader = [u8; HEADER_LEN];

/// What `stat` says about the two files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogFiles {
    /// Of the `-wal` and of the `-shm` file.
    pub(crate) ids: [FileId; 2],
    pub(crate) log_len: u64,
    pub(crate) index_len: u64,
}

impl LogFiles {
    /// `None` if one of the files is missing.
    pub(crate) fn find(path: &Path) -> io::Result<Option<Self>> {
        let look = |suffix| match fs::metadata(sibling(path, suffix)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        Ok(look("-wal")?.zip(look("-shm")?).map(|(log, index)| Self {
            ids: [FileId::from_metadata(&log), FileId::from_metadata(&index)],
            log_len: log.len(),
            index_len: index.len(),
        }))
    }
}

/// The length of the `-shm` file in bytes, or 0 if it does not exist.
pub(crate) fn index_len(path: &Path) -> u64 {
    fs::metadata(sibling(path, "-shm")).map_or(0, |index| index.len())
}

/// Whether this process has the `-shm` file in its memory.
#[cfg(target_os = "linux")]
pub(crate) fn is_index_mapped(path: &Path) -> bool {
    let index = sibling(path, "-shm");
    let maps = fs::read("/proc/self/maps").unwrap_or_default();
    maps.split(|byte| *byte == b'\n')
        .any(|line| line.ends_with(index.as_os_str().as_encoded_bytes()))
}

/// Other systems have no list of these files.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_index_mapped(_: &Path) -> bool {
    false
}

/// The header of the log; `None` if the log is shorter than that.
pub(crate) fn read_header(log: &File) -> io::Result<Option<LogHeader>> {
    let mut header = [0; HEADER_LEN];
    match read_at(log, 0, &mut header) {
        Ok(()) => Ok(Some(header)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
fn read_at(log: &File, at: u64, part: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(log, part, at)
}

#[cfg(not(unix))]
fn read_at(mut log: &File, at: u64, part: &mut [u8]) -> io::Result<()> {
    log.seek(SeekFrom::Start(at))?;
    log.read_exact(part)
}

/// Whether the log has the header, and its frame with this number, counted from 1, belongs to it.
/// This is quick, but does not look at the content of the frames.
pub(crate) fn has_frame(log: &File, header: Option<LogHeader>, frame: u64) -> io::Result<bool> {
    let Some(header) = header.filter(is_header) else { return Ok(false) };
    let frame_len = (FRAME_HEADER_LEN as u64) + u64::from(number(&header, 8));
    let end = HEADER_LEN as u64 + frame * frame_len;
    if log.metadata()?.len() < end {
        return Ok(false);
    }
    let mut frame = [0; FRAME_HEADER_LEN];
    read_at(log, end - frame_len, &mut frame)?;
    Ok(frame[8..16] == header[16..24])
}

/// Whether SQLite would accept this header after a crash.
pub(crate) fn is_header(header: &LogHeader) -> bool {
    number(header, 0) & !1 == 0x377F_0682
        && (512..=65_536).contains(&number(header, 8))
        && header_checksum(header) == [number(header, 24), number(header, 28)]
}

fn header_checksum(header: &LogHeader) -> [u32; 2] {
    add_to_checksum([0, 0], &header[..24], is_big_endian(header))
}

/// Whether checksums are made of big-endian numbers.
fn is_big_endian(header: &LogHeader) -> bool {
    number(header, 0) & 1 == 1
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The part of a log that SQLite would accept after a crash.
#[derive(Debug, Default)]
pub(crate) struct ValidFrames {
    /// How many frames are valid, up to the last commit.
    pub(crate) count: u64,
    /// The numbers of the pages in them.
    pub(crate) pages: HashSet<u32>,
}

/// Reads the log as SQLite does after a crash, with `header` in place of its own header: it ends
/// at the first frame with a wrong checksum.
pub(crate) fn read_valid_frames(mut log: &File, header: &LogHeader) -> io::Result<ValidFrames> {
    let mut valid = ValidFrames::default();
    if !is_header(header) {
        return Ok(valid);
    }
    let (page_size, is_big_endian) = (number(header, 8), is_big_endian(header));
    let mut checksum = header_checksum(header);
    log.seek(SeekFrom::Start(HEADER_LEN as u64))?;
    let mut log = BufReader::with_capacity(1 << 18, log);
    let mut frame = vec![0; FRAME_HEADER_LEN + page_size as usize];
    let (mut count, mut uncommitted) = (0, Vec::new());
    loop {
        match log.read_exact(&mut frame) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(valid),
            result => result?,
        }
        checksum = add_to_checksum(checksum, &frame[..8], is_big_endian);
        checksum = add_to_checksum(checksum, &frame[FRAME_HEADER_LEN..], is_big_endian);
        if frame[8..16] != header[16..24] || checksum != [number(&frame, 16), number(&frame, 20)] {
            return Ok(valid);
        }
        count += 1;
        uncommitted.push(number(&frame, 0));
        let is_commit = number(&frame, 4) != 0;
        if is_commit {
            valid.count = count;
            valid.pages.extend(uncommitted.drain(..));
        }
    }
}

/// The checksum of SQLite's log. `bytes` is a multiple of eight bytes long.
fn add_to_checksum([mut a, mut b]: [u32; 2], bytes: &[u8], is_big_endian: bool) -> [u32; 2] {
    let word = |bytes: [u8; 4]| match is_big_endian {
        true => u32::from_be_bytes(bytes),
        false => u32::from_le_bytes(bytes),
    };
    for pair in bytes.chunks_exact(8) {
        let (first, second) =
            ([pair[0], pair[1], pair[2], pair[3]], [pair[4], pair[5], pair[6], pair[7]]);
        a = a.wrapping_add(word(first)).wrapping_add(b);
        b = b.wrapping_add(word(second)).wrapping_add(a);
    }
    [a, b]
}
