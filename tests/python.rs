//! The `python` step: what code sees, what it may give, and what becomes of it when it goes wrong.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::path::Path;

use support::{KEY, TestApp, TestCommand, TestServer};

/// A program that runs `code` and shows what it puts into `outputs`.
fn program(code: &str, show: &str) -> String {
    let code: String = code
        .lines()
        .map(|line| format!("          {line}\n"))
        .collect();
    format!(
        "id: 1\nname: P\nfunctions:\n  Main:\n    triggers: [webhook: {{outputs: {{Given: x}}}}]\n    steps:\n      - python: |\n{code}        show: [{show}]\n"
    )
}

/// Runs `code` and gives the answer's body and the log.
async fn run(code: &str, show: &str) -> (String, Vec<String>) {
    let app = TestApp::new(&[("p.yaml", &program(code, show))]).await;
    let answer = app.api("program_id=1").await;
    let run = answer.header("waystation-run").parse().unwrap();
    let log = app.app.store.log(run, 0).await.unwrap().text;
    let text = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let line = |line: &str| {
        format!(
            "{} {}",
            text(line)["stream"].as_str().unwrap(),
            text(line)["text"].as_str().unwrap()
        )
    };
    (answer.body, log.lines().map(line).collect())
}

#[track_caller]
fn failed(body: &str, message: &str) {
    let error = format!("Main, step 1 (python): {message}");
    let expected = format!(r#"{{"Error":{}}}"#, serde_json::Value::from(error));
    assert_eq!(body, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_come_out_as_they_are() {
    let code = "outputs['A'] = [1, 2.5, True, None, 'é\\n', (1, 2), {'b': 10**30, 'a': -0.0}]";
    let (body, _) = run(code, "A").await;
    assert_eq!(
        body,
        r#"{"Success":"Program finished.","Result":[["A",[1,2.5,true,null,"é\n",[1,2],{"b":1000000000000000000000000000000,"a":-0.0}]]]}"#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_go_to_the_log_with_their_stream() {
    let code = "import sys\nprint('one')\nprint('two', end='')\nprint('three\\nfour', file=sys.stderr)\nsys.stdout.write('\\n\\xe9')";
    let (_, mut log) = run(code, "").await;
    log.sort();
    assert_eq!(
        log,
        ["err four", "err three", "out one", "out two", "out é"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept_is_named() {
    for (value, what) in [
        ("{1, 2}", "a `set`"),
        ("b'x'", "a `bytes`"),
        ("float('nan')", "the number nan"),
        ("[1, float('inf')]", "the number inf"),
        ("1 << 127", "a whole number of more than 127 bits"),
        ("{1: 2}", "a dictionary with the key 1, which is no text"),
        ("'\\ud800'", "a text with half of a surrogate pair in it"),
        ("object()", "an `object`"),
        (
            "__import__('datetime').date(2020, 1, 1)",
            "a `datetime.date`",
        ),
        ("__import__('decimal').Decimal(1)", "a `decimal.Decimal`"),
    ] {
        let (body, _) = run(&format!("outputs['A'] = {value}"), "A").await;
        failed(
            &body,
            &format!("the output `A` cannot be kept: it is or holds {what}"),
        );
    }
    let (body, _) = run("a = []\na.append(a)\noutputs['A'] = a", "A").await;
    failed(
        &body,
        "the output `A` cannot be kept: it is or holds a value that is nested too deep",
    );
    let (body, _) = run("outputs['A'] = 'x' * (17 << 20)", "A").await;
    failed(
        &body,
        "an output cannot be kept: `A`: the value is larger than 16 MiB, the most one value may be",
    );
    let (body, _) = run("outputs = 5", "A").await;
    failed(&body, "`outputs` must stay a dictionary, and is a `int`");
    let (body, _) = run("outputs[1] = 5", "A").await;
    failed(&body, "an output's name must be a text, and this is 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_told() {
    for (code, message) in [
        (
            "x = 1\nraise ValueError('no')",
            "ValueError: no (line 2 of the code)",
        ),
        (
            "def f():\n    return {}['k']\nf()",
            "KeyError: 'k' (line 2 of the code)",
        ),
        (
            "x = (",
            "SyntaxError: '(' was never closed (line 1 of the code)",
        ),
        (
            "import nothing_of_that_name",
            "ModuleNotFoundError: No module named 'nothing_of_that_name' (line 1 of the code)",
        ),
        (
            "import sys\nsys.exit(3)",
            "the code ended with exit status 3",
        ),
        (
            "import sys\nsys.exit('no more')",
            "the code ended with exit status no more",
        ),
        (
            "import os\nos._exit(3)",
            "the process of the code ended by itself, with exit status 3",
        ),
        (
            "import os\nos.kill(os.getpid(), 9)",
            "the process of the code was killed by signal 9",
        ),
        (
            "raise KeyboardInterrupt",
            "KeyboardInterrupt (line 1 of the code)",
        ),
        (
            "raise ValueError('\\ud800')",
            "ValueError: \\ud800 (line 1 of the code)",
        ),
    ] {
        failed(&run(code, "").await.0, message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_in_the_record_names_the_line_of_the_file_and_shows_the_traceback() {
    let app = TestApp::new(&[(
        "p.yaml",
        &program("def f():\n    raise ValueError('no')\nf()", ""),
    )])
    .await;
    let answer = app.api("program_id=1").await;
    let run = app
        .app
        .store
        .run(answer.header("waystation-run").parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    let traceback = "Traceback (most recent call last):\n  File \"p.yaml\", line 10, in <module>\n    f()\n  File \"p.yaml\", line 9, in f\n    raise ValueError('no')\nValueError: no\n";
    let failure: serde_json::Value = serde_json::from_str(&run.answer.unwrap()).unwrap();
    assert_eq!(
        failure,
        serde_json::json!({
            "message": "ValueError: no (line 2 of the code)",
            "reason": "error",
            "at": { "function": "Main", "step": "1", "kind": "python", "line": 9, "column": 1 },
            "traceback": traceback,
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_is_clean() {
    let code = "import os, sys\noutputs['A'] = [sorted(k for k in os.environ if k != 'LC_CTYPE'), os.environ['HOME'] == os.getcwd(), os.listdir('.'), sys.argv, sys.stdin.read(), __name__, sys.flags.isolated]";
    let (body, _) = run(code, "A").await;
    assert_eq!(body, r#"{"Success":"Program finished.","Result":[["A",[["HOME","LANG","PATH","TMPDIR"],true,[],["-c"],"",  "__main__",1]]]}"#.replace("  ", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_folder_is_gone_afterwards() {
    let (body, _) = run(
        "import os\nopen('file', 'w').write('x')\noutputs['A'] = os.getcwd()",
        "A",
    )
    .await;
    let folder = body.split('"').nth(9).unwrap();
    assert!(
        folder.contains("waystation-") && !Path::new(folder).exists(),
        "{body}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_are_waited_for() {
    let code = "import threading\nready = threading.Event()\ndef f():\n    ready.wait()\n    outputs['A'] = 1\nthreading.Thread(target=f).start()\nready.set()";
    assert_eq!(
        run(code, "A").await.0,
        r#"{"Success":"Program finished.","Result":[["A",1]]}"#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_limit_ends_the_whole_process_group() {
    let pid = tempfile::NamedTempFile::new().unwrap();
    let code = format!(
        "import subprocess\nchild = subprocess.Popen(['sleep', '1000'])\nopen({:?}, 'w').write(str(child.pid))\nprint('started')\nchild.wait()",
        pid.path()
    );
    let app = TestApp::with(&[("p.yaml", &program(&code, ""))], &["--code-time", "5s"]).await;
    let answer = app.api("program_id=1").await;
    answer.is(504, r#"{"Error":"Main, step 1 (python): the code took longer than 5s; the step's `timeout` can give it more"}"#);
    let pid = std::fs::read_to_string(pid.path()).unwrap();
    assert!(gone(&pid), "process {pid} lives on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_with_a_timeout_of_its_own_is_held_to_that() {
    let text = program("import time\ntime.sleep(1000)", "").replace("show: []", "timeout: 300ms");
    let app = TestApp::new(&[("p.yaml", &text)]).await;
    let answer = app.api("program_id=1").await;
    answer.is(
        504,
        r#"{"Error":"Main, step 1 (python): the step took longer than its `timeout` of 300ms"}"#,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_left_behind_in_the_group_is_ended() {
    let code = "import subprocess\noutputs['A'] = str(subprocess.Popen(['sleep', '1000']).pid)";
    let (body, _) = run(code, "A").await;
    let pid = body.split('"').nth(9).unwrap();
    assert!(gone(pid), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn output_beyond_the_limit_ends_the_code_and_the_log_stays_bounded() {
    let (body, log) = run("while True: print('x' * 100_000)", "").await;
    failed(&body, "the code wrote more than 64 MiB");
    let kept: usize = log.iter().map(String::len).sum();
    assert!(kept < 5 << 20, "{kept} bytes");
    assert_eq!(
        log.last().unwrap(),
        "note the log is full: what the run writes from here on is not kept"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interpreter_that_is_not_there_is_named() {
    let app = TestApp::with(
        &[("p.yaml", &program("pass", ""))],
        &["--python", "/nowhere/python3"],
    )
    .await;
    let answer = app.api("program_id=1").await;
    assert_eq!(answer.status, 500);
    failed(
        &answer.body,
        "Python cannot be started: `/nowhere/python3`: No such file or directory (os error 2); the setting `python` names it",
    );
}

#[test]
fn killing_the_server_leaves_no_process_behind() {
    let pid = tempfile::NamedTempFile::new().unwrap();
    let code = format!(
        "import os, time\nopen({:?}, 'w').write(str(os.getpid()))\ntime.sleep(1000)",
        pid.path()
    );
    let command = TestCommand::new(&[("p.yaml", &program(&code, ""))]);
    let mut server = TestServer::start(&command, &[]);
    let address = server.address.clone();
    let call = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let mut socket = std::net::TcpStream::connect(address).unwrap();
        let request = format!(
            "POST /api?api_key={KEY}&program_id=1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).unwrap();
        let _ = socket.read_to_end(&mut Vec::new());
    });
    let pid = loop {
        let text = std::fs::read_to_string(pid.path()).unwrap();
        if !text.is_empty() {
            break text;
        }
        std::thread::yield_now();
    };
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    call.join().unwrap();
    assert!(gone(&pid), "process {pid} lives on");
}

/// Whether a process is gone, or only waits to be noticed by its parent, within a second.
fn gone(pid: &str) -> bool {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(1);
    while std::time::Instant::now() < end {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") {
            return true;
        }
        std::thread::yield_now();
    }
    false
}
