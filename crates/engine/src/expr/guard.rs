//! Bounds the work of an expression where its library does not.
//!
//! A list may hold one list many times, and so on inwards: comparing it or writing it as text takes
//! the product of the lengths. So a value that may have been put together inside the expression is
//! measured before an operator, filter or test goes through it: `a ~ b` is compiled as if `a | shown`
//! and `b | shown` were written. And since the library puts values of different kinds in some order,
//! `a < b` becomes `a | ordered(b) < b`, which fails where they have none. The words added here are in no table, so no program can use them.

use std::borrow::Cow;
use std::ops::Range;

use minijinja::machinery::Span;
use minijinja::machinery::ast::{self, BinOpKind, CallArg, CompareOpKind, UnaryOpKind};

/// How far a number may multiply a list that is a variable without being measured.
const FEW: i64 = 64;

/// The filters that give numbers, booleans and text.
const PLAIN: &[&str] = &[
    "abs",
    "bool",
    "capitalize",
    "float",
    "indent",
    "int",
    "join",
    "length",
    "lower",
    "replace",
    "round",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "upper",
    "urlencode",
];

/// The expression with the measuring written into it.
pub(super) fn guarded(source: &str, tree: &ast::Expr<'_>) -> String {
    let mut guard = Guard {
        source,
        inserts: Vec::new(),
    };
    guard.expr(tree);
    guard.applied(0..source.len())
}

struct Guard<'s> {
    source: &'s str,
    /// What is inserted at which byte, and whether something begins there.
    inserts: Vec<(usize, bool, Cow<'static, str>)>,
}

impl Guard<'_> {
    /// The source in a range, with everything inserted.
    fn applied(mut self, range: Range<usize>) -> String {
        let source = self.source;
        // At one byte, what ends there comes before what begins, and the inner before the outer,
        // which was inserted first.
        self.inserts.reverse();
        self.inserts.sort_by_key(|(at, begins, _)| (*at, *begins));
        let mut text = String::with_capacity(range.len() + 16 * self.inserts.len());
        let mut from = range.start;
        for (at, _, insert) in self.inserts {
            text.push_str(&source[from..at]);
            text.push_str(&insert);
            from = at;
        }
        text.push_str(&source[from..range.end]);
        text
    }

    fn insert(&mut self, expr: &ast::Expr<'_>, end: impl Into<Cow<'static, str>>) {
        let extent = bytes(self.source, expr);
        self.inserts.push((extent.start, true, "((".into()));
        self.inserts.push((extent.end, false, end.into()));
    }

    /// Whether an expression may hold a comparison. Such an expression is not evaluated twice, and its
    /// order with others is not checked.
    fn compares(&self, expr: &ast::Expr<'_>) -> bool {
        self.source[bytes(self.source, expr)].contains(['<', '>'])
    }

    /// An operand that must have an order with another.
    fn ordered(&mut self, expr: &ast::Expr<'_>, other: &ast::Expr<'_>) {
        let mut guard = Guard {
            source: self.source,
            inserts: Vec::new(),
        };
        guard.expr(other);
        let other = guard.applied(bytes(self.source, other));
        // Brackets around the first part of an expression are not in its range.
        let open = "(".repeat(unopened(&other));
        self.insert(expr, format!(")|ordered({open}{other}))"));
    }

    /// An operand that is gone through.
    fn walked(&mut self, expr: &ast::Expr<'_>) {
        if !plain(expr) {
            self.insert(expr, ")|measured)");
        }
        self.expr(expr);
    }

    /// An operand that becomes text.
    fn written(&mut self, expr: &ast::Expr<'_>) {
        if !text(expr) {
            self.insert(expr, ")|shown)");
        }
        self.expr(expr);
    }

    fn expr(&mut self, expr: &ast::Expr<'_>) {
        match expr {
            ast::Expr::Var(_) | ast::Expr::Const(_) => {}
            ast::Expr::Slice(slice) => {
                self.walked(&slice.expr);
                [&slice.start, &slice.stop, &slice.step]
                    .into_iter()
                    .flatten()
                    .for_each(|part| self.expr(part));
            }
            ast::Expr::UnaryOp(op) => self.expr(&op.expr),
            ast::Expr::BinOp(op) => match op.op {
                BinOpKind::Concat => {
                    self.written(&op.left);
                    self.written(&op.right);
                }
                BinOpKind::ScAnd | BinOpKind::ScOr => {
                    self.expr(&op.left);
                    self.expr(&op.right);
                }
                kind => {
                    let order = matches!(
                        kind,
                        BinOpKind::Lt | BinOpKind::Lte | BinOpKind::Gt | BinOpKind::Gte
                    );
                    if order && !self.compares(&op.right) {
                        self.ordered(&op.left, &op.right);
                    }
                    self.walked(&op.left);
                    self.walked(&op.right);
                }
            },
            ast::Expr::Compare(compare) => {
                self.walked(&compare.expr);
                let mut left = &compare.expr;
                for op in &compare.ops {
                    use CompareOpKind::{Gt, Gte, Lt, Lte};
                    // The right one asks, so that it is asked only when its turn has come.
                    if matches!(op.op, Lt | Lte | Gt | Gte) && !self.compares(left) {
                        self.ordered(&op.expr, left);
                    }
                    self.walked(&op.expr);
                    left = &op.expr;
                }
            }
            ast::Expr::IfExpr(branch) => {
                self.expr(&branch.test_expr);
                self.expr(&branch.true_expr);
                branch.false_expr.iter().for_each(|expr| self.expr(expr));
            }
            ast::Expr::Filter(filter) => {
                filter.expr.iter().for_each(|expr| self.walked(expr));
                self.args(&filter.args);
            }
            ast::Expr::Test(test) => {
                self.walked(&test.expr);
                self.args(&test.args);
            }
            ast::Expr::GetAttr(get) => self.expr(&get.expr),
            ast::Expr::GetItem(get) => {
                self.expr(&get.expr);
                self.expr(&get.subscript_expr);
            }
            ast::Expr::Call(call) => {
                self.expr(&call.expr);
                self.args(&call.args);
            }
            ast::Expr::List(list) => list.items.iter().for_each(|item| self.expr(item)),
            ast::Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.expr(item)),
            ast::Expr::Map(map) => map
                .keys
                .iter()
                .chain(&map.values)
                .for_each(|part| self.expr(part)),
        }
    }

    fn args(&mut self, args: &[CallArg<'_>]) {
        for arg in args {
            match arg {
                CallArg::Pos(expr) | CallArg::Kwarg(_, expr) => self.walked(expr),
                CallArg::PosSplat(expr) | CallArg::KwargSplat(expr) => self.expr(expr),
            }
        }
    }
}

