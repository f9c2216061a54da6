//! Every way in which packages cannot be had, and what is said of it.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use crate::index::{Index, Place, codes, pip, tools};
use crate::support::outside::{is_gone, marker};

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_resolved_is_explained() {
    let index = Index::new();
    let url = index.url();
    for (tool, tools) in tools(&url) {
        let newest = |sentence: &str| match tool {
            "pip" => format!("{sentence}; the newest are `2.0` and `1.0`"),
            _ => sentence.to_owned(),
        };
        let machine = format!("3.{}, linux-{}", minor().await, std::env::consts::ARCH);
        let place = Place::new(tools);
        for (wanted, sentence) in [
            (
                &["nosuchpkg-xyz"][..],
                format!(
                    "there is no package `nosuchpkg-xyz` in the index {url}; check its spelling"
                ),
            ),
            (
                &["deep"],
                format!(
                    "there is no package `nosuchpkg-xyz` in the index {url}; `deep` cannot be installed without it"
                ),
            ),
            (&["good==9"], newest("no version of `good` fits `good==9`")),
            (&["good>=9"], newest("no version of `good` fits `good>=9`")),
            (
                &["unbuilt"],
                format!(
                    "`unbuilt` has no wheel for this Python ({machine}): it needs building, which this server does not allow"
                ),
            ),
            (
                &["native"],
                format!("`native` has no wheel for this Python ({machine})"),
            ),
            (
                &["later"],
                format!(
                    "no version of `later` that is wanted is for Python 3.{}",
                    minor().await
                ),
            ),
        ] {
            assert_eq!(place.ready(wanted).await, Err(sentence), "{tool}");
        }
        assert_eq!(place.told(), [] as [&str; 0]);
        assert_eq!(place.cached(), ["lock", "locks"]);
        assert!(!place.lock().exists());
    }
}

