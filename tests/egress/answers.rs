//! Answers: their limits, how they are decompressed, and what is no answer.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use waystation::egress::fetch::{FetchError, Limits, Request, Response};

use crate::world::{Server, answer, failure, fetch, fetch_within, get};

const TEXT: &str = "to be compressed, to be compressed, to be compressed";

/// [`TEXT`], by Brotli.
const BROTLI: &[u8] = &[
    27, 51, 0, 248, 165, 218, 232, 178, 17, 97, 154, 169, 16, 78, 138, 8, 178, 211, 23,
];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Fetches a body that is said to be compressed in some way.
async fn encoded(encoding: &str, body: Vec<u8>) -> Result<Vec<u8>, String> {
    let header = format!("content-encoding: {encoding}");
    let server = Server::fixed(answer("200 OK", &[&header], body)).await;
    let fetched = fetch(&[&server], get(server.url("/"))).await;
    fetched
        .map(|response| response.body)
        .map_err(|error| error.to_string())
}

#[tokio::test]
async fn an_answer_is_given_whole() {
    let server = Server::fixed(answer(
        "418 Tea",
        &["x-a: 1", "X-A: 2", "x-b: \u{e9}"],
        "pot",
    ))
    .await;
    let request = Request {
        method: "post".to_owned(),
        headers: vec![
            ("X-Key".to_owned(), "k".to_owned()),
            ("x-key".to_owned(), "l".to_owned()),
        ],
        body: b"body".to_vec(),
        ..get(server.url("/a/../b?c=%20#d"))
    };
    let headers = [
        ("content-length", "3"),
        ("x-a", "1"),
        ("x-a", "2"),
        ("x-b", "\u{e9}"),
    ];
    let expected = Response {
        url: server.url("/b?c=%20"),
        status: 418,
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        body: b"pot".to_vec(),
        redirected: false,
    };
    assert_eq!(fetch(&[&server], request).await, Ok(expected));
    let sent = format!(
        "POST /b?c=%20 HTTP/1.1\r\nx-key: k\r\nx-key: l\r\naccept: */*\r\naccept-encoding: gzip, deflate, br\r\n\
         user-agent: waystation/{}\r\nhost: {}\r\ncontent-length: 4\r\n\r\nbody",
        env!("CARGO_PKG_VERSION"),
        server.address
    );
    assert_eq!(server.requests(), [sent]);
}

#[tokio::test]
async fn every_coding_that_is_asked_for_is_undone() {
    let text = TEXT.as_bytes();
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(text).unwrap();
    let mut raw = DeflateEncoder::new(Vec::new(), Compression::best());
    raw.write_all(text).unwrap();
    for (encoding, body) in [
        ("gzip", gzip(text)),
        ("X-GZip", gzip(text)),
        ("gzip, identity", gzip(text)),
        ("gzip", [gzip(&text[..9]), gzip(&text[9..])].concat()),
        ("deflate", zlib.finish().unwrap()),
        ("deflate", raw.finish().unwrap()),
        ("br", BROTLI.to_vec()),
        ("identity", text.to_vec()),
        ("", text.to_vec()),
    ] {
        assert_eq!(
            encoded(encoding, body).await,
            Ok(text.to_vec()),
            "{encoding}"
        );
    }
    for encoding in ["gzip", "deflate", "br"] {
        assert_eq!(
            encoded(encoding, Vec::new()).await,
            Ok(Vec::new()),
            "{encoding}"
        );
    }
}

#[tokio::test]
async fn other_codings_and_damaged_ones_are_errors() {
    let several = "the answer cannot be decompressed: it is compressed several times over";
    let nested = vec!["gzip"; 20].join(", ");
    for encoding in ["gzip, gzip", "br, gzip", &nested] {
        assert_eq!(encoded(encoding, gzip(b"a")).await, Err(several.to_owned()));
    }
    let unknown =
        "the answer cannot be decompressed: `zstd` is not known, only `gzip`, `deflate` and `br`";
    assert_eq!(encoded("zstd", gzip(b"a")).await, Err(unknown.to_owned()));
    let mut cut = gzip(TEXT.as_bytes());
    cut.truncate(cut.len() - 9);
    for (encoding, body) in [
        ("gzip", cut),
        ("gzip", b"plain".to_vec()),
        ("br", BROTLI[..10].to_vec()),
    ] {
        let failed = encoded(encoding, body).await.unwrap_err();
        assert!(
            failed.starts_with("the answer cannot be decompressed: "),
            "{failed}"
        );
    }
}

