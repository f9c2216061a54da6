//! What a scalar without quotes means.

use super::Content;

/// What a plain scalar means in YAML 1.2's core schema (YAML 1.2.2, section 10.3.2).
pub(super) fn plain(text: &str) -> Result<Content, String> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Content::Nothing),
        "true" | "True" | "TRUE" => return Ok(Content::Boolean(true)),
        "false" | "False" | "FALSE" => return Ok(Content::Boolean(false)),
        ".nan" | ".NaN" | ".NAN" => return Err(no_number(text)),
        _ => {}
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(digits, ".inf" | ".Inf" | ".INF") {
        return Err(no_number(text));
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Ok(Content::Text(text.into()));
    }
    whole(text, digits)
        .or_else(|| float(text))
        .unwrap_or_else(|| Ok(Content::Text(text.into())))
}

fn no_number(text: &str) -> String {
    format!("`{text}` is not a number that a program can hold")
}

fn whole(text: &str, digits: &str) -> Option<Result<Content, String>> {
    let read = |digits: &str, radix| {
        let number = i128::from_str_radix(digits, radix);
        Some(
            number
                .map(Content::Integer)
                .map_err(|_| format!("`{text}` is too large a number")),
        )
    };
    let all = |digits: &str, radix| !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    match (text.strip_prefix("0x"), text.strip_prefix("0o")) {
        (Some(hex), _) if all(hex, 16) => read(hex, 16),
        (_, Some(octal)) if all(octal, 8) => read(octal, 8),
        _ if all(digits, 10) => read(text, 10),
        _ => None,
    }
}

fn float(text: &str) -> Option<Result<Content, String>> {
    let number = text.parse::<f64>().ok()?;
    Some(match number.is_finite() {
        true => Ok(Content::Float(number)),
        false => Err(format!("`{text}` is too large a number")),
    })
}
