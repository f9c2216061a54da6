//! The hostile probe: as the self-test lets it loose, and from inside of real steps.

use std::fs;
use std::path::Path;

use sandbox::isolation::Isolation;
use sandbox::probe::{ATTEMPTS, Bait, Finding, Kind, Stage, holes, run};
use serde_json::{Value, json};

use crate::support::TestCommand;
use crate::world::{User, World, program, python, python_beside};

/// The user that the first launcher of a server that is root gives code to.
const FIRST: u32 = 64_200;
/// The word by which code finds the probe.
const PROBE: &str = "probe";
/// What tells this program to be the probe.
const INSIDE: &str = "escape::inside --exact --ignored --nocapture --test-threads=1";

/// What even an isolation stops that leaves code the rights of its user.
const ALWAYS: [&str; 4] = [
    "find a secret in its environment",
    "read an inherited descriptor",
    "gain rights by a program that lends them",
    "become root by a program of root's",
];

mod self_test {
    crate::world::in_every_world!(super::doctor_offers);
}

mod python_without_network {
    crate::world::in_every_world!(|tier| super::nothing_comes_through(tier, "python", "none"));
}

mod python_with_proxy {
    crate::world::in_every_world!(|tier| super::nothing_comes_through(tier, "python", "proxy"));
}

mod shell_without_network {
    crate::world::in_every_world!(|tier| super::nothing_comes_through(tier, "shell", "none"));
}

mod shell_with_proxy {
    crate::world::in_every_world!(|tier| super::nothing_comes_through(tier, "shell", "proxy"));
}

/// The isolation is the one that was asked for, and every self-test of it was passed.
fn doctor_offers((isolation, user): (Isolation, User)) {
    let mut command = TestCommand::new(&[]);
    command.user = user.id();
    let name = isolation.name();
    let interpreter = python(user).to_str().unwrap();
    let ran = command.run(&[
        "doctor",
        "--json",
        "--sandbox",
        name,
        "--sandbox-minimum",
        name,
        "--python",
        interpreter,
    ]);
    let found: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    let needed = ATTEMPTS.iter().map(|attempt| attempt.needed_in);
    let tests = match isolation {
        Isolation::Jail => needed.filter(|tiers| tiers.jail).count(),
        Isolation::Confined => needed.filter(|tiers| tiers.confined).count(),
        _ => 0,
    };
    let expected = json!({
        "isolation": name,
        "self_tests": tests,
        "not_offered": [],
        "refused": null,
        "python": found["python"],
    });
    assert_eq!((ran.code, &found, &*ran.stderr), (0, &expected, ""));
}

/// The probe is a program that a step starts.
fn nothing_comes_through((isolation, user): (Isolation, User), kind: &str, network: &str) {
    if isolation < Isolation::Confined && network == "none" {
        return without_network_nothing_runs((isolation, user), kind);
    }
    let owner = match user {
        User::Root => Some(FIRST),
        User::Ordinary => user.id(),
    };
    let stage = match owner {
        Some(owner) => Stage::set_for(owner, owner),
        None => Stage::set(),
    };
    let stage = stage.unwrap();
    let own = std::env::current_exe().unwrap();
    let beside = python_beside(&own, PROBE, user);
    let probe = beside.path().join(PROBE);
    let (name, text) = match kind {
        "python" => program(1, kind, &in_python(&probe), "show: [Findings, User, Open]"),
        _ => program(1, kind, &in_shell(&probe), "show: [Findings, User]"),
    };
    let interpreter = beside.path().join("bin/python3");
    let flags = [
        "--python",
        interpreter.to_str().unwrap(),
        "--code-network",
        network,
    ];
    let (variable, secret) = stage.environment();
    let environment = vec![(variable.to_owned(), secret.to_owned())];
    let world = World::with((isolation, user), &[(&name, &text)], &flags, environment);
    let bait = serde_json::to_string(&stage.bait()).unwrap();
    let called = world.call(1, &bait);
    assert_eq!(
        called.status,
        200,
        "{} {:?}",
        called.body,
        world.log(&called.run)
    );
    let body: Value = serde_json::from_str(&called.body).unwrap();
    let result = |at: usize| {
        body["Result"][at][1]
            .as_str()
            .unwrap_or_else(|| panic!("{body}"))
    };
    let owner = owner.unwrap_or_else(|| rustix::process::getuid().as_raw());
    assert_eq!(
        result(1),
        owner.to_string(),
        "the stage is set for somebody else"
    );
    if kind == "python" {
        assert_eq!(result(2), "0 1 2 and the channel");
    }
    assert!(stage.victim_is_well());
    let findings = serde_json::from_str(result(0)).unwrap();
    drop(world);
    judge(isolation, &stage.verdicts(findings));
}

