//! How code ends: by itself, with what it started, or because it must.

use std::io::{Read, Write};

use crate::support::outside::{is_gone, is_there, marker};
use crate::support::{KEY, TestApp, TestCommand, TestServer};
use crate::{Runs, gives, program, run};

#[tokio::test(flavor = "multi_thread")]
async fn threads_are_waited_for() {
    let code = "import threading\nready = threading.Event()\ndef f():\n    ready.wait()\n    outputs['A'] = 1\nthreading.Thread(target=f).start()\nready.set()";
    gives(&run(code, "A").await.0, "1");
    // Their work is done also where the code is left early, and where they would wait for more work.
    let code = "
import sys, time
from concurrent.futures import ThreadPoolExecutor
def f():
    time.sleep(0.1)
    outputs['A'] = 2
ThreadPoolExecutor().submit(f)
sys.exit()";
    gives(&run(code, "A").await.0, "2");
    let code = "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\noutputs['A'] = 3";
    gives(&run(code, "A").await.0, "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_be_done_at_the_end_is_done() {
    let code = "import atexit\natexit.register(lambda: outputs.update(A=4))\natexit.register(print, 'bye')";
    let (body, log) = run(code, "A").await;
    gives(&body, "4");
    assert_eq!(log, ["out bye"]);
    let code = "
import multiprocessing
def f(): print('from the child', flush=True)
multiprocessing.Process(target=f).start()
outputs['A'] = 5";
    let (body, log) = run(code, "A").await;
    gives(&body, "5");
    assert_eq!(log, ["out from the child"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_limit_ends_all_processes() {
    let marker = marker();
    let code = format!(
        "import subprocess\nchild = subprocess.Popen(['sleep', '{marker}'], start_new_session=True)\nprint('started', flush=True)\nchild.wait()"
    );
    let runs = Runs::with(&[&code], "", &["--code-time", "2s"]).await;
    let came = runs.run(1).await;
    assert_eq!(
        came.body,
        r#"{"Error":"Main, step 1 (python): the code took longer than 2s; the step's `timeout` can give it more"}"#
    );
    assert_eq!(came.log, ["out started"]);
    assert!(is_gone(&marker), "a process lives on");
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
async fn a_process_that_is_left_behind_is_ended() {
    let marker = marker();
    let code = format!(
        "import subprocess\nsubprocess.Popen(['sleep', '{marker}'], start_new_session=True)\noutputs['A'] = 1"
    );
    gives(&run(&code, "A").await.0, "1");
    assert!(is_gone(&marker), "a process lives on");
}

#[test]
fn killing_the_server_leaves_no_process_behind() {
    let marker = marker();
    let code = format!("import subprocess\nsubprocess.run(['sleep', '{marker}'])");
    let command = TestCommand::new(&[("p.yaml", &program(&code, ""))]);
    let mut server = TestServer::start(&command, &[]);
    let mut socket = server.connect();
    let request = format!(
        "POST /api?api_key={KEY}&program_id=1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).unwrap();
    assert!(is_there(&marker), "it does not run");
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let _ = socket.read_to_end(&mut Vec::new());
    assert!(is_gone(&marker), "a process lives on");
}
