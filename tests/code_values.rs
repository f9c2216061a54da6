//! Values that want to be code: in no language do they become any.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use support::TestApp;

/// What came of a call: the answer's body, and the lines of the log.
struct Came {
    body: String,
    log: Vec<String>,
}

/// A program whose one caller's variable is `It`, and that runs one step and shows `Out`.
fn program(id: usize, kind: &str, code: &str) -> (String, String) {
    let code = code.replace('\n', "\n          ");
    let text = format!(
        "id: {id}\nname: P\nfunctions:\n  Main:\n    triggers: [webhook: {{outputs: {{It: ''}}}}]\n    steps:\n      - {kind}: |\n          {code}\n        show: [Out]\n"
    );
    (format!("p{id}.yaml"), text)
}

async fn app(programs: &[(String, String)]) -> TestApp {
    let programs: Vec<(&str, &str)> = programs
        .iter()
        .map(|(name, text)| (&**name, &**text))
        .collect();
    TestApp::new(&programs).await
}

async fn call(app: &TestApp, id: usize, value: &str) -> Came {
    let query: String = form_urlencoded::Serializer::new(format!("program_id={id}"))
        .append_pair("variables", value)
        .finish();
    let request = axum::http::Request::builder()
        .method("POST")
        .uri(format!("/api?api_key={}", support::KEY))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(query.into())
        .unwrap();
    let answer = app.send(request).await;
    let run = answer.header("waystation-run").parse().unwrap();
    let log = app.app.store.log(run, 0).await.unwrap().text;
    let line = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["text"].as_str().unwrap().to_owned()
    };
    Came {
        body: answer.body,
        log: log.lines().map(line).collect(),
    }
}

#[track_caller]
fn gives(came: &Came, value: &str) {
    let expected =
        serde_json::json!({ "Success": "Program finished.", "Result": [["Out", value]] });
    assert_eq!(came.body, expected.to_string());
}

/// Texts that are code somewhere.
const HOSTILE: [&str; 28] = [
    "$(id)",
    "`id`",
    "; id",
    "| id",
    "&& id",
    "\nid",
    "a\nid\n",
    "-rf",
    "--help",
    "*",
    "~",
    "$HOME",
    "${IFS}",
    "\\",
    "'",
    "\"",
    "'; id; '",
    "\"; id; \"",
    "\"\"\"",
    "'''",
    "{x.__class__}",
    "%s",
    "f\"{1/0}\"",
    "__import__('os')",
    "</script>",
    "${alert(1)}",
    "a\u{2028}b\u{2029}c",
    "\u{feff}\u{7f}\u{1b}[31m",
];