/// Whether an expression gives a number, a boolean, a text, or (a part of) a variable as it is, at most
/// a few times over.
fn plain(expr: &ast::Expr<'_>) -> bool {
    match expr {
        ast::Expr::Var(_) | ast::Expr::Const(_) | ast::Expr::Test(_) | ast::Expr::Compare(_) => {
            true
        }
        ast::Expr::UnaryOp(_) => true,
        ast::Expr::BinOp(op) => match op.op {
            BinOpKind::Add => plain(&op.left) && plain(&op.right),
            BinOpKind::Mul => {
                let few = |expr: &ast::Expr<'_>| match expr {
                    ast::Expr::Const(number) => number.value.as_i64().is_some_and(|n| n <= FEW),
                    _ => false,
                };
                let parts = [&op.left, &op.right];
                parts.iter().any(|part| few(part))
                    && parts.iter().all(|part| part_of_variable(part) || few(part))
            }
            BinOpKind::ScAnd | BinOpKind::ScOr => false,
            _ => true,
        },
        ast::Expr::Filter(filter) => PLAIN.contains(&filter.name),
        ast::Expr::GetAttr(_) | ast::Expr::GetItem(_) => part_of_variable(expr),
        ast::Expr::Slice(slice) => part_of_variable(&slice.expr),
        ast::Expr::List(_) | ast::Expr::Tuple(_) | ast::Expr::Map(_) => false,
        ast::Expr::IfExpr(_) | ast::Expr::Call(_) => false,
    }
}

fn part_of_variable(expr: &ast::Expr<'_>) -> bool {
    match expr {
        ast::Expr::Var(_) => true,
        ast::Expr::GetAttr(get) => part_of_variable(&get.expr),
        ast::Expr::GetItem(get) => part_of_variable(&get.expr),
        _ => false,
    }
}

