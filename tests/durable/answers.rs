//! What is in the record when an answer comes.

use waystation::store::State;

use crate::world::World;

/// A killed server does not lose what it has given to the system but not yet synced, so kills alone do not show an answer that
/// comes too soon. A reader does: it sees a commit when its sync is done.
#[test]
fn an_answer_comes_after_its_commit() {
    let world = World::new(
        "id: 1\nname: Quick\nfunctions:\n  Main:\n    triggers: [webhook]\n    steps:\n      - print: done\n",
    );
    let store = world.store();
    for number in 0..100 {
        let waits = number % 5 > 0;
        let run = match waits {
            true => world.of(&world.call("program_id=1")),
            false => world.begin(),
        };
        let run = world.run_in(&store, run);
        if waits {
            assert_eq!(run.summary.state, State::Succeeded);
        }
    }
}
