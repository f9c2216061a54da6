//! Lists of Python packages.

use serde_json::Value as Json;

use super::Reader;
use crate::document::{Content, Node};
use crate::problem::Problem;
use crate::requirement::{MAX_PACKAGES, Requirement};

impl<'n> Reader<'n> {
    /// Reads a list of packages, and keeps it with what the step names.
    pub(super) fn packages(&mut self, node: &'n Node, label: &str) -> Json {
        let nodes: Vec<&Node> = match &node.content {
            Content::List(items) => items.iter().collect(),
            Content::Text(_) => vec![node],
            _ => {
                self.wrong(node, label, "a list of packages");
                return Json::Null;
            }
        };
        if nodes.len() > MAX_PACKAGES {
            let message = format!(
                "`{label}` takes at most {MAX_PACKAGES} packages, and these are {}",
                nodes.len()
            );
            let problem = Problem::new(node.head(), message);
            self.problem(
                problem.help("name those that the code imports; they bring along what they need"),
            );
            return Json::Null;
        }
        let mut read: Vec<Requirement> = Vec::new();
        for node in nodes {
            match self.package(node, label) {
                Some(package) if read.iter().any(|other| other.name() == package.name()) => {
                    let message =
                        format!("the package `{}` stands in the list twice", package.name());
                    let help = "name it once, with all that holds for its version: `>=2,<3`";
                    self.problem(Problem::new(node.place, message).help(help));
                }
                package => read.extend(package),
            }
        }
        read.sort();
        self.packages = read.iter().map(ToString::to_string).collect();
        Json::from(self.packages.clone())
    }

    fn package(&mut self, node: &'n Node, label: &str) -> Option<Requirement> {
        let Content::Text(text) = &node.content else {
            self.wrong(
                node,
                label,
                "a package in each entry, such as `nameparser==1.1.3`",
            );
            return None;
        };
        Requirement::read(text)
            .map_err(|why| self.problem(Problem::new(node.place, why.message).help(why.help)))
            .ok()
    }
}
