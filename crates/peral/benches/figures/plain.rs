//! The body code of a download without encryption and without a verifier: what these two cost. Two
//! processes, as in a download.

use std::{
    fs::File,
    net::SocketAddr,
    os::unix::fs::FileExt,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use peral_model::pieces::{self, PIECE};
use peral_testkit::Process;
use peral_transfer::{
    pool::Pool,
    wirebody::{PieceBody, Receiver, SentPiece, request},
};
use peral_wire::pb;
use tokio::net::{TcpListener, TcpStream};

use crate::{
    process::{cpu_of, first_line, run, settle},
    report::median,
};

const FRAME: u32 = 1 << 20;
const STREAM_WINDOW: u32 = 8 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// CPU seconds of both sides for the file, the middle of `runs`.
pub fn measure(file: &Path, scratch: &Path, runs: usize) -> f64 {
    let me = std::env::current_exe().expect("this program");
    let address = scratch.join("plain.address");
    let _ = std::fs::remove_file(&address);
    let mut sending = Command::new(&me);
    sending.arg("plain-send").arg(file).arg(&address).stdin(Stdio::null());
    let server = Process::start(sending, &scratch.join("plain.log"));
    let at = first_line(&address);
    let target = scratch.join("plain.bin");
    let once = || {
        let _ = std::fs::remove_file(&target);
        settle();
        let before = cpu_of(server.pid());
        let cost = run(Command::new(&me).arg("plain-receive").arg(&at).arg(&target));
        cost.cpu + cpu_of(server.pid()) - before
    };
    let cpu = median((0..runs).map(|_| once()).collect());
    assert_eq!(
        std::fs::metadata(&target).map(|meta| meta.len()).ok(),
        std::fs::metadata(file).map(|meta| meta.len()).ok()
    );
    let _ = std::fs::remove_file(&target);
    cpu
}

/// The sending process.
pub async fn send(file: &Path, address: &Path) {
    let file = Arc::new(File::open(file).expect("the file"));
    let size = file.metadata().expect("its size").len();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    std::fs::write(address, format!("{}\n", listener.local_addr().expect("bound")))
        .expect("a file");
    let pool = Pool::new(32);
    loop {
        let (socket, _) = listener.accept().await.expect("a connection");
        socket.set_nodelay(true).expect("TCP");
        let (file, pool) = (Arc::clone(&file), pool.clone());
        let service = hyper::service::service_fn(move |_request| {
            let body = PieceBody::new(read(Arc::clone(&file), size, pool.clone()));
            async move { Ok::<_, std::convert::Infallible>(body.into_response()) }
        });
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder
            .max_frame_size(FRAME)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        tokio::spawn(builder.serve_connection(TokioIo::new(socket), service));
    }
}

fn read(
    file: Arc<File>,
    size: u64,
    pool: Pool,
) -> impl futures::Stream<Item = Result<SentPiece, peral_wire::Failure>> {
    let reads = (0..pieces::count(size)).map(move |index| {
        let (file, pool) = (Arc::clone(&file), pool.clone());
        async move {
            let mut buffer = pool.take(pieces::length(size, index)).await;
            let data: Bytes = tokio::task::spawn_blocking(move || {
                file.read_exact_at(buffer.as_mut(), index * PIECE)
                    .expect("the file is as long as it was");
                buffer.freeze()
            })
            .await
            .expect("reading does not panic");
            Ok(SentPiece { index, data })
        }
    });
    stream::iter(reads).buffered(2)
}

/// The receiving process.
pub async fn receive(address: SocketAddr, target: &Path) {
    let socket = TcpStream::connect(address).await.expect("the sender listens");
    socket.set_nodelay(true).expect("TCP");
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    builder
        .max_frame_size(FRAME)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let (mut sender, connection) = builder.handshake(TokioIo::new(socket)).await.expect("HTTP/2");
    tokio::spawn(connection);
    let mut asked = request("/plain", &pb::DownloadFileRequest::default());
    *asked.uri_mut() = format!("http://{address}/plain").parse().expect("an address makes a URI");
    let answer = sender.send_request(asked).await.expect("an answer");
    let mut pieces = Receiver::new(answer.map(|body| {
        tonic::body::Body::new(body.map_err(|error| tonic::Status::unavailable(error.to_string())))
    }))
    .expect("a stream");
    let file =
        File::options().create(true).truncate(true).write(true).open(target).expect("a file");
    while let Some(piece) = pieces.next().await.expect("pieces") {
        let mut at = piece.index * PIECE;
        for part in &piece.parts {
            file.write_all_at(part, at).expect("room on the disk");
            at += part.len() as u64;
        }
    }
}
