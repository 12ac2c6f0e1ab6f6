//! Bodies far too large to hold, made while they are sent: rows that look right, noise, and a gzip bomb.

use std::io::Write;

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress, write::GzEncoder};
use futures_util::stream::{self, Stream, StreamExt};

/// One piece of a stream, unpacked.
const PIECE: usize = 1 << 20;

const START: &[u8] = br#"{"type":"array","data":["#;

/// `size` bytes (up to a piece more) of an agent list that never ends.
pub(super) fn rows(size: u64) -> impl Stream<Item = Bytes> + Send + 'static {
    let start = stream::once(async { Bytes::from_static(START) });
    start.chain(repeated(Bytes::from(row_piece()), size))
}

/// `size` bytes (up to a piece more) of noise: every byte value but no meaning.
pub(super) fn noise(size: u64) -> impl Stream<Item = Bytes> + Send + 'static {
    let mut random = super::random::Random::new(size);
    let piece: Vec<u8> = (0..PIECE / 8).flat_map(|_| random.next().to_le_bytes()).collect();
    repeated(Bytes::from(piece), size)
}

/// A gzip body, valid to its last byte, that unpacks to about `size` bytes of rows. A piece is packed once and ends
/// on a byte with nothing referred back to, so that sending it again is sending its content again.
pub(super) fn gzip_bomb(size: u64) -> impl Stream<Item = Bytes> + Send + 'static {
    let plain = row_piece();
    let packed = pack(&plain);
    let pieces = pieces(size);
    let mut one = Crc::new();
    one.update(&plain);
    let mut all = Crc::new();
    all.update(START);
    for _ in 0..pieces {
        all.combine(&one);
    }
    let mut end = vec![0x03, 0x00];
    end.extend_from_slice(&all.sum().to_le_bytes());
    end.extend_from_slice(&all.amount().to_le_bytes());
    let start = [gzip_head(), pack(START)].concat();
    let head = stream::once(async { Bytes::from(start) });
    let end = stream::once(async { Bytes::from(end) });
    head.chain(repeated(Bytes::from(packed), size)).chain(end)
}

/// How many pieces make up `size` bytes.
fn pieces(size: u64) -> u64 {
    size.div_ceil(PIECE as u64)
}

fn repeated(piece: Bytes, size: u64) -> impl Stream<Item = Bytes> + Send + 'static {
    stream::iter((0..pieces(size)).map(move |_| piece.clone()))
}

/// Exactly a piece of whole agent rows; what is left over is filled with spaces.
fn row_piece() -> Vec<u8> {
    let row = br#"{"agent_id":"1","agent_id_group":"2","alias":"web-01","agent_name":"web-01","type_row":"agent"},"#;
    let mut piece = row.repeat(PIECE / row.len());
    piece.resize(PIECE, b' ');
    piece
}

/// A piece as raw deflate blocks that end on a byte and forget what was before.
fn pack(plain: &[u8]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(plain.len() + 64);
    // Into memory with room for all of it, packing cannot fail.
    let _done = Compress::new(Compression::best(), false).compress_vec(plain, &mut packed, FlushCompress::Full);
    packed
}

/// The ten bytes before the first block.
fn gzip_head() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to memory cannot fail.
    let _done = encoder.flush();
    let mut head = encoder.finish().unwrap_or_default();
    head.truncate(10);
    head
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[tokio::test]
    async fn a_bomb_is_small_and_unpacks_whole() {
        let chunks: Vec<Bytes> = gzip_bomb(20 * PIECE as u64).collect().await;
        let wire = chunks.concat();
        assert!(wire.len() * 100 < 20 * PIECE, "{}", wire.len());
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(wire.as_slice()).read_to_end(&mut plain).unwrap();
        assert_eq!(plain.len(), START.len() + 20 * PIECE);
        assert!(plain.starts_with(br#"{"type":"array","data":[{"agent_id":"1""#));
    }
}