/// Code that would have the network all the same is refused.
fn without_network_nothing_runs((isolation, user): (Isolation, User), kind: &str) {
    let (name, text) = program(1, kind, "exit", "network: none");
    let called = World::new((isolation, user), &[(&name, &text)], &[]).call(1, "");
    let message = format!(
        "Main, step 1 ({kind}): code that is kept apart as `{isolation}` cannot be kept from the network, and this \
         step is to have none: give it `network: proxy` where the setting `code-network` allows that"
    );
    assert_eq!(
        (called.status, called.body),
        (500, json!({ "Error": message }).to_string())
    );
}

fn judge(isolation: Isolation, verdicts: &[Finding]) {
    let through: Vec<&Finding> = match isolation {
        Isolation::Jail => holes(verdicts, |tiers| tiers.jail),
        Isolation::Confined => {
            let mut found = holes(verdicts, |tiers| tiers.confined);
            // Of the network the calls leave nothing, whatever the rules for files and ports know.
            let calls = ATTEMPTS
                .iter()
                .filter(|attempt| attempt.kind == Kind::Network);
            let calls = calls.filter(|attempt| attempt.words != "find a route off the machine");
            let words: Vec<&str> = calls.map(|attempt| attempt.words).collect();
            let open = verdicts.iter().filter(|finding| finding.came_through);
            found.extend(open.filter(|finding| words.contains(&&*finding.attempt)));
            found
        }
        _ => {
            let open = verdicts.iter().filter(|finding| finding.came_through);
            open.filter(|finding| ALWAYS.contains(&&*finding.attempt))
                .collect()
        }
    };
    assert!(through.is_empty(), "{through:#?}");
}

/// Python that starts the probe, and says which descriptors it has itself.
fn in_python(probe: &Path) -> String {
    format!(
        "import os, stat, subprocess
open('bait', 'w').write(inputs['Given'])
told = subprocess.run(['{}', *'{INSIDE}'.split()], capture_output=True, text=True, close_fds=False)
print(told)
outputs['Findings'] = open('findings').read()
mine = os.getuid()
try:
    rows = [line.split() for line in open('/proc/self/uid_map')]
except PermissionError:
    # Without namespaces there is nothing to be mapped.
    rows = [('0', '0', '4294967295')]
[row] = [row for row in rows if int(row[0]) <= mine < int(row[0]) + int(row[2])]
outputs['User'] = str(int(row[1]) + mine - int(row[0]))
fds = []
for fd in range(20000):
    try:
        fds.append((fd, stat.S_ISSOCK(os.fstat(fd).st_mode)))
    except OSError:
        pass
plain = ' '.join(str(fd) for fd, socket in fds if not socket)
outputs['Open'] = plain + ' and the channel' * sum(socket for _, socket in fds)
",
        probe.display()
    )
}

/// A script that starts the probe.
fn in_shell(probe: &Path) -> String {
    format!(
        "printf %s \"$VAR_Given\" > bait
{} {INSIDE} 2>&1
mine=$(id -u)
while read -r inside outside count; do
  if [ \"$mine\" -ge \"$inside\" ] && [ $((mine - inside)) -lt \"$count\" ]; then
    echo \"User=$((outside + mine - inside))\" >&3
  fi
done < /proc/self/uid_map
printf 'Findings<<THE_END\\n' >&3
cat findings >&3
printf '\\nTHE_END\\n' >&3
",
        probe.display()
    )
}

/// The probe itself, in the folder of a run.
#[test]
#[ignore = "started by the other tests from inside of a step"]
fn inside() {
    let bait: Bait = serde_json::from_slice(&fs::read("bait").unwrap()).unwrap();
    fs::write("findings", serde_json::to_vec(&run(&bait)).unwrap()).unwrap();
}
