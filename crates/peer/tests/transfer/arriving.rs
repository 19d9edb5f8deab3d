//! What a running download has verified can be served before it is done.

use std::time::Duration;

use peral_model::{Record, Visibility, pieces::PIECE};
use peral_testkit::{
    identity::{Issuer, a_peer},
    sample::{MIB, sample},
    until,
};
use peral_transfer::limits::{Limits, Rates};
use peral_wire::{ErrorCode, Sealed, pb, pb::peer_service_client::PeerServiceClient, peer::failed};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::kit::{Getter, Peer, dial_as, shown};

const PIECES: u64 = 32;

async fn piece(
    client: &mut PeerServiceClient<Channel>,
    record: &Sealed<Record>,
    index: u64,
) -> Result<Vec<u8>, ErrorCode> {
    let request = pb::DownloadFileRequest {
        file: Some(shown(record, None)),
        ranges: vec![pb::PieceRange { first: index, count: 1 }],
        suspect: true,
    };
    let code = |status| failed(status).code;
    let mut pieces = client.download_file(request).await.map_err(code)?.into_inner();
    Ok(pieces.message().await.map_err(code)?.unwrap().data.to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_download_serves_the_pieces_that_it_has_and_no_others() {
    let net = Issuer::new();
    let slow = Limits::new(Rates { upload: 4 << 20, ..Rates::default() });
    let seed = Peer::with(&net, slow, "https://127.0.0.1:1").await;
    let bytes = sample(usize::try_from(PIECES).unwrap() * MIB);
    let record = seed.hold(&net, "a file", &bytes, Visibility::Public).await;
    let peer = Peer::start(&net).await;
    let mut getter =
        Getter::new(&net, &record, &[seed.source()]).with_registry(peer.library.registry());
    getter.request.wait = Duration::from_secs(60);
    let mut client = peer.client(&dial_as(&net, a_peer())).await;
    let cancel = CancellationToken::new();
    let asking = async {
        until("two pieces are there", async || getter.watcher.done() >= 2 * PIECE).await;
        // Nothing more comes, and the download waits.
        seed.kill();
        let mut served = 0;
        for index in 0..PIECES {
            match piece(&mut client, &record, index).await {
                Ok(data) => {
                    let from = usize::try_from(index * PIECE).unwrap();
                    assert!(data == bytes[from..from + MIB], "piece {index}");
                    served += 1;
                }
                Err(code) => assert_eq!(code, ErrorCode::NotFound),
            }
        }
        assert!((2..PIECES).contains(&served), "{served}");
        cancel.cancel();
    };
    let (ended, ()) = tokio::join!(getter.get_until(cancel.clone()), asking);
    assert_eq!(ended.unwrap_err().code, ErrorCode::Cancelled);
    for index in 0..PIECES {
        assert_eq!(piece(&mut client, &record, index).await, Err(ErrorCode::NotFound), "{index}");
    }
}
