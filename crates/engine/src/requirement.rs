//! What may stand in a list of Python packages: the name of each, and the versions that will do, as
//! PEP 508 and PEP 440 write them.

use std::fmt;

use crate::read::cut;

/// The most packages that a step may name.
pub const MAX_PACKAGES: usize = 100;

/// The longest entry of a list of packages, in bytes.
pub const MAX_LENGTH: usize = 200;

/// A package that code wants. Written out it is normalised: `Flask [Async] >= 3, <4` is
/// `flask[async]<4,>=3`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Requirement {
    name: String,
    extras: Vec<String>,
    versions: Vec<String>,
}

/// Why an entry is no package: what it is, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: &'static str,
}

const NAMES: &str = "write its name and the versions that will do, such as `nameparser==1.1.3`";
const VERSIONS: &str = "write comparisons with versions, such as `==1.1.3`, `~=1.4` or `>=2,<3`";
const INDEX: &str = "name the package and its version; where packages come from is the server's setting `package-index`";
const MARKERS: &str = "name it without a condition: the packages are for the server's own Python";

/// The comparisons, each before those that it begins with.
const COMPARISONS: [&str; 7] = ["==", "~=", "!=", "<=", ">=", "<", ">"];

impl Requirement {
    /// Reads an entry of a list.
    ///
    /// # Errors
    /// Why it is no package, or one that does not come from the index.
    pub fn read(text: &str) -> Result<Requirement, Refused> {
        let text = text.trim();
        foreign(text).map_or(Ok(()), Err)?;
        let end = text.find(|c| !is_in_name(c)).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        if !is_name(name) {
            let message = format!("`{}` does not begin with the name of a package", cut(text));
            return Err(refused(message, NAMES));
        }
        let (extras, versions) = match rest.trim_start().strip_prefix('[') {
            Some(rest) => extras(rest).ok_or_else(|| {
                let message = format!(
                    "the extras of `{}` are no names between brackets",
                    cut(name)
                );
                refused(message, "write them such as `flask[async]`")
            })?,
            None => (Vec::new(), rest),
        };
        let mut versions = match versions.trim() {
            "" => Vec::new(),
            some => some.split(',').map(compared).collect::<Result<_, _>>()?,
        };
        versions.sort();
        versions.dedup();
        let name = normalised(name);
        Ok(Requirement {
            name,
            extras,
            versions,
        })
    }

    /// Its name, normalised.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if !self.extras.is_empty() {
            write!(f, "[{}]", self.extras.join(","))?;
        }
        f.write_str(&self.versions.join(","))
    }
}

fn refused(message: String, help: &'static str) -> Refused {
    Refused { message, help }
}

/// What an installer would take in place of a package from the index.
fn foreign(text: &str) -> Option<Refused> {
    let shown = cut(text);
    let file = [".whl", ".zip", ".tar.gz"]
        .iter()
        .any(|end| text.ends_with(end));
    let (what, help) = if text.is_empty() {
        ("an empty text names no package".to_owned(), NAMES)
    } else if text.len() > MAX_LENGTH {
        (
            format!("`{shown}` is longer than {MAX_LENGTH} bytes"),
            NAMES,
        )
    } else if text.starts_with('-') {
        (
            format!("`{shown}` is an option of an installer, and none is taken"),
            INDEX,
        )
    } else if ["git+", "hg+", "svn+", "bzr+"]
        .iter()
        .any(|start| text.contains(start))
    {
        (
            format!(
                "`{shown}` is a repository of source code, and packages come from the index only"
            ),
            INDEX,
        )
    } else if text.contains('@') || text.contains("://") {
        (
            format!("`{shown}` is an address, and packages come from the index only"),
            INDEX,
        )
    } else if text.starts_with('.') || text.contains(['/', '\\']) || file {
        (
            format!("`{shown}` is a path, and packages come from the index only"),
            INDEX,
        )
    } else if text.contains(';') {
        (
            format!("`{shown}` has a condition after the semicolon, and none is taken"),
            MARKERS,
        )
    } else {
        return None;
    };
    Some(refused(what, help))
}

/// The extras after an opening bracket, and what follows them.
fn extras(text: &str) -> Option<(Vec<String>, &str)> {
    let (inside, rest) = text.split_once(']')?;
    let mut names = Vec::new();
    for name in inside.split(',').map(str::trim) {
        names.push(is_name(name).then(|| normalised(name))?);
    }
    names.sort();
    names.dedup();
    Some((names, rest))
}

/// A comparison with a version, without blanks.
fn compared(text: &str) -> Result<String, Refused> {
    let text = text.trim();
    let split = COMPARISONS
        .iter()
        .find_map(|sign| Some((*sign, text.strip_prefix(sign)?.trim())));
    let fits = |(sign, version): &(&str, &str)| match version.strip_suffix(".*") {
        Some(version) => matches!(*sign, "==" | "!=") && is_version(version),
        None => is_version(version),
    };
    match split.filter(fits) {
        Some((sign, version)) => Ok(format!("{sign}{version}")),
        None => {
            let message = match text {
                "" => "a comparison with a version is missing beside a comma".to_owned(),
                text => format!("`{}` is no comparison with a version", cut(text)),
            };
            Err(refused(message, VERSIONS))
        }
    }
}

fn is_in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// Whether a text is the name of a package: letters, digits and `-`, `_`, `.` between them.
pub fn is_name(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    edge(text.chars().next()) && edge(text.chars().next_back()) && text.chars().all(is_in_name)
}

/// A name as PEP 503 writes it: in small letters, with one `-` for all that stands between words.
pub fn normalised(name: &str) -> String {
    let words = name.split(['-', '_', '.']).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

/// Whether a text is a version: `1.1.3`, `2!1.0rc1.post2.dev3+cpu`.
pub fn is_version(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let (public, local) = match text.split_once('+') {
        Some((public, local)) => (public, Some(local)),
        None => (&*text, None),
    };
    let (epoch, public) = public.split_once('!').unwrap_or(("0", public));
    let end = public.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (numbers, words) = public.split_at(end.unwrap_or(public.len()));
    let numbers = match words.is_empty() {
        true => numbers,
        false => numbers.strip_suffix('.').unwrap_or(numbers),
    };
    let local = local.is_none_or(|local| {
        let mut parts = local.split(['.', '-', '_']);
        parts.all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric()))
    });
    is_number(epoch) && numbers.split('.').all(is_number) && local && rest(words).is_empty()
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

/// What is left of what follows the numbers of a version, without the words that may stand there.
fn rest(text: &str) -> &str {
    const WORDS: [&[&str]; 3] = [
        &["alpha", "a", "beta", "b", "preview", "pre", "rc", "c"],
        &["post", "rev", "r", "-"],
        &["dev"],
    ];
    let between = ['.', '-', '_'];
    let mut text = text;
    for words in WORDS {
        let bare = text.strip_prefix(between).unwrap_or(text);
        let after = words.iter().find_map(|word| match *word {
            "-" => text
                .strip_prefix('-')
                .filter(|after| after.starts_with(|c: char| c.is_ascii_digit())),
            word => bare.strip_prefix(word),
        });
        if let Some(after) = after {
            let number = after.strip_prefix(between).unwrap_or(after);
            let number = if number.starts_with(|c: char| c.is_ascii_digit()) {
                number
            } else {
                after
            };
            text = number.trim_start_matches(|c: char| c.is_ascii_digit());
        }
    }
    text
}
