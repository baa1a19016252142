//! From a password to the bytes that lock a key: scrypt, with its parameters chosen as by libsodium.

use zeroize::Zeroizing;

use crate::error::Error;

/// How much work it takes to try one password: libsodium's two limits for scrypt, which a locked
/// secret key file carries.
///
/// A value never exceeds [`KdfCost::MINISIGN`], so a hostile file cannot ask for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KdfCost {
    operations: u64,
    memory: u64,
}

impl KdfCost {
    /// What minisign takes for its keys: 1 GiB of memory, and some seconds.
    pub const MINISIGN: KdfCost = KdfCost { operations: 1 << 25, memory: 1 << 30 };

    /// Makes a cost of libsodium's "opslimit", and its "memlimit" in bytes.
    ///
    /// Any lower cost is allowed (minisign halves both while memory is short), though a cheap one
    /// makes guessing cheap: unlocking takes about `memory` bytes, or less if `operations` is less
    /// than `memory / 32`.
    ///
    /// # Errors
    ///
    /// [`Error::KdfCost`] if one of them exceeds [`KdfCost::MINISIGN`].
    pub fn new(operations: u64, memory: u64) -> Result<Self, Error> {
        let max = Self::MINISIGN;
        if operations > max.operations || memory > max.memory {
            return Err(Error::KdfCost {
                found_operations: operations,
                found_memory: memory,
                max_operations: max.operations,
                max_memory: max.memory,
            });
        }
        Ok(KdfCost { operations, memory })
    }

    /// Returns libsodium's "opslimit".
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// Returns libsodium's "memlimit", in bytes.
    pub fn memory(&self) -> u64 {
        self.memory
    }

    /// Derives `N` bytes from a password. Needs at most about 1 GiB, and aborts the process where
    /// even that cannot be had.
    pub(crate) fn derive<const N: usize>(
        &self,
        password: &[u8],
        salt: &[u8; 32],
    ) -> Zeroizing<[u8; N]> {
        let mut out = Zeroizing::new([0; N]);
        let (log_n, p) = self.log_n_and_p();
        // Neither call can fail: `r` and `p` are above 0 and bounded as `log_n_and_p` says, and
        // `N` is neither 0 nor near 2^32 blocks.
        let params = scrypt::Params::new(log_n, R, p).expect("the parameters are bounded");
        scrypt::scrypt(password, salt, &params, &mut *out).expect("the output is short");
        out
    }

    /// Chooses scrypt's parameters as libsodium's `pickparams` does (`crypto_pwhash/
    /// scryptsalsa208sha256/pwhash_scryptsalsa208sha256.c`, 1.0.18).
    ///
    /// With operations <= 2^25 and memory <= 2^30: 2 <= N <= 2^20 and 1 <= p <= 2^20 / N. So the
    /// memory, 1 KiB * (N + p), and the work, proportional to N * p, are bounded by those of
    /// [`KdfCost::MINISIGN`] (where N = 2^20 and p = 1).
    fn log_n_and_p(&self) -> (u8, u32) {
        let operations = self.operations.max(32768);
        // Each of N blocks takes 128 * r bytes, and 4 * r operations.
        if operations < self.memory / 32 {
            return (log_n(operations / (4 * u64::from(R))), 1);
        }
        let log_n = log_n(self.memory / (128 * u64::from(R)));
        let p = ((operations / 4) >> log_n) / u64::from(R);
        (log_n, u32::try_from(p).expect("p is at most 2^19"))
    }
}

/// The least `log_n` of at least 1 such that its power of two exceeds half of `max_n`.
fn log_n(max_n: u64) -> u8 {
    let mut log_n = 1;
    while 1 << log_n <= max_n / 2 {
        log_n += 1;
    }
    log_n
}

/// scrypt's block size, which libsodium fixes.
const R: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(operations: u64, memory: u64, expected: (u8, u32)) {
        let cost = KdfCost::new(operations, memory).unwrap();
        assert_eq!(cost.log_n_and_p(), expected, "{cost:?}");
    }

    #[test]
    fn parameters_are_chosen_as_by_libsodium() {
        check(1 << 25, 1 << 30, (20, 1));
        check(1 << 24, 1 << 29, (19, 1));
        check(1 << 20, 1 << 25, (15, 1));
        // Less memory than the operations would fill: more rounds over it.
        check(1 << 25, 1 << 20, (10, 1 << 10));
        check(1 << 25, 0, (1, 1 << 19));
        // Fewer operations than would fill the memory: less memory.
        check(0, 1 << 30, (10, 1));
        check((1 << 25) - 1, 1 << 30, (19, 1));
        // The parameters are powers of two, the limits need not be.
        check(1 << 25, (1 << 30) - 1, (19, 2));
        check(33_000_000, 700_000_000, (19, 1));
    }

    #[test]
    fn no_accepted_cost_exceeds_that_of_minisign() {
        // Around each power of two, where the parameters change.
        let limits = |max: u32| (0..=max).flat_map(|power| [(1_u64 << power) - 1, 1 << power]);
        for operations in limits(25) {
            for memory in limits(30) {
                let cost = KdfCost::new(operations, memory).unwrap();
                let (log_n, p) = cost.log_n_and_p();
                assert!(p >= 1 && u64::from(p) << log_n <= 1 << 20, "{cost:?}");
            }
        }
    }

    #[test]
    fn a_cost_above_that_of_minisign_is_refused() {
        for (operations, memory) in
            [((1 << 25) + 1, 1 << 30), (1 << 25, (1 << 30) + 1), (u64::MAX, 0)]
        {
            assert_eq!(
                KdfCost::new(operations, memory),
                Err(Error::KdfCost {
                    found_operations: operations,
                    found_memory: memory,
                    max_operations: 1 << 25,
                    max_memory: 1 << 30,
                })
            );
        }
    }
}