/// The second number of the version of Python.
async fn minor() -> String {
    let mut command = tokio::process::Command::new(crate::index::python().await);
    command.args(["-c", "import sys; print(sys.version_info[1], end='')"]);
    String::from_utf8(command.output().await.unwrap().stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_go_together_is_explained_as_the_installer_does() {
    let index = Index::new();
    for (tool, tools) in tools(&index.url()) {
        let said = Place::new(tools)
            .ready(&["left", "right"])
            .await
            .unwrap_err();
        let start = "`left` and `right` cannot be installed together: ";
        let why = said
            .strip_prefix(start)
            .unwrap_or_else(|| panic!("{tool}: {said}"));
        if tool == "pip" {
            assert_eq!(
                why,
                "left 1 depends on shared<2; right 2 depends on shared>=2"
            );
            continue;
        }
        // uv names the two in any order.
        let depend =
            |name: &str, shared: &str| format!("all versions of {name} depend on {shared}");
        assert!(why.contains(&depend("left", "shared<2")), "{why}");
        assert!(why.contains(&depend("right", "shared>=2")), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_cannot_be_reached_is_named_without_its_password() {
    for (tool, tools) in tools("http://name:secret@127.0.0.1:1/simple") {
        let sentence = "the package index http://127.0.0.1:1/simple cannot be reached: cannot connect to `127.0.0.1:1`: \
                        Connection refused (os error 111)";
        let came = Place::new(tools).ready(&["good"]).await;
        assert_eq!(came, Err(sentence.to_owned()), "{tool}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_locked_and_not_installed_needs_the_index() {
    let mut index = Index::new();
    for (_, tools) in tools(&index.url()) {
        let place = Place::new(tools);
        place.ready(&["good"]).await.unwrap();
    }
    let place = Place::new(pip(&index.url()));
    place.ready(&["good"]).await.unwrap();
    std::fs::remove_dir_all(place.cache()).unwrap();
    index.stop();
    let url = index.url();
    let address = url.split('/').nth(2).unwrap();
    let sentence = format!(
        "the package index {url} cannot be reached: cannot connect to `{address}`: Connection refused (os error 111), and the packages of the lock file are not installed yet"
    );
    assert_eq!(place.ready(&["good"]).await, Err(sentence));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_the_one_that_was_locked_is_refused() {
    for at in 0..tools("").len() {
        let index = Index::new();
        let (tool, tools) = tools(&index.url()).remove(at);
        let place = Place::new(tools);
        place.ready(&["good"]).await.unwrap();
        std::fs::remove_dir_all(place.cache()).unwrap();
        index.change();
        let sentence = "`good==2.0` in the index is not the file that the lock file names: its hash is another; if that is right, delete the lock file";
        assert_eq!(
            place.ready(&["good"]).await,
            Err(sentence.to_owned()),
            "{tool}"
        );
        std::fs::remove_file(place.lock()).unwrap();
        place.ready(&["good"]).await.unwrap();
    }
}

/// An installer that is a script.
fn script(place: &Place, text: &str) -> std::path::PathBuf {
    let path = place.folder.path().join("uv");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installer_that_does_not_end_is_ended_with_all_it_started() {
    let mut place = Place::new(pip("http://127.0.0.1:1/"));
    let mut tools = pip("http://127.0.0.1:1/");
    let marker = marker();
    tools.uv = script(&place, &format!("sleep {marker} &\nwait"));
    tools.time = Duration::from_secs(2);
    place = Place::again(tools, place.folder);
    let sentence = "installing the packages took longer than 2s";
    assert_eq!(place.ready(&["good"]).await, Err(sentence.to_owned()));
    assert!(is_gone(&marker), "a process lives on");
    assert_eq!(place.cached(), ["lock", "locks"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_installer_says_is_cut_and_its_environment_is_clean() {
    let mut place = Place::new(pip("http://127.0.0.1:1/"));
    let mut tools = pip("http://127.0.0.1:1/");
    tools.uv = script(
        &place,
        "env | cut -d= -f1 | sort | tr '\\n' ' '; yes 'much to say' | head -c 10000000 >&2; exit 1",
    );
    place = Place::again(tools, place.folder);
    let said = place.ready(&["good"]).await.unwrap_err();
    let lines = ["much to say"; 19].join("; ");
    assert_eq!(
        said,
        format!("the packages cannot be installed: {lines}; much")
    );
    let mut tools = pip("http://127.0.0.1:1/");
    tools.uv = script(&place, "env | cut -d= -f1 | sort | tr '\\n' ' '; exit 1");
    place = Place::again(tools, place.folder);
    let said = place.ready(&["good"]).await.unwrap_err();
    let names: Vec<&str> = said.rsplit(": ").next().unwrap().split(' ').collect();
    let ours = [
        "ALL_PROXY",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "all_proxy",
        "https_proxy",
        "http_proxy",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "HOME",
        "LANG",
        "PATH",
        "PWD",
        "SSL_CERT_FILE",
        "TMPDIR",
        "UV_HTTP_RETRIES",
        "UV_HTTP_TIMEOUT",
        "UV_PYTHON_DOWNLOADS",
        "_",
        "SHLVL",
        "OLDPWD",
    ];
    assert!(names.iter().all(|name| ours.contains(name)), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_installer_the_two_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let made = std::process::Command::new(crate::index::python().await)
        .args(["-m", "venv", "--without-pip"])
        .arg(folder.path())
        .status();
    assert!(made.unwrap().success());
    let python = folder.path().join("bin/python3");
    let mut tools = pip("http://127.0.0.1:1/");
    tools.walls = codes(&["--python", python.to_str().unwrap()]);
    let place = Place::new(tools);
    let wanted = ["good".to_owned()];
    let program = waystation::packages::Program {
        name: "names.yaml",
        file: &place.folder.path().join("names.yaml"),
        sets: &[wanted.to_vec()],
    };
    let sentence = format!(
        "packages cannot be installed: there is no uv, and `{}` has no pip; install either, or name uv in the setting `uv`",
        python.display()
    );
    assert_eq!(
        place.packages.ready(&python, &wanted, program).await,
        Err(sentence)
    );
}
