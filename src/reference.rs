//! The reference: pages in Markdown, all of them made from the definitions in the code.

mod fields;
mod schema;

use std::fmt::Write;

use engine::kind::{Example, Gives, Group, Kind};
use engine::language::{self, Word};
use engine::program::Common;
use serde_json::{Value as Json, json};
use steps::KINDS;

pub use self::schema::schema;

use crate::http;

/// The command that makes the pages again.
pub const REFRESH: &str = "UPDATE=1 cargo test --test reference";

/// Every page of `docs/reference`: its file and its text.
pub fn pages() -> Vec<(String, String)> {
    let mut pages = vec![
        ("steps.md".to_owned(), kinds_page()),
        ("expressions.md".to_owned(), expressions_page()),
        ("command-line.md".to_owned(), commands_page()),
        ("settings.md".to_owned(), settings_page()),
        ("program.schema.json".to_owned(), schema() + "\n"),
        ("openapi.json".to_owned(), openapi() + "\n"),
    ];
    pages.extend(
        KINDS
            .iter()
            .map(|kind| (format!("steps/{}.md", kind.name), kind_page(kind))),
    );
    pages
}

/// The OpenAPI document of the server.
fn openapi() -> String {
    serde_json::to_string_pretty(&http::document()).unwrap_or_default()
}

/// Every kind in a line, by group, for a terminal.
pub fn kinds_listed() -> String {
    let mut text = String::new();
    for (group, name) in GROUPS {
        let _ = writeln!(text, "{name}");
        for kind in of_group(group) {
            let _ = writeln!(
                text,
                "  {:12}  {}",
                kind.name,
                fields::summary(kind.schema())
            );
        }
    }
    text + "\n`waystation steps KIND` shows everything about one.\n"
}

const GROUPS: [(Group, &str); 3] = [
    (Group::Logic, "Logic"),
    (Group::Values, "Values"),
    (Group::Code, "Code"),
];

fn of_group(group: Group) -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().filter(move |kind| kind.group == group)
}

fn kinds_page() -> String {
    let mut text = "# Kinds of step\n\nA step is a mapping that begins with its kind; the value under the kind's name is its main setting, and \
its other settings are its siblings. A step without settings may be the bare word.\n"
        .to_owned();
    for (group, name) in GROUPS {
        let _ = write!(text, "\n## {name}\n\n");
        for kind in of_group(group) {
            let _ = writeln!(
                text,
                "* [`{0}`](steps/{0}.md): {1}",
                kind.name,
                fields::summary(kind.schema())
            );
        }
    }
    let common = engine::kind::schema_of::<Common>();
    let _ = write!(
        text,
        "\n## Settings of every step\n\n{}",
        fields::list(&common, "")
    );
    text
}

/// Everything about a kind.
pub fn kind_page(kind: &Kind) -> String {
    let schema = kind.schema();
    let mut text = format!("# `{}`\n\n{}\n", kind.name, fields::about(schema));
    match fields::variants(schema) {
        None => {
            let settings = fields::list(schema, kind.main).replace(
                &format!("* `{}` ", kind.main),
                &format!("* `{}` ", kind.name),
            );
            if !settings.is_empty() {
                let _ = write!(text, "\n## Settings\n\n{settings}");
            }
        }
        Some((tag, variants)) => {
            for (word, variant) in variants {
                let settings = fields::list(variant, kind.main);
                let settings = settings.replace(
                    &format!("* `{}` ", kind.main),
                    &format!("* `{}` ", kind.name),
                );
                let _ = write!(
                    text,
                    "\n## `{tag}: {word}`\n\n{}\n\n{settings}",
                    fields::about(variant)
                );
            }
        }
    }
    text.push_str("\n## Examples\n");
    for example in kind.examples {
        let _ = write!(text, "\n{}", shown(example));
    }
    text
}

