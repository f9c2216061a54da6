//! The probe outside of any sandbox: it finds what is open there, and leaves no trace.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use sandbox::probe::{ATTEMPTS, Bait, Finding, Stage, holes, run};

/// What comes through for any user where nothing stops it.
const OPEN: [&str; 32] = [
    "read a secret file",
    "read a secret file by way of `/proc/self/root`",
    "read a secret file by way of `/proc/self/cwd`",
    "read a secret file by way of an inherited folder",
    "read an inherited descriptor",
    "list another run's folder",
    "read another run's file",
    "write to another run's folder",
    "write to a foreign folder",
    "write to the host's `/tmp`",
    "write to the host's `/dev/shm`",
    "make a hard link to a secret file",
    "plant a symbolic link in a foreign folder",
    "change the mode of a secret file",
    "look into `/sys`",
    "find a secret in its environment",
    "read the server's environment",
    "find a secret in any environment",
    "list the server's descriptors",
    "list other processes",
    "signal the server",
    "wake the server",
    "signal the server by a descriptor",
    "set the server's priority",
    "connect by TCP",
    "connect by TCP to a mapped IPv6 address",
    "connect by `sendto` with `MSG_FASTOPEN`",
    "send UDP by `sendto`",
    "send UDP on a connected socket",
    "send a DNS query",
    "connect to a socket file",
    "connect to an abstract socket",
];

/// What comes through for root besides.
const OPEN_TO_ROOT: [&str; 4] = [
    "write to `/`",
    "write to `/etc`",
    "be root",
    "hold a capability",
];

/// A user that is not root and owns nothing here.
const SOMEBODY: u32 = 1000;

#[test]
fn without_a_sandbox_the_probe_finds_what_is_open_and_leaves_no_trace() {
    let findings = probe(Stage::set().unwrap(), |_| {});
    assert_open(&findings, &OPEN);
    if is_root() {
        assert_open(&findings, &OPEN_TO_ROOT);
    }
}

#[test]
fn the_same_holds_for_an_ordinary_user() {
    if !is_root() {
        return;
    }
    let stage = Stage::set_for(SOMEBODY, SOMEBODY).unwrap();
    let findings = probe(stage, |command| {
        command.uid(SOMEBODY).gid(SOMEBODY);
    });
    assert_open(&findings, &OPEN);
    assert_open(
        &findings,
        &[
            "become root by a program of root's",
            "gain rights by a program that lends them",
        ],
    );
    let stopped = [
        "write to `/`",
        "be root",
        "hold a capability",
        "become another user",
        "restart the machine",
    ];
    for words in stopped {
        let finding = find(&findings, words);
        assert!(!finding.came_through, "{finding:?}");
    }
    assert_eq!(find(&findings, "restart the machine").detail, "EPERM");
    assert_eq!(
        find(&findings, "call a number that no kernel knows").detail,
        "ENOSYS"
    );
}

#[test]
fn a_process_of_the_sandbox_is_not_taken_for_the_server() {
    let stage = Stage::set().unwrap();
    let mut bait = stage.bait();
    bait.server = std::process::id();
    let (findings, _) = let_loose(&stage, &bait, Command::new("/proc/self/exe"));
    for words in [
        "signal the server",
        "attach to the server",
        "read the server's environment",
    ] {
        let finding = find(&findings, words);
        assert!(!finding.came_through);
        assert_eq!(
            finding.detail,
            "its number is one of the sandbox's own processes"
        );
    }
}

#[test]
fn the_host_believes_its_own_eyes() {
    let stage = Stage::set().unwrap();
    let claim = |attempt: &str| Finding {
        attempt: attempt.to_owned(),
        came_through: true,
        detail: "sent".to_owned(),
    };
    let claims = [
        "send UDP by `sendto`",
        "connect by TCP",
        "write to the host's `/tmp`",
        "be root",
    ]
    .map(claim);
    let findings = stage.verdicts(claims.to_vec());
    let came_through = |words| find(&findings, words).came_through;
    assert!(!came_through("send UDP by `sendto`"));
    assert!(!came_through("connect by TCP"));
    assert!(!came_through("write to the host's `/tmp`"));
    assert!(came_through("be root"));
    assert_eq!(
        find(&findings, "connect by TCP").detail,
        "nothing reached the host"
    );
}

#[test]
fn what_was_not_tried_came_through() {
    let findings = Stage::set().unwrap().verdicts(Vec::new());
    assert_eq!(findings.len(), ATTEMPTS.len());
    for finding in &findings {
        assert!(
            finding.came_through && finding.detail == "not tried",
            "{finding:?}"
        );
    }
}

