//! Packages that would run code, write elsewhere or fill the disk while they are installed.

use crate::index::{Index, Place, settled, tools};

#[tokio::test(flavor = "multi_thread")]
async fn code_that_is_to_run_at_the_start_of_python_does_not() {
    let index = Index::new();
    for (tool, tools) in tools(&index.url()) {
        let place = Place::new(tools);
        let environment = place.ready(&["startup"]).await.unwrap();
        assert!(environment.site.join("startup.pth").exists(), "{tool}");
        let text =
            crate::programs::program("import startup\noutputs['A'] = startup.number", "startup");
        let app = crate::support::TestApp::with(
            &[("p.yaml", &text)],
            &[
                "--data",
                place.folder.path().to_str().unwrap(),
                "--package-index",
                &index.url(),
            ],
        )
        .await;
        app.api("program_id=1")
            .await
            .is(200, r#"{"Success":"Program finished.","Result":[["A",3]]}"#);
        assert!(!index.is_marked(), "{tool}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_built() {
    let index = Index::new();
    for (tool, tools) in tools(&index.url()) {
        let place = Place::new(tools);
        let sentence =
            "`backend` is wanted from an address of its own, and packages come from the index only";
        assert_eq!(
            place.ready(&["elsewhere"]).await,
            Err(sentence.to_owned()),
            "{tool}"
        );
        for wanted in ["unbuilt", "backend"] {
            let sentence = place.ready(&[wanted]).await.unwrap_err();
            assert!(
                sentence.ends_with("it needs building, which this server does not allow"),
                "{tool}: {sentence}"
            );
        }
        assert!(!index.is_marked(), "{tool}");
        assert_eq!(place.cached(), ["lock", "locks"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_outside_of_the_environment() {
    let index = Index::new();
    for (tool, tools) in tools(&index.url()) {
        let place = Place::new(tools);
        let came = place.ready(&["outside"]).await;
        match tool {
            "pip" => assert_eq!(
                came,
                Err(
                    "`outside==1` would write outside of its folder, and is not installed"
                        .to_owned()
                )
            ),
            // uv leaves such files out.
            _ => assert_eq!(came.unwrap().modules, ["outside"]),
        }
        assert!(!index.is_marked(), "{tool}");
        assert!(!place.folder.path().join("marker").exists());
        let cached = place.cached();
        assert!(
            cached
                .iter()
                .all(|name| name.len() == 32 || name.starts_with("lock")),
            "{cached:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_given_up() {
    let index = Index::new();
    for (tool, tools) in tools(&index.url()) {
        let place = Place::new(tools);
        // uv looks into a file as it comes, and sees that the endless one is none.
        let all = if tool == "pip" {
            &["large", "endless"][..]
        } else {
            &["large"]
        };
        for wanted in all {
            let sentence = "the packages are larger than 10.0 MB, the most that the packages of a step may come to";
            assert_eq!(
                place.ready(&[wanted]).await,
                Err(sentence.to_owned()),
                "{tool}: {wanted}"
            );
        }
        assert_eq!(place.cached(), ["lock", "locks"], "{tool}");
        assert!(!place.lock().exists());
        let told: Vec<String> = place.told().iter().map(|line| settled(line)).collect();
        assert!(
            told.iter()
                .all(|line| line.starts_with("installing 1 package for names.yaml: ")),
            "{told:?}"
        );
    }
}
