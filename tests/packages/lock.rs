//! The lock file: what is written is read, and nothing else is.

use std::collections::BTreeMap;

use proptest::prelude::*;
use waystation::packages::lock::{Key, Lock, Locked};

fn lock() -> Lock {
    let key = |wanted: &[&str]| Key {
        wanted: wanted.iter().map(|&one| one.to_owned()).collect(),
        python: "Python 3.11 linux-x86_64 cpython-311-x86_64-linux-gnu".to_owned(),
    };
    let package = |name, version, hashes: &[&str]| {
        let hashes = hashes.iter().map(|digit| digit.repeat(64)).collect();
        Locked::new(name, version, hashes).unwrap()
    };
    Lock(BTreeMap::from([
        (
            key(&["nameparser"]),
            vec![package("nameparser", "1.1.3", &["b", "a"])],
        ),
        (
            key(&["flask[async]>=3", "x==1"]),
            vec![package("Flask", "3.0", &["0"]), package("x", "1", &["1"])],
        ),
    ]))
}

const TEXT: &str = "\
# The versions that the packages of the program beside this file were resolved to. Waystation wrote it;
# to have them resolved anew, delete it.

# wanted: flask[async]>=3 x==1
# for: Python 3.11 linux-x86_64 cpython-311-x86_64-linux-gnu
flask==3.0 \\
    --hash=sha256:0000000000000000000000000000000000000000000000000000000000000000
x==1 \\
    --hash=sha256:1111111111111111111111111111111111111111111111111111111111111111

# wanted: nameparser
# for: Python 3.11 linux-x86_64 cpython-311-x86_64-linux-gnu
nameparser==1.1.3 \\
    --hash=sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa \\
    --hash=sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
";

#[test]
fn it_is_written_so_and_read_back() {
    assert_eq!(lock().to_string(), TEXT);
    assert_eq!(Lock::parse(TEXT), Some(lock()));
}

#[test]
fn whatever_was_edited_is_refused() {
    for (from, to) in [
        ("# to have", "# To have"),
        ("x==1 \\", "x==1 --index-url https://example.com \\"),
        ("x==1 \\", "-r other.txt\nx==1 \\"),
        ("x==1 \\", "x>=1 \\"),
        ("x==1 \\", "x @ https://example.com \\"),
        ("    --hash=sha256:1111", "  --hash=sha256:1111"),
        ("sha256:1111", "sha256:111"),
        ("sha256:1111", "sha512:1111"),
        ("# wanted: nameparser\n", ""),
        ("aaaa \\\n", "aaaa \\\n\n"),
    ] {
        let edited = TEXT.replacen(from, to, 1);
        assert_ne!(edited, TEXT);
        assert_eq!(Lock::parse(&edited), None, "{edited}");
    }
    assert_eq!(Lock::parse(""), None);
}

#[test]
fn a_file_that_cannot_be_used_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("names.lock");
    let shown = path.display().to_string();
    assert_eq!(Lock::read(&path), Ok(Lock::default()));
    std::fs::write(&path, TEXT.replace("x==1 \\", "x==2 \\\\")).unwrap();
    let edited = format!("`{shown}` is not as it was written; delete it to have it written anew");
    assert_eq!(Lock::read(&path), Err(edited));
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let folder = format!("`{shown}` is no lock file; delete it to have it written anew");
    assert_eq!(Lock::read(&path), Err(folder));
}

fn package() -> impl Strategy<Value = Locked> {
    let hashes = prop::collection::vec("[0-9a-f]{64}", 1..4);
    let version = "[0-9]{1,2}(\\.[0-9]{1,2}){0,2}(\\+[a-z]{1,3})?";
    ("[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", version, hashes)
        .prop_map(|(name, version, hashes)| Locked::new(&name, &version, hashes).unwrap())
}

fn section() -> impl Strategy<Value = (Key, Vec<Locked>)> {
    let wanted = prop::collection::vec("[a-z0-9][a-z0-9-]{0,8}(==[0-9.]{1,4})?", 1..4);
    let packages = prop::collection::btree_set(package(), 1..5);
    (wanted, "Python 3\\.[0-9]{1,2} [a-z0-9_-]{1,20}", packages).prop_map(
        |(wanted, python, packages)| (Key { wanted, python }, packages.into_iter().collect()),
    )
}

proptest! {
    #[test]
    fn whatever_is_written_is_read(sections in prop::collection::btree_map(section().prop_map(|(key, _)| key), section().prop_map(|(_, packages)| packages), 0..4)) {
        let lock = Lock(sections);
        prop_assert_eq!(Lock::parse(&lock.to_string()), Some(lock));
    }

    #[test]
    fn what_is_read_is_what_is_written(at in 0..TEXT.len(), by in "[ -~\\n]{0,3}") {
        let mut text = TEXT.to_owned();
        text.replace_range(at..at + 1, &by);
        if let Some(lock) = Lock::parse(&text) {
            prop_assert_eq!(lock.to_string(), text);
        }
    }
}