fn shown(example: &Example) -> String {
    let mut text = format!("{}:\n\n```yaml\n", example.about);
    for (at, line) in example.step.lines().enumerate() {
        let _ = writeln!(text, "{} {line}", if at == 0 { "-" } else { " " });
    }
    text.push_str("```\n\n");
    if !example.given.is_empty() {
        let _ = write!(
            text,
            "With these variables:\n\n```yaml\n{}\n```\n\n",
            example.given.trim_end()
        );
    }
    let _ = match example.gives {
        Gives::Variables(variables) => write!(
            text,
            "Afterwards:\n\n```yaml\n{}\n```\n",
            variables.trim_end()
        ),
        Gives::Log([]) => writeln!(text, "Nothing is written to the log."),
        Gives::Log(lines) => write!(text, "In the log:\n\n```text\n{}\n```\n", lines.join("\n")),
        Gives::Failure(message) => write!(text, "The step fails:\n\n```text\n{message}\n```\n"),
        Gives::Checked => Ok(()),
    };
    text
}

/// A kind as JSON: what it is called, what it does, its settings and examples.
pub fn kind_json(kind: &Kind) -> Json {
    let examples = kind.examples.iter().map(
        |example| json!({ "about": example.about, "given": example.given, "step": example.step }),
    );
    json!({
        "name": kind.name,
        "group": format!("{:?}", kind.group).to_lowercase(),
        "about": fields::about(kind.schema()),
        "settings": schema::kind(kind),
        "examples": examples.collect::<Vec<_>>(),
    })
}

fn expressions_page() -> String {
    let mut text = format!(
        "# Expressions\n\nExpressions are Jinja's. They stand between `{{{{` and `}}}}` in texts, and bare where a setting takes a \
condition, a number or a list. They reach the variables of the function and the words below, nothing else.\n\n\
A variable's name is written with an underscore for every character that is no letter, digit or underscore: `First Name` is \
`First_Name`. These words cannot be names: {}.\n",
        engine::read::listed(language::RESERVED)
    );
    let tables = [
        ("Functions", language::FUNCTIONS),
        ("Filters", language::FILTERS),
        ("Tests", language::TESTS),
    ];
    for (title, words) in tables {
        let _ = write!(
            text,
            "\n## {title}\n\n| word | what it gives | example | gives |\n|---|---|---|---|\n"
        );
        for Word {
            name,
            about,
            example: (from, to),
        } in words
        {
            let (from, to) = (from.replace('|', "\\|"), to.replace('|', "\\|"));
            let _ = writeln!(text, "| `{name}` | {about} | `{from}` | `{to}` |");
        }
    }
    text
}

fn commands_page() -> String {
    let mut command = crate::cli::command().term_width(100);
    command.build();
    let mut text = format!("# Command line\n\n```text\n{}```\n", help(&mut command));
    let names: Vec<String> = command
        .get_subcommands()
        .map(|c| c.get_name().to_owned())
        .collect();
    for name in names.iter().filter(|name| *name != "help") {
        if let Some(sub) = command.find_subcommand_mut(name) {
            let _ = write!(
                text,
                "\n## `waystation {name}`\n\n```text\n{}```\n",
                help(sub)
            );
        }
    }
    text
}

fn help(command: &mut clap::Command) -> String {
    let mut help: String = command
        .render_long_help()
        .to_string()
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect();
    help.truncate(help.trim_end().len());
    help + "\n"
}

fn settings_page() -> String {
    let mut text = "# Settings\n\nA setting of `waystation serve` is given as a flag, as an environment variable, in the TOML file that \
`--config` names, or not at all; the first of these that is there holds. Times are written `90s`, `5m` or `1h`, sizes `2MB` or `10GB`.\n\n\
| setting | environment | default | what it means |\n|---|---|---|---|\n"
        .to_owned();
    let command = crate::cli::command();
    let serve = command.find_subcommand("serve");
    for arg in serve.into_iter().flat_map(clap::Command::get_arguments) {
        let (Some(name), Some(variable)) = (arg.get_long(), arg.get_env()) else {
            continue;
        };
        let default = arg.get_default_values().first().map_or_else(
            || "none".to_owned(),
            |value| format!("`{}`", value.to_string_lossy()),
        );
        let about = arg
            .get_long_help()
            .or(arg.get_help())
            .map(ToString::to_string)
            .unwrap_or_default();
        let about = about.split_whitespace().collect::<Vec<_>>().join(" ");
        let _ = writeln!(
            text,
            "| `{name}` | `{}` | {default} | {about} |",
            variable.to_string_lossy()
        );
    }
    text
}
