//! SHA-256 (FIPS 180-4) and HMAC with it (RFC 2104), for ids.

const START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The first 32 bits of the fractions of the cube roots of the first 64 primes.
const ROUNDS: [u32; 64] = round_constants();

const BLOCK: usize = 64;
const LENGTH_AT: usize = 56;

/// The fraction's bits of ∛p are the last 32 of the whole part of ∛(p·2⁹⁶).
const fn round_constants() -> [u32; 64] {
    let (mut found, mut count, mut candidate) = ([0; 64], 0, 2u128);
    while count < 64 {
        let (mut divisor, mut is_prime) = (2, true);
        while divisor * divisor <= candidate {
            is_prime = is_prime && candidate % divisor != 0;
            divisor += 1;
        }
        if is_prime {
            // 311 is the 64th prime, so that the root has at most 35 bits and its cube 105.
            let (mut root, mut bit) = (0u128, 1u128 << 35);
            while bit > 0 {
                let tried = root | bit;
                if tried * tried * tried <= candidate << 96 {
                    root = tried;
                }
                bit >>= 1;
            }
            found[count] = root as u32;
            count += 1;
        }
        candidate += 1;
    }
    found
}

type State = [u32; 8];

/// One block into the state.
fn compress(state: &mut State, block: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1") && is_x86_feature_detected!("ssse3") {
        // SAFETY: the processor has these instructions; a block has 64 bytes.
        return unsafe { compress_by_processor(state, &block[..BLOCK]) };
    }
    compress_plainly(state, block);
}

/// The same by the processor's instructions for it, in a fifth of the time: two rounds an instruction. They want the
/// state as (a b e f) and (c d g h), the last named in the lowest place.
///
/// # Safety
/// The processor has them; `block` has 64 bytes.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
unsafe fn compress_by_processor(state: &mut State, block: &[u8]) {
    use std::arch::x86_64::*;
    let big_endian = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    let low = _mm_shuffle_epi32(_mm_loadu_si128(state.as_ptr().cast()), 0xb1);
    let high = _mm_shuffle_epi32(_mm_loadu_si128(state.as_ptr().add(4).cast()), 0x1b);
    let start = (_mm_alignr_epi8(low, high, 8), _mm_blend_epi16(high, low, 0xf0));
    let (mut abef, mut cdgh) = start;
    let mut words = [_mm_setzero_si128(); 4]; // the last sixteen
    for group in 0..16 {
        let at = group % 4;
        if group < 4 {
            words[at] = _mm_shuffle_epi8(_mm_loadu_si128(block.as_ptr().add(16 * group).cast()), big_endian);
        } else {
            let (second, third, last) = (words[(at + 1) % 4], words[(at + 2) % 4], words[(at + 3) % 4]);
            let sum = _mm_add_epi32(_mm_sha256msg1_epu32(words[at], second), _mm_alignr_epi8(last, third, 4));
            words[at] = _mm_sha256msg2_epu32(sum, last);
        }
        let mixed = _mm_add_epi32(words[at], _mm_loadu_si128(ROUNDS.as_ptr().add(4 * group).cast()));
        cdgh = _mm_sha256rnds2_epu32(cdgh, abef, mixed);
        abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(mixed, 0x0e));
    }
    let low = _mm_shuffle_epi32(_mm_add_epi32(abef, start.0), 0x1b);
    let high = _mm_shuffle_epi32(_mm_add_epi32(cdgh, start.1), 0xb1);
    _mm_storeu_si128(state.as_mut_ptr().cast(), _mm_blend_epi16(low, high, 0xf0));
    _mm_storeu_si128(state.as_mut_ptr().add(4).cast(), _mm_alignr_epi8(high, low, 8));
}