/// Whether an expression gives text, or a whole number that is written in it.
fn text(expr: &ast::Expr<'_>) -> bool {
    const TEXT: &[&str] = &[
        "capitalize",
        "indent",
        "join",
        "lower",
        "replace",
        "string",
        "title",
        "tojson",
        "trim",
        "upper",
        "urlencode",
    ];
    match expr {
        ast::Expr::Const(value) => value.value.as_str().is_some() || value.value.is_integer(),
        ast::Expr::BinOp(op) => matches!(op.op, BinOpKind::Concat),
        ast::Expr::Filter(filter) => TEXT.contains(&filter.name),
        _ => false,
    }
}

/// How many brackets a text closes that it does not open.
fn unopened(text: &str) -> usize {
    let (mut open, mut unopened, mut quote, mut escaped) = (0usize, 0, None, false);
    for c in text.chars() {
        match (c, quote) {
            (_, Some(_)) if escaped => escaped = false,
            ('\\', Some(_)) => escaped = true,
            (c, Some(q)) if c == q => quote = None,
            (_, Some(_)) => {}
            ('"' | '\'', None) => quote = Some(c),
            ('(', None) => open += 1,
            (')', None) if open > 0 => open -= 1,
            (')', None) => unopened += 1,
            _ => {}
        }
    }
    unopened
}

/// The bytes of an expression with all of its parts; brackets around it, and around what it begins with,
/// may be left out. The library's spans begin late where something follows an operand, and early in
/// comparisons and branches.
fn bytes(source: &str, expr: &ast::Expr<'_>) -> Range<usize> {
    let from =
        |own: Span, first: &ast::Expr<'_>| bytes(source, first).start..own.end_offset as usize;
    match expr {
        ast::Expr::Filter(filter) => match &filter.expr {
            Some(first) => from(filter.span(), first),
            None => range(filter.span()),
        },
        ast::Expr::Test(test) => from(test.span(), &test.expr),
        ast::Expr::GetAttr(get) => from(get.span(), &get.expr),
        ast::Expr::GetItem(get) => from(get.span(), &get.expr),
        ast::Expr::Slice(slice) => from(slice.span(), &slice.expr),
        ast::Expr::Call(call) => from(call.span(), &call.expr),
        ast::Expr::IfExpr(branch) => from(branch.span(), &branch.true_expr),
        ast::Expr::Compare(compare) => from(compare.span(), &compare.expr),
        ast::Expr::BinOp(op) if compares(op.op) => from(op.span(), &op.left),
        ast::Expr::UnaryOp(op) => {
            let (own, inner) = (range(op.span()), bytes(source, &op.expr));
            let first = source[own.start..].starts_with("not") && own.start < inner.start;
            match op.op {
                // Of `is not` and `not in` the operand comes first.
                UnaryOpKind::Not if !first => inner.start..own.end,
                _ => own,
            }
        }
        other => range(other.span()),
    }
}

fn compares(op: BinOpKind) -> bool {
    use BinOpKind::{Eq, Gt, Gte, In, Lt, Lte, Ne};
    matches!(op, Eq | Gt | Gte | In | Lt | Lte | Ne)
}

