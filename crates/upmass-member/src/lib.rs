//! Compressed members inside files: they are found and unpacked, so that a delta sees their
//! content, and packed again so that every bit is as it was.
//!
//! A member is a run of bytes in a file that some packer made from plain content. Its [`Recipe`]
//! says which packer, with which settings. The build host searches for it
//! (`recognise::find_members`) and believes only what it has repacked and compared. The device
//! runs [`unpack`] over what it has and [`repack`] over what it made.
//!
//! This crate does no I/O: bytes in, bytes out. It never packs with whatever the system has
//! installed: the packers are part of it, at pinned versions which the recipe names. Lengths are
//! declared by the caller ([`Lengths`]); nothing is read or written beyond them, and
//! [`memory`] and [`unpack_memory`] say what an operation will take before it begins.
//!
//! Read first: [`Recipe`], [`repack`], and `recognise::Member`.

// A build without any codec still reads recipes and knows what they take.
#![cfg_attr(
    not(any(feature = "deflate", feature = "xz", feature = "zstd", feature = "lz4")),
    allow(unused_mut, dead_code)
)]

mod bounded;
mod codec;
#[cfg(feature = "deflate")]
mod deflate;
mod error;
pub mod expanded;
#[cfg(feature = "lz4")]
mod lz4;
mod memory;
#[cfg(feature = "parse")]
pub mod parse;
pub mod recipe;
#[cfg(feature = "recognise")]
pub mod recognise;
#[cfg(any(feature = "xz", feature = "parse"))]
mod stream;
#[cfg(feature = "xz")]
mod xz;
#[cfg(feature = "zstd")]
mod zstd;

use std::io::{Read, Write};

use bounded::{Sink, Source, outcome};
pub use codec::{Codec, Codecs};
pub use error::{Error, Result};
pub use memory::{memory, parse_index, unpack_memory};
pub use recipe::{Lengths, Recipe};

/// Writes the plain content of a member.
///
/// Reads exactly `lengths.packed` bytes and writes at most `lengths.plain`. Checksums inside of
/// the member are not looked at where they do not decide what comes out.
///
/// # Errors
/// The codec is not included, the member is damaged or has another length, or I/O fails. What
/// was written until then is to be thrown away. Of members with a parse there is
/// [`parse::unpack_parsed`].
pub fn unpack(
    recipe: &Recipe,
    lengths: Lengths,
    packed: &mut dyn Read,
    out: &mut dyn Write,
) -> Result<()> {
    let mut source = Source::new(packed, "packed", lengths.packed);
    let mut sink = Sink::new(out, "plain", lengths.plain);
    let result = match recipe {
        #[cfg(feature = "deflate")]
        Recipe::Deflate(deflate) => deflate::unpack(deflate, &mut source, &mut sink),
        #[cfg(feature = "xz")]
        Recipe::Xz(xz) => xz::unpack(xz, &mut source, &mut sink),
        Recipe::Parse(_) => Err(Error::NeedsSpace),
        #[cfg(feature = "zstd")]
        Recipe::Zstd(zstd) => zstd::unpack(zstd, lengths, &mut source, &mut sink),
        #[cfg(feature = "lz4")]
        Recipe::Lz4(_) => lz4::unpack(&mut source, &mut sink),
        #[cfg(not(all(feature = "deflate", feature = "xz", feature = "zstd", feature = "lz4")))]
        other => Err(Error::NotIncluded(other.codec())),
    };
    outcome(result, source, sink)
}

/// Packs the content of a member again, bit by bit as it was.
///
/// Reads exactly `lengths.plain` bytes and writes exactly `lengths.packed`.
///
/// # Errors
/// The codec is not included, the packer fails, what comes out has another length than declared,
/// or I/O fails. What was written until then is to be thrown away. Of members with a parse there is
/// [`parse::repack_parsed`].
pub fn repack(
    recipe: &Recipe,
    lengths: Lengths,
    plain: &mut dyn Read,
    out: &mut dyn Write,
) -> Result<()> {
    let mut source = Source::new(plain, "plain", lengths.plain);
    let mut sink = Sink::new(out, "packed", lengths.packed);
    let result = match recipe {
        #[cfg(feature = "deflate")]
        Recipe::Deflate(deflate) => deflate::repack(deflate, lengths, &mut source, &mut sink),
        #[cfg(feature = "xz")]
        Recipe::Xz(xz) => xz::repack(xz, lengths, &mut source, &mut sink),
        Recipe::Parse(_) => Err(Error::NeedsSpace),
        #[cfg(feature = "zstd")]
        Recipe::Zstd(zstd) => zstd::repack(zstd, lengths, &mut source, &mut sink),
        #[cfg(feature = "lz4")]
        Recipe::Lz4(lz4) => lz4::repack(lz4, &mut source, &mut sink),
        #[cfg(not(all(feature = "deflate", feature = "xz", feature = "zstd", feature = "lz4")))]
        other => Err(Error::NotIncluded(other.codec())),
    };
    outcome(result, source, sink)
}