#[tokio::test]
async fn a_small_answer_that_grows_is_stopped() {
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..512 {
        bomb.write_all(&[0; 1 << 20]).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 1 << 20);
    let large = Err("the answer is larger than 16777216 bytes".to_owned());
    assert_eq!(encoded("gzip", bomb).await, large);
    // One byte more than the limit, and the limit itself.
    let at_most = vec![7; 16 << 20];
    assert_eq!(encoded("gzip", gzip(&at_most)).await, Ok(at_most.clone()));
    assert_eq!(
        encoded("gzip", gzip(&[at_most, vec![7]].concat())).await,
        large
    );
}

#[tokio::test]
async fn a_body_has_a_limit_whether_it_says_its_length_or_not() {
    let limits = Limits {
        body: 1000,
        ..Limits::default()
    };
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let chunked = [
        chunked,
        b"64\r\n".to_vec(),
        vec![b'a'; 100],
        b"\r\n".to_vec(),
    ]
    .concat();
    let endless = [
        chunked,
        [b"64\r\n".to_vec(), vec![b'a'; 100], b"\r\n".to_vec()]
            .concat()
            .repeat(100),
    ]
    .concat();
    for bytes in [
        answer("200 OK", &[], vec![b'a'; 1001]),
        b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n".to_vec(),
        [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'a'; 5000]].concat(),
        endless,
    ] {
        let server = Server::fixed(bytes).await;
        let failed = fetch_within(&[&server], get(server.url("/")), limits).await;
        assert_eq!(failed, Err(FetchError::Large(1000)));
    }
    let server = Server::fixed(answer("200 OK", &[], vec![b'a'; 1000])).await;
    assert_eq!(
        fetch_within(&[&server], get(server.url("/")), limits)
            .await
            .unwrap()
            .body
            .len(),
        1000
    );
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    // Nothing more comes, and nothing is closed.
    let silent = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc";
    let limits = Limits {
        time: Duration::from_millis(300),
        ..Limits::default()
    };
    for bytes in [silent, "HTTP/1.1 200 OK\r\ncontent-length"] {
        let server = Server::fixed(bytes).await;
        let failed = fetch_within(&[&server], get(server.url("/")), limits).await;
        assert_eq!(
            failed.unwrap_err().to_string(),
            "no whole answer within 0.3 s"
        );
    }
}

#[tokio::test]
async fn a_head_has_limits() {
    let many: Vec<String> = (0..1000).map(|number| format!("x-{number}: a")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let long = format!("x: {}", "a".repeat(70_000));
    for headers in [&many[..], &many[..100], &[&long]] {
        let server = Server::fixed(answer("200 OK", headers, "")).await;
        let sentence = "the answer has more than 100 headers, or a head larger than 64 KiB";
        assert_eq!(failure(&[&server], server.url("/")).await, sentence);
    }
    let server = Server::fixed(answer("200 OK", &many[..99], "")).await;
    assert_eq!(
        fetch(&[&server], get(server.url("/")))
            .await
            .unwrap()
            .headers
            .len(),
        100
    );
}

#[tokio::test]
async fn what_is_no_answer_is_told_so() {
    for (bytes, why) in [
        ("", "connection closed before message completed"),
        ("hello content-length", "invalid HTTP version parsed"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "invalid HTTP version parsed"),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
            "invalid content-length parsed",
        ),
    ] {
        let server = Server::fixed(bytes).await;
        let sentence = format!("`{}` gave no whole answer: {why}", server.address);
        assert_eq!(
            failure(&[&server], server.url("/")).await,
            sentence,
            "{bytes}"
        );
    }
    let cut = Server::new(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_vec()).await;
    let failed = failure(&[&cut], cut.url("/")).await;
    assert!(
        failed.starts_with(&format!("`{}` gave no whole answer: ", cut.address)),
        "{failed}"
    );
}
