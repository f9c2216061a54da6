//! What is said of code that goes wrong: the message, the line of the program's file, the traceback, as Python 3.11
//! draws it.

use crate::{Runs, failed, run};

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_told() {
    let told = [
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
            "if True:\nx = 1",
            "IndentationError: expected an indented block after 'if' statement on line 8 (line 2 of the code)",
        ),
        (
            "import nothing_of_that_name",
            "ModuleNotFoundError: No module named 'nothing_of_that_name' (line 1 of the code)",
        ),
        (
            "import os\nos._exit(3)",
            "the process of the code ended by itself, with exit status 3",
        ),
        (
            "import os\nos.kill(os.getpid(), 9)",
            "the process of the code was killed, as happens when the machine is out of memory",
        ),
        (
            "import os\nos.abort()",
            "the process of the code crashed with SIGABRT, as happens by a fault in a library or for want of memory: its \
             limit is 512MB",
        ),
        (
            "raise KeyboardInterrupt",
            "KeyboardInterrupt (line 1 of the code)",
        ),
        (
            "raise ValueError('\\ud800')",
            "ValueError: \\ud800 (line 1 of the code)",
        ),
        (
            "class Odd(Exception):\n    def __str__(self): return 1 / 0\nraise Odd",
            "Odd: <exception str() failed> (line 3 of the code)",
        ),
        (
            "def f(): f()\nf()",
            "RecursionError: maximum recursion depth exceeded (line 1 of the code)",
        ),
        (
            "error = ValueError('no')\nerror.add_note('not today')\nraise error",
            "ValueError: no (line 3 of the code)",
        ),
        (
            "class Own(Exception): pass\nraise Own('two\\nlines')",
            "Own: two\nlines (line 2 of the code)",
        ),
        (
            "raise ExceptionGroup('both', [ValueError(1), TypeError(2)])",
            "ExceptionGroup: both (2 sub-exceptions) (line 1 of the code)",
        ),
    ];
    let codes = told.map(|(code, _)| code);
    let runs = Runs::of(&codes).await;
    for (id, (_, message)) in (1..).zip(told) {
        failed(&runs.run(id).await.body, message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_with_a_status_is_a_failure_where_it_says_so() {
    let done = r#"{"Success":"Program finished.","Result":[]}"#;
    for (code, message) in [
        ("sys.exit()", None),
        ("sys.exit(0)", None),
        ("sys.exit(False)", None),
        ("sys.exit(3)", Some("the code ended with exit status 3")),
        ("sys.exit(True)", Some("the code ended with exit status 1")),
        ("sys.exit(256)", Some("the code ended with exit status 256")),
        (
            "sys.exit('no more')",
            Some("the code ended with exit status 1: no more"),
        ),
        (
            "raise SystemExit(['a'])",
            Some("the code ended with exit status 1: ['a']"),
        ),
        ("exit(4)", Some("the code ended with exit status 4")),
    ] {
        let runs = Runs::of(&[&*format!("import sys\n{code}")]).await;
        let came = runs.run(1).await;
        match message {
            None => assert_eq!(came.body, done, "{code}"),
            Some(message) => {
                failed(&came.body, message);
                assert_eq!(came.failure["at"]["line"], 9, "{code}");
                assert_eq!(came.failure["traceback"], serde_json::Value::Null);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_in_the_record_names_the_line_of_the_file_and_shows_the_traceback() {
    let runs = Runs::of(&["def f():\n    raise ValueError('no')\nf()"]).await;
    let failure = runs.run(1).await.failure;
    let traceback = "Traceback (most recent call last):\n  File \"p1.yaml\", line 10, in <module>\n    f()\n  File \"p1.yaml\", line 9, in f\n    raise ValueError('no')\nValueError: no\n";
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

/// Code, and the traceback that comes of it; `|` stands before every line of it.
const TRACEBACKS: &[(&str, &str)] = &[
    // A cause, and what was being handled.
    (
        "try:\n    {}['k']\nexcept KeyError as error:\n    raise ValueError('no') from error",
        r#"
        |Traceback (most recent call last):
        |  File "p1.yaml", line 9, in <module>
        |    {}['k']
        |    ~~^^^^^
        |KeyError: 'k'
        |
        |The above exception was the direct cause of the following exception:
        |
        |Traceback (most recent call last):
        |  File "p1.yaml", line 11, in <module>
        |    raise ValueError('no') from error
        |ValueError: no
        "#,
    ),
    (
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    open('nowhere')",
        r#"
        |Traceback (most recent call last):
        |  File "p2.yaml", line 9, in <module>
        |    1 / 0
        |    ~~^~~
        |ZeroDivisionError: division by zero
        |
        |During handling of the above exception, another exception occurred:
        |
        |Traceback (most recent call last):
        |  File "p2.yaml", line 11, in <module>
        |    open('nowhere')
        |FileNotFoundError: [Errno 2] No such file or directory: 'nowhere'
        "#,
    ),
    (
        "def f(n): raise ValueError(n)\ndef g():\n    errors = []\n    for n in range(2):\n        try: f(n)\n        except ValueError as error: errors.append(error)\n    raise ExceptionGroup('all', errors)\ng()",
        r#"
        |  + Exception Group Traceback (most recent call last):
        |  |   File "p3.yaml", line 15, in <module>
        |  |     g()
        |  |   File "p3.yaml", line 14, in g
        |  |     raise ExceptionGroup('all', errors)
        |  | ExceptionGroup: all (2 sub-exceptions)
        |  +-+---------------- 1 ----------------
        |    | Traceback (most recent call last):
        |    |   File "p3.yaml", line 12, in g
        |    |     try: f(n)
        |    |          ^^^^
        |    |   File "p3.yaml", line 8, in f
        |    |     def f(n): raise ValueError(n)
        |    |               ^^^^^^^^^^^^^^^^^^^
        |    | ValueError: 0
        |    +---------------- 2 ----------------
        |    | Traceback (most recent call last):
        |    |   File "p3.yaml", line 12, in g
        |    |     try: f(n)
        |    |          ^^^^
        |    |   File "p3.yaml", line 8, in f
        |    |     def f(n): raise ValueError(n)
        |    |               ^^^^^^^^^^^^^^^^^^^
        |    | ValueError: 1
        |    +------------------------------------
        "#,
    ),
    (
        "x = 1\nprint('a' 'b' 2)",
        r#"
        |  File "p4.yaml", line 9
        |    print('a' 'b' 2)
        |          ^^^^^^^^^
        |SyntaxError: invalid syntax. Perhaps you forgot a comma?
        "#,
    ),
    (
        "def f(n):\n    return f(n + 1)\nf(0)",
        r#"
        |Traceback (most recent call last):
        |  File "p5.yaml", line 10, in <module>
        |    f(0)
        |  File "p5.yaml", line 9, in f
        |    return f(n + 1)
        |           ^^^^^^^^
        |  File "p5.yaml", line 9, in f
        |    return f(n + 1)
        |           ^^^^^^^^
        |  File "p5.yaml", line 9, in f
        |    return f(n + 1)
        |           ^^^^^^^^
        |  [Previous line repeated … more times]
        |RecursionError: maximum recursion depth exceeded
        "#,
    ),
    (
        "error = ValueError('no')\nerror.add_note('not today')\nraise error",
        r#"
        |Traceback (most recent call last):
        |  File "p6.yaml", line 10, in <module>
        |    raise error
        |ValueError: no
        |not today
        "#,
    ),
    // A module that the code imports, and an error of its own in it.
    (
        "import sys\nopen('part.py', 'w').write('def f():\\n    return 1 / 0\\n')\nsys.path.append('/job')\nimport part\npart.f()",
        r#"
        |Traceback (most recent call last):
        |  File "p7.yaml", line 12, in <module>
        |    part.f()
        |  File "/job/part.py", line 2, in f
        |    return 1 / 0
        |           ~~^~~
        |ZeroDivisionError: division by zero
        "#,
    ),
    (
        "import sys\nopen('part.py', 'w').write('x = 1\\ny = = 2\\n')\nsys.path.append('/job')\nimport part",
        r#"
        |Traceback (most recent call last):
        |  File "p8.yaml", line 11, in <module>
        |    import part
        |  File "/job/part.py", line 2
        |    y = = 2
        |        ^
        |SyntaxError: invalid syntax
        "#,
    ),
    (
        "exec('1 / 0')",
        r#"
        |Traceback (most recent call last):
        |  File "p9.yaml", line 8, in <module>
        |    exec('1 / 0')
        |  File "<string>", line 1, in <module>
        |ZeroDivisionError: division by zero
        "#,
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn tracebacks_are_what_python_shows_of_the_file() {
    let codes: Vec<&str> = TRACEBACKS.iter().map(|(code, _)| *code).collect();
    let runs = Runs::of(&codes).await;
    for (id, (code, wanted)) in (1..).zip(TRACEBACKS) {
        let lines = wanted.lines().filter_map(|line| line.split_once('|'));
        let wanted: String = lines.map(|(_, line)| format!("{line}\n")).collect();
        let failure = runs.run(id).await.failure;
        let came = failure["traceback"].as_str().unwrap().lines();
        let came: String = came
            .map(
                |line| match line.starts_with("  [Previous line repeated ") {
                    true => "  [Previous line repeated … more times]\n".to_owned(),
                    false => format!("{line}\n"),
                },
            )
            .collect();
        assert_eq!(came, wanted, "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_long_traceback_is_kept() {
    let code = "raise ValueError('x' * 100_000 + 'end')";
    let failure = Runs::of(&[code]).await.run(1).await.failure;
    let traceback = failure["traceback"].as_str().unwrap();
    assert_eq!(traceback.len(), 32 << 10);
    assert!(traceback.ends_with("xend\n"));
    let message = failure["message"].as_str().unwrap();
    assert!(message.len() <= 4096 && message.starts_with("ValueError: xx"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exception_of_a_thread_is_printed_and_fails_nothing() {
    let code = "import threading\ndef f(): raise ValueError('no')\nthread = threading.Thread(target=f, name='aside')\nthread.start()\nthread.join()\noutputs['A'] = 1";
    let (body, log) = run(code, "A").await;
    assert_eq!(
        body,
        r#"{"Success":"Program finished.","Result":[["A",1]]}"#
    );
    assert_eq!(log[0], "err Exception in thread aside:");
    assert_eq!(
        log[log.len() - 4..],
        [
            "err   File \"p1.yaml\", line 9, in f",
            "err     def f(): raise ValueError('no')",
            "err              ^^^^^^^^^^^^^^^^^^^^^^",
            "err ValueError: no"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn warnings_name_the_line_of_the_file() {
    let code = "import warnings\nwarnings.warn('careful')\nwarnings.warn('old', DeprecationWarning)\nassert (1, 'always')";
    let (_, log) = run(code, "").await;
    assert_eq!(
        log,
        [
            "err p1.yaml:11: SyntaxWarning: assertion is always true, perhaps remove parentheses?",
            "err   assert (1, 'always')",
            "err p1.yaml:9: UserWarning: careful",
            "err   warnings.warn('careful')",
            "err p1.yaml:10: DeprecationWarning: old",
            "err   warnings.warn('old', DeprecationWarning)",
        ]
    );
}