fn compress_plainly(state: &mut State, block: &[u8]) {
    let mut words = [0u32; 64];
    for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
        *word = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    for at in 16..64 {
        let (near, far) = (words[at - 2], words[at - 15]);
        let small0 = far.rotate_right(7) ^ far.rotate_right(18) ^ far >> 3;
        let small1 = near.rotate_right(17) ^ near.rotate_right(19) ^ near >> 10;
        words[at] = words[at - 16].wrapping_add(small0).wrapping_add(words[at - 7]).wrapping_add(small1);
    }
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    for (word, constant) in words.iter().zip(&ROUNDS) {
        let large1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let choice = e & f ^ !e & g;
        let first = h.wrapping_add(large1).wrapping_add(choice).wrapping_add(*constant).wrapping_add(*word);
        let large0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let majority = a & b ^ a & c ^ b & c;
        h = g;
        g = f;
        f = e;
        e = d.wrapping_add(first);
        d = c;
        c = b;
        b = a;
        a = first.wrapping_add(large0.wrapping_add(majority));
    }
    for (kept, more) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *kept = kept.wrapping_add(more);
    }
}

/// Goes on from `state`, which stands for `before` bytes (whole blocks), with the last bytes.
fn finish(mut state: State, before: usize, data: &[u8]) -> [u8; 32] {
    let mut blocks = data.chunks_exact(BLOCK);
    for block in &mut blocks {
        compress(&mut state, block);
    }
    let rest = blocks.remainder();
    let mut last = [0; 2 * BLOCK];
    last[..rest.len()].copy_from_slice(rest);
    last[rest.len()] = 0x80;
    let end = if rest.len() < LENGTH_AT { BLOCK } else { 2 * BLOCK };
    let bits = (before + data.len()) as u64 * 8;
    last[end - 8..end].copy_from_slice(&bits.to_be_bytes());
    for block in last[..end].chunks_exact(BLOCK) {
        compress(&mut state, block);
    }
    let mut digest = [0; 32];
    for (bytes, word) in digest.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

/// The hash of these bytes.
pub fn sha256(data: &[u8]) -> [u8; 32] {
    finish(START, 0, data)
}

/// HMAC under one key; the two blocks of the key are hashed once.
pub struct Hmac {
    inner: State,
    outer: State,
}

impl Hmac {
    /// A key of any length.
    pub fn new(key: &[u8]) -> Self {
        let mut block = [0; BLOCK];
        if key.len() > BLOCK {
            block[..32].copy_from_slice(&sha256(key));
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        let keyed = |pad: u8| {
            let mut state = START;
            compress(&mut state, &block.map(|byte| byte ^ pad));
            state
        };
        Hmac { inner: keyed(0x36), outer: keyed(0x5c) }
    }

    /// The code of these bytes.
    pub fn of(&self, data: &[u8]) -> [u8; 32] {
        finish(self.outer, BLOCK, &finish(self.inner, BLOCK, data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(digest: [u8; 32]) -> String {
        digest.iter().map(|byte| format!("{:02x}", byte)).collect()
    }

    #[test]
    fn the_constants_are_the_standard_s() {
        assert_eq!((ROUNDS[0], ROUNDS[31], ROUNDS[63]), (0x428a_2f98, 0x1429_2967, 0xc671_78f2));
    }

    #[test]
    fn the_standard_s_examples_hash_as_it_says() {
        let long = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        for (data, hash) in [
            (&b""[..], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (long, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"),
            (&[b'a'; 1_000_000], "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
        ] {
            assert_eq!(hex(sha256(data)), hash, "{} bytes", data.len());
        }
    }

    #[test]
    fn the_processor_s_way_is_the_plain_one() {
        let block: Vec<u8> = (0..BLOCK as u32).map(|at| (at * 37 + 11) as u8).collect();
        let (mut quick, mut plain) = (START, START);
        for _ in 0..100 {
            compress(&mut quick, &block);
            compress_plainly(&mut plain, &block);
            assert_eq!(quick, plain);
        }
    }

    #[test]
    fn rfc_4231_s_examples_have_the_codes_that_it_says() {
        let larger = b"This is a test using a larger than block-size key and a larger than block-size data. \
            The key needs to be hashed before being used by the HMAC algorithm.";
        for (key, data, code) in [
            (&[0x0b; 20][..], &b"Hi There"[..], "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (&[0xaa; 20], &[0xdd; 50], "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
            (&[0xaa; 131], larger, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"),
        ] {
            assert_eq!(hex(Hmac::new(key).of(data)), code);
        }
    }
}
