//! `waystation steps`: the kinds of step.

use clap::Args;
use steps::KINDS;

use super::{Done, WELL, output};
use crate::{Error, reference};

/// Show the kinds of step, or everything about one
#[derive(Args)]
pub struct Steps {
    /// A kind, such as `loop`
    kind: Option<String>,
    /// Write the JSON Schema of program files, which editors complete and check with
    #[arg(long, conflicts_with = "kind")]
    schema: bool,
    /// Write JSON: a list of kinds with their schemas and examples
    #[arg(long, conflicts_with = "schema")]
    json: bool,
}

impl Steps {
    pub(super) fn run(self) -> Done {
        if self.schema {
            output::line(reference::schema())?;
            return Ok(WELL);
        }
        let Some(name) = &self.kind else {
            match self.json {
                true => output::line(serde_json::Value::from_iter(
                    KINDS.iter().map(reference::kind_json),
                ))?,
                false => output::text(reference::kinds_listed())?,
            }
            return Ok(WELL);
        };
        let kind = KINDS.iter().find(|kind| kind.name == name).ok_or_else(|| {
            let near = engine::problem::nearest(name, KINDS.iter().map(|kind| kind.name));
            let help = near.map_or_else(
                || "`waystation steps` lists the kinds".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            Error::new(format!("`{name}` is not a kind of step; {help}"))
        })?;
        match self.json {
            true => output::line(reference::kind_json(kind))?,
            false => output::text(reference::kind_page(kind))?,
        }
        Ok(WELL)
    }
}
