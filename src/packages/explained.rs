//! What installers say of a failure, in our words.

use engine::read::{cut, listed};
use engine::requirement::Requirement;

use super::installer::Output;
use super::interpreter::Interpreter;

/// The most lines of an installer's own words that are passed on.
const MAX_LINES: usize = 20;
/// The most characters of them.
const MAX_CHARS: usize = 2_000;
/// How many versions are named where none fits.
const NEWEST: usize = 5;

/// What an installer was asked for.
pub struct Asked<'a> {
    /// Where packages come from.
    pub index: &'a str,
    /// Which Python they are for.
    pub interpreter: &'a Interpreter,
    /// The packages wanted.
    pub wanted: &'a [String],
    /// Whether their versions were known.
    pub locked: bool,
}

/// What an installer said.
struct Said<'a> {
    /// Everything on one line, words apart by one blank.
    flat: &'a str,
    /// As it was written.
    text: &'a str,
    /// What pip wrote to its log; uv has none.
    log: &'a str,
    /// Why a connection of its was not made.
    refused: Option<&'a str>,
    asked: &'a Asked<'a>,
}

/// The sentence for the failure of an installer that wrote `log` to its log.
pub fn explained(output: &Output, log: &str, asked: &Asked<'_>) -> String {
    let text = &*output.text;
    let marks = |c: char| matches!(c, '│' | '×' | '╰' | '├' | '─' | '▶');
    let words = text.split(|c: char| c.is_whitespace() || marks(c));
    let words: Vec<&str> = words
        .filter(|word| !word.is_empty() && *word != "cause:")
        .collect();
    let flat = words.join(" ");
    let said = Said {
        flat: &flat,
        text,
        log,
        refused: output.refused.as_deref(),
        asked,
    };
    let known = [
        Said::no_installer,
        Said::not_reached,
        Said::changed,
        Said::outside,
        Said::elsewhere,
        Said::unbuilt,
        Said::another_python,
        Said::unknown,
        Said::no_version,
        Said::conflict,
    ];
    let known = known.iter().find_map(|known| known(&said));
    known.unwrap_or_else(|| {
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let last = &lines[lines.len().saturating_sub(MAX_LINES)..];
        format!(
            "the packages cannot be installed: {}",
            short(&last.join("; "))
        )
    })
}

