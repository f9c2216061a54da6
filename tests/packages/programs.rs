//! Programs that import packages, from the outside.

use crate::index::{Index, UV, reaches_pypi, settled};
use crate::support::{KEY, TestApp, TestCommand, TestServer};

/// A program that runs `code`, which imports `packages`, and shows `A`.
pub fn program(code: &str, packages: &str) -> String {
    let code: String = code
        .lines()
        .map(|line| format!("          {line}\n"))
        .collect();
    format!(
        "id: 1\nname: P\nfunctions:\n  Main:\n    triggers: [webhook]\n    steps:\n      - python: |\n{code}        packages: [{packages}]\n        show: [A]\n"
    )
}

const GOOD: &str = "import good\noutputs['A'] = good.number";

#[test]
fn a_run_installs_with_two_lines_and_the_next_one_says_nothing() {
    let mut index = Index::new();
    let command = TestCommand::new(&[("p.yaml", &program(GOOD, "Good"))]);
    let home = command.folder.path().to_owned();
    let url = index.url();
    let run = |args: &[&str]| {
        let mut run = command.command(args);
        let output = run
            .env("HOME", &home)
            .env("WAYSTATION_PACKAGE_INDEX", &url)
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr))
    };
    let note = "note: the packages of p.yaml are installed when it is first served or run, and pinned in p.lock\n1 program checked, no problems\n";
    assert_eq!(run(&["check", "p.yaml"]).1, note);
    let (result, told) = run(&["run", "p.yaml"]);
    assert_eq!(result, "A: 2\n", "{told}");
    let told: Vec<String> = told.lines().map(settled).collect();
    assert_eq!(
        told,
        [
            "installing 1 package for p.yaml: good 2.0",
            "packages of p.yaml are ready (1 package(s), …)"
        ]
    );
    assert!(home.join(".cache/waystation/packages").is_dir());
    index.stop();
    assert_eq!(
        run(&["run", "p.yaml"]),
        ("A: 2\n".to_owned(), String::new())
    );
    assert_eq!(
        run(&["check", "p.yaml"]).1,
        "1 program checked, no problems\n"
    );
}

#[test]
fn a_server_installs_in_the_background_and_keeps_running_offline() {
    let mut index = Index::new();
    let command = TestCommand::new(&[
        ("p.yaml", &program(GOOD, "good")),
        (
            "bad.yaml",
            &program("outputs['A'] = 1", "nosuchpkg-xyz").replace("id: 1", "id: 2"),
        ),
    ]);
    let url = index.url();
    let flags = ["--package-index", &url];
    let server = TestServer::start(&command, &flags);
    let logged = |server: &TestServer, line: &str| {
        let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !server.logged().contains(line) {
            assert!(std::time::Instant::now() < end, "{}", server.logged());
            std::thread::yield_now();
        }
    };
    logged(&server, "packages of p.yaml are ready (1 package, ");
    logged(
        &server,
        &format!(
            "the code of bad.yaml cannot run yet: there is no package `nosuchpkg-xyz` in the index {url}; check its spelling"
        ),
    );
    let call = format!(
        "POST /api?api_key={KEY}&program_id=1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    );
    let good = r#"{"Success":"Program finished.","Result":[["A",2]]}"#;
    let answer = server.raw(&call);
    assert!(answer.ends_with(good), "{answer}");
    drop(server);
    index.stop();
    std::fs::remove_file(command.folder.path().join("bad.yaml")).unwrap();
    let lines = |text: String| text.lines().filter(|line| line.contains("package")).count();
    let before = lines(std::fs::read_to_string(command.folder.path().join("server.log")).unwrap());
    let server = TestServer::start(&command, &flags);
    let answer = server.raw(&call);
    assert!(answer.ends_with(good), "{answer}");
    assert_eq!(lines(server.logged()), before, "{}", server.logged());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_whose_packages_cannot_be_had_fails_with_the_reason() {
    let index = Index::new();
    let folder = tempfile::tempdir().unwrap();
    let flags = [
        "--data",
        folder.path().to_str().unwrap(),
        "--package-index",
        &index.url(),
    ];
    let app = TestApp::with(
        &[("p.yaml", &program("outputs['A'] = 1", "nosuchpkg-xyz"))],
        &flags,
    )
    .await;
    let sentence = format!(
        "Main, step 1 (python): there is no package `nosuchpkg-xyz` in the index {}; check its spelling",
        index.url()
    );
    app.api("program_id=1")
        .await
        .is(500, &format!(r#"{{"Error":"{sentence}"}}"#));
}

#[test]
fn an_index_that_anybody_between_could_change_is_no_setting() {
    for index in [
        "http://example.com/simple",
        "http://127.0.0.1.example.com/",
        "file:///x",
        "-r x",
        "https://a b",
    ] {
        let ran =
            TestCommand::new(&[]).run(&["run", "p.yaml", &format!("--package-index={index}")]);
        let text = format!(
            "error: invalid value '{index}' for '--package-index <URL>': write an address that begins with `https://`\n\nFor more information, try '--help'.\n"
        );
        ran.is(2, "", &text);
    }
}

#[test]
fn the_real_index_serves_a_real_package() {
    if !reaches_pypi() {
        return;
    }
    let code = "from nameparser import HumanName\noutputs['A'] = HumanName('Dr. Ada King').last";
    let uv = UV.as_deref().and_then(|uv| uv.to_str());
    for uv in ["/nowhere/uv"].into_iter().chain(uv) {
        let command = TestCommand::new(&[("p.yaml", &program(code, "nameparser==1.1.3"))]);
        let run = || {
            let mut run = command.command(&["run", "--uv", uv, "p.yaml"]);
            run.env("HOME", command.folder.path());
            // Where connections are looked into on their way, their certificates are the environment's.
            run.envs(std::env::var_os("SSL_CERT_FILE").map(|file| ("SSL_CERT_FILE", file)));
            let output = run.output().unwrap();
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
            (text(output.stdout), text(output.stderr))
        };
        let (result, told) = run();
        assert_eq!(result, "A: King\n", "{told}");
        let told: Vec<String> = told.lines().map(settled).collect();
        assert_eq!(told[0], "installing 1 package for p.yaml: nameparser 1.1.3");
        assert_eq!(run(), ("A: King\n".to_owned(), String::new()));
    }
}
