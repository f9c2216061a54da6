//! Which function runs: the six rows of the reference, with webhooks that are off about.

use super::encoded;
use super::support::TestApp;

/// A program whose functions, in this order, have a webhook (`on`), one that is off (`off`), or none.
/// Each shows its own name.
fn program(functions: &[(&str, &str)]) -> String {
    let mut text = "id: 1\nname: Several\nfunctions:\n".to_owned();
    for (name, webhook) in functions {
        text += &format!("  {name}:\n");
        text += match *webhook {
            "on" => "    triggers: [webhook]\n",
            "off" => "    triggers: [webhook: {active: false}]\n",
            _ => "",
        };
        text += &format!("    steps:\n      - set: {{Ran: {name}}}\n        show: [Ran]\n");
    }
    text
}

async fn app(functions: &[(&str, &str)]) -> TestApp {
    TestApp::new(&[("several.yaml", &program(functions))]).await
}

#[tokio::test]
async fn the_one_that_can_be_run_needs_no_name() {
    let app = app(&[("Main", "off"), ("Helper", "none"), ("My Function", "on")]).await;
    for query in ["program_id=1", "program_id=1&function="] {
        app.api(query).await.finished(r#"[["Ran","My Function"]]"#);
    }
}

#[tokio::test]
async fn several_have_to_be_told_apart() {
    let app = app(&[
        ("Zebra", "on"),
        ("Off", "off"),
        ("Ant", "on"),
        ("None", "none"),
        ("Mole", "on"),
    ])
    .await;
    let sentence = "Several functions of this program have an active webhook trigger: `Zebra`, `Ant` and `Mole`. \
                    Name one with the parameter `function`.";
    for query in [
        "program_id=1",
        "program_id=1&function=",
        "program_id=1&run_async=True",
    ] {
        app.api(query).await.refused(400, sentence);
    }
    assert!(app.runs().await.is_empty());
}

#[tokio::test]
async fn a_program_may_have_none_that_can_be_run() {
    let sentence = "No function of this program has an active webhook trigger. \
                    Give one `triggers: [webhook]`, without `active: false`.";
    for functions in [
        &[("Main", "none")][..],
        &[("Main", "off")],
        &[("Main", "off"), ("Other", "off"), ("Third", "none")],
    ] {
        let app = app(functions).await;
        app.api("program_id=1").await.refused(409, sentence);
        app.api("program_id=1&run_async=1")
            .await
            .refused(409, sentence);
    }
}

#[tokio::test]
async fn a_named_one_runs_if_its_webhook_is_on() {
    let app = app(&[("Main", "on"), ("My Function", "on"), ("Off", "off")]).await;
    for (sent, name) in [
        ("Main", "Main"),
        ("My%20Function", "My Function"),
        ("My+Function", "My Function"),
        ("%4dain", "Main"),
    ] {
        app.api(&format!("program_id=1&function={sent}"))
            .await
            .finished(&format!(r#"[["Ran","{name}"]]"#));
    }
}

#[tokio::test]
async fn a_named_one_without_a_webhook_that_is_on_is_refused() {
    for functions in [
        &[("Main", "on"), ("Other", "off")][..],
        &[("Main", "on"), ("Other", "none")],
        &[("Other", "off")],
        &[("Other", "none")],
    ] {
        let app = app(functions).await;
        let sentence = "The function `Other` has no active webhook trigger. \
                        Give it `triggers: [webhook]`, without `active: false`.";
        app.api("program_id=1&function=Other")
            .await
            .refused(409, sentence);
        assert!(app.runs().await.is_empty());
    }
}

#[tokio::test]
async fn a_name_that_no_function_has_is_told_which_there_are() {
    let app = app(&[
        ("Main", "on"),
        ("Off", "off"),
        ("Zebra", "on"),
        ("Ant", "on"),
    ])
    .await;
    let names = "The functions that can be run: `Main`, `Zebra` and `Ant`.";
    for name in [
        "Nope",
        "<script>alert(1)</script>",
        "__proto__",
        "constructor",
        "../Main",
        "Main;ls",
        "{{ 1 }}",
        "%s%n",
        "' OR '1'='1",
        "12345",
        "Something\u{0}",
        "Мain thing",
    ] {
        let shown = name.replace('\0', r"\u{0}");
        let answer = app
            .api(&format!("program_id=1&function={}", encoded(name)))
            .await;
        let sentence = format!("There is no function `{shown}`. {names}");
        // What is near enough to be meant is tested below.
        if !matches!(name, "../Main" | "Main;ls") {
            answer.refused(404, &sentence);
        }
        assert_eq!(answer.status, 404, "{name}");
    }
    assert!(app.runs().await.is_empty());
}

#[tokio::test]
async fn a_name_that_is_nearly_one_is_put_right() {
    let app = app(&[("Main", "on"), ("My Function", "on")]).await;
    let names = "The functions that can be run: `Main` and `My Function`.";
    for (sent, meant) in [
        ("main", "Main"),
        ("MAIN", "Main"),
        ("Main ", "Main"),
        ("Mian", "Main"),
        ("my function", "My Function"),
        ("My_Function", "My Function"),
        ("MyFunction", "My Function"),
    ] {
        let sentence = format!("There is no function `{sent}`. Did you mean `{meant}`? {names}");
        app.api(&format!("program_id=1&function={}", encoded(sent)))
            .await
            .refused(404, &sentence);
    }
}

#[tokio::test]
async fn only_what_can_be_run_is_offered() {
    let app = app(&[("Main", "off")]).await;
    app.api("program_id=1&function=main").await.refused(
        404,
        "There is no function `main`. The program has no function that can be run.",
    );
}

#[tokio::test]
async fn inputs_of_a_function_are_blank_and_not_sent() {
    let program = r#"
id: 1
name: Inputs
functions:
  Main:
    inputs: {Number: number, Text: text, Truth: boolean}
    triggers: [webhook: {outputs: {Name: Ada}}]
    steps:
      - set: {All: "{{ [Number, Text, Truth, Name] }}"}
        show: [All]
"#;
    let app = TestApp::new(&[("inputs.yaml", program)]).await;
    app.api("program_id=1&variables=x")
        .await
        .finished(r#"[["All",[0,"",false,"x"]]]"#);
    app.api("program_id=1&variables=x&variables=y")
        .await
        .refused(
            400,
            "The function `Main` takes 1 value in `variables`, and 2 were sent.",
        );
}
