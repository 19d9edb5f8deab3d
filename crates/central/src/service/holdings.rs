//! Holdings: what peers have on their disks.

use base64::{Engine, engine::general_purpose::STANDARD};
use peral_wire::{
    Failure, fail,
    rest::holdings::{
        BUCKETS, Bucket, Delta, DeltaAnswer, Deltas, Digest, DigestAnswer, Extent, MAX_ROWS,
        row_hash,
    },
};

use super::{app::App, caller::PeerCaller};

impl App {
    /// Applies the next deltas of a peer.
    ///
    /// # Errors
    /// INDEX_GAP, STALE_EPOCH, INVALID_ARGUMENT.
    pub async fn index(&self, peer: &PeerCaller, deltas: Deltas) -> Result<DeltaAnswer, Failure> {
        at_most(deltas.deltas.len())?;
        counts_up(deltas.first, deltas.deltas.len())?;
        in_range(&deltas.deltas)?;
        Ok(DeltaAnswer {
            last_delta: self.store()?.apply_deltas(peer.writer, deltas, self.now()).await?,
        })
    }

    /// Compares a peer's digest with the catalogue.
    ///
    /// # Errors
    /// STALE_EPOCH, INVALID_ARGUMENT.
    pub async fn digest(
        &self,
        peer: &PeerCaller,
        digest: &Digest,
    ) -> Result<DigestAnswer, Failure> {
        counts_up(digest.last_delta, 0)?;
        let bytes = STANDARD
            .decode(&digest.buckets)
            .map_err(|error| fail!(InvalidArgument, "cannot read the digest: {error}"))?;
        let (words, _) = bytes.as_chunks();
        let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        if bytes.len() != BUCKETS * 8 {
            return Err(fail!(
                InvalidArgument,
                "a digest has {BUCKETS} words of 8 bytes, not {} bytes",
                bytes.len()
            ));
        }
        let differing = self.store()?.compare_digest(peer.writer, digest.last_delta, words).await?;
        Ok(DigestAnswer { differing })
    }

    /// Replaces, or adds to, the rows of one bucket.
    ///
    /// # Errors
    /// STALE_EPOCH, INVALID_ARGUMENT.
    pub async fn bucket(&self, peer: &PeerCaller, bucket: Bucket) -> Result<DeltaAnswer, Failure> {
        at_most(bucket.rows.len())?;
        counts_up(bucket.last_delta, 0)?;
        in_range(&bucket.rows)?;
        let belongs = |row: &Delta| {
            let (of, _) = row_hash(row);
            row.held != Extent::None && of == bucket.bucket
        };
        if usize::from(bucket.bucket) >= BUCKETS || !bucket.rows.iter().all(belongs) {
            return Err(fail!(
                InvalidArgument,
                "bucket {} does not exist, or a row does not belong to it",
                bucket.bucket
            ));
        }
        Ok(DeltaAnswer {
            last_delta: self.store()?.replace_bucket(peer.writer, bucket, self.now()).await?,
        })
    }
}

fn at_most(rows: usize) -> Result<(), Failure> {
    if rows <= MAX_ROWS {
        Ok(())
    } else {
        Err(fail!(InvalidArgument, "{rows} rows in one request; the maximum is {MAX_ROWS}"))
    }
}

/// Numbers are stored in signed 64 bits.
fn counts_up(first: u64, count: usize) -> Result<(), Failure> {
    let last = first.checked_add(count as u64).and_then(|last| i64::try_from(last).ok());
    last.map(drop).ok_or_else(|| fail!(InvalidArgument, "a delta number is 2^63 or more"))
}

fn in_range(rows: &[Delta]) -> Result<(), Failure> {
    let fits = rows.iter().all(|row| i64::try_from(row.version.version).is_ok());
    if fits { Ok(()) } else { Err(fail!(InvalidArgument, "a version number is 2^63 or more")) }
}
