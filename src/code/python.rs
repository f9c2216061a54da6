//! Python: the interpreter, and what a process of it is told.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;

use engine::host::Code;
use engine::value::Record;
use sandbox::message;
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::limits::{Limits, Told};
use crate::packages::Environment;

const DRIVER: &str = concat!(
    include_str!("python/outputs.py"),
    "\n\n",
    include_str!("python/raised.py"),
    "\n\n",
    include_str!("python.py")
);

/// What an interpreter is asked about itself.
const ASK: &str = "import json, sys, sysconfig; print(json.dumps({'path': sys.executable, \
'folders': sorted({sys.base_prefix, sys.prefix, sys.base_exec_prefix}), \
'version': list(sys.version_info[:3])}))";

/// The Python that code runs in.
pub struct Python {
    named: PathBuf,
    found: OnceCell<Interpreter>,
}

/// An interpreter, as it describes itself.
#[derive(Clone, Debug, Deserialize)]
pub struct Interpreter {
    /// The interpreter itself: a version manager's script in its place would run for every step.
    pub path: PathBuf,
    /// The folders that it is installed in.
    pub folders: Vec<PathBuf>,
    /// Its version: three numbers.
    pub version: (u32, u32, u32),
}

#[derive(Serialize)]
struct Request<'a> {
    code: &'a str,
    file: &'a str,
    line: usize,
    inputs: &'a Record,
    limits: Told,
    environment: BTreeMap<&'a str, &'a str>,
}

impl Python {
    /// The interpreter `named`, a path or a name that is looked up when code first runs.
    pub fn new(named: PathBuf) -> Python {
        Python {
            named,
            found: OnceCell::new(),
        }
    }

    /// The interpreter.
    ///
    /// # Errors
    /// In words, why it cannot be used.
    pub async fn interpreter(&self) -> Result<&Interpreter, String> {
        self.found.get_or_try_init(|| self.find()).await
    }

    async fn find(&self) -> Result<Interpreter, String> {
        let named = self.named.display();
        let mut command = Command::new(&self.named);
        command.args(["-I", "-c", ASK]).stdin(Stdio::null());
        let output = command.output().await.map_err(|error| {
            format!("Python cannot be started: `{named}`: {error}; the setting `python` names it")
        })?;
        let found: Interpreter = serde_json::from_slice(&output.stdout)
            .map_err(|_| format!("`{named}` is no Python; the setting `python` names it"))?;
        match found.version >= (3, 9, 0) {
            true => Ok(found),
            false => {
                let (major, minor, _) = found.version;
                Err(format!(
                    "`{named}` is Python {major}.{minor}, and 3.9 is needed; the setting `python` names it"
                ))
            }
        }
    }

    /// The folders that code must be able to read for the interpreter to work.
    pub async fn readable(&self) -> Result<Vec<PathBuf>, String> {
        Ok(self.interpreter().await?.folders.clone())
    }

    /// An interpreter that is to stand ready, with the modules of its packages imported.
    pub async fn ready(&self, packages: Option<&Environment>) -> Result<message::Python, String> {
        let found = self.interpreter().await?;
        Ok(message::Python {
            path: found.path.clone(),
            driver: DRIVER.to_owned(),
            site: packages.map(|packages| packages.site.clone()),
            modules: packages
                .map(|packages| packages.modules.clone())
                .unwrap_or_default(),
        })
    }
}

/// What the process of a step is told.
pub fn request(code: &Code<'_>, limits: &Limits, environment: &[(String, String)]) -> Vec<u8> {
    let request = Request {
        code: code.text,
        file: code.file,
        line: code.line,
        inputs: &code.inputs,
        limits: limits.told(),
        environment: environment
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect(),
    };
    serde_json::to_vec(&request).unwrap_or_default()
}
