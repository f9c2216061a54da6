//! `calculator`: calculates with numbers.

mod arithmetic;

use std::sync::Arc;

use engine::context::Cx;
use engine::field::{FromValue, Input, Number, Output};
use engine::kind::{Example, Gives, Group, Step};
use engine::run::{Failure, Flow};
use engine::value::{List, Value};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::bounds;

/// Calculate with numbers.
///
/// Whole numbers are exact and stay whole where the result is: 6 divided by 2 is 3, and 7 divided by 2
/// is 3.5. Once a number with a fraction takes part, the result has one too. A result that is too
/// large fails the step, and so does a division by zero.
///
/// In WayScript every result had a fraction, such as `4.0`; `cast` the result `to: float` for that.
#[derive(Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Calculator {
    /// Add the numbers up.
    Add(Several),
    /// Take all further numbers from the first.
    Subtract(Several),
    /// Multiply the numbers.
    Multiply(Several),
    /// Divide the first number by all further ones, in turn.
    Divide(Several),
    /// The average of the numbers: their sum divided by how many there are.
    Average(Several),
    /// By how much the second number differs from the first, in percent of the first.
    PercentChange(Change),
    /// A random whole number, every one from the first to the second as likely as another.
    Random(Between),
    /// A number to the power of another.
    Power(Power),
    /// A root of a number. A negative number has only roots of odd degree.
    Root(Root),
    /// What is left over by a division. It has the sign of the divisor, as with `%` in expressions.
    Remainder(Remainder),
    /// Round to a number of decimal places; a half rounds away from zero.
    Round(Round),
}

/// Numbers to calculate with.
#[derive(Deserialize, JsonSchema)]
pub struct Several {
    /// The numbers, as a list with at least one.
    of: Input<Arc<List>>,
    /// The variable for the result.
    into: Output,
}

/// Two numbers to be compared.
#[derive(Deserialize, JsonSchema)]
pub struct Change {
    /// The old number and the new one, as a list.
    of: Input<Arc<List>>,
    /// The variable for the change as a part of the old number, such as 0.25 for 25 percent.
    decimal: Option<Output>,
    /// The variable for the change in percent.
    into: Output,
}

/// The ends of a range.
#[derive(Deserialize, JsonSchema)]
pub struct Between {
    /// The smallest and the largest whole number there can be, as a list. They have at most 18 digits.
    of: Input<Arc<List>>,
    /// The variable for the number.
    into: Output,
}

/// A number and an exponent.
#[derive(Deserialize, JsonSchema)]
pub struct Power {
    /// The number.
    of: Input<Number>,
    /// The power to raise it to.
    exponent: Input<Number>,
    /// The variable for the result.
    into: Output,
}

/// A number and a degree.
#[derive(Deserialize, JsonSchema)]
pub struct Root {
    /// The number.
    of: Input<Number>,
    /// Which root: 2, the default, for the square root, 3 for the cube root, and so on.
    degree: Option<Input<i64>>,
    /// The variable for the result.
    into: Output,
}

/// A number and a divisor.
#[derive(Deserialize, JsonSchema)]
pub struct Remainder {
    /// The number.
    of: Input<Number>,
    /// The number to divide it by.
    divisor: Input<Number>,
    /// The variable for the result.
    into: Output,
}

/// A number to be rounded.
#[derive(Deserialize, JsonSchema)]
pub struct Round {
    /// The number.
    of: Input<Number>,
    /// How many decimal places to keep, 0 to 15; 0, the default, gives a whole number.
    places: Option<Input<i64>>,
    /// The variable for the result.
    into: Output,
}

