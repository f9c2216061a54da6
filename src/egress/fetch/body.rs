//! Reads an answer to its end, and decompresses it.

use std::io::{self, Read};

use brotli_decompressor::Decompressor;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_ENCODING, HeaderMap};
use tokio::task::spawn_blocking;

use super::hop::Hop;
use super::{FetchError, Response};

/// How a body is compressed.
#[derive(Clone, Copy)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
}

/// Reads the rest of the answer to a request, the body up to a limit.
pub(super) async fn read(
    hop: &Hop,
    response: hyper::Response<Incoming>,
    limit: usize,
) -> Result<Response, FetchError> {
    let (head, incoming) = response.into_parts();
    let coding = coding(&head.headers)?;
    let mut body = collect(hop, incoming, limit).await?;
    if let Some(coding) = coding.filter(|_| !body.is_empty()) {
        let plain = spawn_blocking(move || decompress(coding, &body, limit)).await;
        body = plain.map_err(|error| FetchError::Encoding(error.to_string()))??;
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = head.headers.iter();
    let headers = headers.map(|(name, value)| (name.to_string(), text(value.as_bytes())));
    Ok(Response {
        url: hop.url.to_string(),
        status: head.status.as_u16(),
        headers: headers.collect(),
        body,
        redirected: false,
    })
}

/// The one coding that there may be. Several would let a small answer grow without end.
fn coding(headers: &HeaderMap) -> Result<Option<Coding>, FetchError> {
    let values = headers.get_all(CONTENT_ENCODING).into_iter();
    let values = values.map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase());
    let values: Vec<String> = values.collect();
    let names = values
        .iter()
        .flat_map(|value| value.split(','))
        .map(str::trim);
    let names: Vec<&str> = names
        .filter(|name| !matches!(*name, "" | "identity"))
        .collect();
    match names[..] {
        [] => Ok(None),
        ["gzip" | "x-gzip"] => Ok(Some(Coding::Gzip)),
        ["deflate"] => Ok(Some(Coding::Deflate)),
        ["br"] => Ok(Some(Coding::Brotli)),
        [other] => Err(FetchError::Encoding(format!(
            "`{other}` is not known, only `gzip`, `deflate` and `br`"
        ))),
        _ => Err(FetchError::Encoding(
            "it is compressed several times over".to_owned(),
        )),
    }
}

async fn collect(hop: &Hop, mut incoming: Incoming, limit: usize) -> Result<Vec<u8>, FetchError> {
    let declared = usize::try_from(incoming.size_hint().lower());
    if declared.is_ok_and(|declared| declared > limit) {
        return Err(FetchError::Large(limit));
    }
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        let broken = |error: hyper::Error| FetchError::Broken {
            host: hop.host(),
            why: error.to_string(),
        };
        let data = frame.map_err(broken)?.into_data().unwrap_or_default();
        if body.len() + data.len() > limit {
            return Err(FetchError::Large(limit));
        }
        body.extend_from_slice(&data);
    }
    Ok(body)
}

fn decompress(coding: Coding, body: &[u8], limit: usize) -> Result<Vec<u8>, FetchError> {
    match coding {
        Coding::Gzip => plain(MultiGzDecoder::new(body), limit),
        // Some servers leave out the header that belongs to it, whose first byte ends in 8.
        Coding::Deflate if body.first().is_some_and(|byte| byte & 15 == 8) => {
            plain(ZlibDecoder::new(body), limit)
        }
        Coding::Deflate => plain(DeflateDecoder::new(body), limit),
        Coding::Brotli => plain(Decompressor::new(body, BUFFER), limit),
    }
}

/// The buffer of a decompressor that needs one, in bytes.
const BUFFER: usize = 4096;

fn plain(decoder: impl Read, limit: usize) -> Result<Vec<u8>, FetchError> {
    let mut plain = Vec::new();
    let damaged = |error: io::Error| FetchError::Encoding(error.to_string());
    decoder
        .take(limit as u64 + 1)
        .read_to_end(&mut plain)
        .map_err(damaged)?;
    match plain.len() > limit {
        true => Err(FetchError::Large(limit)),
        false => Ok(plain),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Coding, decompress};

    proptest! {
        #[test]
        fn no_bytes_make_decompressing_panic_or_pass_the_limit(body in any::<Vec<u8>>(), limit in 0..64usize) {
            for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli] {
                let plain = decompress(coding, &body, limit);
                prop_assert!(plain.is_err() || plain.unwrap().len() <= limit);
            }
        }
    }
}