impl Said<'_> {
    fn has(&self, words: &str) -> bool {
        self.flat.contains(words)
    }

    /// The word that stands before others, without quotes and the version.
    fn before(&self, words: &str) -> Option<String> {
        let before = self.flat.split_once(words)?.0;
        Some(name(before.rsplit(' ').next()?))
    }

    /// What pip found nothing for, and the package that needs it.
    fn unmet(&self) -> Option<(&str, Option<&str>)> {
        let unmet = between(self.flat, "satisfies the requirement ", " (from versions")?;
        let (unmet, by) = unmet
            .split_once(" (from ")
            .map_or((unmet, None), |(unmet, by)| (unmet, Some(by)));
        Some((unmet, by.map(|by| by.trim_end_matches(')'))))
    }

    fn python(&self) -> String {
        let Interpreter {
            version, platform, ..
        } = self.asked.interpreter;
        let machine = platform.split(' ').next().unwrap_or_default();
        format!("this Python ({version}, {machine})")
    }

    fn no_installer(&self) -> Option<String> {
        let python = self.asked.interpreter.path.display();
        if self.has("No module named pip") {
            return Some(format!(
                "packages cannot be installed: there is no uv, and `{python}` has no pip; install either, or name uv in the setting `uv`"
            ));
        }
        self.has("no such option").then(|| {
            format!("packages cannot be installed: the pip of `{python}` is too old; pip 23 is needed, or uv")
        })
    }

    fn not_reached(&self) -> Option<String> {
        let uv = self.has("Failed to fetch") || self.has("error sending request");
        let mut failed = self
            .log
            .lines()
            .filter(|line| line.contains("Could not fetch URL"));
        let failed = failed.find(|line| !line.contains("404 Client Error"));
        let broken =
            self.flat.contains("HTTPConnectionPool") || self.flat.contains("HTTPSConnectionPool");
        let reason = match failed {
            Some(line) => reason(line),
            None if uv => self
                .text
                .lines()
                .filter_map(|line| Some(line.trim().split_once("cause: ")?.1))
                .next_back(),
            None if broken => reason(self.flat),
            None => return None,
        };
        // The installer hears only that the proxy did not get through.
        let reason = self.refused.or(reason);
        let reason = reason.map_or(String::new(), |reason| format!(": {}", short(reason)));
        let offline = match self.asked.locked {
            true => ", and the packages of the lock file are not installed yet",
            false => "",
        };
        Some(format!(
            "the package index {} cannot be reached{reason}{offline}",
            index(self.asked.index)
        ))
    }

    fn changed(&self) -> Option<String> {
        let package = match between(self.flat, "Hash mismatch for `", "`") {
            Some(package) => package,
            None => between(self.flat, "tampered with them. ", " from ")
                .filter(|_| self.has("DO NOT MATCH THE HASHES"))?,
        };
        Some(format!(
            "`{}` in the index is not the file that the lock file names: its hash is another; if that is right, delete the lock file",
            cut(package)
        ))
    }

    fn outside(&self) -> Option<String> {
        self.has("outside the target directory").then_some(())?;
        let package = between(self.flat, "For req: ", ". The wheel")?;
        Some(format!(
            "`{}` would write outside of its folder, and is not installed",
            cut(package)
        ))
    }

    /// A package that names another by its address, which pip would fetch and build.
    fn elsewhere(&self) -> Option<String> {
        let uv = between(self.flat, "Package `", "` was included as a URL dependency");
        let pip = self.has("no other program is started").then(|| {
            let last = self.flat.rsplit_once("Collecting ")?.1;
            last.split_once('@').map(|(name, _)| name)
        });
        let package = name(uv.or(pip.flatten())?);
        Some(format!(
            "`{package}` is wanted from an address of its own, and packages come from the index only"
        ))
    }

    fn unbuilt(&self) -> Option<String> {
        let pip = self.unmet().map(|(unmet, _)| name(unmet));
        let pip = pip.filter(|name| {
            self.log
                .contains(&format!("No sources permitted for {name}:"))
        });
        let uv = || between(self.flat, "Wheels are required for `", "`").map(name);
        if let Some(package) = pip
            .or_else(uv)
            .or_else(|| self.before(" has no usable wheels"))
        {
            return Some(format!(
                "`{package}` has no wheel for {}: it needs building, which this server does not allow",
                self.python()
            ));
        }
        let pip = self
            .unmet()
            .filter(|_| self.log.contains("none of the wheel's tags"));
        let pip = pip
            .filter(|_| self.has("(from versions: none)"))
            .map(|(unmet, _)| name(unmet));
        let package = pip.or_else(|| self.before(" has no wheels with a matching"))?;
        Some(format!("`{package}` has no wheel for {}", self.python()))
    }

    fn another_python(&self) -> Option<String> {
        let pip = between(self.flat, "Package '", "' requires a different Python").map(name);
        let none =
            self.has("require a different python version") && self.has("(from versions: none)");
        let unmet = self.unmet().filter(|_| none).map(|(unmet, _)| name(unmet));
        let package = pip.or(unmet).or_else(|| self.before(" requires Python "))?;
        let version = &self.asked.interpreter.version;
        Some(format!(
            "no version of `{package}` that is wanted is for Python {version}"
        ))
    }

    fn unknown(&self) -> Option<String> {
        let pip = self
            .unmet()
            .filter(|_| self.has("(from versions: none)"))
            .map(|(unmet, _)| name(unmet));
        let package = pip.or_else(|| self.before(" was not found in the package registry"))?;
        let wanted = self
            .asked
            .wanted
            .iter()
            .any(|wanted| name(wanted) == package);
        let help = match wanted {
            true => "check its spelling".to_owned(),
            false => format!(
                "{} cannot be installed without it",
                listed(self.asked.wanted)
            ),
        };
        Some(format!(
            "there is no package `{package}` in the index {}; {help}",
            index(self.asked.index)
        ))
    }

    fn no_version(&self) -> Option<String> {
        if let Some((unmet, _)) = self.unmet() {
            let known: Vec<&str> = between(self.flat, "(from versions: ", ")")?
                .split(", ")
                .collect();
            let newest: Vec<&str> = known.iter().rev().take(NEWEST).copied().collect();
            let are = if newest.len() == 1 { "is" } else { "are" };
            let (name, newest) = (name(unmet), listed(&newest));
            return Some(format!(
                "no version of `{name}` fits `{}`; the newest {are} {newest}",
                cut(unmet)
            ));
        }
        let lone = self.asked.wanted.len() == 1 && self.has(" is available and you require ");
        let none = between(self.flat, "there is no version of ", " ");
        let unmet = none.or(self
            .asked
            .wanted
            .first()
            .map(String::as_str)
            .filter(|_| lone))?;
        Some(format!(
            "no version of `{}` fits `{}`",
            name(unmet),
            cut(unmet)
        ))
    }

    fn conflict(&self) -> Option<String> {
        let pip = self
            .text
            .split_once("The conflict is caused by:")
            .map(|(_, after)| {
                let lines = after
                    .lines()
                    .map(str::trim)
                    .skip_while(|line| line.is_empty());
                let lines: Vec<&str> = lines
                    .take_while(|line| !line.is_empty())
                    .take(MAX_LINES)
                    .collect();
                lines.join("; ")
            });
        let uv = || {
            between(
                self.flat,
                "No solution found when resolving dependencies ",
                "hint:",
            )
            .map(str::to_owned)
        };
        let uv = || {
            uv().or_else(|| {
                Some(
                    self.flat
                        .split_once("when resolving dependencies")?
                        .1
                        .trim_start_matches([':', ' '])
                        .to_owned(),
                )
            })
        };
        let why = pip.or_else(uv)?;
        let together = if self.asked.wanted.len() == 1 {
            ""
        } else {
            " together"
        };
        let wanted = listed(self.asked.wanted);
        Some(format!(
            "{wanted} cannot be installed{together}: {}",
            short(&why)
        ))
    }
}

