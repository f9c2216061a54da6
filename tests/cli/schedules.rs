//! `waystation schedules`.

use crate::support::TestCommand;

const TIMED: &str = "id: 1
name: Timed
functions:
  Main:
    triggers:
      - time: {every: day, at: \"9:00\"}
      - time: {every: hour, active: false}
    steps: []
";

#[test]
fn schedules_are_shown_with_their_next_times() {
    let command = TestCommand::new(&[("timed.yaml", TIMED)]);
    let ran = command.run(&["schedules", "--count", "2"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{ran:?}");
    for line in &lines[..2] {
        let (when, what) = line.split_once("  ").unwrap();
        assert!(when.ends_with(" 09:00 UTC"), "{line}");
        assert_eq!(what, "1 Timed, Main: every day at 09:00 (UTC)");
    }
    assert!(lines[0] < lines[1]);
    assert_eq!(lines[2], "off                   1 Timed, Main: every hour");
    let json = command.run(&["schedules", "--json"]);
    let rows: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(rows[0]["trigger"], "every day at 09:00 (UTC)");
    assert!(
        rows[0]["next"][0]
            .as_str()
            .unwrap()
            .ends_with("T09:00:00+00:00[UTC]")
    );
    assert_eq!(
        rows[1].to_string(),
        r#"{"program":1,"name":"Timed","function":"Main","trigger":"every hour","active":false,"next":[]}"#
    );
}

#[test]
fn what_is_wrong_is_told_and_the_rest_is_shown() {
    let command = TestCommand::new(&[
        ("timed.yaml", TIMED),
        ("wrong.yaml", "id: 2\n"),
        (
            "none.yaml",
            "id: 3\nname: None\nfunctions: {Main: {steps: []}}\n",
        ),
    ]);
    let ran = command.run(&["schedules", "none.yaml"]);
    ran.is(0, "", "no time triggers\n");
    let ran = command.run(&["schedules"]);
    assert_eq!((ran.code, ran.stdout.lines().count()), (1, 2), "{ran:?}");
    assert!(ran.stderr.starts_with("wrong.yaml:1:1: "), "{ran:?}");
}