impl Step for Calculator {
    const NAME: &'static str = "calculator";
    const MAIN: &'static str = "of";
    const GROUP: Group = Group::Values;
    const EXAMPLES: &'static [Example] = &[
        Example {
            about: "Add numbers",
            given: "Price: 4.5",
            step: "calculator: ['{{ Price }}', 2, 3]\naction: add\ninto: Result",
            gives: Gives::Variables("Result: 9.5"),
        },
        Example {
            about: "Add up a list",
            given: "Scores: [3, 4, 5]",
            step: "calculator: Scores\naction: add\ninto: Result",
            gives: Gives::Variables("Result: 12"),
        },
        Example {
            about: "Subtract",
            given: "",
            step: "calculator: [100, 10, 20]\naction: subtract\ninto: Result",
            gives: Gives::Variables("Result: 70"),
        },
        Example {
            about: "Multiply",
            given: "",
            step: "calculator: [2, 2]\naction: multiply\ninto: Result",
            gives: Gives::Variables("Result: 4"),
        },
        Example {
            about: "Divide",
            given: "",
            step: "calculator: [7, 2]\naction: divide\ninto: Result",
            gives: Gives::Variables("Result: 3.5"),
        },
        Example {
            about: "Nothing can be divided by zero",
            given: "Count: 0",
            step: "calculator: [7, '{{ Count }}']\naction: divide\ninto: Result",
            gives: Gives::Failure("division by zero"),
        },
        Example {
            about: "The average",
            given: "Scores: [3, 4, 6]",
            step: "calculator: Scores\naction: average\ninto: Result",
            gives: Gives::Variables("Result: 4.333333333333333"),
        },
        Example {
            about: "A change in percent",
            given: "Old: 40\nNew: 50",
            step: "calculator: ['{{ Old }}', '{{ New }}']\naction: percent_change\ninto: Percent\ndecimal: Decimal",
            gives: Gives::Variables("Percent: 25\nDecimal: 0.25"),
        },
        Example {
            about: "Throw a die",
            given: "",
            step: "calculator: [1, 6]\naction: random\ninto: Eyes",
            gives: Gives::Checked,
        },
        Example {
            about: "A power",
            given: "",
            step: "calculator: 2\naction: power\nexponent: 10\ninto: Result",
            gives: Gives::Variables("Result: 1024"),
        },
        Example {
            about: "The square root",
            given: "",
            step: "calculator: 9\naction: root\ninto: Result",
            gives: Gives::Variables("Result: 3"),
        },
        Example {
            about: "The cube root",
            given: "",
            step: "calculator: -27\naction: root\ndegree: 3\ninto: Result",
            gives: Gives::Variables("Result: -3"),
        },
        Example {
            about: "What is left over",
            given: "",
            step: "calculator: 17\naction: remainder\ndivisor: 5\ninto: Rest",
            gives: Gives::Variables("Rest: 2"),
        },
        Example {
            about: "Round to cents",
            given: "",
            step: "calculator: 2.675\naction: round\nplaces: 2\ninto: Price",
            gives: Gives::Variables("Price: 2.68"),
        },
        Example {
            about: "What is no number fails",
            given: "",
            step: "calculator: [1, one]\naction: add\ninto: Result",
            gives: Gives::Failure("a number is needed in the list, and `one` is none"),
        },
    ];

    async fn run(&self, cx: &mut Cx<'_>) -> Result<Flow, Failure> {
        match self {
            Calculator::Add(step) => step.in_turn(cx, arithmetic::add)?,
            Calculator::Subtract(step) => step.in_turn(cx, arithmetic::subtract)?,
            Calculator::Multiply(step) => step.in_turn(cx, arithmetic::multiply)?,
            Calculator::Divide(step) => step.in_turn(cx, arithmetic::divide)?,
            Calculator::Average(step) => {
                let average = arithmetic::average(&filled(cx, &step.of)?)?;
                cx.set(&step.into, average)?;
            }
            Calculator::PercentChange(step) => step.run(cx)?,
            Calculator::Random(step) => step.run(cx)?,
            Calculator::Power(step) => {
                let power = arithmetic::power(cx.get(&step.of)?, cx.get(&step.exponent)?)?;
                cx.set(&step.into, power)?;
            }
            Calculator::Root(step) => {
                let degree = cx.get_opt(&step.degree)?.unwrap_or(2);
                cx.set(&step.into, arithmetic::root(cx.get(&step.of)?, degree)?)?;
            }
            Calculator::Remainder(step) => {
                let rest = arithmetic::remainder(cx.get(&step.of)?, cx.get(&step.divisor)?)?;
                cx.set(&step.into, rest)?;
            }
            Calculator::Round(step) => {
                let places = cx.get_opt(&step.places)?.unwrap_or(0);
                cx.set(&step.into, arithmetic::round(cx.get(&step.of)?, places)?)?;
            }
        }
        Ok(Flow::Next)
    }
}

impl Several {
    /// Calculates from the first number to the last.
    fn in_turn(
        &self,
        cx: &mut Cx<'_>,
        calculate: fn(Number, Number) -> Result<Number, Failure>,
    ) -> Result<(), Failure> {
        let numbers = filled(cx, &self.of)?;
        let mut result = numbers[0];
        for number in &numbers[1..] {
            result = calculate(result, *number)?;
        }
        cx.set(&self.into, result)
    }
}

impl Change {
    fn run(&self, cx: &mut Cx<'_>) -> Result<(), Failure> {
        let [old, new] = pair(cx, &self.of)?;
        let change = arithmetic::subtract(new, old)?;
        let hundredfold = arithmetic::multiply(change, Number::Integer(100))?;
        cx.set(&self.into, arithmetic::divide(hundredfold, old)?)?;
        match &self.decimal {
            Some(decimal) => cx.set(decimal, arithmetic::divide(change, old)?),
            None => Ok(()),
        }
    }
}

impl Between {
    fn run(&self, cx: &mut Cx<'_>) -> Result<(), Failure> {
        let [from, to] = pair::<i64>(cx, &self.of)?.map(i128::from);
        if from > to {
            let message = format!("the smallest number, {from}, is greater than the largest, {to}");
            return Err(Failure::new(message));
        }
        // A part of the range as large as the random number is of all there are.
        let part = (u128::from(cx.random()) * (to - from + 1) as u128) >> 64;
        cx.set(&self.into, Value::Integer(from + part as i128))
    }
}

/// The numbers of a list that has some.
fn filled(cx: &Cx<'_>, list: &Input<Arc<List>>) -> Result<Vec<Number>, Failure> {
    let numbers: Vec<Number> = cx.get(list)?.iter().map(number).collect::<Result<_, _>>()?;
    match numbers.is_empty() {
        true => Err(Failure::new("the list of numbers is empty")),
        false => Ok(numbers),
    }
}

/// The two numbers of a list.
fn pair<T: FromValue>(cx: &Cx<'_>, list: &Input<Arc<List>>) -> Result<[T; 2], Failure> {
    let list = cx.get(list)?;
    match &list[..] {
        [first, second] => Ok([number(first)?, number(second)?]),
        other => {
            let message = format!(
                "a list of two numbers is needed, and this has {}",
                other.len()
            );
            Err(Failure::new(message))
        }
    }
}

fn number<T: FromValue>(item: &Value) -> Result<T, Failure> {
    T::from_value(item.clone()).ok_or_else(|| {
        let (wanted, item) = (T::TYPE, bounds::shown(item));
        Failure::new(format!(
            "a {wanted} is needed in the list, and `{item}` is none"
        ))
    })
}