/// The name of a package that stands with its version, extras or in quotes; text that is none is cut.
fn name(text: &str) -> String {
    let bare = text.trim_matches(['`', '\'', '"', ' ']);
    Requirement::read(bare).map_or_else(|_| cut(bare), |read| read.name().to_owned())
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    Some(text.split_once(before)?.1.split_once(after)?.0)
}

/// The cause in a line of pip's about a connection.
fn reason(line: &str) -> Option<&str> {
    let Some((_, cause)) = line.rsplit_once("Caused by ") else {
        let cause = line.split_once("URL ")?.1.split_once(": ")?.1;
        let cause = cause.strip_prefix("connection error: ").unwrap_or(cause);
        return cause.split(" for url").next()?.split(" - skipping").next();
    };
    let quoted = cause.split_once('\'')?.1.rsplit_once('\'')?.0;
    // What begins so is the connection itself, before what befell it.
    match quoted.starts_with('<') {
        true => quoted.rsplit_once(": ").map(|(_, last)| last),
        false => Some(quoted),
    }
}

/// An index without the name and password that may stand in it.
pub fn index(index: &str) -> String {
    match index.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let start = rest[..end].rfind('@').map_or(0, |at| at + 1);
            format!("{scheme}://{}", &rest[start..])
        }
        None => index.to_owned(),
    }
}

/// An installer's words on one line, cut where they are many, without control characters.
fn short(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = plain.clone().take(MAX_CHARS).collect();
    if plain.count() > MAX_CHARS {
        short.push('…');
    }
    short.trim_end_matches('.').to_owned()
}
