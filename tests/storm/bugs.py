#!/usr/bin/env python3
"""Puts bugs into the server, one at a time, and sees that the tests find each of them.

Run by hand from the project's folder, with nothing uncommitted: `python3 tests/storm/bugs.py`. Every bug is a piece of a file
and what it is replaced by; the file is put back afterwards. It takes some minutes.
"""

import os
import pathlib
import subprocess
import sys

QUEUE = "            let queued = app.store.begin(header, None).await;"
RECORD = "return self.app.store.record(run, made, end).await;"

BUGS = [
    (
        "a call is answered before its run is in the record",
        "src/runs.rs",
        QUEUE,
        "            let store = app.store.clone();\n"
        "            tokio::spawn(async move {\n"
        "                tokio::time::sleep(Duration::from_millis(30)).await;\n"
        "                let _ = store.begin(header, None).await;\n"
        "            });\n"
        "            let queued = Ok::<(), store::Error>(());",
    ),
    (
        "a call is answered before the outcome is in the record",
        "src/recorder.rs",
        RECORD,
        "let store = self.app.store.clone();\n"
        "            tokio::spawn(async move {\n"
        "                tokio::time::sleep(Duration::from_millis(30)).await;\n"
        "                store.record(run, made, end).await\n"
        "            });\n"
        "            return Ok(());",
    ),
    (
        "the next effect does not wait for the record of the one before",
        "src/recorder/effects.rs",
        "        if self.run.resumes {\n            self.settled().await?;",
        "        if self.run.resumes {",
    ),
    (
        "a step with `once` is not recorded before it begins",
        "src/recorder/effects.rs",
        "if effect.lost != OnLost::Retry && self.run.resumes && !marked {",
        "if false && !marked {",
    ),
    (
        "a run that is gone on with does not look at its journal",
        "src/recorder.rs",
        "Journal::new(run.seed, before, clock.clone())",
        "Journal::new(run.seed, before && run.seed == 0, clock.clone())",
    ),
    (
        "an effect is recorded as done before it is",
        "src/recorder/effects.rs",
        "        let left = effect.deadline.saturating_sub(self.clock.elapsed());",
        "        if self.run.resumes && effect.lost == OnLost::Retry {\n"
        "            self.add(record.clone(), &Ok(Value::Nothing));\n"
        "            self.settled().await?;\n"
        "        }\n"
        "        let left = effect.deadline.saturating_sub(self.clock.elapsed());",
    ),
    (
        "the runs of a server that is gone are left as they are",
        "src/store/sqlite/sql/sweep.rs",
        "WHERE queue.owner <> ?1",
        "WHERE queue.owner = ?1",
    ),
    (
        "who does not hold a run can change it",
        "src/store/sqlite/sql/runs.rs",
        "AND owner = ?2 AND fence = ?3",
        "AND (true OR owner = ?2 OR fence = ?3)",
    ),
    (
        "a run at work that is cancelled is not told",
        "src/runs/stop.rs",
        "stop.store(Stop::Cancelled as u8, Ordering::Relaxed);",
        "let _ = stop;",
    ),
    (
        "a call that is repeated under its name has another run",
        "src/store/sqlite/sql/runs.rs",
        "        name(connection, run, key, number)?;",
        "        let _ = (name, key);",
    ),
    (
        "a run that is put aside is never due",
        "src/store/sqlite/sql/runs.rs",
        'let_go(connection, run, "waiting", Some(*due))',
        'let_go(connection, run, "waiting", Some(*due).map(|_| i64::MAX))',
    ),
    (
        "more runs are at work than their program allows",
        "src/store/sqlite/sql/queue.rs",
        "if *at_work >= most {",
        "if *at_work >= most.saturating_add(100) {",
    ),
    (
        "a time trigger is set to its next time after its runs are queued, in another commit",
        "src/store/sqlite/sql/schedules.rs",
        "    fault::at(\"schedule.mid\");",
        "    connection.execute_batch(\"COMMIT; BEGIN IMMEDIATE\")?;\n    fault::at(\"schedule.mid\");",
    ),
]


def found(name: str) -> bool:
    """Whether the tests fail, and for another reason than that nothing compiles."""
    environment = {**os.environ, "STORM_SECONDS": "60"}
    build = ["cargo", "test", "--quiet", "--no-run", "--test", "storm", "--test", "store"]
    built = subprocess.run(build, capture_output=True, text=True)
    if built.returncode != 0:
        sys.exit(f"{name}: does not compile\n{built.stderr}")
    for test in ("storm", "store"):
        command = ["cargo", "test", "--quiet", "--test", test]
        ran = subprocess.run(command, capture_output=True, text=True, env=environment)
        if ran.returncode != 0:
            lines = ran.stdout.splitlines()
            at = next((at for at, line in enumerate(lines) if "panicked at" in line), None)
            print("  " + lines[at + 1][:150] if at is not None else "  " + ran.stdout[-300:])
            return True
    return False


def main() -> None:
    missed = []
    for name, file, piece, bug in BUGS:
        path = pathlib.Path(file)
        text = path.read_text()
        if text.count(piece) != 1:
            sys.exit(f"{name}: {file} has the piece {text.count(piece)} times")
        print(name, flush=True)
        path.write_text(text.replace(piece, bug))
        try:
            if not found(name):
                missed.append(name)
                print("  NOT FOUND")
        finally:
            path.write_text(text)
    print(f"{len(BUGS) - len(missed)} of {len(BUGS)} bugs found")
    sys.exit(1 if missed else 0)


main()