fn range(span: Span) -> Range<usize> {
    span.start_offset as usize..span.end_offset as usize
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use minijinja::machinery::parse_expr;
    use proptest::prelude::*;

    use super::guarded;
    use crate::expr::{Expr, Walk};
    use crate::language::LANGUAGE;
    use crate::value::Value;
    use crate::variables::{Name, Variables};

    fn variables() -> Arc<Variables> {
        let mut variables = Variables::default();
        let values = [
            ("n", "3"),
            ("t", "\"a(b\""),
            ("l", "[3,1,2]"),
            ("r", r#"{"a":1,"b":[1]}"#),
        ];
        for (name, json) in values {
            let value = Value::from_json(json).unwrap();
            variables.set(&Name::new(name), value).unwrap();
        }
        Arc::new(variables)
    }

    fn evaluated(code: &str) -> Result<String, String> {
        let code = LANGUAGE
            .compile_expression_owned(code.to_owned())
            .map_err(|error| format!("compile: {error}"))?;
        let scope = minijinja::Value::from_dyn_object(variables());
        let value = code.eval(scope).map_err(|error| error.to_string())?;
        Value::try_from(value).map(|value| value.to_json())
    }

    /// Expressions, most of them with a value.
    pub(crate) fn expressions() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("n"),
            Just("t"),
            Just("l"),
            Just("r"),
            Just("1"),
            Just("2.5"),
            Just("'x)'"),
            Just("\"(\""),
            Just("true"),
            Just("none"),
            Just("[1, 2]"),
            Just("{'a': 1}"),
            Just("(1, 2)"),
        ];
        leaf.prop_map(str::to_owned)
            .prop_recursive(5, 40, 3, |inner| {
                let two = (inner.clone(), inner.clone());
                let three = (inner.clone(), inner.clone(), inner.clone());
                let op = prop_oneof![
                    Just("+"),
                    Just("-"),
                    Just("*"),
                    Just("/"),
                    Just("//"),
                    Just("%"),
                    Just("~"),
                    Just("=="),
                    Just("!="),
                    Just("<"),
                    Just("<="),
                    Just(">"),
                    Just(">="),
                    Just("and"),
                    Just("or"),
                    Just("in"),
                    Just("not in"),
                ];
                let filter = prop_oneof![
                    Just("string"),
                    Just("length"),
                    Just("first"),
                    Just("list"),
                    Just("sort"),
                    Just("default(1)"),
                    Just("join('-')"),
                    Just("map('string')"),
                    Just("tojson"),
                    Just("batch(2, t)"),
                    Just("reverse"),
                    Just("upper"),
                    Just("unique"),
                ];
                let test = prop_oneof![
                    Just("number"),
                    Just("not string"),
                    Just("in l"),
                    Just("not in [1]"),
                    Just("empty"),
                    Just("like 'X'"),
                    Just("containing(1)"),
                    Just("sharing(l)"),
                    Just("defined"),
                ];
                prop_oneof![
                    (two.clone(), op).prop_map(|((a, b), op)| format!("{a} {op} {b}")),
                    inner.clone().prop_map(|a| format!("({a})")),
                    inner.clone().prop_map(|a| format!("( {a} )")),
                    inner.clone().prop_map(|a| format!("not {a}")),
                    inner.clone().prop_map(|a| format!("-{a}")),
                    (inner.clone(), filter).prop_map(|(a, filter)| format!("{a}|{filter}")),
                    (inner.clone(), test).prop_map(|(a, test)| format!("{a} is {test}")),
                    two.clone().prop_map(|(a, b)| format!("{a}[{b}]")),
                    inner.clone().prop_map(|a| format!("{a}[1:]")),
                    inner.clone().prop_map(|a| format!("{a}.a")),
                    two.clone().prop_map(|(a, b)| format!("[{a}, {b}]")),
                    two.clone()
                        .prop_map(|(a, b)| format!("{{'k': {a}, 'm': {b}}}")),
                    three.prop_map(|(a, b, c)| format!("{a} if {b} else {c}")),
                    two.prop_map(|(a, b)| format!("dict(a={a}, b={b})")),
                    inner.prop_map(|a| format!("range({a})")),
                ]
            })
    }

    #[test]
    fn what_ends_at_one_byte_ends_from_the_inside() {
        let source = "n is like 'X'[n] < n";
        let measured = guarded(source, &parse_expr(source).unwrap());
        assert_eq!(measured, "((n is like (('X'[n])|measured))|ordered(n)) < n");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_measuring_changes_no_value(source in expressions()) {
            let Ok(tree) = parse_expr(&source) else { return Ok(()) };
            let mut walk = Walk::default();
            walk.expr(&tree);
            prop_assume!(walk.flaws.is_empty());
            let measured = guarded(&source, &tree);
            let (plain, came) = (evaluated(&source), evaluated(&measured));
            if let Err(error) = &came {
                prop_assert!(!error.starts_with("compile"), "{source}\n{measured}\n{error}");
            }
            // Values joined as text, and those without an order, are meant to differ.
            if let (Ok(plain), Ok(came)) = (&plain, &came) && !source.contains('~') {
                prop_assert_eq!(plain, came, "{}\n{}", source, measured);
            }
            if let (Ok(_), Err(error)) = (&plain, &came) {
                prop_assert!(error.contains("have no order"), "{source}\n{measured}\n{error}");
            }
        }

        #[test]
        fn every_expression_is_evaluated_or_refused(source in expressions()) {
            if let Ok(expr) = Expr::compile(&source) {
                let _ = expr.evaluate(&variables());
            }
        }
    }
}
