//! The order of judgement: a request that is wrong in two ways gets the answer of the earlier row.

use std::sync::atomic::Ordering;

use super::support::{KEY, TestApp};

const PROGRAM: &str = r#"
id: 1
name: Order
functions:
  Main:
    triggers: [webhook: {outputs: {Age: 1}}]
    steps: [print: x]
  Off:
    triggers: [webhook: {active: false}]
    steps: [print: x]
  Other:
    triggers: [webhook]
    steps: [print: x]
"#;

#[tokio::test]
async fn the_earlier_row_is_answered() {
    let app = TestApp::new(&[("order.yaml", PROGRAM)]).await;
    app.app.draining.store(true, Ordering::Relaxed);
    let whole = "The parameter `program_id` must be a whole number, 1 or greater.";
    let several = "Several functions of this program have an active webhook trigger: `Main` and `Other`. \
                   Name one with the parameter `function`.";
    let gone = "Program 2 does not exist or you have no access to it.";
    let key = format!("api_key={KEY}&");
    // What is wrong, from the last row to the first; each line adds something that is judged earlier.
    for (query, status, sentence) in [
        (
            "program_id=1&function=Main",
            503,
            "The server is stopping. Try again in 5 seconds.",
        ),
        (
            "program_id=1&function=Main&variables=x",
            400,
            "The variable `Age` takes a number, and `x` is none.",
        ),
        (
            "program_id=1&function=Main&variables=x&variables=y",
            400,
            "The function `Main` takes 1 value in `variables`, and 2 were sent.",
        ),
        ("program_id=1&variables=x&variables=y", 400, several),
        (
            "program_id=1&function=Off&variables=x&variables=y",
            409,
            "The function `Off` has no active webhook trigger. Give it `triggers: [webhook]`, without `active: false`.",
        ),
        (
            "program_id=1&function=Nobody&variables=x&variables=y",
            404,
            "There is no function `Nobody`. The functions that can be run: `Main` and `Other`.",
        ),
        ("program_id=2&function=Nobody&variables=x", 404, gone),
        (
            "program_id=2&function=Nobody&run_async=maybe",
            400,
            "The parameter `run_async` must be true or false, not `maybe`.",
        ),
        (
            "program_id=2&function=A&function=B&run_async=maybe",
            400,
            "The parameter `function` was given more than once.",
        ),
        (
            "program_id=2&function=A&run_async=maybe&run_async=no",
            400,
            "The parameter `run_async` was given more than once.",
        ),
        ("program_id=x&function=A&function=B", 400, whole),
        ("program_id=x&program_id=y&run_async=maybe", 400, whole),
        (
            "function=A&function=B&run_async=maybe&variables=%ff",
            400,
            whole,
        ),
    ] {
        let answer = app.request("POST", &format!("/api?{key}{query}")).await;
        answer.refused(status, sentence);
        assert_eq!(!answer.header("retry-after").is_empty(), status == 503);
        // The key goes before all of them, and the method before the key.
        let answer = app.request("POST", &format!("/api?{query}")).await;
        answer.refused(401, "Invalid API key.");
        let answer = app.request("PUT", &format!("/api?{query}")).await;
        answer.refused(405, "This address takes GET and POST requests only.");
    }
    assert!(app.runs().await.is_empty());
}
