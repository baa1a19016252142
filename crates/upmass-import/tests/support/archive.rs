//! Archives as no good program writes them.

/// Writes an archive entry by entry, right or wrong.
#[derive(Clone, Default)]
pub struct Archive(pub Vec<u8>);

/// The fields of a header block. Numbers are text, so that they may be nonsense.
#[derive(Clone)]
pub struct Header {
    pub name: Vec<u8>,
    pub tag: u8,
    pub size: Vec<u8>,
    pub link: Vec<u8>,
    pub mode: Vec<u8>,
    pub uid: Vec<u8>,
    pub magic: [u8; 8],
    pub prefix: Vec<u8>,
    /// Changes the block before its checksum is made.
    pub change: fn(&mut [u8; 512]),
}

impl Header {
    pub fn new(tag: u8, name: impl AsRef<[u8]>, size: usize) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            tag,
            size: format!("{size:011o}").into_bytes(),
            link: Vec::new(),
            mode: b"0000644".to_vec(),
            uid: b"0000000".to_vec(),
            magic: *b"ustar\x0000",
            prefix: Vec::new(),
            change: |_| {},
        }
    }

    pub fn link(tag: u8, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        Self { link: target.as_ref().to_vec(), ..Self::new(tag, name, 0) }
    }

    pub fn block(&self) -> [u8; 512] {
        let mut block = [0; 512];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.name);
        put(100, &self.mode);
        put(108, &self.uid);
        put(116, b"0000000");
        put(124, &self.size);
        put(136, b"00000000000");
        put(148, b"        ");
        put(156, &[self.tag]);
        put(157, &self.link);
        put(257, &self.magic);
        put(345, &self.prefix);
        (self.change)(&mut block);
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }
}

impl Archive {
    pub fn new() -> Self {
        Self::default()
    }

    /// A file.
    pub fn file(self, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref();
        self.entry(&Header::new(b'0', name, content.len()), content)
    }

    /// A directory.
    pub fn directory(self, name: impl AsRef<[u8]>) -> Self {
        let mode = b"0000755".to_vec();
        self.entry(&Header { mode, ..Header::new(b'5', name, 0) }, b"")
    }

    /// Any header, with content.
    pub fn entry(mut self, header: &Header, content: &[u8]) -> Self {
        self.0.extend_from_slice(&header.block());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// An extended header.
    pub fn extended(self, tag: u8, records: &[u8]) -> Self {
        self.entry(&Header::new(tag, "PaxHeaders/x", records.len()), records)
    }

    /// The whole archive, with its end.
    pub fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}

/// A record of an extended header.
pub fn record(key: &str, value: impl AsRef<[u8]>) -> Vec<u8> {
    let value = value.as_ref();
    let rest = key.len() + value.len() + 3;
    let mut len = rest + 1;
    while rest + len.to_string().len() != len {
        len = rest + len.to_string().len();
    }
    let mut record = format!("{len} {key}=").into_bytes();
    record.extend_from_slice(value);
    record.push(b'\n');
    record
}
