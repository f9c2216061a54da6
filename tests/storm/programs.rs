//! The programs that are called, and what they must answer with.

/// A program that is called. Each is given a mark, which no other call has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Program {
    /// A few steps.
    Quick = 1,
    /// A few steps, of which the last fails.
    Failing,
    /// Three effects, one after the other.
    Chain,
    /// The same, each of which must not be done twice.
    Once,
    /// A loop of four effects.
    Loop,
    /// An effect, a pause for which the run is put aside, and another effect.
    Sleeper,
    /// Three effects in a run that is gone on with even though its caller waits.
    Resumed,
    /// Many passes of a loop without effects.
    Long,
    /// Two effects, in at most two runs at once.
    Limited,
    /// Ten seconds of short pauses; it is always cancelled.
    Slow,
}

use Program::{Chain, Failing, Limited, Long, Loop, Once, Quick, Resumed, Sleeper, Slow};

impl Program {
    pub const ALL: [Program; 10] = [
        Quick, Failing, Chain, Once, Loop, Sleeper, Resumed, Long, Limited, Slow,
    ];

    /// The program of this id.
    pub fn of(id: i64) -> Program {
        Program::ALL[id as usize - 1]
    }

    /// How many effects a run has that comes to its end.
    pub fn effects(self) -> usize {
        match self {
            Quick | Failing | Long | Slow => 0,
            Sleeper | Limited => 2,
            Chain | Once | Resumed => 3,
            Loop => 4,
        }
    }

    /// Its text. Effects call `sink` with the mark and their number.
    pub fn text(self, sink: &str) -> String {
        let effect = |number: usize, settings: &str| {
            format!(
                "
      - javascript: await fetch('{sink}/' + inputs.Mark + '/{number}')
        {settings}
      - set: {{At: '{number}'}}
      - print: '{{{{ Mark }}}} did {number}'"
            )
        };
        let settings = match self {
            Once => "once: true\n        on_error: continue",
            _ => "name: effect",
        };
        let steps: String = match self {
            Quick => "
      - set: {Twice: '{{ Mark }} {{ Mark }}'}
      - if: Mark is filled
        then:
          - print: '{{ Twice }}'"
                .to_owned(),
            Failing => "
      - set: {Words: '{{ Mark }}'}
      - loop: '{{ Words }}'
        steps: [print: never]"
                .to_owned(),
            Long => "
      - loop: range(2000)
        as: N
        steps:
          - set: {Sum: '{{ N + 1 }}'}"
                .to_owned(),
            Loop => format!(
                "
      - loop: range(4)
        as: N
        steps:
          - javascript: await fetch('{sink}/' + inputs.Mark + '/' + inputs.N)
          - print: '{{{{ Mark }}}} did {{{{ N }}}}'"
            ),
            Sleeper => [
                effect(0, settings),
                "\n      - sleep: 5s".to_owned(),
                effect(1, settings),
            ]
            .concat(),
            Slow => "
      - loop: range(200)
        as: N
        steps:
          - sleep: 50ms"
                .to_owned(),
            Limited => (0..2).map(|number| effect(number, settings)).collect(),
            Chain | Once | Resumed => (0..3).map(|number| effect(number, settings)).collect(),
        };
        let concurrency = match self {
            Limited => "concurrency: {max: 2, queue: 1000000}\n",
            _ => "",
        };
        let on_node_loss = if self == Resumed {
            "on_node_loss: resume\n"
        } else {
            ""
        };
        format!(
            "id: {}
name: {self:?}
{on_node_loss}{concurrency}functions:
  Main:
    triggers:
      - webhook:
          outputs: {{Mark: ''}}
    steps:{steps}
      - set: {{Echo: '{{{{ Mark }}}}'}}
        show: [Echo]
",
            self as u64
        )
    }

    /// The outcome as it is recorded, where no kill came in between: whether it succeeded, and the result or the sentence.
    pub fn outcome(self, mark: &str) -> (bool, String) {
        match self {
            Failing => {
                let sentence = "Main, step 2 (loop): a list is needed, and this is a text";
                (false, sentence.to_owned())
            }
            _ => (true, format!(r#"[["Echo","{mark}"]]"#)),
        }
    }

    /// The lines of the log, where no kill came in between. The log of one that was gone on with is the same.
    pub fn log(self, mark: &str) -> Vec<String> {
        match self {
            Quick => vec![format!("{mark} {mark}")],
            Failing | Long | Slow => vec![],
            _ => (0..self.effects())
                .map(|number| format!("{mark} did {number}"))
                .collect(),
        }
    }
}
