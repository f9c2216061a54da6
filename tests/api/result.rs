//! `Result`: which values it holds, in which order, as which JSON.

use super::support::TestApp;

async fn result(program: &str, result: &str) {
    let program = format!("id: 1\nname: Result\nfunctions:\n{program}");
    let app = TestApp::new(&[("result.yaml", &program)]).await;
    app.api("program_id=1&function=Main").await.finished(result);
}

#[tokio::test]
async fn nothing_shown_is_an_empty_list() {
    let program = "  Main:\n    triggers: [webhook]\n    steps:\n      - set: {A: 1}\n";
    result(program, "[]").await;
    let app = TestApp::new(&[("p.yaml", &format!("id: 1\nname: P\nfunctions:\n{program}"))]).await;
    let answer = app.api("program_id=1").await;
    assert_eq!(
        answer.body,
        r#"{"Success":"Program finished.","Result":[]}"#
    );
    assert_eq!(answer.body.len(), 43);
    let answer = app.api("program_id=1&run_async=True").await;
    assert_eq!(answer.body, r#"{"Success":"Program started."}"#);
    assert_eq!(answer.body.len(), 30);
}

#[tokio::test]
async fn shows_stand_in_program_order_each_once() {
    let program = r#"
  Main:
    triggers: [webhook]
    steps:
      - set: {Z: 1, A: 2, M: 3}
        show: [M, Z]
      - set: {A: 4}
        show: [A]
      - set: {Z: 5}
        show: [Z]
      - set: {M: 6}
"#;
    // A later show gives the later value, in the first one's place; an unshown change gives none.
    result(program, r#"[["M",3],["Z",5],["A",4]]"#).await;
}

#[tokio::test]
async fn a_loop_shows_its_last_value_and_one_without_passes_none() {
    let program = r#"
  Main:
    triggers: [webhook]
    steps:
      - loop: [1, 2, 3]
        steps:
          - set: {Last: "{{ Item }}"}
            show: [Last]
          - if: Item == 2
            then:
              - set: {Second: "{{ Item }}"}
                show: [Second]
      - loop: []
        as: Never
        steps:
          - set: {Unmade: 1}
            show: [Unmade]
      - set: {After: 1}
        show: [After]
"#;
    result(program, r#"[["Last",3],["Second",2],["After",1]]"#).await;
}

#[tokio::test]
async fn a_branch_that_is_not_taken_shows_nothing() {
    let program = r#"
  Main:
    triggers: [webhook]
    steps:
      - if: false
        then:
          - set: {A: 1}
            show: [A]
        else:
          - set: {B: 2}
            show: [B]
      - set: {C: 3}
        show: [C]
        disabled: true
      - if: true
        then:
          - set: {A: 4}
            show: [A]
"#;
    result(program, r#"[["B",2],["A",4]]"#).await;
}

#[tokio::test]
async fn what_a_called_function_shows_counts_too() {
    let program = r#"
  Main:
    triggers: [webhook]
    steps:
      - call: Other
      - set: {Mine: 1}
        show: [Mine]
  Other:
    steps:
      - set: {Theirs: 2}
        show: [Theirs]
"#;
    result(program, r#"[["Mine",1],["Theirs",2]]"#).await;
}

#[tokio::test]
async fn returned_outputs_follow_in_declared_order_unless_shown() {
    let program = r#"
  Main:
    triggers: [webhook]
    outputs: {Third: number, Second: text, First: number}
    steps:
      - set: {First: 10, Other: 0}
        show: [First, Other]
      - return: {First: 1, Second: two, Third: 3}
"#;
    result(
        program,
        r#"[["First",10],["Other",0],["Third",3],["Second","two"]]"#,
    )
    .await;
}

#[tokio::test]
async fn steps_after_a_return_show_nothing() {
    let program = r#"
  Main:
    triggers: [webhook]
    outputs: {Out: any}
    steps:
      - set: {A: 1}
        show: [A]
      - if: A == 1
        then:
          - return: {Out: early}
      - set: {B: 2}
        show: [B]
      - return: {Out: late}
"#;
    result(program, r#"[["A",1],["Out","early"]]"#).await;
}

#[tokio::test]
async fn values_are_native_json() {
    let program = r#"
  Main:
    triggers: [webhook]
    steps:
      - set:
          Text: "a \"b\" \\ / é 😀 \u0001"
          Empty: ''
          Whole: 42
          Negative: -1
          Big: 170141183460469231731687303715884105727
          Float: 1.5
          Round: 2.0
          Tiny: 1.0e-7
          Huge: 1.0e+300
          Third: "{{ 1 / 3 }}"
          Sure: true
          Unsure: false
          Nothing: null
          List: [1, [2, [3, {}]], []]
          Record: {z: 1, a: {b: [null, false]}}
        show: [Text, Empty, Whole, Negative, Big, Float, Round, Tiny, Huge, Third, Sure, Unsure, Nothing, List, Record]
"#;
    let wanted = concat!(
        r#"[["Text","a \"b\" \\ / é 😀 \u0001"],["Empty",""],["Whole",42],["Negative",-1],"#,
        r#"["Big",170141183460469231731687303715884105727],["Float",1.5],["Round",2.0],["Tiny",1e-7],"#,
        r#"["Huge",1e+300],["Third",0.3333333333333333],["Sure",true],["Unsure",false],["Nothing",null],"#,
        r#"["List",[1,[2,[3,{}]],[]]],["Record",{"z":1,"a":{"b":[null,false]}}]]"#,
    );
    result(program, wanted).await;
}

#[tokio::test]
async fn dates_are_iso_text() {
    let program = r#"
id: 1
name: Dates
functions:
  Main:
    triggers:
      - webhook:
          outputs: {Day: {type: date}, Moment: {type: date}, Elsewhere: {type: date}}
    steps:
      - set: {Day: "{{ Day }}", Moment: "{{ Moment }}", Elsewhere: "{{ Elsewhere }}"}
        show: [Day, Moment, Elsewhere]
"#;
    let app = TestApp::new(&[("dates.yaml", program)]).await;
    let sent = "variables=2020-01-15&variables=2020-01-15T10:00:00Z&variables=2020-01-15%2010:00:00.25%2B05:30";
    app.api(&format!("program_id=1&{sent}")).await.finished(
        r#"[["Day","2020-01-15"],["Moment","2020-01-15T10:00:00Z"],["Elsewhere","2020-01-15T10:00:00.25+05:30"]]"#,
    );
}

#[tokio::test]
async fn the_example_of_the_reference() {
    let program = r#"
id: 6383
name: Name parser
functions:
  Main:
    triggers:
      - webhook:
          outputs: {Name: Captain Way Script III, Job: Academic}
    steps:
      - python: |
          title, first, *middle, last = inputs["Name"].split()
          outputs["Title"] = title
          outputs["First Name"] = first
          outputs["Last Name"] = last
          outputs["Occupation"] = inputs["Job"]
        show: [Title, First Name, Last Name, Occupation]
"#;
    let app = TestApp::new(&[("names.yaml", program)]).await;
    app.api("program_id=6383&variables=Dr.+Juan+Q.+Vega&variables=%20Academic")
        .await
        .finished(
            r#"[["Title","Dr."],["First Name","Juan"],["Last Name","Vega"],["Occupation"," Academic"]]"#,
        );
}