#[test]
fn a_tier_has_holes_where_it_must_stop_an_attempt() {
    let findings = Stage::set().unwrap().verdicts(Vec::new());
    let words = |holes: Vec<&Finding>| -> Vec<String> {
        holes.iter().map(|hole| hole.attempt.clone()).collect()
    };
    let jail = words(holes(&findings, |tiers| tiers.jail));
    let confined = words(holes(&findings, |tiers| tiers.confined));
    assert_eq!(jail.len(), ATTEMPTS.len());
    let open: Vec<&str> = jail
        .iter()
        .filter(|words| !confined.contains(words))
        .map(|words| &**words)
        .collect();
    assert_eq!(
        open,
        [
            "change the mode of a secret file",
            "send UDP by `sendto`",
            "send UDP by `sendmsg`",
            "send UDP by `sendmmsg`",
            "send UDP on a connected socket",
            "send a DNS query",
            "find a route off the machine",
            "connect to a socket file",
            "hold a capability",
            "be root",
            "become another user",
            "join root's group",
        ]
    );
}

proptest! {
    #[test]
    fn findings_cross_as_json(attempt: String, came_through: bool, detail: String) {
        let finding = Finding { attempt, came_through, detail };
        let text = serde_json::to_string(&finding).unwrap();
        prop_assert_eq!(serde_json::from_str::<Finding>(&text).unwrap(), finding);
    }
}

/// The probe itself, for the tests above: takes the bait from its input and writes its findings to its standard error.
#[test]
#[ignore = "run by the other tests in a process of its own"]
fn inside() {
    let bait: Bait = serde_json::from_reader(std::io::stdin()).unwrap();
    let findings = run(&bait);
    std::io::stderr()
        .write_all(&serde_json::to_vec(&findings).unwrap())
        .unwrap();
}

/// Shows what comes through in a sandbox: `PROBE_IN="bwrap --unshare-all --ro-bind / / --"`.
#[test]
#[ignore = "takes a sandbox from the environment"]
fn by_hand() {
    let stage = Stage::set().unwrap();
    let wrapper = std::env::var("PROBE_IN").unwrap_or_default();
    let mut words = wrapper.split_whitespace();
    let own = std::env::current_exe().unwrap();
    let mut command = Command::new(words.next().map_or(own.as_path(), Path::new));
    command.args(words.by_ref());
    if !wrapper.is_empty() {
        command.arg(own);
    }
    let (findings, taken) = let_loose(&stage, &stage.bait(), command);
    for finding in stage.verdicts(findings) {
        let sign = if finding.came_through { "open" } else { "    " };
        println!("{sign} {:55} {}", finding.attempt, finding.detail);
    }
    println!("{taken:?}");
}

/// Lets the probe loose in a process of its own, and looks at what it leaves behind.
fn probe(stage: Stage, change: impl FnOnce(&mut Command)) -> Vec<Finding> {
    let bait = stage.bait();
    let mut command = Command::new("/proc/self/exe");
    change(&mut command);
    let (findings, taken) = let_loose(&stage, &bait, command);
    assert!(taken < Duration::from_secs(2), "{taken:?}");
    assert!(stage.victim_is_well());
    assert_eq!(findings.len(), ATTEMPTS.len());
    let findings = stage.verdicts(findings);
    let planted = ["/", "/usr", "/etc", "/tmp", "/dev/shm"]
        .map(|folder| Path::new(folder).join(&bait.planted));
    for path in planted.iter().chain([&bait.secret_file, &bait.socket_file]) {
        assert!(!path.exists(), "{}", path.display());
    }
    findings
}

/// Runs the probe by a command that takes the arguments of this program.
fn let_loose(stage: &Stage, bait: &Bait, mut command: Command) -> (Vec<Finding>, Duration) {
    let (name, secret) = stage.environment();
    command
        .args(["inside", "--exact", "--ignored", "--nocapture"])
        .env(name, secret);
    command
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let begun = Instant::now();
    let mut child = command.spawn().unwrap();
    let bait = serde_json::to_vec(bait).unwrap();
    child.stdin.take().unwrap().write_all(&bait).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    (
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}")),
        begun.elapsed(),
    )
}

fn find<'a>(findings: &'a [Finding], words: &str) -> &'a Finding {
    findings
        .iter()
        .find(|finding| finding.attempt == words)
        .unwrap()
}

fn assert_open(findings: &[Finding], open: &[&str]) {
    for words in open {
        let finding = find(findings, words);
        assert!(finding.came_through, "{finding:?}");
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
