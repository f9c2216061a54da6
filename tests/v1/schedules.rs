//! Time triggers are listed.

use crate::support::TestApp;
use crate::{get, json};

#[tokio::test]
async fn time_triggers_are_listed_with_when_they_are_due() {
    let programs = [(
        "timed.yaml",
        "id: 1
name: Timed
functions:
  Main:
    triggers:
      - time: {every: hour, overlap: skip}
      - time: {cron: 0 5 * * mon, active: false, missed: all}
    steps: []
",
    )];
    let app = TestApp::new(&programs).await;
    let mut page = json(&get(&app, "/v1/schedules").await);
    let next = page["items"][0]["next"].take();
    let next: jiff::Timestamp = next.as_str().unwrap().parse().unwrap();
    let left = next.duration_since(jiff::Timestamp::now());
    assert!(left.as_secs() <= 3600 && next.as_second() % 3600 == 0);
    let expected = r#"{"items":[{"program":{"id":1,"name":"Timed"},"function":"Main","trigger":"every hour","active":true,"missed":"one","overlap":"skip","next":null},{"program":{"id":1,"name":"Timed"},"function":"Main","trigger":"cron 0 5 * * mon (UTC)","active":false,"missed":"all","overlap":"allow","next":null}]}"#;
    assert_eq!(page.to_string(), expected);
}