#[tokio::test(flavor = "multi_thread")]
async fn hostile_texts_stay_texts() {
    let app = app(&[
        program(1, "python", "outputs['Out'] = inputs['It']"),
        program(2, "javascript", "outputs.Out = inputs.It"),
        program(
            3,
            "shell",
            "printf 'Out<<the end\\n%s\\nthe end\\n' \"$VAR_It\" >&3",
        ),
        program(
            4,
            "shell",
            "printf '%s' \"$VAR_It\" > file\nread -r line < file || true\nprintf 'Out=%s\\n' \"$line\" >&3",
        ),
    ])
    .await;
    for text in HOSTILE {
        for id in 1..=3 {
            gives(&call(&app, id, text).await, text);
        }
        // A line of it, by way of a file and back.
        let first = text.split('\n').next().unwrap();
        gives(&call(&app, 4, text).await, first);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_is_given_no_nul() {
    let app = app(&[program(1, "shell", "echo Out=never >&3")]).await;
    let came = call(&app, 1, "a\0b").await;
    assert_eq!(
        came.body,
        r#"{"Error":"Main, step 1 (shell): the variable `It` holds a NUL, which no environment variable can"}"#
    );
    assert_eq!(came.log, [] as [&str; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_that_are_one_in_a_shell_are_refused() {
    let two = |first: &str, second: &str, value: &str| {
        format!(
            "id: 1\nname: P\nfunctions:\n  Main:\n    triggers: [webhook]\n    steps:\n      - set: {{{first}: {value}, {second}: 2}}\n      - shell: 'true'\n"
        )
    };
    let long = "x".repeat(40_000);
    for (text, sentence) in [
        (
            two("é", "è", "1"),
            "the variables `é` and `è` are both `$VAR__` in a shell",
        ),
        (
            two("Big", "Big FILE", &long),
            "the variables `Big` and `Big FILE` are both `$VAR_Big_FILE` in a shell",
        ),
        (
            two("Big FILE", "Big", &long)
                .replace(&long, "1")
                .replace(": 2", &format!(": {long}")),
            "the variables `Big FILE` and `Big` are both `$VAR_Big_FILE` in a shell",
        ),
    ] {
        let app = TestApp::new(&[("p.yaml", &text)]).await;
        let error = serde_json::json!({ "Error": format!("Main, step 2 (shell): {sentence}") });
        app.api("program_id=1").await.is(500, &error.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_value_is_given_to_a_shell_as_a_file() {
    let code = "if [ \"${VAR_It+set}\" ]\nthen echo \"Out=in the environment, $(printf %s \"$VAR_It\" | wc -c)\" >&3\nelse echo \"Out=in ${VAR_It_FILE##*/}, $(wc -c < \"$VAR_It_FILE\"), $(cksum < \"$VAR_It_FILE\")\" >&3\nfi";
    let app = app(&[program(1, "shell", code)]).await;
    let short = "x".repeat((32 << 10) - 1);
    let came = call(&app, 1, &short).await;
    gives(&came, "in the environment, 32767");
    assert_eq!(came.log, [] as [&str; 0]);
    for length in [32 << 10, 131_072, 1_000_000] {
        let text: String = "0123456789\n".chars().cycle().take(length).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &text).unwrap();
        let sum = std::process::Command::new("cksum")
            .stdin(std::fs::File::open(file.path()).unwrap())
            .output()
            .unwrap();
        let sum = String::from_utf8(sum.stdout).unwrap();
        let came = call(&app, 1, &text).await;
        gives(&came, &format!("in VAR_It, {length}, {}", sum.trim()));
        assert_eq!(
            came.log,
            [format!(
                "the variable `It` has {length} bytes, and is given as a file: `$VAR_It_FILE`"
            )]
        );
    }
}

/// Many values, none of them long, that together are more than an environment holds.
#[tokio::test(flavor = "multi_thread")]
async fn many_values_never_are_too_many_for_a_shell() {
    let values: String = (0..100)
        .map(|n| format!("          V{n}: '{{{{ It }}}}'\n"))
        .collect();
    let text = format!(
        "id: 1\nname: P\nfunctions:\n  Main:\n    triggers: [webhook: {{outputs: {{It: ''}}}}]\n    steps:\n      - set:\n{values}      - shell: |\n          all=$(env | grep -c '^VAR_V[0-9]*=')\n          files=$(env | grep -c '^VAR_V[0-9]*_FILE=')\n          echo \"Out=$all and $files\" >&3\n        show: [Out]\n"
    );
    let app = TestApp::new(&[("p.yaml", &text)]).await;
    let came = call(&app, 1, &"x".repeat(20_000)).await;
    gives(&came, "51 and 49");
    assert_eq!(came.log.len(), 49);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_looks_like_a_template_is_not_filled_in_again() {
    let text = |kind: &str, code: &str| {
        format!(
            "id: 1\nname: P\nfunctions:\n  Main:\n    triggers: [webhook: {{outputs: {{It: ''}}}}]\n    steps:\n      - set: {{Other: secret, Said: 'it says {{{{ It }}}}'}}\n      - print: '{{{{ Said }}}}'\n      - {kind}: {code}\n        show: [Out]\n"
        )
    };
    for (kind, code) in [
        ("python", "outputs['Out'] = inputs['Said']"),
        ("javascript", "outputs.Out = inputs.Said"),
        ("shell", "printf 'Out=%s\\n' \"$VAR_Said\" >&3"),
    ] {
        let app = TestApp::new(&[("p.yaml", &text(kind, code))]).await;
        for hostile in [
            "{{ Other }}",
            "{{Other}} {{ 1 / 0 }}",
            "[Other]",
            "{% if 1 %}",
        ] {
            let came = call(&app, 1, hostile).await;
            let said = format!("it says {hostile}");
            gives(&came, &said);
            assert_eq!(came.log, [said], "{kind}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_objects_have_are_plain_names() {
    let names = [
        "constructor",
        "__class__",
        "toString",
        "__proto__",
        "__dict__",
    ];
    let sets: String = names
        .iter()
        .map(|name| format!("          {name}: its own {name}\n"))
        .collect();
    for (kind, code) in [
        (
            "python",
            "outputs['Out'] = [inputs[n] for n in sorted(inputs)]",
        ),
        (
            "javascript",
            "outputs.Out = Object.keys(inputs).sort().map(n => inputs[n])",
        ),
        (
            "shell",
            "printf '{\"Out\": [\"%s\", \"%s\", \"%s\", \"%s\", \"%s\"]}' \"$VAR___class__\" \"$VAR___dict__\" \"$VAR___proto__\" \"$VAR_constructor\" \"$VAR_toString\" >&3",
        ),
    ] {
        let text = format!(
            "id: 1\nname: P\nfunctions:\n  Main:\n    triggers: [webhook]\n    steps:\n      - set:\n{sets}      - {kind}: |\n          {code}\n        show: [Out]\n"
        );
        let app = TestApp::new(&[("p.yaml", &text)]).await;
        app.api("program_id=1").await.is(
            200,
            r#"{"Success":"Program finished.","Result":[["Out",["its own __class__","its own __dict__","its own __proto__","its own constructor","its own toString"]]]}"#,
        );
    }
    for name in names {
        let text = format!(
            "id: 1\nname: P\nfunctions:\n  Main:\n    triggers: [webhook]\n    steps:\n      - set: {{Thing: {{a: 1}}}}\n      - print: '{{{{ Thing.{name} }}}}'\n"
        );
        let app = TestApp::new(&[("p.yaml", &text)]).await;
        let sentence =
            format!(r#"{{"Error":"Main, step 2 (print): `Thing.{name}` has no value"}}"#);
        app.api("program_id=1").await.is(500, &sentence);
    }
}

/// What an object would be loaded from is refused as bytes, and as a text it is a text.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_loaded_that_could_be_code() {
    let app = app(&[
        program(1, "python", "outputs['Out'] = str(type(inputs['It']))"),
        program(
            2,
            "python",
            "import pickle\noutputs['Out'] = pickle.dumps(inputs['It'])",
        ),
        program(
            3,
            "javascript",
            "outputs.Out = new TextEncoder().encode(inputs.It)",
        ),
        program(4, "shell", "printf 'Out=\\200\\004\\225\\n' >&3"),
    ])
    .await;
    let pickled = "cos\nsystem\n(S'echo never'\ntR.";
    gives(&call(&app, 1, pickled).await, "<class 'str'>");
    let refused = async |id: usize, sentence: &str| {
        let came = call(&app, id, pickled).await;
        assert_eq!(
            came.body,
            serde_json::json!({ "Error": sentence }).to_string()
        );
        assert_eq!(came.log, [] as [&str; 0]);
    };
    refused(2, "Main, step 1 (python): the output `Out` cannot be kept: it is a `bytes`; write `.decode()` of it if it is text, or else `base64.b64encode()` of it and `.decode()` of that").await;
    refused(
        3,
        "Main, step 1 (javascript): the output `Out` cannot be kept: it is a `Uint8Array`",
    )
    .await;
    refused(
        4,
        "Main, step 1 (shell): the outputs of the script are no UTF-8 text",
    )
    .await;
}
