//! The content of one file of a directory: hashed, and stored when the store lacks it.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, SeekFrom};
use rustix::io::Errno;
use upmass_format::tree::{MAX_INLINE, Node};
use upmass_format::{BLOCK_SIZE, ObjectHasher, ObjectId};

use crate::objects::{MAX_FILE, Objects, Piece};
use crate::stat::Inode;
use crate::{ImportError, Result};

/// How much a worker holds in memory of the file that it reads. A longer file is read and hashed
/// twice when it is new.
const MAX_BUFFER: usize = 8 << 20;
/// How much of a longer file is read at once.
const PIECE: usize = 1 << 20;

/// A regular file that is open, and what the kernel said of it then.
pub(crate) struct SourceFile<'a> {
    pub(crate) file: &'a OwnedFd,
    pub(crate) inode: &'a Inode,
    /// For people.
    pub(crate) path: &'a dyn Fn() -> String,
    pub(crate) progress: &'a (dyn Fn(u64) + Sync),
}

impl SourceFile<'_> {
    /// Reads the file, and stores it unless it is small or there already. The buffer grows as
    /// files need it.
    ///
    /// A file that fits the buffer is read once. A longer one is hashed first and read again
    /// only when it must be written: to read twice what the page cache has costs less than to
    /// write what the store has.
    pub(crate) fn store(&self, objects: &Objects<'_>, buffer: &mut Vec<u8>) -> Result<Node> {
        let size = self.inode.size;
        if size > MAX_FILE {
            let (path, what) = ((self.path)(), "its length");
            return Err(ImportError::TooLarge { path, what, found: size, limit: MAX_FILE });
        }
        let wanted = if size <= MAX_BUFFER as u64 { size as usize } else { PIECE };
        if buffer.len() < wanted {
            buffer.resize(wanted, 0);
        }
        let node = if size <= MAX_BUFFER as u64 {
            let content = &mut buffer[..size as usize];
            self.read_exact(content, 0)?;
            (self.progress)(size);
            match size <= MAX_INLINE as u64 {
                true => Node::Inline(content.to_vec()),
                false => Node::Object { size, id: objects.put(content)? },
            }
        } else {
            let piece = &mut buffer[..PIECE];
            let id = self.hash(piece)?;
            if !objects.has(id)? && self.write(objects, piece)? != id {
                return Err(self.changed("it has other content when it is read again"));
            }
            Node::Object { size, id }
        };
        self.check_unchanged()?;
        Ok(node)
    }

    /// Whether the file is still as it was when it was opened.
    fn check_unchanged(&self) -> Result<()> {
        if self.inode.size == 0 && self.read(&mut [0], 0)? > 0 {
            return Err(self.changed("it is longer than it says, as files in /proc are"));
        }
        let after = Inode::of(self.file).map_err(|errno| self.error("look at", errno))?;
        match after.has_same_content_as(self.inode) {
            true => Ok(()),
            false => Err(self.changed("its length or times are not what they were")),
        }
    }

    fn hash(&self, buffer: &mut [u8]) -> Result<ObjectId> {
        let mut hasher = ObjectHasher::new();
        self.pieces(buffer, &mut |piece| {
            match piece {
                Piece::Data(data) => {
                    hasher.update(data);
                    (self.progress)(data.len() as u64);
                }
                Piece::Zeros(len) => {
                    hash_zeros(&mut hasher, len);
                    (self.progress)(len);
                }
            }
            Ok(())
        })?;
        Ok(hasher.finish())
    }

    fn write(&self, objects: &Objects<'_>, buffer: &mut [u8]) -> Result<ObjectId> {
        let mut incoming = objects.incoming()?;
        self.pieces(buffer, &mut |piece| {
            match piece {
                Piece::Data(data) => incoming.write(data)?,
                Piece::Zeros(len) => incoming.write_zeros(len)?,
            }
            Ok(())
        })?;
        objects.add(incoming)
    }

    /// Reads all of the file in order. Holes are not read where the file system tells them.
    fn pieces(
        &self,
        buffer: &mut [u8],
        visit: &mut dyn FnMut(Piece<'_>) -> Result<()>,
    ) -> Result<()> {
        let size = self.inode.size;
        let mut position = 0;
        while position < size {
            let data = self.next_data(position)?;
            if data.start > position {
                visit(Piece::Zeros(data.start - position))?;
            }
            position = data.start;
            while position < data.end {
                let take = (data.end - position).min(buffer.len() as u64) as usize;
                self.read_exact(&mut buffer[..take], position)?;
                visit(Piece::Data(&buffer[..take]))?;
                position += take as u64;
            }
        }
        Ok(())
    }

    /// The next range at or behind `position` that is no hole; at the end of the file it is
    /// empty.
    fn next_data(&self, position: u64) -> Result<std::ops::Range<u64>> {
        let size = self.inode.size;
        if !self.inode.is_sparse {
            return Ok(position..size);
        }
        let start = match fs::seek(self.file, SeekFrom::Data(position)) {
            Ok(start) => start.clamp(position, size),
            Err(Errno::NXIO) => size,
            // The file system knows no holes.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(position..size),
            Err(errno) => return Err(self.error("find data in", errno)),
        };
        if start == size {
            return Ok(size..size);
        }
        let end = fs::seek(self.file, SeekFrom::Hole(start))
            .map_err(|errno| self.error("find holes in", errno))?;
        // At least one byte, so that a file that changes meanwhile cannot hold us here.
        Ok(start..end.clamp(start + 1, size))
    }

    fn read_exact(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            match self.read(&mut buffer[done..], offset + done as u64)? {
                0 => return Err(self.changed("it became shorter")),
                n => done += n,
            }
        }
        Ok(())
    }

    fn read(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        loop {
            match rustix::io::pread(self.file.as_fd(), &mut *buffer, offset) {
                Err(Errno::INTR) => {}
                other => return other.map_err(|errno| self.error("read", errno)),
            }
        }
    }

    fn error(&self, action: &'static str, errno: Errno) -> ImportError {
        ImportError::read(action, (self.path)(), errno)
    }

    fn changed(&self, what: &'static str) -> ImportError {
        ImportError::Changed { path: (self.path)(), what }
    }
}

/// Appends zeros; fast where they fill blocks.
fn hash_zeros(hasher: &mut ObjectHasher, mut len: u64) {
    const ZEROS: [u8; BLOCK_SIZE] = [0; BLOCK_SIZE];
    let block = BLOCK_SIZE as u64;
    let to_boundary = (block - hasher.content_len() % block) % block;
    let head = len.min(to_boundary);
    hasher.update(&ZEROS[..head as usize]);
    len -= head;
    if len >= block {
        hasher.update_zero_blocks(len / block);
    }
    hasher.update(&ZEROS[..(len % block) as usize]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_hash_the_same_however_they_are_split() {
        for len in [0u64, 1, 4095, 4096, 4097, 3 * 4096, 3 * 4096 + 5] {
            for before in [0usize, 1, 4095, 4096, 5000] {
                let mut content = vec![7; before];
                let mut hasher = ObjectHasher::new();
                hasher.update(&content);
                hash_zeros(&mut hasher, len);
                hasher.update(b"end");
                content.resize(before + len as usize, 0);
                content.extend_from_slice(b"end");
                assert_eq!(hasher.finish(), ObjectHasher::hash(&content), "{before} {len}");
            }
        }
    }
}
