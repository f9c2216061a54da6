//! Every kind of step there is, one file each.

pub mod assert;
mod bounds;
pub mod break_;
pub mod calculator;
pub mod call;
pub mod cast;
pub mod changed;
pub mod code;
pub mod continue_;
pub mod date;
pub mod if_;
pub mod javascript;
pub mod list;
pub mod loop_;
pub mod print;
pub mod python;
pub mod return_;
pub mod set;
pub mod shell;
pub mod sleep;
pub mod storage;
pub mod text;
pub mod while_;

use engine::kind::Kind;

/// Every kind of step, in the order the reference shows them.
pub static KINDS: [Kind; 21] = [
    // Logic
    Kind::of::<set::Set>(),
    Kind::of::<print::Print>(),
    Kind::of::<if_::If>(),
    Kind::of::<loop_::Loop>(),
    Kind::of::<while_::While>(),
    Kind::of::<break_::Break>(),
    Kind::of::<continue_::Continue>(),
    Kind::of::<call::Call>(),
    Kind::of::<return_::Return>(),
    Kind::of::<assert::Assert>(),
    Kind::of::<sleep::Sleep>(),
    Kind::of::<storage::Storage>(),
    Kind::of::<changed::Changed>(),
    // Values
    Kind::of::<list::List>(),
    Kind::of::<text::Text>(),
    Kind::of::<calculator::Calculator>(),
    Kind::of::<date::Date>(),
    Kind::of::<cast::Cast>(),
    // Code
    Kind::of::<python::Python>(),
    Kind::of::<javascript::JavaScript>(),
    Kind::of::<shell::Shell>(),
];
