//! Expressions: conditions, arithmetic, and what stands between `{{` and `}}`.
//!
//! The language is Jinja's, closed: it reaches the variables and the functions, filters and tests
//! of [`crate::language`], nothing else, and its work is bounded.

mod guard;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use minijinja::machinery::ast::{self, CallArg};
use minijinja::machinery::{Span, parse_expr};
use minijinja::{ErrorKind, Expression};

use crate::language::{self, LANGUAGE, Word};
use crate::problem::nearest;
use crate::value::Value;
use crate::variables::{Name, Variables};

/// The longest expression, in bytes. It bounds how deep its tree is, and so the stack that compiling it
/// takes.
pub const MAX_LENGTH: usize = 2_000;

/// An expression, ready to be evaluated.
pub struct Expr {
    source: Arc<str>,
    code: Code,
    /// The variables it names, each with its range of bytes in the source.
    pub uses: Vec<(Arc<str>, Range<usize>)>,
}

enum Code {
    /// Just a variable, which needs no evaluation.
    Variable(Arc<str>),
    Compiled(Expression<'static, 'static>),
}

/// What is wrong with an expression's text.
#[derive(Debug, PartialEq)]
pub struct Flaw {
    /// Which bytes of it.
    pub range: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Whether the text is no expression at all.
    pub syntax: bool,
}

impl Expr {
    /// Prepares an expression.
    ///
    /// # Errors
    /// Everything that is wrong with it: one syntax error, or all the words it uses that the
    /// language does not have.
    pub fn compile(source: &str) -> Result<Expr, Vec<Flaw>> {
        if source.trim().is_empty() {
            return Err(vec![flaw(source, "this expression is empty")]);
        }
        if source.len() > MAX_LENGTH {
            let message = format!("this expression is longer than {MAX_LENGTH} bytes");
            return Err(vec![Flaw {
                help: Some("cut it in pieces, each kept in a variable by `set`".to_owned()),
                ..flaw(source, &message)
            }]);
        }
        let tree = parse_expr(source).map_err(|error| vec![syntax(source, &error)])?;
        let mut walk = Walk::default();
        walk.expr(&tree);
        if !walk.flaws.is_empty() {
            return Err(walk.flaws);
        }
        let code = match &tree {
            ast::Expr::Var(var) => Code::Variable(var.id.into()),
            _ => Code::Compiled(
                LANGUAGE
                    .compile_expression_owned(guard::guarded(source, &tree))
                    .map_err(|error| vec![syntax(source, &error)])?,
            ),
        };
        Ok(Expr {
            source: source.trim().into(),
            code,
            uses: walk.uses,
        })
    }

    /// The expression that is a variable's exact name.
    pub fn variable(name: &Name) -> Expr {
        Expr {
            source: name.text.clone(),
            code: Code::Variable(name.key.clone()),
            uses: vec![(name.key.clone(), 0..name.text.len())],
        }
    }

    /// The variable's expression name, if the expression is nothing but a variable.
    pub fn as_variable(&self) -> Option<&Arc<str>> {
        match &self.code {
            Code::Variable(key) => Some(key),
            Code::Compiled(_) => None,
        }
    }

    /// Its value with these variables.
    ///
    /// # Errors
    /// In words: a variable without a value, an operation that does not fit, too much work.
    pub fn evaluate(&self, variables: &Arc<Variables>) -> Result<Value, String> {
        match &self.code {
            Code::Variable(key) => variables
                .get(key)
                .cloned()
                .ok_or_else(|| self.valueless(variables)),
            Code::Compiled(code) => {
                language::begin();
                let scope = minijinja::Value::from_dyn_object(variables.clone());
                let value = code
                    .eval(scope)
                    .map_err(|error| self.failed(&error, variables))?;
                if value.is_undefined() {
                    return Err(self.valueless(variables));
                }
                Value::try_from(value).map_err(|error| format!("`{}`: {error}", self.source))
            }
        }
    }

    fn failed(&self, error: &minijinja::Error, variables: &Variables) -> String {
        match error.kind() {
            ErrorKind::UndefinedError => self.valueless(variables),
            ErrorKind::OutOfFuel => format!("`{}` takes too much work", self.source),
            kind => {
                let what = error
                    .detail()
                    .map_or_else(|| kind.to_string(), str::to_owned);
                format!("`{}`: {}", self.source, told(what))
            }
        }
    }

