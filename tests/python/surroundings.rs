//! What code finds around it, and what it writes.

use crate::support::TestApp;
use crate::{Runs, failed, gives, program, run};

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
async fn the_environment_is_clean() {
    let code = "import os, sys
proxies = [f'{a}_proxy' for a in ('all', 'http', 'https')]
outputs['A'] = [sorted(k for k in os.environ if k.lower() not in proxies and k != 'LC_CTYPE'), os.environ['HOME'], os.getcwd(), os.environ['TMPDIR'], os.listdir('.'), os.listdir('/tmp'), sys.argv, sys.stdin.read(), __name__, sys.flags.isolated]
outputs['A'] += [os.getuid(), sorted(os.environ[p] == os.environ['http_proxy'] for p in proxies)]";
    let (body, _) = run(code, "A").await;
    gives(
        &body,
        r#"[["HOME","LANG","OMP_NUM_THREADS","OPENBLAS_NUM_THREADS","PATH","TMPDIR"],"/job","/job","/tmp",[],[],["-c"],"","__main__",1,1000,[true,true,true]]"#,
    );
    let runs = Runs::with(
        &["import os\noutputs['A'] = sorted(k for k in os.environ if 'proxy' in k.lower())"],
        "A",
        &["--code-network", "none"],
    )
    .await;
    gives(&runs.run(1).await.body, "[]");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_folder_is_new_for_every_run() {
    let code = "import os
for place in ('/job', '/tmp', '/dev/shm'):
    open(place + '/file', 'x').write('x')
outputs['A'] = sorted(os.listdir('/job') + os.listdir('/tmp') + os.listdir('/dev/shm'))";
    let runs = Runs::with(&[code], "A", &[]).await;
    for _ in 0..5 {
        gives(&runs.run(1).await.body, r#"["file","file","file"]"#);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_the_machine_are_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "x").unwrap();
    let code = format!(
        "import os\noutputs['A'] = [os.path.exists({file:?}), os.path.exists('/home'), os.path.exists('/etc/shadow')]"
    );
    gives(&run(&code, "A").await.0, "[false,false,false]");
}

#[tokio::test(flavor = "multi_thread")]
async fn output_beyond_the_limit_ends_the_code_and_the_log_keeps_its_two_ends() {
    let code = "for n in range(10_000_000): print(n, 'x' * 1000)";
    let (body, log) = run(code, "").await;
    failed(
        &body,
        "the code used more output than its limit of 64MB; the step's `limits` can set `output` up to 256MB, the server's \
         `max-code-output`",
    );
    let kept: usize = log.iter().map(String::len).sum();
    assert!((400_000..600_000).contains(&kept), "{kept} bytes");
    assert!(log[0].starts_with("out 0 xxx"), "{}", log[0]);
    let note = |line: &&String| line.starts_with("note … ");
    assert!(
        log.iter()
            .find(note)
            .unwrap()
            .ends_with(" bytes of output are left out here …")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_much_output_whole_lines_are_kept_and_what_is_missing_is_counted() {
    let code =
        "import sys\nfor n in range(1000): print(f'{n:04}', 'x' * 1018)\nprint('end', end='')";
    let (body, log) = run(code, "").await;
    assert_eq!(body, r#"{"Success":"Program finished.","Result":[]}"#);
    // 256 KiB from each end, in lines of 1,024 bytes, and the end itself.
    let line = |n: u32| format!("out {n:04} {}", "x".repeat(1018));
    let left_out = "note … 500736 bytes of output are left out here …".to_owned();
    let expected: Vec<String> = (0..256)
        .map(line)
        .chain([left_out])
        .chain((745..1000).map(line))
        .chain(["out end".to_owned()])
        .collect();
    assert_eq!(log, expected);
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
        "the code cannot be run: Python cannot be started: `/nowhere/python3`: No such file or directory (os error 2); the \
         setting `python` names it",
    );
}
