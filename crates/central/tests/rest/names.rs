//! What bad input gets.

use peral_model::{FileName, Visibility};
use peral_wire::{ErrorCode, failure::Problem};

use crate::support::{Net, code};

#[tokio::test(flavor = "multi_thread")]
async fn names_that_could_leave_a_folder_are_refused_everywhere() {
    let net = Net::start().await;
    let (peer, root) = (net.peer("root").await, net.root().await);
    let long = "x".repeat(256);
    for name in
        ["", "..", "../a", "a/../b", "/etc/passwd", "a//b", "a/", "a\0b", ".", long.as_str()]
    {
        assert_eq!(
            code(peer.publish(name, "x", Visibility::Public, None).await),
            ErrorCode::InvalidName,
            "{name:?}"
        );
    }
    let http = reqwest::Client::new();
    for path in ["%2e%2e/a", "a/%2e%2e/b", "%2fetc", "a//b", "a%00b", "%ff", "a/."] {
        let url = format!("{}/v1/files/{path}", net.base);
        // A URL library would tidy the path up; the server gets it as it is.
        let answer = raw(
            &net,
            &format!("GET {} HTTP/1.1", url.replacen(&net.base, "", 1)),
            &root.login.credentials.token,
            "",
        )
        .await;
        assert!(
            answer.starts_with("HTTP/1.1 400") && answer.contains("INVALID_NAME"),
            "{path}: {answer}"
        );
    }
    drop(http);
    assert!(
        root.api.search(&peral_wire::catalogue::Search::default()).await.unwrap().items.is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn any_other_unicode_comes_back_equal() {
    let net = Net::start().await;
    let (peer, root) = (net.peer("root").await, net.root().await);
    let names = [
        "models/llama 3.gguf",
        "ünï/çødé",
        "e\u{301}",
        "\u{1b}]0;x\u{7}",
        "a\\b",
        "...",
        "\u{202e}txt.exe",
        "100%/a?b#c&d=e+f",
        "日本",
    ];
    for name in names {
        peer.share(name, name, Visibility::Public).await.unwrap();
        let name = FileName::new(name).unwrap();
        assert_eq!(root.api.file(&name).await.unwrap().file.name, name);
        assert_eq!(root.api.locate(&name).await.unwrap().peers.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_a_problem_document() {
    let net = Net::start().await;
    let root = net.root().await;
    let http = reqwest::Client::new();
    let token = &root.login.credentials.token;
    let huge = "x".repeat((1 << 20) + 1);
    let cases = [
        ("POST", "/v1/sources", "{", 400, ErrorCode::InvalidArgument),
        ("POST", "/v1/sources", r#"{"nam":"a"}"#, 400, ErrorCode::InvalidArgument),
        ("POST", "/v1/sources", "{}", 400, ErrorCode::InvalidArgument),
        ("POST", "/v1/uploads", r#"{"name":"a","size":-1}"#, 400, ErrorCode::InvalidArgument),
        (
            "POST",
            "/v1/uploads",
            r#"{"name":"a","size":9223372036854775808}"#,
            400,
            ErrorCode::InvalidArgument,
        ),
        ("POST", "/v1/uploads", &huge, 413, ErrorCode::TooLarge),
        ("GET", "/v1/search?limit=x", "", 400, ErrorCode::InvalidArgument),
        ("GET", "/v1/search?hash=zz", "", 400, ErrorCode::InvalidArgument),
        ("GET", "/v1/search?q=abc%00", "", 400, ErrorCode::InvalidArgument),
        ("GET", "/v1/accounts?cursor=AA", "", 400, ErrorCode::InvalidArgument),
        ("POST", "/v1/sources", r#"{"name":"a","node":"\u0000"}"#, 400, ErrorCode::InvalidArgument),
        ("GET", "/v1/nothing", "", 404, ErrorCode::NotFound),
        ("GET", "/", "", 404, ErrorCode::NotFound),
        ("DELETE", "/v1/search", "", 405, ErrorCode::InvalidArgument),
        ("PATCH", "/v1/accounts/x", "{}", 400, ErrorCode::InvalidArgument),
    ];
    for (method, path, body, status, code) in cases {
        let request =
            http.request(method.parse().unwrap(), format!("{}{path}", net.base)).bearer_auth(token);
        let answer = request
            .header("content-type", "application/json")
            .body(body.to_owned())
            .send()
            .await
            .unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()),
            (status, "application/problem+json"),
            "{method} {path}"
        );
        for (header, value) in [
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(answer.headers()[header], value);
        }
        let problem: Problem = answer.json().await.unwrap();
        assert_eq!((problem.status, problem.code), (status, code), "{method} {path}");
    }
}

/// One request as it is, byte for byte.
pub async fn raw(net: &Net, line: &str, token: &str, body: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream =
        tokio::net::TcpStream::connect(net.base.trim_start_matches("http://")).await.unwrap();
    let length = body.len();
    let text = format!(
        "{line}\r\nhost: central\r\nauthorization: Bearer {token}\r\nconnection: \
         close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
