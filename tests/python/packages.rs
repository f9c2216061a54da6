//! numpy and pandas: what of theirs is kept, what is refused, and how their errors look.

use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::gives;
use crate::support::TestApp;

/// Whether the index can be reached that packages come from.
fn reaches_index() -> bool {
    let addresses = "pypi.org:443".to_socket_addrs().into_iter().flatten();
    let reached = addresses
        .take(2)
        .any(|address| TcpStream::connect_timeout(&address, Duration::from_secs(3)).is_ok());
    if !reached {
        eprintln!("\n\n*** NOT TESTED WITH NUMPY AND PANDAS: the index cannot be reached ***\n\n");
    }
    reached
}

const KEPT: &str = "import numpy as np
outputs['A'] = [np.int64(1) << 40, np.uint8(255), np.float32(0.5), np.float64(2.5), np.bool_(True), np.str_('x')]";

const UNKEPT: &[(&str, &str, &str)] = &[
    (
        "[np.float32('nan')]",
        "A[0]",
        "the number nan; write `None` or a text for it",
    ),
    (
        "np.arange(3)",
        "A",
        "a `numpy.ndarray`; write `.tolist()` of it",
    ),
    (
        "np.datetime64('2020-01-01')",
        "A",
        "a `numpy.datetime64`; write `.item()` of it",
    ),
    (
        "pd.DataFrame({'a': [1]})",
        "A",
        "a `pandas.DataFrame`; write `.to_dict(\"records\")` of it",
    ),
    (
        "pd.Series([1])",
        "A",
        "a `pandas.Series`; write `.tolist()` of it",
    ),
    (
        "pd.Index(['a'])",
        "A",
        "a `pandas.Index`; write `.tolist()` of it",
    ),
    (
        "pd.DataFrame({'t': [pd.Timestamp(0)]}).to_dict('records')",
        "A[0].t",
        "a `pandas.Timestamp`; write `.isoformat()` of it",
    ),
    ("{'t': pd.NaT}", "A.t", "`pandas.NaT`; write `None` for it"),
    ("pd.NA", "A", "`pandas.NA`; write `None` for it"),
];

#[tokio::test(flavor = "multi_thread")]
async fn numpy_and_pandas() {
    if !reaches_index() {
        return;
    }
    let unkept = UNKEPT.iter().map(|(value, _, _)| {
        format!("import numpy as np, pandas as pd\nprint('imported')\noutputs['A'] = {value}")
    });
    let table = "import pandas as pd\noutputs['A'] = pd.DataFrame({'n': [1, 2], 'x': [0.5, 1.5], 'who': ['a', 'b']}).to_dict('records')";
    let wrong = "import pandas as pd\npd.DataFrame({'a': [1]})['b']\noutputs['A'] = 1";
    let codes = [KEPT.to_owned(), table.to_owned(), wrong.to_owned()];
    // One program, a function for each code: the versions are looked up once.
    let mut text = "id: 1\nname: P\nfunctions:\n".to_owned();
    for (id, code) in (1..).zip(codes.into_iter().chain(unkept)) {
        let code = code.replace('\n', "\n          ");
        text += &format!(
            "  F{id}:\n    triggers: [webhook]\n    steps:\n      - python: |\n          {code}\n        packages: [numpy, pandas]\n        show: [A]\n"
        );
    }
    // Kept with what is built: they are large.
    let data = concat!(env!("CARGO_TARGET_TMPDIR"), "/numpy-and-pandas");
    let app = TestApp::with(&[("p.yaml", &text)], &["--data", data]).await;
    let run = async |id: usize| app.api(&format!("program_id=1&function=F{id}")).await;
    gives(
        &run(1).await.body,
        r#"[1099511627776,255,0.5,2.5,true,"x"]"#,
    );
    gives(
        &run(2).await.body,
        r#"[{"n":1,"x":0.5,"who":"a"},{"n":2,"x":1.5,"who":"b"}]"#,
    );
    let answer = run(3).await;
    let failed = |id: usize, body: &str, message: &str| {
        let error = format!("F{id}, step 1 (python): {message}");
        assert_eq!(
            body,
            format!(r#"{{"Error":{}}}"#, serde_json::Value::from(error))
        );
    };
    failed(3, &answer.body, "KeyError: 'b' (line 2 of the code)");
    let run_id = answer.header("waystation-run").parse().unwrap();
    let recorded = app.app.store.run(run_id).await.unwrap().unwrap().answer;
    let recorded = recorded.unwrap();
    assert!(
        recorded.contains(r#"File \"pandas/core/frame.py\", line "#),
        "{recorded}"
    );
    assert!(!recorded.contains("site/"), "{recorded}");
    for (id, (_, place, what)) in (4..).zip(UNKEPT) {
        failed(
            id,
            &run(id).await.body,
            &format!("the output `{place}` cannot be kept: it is {what}"),
        );
    }
}