    fn valueless(&self, variables: &Variables) -> String {
        match self
            .uses
            .iter()
            .find(|(key, _)| variables.get(key).is_none())
        {
            Some((key, _)) => format!("`{key}` has no value yet"),
            None => format!("`{}` has no value", self.source),
        }
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expr({})", self.source)
    }
}

/// What the library says about an operator, in the words of the language.
fn told(what: String) -> String {
    const KINDS: &[(&str, &str)] = &[
        ("string", "a text"),
        ("number", "a number"),
        ("bool", "a boolean"),
        ("sequence", "a list"),
        ("iterator", "a list"),
        ("map", "a record"),
        ("none", "nothing"),
        ("plain object", "a date"),
        ("undefined", "what has no value"),
    ];
    let known = |kind: &str| KINDS.iter().find(|(name, _)| *name == kind);
    let operands = what
        .strip_prefix("tried to use ")
        .and_then(|rest| rest.split_once(" operator on unsupported types "))
        .and_then(|(sign, kinds)| Some((sign, kinds.split_once(" and ")?)));
    if let Some((sign, (left, right))) = operands
        && let Some(((_, left), (_, right))) = known(left).zip(known(right))
    {
        return format!("`{sign}` does not go with {left} and {right}");
    }
    match what.strip_prefix("unable to calculate ") {
        Some(sum) => format!("{sum} cannot be calculated"),
        None => what,
    }
}

fn flaw(source: &str, message: &str) -> Flaw {
    Flaw {
        range: 0..source.len(),
        message: message.to_owned(),
        help: None,
        syntax: true,
    }
}

fn syntax(source: &str, error: &minijinja::Error) -> Flaw {
    let end = source.trim_end().len();
    let range = error
        .range()
        .filter(|range| range.start < end)
        .unwrap_or(0..source.len());
    let what = error.detail().unwrap_or("syntax error");
    let what = what
        .replace("end of input", "end")
        .replace("expected expression", "expected an expression")
        .replace(
            "expected identifier or integer",
            "expected a name or a number",
        )
        .replace("expected identifier", "expected a name")
        .replace(
            "template exceeds maximum recursion limits",
            "it is nested too deep",
        )
        .replace(
            "unexpected input after expression",
            "something more follows here",
        );
    let help = advice(source, range.start).map(str::to_owned);
    Flaw {
        help,
        ..Flaw {
            range,
            ..flaw(source, &format!("this expression cannot be read: {what}"))
        }
    }
}

/// What somebody who is used to other languages should write in place of what stands at a byte.
fn advice(source: &str, at: usize) -> Option<&'static str> {
    let rest = source.get(at..).unwrap_or_default();
    let after = [
        ("&&", "write `and`"),
        ("||", "write `or`"),
        ("!", "write `not`"),
        ("?", "write `this if condition else that`"),
    ];
    let known = after.iter().find(|(sign, _)| rest.starts_with(sign));
    match known {
        Some((_, help)) => Some(help),
        None if source[..at].ends_with('|') && rest.starts_with('|') => Some("write `or`"),
        None => has_lone_equals(source).then_some("to compare, write `==`"),
    }
}

fn has_lone_equals(source: &str) -> bool {
    let bytes = source.as_bytes();
    (0..bytes.len()).any(|at| {
        bytes[at] == b'='
            && bytes.get(at + 1) != Some(&b'=')
            && !matches!(
                at.checked_sub(1).map(|before| bytes[before]),
                Some(b'=' | b'!' | b'<' | b'>')
            )
    })
}

/// The words that the library reads as variables where they can be nothing else.
const WORDS: &[&str] = &["and", "else", "if", "in", "is", "not", "or"];

/// Walks an expression's tree for the names in it.
#[derive(Default)]
struct Walk {
    uses: Vec<(Arc<str>, Range<usize>)>,
    flaws: Vec<Flaw>,
}

