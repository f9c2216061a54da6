//! Addresses, taken apart and put together as in browsers.

use rquickjs::function::Opt;
use rquickjs::{Ctx, Exception, Object, Result};
use url::{Url, quirks};

use crate::global::give;
use crate::prelude::pairs;

/// Gives `object` what `URL` and `URLSearchParams` are made of.
pub(crate) fn install<'js>(given: &Object<'js>) -> Result<()> {
    give(
        given,
        "address",
        |ctx: Ctx<'js>, text: String, base: Opt<Option<String>>| {
            let base = base
                .0
                .flatten()
                .map(|base| address(&ctx, &base, None))
                .transpose()?;
            Result::Ok(String::from(address(&ctx, &text, base.as_ref())?))
        },
    )?;
    give(
        given,
        "part",
        |ctx: Ctx<'js>, text: String, name: String| {
            Result::Ok(part(&address(&ctx, &text, None)?, &name))
        },
    )?;
    give(
        given,
        "replaced",
        |ctx: Ctx<'js>, text: String, name: String, value: String| {
            let mut url = address(&ctx, &text, None)?;
            replace(&mut url, &name, &value);
            Result::Ok(String::from(url))
        },
    )?;
    give(given, "pairs", |text: String| {
        let text = text.strip_prefix('?').unwrap_or(&text);
        let pairs = form_urlencoded::parse(text.as_bytes());
        let pairs: Vec<Vec<String>> = pairs
            .map(|(name, value)| vec![name.into(), value.into()])
            .collect();
        pairs
    })?;
    give(given, "query", |list: Object<'js>| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(pairs(&list)?);
        Result::Ok(query.finish())
    })
}

fn address(ctx: &Ctx<'_>, text: &str, base: Option<&Url>) -> Result<Url> {
    let wrong = |why| Exception::throw_type(ctx, &format!("`{text}` is no address: {why}"));
    Url::options().base_url(base).parse(text).map_err(wrong)
}

fn part(url: &Url, name: &str) -> String {
    match name {
        "origin" => quirks::origin(url),
        "protocol" => quirks::protocol(url).to_owned(),
        "username" => quirks::username(url).to_owned(),
        "password" => quirks::password(url).to_owned(),
        "host" => quirks::host(url).to_owned(),
        "hostname" => quirks::hostname(url).to_owned(),
        "port" => quirks::port(url).to_owned(),
        "pathname" => quirks::pathname(url).to_owned(),
        "search" => quirks::search(url).to_owned(),
        _ => quirks::hash(url).to_owned(),
    }
}

/// Replaces a part of an address. As in browsers, what does not fit changes nothing.
fn replace(url: &mut Url, name: &str, value: &str) {
    let _ = match name {
        "protocol" => quirks::set_protocol(url, value),
        "username" => quirks::set_username(url, value),
        "password" => quirks::set_password(url, value),
        "host" => quirks::set_host(url, value),
        "hostname" => quirks::set_hostname(url, value),
        "port" => quirks::set_port(url, value),
        "pathname" => {
            quirks::set_pathname(url, value);
            Ok(())
        }
        "search" => {
            quirks::set_search(url, value);
            Ok(())
        }
        _ => {
            quirks::set_hash(url, value);
            Ok(())
        }
    };
}