impl Walk {
    fn expr(&mut self, expr: &ast::Expr<'_>) {
        match expr {
            ast::Expr::Var(var) if WORDS.contains(&var.id) => self.flaws.push(Flaw {
                range: range(var.span()),
                message: format!("`{}` cannot stand here", var.id),
                help: Some(format!(
                    "put brackets around `{}` and what it belongs to",
                    var.id
                )),
                syntax: true,
            }),
            ast::Expr::Var(var) => self.uses.push((var.id.into(), range(var.span()))),
            ast::Expr::Const(_) => {}
            ast::Expr::Slice(slice) => {
                self.expr(&slice.expr);
                [&slice.start, &slice.stop, &slice.step]
                    .into_iter()
                    .flatten()
                    .for_each(|part| self.expr(part));
            }
            ast::Expr::UnaryOp(op) => self.expr(&op.expr),
            ast::Expr::BinOp(op) => self.all([&op.left, &op.right]),
            ast::Expr::Compare(compare) => {
                self.expr(&compare.expr);
                compare.ops.iter().for_each(|op| self.expr(&op.expr));
            }
            ast::Expr::IfExpr(branch) => {
                self.all([&branch.test_expr, &branch.true_expr]);
                branch.false_expr.iter().for_each(|expr| self.expr(expr));
            }
            ast::Expr::Filter(filter) => {
                filter.expr.iter().for_each(|expr| self.expr(expr));
                self.known("filter", filter.name, filter.span(), language::FILTERS);
                match filter.name {
                    "map" => self.named("filter", &filter.args, 0, language::FILTERS),
                    "select" | "reject" => self.named("test", &filter.args, 0, language::TESTS),
                    "selectattr" | "rejectattr" => {
                        self.named("test", &filter.args, 1, language::TESTS);
                    }
                    _ => {}
                }
                self.args(&filter.args);
            }
            ast::Expr::Test(test) => {
                self.expr(&test.expr);
                self.known("test", test.name, test.span(), language::TESTS);
                self.args(&test.args);
            }
            ast::Expr::GetAttr(get) => self.expr(&get.expr),
            ast::Expr::GetItem(get) => self.all([&get.expr, &get.subscript_expr]),
            ast::Expr::Call(call) => self.call(call),
            ast::Expr::List(list) => list.items.iter().for_each(|item| self.expr(item)),
            ast::Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.expr(item)),
            ast::Expr::Map(map) => map
                .keys
                .iter()
                .chain(&map.values)
                .for_each(|e| self.expr(e)),
        }
    }

    fn all<const N: usize>(&mut self, exprs: [&ast::Expr<'_>; N]) {
        exprs.into_iter().for_each(|expr| self.expr(expr));
    }

    fn args(&mut self, args: &[CallArg<'_>]) {
        for arg in args {
            match arg {
                CallArg::Pos(expr)
                | CallArg::Kwarg(_, expr)
                | CallArg::PosSplat(expr)
                | CallArg::KwargSplat(expr) => self.expr(expr),
            }
        }
    }

    fn call(&mut self, call: &ast::Spanned<ast::Call<'_>>) {
        match &call.expr {
            ast::Expr::Var(function) => {
                self.known(
                    "function",
                    function.id,
                    function.span(),
                    language::FUNCTIONS,
                );
            }
            ast::Expr::GetAttr(method) => {
                self.expr(&method.expr);
                let filter = language::FILTERS
                    .iter()
                    .find(|word| word.name == method.name);
                let help = match filter {
                    Some(word) => format!("there is a filter: `… | {}`", word.name),
                    None => "filters do such work: `value | filter`".to_owned(),
                };
                self.flaws.push(Flaw {
                    range: range(call.span()),
                    message: format!("values have no methods, such as `{}()`", method.name),
                    help: Some(help),
                    syntax: false,
                });
            }
            other => self.expr(other),
        }
        self.args(&call.args);
    }

    /// Checks a word that is given to a filter as a text.
    fn named(&mut self, what: &str, args: &[CallArg<'_>], at: usize, words: &'static [Word]) {
        let Some(CallArg::Pos(arg)) = args.get(at) else {
            return;
        };
        match arg {
            ast::Expr::Const(name) if name.value.as_str().is_some() => {
                let text = name.value.as_str().unwrap_or_default();
                self.known(what, text, name.span(), words);
            }
            other => self.flaws.push(Flaw {
                range: range(other.span()),
                message: format!("the name of a {what} must stand here, in quotes"),
                help: None,
                syntax: false,
            }),
        }
    }

    fn known(&mut self, what: &str, name: &str, span: Span, words: &'static [Word]) {
        if words.iter().any(|word| word.name == name) {
            return;
        }
        let near = nearest(name, words.iter().map(|word| word.name));
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the reference of expressions lists the {what}s"),
        };
        self.flaws.push(Flaw {
            range: range(span),
            message: format!("there is no {what} `{}`", crate::read::cut(name)),
            help: Some(help),
            syntax: false,
        });
    }
}

fn range(span: Span) -> Range<usize> {
    span.start_offset as usize..span.end_offset as usize
}
